package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// campaign runs rows and counts.
type campaign struct {
	options
	rows     []*opened
	commit   string
	progress *progress
	says     io.Writer // what happens, as it happens
	last     io.Writer // the one line at the end
	now      func() time.Time
	started  time.Time

	mu       sync.Mutex
	wake     *sync.Cond
	running  int
	saidTime bool
	err      error // of the campaign itself
}

// opened is a row in a campaign.
type opened struct {
	row
	once sync.Once
	s    *setup
	do   caseFunc
	bad  error // of open
	lost bool  // a case, in this process

	next    int // the first case that nobody has begun
	running int
	cases   int // how many there are, known for certain once it is open
	opened  bool
	results map[int]result
}

// result is what became of a case, a line of the progress file.
type result struct {
	Row     string        `json:"row"`
	Case    int           `json:"case"`
	Of      int           `json:"of"` // the row's number of cases
	Tried   int           `json:"tried"`
	Skipped string        `json:"skipped,omitempty"`
	Lost    string        `json:"lost,omitempty"`
	Took    time.Duration `json:"took"`
}

const wholeRow = -1 // the number of the case that stands for a row that did not open

func newCampaign(o options, table []row) (*campaign, error) {
	c := &campaign{options: o, says: os.Stderr, last: os.Stdout, now: time.Now}
	c.wake = sync.NewCond(&c.mu)
	var err error
	if c.alexnet, err = absolute(o.alexnet); err != nil {
		return nil, err
	}
	if c.build, err = filepath.Abs(o.build); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.build, 0o777); err != nil {
		return nil, err
	}
	c.commit = commitNow()
	for _, r := range table {
		n := r.short
		if o.long {
			n = r.long
		}
		if r.deadline == 0 {
			r.deadline = time.Minute
		}
		c.rows = append(c.rows, &opened{row: r, cases: n, results: map[int]result{}})
	}
	if c.progress, err = openProgress(c); err != nil {
		return nil, err
	}
	for _, r := range c.progress.done {
		for _, own := range c.rows {
			if own.name == r.Row && r.Case != wholeRow { // a row that did not open is tried again
				own.results[r.Case] = r
				own.cases = r.Of
			}
		}
	}
	return c, nil
}

// run carries out what is not done yet.
func (c *campaign) run(ctx context.Context) error {
	c.started = c.now()
	c.estimate()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { // under the lock: whoever is about to wait has seen it or is woken
		c.mu.Lock()
		defer c.mu.Unlock()
		c.wake.Broadcast()
	})
	defer stop()
	var hands sync.WaitGroup
	for range c.jobs {
		hands.Go(func() { c.work(ctx) })
	}
	hands.Wait()
	for _, r := range c.rows {
		c.closeRow(r)
	}
	if err := c.progress.close(); c.err == nil {
		c.err = err
	}
	if c.err != nil {
		return c.err
	}
	if ctx.Err() != nil {
		if c.long {
			return errors.New("interrupted; the same command goes on from here")
		}
		return errors.New("interrupted")
	}
	return nil
}

// work is one hand: it takes cases until none is left.
func (c *campaign) work(ctx context.Context) {
	for {
		r, number, ok := c.take(ctx)
		if !ok {
			return
		}
		c.carryOut(ctx, r, number)
		c.mu.Lock()
		r.running--
		c.running--
		c.wake.Broadcast()
		c.mu.Unlock()
	}
}

// take chooses the next case: of the row that is the least far, so that a campaign that is cut off has tried a part of
// everything.
func (c *campaign) take(ctx context.Context) (*opened, int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if ctx.Err() != nil || c.err != nil {
			return nil, 0, false
		}
		if c.limit > 0 && c.now().Sub(c.started) > c.limit {
			return nil, 0, false
		}
		var best *opened
		for _, r := range c.rows {
			r.passDone(c.number)
			switch {
			case !r.left(c.number):
			case r.running > 0 && (!r.opened || r.running == r.atOnce): // not opened: what it shares is being made
			case best == nil || r.share() < best.share():
				best = r
			}
		}
		switch {
		case best != nil:
			number := best.next
			if c.number >= 0 {
				number = c.number
			}
			best.next = number + 1
			best.running++
			c.running++
			return best, number, true
		case c.running == 0:
			return nil, 0, false
		}
		c.wake.Wait()
	}
}

// passDone moves next past the cases that an earlier campaign has done.
func (r *opened) passDone(only int) {
	for only < 0 && r.next < r.cases {
		if _, done := r.results[r.next]; !done {
			return
		}
		r.next++
	}
}

func (r *opened) left(only int) bool {
	if r.bad != nil {
		return false
	}
	if only >= 0 {
		return r.next <= only
	}
	return r.next < r.cases
}

func (r *opened) share() float64 { return float64(r.next) / float64(max(r.cases, 1)) }

