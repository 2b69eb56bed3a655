package prepare

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
)

// named matches calls of an operation on files that are called so.
func named(op, pattern string) func(filestest.Call) bool {
	return func(c filestest.Call) bool {
		is, _ := filepath.Match(pattern, filepath.Base(c.Name))
		return is && c.Op == op
	}
}

// TestBegunAnew: what a run left that ended before it noted anything is no part of the set of the next, which may have
// fewer shards.
func TestBegunAnew(t *testing.T) {
	src := opened(t, source(t, 70))
	whole, o := options(filepath.Join(t.TempDir(), "out")), options(filepath.Join(t.TempDir(), "out"))
	if _, err := Run(t.Context(), src, whole); err != nil {
		t.Fatal(err)
	}
	other, f := o, filestest.New(files.OS)
	f.Break(syscall.EIO, named("writeat", "*.tar"))
	other.Shards, other.Files = 9, f
	if _, err := Run(t.Context(), src, other); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	set := filepath.Join(files.Partial(o.Out), setName)
	if items, err := os.ReadDir(set); err != nil || len(items) < 9 {
		t.Fatalf("left %v (%v)", items, err)
	}
	write(t, filepath.Join(set, ".index.77.0.tmp"), []byte("of a killed writer")) // where files cannot be locked
	if _, err := Run(t.Context(), src, o); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, "after another number of shards", contents(t, whole.Out), contents(t, o.Out))
}

