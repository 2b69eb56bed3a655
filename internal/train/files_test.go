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
