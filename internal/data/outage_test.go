package data

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/recipe"
)

// shared is six pictures, grey of value 1 to 6, in two classes.
func shared(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for i := range 6 {
		all[fmt.Sprintf("%c/%d.png", 'a'+i/3, i+1)] = pngOf(t, 6, 5, uint8(i+1))
	}
	return all
}

// through opens pictures through a file system that can fail.
func through(t *testing.T, path string) (*Source, *filestest.FS) {
	t.Helper()
	return openFailing(t, path, Open)
}

// openFailing opens pictures, in either way, through a file system that can fail.
func openFailing(
	t *testing.T, path string, open func(context.Context, files.Reader, Place, float64, uint64) (*Source, error),
) (*Source, *filestest.FS) {
	t.Helper()
	disk := filestest.New(files.OS)
	src, err := open(t.Context(), disk, At(path), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src, disk
}

// told collects outages, and does something about each when it is told of it.
type told struct {
	mu  sync.Mutex
	all []Outage
	do  func(Outage)
}

func (x *told) tell(o Outage) {
	x.mu.Lock()
	x.all = append(x.all, o)
	x.mu.Unlock()
	if x.do != nil {
		x.do(o)
	}
}

// values are the pictures of a batch of pictures of one value.
func values(t *testing.T, l *Loader) (all []uint8) {
	t.Helper()
	for _, r := range take(t, l) {
		all = append(all, r.Value)
	}
	return all
}

// TestOutageEnds: what a source fails with for a while is waited for, whatever it is, and changes nothing.
func TestOutageEnds(t *testing.T) {
	for _, c := range []struct {
		op  string
		err syscall.Errno
	}{
		{"open", syscall.EMFILE},
		{"open", syscall.ENFILE},
		{"open", syscall.ENOMEM},
		{"stat", syscall.ESTALE},
		{"fstat", syscall.ESTALE},
		{"readat", syscall.EIO},
		{"readat", syscall.ETIMEDOUT},
		{"stat", syscall.EHOSTDOWN},
		{"stat", syscall.ENOENT},  // of pictures and of their folders
		{"stat", syscall.ENOTDIR}, // likewise
	} {
		t.Run(fmt.Sprint(c.op, " ", c.err), func(t *testing.T) {
			t.Parallel()
			src, disk := through(t, folder(t, shared(t)))
			x := told{do: func(o Outage) {
				if !o.Over {
					disk.Mend()
				}
			}}
			src.SetPatience(Patience{time.Minute, x.tell})
			disk.Break(c.err, func(call filestest.Call) bool { return call.Op == c.op })
			l := newLoader(t, src.Train, LoaderOptions{Batch: 6, Recipe: cropped(5)})
			if got := values(t, l); !slices.Equal(got, []uint8{1, 2, 3, 4, 5, 6}) {
				t.Errorf("pictures %v", got)
			}
			l.Close()
			if bad := src.Train.Bad(); len(bad) > 0 {
				t.Errorf("pictures blamed: %v", bad)
			}
			if len(x.all)%2 != 0 || len(x.all) == 0 {
				t.Fatalf("told of %v", x.all)
			}
			begin, end := x.all[0], x.all[1]
			if begin.Over || !end.Over || end.Lasted < firstPause || !errors.Is(begin.Fault, c.err) ||
				begin.Retry != time.Minute || begin.Fault.Picture == "" {
				t.Errorf("told of %v", x.all)
			}
			if !strings.Contains(begin.String(), "trying again for up to 1m") ||
				!strings.Contains(end.String(), "can be read again after") {
				t.Errorf("told in the words %q, %q", begin, end)
			}
		})
	}
}

// TestOutageStays: after as much patience as there is everybody ends with the source's failure, and no picture is
// blamed.
func TestOutageStays(t *testing.T) {
	const patience = 250 * time.Millisecond
	dir := folder(t, shared(t))
	ways := map[string]func(*Source, *filestest.FS) error{
		"loader": func(src *Source, _ *filestest.FS) error {
			l := newLoader(t, src.Train, LoaderOptions{Batch: 6, Recipe: cropped(5), Workers: 3})
			defer l.Close()
			_, err := l.Next()
			if _, again := l.Next(); !errors.Is(again, err) {
				t.Errorf("the next call: %v", again)
			}
			return err
		},
		"statistics": func(src *Source, _ *filestest.FS) error {
			_, err := Measure(t.Context(), src.Train, recipe.Recipe{Resize: 8, Channels: 3}, MeasureOptions{
				Workers: 3, OnBad: func(b *BadPicture) { t.Errorf("told of %v", b) },
			})
			return err
		},
		"size": func(src *Source, _ *filestest.FS) error {
			_, _, err := src.Train.PictureSize(t.Context(), &recipe.Recipe{Channels: 3})
			return err
		},
		"inspection": func(src *Source, _ *filestest.FS) error {
			_, err := Inspect(t.Context(), src, InspectOptions{Workers: 3})
			return err
		},
		"files": func(src *Source, disk *filestest.FS) error {
			var last error
			n := 0
			by := recipe.Recipe{Height: 5, Width: 6, Channels: 3}
			for _, err := range decodeFiles(t.Context(), disk, []string{
				filepath.Join(dir, "a/1.png"), filepath.Join(dir, "a/2.png"),
			}, &by, 1, src.outages.patience) {
				last, n = err, n+1
			}
			if n != 1 {
				t.Errorf("%d pictures or errors", n)
			}
			return last
		},
	}
	for name, way := range ways {
		for _, c := range []struct{ op, err any }{{"readat", syscall.EIO}, {"open", syscall.EMFILE}} {
			src, disk := through(t, dir)
			var x told
			src.SetPatience(Patience{patience, x.tell})
			disk.Break(c.err.(error), func(call filestest.Call) bool { return call.Op == c.op })
			start := time.Now()
			err := way(src, disk)
			var fault *SourceFault
			if !errors.As(err, &fault) || fault.Tried != patience || !errors.Is(err, c.err.(error)) ||
				!strings.Contains(err.Error(), "tried for 250ms") {
				t.Errorf("%s, %v: error %v", name, c.err, err)
			}
			if d := time.Since(start); d < patience {
				t.Errorf("%s: ended after %v", name, d)
			}
			if bad := src.Train.Bad(); len(bad) > 0 || len(x.all) != 1 || x.all[0].Over {
				t.Errorf("%s: pictures blamed: %v; told of %v", name, bad, x.all)
			}
		}
	}
}

// TestNoPatience: where there is none, the first failure ends it and nothing is told.
func TestNoPatience(t *testing.T) {
	src, disk := through(t, folder(t, shared(t)))
	var x told
	src.SetPatience(Patience{0, x.tell})
	disk.Fail("readat", 0, syscall.EIO)
	_, err := newLoader(t, src.Train, LoaderOptions{Batch: 6, Recipe: cropped(5)}).Next()
	if fault := (*SourceFault)(nil); !errors.As(err, &fault) || fault.Tried != 0 || len(x.all) != 0 {
		t.Errorf("error %v, told of %v", err, x.all)
	}
}

// TestSignalsCutNothing: a call that a signal cut off is made again at once.
func TestSignalsCutNothing(t *testing.T) {
	for _, op := range []string{"stat", "open", "fstat", "readat"} {
		src, disk := through(t, folder(t, shared(t)))
		disk.Fail(op, 1, syscall.EINTR)
		if got := values(t, newLoader(t, src.Train, LoaderOptions{Batch: 6, Recipe: cropped(5)})); len(got) != 6 {
			t.Errorf("%s: pictures %v", op, got)
		}
		if disk.Fault() == nil {
			t.Errorf("%s did not fail", op)
		}
	}
}

// TestWhoseFolder: a missing file is its own failure while its folders are there; what lies in a folder that is gone,
// or that is another one, is not to blame. When the folder is back, it is read again.
func TestWhoseFolder(t *testing.T) {
	base := t.TempDir()
	dir, away := filepath.Join(base, "photos"), filepath.Join(base, "away")
	if err := os.CopyFS(dir, os.DirFS(folder(t, shared(t)))); err != nil {
		t.Fatal(err)
	}
	src, _ := through(t, dir)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func(i int) (bad *BadPicture, fault *SourceFault) {
		_, err := src.Train.Read(t.Context(), i, nil)
		errors.As(err, &bad)
		errors.As(err, &fault)
		return bad, fault
	}
	blame := func(what, says string) {
		t.Helper()
		if bad, fault := read(0); bad != nil || fault == nil || fault.Path != dir || fault.Changed ||
			!strings.Contains(fault.Error(), says) {
			t.Errorf("%s: the picture's %v, the source's %v", what, bad, fault)
		}
	}
	sound := func(what string) {
		t.Helper()
		if bad, fault := read(0); bad != nil || fault != nil {
			t.Errorf("%s: the picture's %v, the source's %v", what, bad, fault)
		}
	}
	must(os.Remove(filepath.Join(dir, "a/2.png")))
	if bad, fault := read(1); bad == nil || fault != nil {
		t.Errorf("a file is gone: the picture's %v, the source's %v", bad, fault)
	}
	must(os.Rename(dir, away))
	blame("no folder", "cannot get at "+dir)
	must(os.Mkdir(dir, 0o777))
	blame("an empty folder in its place", "something else is in its place")
	must(os.Mkdir(filepath.Join(dir, "a"), 0o777))
	blame("another folder with the same names", "something else is in its place")
	must(os.RemoveAll(dir))
	must(os.WriteFile(dir, nil, 0o666))
	blame("a file in its place", "something else")
	must(os.Remove(dir))
	must(os.Rename(away, dir))
	sound("it is back")
	must(os.Rename(filepath.Join(dir, "a"), away))
	blame("no folder of the class", "cannot get at "+filepath.Join(dir, "a"))
	must(os.Mkdir(filepath.Join(dir, "a"), 0o777))
	blame("another folder of the class", filepath.Join(dir, "a")+" is gone, something else")
	must(os.Remove(filepath.Join(dir, "a")))
	must(os.Rename(away, filepath.Join(dir, "a")))
	sound("the class is back")

	// a share that was mounted anew has another number, and is the right one when its pictures are there
	must(os.Rename(dir, away))
	blame("unmounted", "cannot get at")
	must(os.CopyFS(dir, os.DirFS(away)))
	sound("mounted anew")
	must(os.Remove(filepath.Join(dir, "a/1.png")))
	if bad, fault := read(0); bad == nil || fault != nil {
		t.Errorf("a file is gone from the share: the picture's %v, the source's %v", bad, fault)
	}
}

// TestWhosePermission: a file that must not be read is its own failure; a folder that must not be searched is the
// source's.
func TestWhosePermission(t *testing.T) {
	for _, c := range []struct {
		name   string
		ops    []string
		source bool
	}{
		{"file", []string{"open"}, false},
		{"what a link leads to", []string{"stat"}, false},
		{"folder", []string{"stat", "lstat", "open"}, true},
	} {
		src, disk := through(t, folder(t, shared(t)))
		disk.Break(syscall.EACCES, func(call filestest.Call) bool {
			return slices.Contains(c.ops, call.Op) && strings.HasSuffix(call.Name, ".png")
		})
		_, err := src.Train.Read(t.Context(), 0, nil)
		if got := errors.As(err, new(*SourceFault)); got != c.source || !errors.Is(err, syscall.EACCES) {
			t.Errorf("%s: error %v, the source's: %t", c.name, err, got)
		}
	}
}

// sharedTar is the same pictures in a tar.
func sharedTar(t *testing.T) []byte {
	t.Helper()
	var all []tarFile
	for name, raw := range shared(t) {
		all = append(all, tarFile{name: name, raw: raw})
	}
	slices.SortFunc(all, func(a, b tarFile) int { return strings.Compare(a.name, b.name) })
	return tarOf(t, all)
}

// TestTarChanges: pictures that cannot be read because the tar was cut or overwritten are not to blame, and nobody
// waits for them.
func TestTarChanges(t *testing.T) {
	raw := sharedTar(t)
	for name, c := range map[string]struct {
		change func(path string) error
		says   string
	}{
		"cut":       {func(path string) error { return os.Truncate(path, 600) }, "it was cut from"},
		"emptied":   {func(path string) error { return os.Truncate(path, 0) }, "it was cut from"},
		"longer":    {func(path string) error { return overwrite(path, make([]byte, len(raw)+512)) }, "it grew from"},
		"rewritten": {func(path string) error { return overwrite(path, make([]byte, len(raw))) }, "written to at"},
	} {
		path := write(t, "x.tar", raw)
		if err := os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
		src, _ := through(t, path)
		var x told
		src.SetPatience(Patience{time.Hour, x.tell})
		if err := c.change(path); err != nil {
			t.Fatal(err)
		}
		_, err := newLoader(t, src.Train, LoaderOptions{Batch: 6, Recipe: cropped(5)}).Next()
		var fault *SourceFault
		if !errors.As(err, &fault) || !fault.Changed || !strings.Contains(err.Error(), c.says) || len(x.all) != 0 {
			t.Errorf("%s: error %v, told of %v", name, err, x.all)
		}
		if bad := src.Train.Bad(); len(bad) > 0 {
			t.Errorf("%s: pictures blamed: %v", name, bad)
		}
	}
}

// overwrite writes into a file that stays the same one.
func overwrite(path string, raw []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	return errors.Join(err, f.Close())
}

// TestTarIsOpenedAnew: a handle that went stale is given up for the file that is at the path when it is the same, and a
// different one ends it.
func TestTarIsOpenedAnew(t *testing.T) {
	for _, same := range []bool{true, false} {
		path := write(t, "x.tar", sharedTar(t))
		src, disk := through(t, path)
		var stale sync.Map // of the first handle only
		first := src.store.(*tarStore).f
		disk.Break(syscall.ESTALE, func(c filestest.Call) bool {
			_, opened := stale.Load("again")
			if c.Op == "open" {
				stale.Store("again", true)
			}
			return (c.Op == "readat" || c.Op == "fstat") && !opened
		})
		if !same {
			if err := os.Rename(path, path+".old"); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, append(sharedTar(t), make([]byte, 512)...), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		var x told
		src.SetPatience(Patience{time.Minute, x.tell})
		l := newLoader(t, src.Train, LoaderOptions{Batch: 6, Recipe: cropped(5), Workers: 1})
		if !same {
			_, err := l.Next()
			if fault := (*SourceFault)(nil); !errors.As(err, &fault) || !fault.Changed ||
				!strings.Contains(err.Error(), "another file is in its place") {
				t.Errorf("another tar: error %v", err)
			}
			continue
		}
		if got := values(t, l); !slices.Equal(got, []uint8{1, 2, 3, 4, 5, 6}) {
			t.Errorf("pictures %v", got)
		}
		if src.store.(*tarStore).f == first {
			t.Error("still the stale handle")
		}
	}
}

// TestHangingReads: a system call that hangs holds nobody up whose context ends, and what it reads late goes nowhere.
func TestHangingReads(t *testing.T) {
	dir := folder(t, shared(t))
	tarred := write(t, "x.tar", sharedTar(t))
	by := recipe.Recipe{Height: 5, Width: 6, Channels: 3}
	ways := map[string]func(context.Context, *Source, *filestest.FS) error{
		"loader": func(ctx context.Context, src *Source, _ *filestest.FS) error {
			by := by
			by.Crop = 5
			l, err := NewLoader(ctx, src.Train, LoaderOptions{Batch: 6, Recipe: by, Train: true})
			if err != nil {
				return err
			}
			defer l.Close()
			_, err = l.Next()
			return err
		},
		"loader that is closed": func(ctx context.Context, src *Source, disk *filestest.FS) error {
			l := newLoader(t, src.Train, LoaderOptions{Batch: 6, Recipe: cropped(5)})
			l.Seek(0)
			<-ctx.Done() // something hangs
			rows := slices.Clone(l.o.Slots.Rows(0).Pixels)
			l.Close()
			if !slices.Equal(rows, l.o.Slots.Rows(0).Pixels) {
				t.Error("written to after Close")
			}
			return ctx.Err()
		},
		"loader that is sought": func(ctx context.Context, src *Source, _ *filestest.FS) error {
			by := by
			by.Crop = 5
			l, err := NewLoader(ctx, src.Train, LoaderOptions{Batch: 2, Recipe: by})
			if err != nil {
				return err
			}
			defer l.Close()
			l.Seek(0)
			l.Seek(4)
			_, err = l.Next()
			return err
		},
		"statistics": func(ctx context.Context, src *Source, _ *filestest.FS) error {
			_, err := Measure(ctx, src.Train, recipe.Recipe{Resize: 8, Channels: 3}, MeasureOptions{
				Workers: 2, OnBad: func(b *BadPicture) { t.Errorf("told of %v", b) },
			})
			return err
		},
		"size": func(ctx context.Context, src *Source, _ *filestest.FS) error {
			_, _, err := src.Train.PictureSize(ctx, &recipe.Recipe{Channels: 3})
			return err
		},
		"inspection": func(ctx context.Context, src *Source, _ *filestest.FS) error {
			_, err := Inspect(ctx, src, InspectOptions{Workers: 2})
			return err
		},
		"files": func(ctx context.Context, _ *Source, disk *filestest.FS) (last error) {
			for _, last = range decodeFiles(ctx, disk, []string{filepath.Join(dir, "a/1.png")}, &by, 1, Patience{}) {
				continue
			}
			return last
		},
	}
	for name, way := range ways {
		for _, op := range []string{"stat", "open", "readat"} {
			for _, path := range []string{dir, tarred} {
				if path == tarred && (op != "readat" || name == "files") {
					continue
				}
				src, disk := through(t, path)
				ctx, stop := context.WithCancel(t.Context())
				release := disk.Hang(func(c filestest.Call) bool {
					if c.Op == op {
						time.AfterFunc(10*time.Millisecond, stop)
					}
					return c.Op == op
				})
				start := time.Now()
				if err := way(ctx, src, disk); !errors.Is(err, context.Canceled) {
					t.Errorf("%s, %s: error %v", name, op, err)
				}
				if d := time.Since(start); d > 10*time.Second { // it takes milliseconds
					t.Errorf("%s, %s: let go after %v", name, op, d)
				}
				if bad := src.Train.Bad(); len(bad) > 0 {
					t.Errorf("%s, %s: pictures blamed: %v", name, op, bad)
				}
				src.Close()
				release() // TestMain sees that what was left behind ends
			}
		}
	}
}

// TestNoAnswer: a system call that does not come back counts as a failure of the source after a while: it is told, and
// when it comes back all goes on; after as much patience as there is it is the end.
func TestNoAnswer(t *testing.T) {
	for _, comes := range []bool{true, false} {
		src, disk := through(t, folder(t, shared(t)))
		src.outages.look = 2 * time.Millisecond
		var once sync.Once
		release := disk.Hang(func(c filestest.Call) (first bool) {
			if c.Op == "readat" {
				once.Do(func() { first = true })
			}
			return first
		})
		x := told{do: func(o Outage) {
			if comes && !o.Over {
				go release()
			}
		}}
		src.SetPatience(Patience{100 * time.Millisecond, x.tell})
		if comes {
			src.SetPatience(Patience{time.Hour, x.tell})
		}
		l := newLoader(t, src.Train, LoaderOptions{Batch: 6, Recipe: cropped(5)})
		info, err := l.Next()
		var fault *SourceFault
		switch {
		case comes && (err != nil || info.Good != 6 || len(x.all) != 2 || !x.all[1].Over):
			t.Errorf("it comes back: %d pictures, %v, told of %v", info.Good, err, x.all)
		case !comes && (!errors.As(err, &fault) || fault.Tried < 100*time.Millisecond || len(x.all) != 1):
			t.Errorf("it does not come back: %v, told of %v", err, x.all)
		}
		if len(x.all) > 0 && !strings.Contains(x.all[0].String(), "no answer for 10s") {
			t.Errorf("told %q", x.all[0])
		}
		release()
	}
}

// TestBackMeanwhile: a picture that is missing once, while its folders are there, is looked for again: the share may
// have come back in between.
func TestBackMeanwhile(t *testing.T) {
	src, disk := through(t, folder(t, shared(t)))
	disk.Fail("stat", 0, syscall.ENOENT)
	if _, err := src.Train.Read(t.Context(), 0, nil); err != nil || disk.Fault() == nil {
		t.Errorf("error %v, failed: %v", err, disk.Fault())
	}
}
