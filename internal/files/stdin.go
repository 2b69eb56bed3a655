package files

import (
	"io/fs"
	"os"
)

// Stdin is what a Reader of WithStdin calls the standard input. A file of that name is "./-".
const Stdin = "-"

// WithStdin is fsys, but Stdin is the standard input of the process. That counts as a pipe whatever it is: it is read
// from where it stands, and only once.
func WithStdin(fsys Reader) Reader { return withStdin{fsys, os.Stdin} }

type withStdin struct {
	Reader
	in *os.File
}

func (w withStdin) Open(name string) (File, error) {
	if name == Stdin {
		return file{w.in}, nil
	}
	return w.Reader.Open(name)
}

func (w withStdin) Stat(name string) (fs.FileInfo, error) {
	if name != Stdin {
		return w.Reader.Stat(name)
	}
	info, err := w.in.Stat()
	if err != nil {
		return nil, err
	}
	return pipe{info}, nil
}

// pipe is what is read as a pipe is.
type pipe struct{ fs.FileInfo }

func (pipe) Mode() fs.FileMode { return fs.ModeNamedPipe }
func (pipe) IsDir() bool       { return false }
