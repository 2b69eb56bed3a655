//go:build linux || darwin

package files

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Links are followed one by one, each from the folder that it lies in, wherever that is.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	err := errors.Join(os.MkdirAll(in("disk/deep"), 0o755), os.WriteFile(in("disk/f"), nil, 0o600),
		os.Symlink("disk/deep", in("deep")), os.Symlink("../f", in("disk/deep/up")), os.Symlink("deep/up", in("two")),
		os.Symlink(in("disk"), in("whole")), os.Symlink("none", in("dangling")), os.Symlink("round", in("round")))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct{ at, same string }{
		"disk": {in("disk"), "disk"}, "none": {in("none"), ""}, "dangling": {in("none"), ""},
		"two": {in("deep") + "/../f", "disk/f"}, "whole": {in("disk"), "disk"}, "deep": {in("disk/deep"), "disk/deep"},
	} {
		at, info, err := Follow(OS, in(name), nil)
		if err != nil || at != want.at || (info == nil) != (want.same == "") {
			t.Errorf("%s: %q, %v (%v)", name, at, info, err)
		}
		if info == nil {
			continue
		}
		if there, err := os.Stat(in(want.same)); err != nil || !OS.SameFile(there, info) {
			t.Errorf("%s: %v is not %s (%v)", name, info.Name(), want.same, err)
		}
	}
	for name, want := range map[string]error{"round": syscall.ELOOP, "disk/f/x": syscall.ENOTDIR} {
		if _, _, err := Follow(OS, in(name), nil); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	last := func(at string) bool { return filepath.Base(at) == "up" || filepath.Base(at) == "dangling" }
	if at, info, err := Follow(OS, in("two"), last); err != nil || at != in("deep/up") || !info.Mode().IsRegular() {
		t.Errorf("up to the last: %q, %v (%v)", at, info, err)
	}
	if _, _, err := Follow(OS, in("dangling"), last); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a last one that leads nowhere: %v", err)
	}
}

// What is nearest may be the path itself, a folder above, or a file where one should be.
func TestStanding(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.MkdirAll("a/b", 0o755), os.WriteFile("a/f", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"a/b": "a/b", "a/b/c/d": "a/b", "a/f/x/y": "a/f", "new": ".", "new/er": ".", "/no such/folder": "/",
	} {
		if at, info, err := Standing(OS, path); err != nil || at != want || info.IsDir() == (want == "a/f") {
			t.Errorf("%s: %q, %v (%v)", path, at, info, err)
		}
	}
	if err := os.Symlink("round", "round"); err != nil {
		t.Fatal(err)
	}
	if at, _, err := Standing(OS, "round/a"); !errors.Is(err, syscall.ELOOP) || at != "round/a" {
		t.Errorf("links in a circle: %q (%v)", at, err)
	}
}
