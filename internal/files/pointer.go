package files

import (
	"bytes"
	"errors"
)

// ErrPointer is a file that stands for another one, which Git LFS has not fetched.
var ErrPointer = errors.New("is a pointer of Git LFS, not the file itself")

// IsPointer tells whether a file that begins so is one.
func IsPointer(head []byte) bool {
	return bytes.HasPrefix(head, []byte("version https://git-lfs.github.com/spec/v1"))
}
