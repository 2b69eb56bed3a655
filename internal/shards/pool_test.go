package shards

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"alexnet/internal/files"
)

// desk opens files and counts them.
type desk struct {
	mu     sync.Mutex
	now    int  // handles
	most   int  // the most handles at once
	opened int  // openings
	twice  bool // one file was being opened twice at once
	under  map[int]bool
	before func(i int) error // of each opening; or nil
}

// sheet is a file of a desk.
type sheet struct {
	files.File
	d *desk
}

func (s sheet) Close() error {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.d.now--
	return nil
}

func newDesk(most int) (*desk, *Pool) {
	d := &desk{under: map[int]bool{}}
	p := NewPool(d.get)
	p.most = most
	return d, p
}

func (d *desk) get(i int) (files.File, error) {
	d.mu.Lock()
	d.now++
	d.most = max(d.most, d.now)
	d.opened++
	d.twice = d.twice || d.under[i]
	d.under[i] = true
	d.mu.Unlock()
	var err error
	if d.before != nil {
		err = d.before(i)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.under[i] = false
	if err != nil {
		d.now--
		return nil, err
	}
	return sheet{d: d}, nil
}

func nothing(files.File) error { return nil }

// TestPool: no more files are open than may be, whoever asks for them and whatever fails, and none is opened by two at
// once.
func TestPool(t *testing.T) {
	d, p := newDesk(4)
	refused, broken := errors.New("refused"), errors.New("broken")
	var n int
	d.before = func(int) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if n++; n%13 == 0 {
			return refused
		}
		return nil
	}
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for n := range 50 {
				err := p.Use((g*7+n)%20, func(files.File) error {
					if n%10 == 3 {
						return broken
					}
					return nil
				})
				if err != nil && !errors.Is(err, broken) && !errors.Is(err, refused) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if d.most > 4 || d.twice || d.opened < 20 {
		t.Errorf("%d files were open at once, one twice: %t, %d openings", d.most, d.twice, d.opened)
	}
	if err := p.Close(); err != nil || d.now != 0 {
		t.Errorf("%d files are still open (%v)", d.now, err)
	}
	if err := p.Use(0, nil); err == nil {
		t.Error("a closed pool was used")
	}
}

// TestPoolOpensOnce: who wants a file that is being opened waits for that, and gets its error too.
func TestPoolOpensOnce(t *testing.T) {
	for _, fails := range []error{nil, errors.New("no network")} {
		synctest.Test(t, func(t *testing.T) {
			d, p := newDesk(4)
			gate := make(chan struct{})
			d.before = func(int) error {
				<-gate
				return fails
			}
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					if err := p.Use(0, nothing); !errors.Is(err, fails) {
						t.Errorf("got %v, want %v", err, fails)
					}
				})
			}
			synctest.Wait()
			close(gate)
			all.Wait()
			if d.opened != 1 || p.count != d.now {
				t.Errorf("%d openings, %d files open, %d counted", d.opened, d.now, p.count)
			}
		})
	}
}

// TestPoolWhileOneHangs: a file that takes its time to be opened is in nobody's way but its own users'.
func TestPoolWhileOneHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, p := newDesk(4)
		gate := make(chan struct{})
		d.before = func(i int) error {
			if i == 0 {
				<-gate
			}
			return nil
		}
		var all sync.WaitGroup
		all.Go(func() {
			if err := p.Use(0, nothing); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if !p.mu.TryLock() {
			t.Fatal("the pool is locked meanwhile") // and what follows would hang
		}
		p.mu.Unlock()
		for i := range 20 {
			if err := p.Use(1+i, nothing); err != nil {
				t.Error(err)
			}
		}
		if err := p.Close(); err != nil || d.now != 1 {
			t.Errorf("%d files are still open (%v)", d.now, err)
		}
		close(gate)
		all.Wait()
		if d.now != 0 {
			t.Errorf("what was being opened when the pool was closed stays open")
		}
	})
}

// TestPoolAfterFailure: whoever waits for room gets it when an opening fails, and when a file that broke is closed.
func TestPoolAfterFailure(t *testing.T) {
	broken := errors.New("broken")
	for _, opens := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d, p := newDesk(1)
			gate := make(chan struct{})
			d.before = func(i int) error {
				if i != 0 || opens {
					return nil
				}
				<-gate
				return broken
			}
			var all sync.WaitGroup
			all.Go(func() {
				err := p.Use(0, func(files.File) error {
					<-gate
					return broken
				})
				if !errors.Is(err, broken) {
					t.Error(err)
				}
			})
			synctest.Wait()
			for i := range 3 { // some for one file, some for others
				all.Go(func() {
					if err := p.Use(1+i/2, nothing); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
			if d.now != 1 {
				t.Errorf("%d files are open", d.now)
			}
			close(gate)
			all.Wait() // a deadlock where nobody is woken
			if d.most != 1 || p.count != d.now {
				t.Errorf("at most %d files were open; %d are, %d counted", d.most, d.now, p.count)
			}
		})
	}
}

// TestPoolBroken: a file that broke is opened anew for the next user, while another still has it; both count.
func TestPoolBroken(t *testing.T) {
	d, p := newDesk(2)
	broken := errors.New("broken")
	err := p.Use(0, func(files.File) error {
		if err := p.Use(0, func(files.File) error { return broken }); !errors.Is(err, broken) {
			t.Error(err)
		}
		return p.Use(0, func(files.File) error {
			if d.now != 2 || p.count != 2 {
				t.Errorf("%d open, %d counted", d.now, p.count)
			}
			return nil
		})
	})
	if err != nil || d.now != 1 || d.opened != 2 || p.count != 1 {
		t.Errorf("%d open, %d openings, %d counted (%v)", d.now, d.opened, p.count, err)
	}
}