// carryOut opens the row if nobody has, runs the case and keeps its verdict.
func (c *campaign) carryOut(ctx context.Context, r *opened, number int) {
	r.once.Do(func() { c.openRow(ctx, r) })
	if ctx.Err() != nil {
		return
	}
	began := c.now()
	if r.bad != nil {
		c.keep(r, result{Row: r.name, Case: wholeRow}, r.bad)
		return
	}
	if c.number < 0 && number >= r.cases {
		return // open found fewer
	}
	one := &testCase{
		number: number, rand: rand.New(rand.NewPCG(c.seed, hash(r.name, number))),
		dir: filepath.Join(r.s.dir, fmt.Sprintf("case-%d", number)),
	}
	limited, cancel := context.WithTimeout(ctx, r.deadline)
	defer cancel()
	verdict := attempt(limited, r, one)
	if ctx.Err() != nil {
		return // interrupted: not a verdict
	}
	c.keep(r, result{Row: r.name, Case: number, Tried: max(one.as, 1), Took: c.now().Sub(began)}, verdict)
	var s *skipped
	if verdict == nil && !c.keepGood || errors.As(verdict, &s) {
		if err := os.RemoveAll(one.dir); err != nil {
			c.say("faults: %v\n", err)
		}
	}
}

// attempt runs a case; a panic and a case that is deaf to its deadline are losses.
func attempt(ctx context.Context, r *opened, one *testCase) error {
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				ended <- fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		ended <- r.do(ctx, one)
	}()
	select {
	case err := <-ended:
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("not done after %v: %w", r.deadline, err)
		}
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return fmt.Errorf("not done after %v: %w", r.deadline, orCause(err, ctx))
	case <-time.After(10 * time.Second):
		return fmt.Errorf("not done after %v and deaf since", r.deadline)
	}
}

func orCause(err error, ctx context.Context) error {
	if err == nil {
		return context.Cause(ctx)
	}
	return err
}

// openRow makes what the row's cases share.
func (c *campaign) openRow(ctx context.Context, r *opened) {
	s := &setup{alexnet: c.alexnet, seed: c.seed, long: c.long, cases: r.cases}
	dir, err := os.MkdirTemp(c.build, r.name+"-*")
	if err == nil {
		err = os.Chmod(dir, 0o755) // a case may have another user train in it
	}
	s.dir = dir
	var do caseFunc
	if err == nil {
		do, err = r.open(ctx, s)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r.s, r.do, r.bad, r.opened = s, do, err, true
	if c.number < 0 {
		r.cases = s.cases
	}
	c.wake.Broadcast()
}

// closeRow puts away what the row's cases shared; folders of lost cases stay.
func (c *campaign) closeRow(r *opened) {
	if r.s == nil {
		return
	}
	err := r.s.close()
	if !c.keepGood && !r.lost {
		if e := os.RemoveAll(r.s.dir); err == nil {
			err = e
		}
	}
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("%s: %w", r.name, err)
	}
}

// keep writes a verdict down and says what was lost or skipped.
func (c *campaign) keep(r *opened, done result, verdict error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var s *skipped
	switch {
	case errors.As(verdict, &s):
		done.Skipped = s.reason
	case verdict != nil:
		done.Lost = verdict.Error()
		folder := filepath.Join(r.s.dir, fmt.Sprintf("case-%d", done.Case))
		if done.Case == wholeRow {
			folder = r.s.dir
		}
		c.say("lost: %s: %s\n  again: %s\n  kept:  %s\n", label(done), strings.TrimSpace(done.Lost), c.again(done),
			folder)
	}
	if done.Skipped != "" && !slices.Contains(r.tally(c.number).reasons, done.Skipped) { // many cases share a reason
		c.say("skipped: %s: %s\n  again: %s\n", label(done), done.Skipped, c.again(done))
	}
	r.lost = r.lost || done.Lost != ""
	done.Of = r.cases
	r.results[done.Case] = done
	if err := c.progress.add(done); err != nil && c.err == nil {
		c.err = err
	}
	c.sayTime()
}

// say tells people what happens. If nobody listens, the campaign goes on.
func (c *campaign) say(format string, args ...any) { _, _ = fmt.Fprintf(c.says, format, args...) }

// again is the command that repeats a case alone.
func (c *campaign) again(done result) string {
	line := "go run ./test/faults -row " + done.Row
	if done.Case != wholeRow {
		line += fmt.Sprint(" -case ", done.Case)
	}
	return line + fmt.Sprint(" -seed ", c.seed)
}

func label(r result) string {
	if r.Case == wholeRow {
		return r.Row
	}
	return fmt.Sprint(r.Row, " case ", r.Case)
}

// hash makes a case's part of its seed.
func hash(name string, number int) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, name, " ", number) // a hash takes everything
	return h.Sum64()
}
