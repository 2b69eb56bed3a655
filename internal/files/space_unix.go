//go:build linux || darwin

package files

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

func (system) CanWrite(dir string) error {
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return &fs.PathError{Op: "write to", Path: dir, Err: err}
	}
	return nil
}

func (system) Space(dir string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Space{}, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	size := int64(s.Bsize) //nolint:unconvert // 32 bits wide on some machines
	return Space{
		Free: int64(s.Bavail) * size, Total: int64(s.Blocks) * size,
		FilesFree: int64(s.Ffree), FilesTotal: int64(s.Files),
	}, nil
}
