package data

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"alexnet/internal/files"
)

var anyFile = []byte("x")

func TestOpenLayouts(t *testing.T) {
	for _, c := range []struct {
		name       string
		files      []string
		share      float64
		classes    []string
		train, val []string
	}{
		{
			"train and val",
			[]string{
				"train/dog/1.jpg", "train/cat/2.jpg", "train/cat/1.jpg", "val/dog/9.png", "test/dog/3.jpg",
				"extra/x/1.jpg",
			},
			.5,
			[]string{"cat", "dog"},
			[]string{"train/cat/1.jpg", "train/cat/2.jpg", "train/dog/1.jpg"},
			[]string{"val/dog/9.png"},
		},
		{
			"train alone, nothing held out",
			[]string{"train/b/1.jpg", "train/a/1.jpg", "test/a/1.jpg"},
			0,
			[]string{"a", "b"},
			[]string{"train/a/1.jpg", "train/b/1.jpg"},
			[]string{},
		},
		{"val alone", []string{"val/b/1.jpg", "val/a/1.jpg"}, 0, []string{"a", "b"}, []string{}, []string{
			"val/a/1.jpg", "val/b/1.jpg",
		}},
		{"flat", []string{"b/1.jpg", "a/2"}, 0, []string{"a", "b"}, []string{"a/2", "b/1.jpg"}, []string{}},
		{
			"class order is not path order",
			[]string{"a-b/1.jpg", "a/1.jpg"},
			0,
			[]string{"a", "a-b"},
			[]string{"a/1.jpg", "a-b/1.jpg"},
			[]string{},
		},
		{
			"a class called train",
			[]string{"train/1.jpg", "car/1.jpg"},
			0,
			[]string{"car", "train"},
			[]string{"car/1.jpg", "train/1.jpg"},
			[]string{},
		},
		{
			"deeper",
			[]string{"train/a/images/1.jpg", "train/b/images/1.jpg"},
			0,
			[]string{"a", "b"},
			[]string{"train/a/images/1.jpg", "train/b/images/1.jpg"},
			[]string{},
		},
		{
			"wrapped",
			[]string{"set/v1/a/1.jpg", "set/v1/b/1.jpg"},
			0,
			[]string{"a", "b"},
			[]string{"a/1.jpg", "b/1.jpg"},
			[]string{},
		},
		{
			"one each, half held out",
			[]string{"a/1.jpg", "b/1.jpg"},
			.5,
			[]string{"a", "b"},
			[]string{"a/1.jpg", "b/1.jpg"},
			[]string{},
		},
		{
			"ignored files",
			[]string{
				"a/1.jpg", "a/.2.jpg", "a/list.txt", "a/Thumbs.db", ".git/b/1.jpg", "__MACOSX/a/1.jpg", "a/._1.jpg",
				"LICENSE", "top.jpg",
			},
			0,
			[]string{"a"},
			[]string{"a/1.jpg"},
			[]string{},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFolder, inTar := map[string][]byte{}, []tarFile{{name: "./"}}
			for _, f := range c.files {
				inFolder[f] = anyFile
				inTar = append(inTar, tarFile{name: "./" + f, raw: anyFile})
			}
			var prints []string
			for _, path := range []string{folder(t, inFolder), write(t, "d.tar", tarOf(t, inTar))} {
				src := open(t, path, c.share, 1)
				got := [][]string{src.Classes, names(src.Train), names(src.Val)}
				if d := cmp.Diff([][]string{c.classes, c.train, c.val}, got); d != "" {
					t.Errorf("classes, training and validation pictures (-want +got):\n%s", d)
				}
				for i := range src.Train.Len() {
					if class := src.Classes[src.Train.Label(i)]; !strings.Contains("/"+src.Train.Name(i),
						"/"+class+"/") {
						t.Errorf("%s is labelled %s", src.Train.Name(i), class)
					}
				}
				prints = append(prints, src.Fingerprint)
			}
			if prints[0] != prints[1] {
				t.Error("folder and tar have different fingerprints")
			}
		})
	}
}

