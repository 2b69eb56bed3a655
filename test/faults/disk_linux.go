package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// haveTool says which program is missing.
func haveTool(name string) error {
	if _, err := exec.LookPath(name); err != nil {
		return skip("needs %s", name)
	}
	return nil
}

// tool runs a program of the system.
func tool(ctx context.Context, argv ...string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// isMounted tells whether something is mounted at a path without links in it.
func isMounted(path string) bool {
	text, err := os.ReadFile("/proc/self/mounts")
	return err == nil && strings.Contains(string(text), " "+path+" ")
}

// cutPower shuts down the file system that a folder is on: nothing that is not on the disk yet gets there, the log
// neither. What is asked of it from now on fails.
func cutPower(dir string) error {
	const (
		shutdown   = 0x8004587d // FS_IOC_SHUTDOWN, of ext4 and XFS alike
		noLogFlush = 2
	)
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // a folder
	return unix.IoctlSetPointerInt(int(f.Fd()), shutdown, noLogFlush)
}

// leave lets a tmpfs have so much more than what is on it: bytes, or files.
func leave(ctx context.Context, at string, r room, left int) error {
	var s unix.Statfs_t
	if err := unix.Statfs(at, &s); err != nil {
		return err
	}
	option := fmt.Sprintf("size=%d", (s.Blocks-s.Bfree)*uint64(s.Bsize)+uint64(left))
	if r.name == "inodes" {
		option = fmt.Sprintf("nr_inodes=%d", s.Files-s.Ffree+uint64(left))
	}
	return tool(ctx, "mount", "-o", "remount,"+option, at)
}

func makeFIFO(path string) error { return unix.Mkfifo(path, 0o666) }
