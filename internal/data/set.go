package data

import (
	"context"
	"errors"
	"sort"
	"sync"
	"sync/atomic"
)

// Set is an ordered list of labelled pictures: sorted by class, then by name.
type Set struct {
	records []Record
	store   Store
	cache   *cache

	mu       sync.Mutex
	views    map[viewKey]*view
	bad      map[int]*BadPicture // found so far, by number
	reported map[int]bool        // told to some OnBad

	jpeg atomic.Bool // one was decoded
}

// newSet makes a set and takes it into a cache.
func newSet(records []Record, store Store, c *cache) *Set {
	s := &Set{
		records: records, store: store, cache: c,
		views: map[viewKey]*view{}, bad: map[int]*BadPicture{}, reported: map[int]bool{},
	}
	c.sets = append(c.sets, s)
	return s
}

// Len is the number of pictures.
func (s *Set) Len() int { return len(s.records) }

// Name is the picture's path inside the source, slash-separated: "cat/1.jpg", or "val/cat/1.jpg".
func (s *Set) Name(i int) string { return s.records[i].Name }

// Label is the number of its class.
func (s *Set) Label(i int) int32 { return s.records[i].Label }

// MetJPEG tells whether a JPEG was decoded so far: whether it matters what decodes them.
func (s *Set) MetJPEG() bool { return s.jpeg.Load() }

// Read gives the file of picture i, in buf where it fits. Many goroutines may call it at once. It fails with a
// *SourceFault where the source failed and not the picture, with a *BadPicture where the picture did, and with ctx's
// error once that has ended.
func (s *Set) Read(ctx context.Context, i int, buf []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	raw, err := s.store.Read(ctx, int(s.records[i].Number), buf)
	var fault *SourceFault
	switch {
	case err == nil:
		return raw, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &fault):
		return nil, err
	}
	return nil, s.badPicture(i, err)
}

// badPicture is err as that of picture i. A failure of the source counts as one of the picture's own: the run is told
// of it and goes past the picture.
func (s *Set) badPicture(i int, err error) *BadPicture {
	var bad *BadPicture
	if errors.As(err, &bad) {
		return bad
	}
	return &BadPicture{Name: s.Name(i), Err: err}
}

// Bad lists the pictures of the set that turned out unreadable so far, in order.
func (s *Set) Bad() []*BadPicture {
	s.mu.Lock()
	defer s.mu.Unlock()
	numbers := make([]int, 0, len(s.bad))
	for i := range s.bad {
		numbers = append(numbers, i)
	}
	sort.Ints(numbers)
	bad := make([]*BadPicture, len(numbers))
	for k, i := range numbers {
		bad[k] = s.bad[i]
	}
	return bad
}

// report tells onBad of picture i, unless somebody was told before: a picture is reported once in a run, not once in an
// epoch.
func (s *Set) report(i int, b *BadPicture, onBad func(*BadPicture)) {
	if onBad == nil {
		return
	}
	s.mu.Lock()
	before := s.reported[i]
	s.reported[i] = true
	s.mu.Unlock()
	if !before {
		onBad(b)
	}
}