// Training with --data . leaves its run beside the classes; the next one must not learn its curves.
func TestRunsAreNoClass(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"cat/1.png": anyFile, "dog/1.png": anyFile, "runs/train/metrics.jsonl": anyFile,
		"runs/train/curves.png": anyFile,
	})
	if s := open(t, dir, 0, 1); !slices.Equal(s.Classes, []string{"cat", "dog"}) {
		t.Errorf("classes %v", s.Classes)
	}
	dir = folder(t, map[string][]byte{"jumps/1.png": anyFile, "runs/1.png": anyFile}) // of a sprinter
	if s := open(t, dir, 0, 1); !slices.Equal(s.Classes, []string{"jumps", "runs"}) {
		t.Errorf("classes %v", s.Classes)
	}
}

func TestOpenErrors(t *testing.T) {
	good := tarOf(t, []tarFile{{name: "a/1.jpg", raw: make([]byte, 1000)}, {name: "b/1.jpg", raw: make([]byte, 3000)}})
	flipped := bytes.Clone(good)
	flipped[1024+512+100] ^= 1 // in the second header
	for _, c := range []struct {
		name, path string
		problem    Problem
		says       []string
	}{
		{"missing", filepath.Join(t.TempDir(), "nowhere"), NotFound, []string{"nowhere", "no such file"}},
		{"empty folder", t.TempDir(), NoPictures, []string{"holds no pictures"}},
		{
			"no class folders", folder(t, map[string][]byte{"1.jpg": anyFile}), NoClassFolders,
			[]string{"no class folders"},
		},
		{"only text", folder(t, map[string][]byte{"a/1.txt": anyFile}), NoPictures, []string{"holds no pictures"}},
		{
			"empty class", folder(t, map[string][]byte{"a/1.jpg": anyFile, "b/": nil}), EmptyClass,
			[]string{`class folder "b" holds no pictures`},
		},
		{
			"class in val only", folder(t, map[string][]byte{"train/a/1.jpg": anyFile, "val/b/1.jpg": anyFile}),
			UnknownClass,
			[]string{"val/b", "train/"},
		},
		{
			"no tar", write(t, "x.tar", bytes.Repeat([]byte("nonsense"), 200)), NoTar,
			[]string{"neither a folder nor a tar"},
		},
		{"a picture", write(t, "cat.png", pngOf(t, 700, 700, 3)), OnePicture, []string{"is a picture (png)"}},
		{"empty file", write(t, "x.tar", nil), NotRead, []string{"empty file"}},
		{
			"compressed", write(t, "x.tar.gz", []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03")), Compressed,
			[]string{"is compressed"},
		},
		{"cut in contents", write(t, "x.tar", good[:len(good)-1024-1000]), CutOff, []string{"cut off"}},
		{"cut in a header", write(t, "x.tar", good[:512+1024+100]), CutOff, []string{"cut off"}},
		{"cut between entries", write(t, "x.tar", good[:512+1024]), CutOff, []string{"cut off"}},
		{"flipped bit", write(t, "x.tar", flipped), NoTar, []string{"tar", "invalid tar header"}},
		{"empty tar", write(t, "x.tar", tarOf(t, nil)), NoPictures, []string{"holds no pictures"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(t.Context(), files.OS, c.path, .1, 1)
			var se *SourceError
			if !errors.Is(err, ErrNoData) || !errors.As(err, &se) {
				t.Fatalf("error %v (%T) is no ErrNoData", err, err)
			}
			for _, s := range append(c.says, c.path) {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("error %q does not say %q", err, s)
				}
			}
			if se.Problem != c.problem {
				t.Errorf("error %v is problem %d, want %d", err, se.Problem, c.problem)
			}
		})
	}
	for _, share := range []float64{-.1, 1, math.NaN()} {
		if _, err := Open(t.Context(), files.OS, t.TempDir(), share, 1); err == nil || errors.Is(err, ErrNoData) {
			t.Errorf("share %g: error %v, want one about the share", share, err)
		}
	}
}

