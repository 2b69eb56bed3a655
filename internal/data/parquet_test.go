package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/crafted"
	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/parquet"
	"alexnet/internal/sharedtest"
)

// parquetFile is a file that datasets or pyarrow wrote.
func parquetFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "parquet", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestThroughParquet holds the rows of a file to class folders of the same pictures, and their bytes to what pyarrow
// reads.
func TestThroughParquet(t *testing.T) {
	raw := parquetFile(t, "push_to_hub.parquet")
	table, err := parquet.Open(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	form := map[string][]byte{}
	err = table.Each(t.Context(), func(_ int64, path string, _ int64, picture []byte) error {
		rest, wnid, _ := endsInWNID(path)
		form["train/"+wnid+"/"+rest] = bytes.Clone(picture)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]bool{}
	for _, picture := range form {
		sums[fmt.Sprint(len(picture), crc32.ChecksumIEEE(picture))] = true
	}
	var want map[string]struct{ Rows [][4]any }
	if err := json.Unmarshal(parquetFile(t, "want.json"), &want); err != nil {
		t.Fatal(err)
	}
	for _, row := range want["push_to_hub.parquet"].Rows {
		if !sums[fmt.Sprintf("%.0f %.0f", row[2], row[3])] {
			t.Errorf("pyarrow reads %v", row)
		}
	}
	folders := open(t, folder(t, form), 0, 1)
	shard := "data/train-00000-of-00001.parquet"
	for name, path := range map[string]string{
		"in a folder":      folder(t, map[string][]byte{shard: raw, "README.md": nil}),
		"at its top":       folder(t, map[string][]byte{filepath.Base(shard): raw}),
		"as on the server": folder(t, map[string][]byte{"default/train/0000.parquet": raw}),
		"in a part's":      folder(t, map[string][]byte{"train/0000.parquet": raw}),
	} {
		src := openThrough(t, path)
		if src.Fingerprint != folders.Fingerprint || !slices.Equal(src.Classes, folders.Classes) {
			t.Errorf("%s: %v, want %v", name, names(src.Train), names(folders.Train))
		}
		if got := passed(t, src); !maps.Equal(got, content(t, folders)) {
			t.Errorf("%s: other pictures: %v", name, slices.Sorted(maps.Keys(got)))
		}
		_, err := Open(t.Context(), files.OS, At(path), 0, 1)
		if e := (*SourceError)(nil); !errors.As(err, &e) || e.Problem != OnlyThrough || e.Path != path {
			t.Errorf("%s: opened to train on: %v", name, err)
		}
	}
	alone := openThrough(t, write(t, "x", raw))
	if got, want := alone.Train.Name(0), "n01440760/n01440760_0.JPEG"; got != want || alone.Train.File(0) != "row 0" {
		t.Errorf("%s, %s, want %s", got, alone.Train.File(0), want)
	}
}

// TestThroughParquetNames: where paths do not tell pictures apart, the shards' names and the rows' numbers do.
func TestThroughParquetNames(t *testing.T) {
	raw := parquetFile(t, "push_to_hub.parquet")
	src := openThrough(t, folder(t, map[string][]byte{
		"train-00000-of-00002.parquet": raw, "train-00001-of-00002.parquet": raw, "validation-0.parquet": raw,
	}))
	if src.Train.Len() != 26 || src.Val.Len() != 13 || len(passed(t, src)) != 39 ||
		src.Train.Name(0) != "train/n01440760/train-00000-of-00002_000000" ||
		src.Train.File(0) != "train-00000-of-00002.parquet/row 0" ||
		src.Val.Name(0) != "val/n01440760/validation-0_000000" {
		t.Errorf("%v %v", names(src.Train), names(src.Val))
	}
	src = openThrough(t, write(t, "some.parquet", parquetFile(t, "v1-none.parquet"))) // rows that lack something
	got := fmt.Sprint(src.Classes, src.Unused, names(src.Train)[:3])
	if got != "[class-0000 class-0001 class-0002] [some_000006 and 5 more: pictures in no class folder] "+
		"[class-0000/n01440760_0_n01440760.JPEG class-0000/n01440760_12_n01440760.JPEG "+
		"class-0000/n01440760_15_n01440760.JPEG]" {
		t.Error(got)
	}
	all := passed(t, src)
	for i := range src.Train.Len() {
		_, err := src.Train.Read(t.Context(), i, nil)
		if empty := all[src.Train.Name(i)+" "+src.Classes[src.Train.Label(i)]] == ""; empty !=
			strings.Contains(err.Error(), "the row has no picture in it") {
			t.Errorf("%s: %v", src.Train.Name(i), err)
		}
	}
}

// TestParquetClasses: labels become the classes' keys by what is most certain.
func TestParquetClasses(t *testing.T) {
	var ours, synonyms []string
	for _, c := range imagenet.All() {
		ours, synonyms = append(ours, c.Name), append(synonyms, c.Synonyms)
	}
	swapped := slices.Clone(ours)
	slices.Reverse(swapped)
	some, one := []string{"a.png"}, []string{"a_n01443537.JPEG"}
	two, twice := append(one[:1:1], "a_n01440764.JPEG"), append(one[:1:1], "b_n01443537.JPEG")
	for name, c := range map[string]struct {
		paths  []string
		labels []int64
		names  []string
		want   map[int]string
		fails  string
	}{
		"WNIDs in paths": {
			[]string{"a_n01443537.JPEG", "x/b_n01440764.JPEG", "test.JPEG"},
			[]int64{0, 1, -1},
			[]string{"z", "y"},
			map[int]string{0: "n01443537", 1: "n01440764"},
			"",
		},
		"ImageNet":          {one, []int64{1}, synonyms, map[int]string{1: "n01443537"}, ""},
		"ImageNet, no path": {[]string{""}, []int64{1}, ours, map[int]string{0: "n01440764", 999: "n15075141"}, ""},
		"other 1000":        {[]string{""}, []int64{1}, swapped, map[int]string{0: ours[999]}, ""},
		"names":             {some, []int64{1}, []string{"cat/kitten", "dog"}, map[int]string{0: "cat-kitten"}, ""},
		"numbers":           {some, []int64{1}, nil, map[int]string{1: "class-0001"}, ""},
		"no folders":        {some, []int64{1}, []string{".", "dog"}, map[int]string{1: "class-0001"}, ""},
		"equal names":       {some, []int64{1}, []string{"dog", "dog"}, map[int]string{0: "class-0000"}, ""},
		"another order": {
			one,
			[]int64{449},
			ours, nil,
			"label of row 0 cannot be used (it is 449, and its path says n01443537, which is class 1)",
		},
		"two classes of one label": {
			two,
			[]int64{0, 0},
			nil, nil,
			"label of row 1 cannot be used (it is 0, and its path says n01440764",
		},
		"two labels of one class": {
			twice,
			[]int64{0, 1},
			nil, nil,
			"label of row 1 cannot be used (it is 1, and its path says n01443537",
		},
		"too many":  {some, []int64{2}, []string{"cat", "dog"}, nil, "row 0 cannot be used (it is 2, of 2 classes)"},
		"negative":  {some, []int64{-2}, nil, nil, "label of row 0 cannot be used (it is -2)"},
		"very many": {some, []int64{1 << 40}, nil, nil, "label of row 0 cannot be used (it is 1099511627776)"},
	} {
		found := &labelled{room: 1 << 20}
		var keys []string
		var err error
		for i := range c.paths {
			if err = errors.Join(err, found.add(int64(i), c.paths[i], c.labels[i])); err != nil {
				break
			}
		}
		if err == nil {
			keys, err = found.classes(c.names)
		}
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v, want %s", name, err, c.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for label, want := range c.want {
			if keys[label] != want {
				t.Errorf("%s: class %d is %s, want %s", name, label, keys[label], want)
			}
		}
	}
}

// TestILSVRCNames: a list of classes is ILSVRC2012's where nine of ten of its names are, however it is written; so say
// a Parquet file and a list beside numbered pictures alike.
func TestILSVRCNames(t *testing.T) {
	var short, synonyms []string
	for _, c := range imagenet.All() {
		short, synonyms = append(short, c.Name), append(synonyms, c.Synonyms)
	}
	changed := func(names []string, n int) []string {
		names = slices.Clone(names)
		for i := range n {
			names[i*7] = fmt.Sprintf("class %d", i)
		}
		return names
	}
	capitals := strings.Split(strings.ToUpper(strings.Join(synonyms, "\n")), "\n")
	lists := map[string][]string{
		"short": short, "synonyms": synonyms, "capitals": capitals, "100 others": changed(synonyms, 100),
		"101 others": changed(synonyms, 101), "999": short[:999],
	}
	shared := filepath.Join(sharedtest.Folder(t), "imagenet-classes.tsv") // as datasets has them
	if raw, err := os.ReadFile(shared); err == nil {
		lists["published"] = nil
		for line := range strings.Lines(string(raw)) {
			if f := strings.Split(strings.TrimSpace(line), "\t"); f[0] != "index" {
				lists["published"] = append(lists["published"], f[4])
			}
		}
	} else {
		t.Logf("the published names are not held: %v", err)
	}
	for name, names := range lists {
		want := !slices.Contains([]string{"101 others", "999"}, name)
		if wnidsOf(names)[0] == "n01440764" != want {
			t.Errorf("%s, beside: taken for ILSVRC2012's: %t, want %t", name, !want, want)
		}
		found := &labelled{room: 1 << 20}
		if err := found.add(0, "", 0); err != nil {
			t.Fatal(err)
		}
		keys, err := found.classes(names)
		if err != nil || keys[0] == "n01440764" != want {
			t.Errorf("%s, of Parquet: taken for ILSVRC2012's: %t, want %t (%v)", name, !want, want, err)
		}
	}
}

// TestThroughParquetDamaged: what is wrong with a Parquet file is said when it is listed, or where its pages say so.
func TestThroughParquetDamaged(t *testing.T) {
	for name, problem := range map[string]Problem{
		"lz4.parquet": OtherParquet, "no-label.parquet": OtherParquet, "empty.parquet": NoPictures,
		"missing.parquet": NoClassFolders,
	} {
		path := write(t, "x", parquetFile(t, name))
		_, err := OpenThrough(t.Context(), files.OS, At(path), 0, 1)
		if e := (*SourceError)(nil); !errors.As(err, &e) || e.Problem != problem || e.Path != path {
			t.Errorf("%s: %v", name, err)
		}
	}
	raw := parquetFile(t, "pages.parquet") // it has checksums
	cut := write(t, "x", raw[:len(raw)-10])
	if _, err := OpenThrough(t.Context(), files.OS, At(cut), 0, 1); !errors.Is(err, ErrNoData) {
		t.Errorf("cut: %v", err)
	}
	flipped := bytes.Clone(raw)
	flipped[bytes.LastIndex(flipped[:len(raw)/2], []byte("IDAT"))] ^= 1
	src := openThrough(t, write(t, "x", flipped))
	err := inOrder(t.Context(), src, func(int, []byte) error { return nil })
	if f := (*SourceFault)(nil); !errors.As(err, &f) || f.Changed || !f.Damaged {
		t.Errorf("a flipped bit: %v", err)
	}
	path := write(t, "x", raw)
	src = openThrough(t, path)
	err = inOrder(t.Context(), src, func(int, []byte) error { return os.Truncate(path, 100) })
	if f := (*SourceFault)(nil); !errors.As(err, &f) || !f.Changed {
		t.Errorf("cut while it is read: %v", err)
	}
	enough := errors.New("enough")
	src = openThrough(t, write(t, "x", raw))
	err = inOrder(t.Context(), src, func(int, []byte) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
}

// TestCraftedParquets: a Parquet file that is made to hurt takes little memory, also where it is sound.
func TestCraftedParquets(t *testing.T) {
	for _, f := range crafted.Parquets() {
		raw := f.Bytes()
		path := write(t, "x", raw)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		src, err := OpenThrough(t.Context(), files.OS, At(path), 0.1, 1)
		if err == nil {
			_ = inOrder(t.Context(), src, func(int, []byte) error { return nil })
			err = src.Close()
		} else if !errors.As(err, new(*SourceError)) {
			t.Errorf("%s: %T: %v", f.Name, err, err)
		}
		runtime.ReadMemStats(&after)
		// it is read twice, of which each may ask for so much
		if asked := after.TotalAlloc - before.TotalAlloc; asked > uint64(2*(4*len(raw)+64<<20)) {
			t.Errorf("%s of %d bytes: %d MB, %v", f.Name, len(raw), asked>>20, err)
		}
	}
}
