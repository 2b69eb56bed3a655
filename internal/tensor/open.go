package tensor

import (
	"errors"
	"io"

	"alexnet/internal/files"
)

// Open opens a file of tensors, and tells how many bytes it has. One that is not regular, for which a FIFO would wait,
// and a pointer of Git LFS are a *BadFile.
func Open(fsys files.Reader, path string) (f files.File, size int64, err error) {
	info, err := fsys.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, &BadFile{Path: path, Fault: OtherFormat, Reason: "not a regular file"}
	}
	if f, err = fsys.Open(path); err != nil {
		return nil, 0, err
	}
	if size, err = sizeOf(f); err != nil {
		return nil, 0, errors.Join(At(path, err), f.Close())
	}
	return f, size, nil
}

// sizeOf is the size of a file that does not stand for another one.
func sizeOf(f files.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	head := make([]byte, min(info.Size(), 64))
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, info.Size()), head); err != nil {
		return 0, err
	}
	if files.IsPointer(head) {
		return 0, &BadFile{Fault: Pointer, Reason: files.ErrPointer.Error()}
	}
	return info.Size(), nil
}
