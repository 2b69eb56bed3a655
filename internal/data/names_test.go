package data

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"alexnet/internal/imagenet"
)

// TestFormsOfNames holds what is asked of every picture's name to the patterns that define it, on names near them.
func TestFormsOfNames(t *testing.T) {
	end := regexp.MustCompile(`^(.+)_(n[0-9]{8})(\.[A-Za-z]+)$`)
	begin := regexp.MustCompile(`^(n[0-9]{8})_[0-9]+`)
	flat := regexp.MustCompile(`^(.+_n[0-9]{8}|ILSVRC2012_(val|test)_[0-9]{8})\.[A-Za-z]+$`)
	other := regexp.MustCompile(`-[0-9]{5}-of-[0-9]{5}$|^(train_data|val_data)(_batch_[0-9]+)?$`)
	pieces := []string{
		"n01440764", "n00000000", "N01440764", "n0144076", "_", "_", ".", ".", "JPEG", "jpg", "1", "10026", "x",
		"\u00e9", "\n",
		"\xff", "ILSVRC2012_val_", "ILSVRC2012_test_", "00000001", "-00001", "-of", "-00002", "train_data", "val_data",
		"_batch_", " ", "[", "\u212a", "_n01440764", ".JPEG", "ILSVRC2012_test_00000001", "n01440764_1",
	}
	names := []string{
		"", "_n01440764.JPEG", "n01440764_10026.JPEG", "n01440764_10026_n01440764.JPEG", "a.b_n01440764.c",
		"a_n01440764.",
		"n01440764_1", "n01440764_", "ILSVRC2012_test_00000001.JPEG", "ILSVRC2012_val_00000001.", "x-00001-of-00002",
		"train_data_batch_1", "val_data", "val_data_batch_", "train_data.png",
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		var name strings.Builder
		for range 1 + r.IntN(7) {
			name.WriteString(pieces[r.IntN(len(pieces))])
		}
		names = append(names, name.String())
	}
	met := [4]int{}
	for _, name := range names {
		rest, wnid, is := endsInWNID(name)
		m := end.FindStringSubmatch(name)
		if is != (m != nil) || is && (rest != m[1]+m[3] || wnid != m[2]) {
			t.Fatalf("%q: ends %q %q %v, want %q", name, rest, wnid, is, m)
		}
		want := ""
		if place, known := imagenet.Validation(name); known {
			want = imagenet.At(place).WNID
		}
		for _, m := range [][]string{begin.FindStringSubmatch(name), end.FindStringSubmatch(name)} {
			for _, part := range m {
				if _, known := imagenet.Place(part); known && want == "" {
					want = part
				}
			}
		}
		if got, told := proven(name); got != want || told != (want != "") {
			t.Fatalf("%q: tells %q %v, want %q", name, got, told, want)
		}
		if got, want := isFlatName(name), flat.MatchString(name); got != want {
			t.Fatalf("%q: flat %v, want %v", name, got, want)
		}
		if got, want := foreignName(name), other.MatchString(name); got != want {
			t.Fatalf("%q: foreign %v, want %v", name, got, want)
		}
		for i, is := range []bool{is, want != "", isFlatName(name), foreignName(name)} {
			if is {
				met[i]++
			}
		}
	}
	for i, n := range met {
		if n < 100 {
			t.Errorf("form %d was met %d times", i, n)
		}
	}
	if n := testing.AllocsPerRun(10, func() { proven("n01440764_10026.JPEG") }); n > 0 {
		t.Errorf("%v allocations for a picture's name", n)
	}
}

// BenchmarkNames asks a training picture's name what is asked of each.
func BenchmarkNames(b *testing.B) {
	for b.Loop() {
		proven("n01440764_10026.JPEG")
		endsInWNID("n01440764_10026.JPEG")
		foreignName("n01440764_10026.JPEG")
	}
}

// TestOrderOfLabels: which label in a file a picture has does not depend on the order in which pictures are found, even
// where two have one name.
func TestOrderOfLabels(t *testing.T) {
	found := []string{"val/a.png", "b.png", "a.png", "val/b.png"}
	want := map[string]string{"a.png": "0", "val/a.png": "1", "b.png": "2", "val/b.png": "3"}
	for range 2 {
		l := &listing{}
		for i, name := range found {
			l.files = append(l.files, Record{Name: name, Number: int32(i)})
		}
		labels := &truth{path: "labels", labels: []string{"0", "1", "2", "3"}, lines: []int{1, 2, 3, 4}}
		if err := l.apply("x", "", labels); err != nil {
			t.Fatal(err)
		}
		for _, f := range l.files {
			if class := strings.Split(f.Name, "/")[1]; class != want[f.File] {
				t.Errorf("%s has label %s, want %s", f.File, class, want[f.File])
			}
		}
		found = []string{found[3], found[2], found[1], found[0]}
	}
}
