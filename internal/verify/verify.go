// Package verify tells whether what this program keeps in files is what was written: checkpoints and other weights
// tensor by tensor, metrics line by line, event files record by record, pages, pictures of curves, arrays, indexes of
// pictures; and a run as a whole, where one file vouches for another.
//
// It only reads, takes no lock, and is right beside a program that is writing: what may be unfinished then is a remark.
// Memory does not grow with the files, apart from some bytes a line of metrics. What each kind of file has to find
// damage by stands in docs/reliability.md.
//
// It joins the packages of the formats and knows no device and no training loop.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"alexnet/internal/files"
	"alexnet/internal/text"
)

// Status is what was found of a file or a part of it.
type Status string

// The statuses, from good to bad.
const (
	Sound   Status = "sound"
	Remark  Status = "remark"  // worth knowing, and nothing is lost: what a killed writer left, a lack of checksums
	Damaged Status = "damaged" // not what was written, or not there
)

// Finding is one thing found.
type Finding struct {
	File   text.Raw `json:"file"`
	Part   string   `json:"part,omitempty"` // "tensor conv1.weight", "line 7", "record 12"; empty: the file as a whole
	Status Status   `json:"status"`
	Text   string   `json:"text"` // what was checked, or what is wrong
}

func (f Finding) String() string {
	if f.Part == "" {
		return string(f.File) + ": " + f.Text
	}
	return string(f.File) + ": " + f.Part + ": " + f.Text
}

// IsDamaged tells whether anything is.
func IsDamaged(all []Finding) bool {
	return slices.ContainsFunc(all, func(f Finding) bool { return f.Status == Damaged })
}

// Progress is told how far the reading of a file is, in bytes; nil: nobody is.
type Progress func(file string, done, all int64)

// File verifies one file, of the kind that its name or its content says. The findings begin with one of the file as a
// whole where it is sound. An error says that nothing could be found out: there is no such file, or ctx has ended.
// Whatever else keeps the file from being read is a finding.
func File(ctx context.Context, fsys files.Reader, path string, progress Progress) ([]Finding, error) {
	c := &checker{ctx: ctx, fsys: fsys, progress: progress}
	if _, err := fsys.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	err := c.file(path, nil)
	return c.found, err
}

// checker gathers findings.
type checker struct {
	ctx      context.Context //nolint:containedctx // one call's
	fsys     files.Reader
	progress Progress
	found    []Finding
	path     string // of the file at hand
	told     int    // findings of it that are damage
}

// most is how many damaged parts of a file are named.
const most = 50

func (c *checker) add(part string, status Status, format string, args ...any) {
	if status == Damaged {
		if c.told++; c.told > most {
			return
		}
	}
	c.found = append(c.found, Finding{text.Raw(c.path), part, status, text.Escape(fmt.Sprintf(format, args...))})
}

func (c *checker) damaged(part, format string, args ...any) { c.add(part, Damaged, format, args...) }

// sound says so of the file as a whole, unless something was found damaged in it.
func (c *checker) sound(format string, args ...any) {
	if c.told == 0 {
		c.add("", Sound, format, args...)
	}
}

// opened is a file that is read from its beginning to its end.
type opened struct {
	io.Reader
	file files.File
	size int64
}

// kind is a kind of file: how it is known, and what verifies it. check says what it finds; its error is one of reading.
type kind struct {
	name  string
	named func(base string) bool
	begun func(head []byte) bool // by its first bytes
	check func(c *checker, f *opened, into *facts) error
}

// kindOf knows a file by its name, else by its beginning; nil: neither says.
func kindOf(base string, head []byte) *kind {
	for _, by := range []func(k *kind) bool{
		func(k *kind) bool { return k.named(base) },
		func(k *kind) bool { return k.begun(head) },
	} {
		for i := range kinds {
			if by(&kinds[i]) {
				return &kinds[i]
			}
		}
	}
	return nil
}

// file verifies a file. What it learns goes to into, if that is not nil.
func (c *checker) file(path string, into *facts) error {
	if into == nil {
		into = &facts{}
	}
	c.path, c.told = path, 0
	err := c.read(path, into)
	if ended := context.Cause(c.ctx); ended != nil {
		return ended
	}
	if err != nil {
		c.damaged("", "it cannot be read: %v", err)
	}
	if more := c.told - most; more > 0 {
		c.told = 0
		c.damaged("", "%d more parts are damaged", more)
	}
	return nil
}

func (c *checker) read(path string, into *facts) error {
	info, err := c.fsys.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // opening a FIFO would wait for its writer
		return errors.New("it is not a regular file")
	}
	f, err := c.fsys.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	head := make([]byte, 64)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if files.IsPointer(head[:n]) {
		c.damaged("", "it %v", files.ErrPointer)
		return nil
	}
	k := kindOf(filepath.Base(path), head[:n])
	if k == nil {
		c.damaged("", "it is not a kind of file that this program keeps, by its name or by its beginning")
		return nil
	}
	return k.check(c, &opened{&reading{c: c, r: f, size: info.Size()}, f, info.Size()}, into)
}

// reading reads until the context ends, and tells how far it is.
type reading struct {
	c    *checker
	r    io.Reader
	done int64
	size int64
}

func (r *reading) Read(p []byte) (int, error) {
	if err := context.Cause(r.c.ctx); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	r.done += int64(n)
	r.c.tell(r.done, r.size)
	return n, err
}

func (c *checker) tell(done, all int64) {
	if c.progress != nil {
		c.progress(c.path, done, all)
	}
}
