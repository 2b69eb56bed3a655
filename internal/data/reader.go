package data

import (
	"context"
	"fmt"

	"alexnet/internal/data/picture"
	"alexnet/internal/recipe"
)

// reader reads and decodes pictures. It owns what one goroutine reuses from one picture to the next.
type reader struct {
	decoder *picture.Decoder
	raw     []byte // the file
}

// newReader makes a reader; close it.
func newReader() *reader { return &reader{decoder: picture.NewDecoder()} }

func (r *reader) close() { r.decoder.Close() }

// load reads and decodes picture i of a set; resize and channels are picture.Decoder's. Errors are those of Set.Read.
func (r *reader) load(ctx context.Context, set *Set, i, resize, channels int, dst []uint8) (picture.Picture, error) {
	raw, err := set.Read(ctx, i, r.raw)
	if err != nil {
		return picture.Picture{}, err
	}
	r.raw = raw
	pic, err := r.decoder.Decode(raw, resize, channels, dst)
	if err != nil {
		return picture.Picture{}, set.badPicture(i, err)
	}
	if pic.File.Format == "jpeg" {
		set.jpeg.Store(true)
	}
	return pic, nil
}

// PictureSize is the height and width of the set's pictures by a recipe: Resize x Resize, or else the size of the first
// readable one.
func (s *Set) PictureSize(ctx context.Context, by *recipe.Recipe) (height, width int, err error) {
	if by.Resize > 0 {
		return by.Resize, by.Resize, nil
	}
	r := newReader()
	defer r.close()
	var first error
	for i := range s.records {
		pic, err := r.load(ctx, s, i, 0, by.Channels, nil)
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
