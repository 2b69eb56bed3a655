package data

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"alexnet/internal/data/picture"
	"alexnet/internal/data/picture/picturetest"
	"alexnet/internal/files"
	"alexnet/internal/recipe"
)

// TestLongPicture: nobody whose context ends waits for a large picture, none is blamed, and what is left to be decoded
// is written nowhere.
func TestLongPicture(t *testing.T) {
	long := picturetest.Long()
	d := picture.NewDecoder()
	defer d.Close()
	start := time.Now()
	if _, err := d.Decode(t.Context(), long, picture.Want{Resize: 8, Channels: 3}, nil); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(start) // here and now, where others use the cores too
	dir := folder(t, map[string][]byte{"a/1.png": long, "b/1.png": long})
	by := recipe.Recipe{Resize: 8, Height: 8, Width: 8, Crop: 8, Channels: 3}
	for name, way := range map[string]func(context.Context, *Source) error{
		"loader": func(ctx context.Context, src *Source) error {
			l, err := NewLoader(ctx, src.Train, LoaderOptions{Batch: 2, Recipe: by, Workers: 1})
			if err != nil {
				return err
			}
			defer l.Close()
			_, err = l.Next()
			return err
		},
		"loader that is closed": func(ctx context.Context, src *Source) error {
			l, err := NewLoader(t.Context(), src.Train, LoaderOptions{Batch: 2, Recipe: by, Workers: 1})
			if err != nil {
				return err
			}
			l.Seek(0)
			<-ctx.Done()
			l.Close()
			rows := l.o.Slots.Rows(0).Pixels
			t.Cleanup(func() {
				if slices.ContainsFunc(rows, func(p uint8) bool { return p != 0 }) {
					t.Error("written to after Close")
				}
			})
			return ctx.Err()
		},
		"statistics": func(ctx context.Context, src *Source) error {
			_, err := Measure(ctx, src.Train, by, MeasureOptions{
				Workers: 1, OnBad: func(b *BadPicture) { t.Errorf("told of %v", b) },
			})
			return err
		},
		"inspection": func(ctx context.Context, src *Source) error {
			_, err := Inspect(ctx, src, InspectOptions{Workers: 1})
			return err
		},
		"files": func(ctx context.Context, _ *Source) (last error) {
			paths := []string{filepath.Join(dir, "a/1.png")}
			for _, last = range decodeFiles(ctx, files.OS, paths, &by, 1, Patience{}) {
				continue
			}
			return last
		},
	} {
		src := open(t, dir, 0, 1)
		took := time.Duration(math.MaxInt64)
		for try := 0; try < 4 && took > whole/2; try++ { // others may use the cores
			ctx, stop := context.WithCancel(t.Context())
			time.AfterFunc(whole/10, stop)
			start := time.Now()
			if err := way(ctx, src); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: error %v", name, err)
			}
			took = time.Since(start)
			time.Sleep(whole) // what was left behind ends
		}
		if took > whole/2 {
			t.Errorf("%s: let go after %v, a picture takes %v", name, took, whole)
		}
		if bad := src.Train.Bad(); len(bad) > 0 {
			t.Errorf("%s: pictures blamed: %v", name, bad)
		}
	}
}
