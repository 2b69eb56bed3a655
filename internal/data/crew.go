package data

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"alexnet/internal/data/picture"
)

// crew is goroutines that read and decode pictures. A system call may hang: that of a server that is gone hangs for as
// long as it is. Whoever waits for the crew waits for those who decode, and not for those who hang once ctx has ended.
// These come back later, to nothing: what they read lies in memory of their own, and they end. Decoders end with ctx
// too: what [picture.Decoder.Decode] leaves behind of a large picture reads r.raw, into which nothing is fetched after
// the end of ctx, and writes to memory of its own.
type crew struct {
	ctx  context.Context // of the work: ends with fail too, and when it is over
	stop context.CancelCauseFunc
	of   *outages

	mu      sync.Mutex
	change  sync.Cond // of what follows
	members []*reader
	alive   int  // of these
	busy    int  // those alive that are in no system call
	left    bool // nobody waits any more
}

// newCrew makes one that reads what fails as of has it. Wait for it.
func newCrew(ctx context.Context, of *outages) *crew {
	c := &crew{of: of}
	c.change.L = &c.mu
	c.ctx, c.stop = context.WithCancelCause(ctx)
	return c
}

// work starts n members. Each has a reader of its own; after the end of the crew's ctx it must write only where nobody
// looks any more.
func (c *crew) work(n int, do func(*reader)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range n {
		r := &reader{decoder: picture.NewDecoder(), crew: c}
		c.members = append(c.members, r)
		c.alive, c.busy = c.alive+1, c.busy+1
		go func() {
			do(r)
			r.decoder.Close()
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.alive--; !r.abandoned {
				c.busy--
			}
			c.change.Broadcast()
		}()
	}
	go c.watch()
}

// fail ends the work because the source failed.
func (c *crew) fail(fault *SourceFault) { c.stop(fault) }

// ended tells whether a member is to end: ctx has ended, or err, that of a picture, is the source's, which is the end
// for all.
func (c *crew) ended(err error) bool {
	if err != nil {
		var fault *SourceFault
		if errors.As(err, &fault) {
			c.fail(fault)
		}
	}
	return c.ctx.Err() != nil
}

// err is why the work has ended before it was done: the source's fault, ctx's error, or nil.
func (c *crew) err() error {
	var fault *SourceFault
	if errors.As(context.Cause(c.ctx), &fault) {
		return fault
	}
	return c.ctx.Err()
}

// wait waits until the work is done, or until ctx has ended and nobody is left but those who hang. It returns err.
func (c *crew) wait() error {
	wake := context.AfterFunc(c.ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.change.Broadcast()
	})
	defer wake()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.busy > 0 || c.alive > 0 && c.ctx.Err() == nil {
		c.change.Wait()
	}
	err := c.err()
	c.left = true
	for _, r := range c.members {
		if r.now != nil {
			r.now.end(false)
			r.now, r.abandoned = nil, true
		}
	}
	c.stop(nil)
	return err
}

// enter notes that r goes into a system call; not after the end of ctx.
func (c *crew) enter(r *reader, t *trial) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return false
	}
	r.now, r.looks = t, 0
	c.busy--
	return true
}

// leave notes that r has come back. It tells whether somebody still waits for what it brings.
func (c *crew) leave(r *reader) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return false
	}
	r.now = nil
	c.busy++
	return true
}

// watch looks now and then who does not come back: that is a failure of the source that goes on.
func (c *crew) watch() {
	between := cmp.Or(c.of.look, look)
	ticks := time.NewTicker(between)
	defer ticks.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-ticks.C:
		}
		c.mu.Lock()
		for _, r := range c.members {
			if t := r.now; t != nil && !t.endless {
				if r.looks++; r.looks >= patientLooks && !t.silence(between) {
					c.fail(t.silent())
				}
			}
		}
		c.mu.Unlock()
	}
}

// ask makes a system call that says something about a picture, once. Errors: the call's own, and ctx's once that has
// ended.
func ask[T any](r *reader, name string, call func() (T, error)) (answer T, err error) {
	t := &trial{of: r.crew.of, picture: name, retry: r.crew.of.retry()}
	if !r.crew.enter(r, t) {
		return answer, r.crew.ctx.Err()
	}
	got, err := call()
	if !r.crew.leave(r) {
		return answer, r.crew.ctx.Err()
	}
	t.end(err == nil)
	return got, err
}

// fetch reads file number of a store, again and again where the store fails, as the patience has it. The file is good
// until the next is fetched. Errors: those of Store.Read, and ctx's once that has ended.
func (r *reader) fetch(store Store, number int, name string) ([]byte, error) {
	raw, err := persist(r, name, func() ([]byte, error) { return store.Read(r.crew.ctx, number, r.raw) })
	if err == nil {
		r.raw = raw
	}
	return raw, err
}

// persist makes a system call for a picture again and again where it fails with a *SourceFault, as the patience has it.
// Errors: the call's own, and ctx's once that has ended.
func persist[T any](r *reader, name string, call func() (T, error)) (T, error) {
	t := &trial{of: r.crew.of, picture: name, retry: r.crew.of.retry()}
	return insist(r.crew.ctx, r, t, call)
}

// changed is what happened to a store since it was opened, a *SourceFault; nil where nothing did, or it cannot tell. It
// may take as long as a system call: after the end of ctx the error is ctx's.
func (r *reader) changed(store Store) error {
	c, able := store.(checker)
	if !able {
		return nil
	}
	_, err := ask(r, "", func() (none struct{}, err error) {
		if fault := c.check(); fault != nil {
			err = fault
		}
		return none, err
	})
	return err
}

func (r *reader) enter(t *trial) bool { return r.crew.enter(r, t) }
func (r *reader) leave() bool         { return r.crew.leave(r) }

// passage is how system calls are made known to whoever waits for them.
type passage interface {
	// enter notes that one begins; not after the end of ctx.
	enter(t *trial) bool
	// leave notes that it has come back, and tells whether somebody still waits for what it brings.
	leave() bool
}

// insist makes a system call again and again where it fails with a *SourceFault, as its trial's patience has it.
// Errors: the call's own, which comes with what it gives, and ctx's once that has ended.
func insist[T any](ctx context.Context, by passage, t *trial, call func() (T, error)) (none T, err error) {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		if !by.enter(t) {
			t.end(false)
			return none, ctx.Err()
		}
		got, err := call()
		if !by.leave() {
			return none, ctx.Err()
		}
		if err == nil {
			t.end(true)
			return got, nil
		}
		var fault *SourceFault
		if !errors.As(err, &fault) {
			t.end(ctx.Err() == nil) // the picture's own failure, or ctx has ended
			return got, err
		}
		if fault = t.fault(fault); fault.Changed || t.tried >= t.retry {
			t.end(false)
			return none, fault
		}
		t.begin(fault)
		pause = min(pause, t.retry-t.tried)
		if !sleep(ctx, pause) {
			t.end(false)
			return none, ctx.Err()
		}
		t.tried += pause
	}
}

// stream reads what is there only once, as it is written: a pipe. Whoever writes it may take any time, so that it is
// waited for until ctx ends, and nothing is tried again. The result is good as that of fetch is.
func (r *reader) stream(read func(buf []byte) ([]byte, error)) ([]byte, error) {
	if !r.crew.enter(r, &trial{endless: true}) {
		return nil, r.crew.ctx.Err()
	}
	raw, err := read(r.raw)
	if !r.crew.leave(r) {
		return nil, r.crew.ctx.Err()
	}
	if err == nil {
		r.raw = raw
	}
	return raw, err
}
