//go:build linux || darwin

package train

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/run"
)

// Whatever a run writes has one mode: what the user's umask leaves of 0666. A group that shares a folder then can read
// all of a run, or nothing. Not parallel: the umask is the process's.
func TestModes(t *testing.T) {
	for _, umask := range []int{0o002, 0o027} {
		o, _ := options(t)
		o.Steps = tinySteps
		path := filepath.Join(t.TempDir(), "run")
		old := syscall.Umask(umask)
		dir, err := run.Create(files.OS, path)
		if err == nil {
			o.Dir = dir
			_, err = Run(t.Context(), o)
		}
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		err = filepath.WalkDir(path, func(name string, e os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			want := fs.FileMode(0o666 &^ umask)
			if e.IsDir() {
				want = fs.FileMode(0o777 &^ umask)
			} else {
				seen = append(seen, e.Name())
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("umask %03o: %s has mode %03o, want %03o", umask, name, got, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
		// config.yaml, metrics.jsonl, curves.png, lock, the events, best and last
		if len(seen) != 7 {
			t.Errorf("a run wrote %s: not the files that this test is about", strings.Join(seen, ", "))
		}
	}
}

// The curves are drawn from what the writer of the metrics keeps: however often they are drawn, metrics.jsonl, which
// has a line for each step, is read once, when the run is resumed, and never by a new one.
func TestMetricsAreReadOnce(t *testing.T) {
	t.Parallel()
	disk := filestest.New(files.OS)
	dir, err := run.Create(disk, filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	})
	// opened counts how often the metrics were, and the curves drawn.
	opened := func() (metrics, drawn int) {
		for _, c := range disk.Calls() {
			switch {
			case c.Name == dir.Metrics() && (c.Op == "open" || c.Op == "openfile"):
				metrics++
			case c.Op == "rename" && strings.Contains(c.Name, filepath.Base(dir.Curves())):
				drawn++
			}
		}
		return metrics, drawn
	}
	o, _ := options(t)
	o.Dir, o.Steps = dir, 2*tinySteps
	r := mustRun(t, o)
	if m, d := opened(); m != 1 || d != 3 {
		t.Errorf("a run of two epochs opened its metrics %d times and drew %d times, want 1 and 3", m, d)
	}
	again, _ := options(t)
	again.Dir, again.Steps, again.Resume = dir, 3*tinySteps, load(t, r.LastPath)
	mustRun(t, again)
	if m, d := opened(); m != 2 || d != 5 {
		t.Errorf("with an epoch more, opened %d times and drawn %d times, want 2 and 5", m, d)
	}
}
