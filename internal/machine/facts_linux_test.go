package machine

import (
	"os"
	"path/filepath"
	"testing"
)

// TestGroupLimit: the tightest limit on the way up counts, "max" is none.
func TestGroupLimit(t *testing.T) {
	root := t.TempDir()
	write := func(dir, max string) {
		at := filepath.Join(root, dir)
		if err := os.MkdirAll(at, 0o777); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"memory.max": max + "\n", "memory.current": "77\n"} {
			if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("user/job", "max")
	if limit, _ := groupLimit(root, "0::/user/job\n"); limit != 0 {
		t.Errorf("no limit: %d", limit)
	}
	write("user", "1000")
	if limit, used := groupLimit(root, "4:cpu:/x\n0::/user/job\n"); limit != 1000 || used != 77 {
		t.Errorf("limit %d, used %d", limit, used)
	}
	write("user/job", "500")
	if limit, _ := groupLimit(root, "0::/user/job\n"); limit != 500 {
		t.Errorf("own limit: %d", limit)
	}
}
