package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// takenFiles lets a process open nothing more.
func takenFiles(_ string, p *process) error { return limitFiles(p, 0) }

func givenFiles(_ string, p *process) error { return limitFiles(p, 1000) }

func limitFiles(p *process, n uint64) error {
	if !p.running() {
		return nil
	}
	var now unix.Rlimit
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &now); err != nil {
		return err
	}
	now.Cur = min(n, now.Max)
	return unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_NOFILE, &now, nil)
}

// unmounted trains on a share and unmounts it under the run. What is mounted is seen by this case only, and gone with
// it.
func (l *lab) unmounted(ctx context.Context, c *testCase, dir string) error {
	mount := func(where string, _ *process) error {
		return unix.Mount(l.shapes, where, "", unix.MS_BIND, "")
	}
	what := "a folder"
	if c.rand.IntN(2) == 0 { // comes back as another file system with the same files in it
		what = "tmpfs"
		mount = func(where string, _ *process) error {
			if err := unix.Mount("share", where, "tmpfs", 0, "size=8m,mode=755"); err != nil {
				return err
			}
			return os.CopyFS(where, os.DirFS(l.shapes))
		}
	}
	k := outage{
		name: "share unmounted", lost: c.rand.IntN(2) == 0, codes: well,
		spoil:   func(where string, _ *process) error { return unix.Unmount(where, unix.MNT_DETACH) },
		restore: mount,
	}
	if k.lost {
		k.codes = refused
	}
	where := filepath.Join(dir, "data")
	if err := os.Mkdir(where, 0o777); err != nil {
		return err
	}
	err := apart(func() error {
		if err := mount(where, nil); err != nil {
			return skip("nothing can be mounted here: %v", err)
		}
		return l.attempts(ctx, c, dir, where, "reference", k, nil)
	})
	if err != nil {
		return fmt.Errorf("%s (%s, for good: %v): %w", k.name, what, k.lost, err)
	}
	return nil
}

// apart runs f where what it mounts is seen by it and the processes that it starts only.
func apart(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			done <- skip("to mount something needs root: %v", err)
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			done <- skip("nothing can be mounted here: %v", err)
			return
		}
		done <- f()
	}()
	return <-done
}
