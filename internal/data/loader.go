package data

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"alexnet/internal/config"
	"alexnet/internal/recipe"
)

// LoaderOptions say what a Loader makes of a set.
type LoaderOptions struct {
	Batch int // rows of a batch
	// Recipe is how pictures are decoded, cropped (Crop 0: not at all, and pictures must be square) and coloured.
	Recipe  recipe.Recipe
	Train   bool
	Augment config.Augment // where Train; its Crop empty: RandomCrop
	Views   int            // rows of each picture in evaluation: 1 (or 0), or 10
	Seed    uint64
	Workers int  // goroutines that decode; 0: GOMAXPROCS
	Strict  bool // the first picture that cannot be read is an error
	// told of each picture that cannot be read, once in a run, by the goroutine that calls Next; or nil
	OnBad func(*BadPicture)
	// every picture is read and decoded each time; otherwise they stay in memory if the whole set fits into what the
	// source's sets may take together: min(2 GiB, a quarter of the memory that the process may use)
	NoCache bool
}

// Rows is where a batch goes; the layouts are those of device.Batch.
type Rows struct {
	Pixels []uint8      // (rows, Height, Width, Channels)
	Labels []int32      // (rows); -1: the picture could not be read
	Crop   [][2]int32   // (rows) y, x
	Flip   []bool       // (rows)
	Color  [][3]float32 // (rows)
}

// Info tells about one batch.
type Info struct {
	First uint64        // number, within the run, of the sample in row 0
	Rows  int           // in use; below LoaderOptions.Batch at the end of an epoch
	Good  int           // of these, rows with a picture
	Epoch int           // from 0
	Wait  time.Duration // how long Next waited for pictures: the stall
}

// ahead is how many batches are decoded or being decoded before they are asked for.
const ahead = 3

// Loader hands out a set in batches, decoded ahead by its workers. It is used by one goroutine.
//
// Samples are numbered through the run: sample n is at position n mod Len of epoch n / Len. In training each epoch has
// an order of its own, drawn from (Seed, epoch), and each picture its own crop, flip and colour, drawn from (Seed,
// epoch, number of the picture). In evaluation pictures come in their natural order. So the sample number is all there
// is to remember: Seek to it and go on.
type Loader struct {
	o       LoaderOptions
	view    *view
	set     *Set
	batch   int     // pictures
	eval    []draws // the rows of each picture in evaluation
	order   []int32 // of epoch ordered
	ordered uint64
	queue   []*slot // batches under way, in order
	free    []*slot
	next    uint64 // the sample that Next starts with
	err     error  // what every later Next returns

	jobs chan job
	wg   sync.WaitGroup
	ctx  context.Context // ends with Close, and with it what a store waits for
	stop context.CancelFunc
}

// slot is one batch on its way.
type slot struct {
	first, epoch uint64
	index        []int32 // (pictures)
	pixels       []uint8 // (pictures, Height, Width, Channels)
	bad          []*BadPicture
	left         atomic.Int32 // pictures still to come
	dropped      atomic.Bool  // nobody wants them any more
	done         chan struct{}
}

// job is one picture of a slot.
type job struct {
	slot *slot
	row  int
}

