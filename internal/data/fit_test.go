package data

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"slices"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/files"
	"alexnet/internal/recipe"
)

// TestFit: a page says how pictures are made square and how they are resized, the same for a set and for files, and
// views by two recipes are kept apart. Between the two nearest pixels they are what OpenCV makes of the picture
// (scripts/resize.py), to one level; with antialiasing they are others.
func TestFit(t *testing.T) {
	const height, width, side = 100, 75, 12
	dir := folder(t, map[string][]byte{"a/1.png": openCVsPicture(t, height, width)})
	src := open(t, dir, 0, 1)
	for _, fit := range []config.Fit{config.CropFit, config.SquashFit} {
		want := openCVs(t, height, width, side, string(fit))
		for _, how := range []config.Interpolation{config.TwoNearest, config.Antialiased} {
			cfg := config.Config{
				Model: config.Model{Input: config.Input{Size: side, Channels: 3}},
				Data:  config.Data{Resize: side, Fit: fit, Interpolation: how, Mean: config.MeanImage},
			}
			by, err := Measure(t.Context(), src.Train, recipe.New(&cfg), MeasureOptions{Workers: 1})
			if err != nil {
				t.Fatal(err)
			}
			v, err := src.Train.view(&by.Recipe, false)
			if err != nil {
				t.Fatal(err)
			}
			got := v.slab[:v.size()]
			paths := []string{dir + "/a/1.png"}
			for pic, err := range decodeFiles(t.Context(), files.OS, paths, &by.Recipe, 1, Patience{}) {
				if err != nil || !slices.Equal(pic.Pixels, got) {
					t.Errorf("%s, %s: a set and a file differ (%v)", fit, how, err)
				}
			}
			off := 0
			for k := range want {
				off = max(off, int(got[k])-int(want[k]), int(want[k])-int(got[k]))
			}
			if linear := how == config.TwoNearest; linear && off > 1 || !linear && off < 8 {
				t.Errorf("%s, %s: off by %d levels from OpenCV's INTER_LINEAR", fit, how, off)
			}
		}
	}
}

// openCVsPicture is a PNG of the picture of scripts/resize.py.
func openCVsPicture(t *testing.T, height, width int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			at := func(c int) uint8 { return uint8((x*x*(c+3) + y*y*5 + x*y*7 + 31*c) >> 3) }
			img.SetNRGBA(x, y, color.NRGBA{at(0), at(1), at(2), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// openCVs is what OpenCV made of that picture: (side, side, 3).
func openCVs(t *testing.T, height, width, side int, fit string) []byte {
	t.Helper()
	raw, err := os.ReadFile("picture/testdata/opencv.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Height, Width, Side int
			Fit, Pixels         string
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, c := range file.Cases {
		if c.Height == height && c.Width == width && c.Side == side && c.Fit == fit {
			pixels, err := hex.DecodeString(c.Pixels)
			if err != nil || len(pixels) != 3*side*side {
				t.Fatalf("%d bytes, %v", len(pixels), err)
			}
			return pixels
		}
	}
	t.Fatalf("no case of %dx%d to %d by %s", height, width, side, fit)
	return nil
}
