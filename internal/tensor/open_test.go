package tensor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/files"
)

// TestOpen: only a file of bytes is opened, and no pointer of Git LFS.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("a", 64) + "\nsize 1\n"
	for content, want := range map[string]Fault{"": 0, "abc": 0, pointer: Pointer} {
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		f, size, err := Open(files.OS, path)
		var bad *BadFile
		switch {
		case want == 0 && (err != nil || size != int64(len(content))):
			t.Errorf("%.20q: %d bytes, %v", content, size, err)
		case want != 0 && (!errors.As(err, &bad) || bad.Fault != want || bad.Path != path):
			t.Errorf("%.20q: %v", content, err)
		}
		if err == nil {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	var bad *BadFile
	if _, _, err := Open(files.OS, dir); !errors.As(err, &bad) || bad.Fault != OtherFormat || bad.Path != dir {
		t.Errorf("a folder: %v", err)
	}
	if _, _, err := Open(files.OS, path+"x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}
