//go:build linux || darwin

package atomicfile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/files"
)

// mixed writes with Write and WriteAt: "Ab".
func mixed(f File) error {
	_, err := io.WriteString(f, "ab")
	_, err2 := f.WriteAt([]byte("A"), 0)
	return errors.Join(err, err2)
}

// Links are followed, over folders that are links too, and stay; their target is replaced or made.
func TestPutFollowsLinks(t *testing.T) {
	for name, target := range map[string]string{
		"plain": "plain", "new": "new", "link": "real", "far": "real", "dangling": "made", "up": "deep/beside",
	} {
		dir := t.TempDir()
		in := func(name string) string { return filepath.Join(dir, name) }
		err := errors.Join(
			os.WriteFile(in("plain"), []byte("old"), 0o640), os.WriteFile(in("real"), []byte("old"), 0o640),
			os.MkdirAll(in("deep/er"), 0o755), os.Symlink("deep/er", in("folder")),
			os.Symlink("real", in("link")), os.Symlink(in("link"), in("far")), os.Symlink("made", in("dangling")),
			os.Symlink("folder/out", in("up")), os.Symlink("../beside", in("deep/er/out")),
		)
		if err != nil {
			t.Fatal(err)
		}
		before, err := os.Readlink(in(name))
		link := err == nil
		n, err := Put(t.Context(), files.OS, in(name), mixed)
		if err != nil || n != 2 {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		if got, err := os.ReadFile(in(target)); err != nil || string(got) != "Ab" {
			t.Errorf("%s: %s holds %q (%v)", name, target, got, err)
		}
		if after, err := os.Readlink(in(name)); link && (err != nil || after != before) {
			t.Errorf("%s: the link is %q now (%v)", name, after, err)
		}
		if info, err := os.Stat(in("real")); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: mode %v (%v)", name, info.Mode(), err)
		}
		if left, _ := filepath.Glob(in(".*")); len(left) > 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
}

func TestPutRefuses(t *testing.T) {
	dir, err := os.MkdirTemp("", "put") // short: a socket's name has at most 104 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	round := filepath.Join(dir, "round")
	if err := os.Symlink("round", round); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{dir: "a folder", filepath.Join(dir, "s"): "a socket"} {
		_, err := Put(t.Context(), files.OS, name, mixed)
		var other *files.InTheWay
		if !errors.As(err, &other) || !strings.Contains(err.Error(), name+" is "+want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if _, err := Put(t.Context(), files.OS, round, mixed); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link to itself: %v", err)
	}
}

func TestPutIntoPipe(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<14) // more than a pipe holds
	got := make(chan []byte)
	go func() {
		time.Sleep(50 * time.Millisecond) // the writer is first
		b, err := os.ReadFile(fifo)
		if err != nil {
			t.Error(err)
		}
		got <- b
	}()
	n, err := Put(t.Context(), files.OS, fifo, func(f File) error {
		_, err := f.Write(content)
		return err
	})
	if b := <-got; err != nil || n != int64(len(content)) || !bytes.Equal(b, content) {
		t.Errorf("%d bytes written (%v), %d read", n, err, len(b))
	}
	if info, err := os.Lstat(fifo); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Errorf("the pipe is now %v (%v)", info.Mode(), err)
	}
}

// Whoever waits for a reader that does not come, or does not read, hears of the end.
func TestPutEndsWithContext(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("Ctrl-C")
	for _, opened := range []bool{false, true} {
		if opened {
			idle, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer idle.Close()
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
		began := time.Now()
		_, err := Put(ctx, files.OS, fifo, func(f File) error {
			_, err := f.Write(make([]byte, 1<<20))
			return err
		})
		if d := time.Since(began); !errors.Is(err, cause) || d > time.Second {
			t.Errorf("a reader is there: %t; ended after %v with %v", opened, d, err)
		}
	}
}

func TestPutIntoDevices(t *testing.T) {
	for name, want := range map[string]error{"/dev/null": nil, "/dev/full": syscall.ENOSPC} {
		before, err := os.Stat(name)
		if err != nil {
			t.Logf("no %s here", name)
			continue
		}
		_, err = Put(t.Context(), files.OS, name, mixed)
		if !errors.Is(err, want) || err != nil && !strings.HasPrefix(err.Error(), "cannot write "+name+": ") {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.Stat(name); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s was replaced by %v (%v)", name, after, err)
		}
	}
}

// An open file of the process is written to, and its name, if it has one, is not looked for.
func TestPutIntoOpenFile(t *testing.T) {
	if _, err := os.Stat("/dev/fd"); err != nil {
		t.Skip("no /dev/fd here")
	}
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("before "); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join("/dev/fd", strconv.FormatUint(uint64(f.Fd()), 10))
	place, err := Look(files.OS, name)
	if err != nil || !place.Through || place.Descriptor != int(f.Fd()) {
		t.Errorf("%s leads to %+v, %v", name, place, err)
	}
	if _, err := Put(t.Context(), files.OS, name, mixed); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, filepath.Dir(path), map[string]string{"f": "before Ab"})
	if place, err := Look(files.OS, "/dev/stdout"); err != nil || !place.Through || place.Descriptor != 1 {
		t.Errorf("/dev/stdout leads to %+v, %v", place, err)
	}
}

func TestPutFailsInContent(t *testing.T) {
	cause := errors.New("no content")
	if _, err := Put(t.Context(), files.OS, os.DevNull, func(File) error { return cause }); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
}
