// The command faults is the campaign of faults: it does to runs, checkpoints and pictures what clusters and strangers
// do to them, counts what was tried and what survived, and writes the table of docs/reliability.md.
//
//	go run ./test/faults                           every row in its short form
//	go run ./test/faults -long                     many more cases; cut off, it goes on where it was
//	go run ./test/faults -row kills -case 17       one case; -seed as the campaign had it
//
// # A row
//
// A row of the table is one kind of fault: a [row] in [rows], which joins the lists of the files that hold them
// (process.go: what is done to whole processes; inprocess.go: what is done below one). Its cases are numbered from 0,
// and case i is the same case in the short and in the long form, on every machine: all that is random in it comes from
// testCase.rand, which is seeded by the campaign's seed, the row and the number.
//
// open is called once, before the row's first case, and makes what the cases share (a data set, a mounted file system)
// in setup.dir. It returns the function that carries out one case. That function's error is the verdict:
//
//	nil             survived
//	skip(reason)    it could not be tried here (needs root, needs mkfs.xfs); so may open say of the whole row
//	anything else   lost: said at once with the command that repeats it, and its folder is kept
//
// An error of open, other than a skip, loses the row as a whole. A panic of a case in its own goroutine is a loss too.
// Cases of one row run beside each other and beside other rows unless the row says so (atOnce). A case watches its
// context: it ends when the campaign is interrupted and at the row's deadline.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A row is one kind of fault.
type row struct {
	name  string // one word or two joined by a hyphen: in -row, in folders, in the last line
	fault string // for the table: what is done
	how   string // for the table: how it is done and what counts as survived

	// short and long are the numbers of cases in the two forms. A row whose number follows from what it finds (every
	// system call of a save) has 1 here and sets setup.cases in open.
	short, long int

	deadline time.Duration // of one case; 0: a minute
	atOnce   int           // so many of its cases at once; 0: as many as the campaign has hands

	open func(ctx context.Context, s *setup) (caseFunc, error)
}

// A caseFunc carries out one case.
type caseFunc func(ctx context.Context, c *testCase) error

// setup is what a row is opened with.
type setup struct {
	alexnet string // the program, an absolute path
	seed    uint64
	long    bool
	cases   int    // the row's number of cases in this form; open may change it
	dir     string // the row's folder, absolute, empty; removed at the end unless cases were lost

	mu      sync.Mutex
	closers []func() error
}

// onClose has f called after the row's last case, the last one first, also when open failed or the campaign is
// interrupted.
func (s *setup) onClose(f func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, f)
}

func (s *setup) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []error
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		all = append(all, s.closers[last]())
		s.closers = s.closers[:last]
	}
	return errors.Join(all...)
}

// testCase is one case of a row.
type testCase struct {
	number int
	rand   *rand.Rand // the case's own: seeded by campaign, row and number

	dir string // the case's folder; made by folder
	as  int    // how many things it tried, as counted by counts; 0: it is one
}

// folder makes the case's own folder and returns its absolute path. It is removed after the case unless that was lost.
func (c *testCase) folder() (string, error) { return c.dir, os.MkdirAll(c.dir, 0o777) }

// note keeps a file in the case's folder for whoever looks into a loss: the mutated picture, the program's output.
func (c *testCase) note(name string, content []byte) error {
	dir, err := c.folder()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), content, 0o666)
}

// counts says that the case stands for n things tried (fuzz runs), where that is not 1.
func (c *testCase) counts(n int) { c.as = n }

// skipped is the verdict of a case that could not be tried.
type skipped struct{ reason string }

func (s *skipped) Error() string { return "skipped: " + s.reason }

// skip is the verdict that something could not be tried here, and why: what would have to be there.
func skip(format string, args ...any) error { return &skipped{fmt.Sprintf(format, args...)} }

// rows is the table, in its order. Each list stands in the file that holds its rows.
func rows() []row { return append(processRows(), inProcessRows()...) }
