package report

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
)

// log is a file that grows by whole records.
type log struct {
	files.File
	size int64 // of what is whole in it, and to stay
	torn bool  // there may be more, which could not be cut yet
}

// append writes a record, or takes back what could be written of it. Where even that fails, the next one does it first:
// no record ever follows a part of one.
func (l *log) append(record []byte) error {
	if len(record) == 0 {
		return nil
	}
	if l.torn {
		if err := l.cut(l.size); err != nil {
			return err
		}
	}
	n, err := l.Write(record)
	if err != nil {
		if n > 0 {
			err = errors.Join(err, l.cut(l.size))
		}
		return err
	}
	l.size += int64(n)
	return nil
}

// cut takes back all records from byte size on.
func (l *log) cut(size int64) error {
	err := l.Truncate(size)
	l.size, l.torn = size, err != nil
	return err
}

// replace writes a record in old's place, which is the last; without an old one it appends. On an error the file is as
// it was.
func (l *log) replace(old spot, record []byte) error {
	if l.size > old.at {
		if err := l.cut(old.at); err != nil {
			return err
		}
	}
	if err := l.append(record); err != nil {
		return errors.Join(err, l.append(old.record))
	}
	return nil
}

// takeBack undoes a replace.
func (l *log) takeBack(old spot) error { return l.replace(old, old.record) }

// keep sees that the file still has its name. Where it has not, because somebody removed it or put another one there,
// the whole content is written under the name again, and the log goes on in that file.
func (l *log) keep(fsys files.FS) (restored bool, err error) {
	name := l.Name()
	own, err := l.Stat()
	if err != nil {
		return false, err
	}
	switch there, err := fsys.Lstat(name); {
	case err == nil && fsys.SameFile(own, there):
		return false, nil
	case err == nil:
		if _, err := files.PutAside(fsys, name); err != nil {
			return false, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	err = atomicfile.Write(fsys, name, func(f atomicfile.File) error {
		_, err := io.Copy(f, io.NewSectionReader(l.File, 0, l.size))
		return err
	})
	if err != nil {
		return false, err
	}
	again, err := files.OpenOwn(fsys, name, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return false, err
	}
	err = l.Close()
	l.File, l.torn = again, false
	return true, err
}