// NewLoader starts the workers; Close ends them. Decoding starts with the first Seek or Next.
func NewLoader(set *Set, o LoaderOptions) (*Loader, error) {
	if set.Len() == 0 {
		return nil, unreadable(set, nil)
	}
	if o.Views == 0 {
		o.Views = 1
	}
	if o.Recipe.Crop == 0 {
		o.Recipe.Crop = o.Recipe.Height
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	v, err := set.view(&o.Recipe, o.NoCache)
	if err != nil {
		return nil, err
	}
	l := &Loader{
		o: o, view: v, set: set, batch: min(o.Batch/o.Views, set.Len()),
		order: make([]int32, set.Len()), ordered: ^uint64(0),
	}
	l.ctx, l.stop = context.WithCancel(context.Background())
	if !o.Train {
		l.eval = views(o.Views, &o.Recipe)
	}
	for range ahead {
		l.free = append(l.free, &slot{
			index: make([]int32, l.batch), pixels: make([]uint8, l.batch*v.size()), bad: make([]*BadPicture, l.batch),
			done: make(chan struct{}, 1),
		})
	}
	l.jobs = make(chan job, ahead*l.batch) // holds all that can be under way, so that handing out work never waits
	for range min(workerCount(o.Workers), ahead*l.batch) {
		l.wg.Go(l.work)
	}
	return l, nil
}

func (o *LoaderOptions) check() error {
	switch {
	case o.Views != 1 && (o.Views != 10 || o.Train):
		return fmt.Errorf("%d views of each picture: evaluation has 1 or 10, training 1", o.Views)
	case o.Batch < o.Views:
		return fmt.Errorf("batch of %d rows, but each picture takes %d", o.Batch, o.Views)
	case o.Recipe.Crop < 1 || o.Recipe.Crop > o.Recipe.Height || o.Recipe.Crop > o.Recipe.Width:
		return fmt.Errorf("crop of %dx%d from pictures of %dx%d", o.Recipe.Crop, o.Recipe.Crop, o.Recipe.Width,
			o.Recipe.Height)
	}
	switch o.Augment.Crop {
	case "", config.RandomCrop, config.CenterCrop:
		return nil
	}
	return fmt.Errorf("augment.crop is %q, want %s or %s", o.Augment.Crop, config.RandomCrop, config.CenterCrop)
}

// work decodes pictures until the Loader is closed.
func (l *Loader) work() {
	r := newReader()
	defer r.close()
	size := l.view.size()
	for j := range l.jobs {
		s := j.slot
		if !s.dropped.Load() {
			s.bad[j.row] = l.view.load(l.ctx, int(s.index[j.row]), s.pixels[j.row*size:][:size], r)
		}
		if s.left.Add(-1) == 0 {
			s.done <- struct{}{}
		}
	}
}

// Seek makes first the next sample and starts decoding there. What was decoded ahead is dropped, unless first is where
// Next would go on anyway.
func (l *Loader) Seek(first uint64) {
	if l.err != nil {
		return
	}
	if first != l.next {
		for _, s := range l.queue {
			s.dropped.Store(true)
		}
		for _, s := range l.queue {
			<-s.done
		}
		l.free = append(l.free, l.queue...)
		l.queue = l.queue[:0]
		l.next = first
	}
	l.fill(first / uint64(l.set.Len()))
}

// fill hands out work for the batches ahead. In evaluation it stops at the end of the given epoch: the next may never
// be asked for.
func (l *Loader) fill(epoch uint64) {
	n := uint64(l.set.Len())
	first := l.next
	if k := len(l.queue); k > 0 {
		first = l.queue[k-1].first + uint64(len(l.queue[k-1].index))
	}
	for len(l.free) > 0 && (l.o.Train || first/n <= epoch) {
		s := l.free[len(l.free)-1]
		l.free = l.free[:len(l.free)-1]
		count := min(uint64(l.batch), n-first%n)
		l.start(s, first, int(count))
		l.queue = append(l.queue, s)
		first += count
	}
}

// start hands out the pictures of one batch.
func (l *Loader) start(s *slot, first uint64, count int) {
	n := uint64(l.set.Len())
	s.first, s.epoch = first, first/n
	s.index = s.index[:count]
	if l.o.Train && l.ordered != s.epoch {
		permutation(l.order, l.o.Seed, s.epoch)
		l.ordered = s.epoch
	}
	for row := range s.index {
		s.index[row] = int32(first%n) + int32(row)
		if l.o.Train {
			s.index[row] = l.order[s.index[row]]
		}
	}
	s.dropped.Store(false)
	s.left.Store(int32(count))
	for row := range count {
		l.jobs <- job{s, row}
	}
}

// Next writes the next batch to dst, waiting for it if need be: up to Batch rows, those of one picture together, never
// across the end of an epoch. A picture that cannot be read keeps its rows, with zero pixels and the label -1, so that
// row r is always sample First + r/Views. Errors: dst too small; with Strict a *BadPicture, also from every later call;
// after Close.
func (l *Loader) Next(dst Rows) (Info, error) {
	if l.err != nil {
		return Info{}, l.err
	}
	l.fill(l.next / uint64(l.set.Len()))
	s := l.queue[0]
	if err := l.fits(dst, len(s.index)*l.o.Views); err != nil {
		return Info{}, err
	}
	info := Info{First: s.first, Rows: len(s.index) * l.o.Views, Epoch: int(s.epoch)}
	select {
	case <-s.done: // no clock where nothing is waited for
	default:
		start := time.Now()
		<-s.done
		info.Wait = time.Since(start)
	}
	l.queue = append(l.queue[:0], l.queue[1:]...)
	for row := range s.index {
		good := l.emit(dst, s, row)
		if l.err != nil {
			return Info{}, l.err
		}
		if good {
			info.Good += l.o.Views
		}
	}
	l.next = s.first + uint64(len(s.index))
	l.free = append(l.free, s)
	l.fill(s.epoch)
	return info, nil
}

func (l *Loader) fits(dst Rows, rows int) error {
	if len(dst.Pixels) < rows*l.view.size() || min(len(dst.Labels), len(dst.Crop), len(dst.Flip),
		len(dst.Color)) < rows {
		return fmt.Errorf("batch of %d rows does not fit where it should go", rows)
	}
	return nil
}

// emit writes the rows of one picture, and tells whether there is a picture.
func (l *Loader) emit(dst Rows, s *slot, row int) bool {
	size, index := l.view.size(), int(s.index[row])
	label, pixels := l.set.Label(index), s.pixels[row*size:][:size]
	if b := s.bad[row]; b != nil {
		l.set.report(index, b, l.o.OnBad)
		if l.o.Strict {
			l.err = b
		}
		label = -1
		clear(pixels)
	}
	rows := l.eval
	if l.o.Train {
		rows = []draws{draw(&l.o.Augment, l.o.Seed, s.epoch, index, &l.o.Recipe)}
	}
	for k, d := range rows {
		r := row*len(rows) + k
		copy(dst.Pixels[r*size:], pixels)
		dst.Labels[r], dst.Crop[r], dst.Flip[r], dst.Color[r] = label, d.crop, d.flip, d.color
	}
	return label >= 0
}

var errClosed = errors.New("loader is closed")

// Close ends the workers and waits for them. Next fails afterwards. Closing again does nothing.
func (l *Loader) Close() {
	if l.jobs == nil {
		return
	}
	for _, s := range l.queue {
		s.dropped.Store(true)
	}
	l.stop()
	close(l.jobs)
	l.wg.Wait()
	l.jobs, l.queue, l.free = nil, nil, nil
	l.err = errClosed
}
