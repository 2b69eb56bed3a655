package data

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/files"
	"alexnet/internal/recipe"
)

// faulty is the disk with failures: of calls with this name for files whose name holds at.
type faulty struct {
	files.Reader
	call, at string
	err      error
}

func (f *faulty) fails(call, name string) error {
	if f.call == call && strings.Contains(filepath.ToSlash(name), f.at) {
		return &fs.PathError{Op: call, Path: name, Err: f.err}
	}
	return nil
}

func (f *faulty) Open(name string) (files.File, error) {
	if err := f.fails("open", name); err != nil {
		return nil, err
	}
	file, err := f.Reader.Open(name)
	return faultyFile{file, f}, err
}

func (f *faulty) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.fails("readdir", name); err != nil {
		return nil, err
	}
	return f.Reader.ReadDir(name)
}

type faultyFile struct {
	files.File
	disk *faulty
}

func (f faultyFile) Stat() (fs.FileInfo, error) {
	if err := f.disk.fails("stat", f.Name()); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

func (f faultyFile) ReadAt(b []byte, off int64) (int, error) {
	if err := f.disk.fails("read", f.Name()); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, off)
}

// TestWhoseFault: a store says whether a picture cannot be read or the source fails, by the system's own numbers.
func TestWhoseFault(t *testing.T) {
	one := pngOf(t, 6, 5, 1)
	dir := folder(t, map[string][]byte{"a/1.png": one, "b/1.png": one})
	tarred := write(t, "x.tar", tarOf(t, []tarFile{{name: "a/1.png", raw: one}, {name: "b/1.png", raw: one}}))
	for _, c := range []struct {
		name, path, call string
		err              error
		source           bool
	}{
		{"gone", dir, "open", syscall.ENOENT, false},
		{"not allowed", dir, "open", syscall.EACCES, false},
		{"links in a circle", dir, "open", syscall.ELOOP, false},
		{"too many open files", dir, "open", syscall.EMFILE, true},
		{"too many on the machine", dir, "open", syscall.ENFILE, true},
		{"a stale handle", dir, "open", syscall.ESTALE, true},
		{"a stale handle met late", dir, "stat", syscall.ESTALE, true},
		{"a bad disk", dir, "read", syscall.EIO, true},
		{"a server that does not answer", dir, "read", syscall.ETIMEDOUT, true},
		{"a bad disk below a tar", tarred, "read", syscall.EIO, true},
		{"a tar that got shorter", tarred, "read", io.EOF, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := &faulty{Reader: files.OS, at: "a/1.png", err: c.err}
			if c.path == tarred {
				disk.at = "x.tar"
			}
			src, err := Open(t.Context(), disk, At(c.path), 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			disk.call = c.call
			_, err = src.Train.Read(t.Context(), 0, nil)
			var bad *BadPicture
			var fault *SourceFault
			if errors.As(err, &fault) != c.source || errors.As(err, &bad) == c.source {
				t.Errorf("error %v (%T): the source's: %t, want %t", err, err, fault != nil, c.source)
			}
			if !errors.Is(c.err, io.EOF) && !errors.Is(err, c.err) {
				t.Errorf("error %v does not lead to %v", err, c.err)
			}
			if bad != nil && bad.Name != "a/1.png" || fault != nil && fault.Path != c.path {
				t.Errorf("error %v is of %+v, %+v", err, bad, fault)
			}
			disk.call = ""
			if raw, err := src.Train.Read(t.Context(), 0, nil); err != nil || len(raw) != len(one) {
				t.Errorf("after the failure: %d bytes, %v", len(raw), err)
			}
		})
	}
}

// waiting is a store whose reads wait for the end of ctx.
type waiting struct{ reads atomic.Int32 }

func (w *waiting) Read(ctx context.Context, _ int, _ []byte) ([]byte, error) {
	w.reads.Add(1)
	<-ctx.Done()
	return nil, errors.New("cut off by ctx")
}

func (*waiting) Close() error { return nil }

// TestReadsEnd: whoever waits for a slow store is let go, and the pictures are not blamed.
func TestReadsEnd(t *testing.T) {
	store := &waiting{}
	src := New(Contents{Classes: []string{"a"}, Train: []Record{{Name: "a/1.png"}}}, store, 0, 0)
	l := newLoader(t, src.Train, LoaderOptions{Batch: 1, Recipe: cropped(5)})
	l.Seek(0)
	for store.reads.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	by := recipe.Recipe{Resize: 8, Channels: 3}
	_, err := Measure(ctx, src.Train, by, MeasureOptions{
		Workers: 1, OnBad: func(b *BadPicture) { t.Errorf("told of %v", b) },
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("statistics: error %v", err)
	}
	if _, _, err := src.Train.PictureSize(ctx, &recipe.Recipe{Channels: 3}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("size: error %v", err)
	}
	if bad := src.Train.Bad(); len(bad) != 0 {
		t.Errorf("pictures found bad: %v", bad)
	}
}

// hanging is a disk one of whose folders cannot be listed before it is released.
type hanging struct {
	files.Reader
	met, release chan struct{}
}

func (h *hanging) ReadDir(name string) ([]fs.DirEntry, error) {
	if filepath.Base(name) == "b" {
		close(h.met)
		<-h.release
	}
	return h.Reader.ReadDir(name)
}

// TestOpenStops: Ctrl-C ends the listing of a folder, even in the middle of a system call.
func TestOpenStops(t *testing.T) {
	dir := folder(t, map[string][]byte{"a/1.png": anyFile, "b/1.png": anyFile})
	tarred := write(t, "x.tar", tarOf(t, []tarFile{{name: "a/1.png", raw: anyFile}}))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{dir, tarred} {
		for name, open := range map[string]func() (*Source, error){
			"promptly": func() (*Source, error) { return Open(ended, files.OS, At(path), 0, 1) },
			"at the system's pace": func() (*Source, error) {
				return openPlace(ended, files.OS, At(path), 0, 1, false)
			},
		} {
			if _, err := open(); !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoData) {
				t.Errorf("%s, %s: error %v", path, name, err)
			}
		}
	}
	disk := &hanging{files.OS, make(chan struct{}), make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		<-disk.met
		stop()
	}()
	if _, err := Open(ctx, disk, At(dir), 0, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(disk.release) // TestMain sees that what was left behind ends
}

// TestLabelsOfTheSource: labels, parts and classes are those that the records come with, whatever their names look
// like.
func TestLabelsOfTheSource(t *testing.T) {
	store := Memory{pngOf(t, 6, 5, 9), pngOf(t, 6, 5, 7), pngOf(t, 6, 5, 8)}
	src := New(Contents{
		Path: "shards", Kind: Folder, Classes: []string{"zebra", "ant"},
		Train: []Record{{Name: "val/zebra/9.png", Label: 1, Number: 0}, {Name: "7", Label: 0, Number: 1}},
		Val:   []Record{{Name: "8", Label: 1, Number: 2}},
	}, store, .5, 1)
	if src.Split || src.Val.Len() != 1 || src.Val.Label(0) != 1 {
		t.Errorf("%+v", src)
	}
	rows := take(t, newLoader(t, src.Train, LoaderOptions{Batch: 2, Recipe: cropped(5)}))
	if len(rows) != 2 || rows[0].Value != 7 || rows[0].Label != 0 || rows[1].Value != 9 || rows[1].Label != 1 {
		t.Errorf("rows %+v", rows)
	}
	if src.Train.Name(1) != "val/zebra/9.png" {
		t.Errorf("name %q", src.Train.Name(1))
	}
}
