package s3

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"slices"
	"testing"
	"time"

	"alexnet/internal/data"
	"alexnet/internal/recipe"
)

// pictures makes a tar of twenty, each of one grey value, in two classes.
func pictures(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range 20 {
		grey := image.NewGray(image.Rect(0, 0, 40, 40))
		for k := range grey.Pix {
			grey.Pix[k] = uint8(i)
		}
		grey.Set(0, 0, color.Gray{uint8(i)})
		var file bytes.Buffer
		if err := png.Encode(&file, grey); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("train/%s/%02d.png", []string{"a", "b"}[i%2], i)
		err := w.WriteHeader(&tar.Header{Name: name, Size: int64(file.Len()), Mode: 0o644, Typeflag: tar.TypeReg})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(file.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// values reads an epoch in the order of the set.
func values(t testing.TB, src *data.Source) (all []uint8, err error) {
	t.Helper()
	l, err := data.NewLoader(t.Context(), src.Train, data.LoaderOptions{
		Batch: 5, NoCache: true, Recipe: recipe.Recipe{Height: 40, Width: 40, Channels: 1, Crop: 40},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for len(all) < 20 {
		info, err := l.Next()
		if err != nil {
			return all, err
		}
		for row := range info.Rows {
			if info.Batch.Labels[row] >= 0 {
				all = append(all, info.Batch.Pixels[row*40*40])
			}
		}
	}
	return all, nil
}

// A source over the network is one: outages are waited for and change nothing, a refusal blames no picture, another
// object in the place ends the reading at once.
func TestSource(t *testing.T) {
	s := newStore(t)
	raw := pictures(t)
	s.put(t, "a", raw)
	var want []uint8
	for _, class := range []int{0, 1} {
		for i := range 10 {
			want = append(want, uint8(2*i+class))
		}
	}
	for _, size := range []int64{1 << 20, 0} {
		src, err := data.Open(t.Context(), newReader(t, t.TempDir(), size), data.At("s3://pictures/a"), 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, mood := range []http.HandlerFunc{nil, refuse(403, "ExpiredToken"), refuse(503, "SlowDown")} {
			if mood != nil {
				s.feel(times(3, mood))
			}
			src.SetPatience(data.Patience{Retry: time.Minute})
			if got, err := values(t, src); err != nil || !slices.Equal(got, want) {
				t.Errorf("read %v (%v)", got, err)
			}
		}
		src.SetPatience(data.Patience{})
		s.feel(times(1000, refuse(403, "ExpiredToken")))
		if size == 0 { // else all is on the disk
			_, err = values(t, src)
			var fault *data.SourceFault
			if !errors.As(err, &fault) || fault.Changed {
				t.Errorf("error %v", err)
			}
		}
		s.feel(nil)
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
	src, err := data.Open(t.Context(), newReader(t, t.TempDir(), 0), data.At("s3://pictures/a"), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	other := slices.Clone(raw)
	other[len(other)-1]++ // of the same size and time
	s.put(t, "a", other)
	src.SetPatience(data.Patience{Retry: time.Hour})
	_, err = values(t, src)
	var fault *data.SourceFault
	if !errors.As(err, &fault) || !fault.Changed {
		t.Errorf("error %v", err)
	}
}

// Class folders work as well, and what is not there says so.
func TestSourceOfFolders(t *testing.T) {
	s := newStore(t)
	r := newReader(t, t.TempDir(), 1<<20)
	tr := tar.NewReader(bytes.NewReader(pictures(t)))
	for h, err := tr.Next(); err == nil; h, err = tr.Next() {
		var file bytes.Buffer
		if _, err := file.ReadFrom(tr); err != nil {
			t.Fatal(err)
		}
		s.put(t, "sets/one/"+h.Name, file.Bytes())
	}
	src, err := data.Open(t.Context(), r, data.At("s3://pictures/sets"), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if got, err := values(t, src); err != nil || len(got) != 20 || got[19] != 19 {
		t.Errorf("read %v (%v)", got, err)
	}
	for name, want := range map[string]data.Problem{
		"s3://pictures/none": data.NotFound, "s3://nobody/x": data.NotFound,
	} {
		_, err := data.Open(context.Background(), r, data.At(name), 0, 1)
		var of *data.SourceError
		if !errors.As(err, &of) || of.Problem != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