func TestTarLinksAndDuplicates(t *testing.T) {
	raw := tarOf(t, []tarFile{
		{name: "a/1.png", raw: []byte("old")},
		{name: "a/2.png", raw: []byte("two")},
		{name: "a/3.png", link: "a/2.png"},
		{name: "a/1.png", raw: []byte("newer")},
		{name: "a/4.png", link: "gone"},
	})
	set := open(t, write(t, "x.tar", raw), 0, 1).Train
	want := []string{"newer", "two", "two"}
	if set.Len() != len(want) {
		t.Fatalf("%d pictures, want %d: %v", set.Len(), len(want), names(set))
	}
	for i, w := range want {
		if got, err := set.Read(t.Context(), i, nil); err != nil || string(got) != w {
			t.Errorf("%s: %q, %v, want %q", set.Name(i), got, err, w)
		}
	}
}

func TestFolderLinks(t *testing.T) {
	dir := folder(t, map[string][]byte{"a/1.png": anyFile})
	for link, target := range map[string]string{"b": "a", "a/loop.png": "nowhere", "a/2.png": "1.png"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	src := open(t, dir, 0, 1)
	want := []string{"a/1.png", "a/2.png", "a/loop.png", "b/1.png", "b/2.png", "b/loop.png"}
	if d := cmp.Diff(want, names(src.Train)); d != "" {
		t.Error(d)
	}
	if err := os.Symlink(".", filepath.Join(dir, "a", "circle")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), files.OS, dir, 0, 1); !errors.Is(err, ErrNoData) ||
		!strings.Contains(err.Error(), "link") {
		t.Errorf("a folder that contains itself: error %v", err)
	}
}

// arranged is a source of files in folders of classes.
func arranged(files []Record, share float64, seed uint64) (*Source, error) {
	c, err := arrange("x", &listing{files: files})
	if err != nil {
		return nil, err
	}
	return New(c, nil, share, seed), nil
}

// The split depends on names and seed, not on the order of files, takes the same share of each class, and leaves one
// for training.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0, .99).Draw(t, "share")
		seed := rapid.Uint64().Draw(t, "seed")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 30), 1, 5).Draw(t, "pictures by class")
		var files []Record
		for c, n := range sizes {
			for i := range n {
				files = append(files, Record{Name: fmt.Sprintf("c%d/%d.jpg", c, i)})
			}
		}
		src, err := arranged(slices.Clone(files), share, seed)
		if err != nil {
			t.Fatal(err)
		}
		shuffle := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
		shuffle.Shuffle(len(files), func(i, k int) { files[i], files[k] = files[k], files[i] })
		again, err := arranged(files, share, seed)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(names(src.Val), names(again.Val)) || !slices.Equal(names(src.Train), names(again.Train)) ||
			src.Fingerprint != again.Fingerprint {
			t.Fatalf("the order of files changed the split")
		}
		all := append(names(src.Train), names(src.Val)...)
		slices.Sort(all)
		if len(slices.Compact(all)) != len(files) {
			t.Fatal("some picture is in both parts or in none")
		}
		held := make([]int, len(sizes))
		for i := range src.Val.Len() {
			held[src.Val.Label(i)]++
		}
		for c, n := range sizes {
			if want := min(int(math.Round(share*float64(n))), n-1); held[c] != want {
				t.Fatalf("%d of %d pictures of class %d held out, want %d", held[c], n, c, want)
			}
		}
	})
}

func TestSplitDependsOnSeed(t *testing.T) {
	var files []Record
	for i := range 200 {
		files = append(files, Record{Name: fmt.Sprintf("a/%d.jpg", i)})
	}
	one, err := arranged(slices.Clone(files), .5, 1)
	if err != nil {
		t.Fatal(err)
	}
	two, err := arranged(files, .5, 2)
	if err != nil {
		t.Fatal(err)
	}
	if one.Fingerprint == two.Fingerprint {
		t.Error("two seeds held out the same hundred pictures")
	}
}

func TestSharedTars(t *testing.T) {
	for _, c := range []struct {
		name              string
		classes, pictures int
	}{{"cifar10-test.tar", 10, 10000}, {"photos.tar", 106, 106}} {
		src := open(t, sharedData(t, c.name), 0, 1)
		if len(src.Classes) != c.classes || src.Train.Len() != c.pictures {
			t.Errorf("%s: %d classes, %d pictures", c.name, len(src.Classes), src.Train.Len())
		}
	}
}
