package files

import "testing"

// Only where bytes are left is it the inodes that lack; a file system that counts none lacks none.
func TestNoInodes(t *testing.T) {
	for _, c := range []struct {
		all, free, bytes int64
		want             bool
	}{
		{1000, 0, 1 << 20, true},
		{1000, 0, 0, false},
		{1000, 3, 0, false},
		{1000, 3, 1 << 20, true},
		{1000, 300, 1 << 20, false},
		{0, 0, 1 << 20, false},
	} {
		s := Space{Free: c.bytes, Total: 1 << 30, FilesFree: c.free, FilesTotal: c.all}
		if got := s.noInodes(); got != c.want {
			t.Errorf("%d inodes, %d free, %d bytes free: %t", c.all, c.free, c.bytes, got)
		}
	}
	if NoInodes(t.TempDir()) || NoInodes("/nowhere/at/all") {
		t.Error("a folder to write to has no inodes")
	}
}
