package data

import (
	"context"
	"fmt"

	"alexnet/internal/data/picture"
	"alexnet/internal/files"
)

// reader reads and decodes pictures. It owns what one goroutine reuses from one picture to the next.
type reader struct {
	decoder *picture.Decoder
	raw     []byte // the file
}

// newReader makes a reader; close it.
func newReader() *reader { return &reader{decoder: picture.NewDecoder()} }

func (r *reader) close() { r.decoder.Close() }

// load reads and decodes picture i of a set. Errors are those of Set.Read.
func (r *reader) load(ctx context.Context, set *Set, i int, p picture.Prep, dst []uint8) (picture.Picture, error) {
	raw, err := set.Read(ctx, i, r.raw)
	if err != nil {
		return picture.Picture{}, err
	}
	r.raw = raw
	pic, err := r.decoder.Decode(raw, p, dst)
	if err != nil {
		return picture.Picture{}, set.badPicture(i, err)
	}
	return pic, nil
}

// DecodeFile reads and decodes a single file. Failures are *BadPicture with the path as name.
func DecodeFile(fsys files.Reader, path string, p picture.Prep) (picture.Picture, error) {
	raw, err := readFile(fsys, path, nil)
	if err != nil {
		return picture.Picture{}, &BadPicture{Name: path, Err: err}
	}
	pic, err := p.Decode(raw, nil)
	if err != nil {
		return picture.Picture{}, &BadPicture{Name: path, Err: err}
	}
	return pic, nil
}

// PictureSize is the height and width that the pictures of the set have after Prep: Resize x Resize, or else the size
// of the first readable one.
func (s *Set) PictureSize(ctx context.Context, p picture.Prep) (height, width int, err error) {
	if p.Resize > 0 {
		return p.Resize, p.Resize, nil
	}
	r := newReader()
	defer r.close()
	var first error
	for i := range s.records {
		pic, err := r.load(ctx, s, i, p, nil)
		switch {
		case err == nil:
			return pic.Height, pic.Width, nil
		case ctx.Err() != nil:
			return 0, 0, ctx.Err()
		case first == nil:
			first = s.badPicture(i, err)
		}
	}
	return 0, 0, unreadable(s, first)
}

// unreadable is the error of a set none of whose pictures can be read.
func unreadable(set *Set, first error) error {
	if set.Len() == 0 {
		return fmt.Errorf("%w: no pictures in this part of the data", ErrNoData)
	}
	return fmt.Errorf("%w: none of %d pictures can be read: %w", ErrNoData, set.Len(), first)
}
