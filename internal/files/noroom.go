package files

import (
	"fmt"

	"alexnet/internal/text"
)

// NoRoom says that what is to be written does not fit on the disk, before any of it is.
type NoRoom struct {
	Path       string // where it was to be
	What       string // and its verb: "the checkpoints need"
	Need, Free int64  // bytes, or files
	Files      bool
}

func (e *NoRoom) Error() string {
	if e.Files {
		return fmt.Sprintf("%s: %s room for %d files more, there is room for %d", text.Name(e.Path), e.What, e.Need,
			e.Free)
	}
	return fmt.Sprintf("%s: %s %s, %s are free", text.Name(e.Path), e.What, text.Bytes(e.Need), text.Bytes(e.Free))
}

// Room is a *NoRoom where so many bytes and files do not fit beside a folder's other files. Where the file system does
// not tell, or tells nonsense as some do, there is room.
func Room(fsys Reader, dir, path, what string, bytes, count int64) error {
	meter, ok := fsys.(Meter)
	if !ok {
		return nil
	}
	space, err := meter.Space(dir)
	switch {
	case err != nil: // what comes of it is told when something is written
	case space.Known() && space.Free < bytes:
		return &NoRoom{Path: path, What: what, Need: bytes, Free: space.Free}
	case space.FilesKnown() && space.FilesFree < count:
		return &NoRoom{Path: path, What: what, Need: count, Free: space.FilesFree, Files: true}
	}
	return nil
}
