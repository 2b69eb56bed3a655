package data

import (
	"context"
	"errors"
	"iter"

	"alexnet/internal/data/picture"
	"alexnet/internal/recipe"
)

// Decode reads pictures and decodes them by a recipe that knows the size of its pictures. They come in their order,
// each picture or its error: a *BadPicture, after which the next follows; or, as the last, a *SourceFault after as much
// patience as there is, or ctx's own as soon as that has ended. The pixels are good until the next picture is asked
// for. A path may be that of a pipe, which is waited for until it is written to its end.
//
// GOMAXPROCS workers decode up to ahead pictures before they are asked for, or as many as there are workers where that
// is more. Beyond the pixels of these a worker keeps what its largest picture took: a file and its RGB. When the loop
// ends, however it does, each worker finishes at most the picture that it is at, and no goroutine is left but those
// whose system call hangs, and decoders that are left to end by themselves at a large picture.
func (l *Pictures) Decode(ctx context.Context, by *recipe.Recipe, ahead int, p Patience,
) iter.Seq2[picture.Picture, error] {
	return func(yield func(picture.Picture, error) bool) {
		d := startFiles(ctx, l, by, ahead, p)
		defer d.end()
		for i := range l.Len() {
			s := &d.ring[i%len(d.ring)]
			select {
			case <-s.done:
			case <-d.crew.ctx.Done():
			}
			if err := d.crew.err(); err != nil {
				yield(picture.Picture{}, err)
				return
			}
			if !yield(s.pic, s.err) {
				return
			}
			if next := i + len(d.ring); next < l.Len() {
				d.jobs <- next
			}
		}
	}
}

// fileDecoder is what the workers of Decode share.
type fileDecoder struct {
	pictures *Pictures
	by       *recipe.Recipe
	ring     []fileSlot // picture i's is i mod its length
	jobs     chan int   // pictures to decode
	crew     *crew
}

// fileSlot is one picture on its way.
type fileSlot struct {
	pixels []uint8 // for one picture after the other; nil before the first
	pic    picture.Picture
	err    error
	done   chan struct{}
}

// startFiles starts the workers, with work for each slot.
func startFiles(ctx context.Context, l *Pictures, by *recipe.Recipe, ahead int, p Patience) *fileDecoder {
	workers := WorkerCount(0)
	d := &fileDecoder{pictures: l, by: by, ring: make([]fileSlot, min(l.Len(), max(ahead, workers)))}
	d.jobs = make(chan int, len(d.ring)) // holds all that can be under way, so that handing out work never waits
	for i := range d.ring {
		d.ring[i].done = make(chan struct{}, 1)
		d.jobs <- i
	}
	d.crew = newCrew(ctx, &outages{patience: p})
	d.crew.work(min(workers, len(d.ring)), d.work)
	return d
}

// end ends the workers.
func (d *fileDecoder) end() {
	close(d.jobs)
	d.crew.stop(nil)
	_ = d.crew.wait() // it was stopped
}

// work decodes pictures until there are no more, the source fails, or ctx ends.
func (d *fileDecoder) work(r *reader) {
	for i := range d.jobs {
		if d.crew.ended(nil) {
			return
		}
		s := &d.ring[i%len(d.ring)]
		if s.pixels == nil {
			s.pixels = make([]uint8, d.by.Pixels())
		}
		pic, err := r.file(d, i, s.pixels)
		if d.crew.ended(err) {
			return
		}
		s.pic, s.err = pic, err
		s.done <- struct{}{}
	}
}

// file reads and decodes picture i into dst, which has room for one of the recipe's size. Pixels of another size are
// dropped at once: they may be many.
func (r *reader) file(d *fileDecoder, i int, dst []uint8) (picture.Picture, error) {
	name, number, store := d.pictures.Name(i), int(d.pictures.records[i].Number), d.pictures.store
	raw, err := r.fetch(store, number, name)
	if pipe(err) {
		if pipes, able := store.(piper); able {
			raw, err = r.stream(func(buf []byte) ([]byte, error) { return pipes.readPipe(number, buf) })
		}
	}
	if errors.As(err, new(*SourceFault)) {
		return picture.Picture{}, err
	}
	var pic picture.Picture
	if err == nil {
		pic, err = r.decoder.Decode(r.crew.ctx, raw, wanted(d.by), dst)
	}
	if ended := r.crew.ctx.Err(); ended != nil {
		return picture.Picture{}, ended
	}
	if err != nil {
		if other := r.changed(store); other != nil {
			return picture.Picture{}, other
		}
	}
	if err == nil && (pic.Height != d.by.Height || pic.Width != d.by.Width) {
		err = &SizeError{
			Height: pic.Height, Width: pic.Width, WantHeight: d.by.Height, WantWidth: d.by.Width, Alone: true,
		}
	}
	if err != nil {
		return picture.Picture{}, &BadPicture{Name: name, Err: err}
	}
	return pic, nil
}
