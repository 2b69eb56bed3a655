package data

import (
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/recipe"
)

// What a net sees is the centre of a picture, pixel for pixel, whether it is found by its path or by its number in a
// set; one that cannot be read is named.
func TestSeen(t *testing.T) {
	dir := t.TempDir()
	at := func(i, x, y int) color.RGBA { return color.RGBA{uint8(10 * x), uint8(10 * y), uint8(i), 255} }
	var paths []string
	for i, name := range []string{"cat/0.png", "cat/1.png", "dog/0.png"} {
		m := image.NewRGBA(image.Rect(0, 0, 8, 6))
		for y := range 6 {
			for x := range 8 {
				m.SetRGBA(x, y, at(i, x, y))
			}
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(png.Encode(f, m), f.Close()); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	check := func(l *Pictures, by recipe.Recipe, numbers ...int) {
		t.Helper()
		k := 0
		for m, err := range l.Seen(t.Context(), &by, Patience{}) {
			i := numbers[k]
			k++
			if i < 0 {
				if !errors.As(err, new(*BadPicture)) {
					t.Errorf("a picture that is not there: %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for y := range by.Crop {
				for x := range by.Crop {
					want := at(i, x+(8-by.Crop)/2, y+(6-by.Crop)/2)
					if by.Channels == 1 {
						g := m.RGBAAt(x, y).R
						want = color.RGBA{g, g, g, 255}
					}
					if got := m.RGBAAt(x, y); got != want {
						t.Fatalf("picture %d at %d, %d is %v, want %v", i, x, y, got, want)
					}
				}
			}
		}
		if k != len(numbers) {
			t.Errorf("%d pictures, want %d", k, len(numbers))
		}
	}
	by := recipe.Recipe{Height: 6, Width: 8, Crop: 4, Channels: 3}
	check(Files(files.OS, append(paths, filepath.Join(dir, "none"))), by, 0, 1, 2, -1)
	by.Channels = 1
	check(Files(files.OS, paths), by, 0, 1, 2)
	by.Channels = 3
	all := opens(t, At(dir)).Train
	check(all.Pictures([]int{2, 0}), by, 2, 0)
	if got := all.Pictures([]int{2}).Name(0); got != all.Name(2) {
		t.Errorf("it is called %s, not %s", got, all.Name(2))
	}
}

// An order that is drawn has every number once, and is the seed's.
func TestDrawn(t *testing.T) {
	one, again, other := Drawn(100, 1), Drawn(100, 1), Drawn(100, 2)
	if !slices.Equal(one, again) || slices.Equal(one, other) || slices.IsSorted(one) {
		t.Errorf("drawn are %v, %v and %v", one, again, other)
	}
	for _, order := range [][]int{one, other} {
		slices.Sort(order)
		for i, k := range order {
			if i != k {
				t.Fatalf("%d is not there once", i)
			}
		}
	}
	if len(Drawn(0, 1)) != 0 {
		t.Error("of none some are drawn")
	}
}
