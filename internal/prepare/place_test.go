package prepare

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/lockfile"
)

// checked is what Check says of a set of from, before that is opened.
func checked(from string, o Options) error { return Check(o, []string{from}) }

// stopped begins a set and leaves it with a state of some pictures.
func stopped(t *testing.T, src *data.Source, o Options) {
	t.Helper()
	f := filestest.New(files.OS)
	o.Files = f
	for n := 60; ; n += 5 {
		f.Kill(n)
		if _, err := Run(t.Context(), src, o); err == nil {
			t.Fatal("never killed after a note")
		}
		if _, err := os.Stat(filepath.Join(files.Partial(o.Out), stateName)); err == nil {
			return
		}
	}
}

// TestCheck: what does not depend on the pictures is refused before they are listed.
func TestCheck(t *testing.T) {
	from, dir := source(t, 70), t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(checked(from, options(in("new"))), checked(filepath.Join(from, "no.tar"),
		options(in("new")))); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if err := checked(from, options(from)); !errors.As(err, new(*Exists)) {
		t.Errorf("in the way: %v", err)
	}
	if err := os.Symlink(filepath.Join(from, "train/cat"), in("link")); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{filepath.Join(from, "a/b"), in("link/a/b"), filepath.Join(from, "train/../c")} {
		if err := checked(from, options(out)); !errors.As(err, new(*Inside)) {
			t.Errorf("%s: %v", out, err)
		}
	}
	src := opened(t, from)
	o := options(in("out"))
	stopped(t, src, o)
	if err := checked(from, o); err != nil {
		t.Errorf("goes on: %v", err)
	}
	for what, change := range map[string]func(*Options){
		"pictures of 16, not 17":                         func(o *Options) { o.Resize = 17 },
		"with labels as they are found out, not numbers": func(o *Options) { o.Labels = "numbers" },
	} {
		other := o
		change(&other)
		if err := checked(from, other); !errors.As(err, new(*Differs)) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	full := o
	full.Files = small{files.OS, 1000}
	if err := checked(from, full); !errors.As(err, new(*files.NoRoom)) {
		t.Errorf("full: %v", err)
	}
	lock, err := lockfile.Acquire(files.OS, filepath.Join(files.Partial(o.Out), lockName))
	if err != nil {
		t.Fatal(err)
	}
	if err := checked(from, o); !errors.As(err, new(*Busy)) {
		t.Errorf("busy: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), src, o); err != nil {
		t.Error(err)
	}
}

// small is a disk with so many bytes free.
type small struct {
	files.FS
	free int64
}

func (s small) Space(string) (files.Space, error) {
	return files.Space{Free: s.free, Total: 1 << 40, FilesFree: 1 << 20, FilesTotal: 1 << 21}, nil
}

// TestLeftState: a state beside a finished set is that set's only where all of it is the same.
func TestLeftState(t *testing.T) {
	from, dir := source(t, 70), t.TempDir()
	src := opened(t, from)
	o := options(filepath.Join(dir, "out"))
	f := filestest.New(files.OS)
	o.Files = f
	if _, err := Run(t.Context(), src, o); err != nil {
		t.Fatal(err)
	}
	calls := f.Calls()
	renamed := len(calls) - 1
	for calls[renamed].Op != "rename" {
		renamed--
	}
	if err := os.RemoveAll(o.Out); err != nil {
		t.Fatal(err)
	}
	f = filestest.New(files.OS)
	f.Kill(renamed + 1) // all is in its place, and nothing tidied up
	o.Files = f
	if _, err := Run(t.Context(), src, o); err == nil {
		t.Fatal("not killed")
	}
	o.Files = files.OS
	state := filepath.Join(files.Partial(o.Out), stateName)
	if _, err := os.Stat(state); err != nil {
		t.Fatal(err)
	}
	other := o
	other.Resize = 12
	if r, err := Run(t.Context(), src, other); !errors.As(err, new(*Exists)) {
		t.Errorf("another size: %+v, %v", r, err)
	}
	if r, err := Run(t.Context(), opened(t, source(t, 72)), o); !errors.As(err, new(*Exists)) {
		t.Errorf("another source: %+v, %v", r, err)
	}
	aside := filepath.Join(dir, "aside")
	if err := os.Rename(o.Out, aside); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(o.Out, "index"), []byte("x"))
	if r, err := Run(t.Context(), src, o); !errors.As(err, new(*Exists)) {
		t.Errorf("another folder: %+v, %v", r, err)
	}
	if err := errors.Join(os.RemoveAll(o.Out), os.Rename(aside, o.Out)); err != nil {
		t.Fatal(err)
	}
	if err := checked(from, o); err != nil {
		t.Errorf("before it is listed: %v", err)
	}
	if r, err := Run(t.Context(), src, o); err != nil || r.Pictures[0] != 75 {
		t.Errorf("the same: %+v, %v", r, err)
	}
	if _, err := os.Stat(files.Partial(o.Out)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

// TestLinkedOut: a link to the place stays, and everything is made where it leads.
func TestLinkedOut(t *testing.T) {
	src := opened(t, source(t, 70))
	for _, there := range []bool{true, false} {
		dir := t.TempDir()
		disk, link := filepath.Join(dir, "disk/set"), filepath.Join(dir, "link")
		if err := os.MkdirAll(map[bool]string{true: disk, false: filepath.Dir(disk)}[there], 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("disk/set", link); err != nil {
			t.Fatal(err)
		}
		o := options(disk)
		stopped(t, src, o)
		o.Out = link
		r, err := Run(t.Context(), src, o)
		if err != nil || r.Resumed == 0 || r.Out != link {
			t.Errorf("%+v, %v", r, err)
		}
		if to, err := os.Readlink(link); err != nil || to != "disk/set" {
			t.Errorf("the link leads to %q (%v)", to, err)
		}
		for name, want := range map[string]int{dir: 2, filepath.Dir(disk): 1} {
			if items, _ := os.ReadDir(name); len(items) != want {
				t.Errorf("in %s: %v", name, items)
			}
		}
	}
	dir := t.TempDir()
	if err := os.Symlink("round", filepath.Join(dir, "round")); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), src, options(filepath.Join(dir, "round"))); err == nil {
		t.Error("a link to itself")
	}
}

// TestLabels: how they were meant decides what was begun, and the set says it.
func TestLabels(t *testing.T) {
	dir := t.TempDir()
	pictures := source(t, 4)
	list := []string{}
	for i, name := range []string{"train/cat/000.JPEG", "train/dog/001.JPEG", "train/cat/002.JPEG"} {
		list = append(list, filepath.Join(pictures, name)+","+[]string{"1", "2", "1"}[i])
	}
	file := filepath.Join(dir, "list.csv")
	write(t, file, []byte("path,label\n"+strings.Join(list, "\n")+"\n"))
	open := func(labels string) *data.Source {
		src, err := data.Open(t.Context(), files.OS, data.Place{Paths: []string{file}, Labels: labels}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { src.Close() })
		return src
	}
	src := open(data.LabelsNumbers)
	src.Decided = "found out"
	r, err := Run(t.Context(), src, options(filepath.Join(dir, "out")))
	if err != nil || r.Labels != data.LabelsNumbers || r.Decided != src.Decided {
		t.Errorf("%+v, %v", r, err)
	}
}
