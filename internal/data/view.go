package data

import (
	"errors"
	"fmt"
	"sync/atomic"

	"alexnet/internal/data/picture"
	"alexnet/internal/recipe"
)

// view is a set as it is decoded by some recipes, with what is already known: decoded pictures, where the whole set
// fits into memory, and pictures found bad. Everything that decodes a set alike shares one view, so that the
// statistics, each epoch and each evaluation decode a picture once.
type view struct {
	set *Set
	viewKey
	state []atomic.Uint32 // by picture: unknown, claimed, cached or bad
	slab  []uint8         // (pictures, height, width, channels), or nil when there is no room
}

// viewKey tells views of a set apart: it is what matters of a recipe until pictures are cropped.
type viewKey struct {
	picture.Want
	height, width int
	noCache       bool
}

// States of a picture. A picture is claimed while one worker copies it into the slab; others that meet it decode it
// themselves.
const (
	unknown = iota
	claimed
	cached
	known // to be bad
)

// view gives the set's view by a recipe whose size of pictures is known; noCache as in LoaderOptions.
func (s *Set) view(by *recipe.Recipe, noCache bool) (*view, error) {
	if by.Height < 1 || by.Width < 1 || (by.Resize > 0 && (by.Height != by.Resize || by.Width != by.Resize)) {
		return nil, fmt.Errorf("pictures of %dx%d asked for, preparation makes them %dx%d", by.Width, by.Height,
			by.Resize, by.Resize)
	}
	size := int64(by.Pixels())
	key := viewKey{wanted(by), by.Height, by.Width, noCache}
	keep := !noCache && s.cache.keeps(s, key, size)
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.views[key]
	if v == nil {
		v = &view{set: s, viewKey: key, state: make([]atomic.Uint32, s.Len())}
		if keep {
			v.slab = make([]uint8, size*int64(s.Len())) // the system hands out its pages as they are filled
		}
		s.views[key] = v
	}
	return v, nil
}

// size is the length of one picture.
func (v *view) size() int { return v.height * v.width * v.Channels }

// load writes picture i to dst (size), or says why it cannot: with a *BadPicture, which is remembered, or with another
// error of Set.Read, which says nothing about the picture.
func (v *view) load(i int, dst []uint8, r *reader) error {
	switch v.state[i].Load() {
	case cached:
		copy(dst, v.slab[i*v.size():])
		return nil
	case known:
		v.set.mu.Lock()
		defer v.set.mu.Unlock()
		return v.set.bad[i]
	}
	// a larger picture must not reach into what lies after dst
	pic, err := r.load(v.set, i, v.Want, dst[:len(dst):len(dst)])
	if err == nil && (pic.Height != v.height || pic.Width != v.width) {
		err = v.set.badPicture(i, &SizeError{
			Height: pic.Height, Width: pic.Width, WantHeight: v.height, WantWidth: v.width,
		})
	}
	var bad *BadPicture
	if errors.As(err, &bad) {
		return v.condemn(i, bad)
	}
	if err != nil {
		return err
	}
	if v.slab != nil && v.state[i].CompareAndSwap(unknown, claimed) {
		copy(v.slab[i*v.size():], dst)
		v.state[i].Store(cached)
	}
	return nil
}

// condemn remembers that picture i is bad; what is known first about a picture stays.
func (v *view) condemn(i int, bad *BadPicture) *BadPicture {
	v.set.mu.Lock()
	defer v.set.mu.Unlock()
	if before := v.set.bad[i]; before != nil {
		bad = before
	}
	v.set.bad[i] = bad
	v.state[i].Store(known)
	return bad
}
