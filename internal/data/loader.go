package data

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	Shuffle config.Shuffle // where Train; empty: FullShuffle
	Window  int            // shards that are mixed at a time, where Shuffle is WindowShuffle
	Views   int            // rows of each picture in evaluation: 1 (or 0), or 10
	Seed    uint64
	Workers int  // goroutines that decode; 0: GOMAXPROCS
	Strict  bool // the first picture that cannot be read is an error
	// told of each picture that cannot be read, once in a run, by the goroutine that calls Next; or nil
	OnBad func(*BadPicture)
	// every picture is read and decoded each time; otherwise they stay in memory if the whole set fits into what the
	// source's sets may take together: min(2 GiB, a quarter of the memory that the process may use)
	NoCache bool
	// Slots are where batches go; nil: memory of the loader's own
	Slots Slots
}

// Slots are places for batches, lent by whoever reads them there.
type Slots interface {
	Count() int // at least 2
	// Rows are those of slot i, as soon as nobody reads what was in it.
	Rows(i int) Rows
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
	// Slot is where the batch lies, and Batch its rows. They stay as they are until the next call of Next, and for as
	// long as the slots' owner reads them.
	Slot  int
	Batch Rows
}

// ahead is how many batches are decoded or being decoded before they are asked for.
const ahead = 3

// reading is how many batches may still be read by those who took them: one that is computed, and one that is enqueued
// meanwhile.
const reading = 2

// SlotCount is how many slots a loader makes use of.
const SlotCount = ahead + reading

// Loader hands out a set in batches, decoded ahead by its workers, each picture into the row of a slot where it stays.
// It is used by one goroutine, which is the one that asks for slots too.
//
// Samples are numbered through the run: sample n is at position n mod Len of epoch n / Len. In training each epoch has
// an order of its own, drawn from (Seed, epoch): of all pictures, or of the shards and then of the pictures of Window
// shards at a time. Each picture has its own crop, flip and colour, drawn from (Seed, epoch, number of the picture). In
// evaluation pictures come in their natural order. So the sample number is all there is to remember: Seek to it and go
// on.
type Loader struct {
	o       LoaderOptions
	view    *view
	set     *Set
	batch   int     // pictures
	eval    []draws // the rows of each picture in evaluation
	ahead   int     // batches under way at most
	orders  orders
	order   []int32 // of epoch ordered
	ordered uint64
	queue   []*slot // batches under way, in order
	free    []*slot // in the order in which they are to be used
	lent    int     // where pictures have several views: the slot lent last
	next    uint64  // the sample that Next starts with
	err     error   // what every later Next returns

	jobs  chan job
	heard chan uint64 // the sample after the last that was handed out; nil: nobody listens
	crew  *crew
}

// slot is one batch on its way. Where pictures have one view each it is decoded where it goes; where they have several,
// into memory of the loader's own, from which Next copies it.
type slot struct {
	number       int // of LoaderOptions.Slots
	first, epoch uint64
	index        []int32 // (pictures)
	rows         Rows    // (pictures)
	bad          []*BadPicture
	left         atomic.Int32 // pictures still to come
	broken       atomic.Bool  // some of them never will
	dropped      atomic.Bool  // nobody wants them any more
	done         chan struct{}
}

// job is one picture of a slot.
type job struct {
	slot *slot
	row  int
}

// NewLoader starts the workers; Close ends them, or the end of ctx does. Decoding starts with the first Seek or Next.
// Windows of shards where there are no shards are a *SourceError.
func NewLoader(ctx context.Context, set *Set, o LoaderOptions) (*Loader, error) {
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
	if o.Slots == nil {
		o.Slots = newMemorySlots(SlotCount, o.Batch, v.size())
	}
	l := &Loader{
		o: o, view: v, set: set, batch: min(o.Batch/o.Views, set.Len()),
		order: make([]int32, set.Len()), ordered: ^uint64(0),
	}
	if l.orders, err = newOrders(set, &o); err != nil {
		return nil, err
	}
	if !o.Train {
		l.eval = views(o.Views, &o.Recipe)
	}
	if err := l.makeSlots(); err != nil {
		return nil, err
	}
	l.jobs = make(chan job, l.ahead*l.batch) // holds all that can be under way, so that handing out work never waits
	l.crew = newCrew(ctx, set.outages)
	members := make(chan func(*reader), l.ahead*l.batch+1)
	if h := newHerald(l); h != nil {
		l.heard = make(chan uint64, 1)
		members <- h.run
	}
	for range min(WorkerCount(o.Workers), l.ahead*l.batch) {
		members <- l.work
	}
	l.crew.work(len(members), func(r *reader) { (<-members)(r) })
	return l, nil
}

