package s3

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/prepare"
	"alexnet/internal/recipe"
)

// setOfPictures puts what package prepare makes of forty pictures into the store, as the prefix set, and gives the
// folder where it made it.
func setOfPictures(t *testing.T, s *store) string {
	t.Helper()
	from, out := t.TempDir(), filepath.Join(t.TempDir(), "set")
	for i := range 40 {
		grey := image.NewGray(image.Rect(0, 0, 20, 20))
		for k := range grey.Pix {
			grey.Pix[k] = uint8(5 * i)
		}
		var file bytes.Buffer
		if err := png.Encode(&file, grey); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(from, "train", []string{"a", "b"}[i%2], fmt.Sprintf("%02d.png", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	src, err := data.Open(t.Context(), files.OS, data.At(from), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	_, err = prepare.Run(t.Context(), src, prepare.Options{
		Making: prepare.Making{Resize: 16, Fit: prepare.Crop, Shards: 4}, Files: files.OS, Out: out,
	})
	if err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range made {
		raw, err := os.ReadFile(filepath.Join(out, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		s.put(t, path.Join("set", e.Name()), raw)
	}
	return out
}

// batches are the labels and pixels of two epochs of training, mixed in windows of two shards, from a sample on.
func batches(t *testing.T, src *data.Source, from uint64) (all []string) {
	t.Helper()
	l, err := data.NewLoader(t.Context(), src.Train, data.LoaderOptions{
		Batch: 8, NoCache: true, Train: true, Seed: 3, Shuffle: config.WindowShuffle, Window: 2,
		Recipe: recipe.Recipe{Height: 16, Width: 16, Channels: 1, Crop: 16},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Seek(from)
	for at := from; at < 80; {
		info, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		rows := info.Batch
		all = append(all, fmt.Sprintf("%d %d %x", info.First, rows.Labels[:info.Rows], rows.Pixels[:info.Rows*16*16]))
		at = info.First + uint64(info.Rows)
	}
	return all
}

// A prepared set in the store gives what it gives from a folder: the same source, in the same order, from anywhere in
// it on.
func TestPreparedSet(t *testing.T) {
	s := newStore(t)
	local, err := data.Open(t.Context(), files.OS, data.At(setOfPictures(t, s)), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	want := batches(t, local, 0)
	for _, name := range []string{"s3://pictures/set", "s3://pictures/set/", "s3:/pictures/set"} {
		for _, size := range []int64{1 << 20, 0} {
			src, err := data.Open(t.Context(), newReader(t, t.TempDir(), size), data.At(name), 0, 1)
			if err != nil {
				t.Fatal(name, err)
			}
			if src.Fingerprint != local.Fingerprint || src.Train.Len() != 40 || src.Form != local.Form {
				t.Errorf("%s: %d pictures, %s", name, src.Train.Len(), src.Form)
			}
			if got := batches(t, src, 0); !slices.Equal(got, want) {
				t.Errorf("%s: other batches", name)
			}
			if got := batches(t, src, 24); !slices.Equal(got, want[3:]) {
				t.Errorf("%s: other batches from the fourth on", name)
			}
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
