package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/recipe"
	"alexnet/internal/shards"
)

// ordered is a store that can only be read in order: its numbers, of which some may be in no part, as they come.
type ordered struct{ numbers []int }

func (ordered) Read(context.Context, int, []byte) ([]byte, error) { return nil, flaw("only in order") }
func (ordered) Close() error                                      { return nil }

func (o ordered) through(r *reader, each func(int, []byte) error) error {
	buf := make([]byte, 8)
	for _, n := range o.numbers {
		if err := errors.Join(r.crew.ctx.Err(), each(n, fmt.Appendf(buf[:0], "raw %d", n))); err != nil {
			return err
		}
	}
	return nil
}

// mixed are contents of all parts whose numbers are mixed.
func mixed() Contents {
	return Contents{
		Path: "p", Classes: []string{"a", "b"},
		Train: []Record{{Name: "t0", Number: 4}, {Name: "t1", Label: 1, Number: 1}, {Name: "t2", Label: 1, Number: 6}},
		Val:   []Record{{Name: "v0", Number: 2}},
		Test:  []Record{{Name: "x0", Number: 0}},
	}
}

// takenBy is what Through gives.
func takenBy(t *testing.T, src *Source, skip int) (all []string, err error) {
	t.Helper()
	err = src.Through(t.Context(), skip, func(x Taken) error {
		line := fmt.Sprintf("%s %s", src.Part(x.Part).Name(x.Index), x.Raw)
		if x.Bad != nil {
			line = x.Bad.Error()
		}
		all = append(all, line)
		return nil
	})
	return all, err
}

// TestThroughOrder: every picture once, by number from a store that has all at hand, and as they come from one that has
// not.
func TestThroughOrder(t *testing.T) {
	memory := Memory{}
	for i := range 7 {
		memory = append(memory, fmt.Appendf(nil, "raw %d", i))
	}
	for _, c := range []struct {
		store      Store
		skip       int
		sequential bool
		want       string
	}{
		{memory, 0, false, "x0 raw 0, t1 raw 1, v0 raw 2, t0 raw 4, t2 raw 6"},
		{memory, 3, false, "t0 raw 4, t2 raw 6"},
		{memory, 9, false, ""},
		{ordered{[]int{6, 3, 0, 4, 5, 1, 2}}, 0, true, "t2 raw 6, x0 raw 0, t0 raw 4, t1 raw 1, v0 raw 2"},
		{ordered{[]int{6, 3, 0, 4, 5, 1, 2}}, 2, true, "t0 raw 4, t1 raw 1, v0 raw 2"},
	} {
		src := New(mixed(), c.store, 0, 0)
		got, err := takenBy(t, src, c.skip)
		if err != nil || strings.Join(got, ", ") != c.want || src.Sequential() != c.sequential {
			t.Errorf("%T from %d: %v (%v), want %s", c.store, c.skip, got, err, c.want)
		}
	}
	var fault *SourceFault
	if _, err := takenBy(t, New(mixed(), ordered{[]int{0, 1}}, 0, 0), 0); !errors.As(err, &fault) || !fault.Changed {
		t.Errorf("two of five pictures: %v", err)
	}
}

