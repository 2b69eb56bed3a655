package prepare

import (
	"context"
	"errors"
	"sync"

	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/shards"
)

// job is one picture on its way from the source to its shard.
type job struct {
	part  data.Part
	index int
	key   string
	raw   []byte // the file
	jpeg  []byte // what was encoded
	kept  bool   // raw is written, not jpeg
	sum   uint32 // CRC32C of what is written
	bad   *data.BadPicture
	err   error // that ends everything
	done  chan struct{}
}

// out is what is written.
func (j *job) out() []byte {
	if j.kept {
		return j.raw
	}
	return j.jpeg
}

// worker is what one goroutine reuses from one picture to the next.
type worker struct {
	m       *maker
	decoder *picture.Decoder
	encoder *picture.Encoder
	pixels  []uint8 // of the picture
	again   []uint8 // of what was encoded
	sums    *data.Sums
}

// line is the way of the pictures: one goroutine reads, some work, one writes. Jobs go round in a ring.
type line struct {
	m       *maker
	free    chan *job // to be read into; all of them, where nothing is under way
	todo    chan *job // read
	order   chan *job // the same, as they were read
	workers []*worker
	all     sync.WaitGroup
	cancel  context.CancelCauseFunc
	failed  error // of writing
}

// start starts the goroutines.
func (m *maker) start(ctx context.Context, cancel context.CancelCauseFunc) *line {
	count := min(data.WorkerCount(m.o.Workers), max(m.all(), 1))
	const each = 4 // a large picture holds up the writing, and not the others
	ring := each * count
	l := &line{
		m: m, cancel: cancel, free: make(chan *job, ring), todo: make(chan *job, ring), order: make(chan *job, ring),
	}
	for range ring {
		l.free <- &job{done: make(chan struct{}, 1)}
	}
	for range count {
		w := &worker{
			m: m, decoder: picture.NewDecoder(), encoder: picture.NewEncoder(quality),
			sums: data.NewSums(m.o.Resize * m.o.Resize * 3),
		}
		l.workers = append(l.workers, w)
		l.all.Go(func() {
			defer w.decoder.Close()
			defer w.encoder.Close()
			for j := range l.todo {
				w.do(ctx, j)
				j.done <- struct{}{}
			}
		})
	}
	l.all.Go(l.write)
	return l
}

// write writes the pictures as they come.
func (l *line) write() {
	m := l.m
	for j := range l.order {
		<-j.done
		if l.failed == nil {
			if l.failed = m.write(j); l.failed != nil {
				l.cancel(l.failed)
			} else if m.o.Progress != nil && (m.now.Done%100 == 0 || m.now.Done == m.all()) {
				m.o.Progress(m.now.Done, m.all())
			}
		}
		if cap(j.raw) > largeFile {
			j.raw = nil
		}
		l.free <- j
	}
}

// largeFile is what a job keeps at most of the memory of one picture for the next, in bytes.
const largeFile = 8 << 20

// put hands on a picture that was read.
func (l *line) put(ctx context.Context, t data.Taken) error {
	var j *job
	select {
	case j = <-l.free:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	j.part, j.index, j.bad, j.err = t.Part, t.Index, t.Bad, nil
	j.raw = append(j.raw[:0], t.Raw...)
	l.todo <- j
	l.order <- j
	return nil
}

// drain waits until nothing is under way, and gathers the workers' sums.
func (l *line) drain(ctx context.Context) error {
	waiting := make([]*job, 0, cap(l.free))
	for len(waiting) < cap(l.free) {
		select {
		case j := <-l.free:
			waiting = append(waiting, j)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for _, j := range waiting {
		l.free <- j
	}
	if l.failed != nil {
		return l.failed
	}
	for _, w := range l.workers {
		l.m.sums.Merge(w.sums)
		w.sums = data.NewSums(l.m.o.Resize * l.m.o.Resize * 3)
	}
	return nil
}

// pictures brings the pictures that are left from the source to the shards, and notes now and then how far they are.
func (m *maker) pictures(ctx context.Context) error {
	if m.now.Done == m.all() {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l := m.start(ctx, cancel)
	read, next := m.now.Done, m.next()
	var note <-chan noted // under way
	err := m.src.Through(ctx, read, func(t data.Taken) error {
		if err := l.put(ctx, t); err != nil {
			return err
		}
		if read++; read < next {
			return nil
		}
		if err := l.drain(ctx); err != nil {
			return err
		}
		before := note
		note = nil
		if err := m.settle(before); err != nil {
			return err
		}
		note = m.note()
		next = m.next()
		return nil
	})
	close(l.todo)
	close(l.order)
	l.all.Wait()
	if e := m.settle(note); err == nil {
		err = e
	}
	if l.failed != nil { // which may have ended the reading in its own words
		return l.failed
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err == nil && m.now.Done < m.all() {
		err = errShort
	}
	return err
}

var errShort = errors.New("the source has fewer pictures than were listed")

// do decodes a picture, makes of it what is to be written, and adds what training will see of it to the sums.
func (w *worker) do(ctx context.Context, j *job) {
	if j.bad != nil {
		return
	}
	set := w.m.src.Part(j.part)
	j.key = w.m.keys.Of(set.Name(j.index))
	if err := w.make(ctx, j); err != nil {
		if ended := context.Cause(ctx); ended != nil {
			j.err = ended
			return
		}
		j.bad = &data.BadPicture{Name: set.File(j.index), Err: err}
		return
	}
	j.sum = shards.Checksum(j.out())
}

// make sets what is to be written of a picture. A JPEG that has the size already keeps its bytes; so does every picture
// with Keep.
func (w *worker) make(ctx context.Context, j *job) error {
	o := &w.m.o.Making
	training := j.part == data.TrainPart
	how := o.recipeOf()
	seen := picture.Want{Resize: how.Resize, Channels: how.Channels, Upright: true}
	if o.Keep {
		pic, err := w.decoder.Decode(ctx, j.raw, seen, w.pixels)
		if err != nil {
			return err
		}
		w.pixels = pic.Pixels
		if j.kept = true; training {
			w.sums.Add(pic.Pixels, pic.Channels)
		}
		return nil
	}
	pic, err := w.decoder.Decode(ctx, j.raw, o.want(), w.pixels)
	if err != nil {
		return err
	}
	w.pixels = pic.Pixels
	j.kept = pic.File.Format == "jpeg" && pic.File.Height == pic.Height && pic.File.Width == pic.Width
	if !j.kept {
		if j.jpeg, err = w.encoder.Encode(&pic, j.jpeg); err != nil {
			return err
		}
	}
	if !training {
		return nil
	}
	if !j.kept || pic.Height != how.Height { // what training sees is what the file says, at the size of the others
		if !j.kept && pic.Height == how.Height { // nothing is to be done to it: a copy less
			seen = picture.Want{Channels: how.Channels}
		}
		if pic, err = w.decoder.Decode(ctx, j.out(), seen, w.again); err != nil {
			return err
		}
		w.again = pic.Pixels
	}
	w.sums.Add(pic.Pixels, pic.Channels)
	return nil
}
