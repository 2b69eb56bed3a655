package bench

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/step/steptest"
)

// jpegs is a source of JPEGs in memory; the last is of another size where odd.
func jpegs(t *testing.T, odd bool) *data.Source {
	t.Helper()
	var store data.Memory
	c := data.Contents{Path: "jpegs", Kind: data.Generated, Classes: []string{"a", "b"}}
	for i := range int32(40) {
		side := 16
		if odd && i == 39 {
			side = 20
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, image.NewNRGBA(image.Rect(0, 0, side, side)), nil); err != nil {
			t.Fatal(err)
		}
		store = append(store, b.Bytes())
		c.Train = append(c.Train, data.Record{Name: string('a' + i), Label: i % 2, Number: i})
	}
	source := data.New(c, store, 0, 1)
	t.Cleanup(func() { _ = source.Close() })
	return source
}

// spoilt is a store of which picture 2 cannot be read, picture 3 not be decoded, and that fails once at picture 4.
type spoilt struct {
	data.Memory
	failed atomic.Bool
}

func (s *spoilt) Read(ctx context.Context, i int, buf []byte) ([]byte, error) {
	raw, err := s.Memory.Read(ctx, i, buf)
	switch {
	case i == 2:
		return nil, errors.New("no permission")
	case i == 3:
		return raw[:len(raw)/2], err
	case i == 4 && s.failed.CompareAndSwap(false, true):
		return nil, &data.SourceFault{Path: "jpegs", Err: syscall.EIO}
	}
	return raw, err
}

// Pictures that are bad are left out as the loader leaves them out, and a source that fails is tried again.
func TestDecodingSpoilt(t *testing.T) {
	if picture.JPEGLibrary() == picture.Standard {
		t.Skip("libjpeg-turbo is not installed")
	}
	whole := jpegs(t, false)
	c := data.Contents{Path: "jpegs", Kind: data.Generated, Classes: whole.Classes}
	store := &spoilt{}
	for i := range whole.Train.Len() {
		raw, err := whole.Train.Read(t.Context(), i, nil)
		if err != nil {
			t.Fatal(err)
		}
		store.Memory = append(store.Memory, raw)
		c.Train = append(c.Train, data.Record{Name: whole.Train.Name(i), Label: int32(i % 2), Number: int32(i)})
	}
	source := data.New(c, store, 0, 1)
	defer source.Close()
	source.SetPatience(data.Patience{Retry: time.Minute})
	r, err := Run(t.Context(), Options{
		Config: steptest.Page(t, "model.classes=0"), Source: source, Mode: Data, Steps: 12,
	})
	if err != nil || r.Decoding == nil || !(r.Decoding.ImagesPerSecond > 0) || !store.failed.Load() {
		t.Errorf("%+v, %v", r, err)
	}
}

// Decoding alone is measured in turn with the loader, where libjpeg-turbo decodes each picture to just its size.
func TestDecodingAlone(t *testing.T) {
	if picture.JPEGLibrary() == picture.Standard {
		t.Skip("libjpeg-turbo is not installed")
	}
	for _, odd := range []bool{false, true} {
		r, err := Run(t.Context(), Options{
			Config: steptest.Page(t, "model.classes=0"), Source: jpegs(t, odd), Mode: Data, Steps: 12,
		})
		if err != nil {
			t.Fatal(err)
		}
		d := r.Decoding
		if odd {
			if d != nil {
				t.Errorf("compared with what is not the same: %+v", d)
			}
			continue
		}
		if d == nil || !(d.ImagesPerSecond > 0) || len(d.Shares) != 3 || d.Share != d.Shares[1] || d.Shares[0] <= 0 ||
			d.Threads < 1 {
			t.Errorf("%+v", d)
		}
	}
}