// TestStateUnreadable: a state that is damaged is told from one that the disk does not give: only the first has to be
// removed.
func TestStateUnreadable(t *testing.T) {
	from := source(t, 70)
	src := opened(t, from)
	o := options(filepath.Join(t.TempDir(), "out"))
	stopped(t, src, o)
	state := filepath.Join(files.Partial(o.Out), stateName)
	both := func(o Options) []error {
		_, err := Run(t.Context(), src, o)
		return []error{err, checked(from, o)}
	}
	f := filestest.New(files.OS)
	f.Break(syscall.EIO, named("open", stateName))
	ill := o
	ill.Files = f
	for _, err := range both(ill) {
		if !errors.Is(err, syscall.EIO) || errors.As(err, new(*Differs)) || !strings.Contains(err.Error(), state) {
			t.Errorf("not read: %v", err)
		}
	}
	sound, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	for what, raw := range map[string][]byte{
		"flipped": append([]byte{sound[0] ^ 1}, sound[1:]...), "cut": sound[:len(sound)-1], "empty": nil,
	} {
		write(t, state, raw)
		for _, err := range both(o) {
			var differs *Differs
			if !errors.As(err, &differs) || len(differs.What) > 0 || !strings.Contains(err.Error(), "is damaged") {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if err := errors.Join(os.Remove(state), os.Symlink("lock", state)); err != nil {
		t.Fatal(err)
	}
	for _, err := range both(o) {
		if !errors.As(err, new(*files.InTheWay)) {
			t.Errorf("a link: %v", err)
		}
	}
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	write(t, state, sound)
	if r, err := Run(t.Context(), src, o); err != nil || r.Resumed == 0 {
		t.Errorf("%+v (%v)", r, err)
	}
}

// TestFoldersAreSynced: before anything is noted, all folders that lead to it are durable.
func TestFoldersAreSynced(t *testing.T) {
	src, dir := opened(t, source(t, 4)), t.TempDir()
	f := filestest.New(files.OS)
	o := options(filepath.Join(dir, "a/b/out"))
	o.Files = f
	if _, err := Run(t.Context(), src, o); err != nil {
		t.Fatal(err)
	}
	calls := f.Calls()
	calls = calls[:slices.IndexFunc(calls, named("rename", ".state.tmp"))]
	partial := files.Partial(o.Out)
	for _, folder := range []string{
		dir, filepath.Join(dir, "a"), filepath.Join(dir, "a/b"), partial, filepath.Join(partial, setName),
	} {
		if !slices.Contains(calls, filestest.Call{Op: "syncdir", Name: folder}) {
			t.Errorf("%s is not synced before the first note", folder)
		}
	}
}

// rival is a file system on which another process finishes the set just before this one has the lock.
type rival struct {
	files.FS
	t   *testing.T
	out string
}

func (r rival) OpenFile(name string, flag int, perm fs.FileMode) (files.File, error) {
	if filepath.Base(name) == lockName {
		write(r.t, filepath.Join(r.out, "index"), []byte("the other's"))
	}
	return r.FS.OpenFile(name, flag, perm)
}

// TestFinishedMeanwhile: a set that another process has put into the place meanwhile is seen before all is made again.
func TestFinishedMeanwhile(t *testing.T) {
	src := opened(t, source(t, 70))
	for _, begun := range []bool{false, true} {
		dir := t.TempDir()
		o := options(filepath.Join(dir, "out"))
		if begun {
			stopped(t, src, o)
		}
		o.Files = rival{files.OS, t, o.Out}
		o.Progress = func(int, int) { t.Error("it was begun") }
		if _, err := Run(t.Context(), src, o); !errors.As(err, new(*Exists)) {
			t.Errorf("error %v", err)
		}
		_, err := os.Stat(filepath.Join(files.Partial(o.Out), stateName))
		if left, _ := os.ReadDir(dir); (err == nil) != begun || (len(left) == 2) != begun {
			t.Errorf("begun %t: left %v (%v)", begun, left, err)
		}
	}
}

// handles counts the files that are open.
type handles struct {
	files.FS
	open *atomic.Int64
}

type handle struct {
	files.File
	open *atomic.Int64
}

func (h handle) Close() error {
	h.open.Add(-1)
	return h.File.Close()
}

func (h handles) counted(f files.File, err error) (files.File, error) {
	if err != nil {
		return nil, err
	}
	h.open.Add(1)
	return handle{f, h.open}, nil
}

func (h handles) Open(name string) (files.File, error) { return h.counted(h.FS.Open(name)) }

func (h handles) OpenFile(name string, flag int, perm fs.FileMode) (files.File, error) {
	return h.counted(h.FS.OpenFile(name, flag, perm))
}

// TestNothingStaysOpen: whatever fails of the beginning, and of the rest, what was opened is closed.
func TestNothingStaysOpen(t *testing.T) {
	src := opened(t, source(t, 4))
	for _, fails := range []func(filestest.Call) bool{
		named("openfile", "*.tar"), named("fstat", "report.jsonl"), named("openfile", entriesName),
		named("syncdir", setName), named("writeat", "*.tar"),
		named("rename", ".index.tmp"), nil,
	} {
		f, open := filestest.New(files.OS), &atomic.Int64{}
		if fails != nil {
			f.Break(syscall.EIO, fails)
		}
		o := options(filepath.Join(t.TempDir(), "out"))
		o.Files = handles{f, open}
		if _, err := Run(t.Context(), src, o); (err == nil) != (fails == nil) {
			t.Errorf("error %v", err)
		}
		if n := open.Load(); n != 0 {
			calls := f.Calls()
			t.Errorf("%d files stay open after %v", n, calls[len(calls)-1])
		}
	}
}

// TestIndexIsReadBack: a set whose index cannot be read does not take its place.
func TestIndexIsReadBack(t *testing.T) {
	src := opened(t, source(t, 4))
	o := options(filepath.Join(t.TempDir(), "out"))
	f := filestest.New(files.OS)
	f.Break(syscall.EIO, named("open", "index"))
	o.Files = f
	if _, err := Run(t.Context(), src, o); !errors.Is(err, syscall.EIO) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(o.Out); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
	f.Mend()
	if r, err := Run(t.Context(), src, o); err != nil || r.Resumed != 21 {
		t.Errorf("%+v (%v)", r, err)
	}
}
