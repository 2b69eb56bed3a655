package data

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/files"
	"alexnet/internal/recipe"
)

// TestSizeOfMost: the pictures' size is that of most of them, whichever comes first; the others are named.
func TestSizeOfMost(t *testing.T) {
	for want, sizes := range map[[2]int][][2]int{
		{32, 32}: {{40, 40}, {32, 32}, {32, 32}},
		{5, 6}:   {{7, 8}, {5, 6}, {0, 0}, {0, 0}, {0, 0}, {5, 6}}, // unreadable ones have none
		{7, 8}:   {{7, 8}, {5, 6}, {5, 6}, {7, 8}},                 // as many: the first
	} {
		all := map[string][]byte{}
		for i, s := range sizes {
			raw := []byte("none")
			if s[0] > 0 {
				raw = pngOf(t, s[1], s[0], 3)
			}
			all[fmt.Sprintf("a/%d.png", i)] = raw
		}
		src := open(t, folder(t, all), 0, 1)
		r, err := Measure(t.Context(), src.Train, recipe.Recipe{Channels: 3}, MeasureOptions{Workers: 2})
		if err != nil || r.Height != want[0] || r.Width != want[1] {
			t.Errorf("%v: %dx%d, %v", sizes, r.Width, r.Height, err)
		}
		for _, b := range src.Train.Bad() {
			var size *SizeError
			if errors.As(b, &size) && (size.WantHeight != want[0] || size.Height == want[0]) {
				t.Errorf("%v: %v", sizes, b)
			}
		}
		if n := len(src.Train.Bad()); n != len(sizes)-count(sizes, want) {
			t.Errorf("%v: %d pictures named", sizes, n)
		}
	}
}

// TestSizeOfMany: of many pictures a part is looked at, across all of them.
func TestSizeOfMany(t *testing.T) {
	var store Memory
	var records []Record
	small, large := pngOf(t, 4, 4, 1), pngOf(t, 9, 9, 1)
	for i := range 3 * sizeSample {
		raw := small
		if i < sizeSample+10 {
			raw = large
		}
		store = append(store, raw)
		records = append(records, Record{Name: fmt.Sprintf("%05d", i), Number: int32(i)})
	}
	set := newSet(records, store, &cache{kept: map[viewKey][]*Set{}})
	if h, w, err := set.PictureSize(t.Context(), &recipe.Recipe{Channels: 3}); h != 4 || w != 4 || err != nil {
		t.Errorf("%dx%d, %v", w, h, err)
	}
}

func count[T comparable](all []T, one T) (n int) {
	for _, x := range all {
		if x == one {
			n++
		}
	}
	return n
}

// TestExif: a recipe says whether pictures are turned, the same for a set, for files and for the size; a recipe that
// says nothing leaves them as they are, and views of both kinds are kept apart.
func TestExif(t *testing.T) {
	raw := testFile(t, "pillow/exif-6.jpg") // 19x13
	dir := folder(t, map[string][]byte{"a/1.jpg": raw, "a/2.jpg": raw})
	src := open(t, dir, 0, 1)
	seen := map[config.Exif][]uint8{}
	for _, exif := range []config.Exif{"", config.IgnoreExif, config.ApplyExif} {
		page := recipe.Recipe{Channels: 3, Exif: exif, MeanKind: config.MeanImage}
		by, err := Measure(t.Context(), src.Train, page, MeasureOptions{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		want := [2]int{13, 19}
		if exif == config.ApplyExif {
			want = [2]int{19, 13}
		}
		if [2]int{by.Height, by.Width} != want {
			t.Errorf("%q: %dx%d", exif, by.Width, by.Height)
		}
		paths := []string{dir + "/a/1.jpg"}
		for pic, err := range decodeFiles(t.Context(), files.OS, paths, &by.Recipe, 1, Patience{}) {
			if err != nil {
				t.Fatal(err)
			}
			seen[exif] = slices.Clone(pic.Pixels)
		}
		v, err := src.Train.view(&by.Recipe, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.slab[:v.size()]; !slices.Equal(got, seen[exif]) {
			t.Errorf("%q: a set and a file differ", exif)
		}
	}
	if !slices.Equal(seen[""], seen[config.IgnoreExif]) || slices.Equal(seen[""], seen[config.ApplyExif]) {
		t.Error("ignoring is the default of a recipe, and turning makes another picture")
	}
	square := recipe.Recipe{Resize: 8, Height: 8, Width: 8, Crop: 8, Channels: 3}
	upright := square
	upright.Exif = config.ApplyExif
	a, errA := src.Train.view(&square, false)
	b, errB := src.Train.view(&upright, false)
	if err := errors.Join(errA, errB); err != nil || a == b {
		t.Errorf("one view for both (%v)", err)
	}
	info, err := Inspect(t.Context(), src, InspectOptions{Workers: 1})
	if err != nil || info.Turned != 2 || info.Width.Min != 13 || info.Height.Max != 19 {
		t.Errorf("%+v, %v", info, err)
	}
}