// TestThroughEnds: with what its caller says, with the context, and not with a bad picture.
func TestThroughEnds(t *testing.T) {
	stop := errors.New("stop")
	for _, store := range []Store{Memory(make([][]byte, 7)), ordered{[]int{0, 1, 2, 4, 6}}} {
		src := New(mixed(), store, 0, 0)
		n := 0
		err := src.Through(t.Context(), 0, func(Taken) error {
			if n++; n == 2 {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) || n != 2 {
			t.Errorf("%T: %v after %d", store, err, n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err = src.Through(ctx, 0, func(Taken) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%T: %v", store, err)
		}
	}
	got, err := takenBy(t, New(mixed(), broken{}, 0, 0), 3)
	if err != nil || !slices.Equal(got, []string{"cannot read picture t0: broken", "cannot read picture t2: broken"}) {
		t.Errorf("bad pictures: %v (%v)", got, err)
	}
}

// broken has nothing but bad pictures.
type broken struct{}

func (broken) Read(context.Context, int, []byte) ([]byte, error) { return nil, flaw("broken") }
func (broken) Close() error                                      { return nil }

// TestIdentity: another one where a picture's size is another, the same where nothing is.
func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	writeSet(t, dir, [3]int{5, 2, 0})
	first, sizes, err := open(t, dir, 0, 0).Identity(t.Context(), 2)
	if err != nil || sizes[TrainPart] != 20+21+22+23+24 || sizes[ValPart] != 20+21 {
		t.Errorf("%v (%v)", sizes, err)
	}
	again, _, _ := open(t, dir, 0, 0).Identity(t.Context(), 1)
	other := t.TempDir()
	writeSet(t, other, [3]int{5, 3, 0})
	third, _, _ := open(t, other, 0, 0).Identity(t.Context(), 1)
	if first != again || first == third {
		t.Errorf("%s, %s, of other pictures %s", first, again, third)
	}
}

// unsteady is a disk on which looking at files fails some times.
type unsteady struct {
	files.FS
	left atomic.Int64
	err  error
}

func (d *unsteady) Stat(name string) (fs.FileInfo, error) {
	if strings.Contains(filepath.Base(name), ".") && d.left.Add(-1) >= 0 {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: d.err}
	}
	return d.FS.Stat(name)
}

// TestIdentityFaults: a source that fails for a while is waited for; for longer, it is the source's failure and not
// another identity.
func TestIdentityFaults(t *testing.T) {
	dir := folder(t, mock(t))
	want, _, err := open(t, dir, 0, 0).Identity(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	disk := &unsteady{FS: files.OS, err: syscall.EIO}
	src, err := Open(t.Context(), disk, At(dir), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	disk.left.Store(1)
	var fault *SourceFault
	if _, _, err := src.Identity(t.Context(), 1); !errors.As(err, &fault) || fault.Changed || fault.Path != dir ||
		!errors.Is(err, syscall.EIO) {
		t.Errorf("without patience: %v", err)
	}
	told := 0
	src.SetPatience(Patience{Retry: time.Minute, Tell: func(Outage) { told++ }})
	disk.left.Store(2)
	if got, _, err := src.Identity(t.Context(), 1); err != nil || got != want || told != 2 {
		t.Errorf("%s, want %s (%v), told %d times", got, want, err, told)
	}
	src.SetPatience(Patience{})
	aside := dir + ".aside"
	if err := errors.Join(os.Rename(dir, aside), os.Mkdir(dir, 0o755)); err != nil { // as an unmounted share leaves it
		t.Fatal(err)
	}
	if _, _, err := src.Identity(t.Context(), 1); !errors.As(err, &fault) || fault.Changed {
		t.Errorf("gone: %v", err)
	}
	if err := errors.Join(os.Remove(dir), os.Rename(aside, dir)); err != nil {
		t.Fatal(err)
	}
	if got, _, err := src.Identity(t.Context(), 1); err != nil || got != want {
		t.Errorf("back: %s, want %s (%v)", got, want, err)
	}
}

// TestIdentityPacked: what can only be read through knows the bytes of its pictures, and that it has changed.
func TestIdentityPacked(t *testing.T) {
	all := mock(t)
	var want [2]int64
	for name, raw := range all {
		want[map[bool]int{true: 0, false: 1}[strings.HasPrefix(name, "train/")]] += int64(len(raw))
	}
	for name, raw := range map[string][]byte{
		"tar": tarOf(t, tarFiles(all)), "tgz": gzipOf(t, tarOf(t, tarFiles(all))), "zip": zipOf(t, tarFiles(all)),
		"tgz in a zip": zipOf(t, []tarFile{{name: "x.tgz", raw: gzipOf(t, tarOf(t, tarFiles(all)))}}),
	} {
		path := write(t, "x", raw)
		src := openThrough(t, path)
		before, bytes, err := src.Identity(t.Context(), 2)
		if err != nil || bytes[TrainPart] != want[0] || bytes[ValPart] != want[1] {
			t.Errorf("%s: %v, want %v (%v)", name, bytes, want, err)
		}
		if err := os.Chtimes(path, time.Now(), time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		var fault *SourceFault
		if _, _, err := src.Identity(t.Context(), 2); !errors.As(err, &fault) || !fault.Changed {
			t.Errorf("%s: changed: %v", name, err)
		}
		if after, _, err := openThrough(t, path).Identity(t.Context(), 2); err != nil || after == before {
			t.Errorf("%s: the same after a change (%v)", name, err)
		}
	}
}

// late is a store in order that passes no files, which Read has after a failure of the source.
type late struct {
	ordered
	failed bool
}

func (l *late) through(r *reader, each func(int, []byte) error) error {
	return l.ordered.through(r, func(n int, _ []byte) error { return each(n, nil) })
}

func (l *late) Read(_ context.Context, i int, _ []byte) ([]byte, error) {
	if !l.failed {
		l.failed = true
		return nil, &SourceFault{Path: "p", Err: syscall.EIO}
	}
	return fmt.Appendf(nil, "raw %d", i), nil
}

// TestThroughLate: what is not passed is asked for, and used where it is there.
func TestThroughLate(t *testing.T) {
	src := New(mixed(), &late{ordered: ordered{[]int{6, 0, 4, 1, 2}}}, 0, 0)
	if _, err := takenBy(t, src, 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("without patience: %v", err)
	}
	src = New(mixed(), &late{ordered: ordered{[]int{6, 0, 4, 1, 2}}}, 0, 0)
	src.SetPatience(Patience{Retry: time.Minute})
	got, err := takenBy(t, src, 0)
	if want := "t2 raw 6, x0 raw 0, t0 raw 4, t1 raw 1, v0 raw 2"; err != nil || strings.Join(got, ", ") != want {
		t.Errorf("%v (%v), want %s", got, err, want)
	}
}

// inOrders are sources that can only be read in order, the last with pictures that could be read in any.
func inOrders(t *testing.T) map[string]string {
	t.Helper()
	all := map[string][]byte{}
	for name, raw := range shared(t) {
		all["train/"+name], all["val/"+name] = raw, raw
	}
	tgz := gzipOf(t, tarOf(t, tarFiles(all)))
	return map[string]string{
		"tgz": write(t, "x", tgz), "zip": write(t, "x", zipOf(t, tarFiles(all))),
		"tgz in a zip": write(t, "x", zipOf(t, []tarFile{{name: "x.tgz", raw: tgz}})),
		"both": folder(t, map[string][]byte{
			"train.tar": tarOf(t, tarFiles(only(all, "train/", ""))),
			"val.tgz":   gzipOf(t, tarOf(t, tarFiles(only(all, "val/", "")))),
		}),
	}
}

// throughDisk opens one of them through a file system that can fail.
func throughDisk(t *testing.T, path string) (*Source, *filestest.FS) {
	t.Helper()
	return openFailing(t, path, OpenThrough)
}

// TestThroughOutage: whatever fails for a while is tried again, and nothing is lost; what does not come back is the
// source's failure when there is no more patience.
func TestThroughOutage(t *testing.T) {
	for name, path := range inOrders(t) {
		for _, ends := range []bool{true, false} {
			src, disk := throughDisk(t, path)
			x := told{do: func(o Outage) {
				if ends && !o.Over {
					disk.Mend()
				}
			}}
			src.SetPatience(Patience{250 * time.Millisecond, x.tell})
			disk.Break(syscall.EIO, func(c filestest.Call) bool { return c.Op == "readat" })
			got, err := takenBy(t, src, 0)
			if ends && (err != nil || len(got) != 12 || len(x.all) != 2) {
				t.Errorf("%s: %d pictures, %v, told of %v", name, len(got), err, x.all)
			}
			var f *SourceFault
			if !ends && (!errors.As(err, &f) || f.Tried != 250*time.Millisecond || !errors.Is(err, syscall.EIO)) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestThroughHangs: a system call that hangs holds nobody up whose context ends, and what comes of it goes nowhere; it
// counts as a failure after a while.
func TestThroughHangs(t *testing.T) {
	for name, path := range inOrders(t) {
		for _, op := range []string{"fstat", "readat"} {
			src, disk := throughDisk(t, path)
			ctx, stop := context.WithCancel(t.Context())
			release := disk.Hang(func(c filestest.Call) bool {
				if c.Op == op {
					time.AfterFunc(10*time.Millisecond, stop)
				}
				return c.Op == op
			})
			var ended atomic.Bool
			err := src.Through(ctx, 0, func(Taken) error {
				if ended.Load() {
					t.Errorf("%s: a picture after the end", name)
				}
				return nil
			})
			ended.Store(true)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s, %s: %v", name, op, err)
			}
			release() // TestMain sees that what was left ends
		}
		src, disk := throughDisk(t, path)
		src.outages.look = 2 * time.Millisecond
		src.SetPatience(Patience{Retry: 100 * time.Millisecond})
		release := disk.Hang(func(c filestest.Call) bool { return c.Op == "readat" })
		_, err := takenBy(t, src, 0)
		if f := (*SourceFault)(nil); !errors.As(err, &f) || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("%s: without an answer: %v", name, err)
		}
		release()
	}
}

// TestIdentityHangs: a look at the source that does not come back holds nobody up after the end of ctx: neither that of
// Identity nor one after a picture that cannot be decoded.
func TestIdentityHangs(t *testing.T) {
	path := write(t, "x.tar", tarOf(t, []tarFile{
		{name: "a/1.png", raw: []byte("no picture")}, {name: "b/1.png", raw: pngOf(t, 8, 8, 1)},
	}))
	for name, do := range map[string]func(context.Context, *Source) error{
		"identity": func(ctx context.Context, src *Source) error {
			_, _, err := src.Identity(ctx, 1)
			return err
		},
		"inspect": func(ctx context.Context, src *Source) error {
			_, err := Inspect(ctx, src, InspectOptions{})
			return err
		},
		"size": func(ctx context.Context, src *Source) error {
			_, _, err := src.Train.PictureSize(ctx, &recipe.Recipe{Channels: 3})
			return err
		},
		"by name": func(ctx context.Context, src *Source) error {
			all := &Pictures{records: src.Train.records, store: src.store}
			by := recipe.Recipe{Resize: 8, Height: 8, Width: 8, Channels: 3}
			for _, err := range all.Decode(ctx, &by, 1, Patience{}) {
				if !errors.As(err, new(*BadPicture)) {
					return err
				}
			}
			return nil
		},
	} {
		src, disk := throughDisk(t, path)
		ctx, stop := context.WithCancel(t.Context())
		release := disk.Hang(func(c filestest.Call) bool {
			if c.Op == "fstat" {
				stop()
			}
			return c.Op == "fstat"
		})
		done := make(chan error, 1)
		go func() { done <- do(ctx, src) }()
		<-ctx.Done()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
			release()
		case <-time.After(20 * time.Second):
			release()
			t.Errorf("%s waits for the look: %v", name, <-done)
		}
	}
}

// endsAt is a ctx that ends when its error is asked for the n-th time.
type endsAt struct {
	context.Context
	mu   sync.Mutex
	left int
	stop context.CancelFunc
}

func (c *endsAt) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left < 0 {
		c.stop()
	}
	return c.Context.Err()
}

// TestOpenEnds: whenever ctx ends, what was opened is closed.
func TestOpenEnds(t *testing.T) {
	tar := tarOf(t, []tarFile{{name: "cat/1.png", raw: anyFile}})
	for name, path := range map[string]string{
		"tar": write(t, "x.tar", tar), "folder": folder(t, map[string][]byte{"train.tar": tar, "val.tar": tar}),
		"gzip": write(t, "x.tgz", gzipOf(t, tar)),
	} {
		ended := true
		for n := 0; ended; n++ {
			disk := &handles{FS: files.OS}
			ctx, stop := context.WithCancel(t.Context())
			src, err := openPlace(&endsAt{Context: ctx, left: n, stop: stop}, disk, At(path), 0, 1, true)
			if ended = err != nil; ended && !errors.Is(err, context.Canceled) {
				t.Errorf("%s, ended at look %d: %v", name, n, err)
			}
			if !ended {
				err = src.Close()
			}
			stop()
			if disk.once(t, fmt.Sprintf("%s, ended at look %d: %v", name, n, err)); t.Failed() {
				return
			}
		}
	}
}

// handles is a disk that counts how often each file is closed.
type handles struct {
	files.FS
	mu  sync.Mutex
	all []*handle
}

type handle struct {
	files.File
	of     *handles
	closed int
}

func (d *handles) Open(name string) (files.File, error) {
	f, err := d.FS.Open(name)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h := &handle{File: f, of: d}
	d.all = append(d.all, h)
	return h, nil
}

func (h *handle) Close() error {
	h.of.mu.Lock()
	h.closed++
	h.of.mu.Unlock()
	return h.File.Close()
}

// once holds every file that was opened to having been closed once.
func (d *handles) once(t *testing.T, what string) {
	t.Helper()
	for _, h := range d.all {
		if h.closed != 1 {
			t.Errorf("%s: %s was closed %d times", what, h.Name(), h.closed)
		}
	}
}

// TestClosedOnce: whatever is refused, and wherever, each file is closed once, and the error is one line.
func TestClosedOnce(t *testing.T) {
	all := mock(t)
	cut := func(raw []byte) []byte { return raw[:len(raw)/2] }
	whole := tarOf(t, tarFiles(all))
	tgz := gzipOf(t, whole)
	labels := []byte("not json")
	for name, path := range map[string]string{
		"a tgz":           write(t, "x", cut(tgz)),
		"a tar":           write(t, "x", cut(whole)),
		"a zip":           write(t, "x", cut(zipOf(t, tarFiles(all)))),
		"no tgz in a zip": write(t, "x", zipOf(t, []tarFile{{name: "x.zip", raw: tgz}, {name: "y.zip", raw: whole}})),
		"the first of two in a zip": write(t, "x", zipOf(t,
			[]tarFile{{name: "train.tgz", raw: cut(tgz)}, {name: "val.tgz", raw: tgz}})),
		"the second of two in a zip": write(t, "x", zipOf(t,
			[]tarFile{{name: "train.tgz", raw: tgz}, {name: "val.tgz", raw: cut(tgz)}})),
		"the same twice in a zip": write(t, "x", zipOf(t,
			[]tarFile{{name: "a.tgz", raw: tgz}, {name: "b.tgz", raw: tgz}})),
		"notes in a zip": write(t, "x", zipOf(t,
			[]tarFile{{name: wdsInfo, raw: labels}, {name: "a.tgz", raw: tgz}})),
		"notes beside a tar": folder(t, map[string][]byte{wdsInfo: labels, "a.tar": whole}),
		"the second of two":  folder(t, map[string][]byte{"train.tar": whole, "val.tar": cut(whole)}),
		"the same twice":     folder(t, map[string][]byte{"a.tar": whole, "b.tar": whole}),
		"a tgz in a folder":  folder(t, map[string][]byte{"train.tar": whole, "val.tgz": cut(tgz)}),
		"parquet":            write(t, "x", []byte(parquetMagic+"nothing"+parquetMagic)),
		"CIFAR in a tar": write(t, "x", tarOf(t, []tarFile{
			{name: "c/data_batch_1.bin", raw: labels},
			{name: "c/batches.meta.txt", raw: labels},
		})),
		"CIFAR in a tgz": write(t, "x", gzipOf(t, tarOf(t, []tarFile{
			{name: "c/data_batch_1.bin"},
			{name: "c/batches.meta.txt"},
		}))),
		"a list":          write(t, "x", []byte("path,label\n\"a")),
		"a set":           folder(t, map[string][]byte{shards.IndexName: []byte(shards.Magic + "nothing")}),
		"nothing in it":   write(t, "x", zipOf(t, []tarFile{{name: "a.txt"}})),
		"a picture twice": write(t, "x", gzipOf(t, tarOf(t, []tarFile{{name: "a.png", raw: anyFile}}))),
	} {
		for how, open := range map[string]opening{"open": Open, "through": OpenThrough} {
			for _, at := range []Place{At(path), At(path, path), {Paths: []string{path}, Labels: path + "none"}} {
				disk := &handles{FS: files.OS}
				src, err := open(t.Context(), disk, at, 0, 1)
				if err == nil { // what of it is good
					err = src.Close()
				} else if strings.Contains(err.Error(), "\n") {
					t.Errorf("%s, %s: %v", how, name, err)
				}
				if errors.Is(err, os.ErrClosed) {
					t.Errorf("%s, %s: %v", how, name, err)
				}
				disk.once(t, how+", "+name)
			}
		}
	}
}

type opening func(context.Context, files.Reader, Place, float64, uint64) (*Source, error)
