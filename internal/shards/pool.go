package shards

import (
	"errors"
	"sync"

	"alexnet/internal/files"
)

// Pool keeps some of many files open, those that were used last. Goroutines may share it.
type Pool struct {
	open func(i int) (files.File, error)
	most int

	mu     sync.Mutex
	room   sync.Cond // something may be closed
	files  map[int]*pooled
	clock  uint64
	closed bool
}

// pooled is an open file.
type pooled struct {
	f      files.File
	users  int
	used   uint64 // when, by Pool.clock
	broken bool   // not to be used again
}

// NewPool makes a pool of files that open opens by their numbers. Of what the process may have open it takes a quarter.
func NewPool(open func(i int) (files.File, error)) *Pool {
	p := &Pool{open: open, most: min(max(files.Descriptors()/4, 4), 512), files: map[int]*pooled{}}
	p.room.L = &p.mu
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
	p.mu.Lock()
	defer p.mu.Unlock()
	f.users--
	f.broken = f.broken || err != nil
	if f.users == 0 && (f.broken || p.closed) {
		if p.files[i] == f {
			delete(p.files, i)
		}
		err = errors.Join(err, f.f.Close())
	}
	p.room.Signal()
	return err
}

// take gives file i with one user more.
func (p *Pool) take(i int) (*pooled, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if p.closed {
			return nil, errPoolClosed
		}
		p.clock++
		if f := p.files[i]; f != nil && !f.broken {
			f.users++
			f.used = p.clock
			return f, nil
		} else if f != nil { // its last user closes it
			delete(p.files, i)
		}
		if len(p.files) < p.most {
			break
		}
		if oldest := p.idle(); oldest < 0 {
			p.room.Wait()
		} else if err := p.drop(oldest); err != nil {
			return nil, err
		}
	}
	f, err := p.open(i) // under the lock: two must not open one file
	if err != nil {
		return nil, err
	}
	p.files[i] = &pooled{f: f, users: 1, used: p.clock}
	return p.files[i], nil
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

func (p *Pool) drop(i int) error {
	f := p.files[i]
	delete(p.files, i)
	return f.f.Close()
}

// Close closes all files that nobody uses; the others are closed by their last user. Nothing can be used afterwards.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var failed []error
	for i, f := range p.files {
		if f.users == 0 {
			failed = append(failed, p.drop(i))
		}
	}
	p.room.Broadcast()
	return errors.Join(failed...)
}
