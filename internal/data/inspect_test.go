package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/sharedtest"
	"alexnet/internal/text"
)

func TestInspect(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"train/a/1.jpg": testFile(t, "rgb.jpg"), "train/a/2.JPEG": testFile(t, "png_named.JPEG"),
		"train/b/1.jpg": testFile(t, "cmyk.jpg"), "train/b/2.jpg": testFile(t, "truncated.jpg"),
		"val/b/1.jpg": testFile(t, "grey.jpg"), "val/b/2.jpg": []byte("text"), "val/b/3.png": testFile(t, "one.png"),
	})
	src := open(t, dir, .1, 1)
	var last [2]int
	got, err := Inspect(t.Context(), src, InspectOptions{
		Workers: 2, Progress: func(done, total int) { last = [2]int{done, total} },
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &SourceInfo{
		Path: text.Raw(dir), Fingerprint: src.Fingerprint, Train: 4, Val: 3, Decoded: 7,
		Form: "class folders", ClassOrder: ByName,
		Classes: []ClassInfo{{Name: "a", Train: 2}, {Name: "b", Train: 2, Val: 3}},
		Formats: map[string]int{"jpeg": 3, "png": 2}, Colors: map[string]int{"rgb": 3, "cmyk": 1, "grey": 1},
		Width: Range{1, 32, 32}, Height: Range{1, 24, 24},
		Unreadable: []Unreadable{
			{"train/b/2.jpg", "jpeg file is cut off"},
			{"val/b/2.jpg", `no picture in a known format: it begins with "text"`},
		},
		Tiny: &Named{5, []text.Raw{
			"train/a/1.jpg", "train/a/2.JPEG", "train/b/1.jpg", "val/b/1.jpg", "val/b/3.png",
		}},
		Misnamed:   &Named{1, []text.Raw{"train/a/2.JPEG"}},
		TrainOnly:  &Named{1, []text.Raw{"a"}},
		Duplicates: &Duplicates{},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if last != [2]int{7, 7} {
		t.Errorf("progress ended at %v", last)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Inspect(ctx, src, InspectOptions{Workers: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

func TestInspectPhotos(t *testing.T) {
	src := open(t, sharedtest.Data(t, "photos.tar"), 0, 1)
	info, err := Inspect(t.Context(), src, InspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if info.Colors["grey"] != 8 || info.Colors["cmyk"] != 0 || len(info.Unreadable) != 0 ||
		info.Formats["jpeg"] != 106 {
		t.Errorf("%v %v %v", info.Formats, info.Colors, info.Unreadable)
	}
	t.Logf("width %+v, height %+v", info.Width, info.Height)
}

// TestInspectSample: of many pictures a share of each part and class is decoded, another with another seed; what
// needs all of them is not told.
func TestInspectSample(t *testing.T) {
	var store Memory
	count := map[string]int{} // how often each was read
	record := func(n, label int, part string) (all []Record) {
		for i := range n {
			name := fmt.Sprintf("%s/%d/%03d.png", part, label, i)
			all = append(all, Record{Name: name, Label: int32(label), Number: int32(len(store))})
			store = append(store, pngOf(t, 40, 33, uint8(i)))
		}
		return all
	}
	train := append(record(300, 0, "train"), record(100, 1, "train")...)
	val, test := record(80, 1, "val"), record(20, 0, "test")
	read := func(o InspectOptions) (names []string, info *SourceInfo) {
		t.Helper()
		noted := &noting{Memory: store, read: map[int]bool{}}
		src := New(Contents{
			Classes: []string{"a", "b"}, Train: slices.Clone(train), Val: slices.Clone(val), Test: slices.Clone(test),
		}, noted, 0, 1)
		info, err := Inspect(t.Context(), src, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range slices.Concat(train, val, test) {
			if noted.read[int(r.Number)] {
				names = append(names, r.Name)
			}
		}
		return names, info
	}
	one, info := read(InspectOptions{Sample: 50, Seed: 1})
	if info.Decoded != 50 || info.Formats["png"] != 50 || info.Duplicates != nil || info.Train != 400 ||
		len(one) != 50 {
		t.Errorf("%d were read: %+v", len(one), info)
	}
	for _, name := range one {
		count[name[:strings.LastIndex(name, "/")]]++
	}
	if d := cmp.Diff(map[string]int{"train/0": 30, "train/1": 10, "val/1": 8, "test/0": 2}, count); d != "" {
		t.Error(d)
	}
	if again, _ := read(InspectOptions{Sample: 50, Seed: 1, Workers: 1}); !slices.Equal(again, one) {
		t.Error("another sample with the same seed")
	}
	if other, _ := read(InspectOptions{Sample: 50, Seed: 2}); slices.Equal(other, one) {
		t.Error("the same sample with another seed")
	}
	for _, n := range []int{0, 500, 501} {
		all, info := read(InspectOptions{Sample: n})
		if len(all) != 500 || info.Decoded != 500 || info.Duplicates == nil {
			t.Errorf("%d: %d were read: %+v", n, len(all), info)
		}
	}
}

// noting is a store that notes what is read.
type noting struct {
	Memory
	mu   sync.Mutex
	read map[int]bool
}

func (n *noting) Read(ctx context.Context, i int, buf []byte) ([]byte, error) {
	n.mu.Lock()
	n.read[i] = true
	n.mu.Unlock()
	return n.Memory.Read(ctx, i, buf)
}

// TestInspectDuplicates: equal files are found within and across parts, counted by hand.
func TestInspectDuplicates(t *testing.T) {
	p := func(value uint8) []byte { return pngOf(t, 33, 40, value) }
	src := open(t, folder(t, map[string][]byte{
		"train/a/1.png": p(1), "train/a/2.png": p(1), "train/a/3.png": p(2), "train/a/4.jpg": p(4),
		"train/b/1.png": p(1), "train/b/2.png": p(5), "train/b/3.png": []byte("no picture"),
		"train/b/4.png": []byte("no picture"),
		"val/a/1.png":   p(2), "val/b/1.png": p(5), "val/b/2.png": p(6), "val/b/3.png": p(6),
		"val/b/4.png": p(7),
	}), 0, 1)
	info, err := Inspect(t.Context(), src, InspectOptions{Sample: 2000})
	if err != nil {
		t.Fatal(err)
	}
	want := &Duplicates{
		Groups: 4, Pictures: 5, Within: map[Part]int{TrainPart: 2, ValPart: 1}, Across: 2, Classes: 1,
		First: [][]text.Raw{
			{"train/a/1.png", "train/a/2.png", "train/b/1.png"},
			{"train/a/3.png", "val/a/1.png"},
			{"train/b/2.png", "val/b/1.png"},
			{"val/b/2.png", "val/b/3.png"},
		},
	}
	if d := cmp.Diff(want, info.Duplicates); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if d := cmp.Diff(&Named{1, []text.Raw{"train/a/4.jpg"}}, info.Misnamed); d != "" {
		t.Error(d)
	}
}

// TestInspectSizes: pictures of 31 and of 4,097 pixels are told, those of 32 and of 4,096 are not.
func TestInspectSizes(t *testing.T) {
	src := open(t, folder(t, map[string][]byte{
		"a/1.png": pngOf(t, 32, 4096, 1), "a/2.png": pngOf(t, 31, 4096, 1), "b/1.png": pngOf(t, 4097, 32, 1),
	}), 0, 1)
	info, err := Inspect(t.Context(), src, InspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&Named{1, []text.Raw{"a/2.png"}}, info.Tiny); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(&Named{1, []text.Raw{"b/1.png"}}, info.Huge); d != "" {
		t.Error(d)
	}
}

// TestLeftovers: what systems and downloads leave behind is counted in folders and in tars.
func TestLeftovers(t *testing.T) {
	unpacked, entries := map[string][]byte{}, []tarFile{}
	for _, name := range []string{
		"a/1.png", "a/._1.png", "b/1.png", "b/._1.png", ".DS_Store", "a/.DS_Store", "b/2.png.part",
		"b/3.jpg.crdownload", "b/4.jpg.aria2", "a/Thumbs.db", "a/notes.txt",
	} {
		unpacked[name] = pngOf(t, 33, 33, 1)
		entries = append(entries, tarFile{name: name, raw: unpacked[name]})
	}
	want := map[string]int{"._*": 2, ".DS_Store": 2, "*.part": 1, "*.crdownload": 1, "*.aria2": 1, "thumbs.db": 1}
	for _, c := range []struct {
		form, path string
		want       map[string]int
	}{
		{"class folders", folder(t, unpacked), want},
		{"a tar of class folders", write(t, "x.tar", tarOf(t, entries)), want},
		{
			"tars in a folder",
			folder(t, map[string][]byte{"train.tar": tarOf(t, entries[:2]), "train/.DS_Store": {1}}),
			map[string]int{"._*": 1, ".DS_Store": 1},
		},
	} {
		info, err := Inspect(t.Context(), open(t, c.path, 0, 1), InspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, info.Leftovers); d != "" || info.Form != c.form {
			t.Errorf("%s, called %s: %s", c.form, info.Form, d)
		}
	}
}

// TestFormOfPaths: of several paths the form is said of each.
func TestFormOfPaths(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"a/1.png": pngOf(t, 8, 8, 1), "b/1.png": pngOf(t, 8, 8, 2), "train.txt": []byte("a/1.png 0\n"),
		"val.txt": []byte("b/1.png 0\n"), "val/0/2.png": pngOf(t, 8, 8, 3),
	})
	for want, paths := range map[string][]string{
		"several paths, each a list of pictures":              {"train.txt", "val.txt"},
		"several paths: a list of pictures and class folders": {"train.txt", "val"},
	} {
		for i := range paths {
			paths[i] = filepath.Join(dir, paths[i])
		}
		src, err := Open(t.Context(), files.OS, At(paths...), 0, 1)
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if src.Form != want {
			t.Errorf("form %q, want %q", src.Form, want)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestClassNames: what order classes are in, and which of them say the same.
func TestClassNames(t *testing.T) {
	for _, c := range []struct {
		classes []string
		order   ClassOrder
		alike   [][]text.Raw
	}{
		{[]string{"n01440764", "n01443537"}, ByWNID, nil},
		{[]string{"0", "1", "10", "2"}, ByText, nil},
		{[]string{"0", "1", "2", "10"}, ByNumber, nil},
		{[]string{"100000000", "20000000"}, ByText, nil},
		{[]string{"0", "00", "1", "01", "10"}, ByNumber, [][]text.Raw{{"0", "00"}, {"1", "01"}}},
		{[]string{"Cat", "cat", "crane", "crane_2"}, ByName, [][]text.Raw{{"Cat", "cat"}}},
		{[]string{"caf\u00e9", "cafe\u0301", " dog", "dog"}, ByName, [][]text.Raw{
			{"caf\u00e9", "cafe\u0301"}, {" dog", "dog"},
		}},
		{[]string{"N01440764", "n01440764", "n01440764_tench", "n014407640"}, ByName, [][]text.Raw{
			{"N01440764", "n01440764", "n01440764_tench"},
		}},
	} {
		info := &SourceInfo{}
		for _, name := range c.classes {
			info.Classes = append(info.Classes, ClassInfo{Name: text.Raw(name)})
		}
		info.compareClasses()
		if d := cmp.Diff(c.alike, info.SameClass); d != "" || orderOf(c.classes) != c.order {
			t.Errorf("%q: in order of %s: %s", c.classes, orderOf(c.classes), d)
		}
	}
}

// TestILSVRCCounts: counts against those of ILSVRC2012, whose classes have 732 to 1,300 pictures to train on and 50 for
// validation.
func TestILSVRCCounts(t *testing.T) {
	whole := func() *SourceInfo {
		info := &SourceInfo{Train: 1_281_167, Val: 50_000}
		for i, c := range imagenet.All() {
			n := 1300
			if i < 30 {
				n = 732
			}
			info.Classes = append(info.Classes, ClassInfo{Name: text.Raw(c.WNID), Train: n, Val: 50})
		}
		return info
	}
	for _, c := range []struct {
		change func(*SourceInfo)
		want   *ILSVRC
	}{
		{func(*SourceInfo) {}, &ILSVRC{Complete: true}},
		{func(i *SourceInfo) { i.Val = 0 }, &ILSVRC{Val: 50_000}},
		{func(i *SourceInfo) { i.Train++ }, &ILSVRC{Train: -1}},
		{func(i *SourceInfo) {
			i.Train -= 3
			i.Classes[0].Train = 731
			i.Classes[40].Train = 1298
		}, &ILSVRC{Train: 3, Short: []ShortClass{{"n01440764", TrainPart, 731, 732}}}},
		{func(i *SourceInfo) {
			i.Val--
			i.Classes[1].Val = 49
		}, &ILSVRC{Val: 1, Short: []ShortClass{{"n01443537", ValPart, 49, 50}}}},
		{func(i *SourceInfo) { // only the training pictures, of which a share is held out
			i.HeldOut, i.Train, i.Val = true, 1_281_100, 67
			for k := range i.Classes {
				i.Classes[k].Train, i.Classes[k].Val = i.Classes[k].Train-1, 1
			}
		}, &ILSVRC{Val: 50_000}},
		{func(i *SourceInfo) { i.Classes[7].Name = "n00000001" }, nil},
		{func(i *SourceInfo) { i.Classes = i.Classes[1:] }, nil},
	} {
		info := whole()
		c.change(info)
		info.compareClasses()
		if d := cmp.Diff(c.want, info.ILSVRC); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	}
}

// TestSide: the shorter side of most of the pictures, whatever the first is and whatever cannot be read.
func TestSide(t *testing.T) {
	store := Memory{}
	var records []Record
	add := func(width, height int) {
		var b bytes.Buffer
		if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
			t.Fatal(err)
		}
		records = append(records, Record{Name: fmt.Sprintf("c/%03d", len(store)), Number: int32(len(store))})
		store = append(store, b.Bytes())
	}
	side := func() int {
		return New(Contents{Classes: []string{"c"}, Train: slices.Clone(records)}, store, 0, 1).Train.Side(t.Context())
	}
	if got := side(); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
	add(300, 200)
	for range 40 {
		add(48, 32)
	}
	for i := 5; i < 20; i++ {
		store[i] = []byte("no picture")
	}
	if got := side(); got != 32 {
		t.Errorf("got %d, want 32", got)
	}
	for i := range store {
		store[i] = nil
	}
	if got := side(); got != 0 {
		t.Errorf("of what cannot be read: %d", got)
	}
}
