package data

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"alexnet/internal/config"
	"alexnet/internal/data/picture"
	"alexnet/internal/recipe"
)

// reader reads and decodes pictures. It owns what one goroutine reuses from one picture to the next.
type reader struct {
	decoder *picture.Decoder
	raw     []byte // the file
	crew    *crew

	// by the crew, under its lock
	now       *trial // the system call under way is of; nil: none is
	looks     int    // at that, so far
	abandoned bool   // in a system call
}

// load reads and decodes picture i of a set. Errors are those of Set.Read; a
// failure of the source has been tried again as long as its patience goes.
func (r *reader) load(set *Set, i int, want picture.Want, dst []uint8) (picture.Picture, error) {
	raw, err := r.fetch(set.store, int(set.records[i].Number), set.File(i))
	if err != nil {
		return picture.Picture{}, set.failure(r.crew.ctx, i, err)
	}
	pic, err := r.decoder.Decode(r.crew.ctx, raw, want, dst)
	if err != nil {
		if ended := r.crew.ctx.Err(); ended != nil { // the decoder may have been left
			return picture.Picture{}, ended
		}
		if other := r.changed(set.store); other != nil {
			return picture.Picture{}, other
		}
		return picture.Picture{}, set.badPicture(i, err)
	}
	if pic.File.Format == "jpeg" {
		set.jpeg.Store(true)
	}
	return pic, nil
}

// wanted is what a decoder is to do by a recipe.
func wanted(by *recipe.Recipe) picture.Want {
	return picture.Want{
		Resize: by.Resize, Squash: by.Fit == config.SquashFit, Linear: by.Interpolation == config.TwoNearest,
		Channels: by.Channels, Upright: by.Exif == config.ApplyExif,
	}
}

// sizeSample is how many pictures PictureSize looks at.
const sizeSample = 1000

// PictureSize is the height and width of the set's pictures by a recipe: Resize x Resize, or else the size that most of
// them have by their headers, of a thousand across the set where there are more; of sizes that as many have, the first.
func (s *Set) PictureSize(ctx context.Context, by *recipe.Recipe) (height, width int, err error) {
	if by.Resize > 0 {
		return by.Resize, by.Resize, nil
	}
	seen := make([]struct {
		size [2]int
		err  error
	}, min(s.Len(), sizeSample))
	var next atomic.Int64
	c := newCrew(ctx, s.outages)
	c.work(min(WorkerCount(0), len(seen)), func(r *reader) {
		for {
			k := int(next.Add(1)) - 1
			if k >= len(seen) {
				return
			}
			size, err := r.size(s, k*s.Len()/len(seen), wanted(by))
			if c.ended(err) {
				return
			}
			seen[k].size, seen[k].err = size, err
		}
	})
	if err := c.wait(); err != nil { // nobody looks at what the readers may still find
		return 0, 0, err
	}
	count, most := map[[2]int]int{}, [2]int{}
	for _, one := range seen {
		if one.err == nil {
			count[one.size]++
		}
	}
	var first *BadPicture
	for _, one := range seen {
		switch {
		case one.err == nil && count[one.size] > count[most]:
			most = one.size
		case first == nil:
			errors.As(one.err, &first)
		}
	}
	if len(count) == 0 {
		return 0, 0, unreadable(s, first)
	}
	return most[0], most[1], nil
}

// looksAtSides is how many pictures tell the size of most.
const looksAtSides = 9

// Side is the shorter side of most of the set's pictures, in pixels: the median of a few, spread over the set. 0 where
// none of these can be read, for whatever reason.
func (s *Set) Side(ctx context.Context) int {
	var sides []int
	c := newCrew(ctx, s.outages)
	c.work(1, func(r *reader) {
		n := min(looksAtSides, s.Len())
		for i := range n {
			size, err := r.size(s, i*s.Len()/n, picture.Want{Channels: 3})
			if c.ended(err) {
				return
			}
			if err == nil {
				sides = append(sides, min(size[0], size[1]))
			}
		}
	})
	if c.wait() != nil || len(sides) == 0 {
		return 0
	}
	slices.Sort(sides)
	return sides[len(sides)/2]
}

// size is the height and width of picture i by its header. Errors are those of load.
func (r *reader) size(set *Set, i int, want picture.Want) (size [2]int, err error) {
	raw, err := r.fetch(set.store, int(set.records[i].Number), set.File(i))
	if err != nil {
		return size, set.failure(r.crew.ctx, i, err)
	}
	if size[0], size[1], err = r.decoder.Size(raw, want); err != nil {
		if other := r.changed(set.store); other != nil {
			return size, other
		}
		return size, set.badPicture(i, err)
	}
	return size, nil
}

// unreadable is the error of a set none of whose pictures can be read.
func unreadable(set *Set, first *BadPicture) error {
	if set.Len() == 0 {
		return fmt.Errorf("%w: no pictures in this part of the data", ErrNoData)
	}
	return fmt.Errorf("%w: none of %d pictures can be read: %w", ErrNoData, set.Len(), first)
}
