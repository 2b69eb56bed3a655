package files

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestWithStdin: the standard input is read from where it stands, and is no regular file even where it is one; other
// names are what they were.
func TestWithStdin(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, Stdin)
	if err := os.WriteFile(path, []byte("abcdef"), 0o666); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Seek(2, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	fsys := withStdin{OS, in}
	info, err := fsys.Stat(Stdin)
	if err != nil || info.Mode().Type() != fs.ModeNamedPipe || info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
	if info, err := fsys.Stat("./-"); err != nil || !info.Mode().IsRegular() {
		t.Errorf("a file of that name: %v, %v", info, err)
	}
	for name, want := range map[string]string{Stdin: "cdef", "./-": "abcdef"} {
		if got, err := ReadFile(fsys, name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := fsys.Stat(Stdin); err == nil {
		t.Error("it is there after it was closed")
	}
}
