package data

import (
	"context"
	"iter"
	"sync"

	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/recipe"
)

// DecodeFiles reads files and decodes them by a recipe that knows the size of its pictures. They come in the order of
// paths, each picture or its error: a *BadPicture with the path as name, after which the next follows, or ctx's own
// once that has ended, which is the last. The pixels are good until the next picture is asked for.
//
// GOMAXPROCS workers decode up to ahead pictures before they are asked for, or as many as there are workers where that
// is more. Beyond the pixels of these a worker keeps what its largest picture took: a file and its RGB. When the loop
// ends, however it does, each worker finishes at most the picture that it is at, and no goroutine is left.
func DecodeFiles(ctx context.Context, fsys files.Reader, paths []string, by *recipe.Recipe,
	ahead int,
) iter.Seq2[picture.Picture, error] {
	return func(yield func(picture.Picture, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		d := startFiles(ctx, fsys, paths, by, ahead)
		defer d.end(stop)
		for i := range paths {
			s := &d.ring[i%len(d.ring)]
			select {
			case <-s.done:
			case <-ctx.Done():
			}
			if err := ctx.Err(); err != nil {
				yield(picture.Picture{}, err)
				return
			}
			if !yield(s.pic, s.err) {
				return
			}
			if next := i + len(d.ring); next < len(paths) {
				d.jobs <- next
			}
		}
	}
}

// fileDecoder is what the workers of DecodeFiles share.
type fileDecoder struct {
	fsys    files.Reader
	paths   []string
	by      *recipe.Recipe
	ring    []fileSlot // picture i's is i mod its length
	jobs    chan int   // pictures to decode
	workers sync.WaitGroup
}

// fileSlot is one picture on its way.
type fileSlot struct {
	pixels []uint8 // for one picture after the other; nil before the first
	pic    picture.Picture
	err    error
	done   chan struct{}
}

// startFiles starts the workers, with work for each slot.
func startFiles(ctx context.Context, fsys files.Reader, paths []string, by *recipe.Recipe, ahead int) *fileDecoder {
	workers := workerCount(0)
	d := &fileDecoder{fsys: fsys, paths: paths, by: by, ring: make([]fileSlot, min(len(paths), max(ahead, workers)))}
	d.jobs = make(chan int, len(d.ring)) // holds all that can be under way, so that handing out work never waits
	for i := range d.ring {
		d.ring[i].done = make(chan struct{}, 1)
		d.jobs <- i
	}
	for range min(workers, len(d.ring)) {
		d.workers.Go(func() { d.work(ctx) })
	}
	return d
}

// end waits for the workers; stop ends the context they were started with.
func (d *fileDecoder) end(stop func()) {
	stop()
	close(d.jobs)
	d.workers.Wait()
}

// work decodes pictures until there are no more, or until ctx ends.
func (d *fileDecoder) work(ctx context.Context) {
	r := newReader()
	defer r.close()
	for i := range d.jobs {
		if ctx.Err() != nil {
			return
		}
		s := &d.ring[i%len(d.ring)]
		if s.pixels == nil {
			s.pixels = make([]uint8, d.by.Pixels())
		}
		if s.pic, s.err = r.file(d.fsys, d.paths[i], d.by, s.pixels); s.err != nil {
			s.err = &BadPicture{Name: d.paths[i], Err: s.err}
		}
		s.done <- struct{}{}
	}
}

// file reads and decodes a file into dst, which has room for a picture of the recipe's size. Pixels of another size are
// dropped at once: they may be many.
func (r *reader) file(fsys files.Reader, path string, by *recipe.Recipe, dst []uint8) (picture.Picture, error) {
	raw, err := readFile(fsys, path, r.raw)
	if err != nil {
		return picture.Picture{}, err
	}
	r.raw = raw
	pic, err := r.decoder.Decode(raw, by.Resize, by.Channels, dst)
	if err != nil {
		return picture.Picture{}, err
	}
	if pic.Height != by.Height || pic.Width != by.Width {
		return picture.Picture{}, &SizeError{
			Height: pic.Height, Width: pic.Width, WantHeight: by.Height, WantWidth: by.Width, Alone: true,
		}
	}
	return pic, nil
}
