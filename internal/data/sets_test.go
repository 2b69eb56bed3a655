package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/shards"
)

// opens opens a place, until the test ends.
func opens(t *testing.T, at Place) *Source {
	t.Helper()
	src, err := Open(t.Context(), files.OS, at, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// fails gives the error of a place that is refused.
func fails(t *testing.T, at Place, problem Problem, detail string) {
	t.Helper()
	src, err := Open(t.Context(), files.OS, at, 0, 1)
	var e *SourceError
	if !errors.As(err, &e) || e.Problem != problem || e.Detail != detail {
		t.Errorf("%v: %v", at, err)
	}
	if err == nil {
		t.Error(names(src.Train), src.Close())
	}
}

// sets are folders below one, each a prepared set.
func sets(t *testing.T, of map[string][3]int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, perPart := range of {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		writeSet(t, filepath.Join(dir, name), perPart)
	}
	return dir
}

// TestSeveralSets: sets for training and validation are as one with both; so is one beside a tar.
func TestSeveralSets(t *testing.T) {
	dir := sets(t, map[string][3]int{"a": {9, 0, 0}, "b": {0, 4, 0}, "both": {9, 4, 0}})
	set := func(name string) string { return filepath.Join(dir, name) }
	alone := opens(t, At(set("both")))
	train, val := opens(t, At(set("a"))), opens(t, At(set("b")))
	if got := fmt.Sprintln(names(alone.Train)[8], names(alone.Val)[0]); got !=
		"train/dog/008.jpg validation/cat/000.jpg\n" {
		t.Fatal(got)
	}
	tared := write(t, "photos-val.tar", tarOf(t, []tarFile{{name: "dog/x.png", raw: pngOf(t, 8, 8, 1)}}))
	for _, c := range []struct {
		at   Place
		form string
		val  []string
	}{
		{At(set("a"), set("b")), "prepared sets", names(alone.Val)},
		{At(set("b"), set("a")+"/"), "prepared sets", names(alone.Val)},
		{At(set("a"), tared), "several paths: a prepared set and a tar of class folders", []string{"val/dog/x.png"}},
	} {
		src := opens(t, c.at)
		if !slices.Equal(names(src.Train), names(alone.Train)) || !slices.Equal(names(src.Val), c.val) ||
			src.Form != c.form || !slices.Equal(src.Classes, alone.Classes) {
			t.Errorf("%v: %v, %v, %v, %s", c.at, names(src.Train), names(src.Val), src.Classes, src.Form)
		}
		if c.form == "prepared sets" && src.Fingerprint != alone.Fingerprint {
			t.Errorf("%v: another fingerprint", c.at)
		}
		if err := src.Train.Sharded(); err != nil {
			t.Error(err)
		}
		if _, able := src.store.(accounted); able {
			t.Error("statistics of one of several sets")
		}
		sameBytes(t, src.Train, train.Train)
		if c.form == "prepared sets" {
			sameBytes(t, src.Val, val.Val)
		}
	}
	fails(t, At(set("a"), set("a")+"/"), PathTwice, "")
	fails(t, At(set("a"), set("both")), Twice, "train/cat/000.jpg")
}

// TestMadeOfSeveral: how several sets were made is told, in whatever order they are given, and their pictures are
// called .jpg whatever they are, which those of other places beside them may not be.
func TestMadeOfSeveral(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for k, name := range []string{"a-train", "b-val", "c-val"} {
		if err := os.Mkdir(in(name), 0o700); err != nil {
			t.Fatal(err)
		}
		writeSetOf(t, in(name), [3][3]int{{4, 0, 0}, {0, 4, 0}, {0, 4, 0}}[k], func(part, i int) []byte {
			return pngOf(t, 8, 8, uint8(k*100+part*10+i))
		})
	}
	png := pngOf(t, 8, 8, 99)
	tared := write(t, "photos-val.tar", tarOf(t, []tarFile{
		{name: "dog/x.jpg", raw: png}, {name: "cat/x.png", raw: png},
	}))
	packed := write(t, "photos-val.tgz", gzipOf(t, tarOf(t, []tarFile{{name: "dog/x.png", raw: png}})))
	made := map[string]string{}
	for name, c := range map[string]struct {
		at       Place
		misnamed int
	}{
		"one":   {At(in("a-train")), 0},
		"a, b":  {At(in("a-train"), in("b-val")), 0},
		"b, a":  {At(in("b-val"), in("a-train")), 0},
		"a, c":  {At(in("a-train"), in("c-val")), 0},
		"a, x":  {At(in("a-train"), tared), 1},
		"x":     {At(tared), 1},
		"a, gz": {At(in("a-train"), packed), 0},
	} {
		src, err := OpenThrough(t.Context(), files.OS, c.at, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		made[name] = src.Made()
		if !src.Sequential() {
			info, err := Inspect(t.Context(), src, InspectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got := 0
			if info.Misnamed != nil {
				got = info.Misnamed.Count
			}
			if got != c.misnamed || len(info.Unreadable) > 0 {
				t.Errorf("%s: %+v are misnamed, unreadable %v", name, info.Misnamed, info.Unreadable)
			}
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
	if made["one"] == "" || made["a, b"] == "" || made["a, b"] != made["b, a"] || made["a, b"] == made["a, c"] ||
		made["a, b"] == made["one"] || made["a, x"] != made["one"] || made["a, gz"] != made["one"] || made["x"] != "" {
		t.Error(made)
	}
}

// sameBytes holds pictures of one set to those of another.
func sameBytes(t *testing.T, got, want *Set) {
	t.Helper()
	for i := range want.Len() {
		a, err := got.Read(t.Context(), i, nil)
		b, other := want.Read(t.Context(), i, nil)
		if err != nil || other != nil || string(a) != string(b) {
			t.Errorf("%s is another picture (%v, %v)", got.Name(i), err, other)
		}
	}
}

// TestInPart holds what a picture of a set is called where the set is one of several places.
func TestInPart(t *testing.T) {
	for _, c := range []struct {
		name, class string
		part        Part
		always      bool
		want        string
	}{
		{"cat/1.jpg", "cat", TrainPart, false, "cat/1.jpg"},
		{"cat/1.jpg", "cat", TrainPart, true, "train/cat/1.jpg"},
		{"Valid/cat/1.jpg", "cat", ValPart, true, "Valid/cat/1.jpg"},
		{"cat/1.jpg", "cat", ValPart, true, "val/cat/1.jpg"},
		{"train/1.jpg", "train", TrainPart, false, "train/1.jpg"}, // the vehicle
		{"1.jpg", "cat", TestPart, true, "test/cat/1.jpg"},
		{"val/cafe\u0301/1.jpg", "caf\u00e9", ValPart, true, "val/cafe\u0301/1.jpg"},
	} {
		if got := inPart(c.name, c.class, c.part, c.always); got != c.want {
			t.Errorf("%v: %s", c, got)
		}
	}
}

// TestPartOfSet: a set whose pictures tell no part has that of its path's name, as other paths have; classes go by
// name.
func TestPartOfSet(t *testing.T) {
	dir := t.TempDir()
	for name, s := range map[string]struct{ classes, pictures []string }{
		"train.set": {[]string{"ant", "cat", "dog"}, []string{"ant/1.jpg", "cat/1.jpg", "dog/1.jpg"}},
		"val.set":   {[]string{"dog"}, []string{"dog/2.jpg"}},
		"numbered":  {[]string{"10", "9"}, []string{"10/1.jpg", "9/1.jpg"}},
	} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		writeIndex(t, filepath.Join(dir, name), s.classes, s.pictures)
	}
	train, val := filepath.Join(dir, "train.set"), filepath.Join(dir, "val.set")
	src := opens(t, At(val, train))
	if got := fmt.Sprint(src.Classes, names(src.Train), names(src.Val), src.Val.Label(0)); got !=
		"[ant cat dog] [train/ant/1.jpg train/cat/1.jpg train/dog/1.jpg] [val/dog/2.jpg] 2" {
		t.Error(got)
	}
	if got := fmt.Sprint(names(opens(t, At(val)).Train)); got != "[dog/2.jpg]" {
		t.Error(got)
	}
	numbered := filepath.Join(dir, "numbered")
	fails(t, At(train, numbered), NoPart, "")
	at := At(numbered)
	at.Labels = LabelsNumbers
	if src := opens(t, at); !slices.Equal(src.Classes, []string{"10", "9"}) || src.Train.Label(1) != 1 {
		t.Error(src.Classes, names(src.Train)) // in the set's own order
	}
}

// TestLabelsOfSet: what is said of the labels of a set is looked at as for folders.
func TestLabelsOfSet(t *testing.T) {
	dir := sets(t, map[string][3]int{"a": {9, 0, 0}})
	at := At(filepath.Join(dir, "a"))
	at.Labels = filepath.Join(dir, "no such file")
	fails(t, at, NoLabels, at.Labels)
	at.Labels = LabelsIndex
	fails(t, at, NoNumbers, "")
	at.Labels = filepath.Join(dir, "labels")
	put(t, at.Labels, []byte("cat\ndog\n"))
	fails(t, at, WrongCount, at.Labels)
}

// TestSetsInFolders: a folder of sets is refused, with the first; one without its index, or not finished, is too.
func TestSetsInFolders(t *testing.T) {
	dir := sets(t, map[string][3]int{"box/train.set": {9, 0, 0}, "box/val.set": {0, 4, 0}, "set": {9, 0, 0}})
	box, set := filepath.Join(dir, "box"), filepath.Join(dir, "set")
	fails(t, At(box), HoldsSets, "train.set")
	put(t, filepath.Join(box, "train.set", shards.StatsName), []byte("x"))
	if got, err := PicturesIn(t.Context(), files.OS, box); err != nil || len(got) > 0 {
		t.Errorf("pictures %v, %v", got, err)
	}
	index := filepath.Join(box, "train.set", shards.IndexName)
	if err := os.Remove(index); err != nil {
		t.Fatal(err)
	}
	fails(t, At(box), HoldsSets, "train.set")
	fails(t, At(filepath.Join(box, "train.set")), BadSet, shards.IndexName)
	fails(t, At(filepath.Join(box, "train.set"), set), BadSet, shards.IndexName)
	_, err := Open(t.Context(), files.OS, At(filepath.Join(box, "train.set")), 0, 1)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	// an index in a class folder that is none
	form := folder(t, map[string][]byte{"cat/index": pngOf(t, 8, 8, 1), "dog/1.png": pngOf(t, 8, 8, 2)})
	if src := opens(t, At(form)); src.Train.Len() != 2 {
		t.Error(names(src.Train))
	}
	partial := set + files.PartialExt
	if err := errors.Join(os.Mkdir(partial, 0o700), os.Rename(set, filepath.Join(partial, "set"))); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(partial, shards.StateName), []byte("x"))
	fails(t, At(partial), Unfinished, "")
	fails(t, At(filepath.Join(partial, "set")), Unfinished, "")
}

// TestKeysAnew: the keys of shards that begin anew in each are kept apart, others stay; and so are pictures of a list
// that have one name in their class's folder.
func TestKeysAnew(t *testing.T) {
	shard := func(key, label string, grey uint8) []tarFile {
		return []tarFile{{name: key + ".png", raw: pngOf(t, 8, 8, grey)}, {name: key + ".cls", raw: []byte(label)}}
	}
	a, b := tarOf(t, shard("00000", "cat", 1)), tarOf(t, shard("00000", "cat", 2))
	dir := folder(t, map[string][]byte{"x-000000.tar": a, "x-000001.tar": b})
	want := "[cat/x-000000/00000.png cat/x-000001/00000.png]"
	src := opens(t, At(dir))
	if got := fmt.Sprint(names(src.Train)); got != want {
		t.Error(got)
	}
	for i := range 2 {
		raw, err := src.Train.Read(t.Context(), i, nil)
		if err != nil || string(raw) != string(pngOf(t, 8, 8, uint8(1+i))) {
			t.Errorf("picture %d: %v", i, err)
		}
	}
	first, second := filepath.Join(dir, "x-000000.tar"), filepath.Join(dir, "x-000001.tar")
	if got := fmt.Sprint(names(opens(t, At(second, first)).Train)); got != want {
		t.Error(got)
	}
	if got := fmt.Sprint(names(opens(t, At(second)).Train)); got != "[cat/00000.png]" {
		t.Error(got)
	}
	two := folder(t, map[string][]byte{"x-000000.tar": a, "x-000001.tar": tarOf(t, shard("00001", "cat", 2))})
	if got := fmt.Sprint(names(opens(t, At(two)).Train)); got != "[cat/00000.png cat/00001.png]" {
		t.Error(got)
	}
	photos := folder(t, map[string][]byte{
		"in/1.png": pngOf(t, 8, 8, 1), "in/cat/1.png": pngOf(t, 8, 8, 2), "a/2.png": pngOf(t, 8, 8, 3),
		"in/a/2.png": pngOf(t, 8, 8, 4), "in/3.png": pngOf(t, 8, 8, 5),
	})
	list := filepath.Join(photos, "in", "list.txt")
	put(t, list, []byte("1.png cat\ncat/1.png cat\n../a/2.png dog\na/2.png dog\n3.png dog\n"))
	src = opens(t, At(list))
	all := content(t, src)
	distinct := map[string]bool{}
	for _, raw := range all {
		distinct[raw] = true
	}
	if len(all) != 5 || len(distinct) != 5 || all["dog/3.png dog"] == "" {
		t.Error(names(src.Train))
	}
	other := filepath.Join(photos, "in", "other.txt")
	put(t, list, []byte("1.png cat\n"))
	put(t, other, []byte("cat/1.png cat\n"))
	if src := opens(t, At(list, other)); src.Train.Len() != 2 {
		t.Error(names(src.Train))
	}
	put(t, list, []byte("1.png cat\ncat/1.png cat\n./1.png cat\n"))
	fails(t, At(list), BadList, "")
}

// TestWordsOfTwice: it says where both lie.
func TestWordsOfTwice(t *testing.T) {
	a := folder(t, map[string][]byte{"cat/1.png": pngOf(t, 8, 8, 1)})
	b := folder(t, map[string][]byte{"cat/1.png": pngOf(t, 8, 8, 2)})
	_, err := Open(t.Context(), files.OS, At(a, b), 0, 1)
	want := fmt.Sprintf("cat/1.png is there twice (%s/cat/1.png and %s/cat/1.png)", a, b)
	if e := (*SourceError)(nil); !errors.As(err, &e) || e.Why() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