// makeSlots takes the slots that pictures are decoded into.
func (l *Loader) makeSlots() error {
	count := l.o.Slots.Count()
	if count < 2 {
		return fmt.Errorf("%d slots for batches, at least 2 are needed", count)
	}
	for i := range count {
		if !l.o.Slots.Rows(i).hold(l.batch*l.o.Views, l.view.size()) {
			return fmt.Errorf("batch of %d rows does not fit where it should go", l.batch*l.o.Views)
		}
	}
	slots := l.o.Slots
	if l.ahead = max(count-reading, 1); l.copies() {
		l.ahead = ahead
		count, slots = ahead, newMemorySlots(ahead, l.batch, l.view.size())
	}
	for i := range count {
		l.free = append(l.free, &slot{
			number: i, rows: slots.Rows(i), index: make([]int32, l.batch), bad: make([]*BadPicture, l.batch),
			done: make(chan struct{}, 1),
		})
	}
	return nil
}

// copies tells that a picture has several rows, and is decoded once all the same.
func (l *Loader) copies() bool { return l.o.Views > 1 }

// memorySlots lie in the program's own memory, and nobody reads them for long.
type memorySlots []Rows

func newMemorySlots(count, rows, pixels int) memorySlots {
	all := make(memorySlots, count)
	for i := range all {
		all[i] = Rows{
			make([]uint8, rows*pixels), make([]int32, rows), make([][2]int32, rows), make([]bool, rows),
			make([][3]float32, rows),
		}
	}
	return all
}

func (m memorySlots) Count() int      { return len(m) }
func (m memorySlots) Rows(i int) Rows { return m[i] }

// hold tells whether there is room for so many rows of so many pixels.
func (r Rows) hold(rows, pixels int) bool {
	return len(r.Pixels) >= rows*pixels && min(len(r.Labels), len(r.Crop), len(r.Flip), len(r.Color)) >= rows
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
	if o.Shuffle == config.WindowShuffle && o.Window < 1 {
		return fmt.Errorf("windows of %d shards, want at least 1", o.Window)
	}
	switch o.Augment.Crop {
	case "", config.RandomCrop, config.CenterCrop:
		return nil
	}
	return fmt.Errorf("augment.crop is %q, want %s or %s", o.Augment.Crop, config.RandomCrop, config.CenterCrop)
}

// work decodes pictures until the Loader is closed.
func (l *Loader) work(r *reader) {
	for j := range l.jobs {
		if !j.slot.dropped.Load() && !l.decode(j.slot, j.row, r) {
			j.slot.broken.Store(true)
		}
		if j.slot.left.Add(-1) == 0 {
			j.slot.done <- struct{}{}
		}
	}
}

// decode writes one picture of a batch, its label and its draws. It tells whether there is anything to write: not where
// the source failed, which is the end of all reading, and not after the end of ctx.
func (l *Loader) decode(s *slot, row int, r *reader) bool {
	if l.crew.ended(nil) {
		return false
	}
	index, size := int(s.index[row]), l.view.size()
	pixels, label := s.rows.Pixels[row*size:][:size], l.set.Label(index)
	s.bad[row] = nil
	if err := l.view.load(index, pixels, r); err != nil {
		if l.crew.ended(err) || !errors.As(err, &s.bad[row]) {
			return false
		}
		label = -1
		clear(pixels)
	}
	d := l.drawn(s, index, 0)
	s.rows.Labels[row], s.rows.Crop[row], s.rows.Flip[row], s.rows.Color[row] = label, d.crop, d.flip, d.color
	return true
}

// drawn are the draws of one view of a picture.
func (l *Loader) drawn(s *slot, index, view int) draws {
	if l.o.Train {
		return draw(&l.o.Augment, l.o.Seed, s.epoch, index, &l.o.Recipe)
	}
	return l.eval[view]
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
			if _, done := l.await(s); !done {
				l.err = l.crew.err()
				return
			}
		}
		l.free = append(slices.Clone(l.queue), l.free...) // nobody else had those of the queue
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
	for len(l.queue) < l.ahead && (l.o.Train || first/n <= epoch) {
		s := l.free[0]
		l.free = append(l.free[:0], l.free[1:]...)
		count := min(uint64(l.batch), n-first%n)
		l.start(s, first, int(count))
		l.queue = append(l.queue, s)
		first += count
	}
	if l.heard == nil {
		return
	}
	select { // only where it is now counts
	case <-l.heard:
	default:
	}
	l.heard <- first
}

