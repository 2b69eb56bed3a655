package data

import (
	"cmp"
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
	outages *outages

	mu       sync.Mutex
	views    map[viewKey]*view
	bad      map[int]*BadPicture // found so far, by number
	reported map[int]bool        // told to some OnBad

	jpeg atomic.Bool // one was decoded
}

// newSet makes a set and takes it into a cache.
func newSet(records []Record, store Store, c *cache) *Set {
	s := &Set{
		records: records, store: store, cache: c, outages: &outages{},
		views: map[viewKey]*view{}, bad: map[int]*BadPicture{}, reported: map[int]bool{},
	}
	c.sets = append(c.sets, s)
	return s
}

// Len is the number of pictures.
func (s *Set) Len() int { return len(s.records) }

// Name is the picture's path inside the source, slash-separated: "cat/1.jpg", or "val/cat/1.jpg".
func (s *Set) Name(i int) string { return s.records[i].Name }

// File is where picture i lies in the source, for people and for other programs. It is Name but for pictures whose
// class stands in no folder's name.
func (s *Set) File(i int) string { return cmp.Or(s.records[i].File, s.records[i].Name) }

// Label is the number of its class.
func (s *Set) Label(i int) int32 { return s.records[i].Label }

// Counts is how many pictures there are of each of so many classes.
func (s *Set) Counts(classes int) []int {
	counts := make([]int, classes)
	for _, r := range s.records {
		counts[r.Label]++
	}
	return counts
}

// Only is a set of the pictures of some classes, for whoever does not read this one.
func (s *Set) Only(wanted func(label int32) bool) *Set {
	var records []Record
	for _, r := range s.records {
		if wanted(r.Label) {
			records = append(records, r)
		}
	}
	some := newSet(records, s.store, newCache())
	some.outages = s.outages
	return some
}

// MetJPEG tells whether a JPEG was decoded so far: whether it matters what decodes them.
func (s *Set) MetJPEG() bool { return s.jpeg.Load() }

// Read gives the file of picture i, in buf where it fits; it is tried once. Many goroutines may call it at once. It
// fails with a *SourceFault where the source failed and not the picture, with a *BadPicture where the picture did, and
// with ctx's error once that has ended.
func (s *Set) Read(ctx context.Context, i int, buf []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	raw, err := s.store.Read(ctx, int(s.records[i].Number), buf)
	if err != nil {
		return nil, s.failure(ctx, i, err)
	}
	return raw, nil
}

// Spread reads the files of up to n pictures from all over the set, one after the other, until each returns false; raw
// is good until then. Pictures that cannot be read are left out, as a [Loader] leaves them out. Failures of the source
// are tried again as its patience has it, and are *SourceFaults in the end; else an error is ctx's.
func (s *Set) Spread(ctx context.Context, n int, each func(raw []byte) bool) error {
	n = min(n, s.Len())
	return inCrew(ctx, s.outages, func(r *reader) error {
		for k := range n {
			i := k * s.Len() / n
			raw, err := r.fetch(s.store, int(s.records[i].Number), s.File(i))
			if err != nil {
				if err = s.failure(r.crew.ctx, i, err); errors.As(err, new(*BadPicture)) {
					continue
				}
				return err
			}
			if !each(raw) {
				return nil
			}
		}
		return nil
	})
}

// failure is the error of a store's Read as Set.Read has it.
func (s *Set) failure(ctx context.Context, i int, err error) error {
	var fault *SourceFault
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &fault):
		return fault
	}
	return s.badPicture(i, err)
}

// checker is a store that can tell whether it still holds what it held when it was opened. A change shows in pictures
// that cannot be decoded; it is not theirs.
type checker interface {
	check() *SourceFault // nil: nothing has changed
}

// badPicture is err as that of picture i.
func (s *Set) badPicture(i int, err error) *BadPicture {
	var bad *BadPicture
	if errors.As(err, &bad) {
		return bad
	}
	return &BadPicture{Name: s.File(i), Err: err}
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
