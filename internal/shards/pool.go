package shards

import (
	"errors"
	"sync"

	"alexnet/internal/files"
)

// Pool keeps some of many files open, those that were used last. Goroutines may share it. Files are opened and closed
// without holding up those that use others: in a store, that may take as long as its network does.
type Pool struct {
	open func(i int) (files.File, error)
	most int

	mu     sync.Mutex
	freed  sync.Cond       // a file was given back or closed
	files  map[int]*pooled // that the next user may have
	count  int             // files that are open, in the map or not, or being opened or closed
	clock  uint64
	closed bool
}

// pooled is an open file, or one that is being opened. One that is no longer in the map is closed by its last user.
type pooled struct {
	f      files.File
	err    error         // of opening it
	opened chan struct{} // closed when f and err are set
	users  int           // those that wait for it to be opened among them
	used   uint64        // when, by Pool.clock
}

// NewPool makes a pool of files that open opens by their numbers. Of what the process may have open it takes a quarter.
func NewPool(open func(i int) (files.File, error)) *Pool {
	p := &Pool{open: open, most: min(max(files.Descriptors()/4, 4), 512), files: map[int]*pooled{}}
	p.freed.L = &p.mu
	return p
}

var errPoolClosed = errors.New("the set is closed")

// Use calls do with file i, open. An error of opening it, of do, or of closing another file is returned; where do
// failed with one the file is opened anew the next time.
func (p *Pool) Use(i int, do func(files.File) error) error {
	f, err := p.take(i)
	if err != nil {
		return err
	}
	err = do(f.f)
	if e := p.give(i, f, err != nil); e != nil {
		err = errors.Join(err, e)
	}
	return err
}

// take gives file i with one user more.
func (p *Pool) take(i int) (*pooled, error) {
	f, before, isNew, err := p.enter(i)
	switch {
	case err != nil:
		return nil, err
	case !isNew:
		<-f.opened
		return f, f.err
	}
	if before != nil {
		f.err = before.f.Close()
	}
	if f.err == nil {
		f.f, f.err = p.open(i)
	}
	if f.err != nil {
		p.mu.Lock()
		p.forget(i, f)
		p.gone()
		p.mu.Unlock()
	}
	close(f.opened)
	return f, f.err
}

// enter finds file i, with one user more, or enters it to be opened, and waits until it may be. before is to be closed
// first, if any: its place is taken.
func (p *Pool) enter(i int) (f, before *pooled, isNew bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if p.closed {
			return nil, nil, false, errPoolClosed
		}
		p.clock++
		if f := p.files[i]; f != nil {
			f.users++
			f.used = p.clock
			return f, nil, false, nil
		}
		oldest := -1
		if p.count < p.most {
			p.count++
		} else if oldest = p.idle(); oldest < 0 {
			p.freed.Wait()
			continue
		}
		before = p.files[oldest]
		delete(p.files, oldest)
		f = &pooled{users: 1, used: p.clock, opened: make(chan struct{})}
		p.files[i] = f
		return f, before, true, nil
	}
}

// idle is the file that nobody uses and that was used longest ago, or -1.
func (p *Pool) idle() int {
	oldest := -1
	for i, f := range p.files {
		if f.users == 0 && (oldest < 0 || f.used < p.files[oldest].used) {
			oldest = i
		}
	}
	return oldest
}

// give takes back what take gave. The last user of a file that nobody may have any more closes it.
func (p *Pool) give(i int, f *pooled, failed bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if failed {
		p.forget(i, f)
	}
	if f.users--; f.users > 0 || p.files[i] == f {
		p.freed.Broadcast()
		return nil
	}
	p.mu.Unlock()
	err := f.f.Close()
	p.mu.Lock()
	p.gone()
	return err
}

// forget keeps f from whoever asks for file i next.
func (p *Pool) forget(i int, f *pooled) {
	if p.files[i] == f { // it may be another by now
		delete(p.files, i)
	}
}

// gone counts a file that is no longer open. Everybody who waits looks again: not each waits for the same.
func (p *Pool) gone() {
	p.count--
	p.freed.Broadcast()
}

// Close closes all files that nobody uses; the others are closed by their last user. Nothing can be used afterwards.
func (p *Pool) Close() error {
	p.mu.Lock()
	all := p.files
	p.files, p.closed = map[int]*pooled{}, true
	for i, f := range all {
		if f.users > 0 {
			delete(all, i)
		}
	}
	p.freed.Broadcast()
	p.mu.Unlock()
	var failed []error
	for _, f := range all {
		failed = append(failed, f.f.Close())
	}
	return errors.Join(failed...)
}