// start hands out the pictures of one batch.
func (l *Loader) start(s *slot, first uint64, count int) {
	if !l.copies() {
		s.rows = l.o.Slots.Rows(s.number)
	}
	n := uint64(l.set.Len())
	s.first, s.epoch = first, first/n
	s.index = s.index[:count]
	if l.o.Train && l.ordered != s.epoch {
		l.orders.fill(l.order, s.epoch)
		l.ordered = s.epoch
	}
	for row := range s.index {
		s.index[row] = int32(first%n) + int32(row)
		if l.o.Train {
			s.index[row] = l.order[s.index[row]]
		}
	}
	s.dropped.Store(false)
	s.broken.Store(false)
	s.left.Store(int32(count))
	for row := range count {
		l.jobs <- job{s, row}
	}
}

// Next gives the next batch, waiting for it if need be: up to Batch rows, those of one picture together, never across
// the end of an epoch. A picture that cannot be read keeps its rows, with zero pixels and the label -1, so that row r
// is always sample First + r/Views. Errors, also from every later call: a *SourceFault, with Strict a *BadPicture,
// ctx's as soon as that has ended, even where a system call hangs, and after Close.
func (l *Loader) Next() (Info, error) {
	if l.err != nil {
		return Info{}, l.err
	}
	l.fill(l.next / uint64(l.set.Len()))
	s := l.queue[0]
	info := Info{
		First: s.first, Rows: len(s.index) * l.o.Views, Epoch: int(s.epoch), Slot: s.number, Batch: s.rows,
	}
	wait, done := l.await(s)
	if !done || s.broken.Load() {
		l.err = l.crew.err()
		return Info{}, l.err
	}
	info.Wait = wait
	l.queue = append(l.queue[:0], l.queue[1:]...)
	for row, bad := range s.bad[:len(s.index)] {
		if bad == nil {
			info.Good += l.o.Views
			continue
		}
		l.set.report(int(s.index[row]), bad, l.o.OnBad)
		if l.o.Strict {
			l.err = bad
			return Info{}, l.err
		}
	}
	if l.copies() {
		l.lent = (l.lent + 1) % l.o.Slots.Count()
		info.Slot, info.Batch = l.lent, l.o.Slots.Rows(l.lent)
		for row := range s.index {
			l.copyViews(info.Batch, s, row)
		}
	}
	l.next = s.first + uint64(len(s.index))
	l.free = append(l.free, s)
	l.fill(s.epoch)
	return info, nil
}

// await waits for the pictures of a batch, or until no more are read; done tells which.
func (l *Loader) await(s *slot) (wait time.Duration, done bool) {
	select {
	case <-s.done: // no clock where nothing is waited for
		return 0, true
	default:
	}
	start := time.Now()
	select {
	case <-s.done:
		return time.Since(start), true
	case <-l.crew.ctx.Done():
		return 0, false
	}
}

// copyViews writes the rows of one picture.
func (l *Loader) copyViews(dst Rows, s *slot, row int) {
	size := l.view.size()
	for k := range l.o.Views {
		r, d := row*l.o.Views+k, l.drawn(s, int(s.index[row]), k)
		copy(dst.Pixels[r*size:], s.rows.Pixels[row*size:][:size])
		dst.Labels[r], dst.Crop[r], dst.Flip[r], dst.Color[r] = s.rows.Labels[row], d.crop, d.flip, d.color
	}
}

var errClosed = errors.New("loader is closed")

// Close ends the workers and waits for the pictures that they are decoding, not for large ones nor for what hangs. Next
// fails afterwards. Closing again does nothing.
func (l *Loader) Close() {
	if l.jobs == nil {
		return
	}
	for _, s := range l.queue {
		s.dropped.Store(true)
	}
	close(l.jobs)
	if l.heard != nil {
		close(l.heard)
	}
	l.crew.stop(nil)
	_ = l.crew.wait() // it was stopped
	l.jobs, l.queue, l.free = nil, nil, nil
	l.err = errClosed
}
