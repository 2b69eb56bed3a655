package bench

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/recipe"
)

const (
	// bareBytes bounds the files that lie in memory to be decoded again and again.
	bareBytes = 256 << 20
	// barePictures is how many there are at most: enough to be in no cache of the processor.
	barePictures = 4096
)

// decoding is pictures in memory, and who decodes them.
type decoding struct {
	files         [][]byte
	height, width int
	threads       int
	next          int // of files, in the next round
}

// newDecoding reads pictures from all over a set; those that cannot be read or decoded are left out. It is nil where
// there are no others, or one of them is not decoded by libjpeg-turbo to just the size of the recipe: then there is
// nothing to be compared. Errors are those of [data.Set.Spread].
func newDecoding(ctx context.Context, set *data.Set, by *recipe.Recipe, workers int) (*decoding, error) {
	d := &decoding{height: by.Height, width: by.Width, threads: data.WorkerCount(workers)}
	one := picture.NewDecoder()
	defer one.Close()
	pixels := make([]uint8, by.Height*by.Width*3)
	want, total, same := picture.Want{Channels: by.Channels}, 0, true
	err := set.Spread(ctx, barePictures, func(raw []byte) bool {
		height, width, err := one.Size(raw, want)
		if err != nil {
			return true
		}
		if height != by.Height || width != by.Width || !one.Bare(raw, height, width, pixels) {
			_, err := one.Decode(ctx, raw, want, nil)
			same = err != nil // a bad picture
			return same
		}
		if total += len(raw); total > bareBytes {
			return false
		}
		d.files = append(d.files, bytes.Clone(raw))
		return true
	})
	if err != nil || !same || len(d.files) == 0 {
		return nil, err
	}
	return d, nil
}

// run decodes so many pictures on all threads, and gives how many are done in a second.
func (d *decoding) run(ctx context.Context, pictures int) (float64, error) {
	var done atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range d.threads {
		all.Go(func() {
			decoder := picture.NewDecoder()
			defer decoder.Close()
			pixels := make([]uint8, d.height*d.width*3)
			for ctx.Err() == nil {
				k := int(done.Add(1)) - 1
				if k >= pictures {
					return
				}
				decoder.Bare(d.files[(d.next+k)%len(d.files)], d.height, d.width, pixels)
			}
		})
	}
	all.Wait()
	took := time.Since(start).Seconds()
	d.next += pictures
	return float64(pictures) / took, ctx.Err()
}
