package data

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"alexnet/internal/files"
	"alexnet/internal/sharedtest"
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

// TestParts: what folders are called and what lies in them says what they are for; whatever is not used is told.
func TestParts(t *testing.T) {
	const nfc, nfd = "caf\u00e9", "cafe\u0301"
	for _, c := range []struct {
		name             string
		files            []string
		classes          []string
		train, val, test int
		unused           []string
	}{
		{
			"valid and test",
			[]string{"train/a/1.jpg", "train/b/1.jpg", "valid/a/1.jpg", "test/a/1.jpg", "test/b/2.jpg"},
			[]string{"a", "b"},
			2, 1, 2, nil,
		},
		{
			"Training and Testing",
			[]string{"Training/a/1.jpg", "Training/b/1.jpg", "Testing/a/1.jpg"},
			[]string{"a", "b"},
			2, 0, 1, nil,
		},
		{
			"Train and VALIDATION",
			[]string{"Train/a/1.jpg", "VALIDATION/a/1.jpg"},
			[]string{"a"},
			1, 1, 0, nil,
		},
		{
			"a stray picture",
			[]string{"train/a/1.jpg", "train/2.jpg", "val/a/1.jpg", "val/x.jpg", "val/y.jpg", "top.jpg"},
			[]string{"a"},
			1, 1, 0,
			[]string{
				"top.jpg: a picture in no class folder", "train/2.jpg: a picture in no class folder",
				"val/x.jpg and 1 more: pictures in no class folder",
			},
		},
		{
			"beside the parts",
			[]string{"train/a/1.jpg", "val/a/1.jpg", "extra/a/1.jpg", "extra/2.jpg"},
			[]string{"a"},
			1, 1, 0,
			[]string{"extra/ (2 pictures) is a folder neither for training nor for validation or test"},
		},
		{
			"a test without labels",
			[]string{"train/a/1.jpg", "val/a/1.jpg", "test/1.jpg"},
			[]string{"a"},
			1, 1, 0,
			[]string{"test/ (1 picture) has no class folders"},
		},
		{
			"a test of more classes",
			[]string{"train/a/1.jpg", "test/a/1.jpg", "test/z/1.jpg", "test/z/2.jpg"},
			[]string{"a"},
			1, 0, 1,
			[]string{"test/z/ (2 pictures) is of a class that is not trained"},
		},
		{
			"classes at the top, and a test",
			[]string{"a/1.jpg", "b/1.jpg", "test/a/1.jpg", "test/b/1.jpg"},
			[]string{"a", "b"},
			2, 0, 2, nil,
		},
		{
			"classes at the top, and validation",
			[]string{"a/1.jpg", "b/1.jpg", "val/a/1.jpg"},
			[]string{"a", "b"},
			2, 1, 0, nil,
		},
		{
			"a class called test",
			[]string{"exam/1.jpg", "test/blood/1.jpg", "test/urine/1.jpg"},
			[]string{"exam", "test"},
			3, 0, 0, nil,
		},
		{"only a test", []string{"test/a/1.jpg", "test/b/1.jpg"}, []string{"a", "b"}, 0, 0, 2, nil},
		{
			"only validation, beside a folder",
			[]string{"val/a/1.jpg", "thumbs/1.jpg"},
			[]string{"a"},
			0, 1, 0,
			[]string{"thumbs/ (1 picture) is a folder neither for training nor for validation or test"},
		},
		{
			"normal forms", []string{"train/" + nfd + "/1.jpg", "val/" + nfc + "/1.jpg"}, []string{nfd}, 1, 1, 0, nil,
		},
		{
			"litter",
			[]string{
				"a/1.jpg", "b/1.jpg", "a/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "@eaDir/x.jpg", "lost+found/1/2.jpg",
				"$RECYCLE.BIN/S-1-5/1.jpg", "System Volume Information/1/2.jpg", "__MACOSX/a/._1.jpg",
			},
			[]string{"a", "b"},
			2, 0, 0, nil,
		},
		{"an empty class", []string{"a/1.jpg", "b/"}, []string{"a"}, 1, 0, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFolder, inTar := map[string][]byte{}, []tarFile{}
			for _, f := range c.files {
				inFolder[f] = anyFile
				inTar = append(inTar, tarFile{name: f, raw: anyFile})
				if strings.HasSuffix(f, "/") {
					inTar[len(inTar)-1].raw = nil
				}
			}
			for _, path := range []string{folder(t, inFolder), write(t, "d.tar", tarOf(t, inTar))} {
				src := open(t, path, 0, 1)
				var unused []string
				for _, u := range src.Unused {
					unused = append(unused, u.String())
				}
				if d := cmp.Diff(c.unused, unused); d != "" {
					t.Errorf("not used (-want +got):\n%s", d)
				}
				if d := cmp.Diff(c.classes, src.Classes); d != "" {
					t.Errorf("classes (-want +got):\n%s", d)
				}
				got := [3]int{src.Train.Len(), src.Val.Len(), src.Test.Len()}
				if want := [3]int{c.train, c.val, c.test}; got != want {
					t.Errorf("%v pictures to train on, for validation and test; want %v", got, want)
				}
			}
		})
	}
}

// TestEmptyClass: nothing is measured by it, and nothing is trained with it.
func TestEmptyClass(t *testing.T) {
	src := open(t, folder(t, map[string][]byte{"a/1.jpg": anyFile, "b/": nil}), 0, 1)
	var se *SourceError
	if err := src.Trainable(); !errors.As(err, &se) || se.Problem != EmptyClass || se.Detail != "b" {
		t.Errorf("trainable: %v", err)
	}
	src = open(t, folder(t, map[string][]byte{
		"train/a/1.jpg": anyFile, "train/b/1.jpg": anyFile, "val/a/1.jpg": anyFile, "val/b/": nil,
	}), 0, 1)
	if err := src.Trainable(); err != nil {
		t.Error(err)
	}
	if got := src.Missing(src.Val); !slices.Equal(got, []string{"b"}) {
		t.Errorf("classes without validation pictures: %q", got)
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
			"only loose pictures in val", folder(t, map[string][]byte{"train/a/1.jpg": anyFile, "val/1.jpg": anyFile}),
			LoosePart,
			[]string{"val/", "class folders"},
		},
		{
			"empty validation", folder(t, map[string][]byte{"train/a/1.jpg": anyFile, "Validation/": nil}), EmptyPart,
			[]string{"Validation/ holds no pictures"},
		},
		{
			"classes for validation without pictures",
			folder(t, map[string][]byte{"train/a/1.jpg": anyFile, "val/a/": nil}), EmptyPart,
			[]string{"val/ holds no pictures"},
		},
		{
			"val and valid", folder(t, map[string][]byte{
				"train/a/1.jpg": anyFile, "val/a/1.jpg": anyFile, "valid/a/1.jpg": anyFile,
			}), TwoParts,
			[]string{"val/ and valid/"},
		},
		{
			"class in val only", folder(t, map[string][]byte{"train/a/1.jpg": anyFile, "val/b/1.jpg": anyFile}),
			UnknownClass,
			[]string{"val/b", "no counterpart"},
		},
		{
			"no tar", write(t, "x.tar", bytes.Repeat([]byte("nonsense"), 200)), NoTar,
			[]string{"neither a folder, nor a tar, nor a list of pictures"},
		},
		{
			"a pointer", write(t, "x.tar", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")),
			Pointer,
			[]string{"is a pointer of Git LFS"},
		},
		{"a picture", write(t, "cat.png", pngOf(t, 700, 700, 3)), OnePicture, []string{"is a picture (png)"}},
		{"empty file", write(t, "x.tar", nil), NotRead, []string{"empty file"}},
		{
			"compressed", write(t, "x.tar.xz", []byte("\xfd7zXZ\x00\x00\x04")), Compressed,
			[]string{"is compressed with xz"},
		},
		{"cut in contents", write(t, "x.tar", good[:len(good)-1024-1000]), CutOff, []string{"cut off"}},
		{"cut in a header", write(t, "x.tar", good[:512+1024+100]), CutOff, []string{"cut off"}},
		{"cut between entries", write(t, "x.tar", good[:512+1024]), CutOff, []string{"cut off"}},
		{
			"deep", write(t, "x.tar", tarOf(t, []tarFile{{name: strings.Repeat("a/", 66) + "1.jpg", raw: anyFile}})),
			NotRead,
			[]string{"more than 64 folders"},
		},
		{"flipped bit", write(t, "x.tar", flipped), NoTar, []string{"tar", "invalid tar header"}},
		{"empty tar", write(t, "x.tar", tarOf(t, nil)), NoPictures, []string{"holds no pictures"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(t.Context(), files.OS, At(c.path), .1, 1)
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
		if _, err := Open(t.Context(), files.OS, At(t.TempDir()), share, 1); err == nil || errors.Is(err, ErrNoData) {
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
	for link, target := range map[string]string{"a/circle": ".", "up": ".."} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	src = open(t, dir, 0, 1)
	if d := cmp.Diff(want, names(src.Train)); d != "" {
		t.Error(d)
	}
	circles := []Unused{{Why: Circle, Name: "a/circle", Pictures: 3}} // in a, in b, and up in itself
	if d := cmp.Diff(circles, src.Unused); d != "" {
		t.Error(d)
	}
}

// TestTarSymlinks: links lead where they would if the tar were unpacked, but never out of it.
func TestTarSymlinks(t *testing.T) {
	file := func(name string) tarFile { return tarFile{name: name, raw: []byte(name)} }
	sym := func(name, target string) tarFile { return tarFile{name: name, sym: target} }
	hard := func(name, target string) tarFile { return tarFile{name: name, link: target} }
	for _, c := range []struct {
		name    string
		entries []tarFile
		want    []string // pictures, as "name=the file that it is"
		unused  []string
	}{
		{
			"to files",
			[]tarFile{
				file("a/1.png"), sym("a/2.png", "1.png"), sym("a/3.png", "../a/./2.png"), sym("b/1.png", "/a/1.png"),
				sym("b/2.png", "../pool/x"), file("pool/x"), hard("b/3.png", "b/2.png"), hard("b/4.png", "/a//1.png"),
			},
			[]string{
				"a/1.png=a/1.png", "a/2.png=a/1.png", "a/3.png=a/1.png", "b/1.png=a/1.png", "b/2.png=pool/x",
				"b/3.png=pool/x", "b/4.png=a/1.png", "pool/x=pool/x",
			},
			nil,
		},
		{
			"to what is hidden",
			[]tarFile{
				sym("a/1.png", "../.git/annex/objects/x"), file(".git/annex/objects/x"), sym("b", ".pool/b"),
				file(".pool/b/1.png"), file(".pool/b/.2.png"), sym(".c", "a"), sym("a/README", "1.png"),
			},
			[]string{"a/1.png=.git/annex/objects/x", "b/1.png=.pool/b/1.png"},
			nil,
		},
		{
			"to folders",
			[]tarFile{
				file("a/1.png"), sym("b", "a"), sym("c", "b/deep/.."), file("a/deep/2.png"),
				sym("d/more", "../a/deep"), file("d/1.png"),
			},
			[]string{
				"a/1.png=a/1.png", "a/deep/2.png=a/deep/2.png", "b/1.png=a/1.png", "b/deep/2.png=a/deep/2.png",
				"c/1.png=a/1.png", "c/deep/2.png=a/deep/2.png", "d/1.png=d/1.png", "d/more/2.png=a/deep/2.png",
			},
			nil,
		},
		{
			"out of the tar",
			[]tarFile{
				file("a/1.png"), sym("a/2.png", "../../a/1.png"), sym("a/3.png", "/etc/passwd"), sym("b/1.png", "gone"),
				sym("c", "/proc/self/root"), hard("b/2.png", "gone"), sym("a/4.png", "1.png/x"), file("b/3.png"),
				sym("a/notes.txt", "gone"),
			},
			[]string{"a/1.png=a/1.png", "b/3.png=b/3.png"},
			[]string{"a/2.png and 5 more: links to what is not in the tar"},
		},
		{
			"in circles",
			[]tarFile{
				file("a/1.png"), sym("a/self", "."), sym("a/up", ".."), sym("b/x", "y"), sym("b/y", "x"),
				file("b/1.png"), sym("b/me", "me"), hard("b/h", "b/h"), sym("c/d", "../e"), sym("e/f", "../c"),
				file("c/1.png"), file("e/1.png"),
			},
			[]string{
				"a/1.png=a/1.png", "b/1.png=b/1.png", "c/1.png=c/1.png", "c/d/1.png=e/1.png", "e/1.png=e/1.png",
				"e/f/1.png=c/1.png",
			},
			[]string{
				"b/h and 3 more: links to what is not in the tar",
				"a/self and 3 more: links to folders that they lie in",
			},
		},
		{
			"the last of a name",
			[]tarFile{
				file("a/1.png"), sym("a/2.png", "1.png"), file("a/2.png"), file("a/3.png"), sym("a/3.png", "1.png"),
				sym("b", "a"), file("b/1.png"),
			},
			[]string{"a/1.png=a/1.png", "a/2.png=a/2.png", "a/3.png=a/1.png", "b/1.png=b/1.png"},
			nil,
		},
		{
			"in a folder around all",
			[]tarFile{
				file("set/a/1.png"), sym("set/a/2.png", "../../pool/2.png"), sym("set/b/1.png", "../a/1.png"),
				sym("set/b/2.png", "/set/a/1.png"), sym("set/c/1.png", "gone"), sym("set/a/up", "../../set"),
			},
			[]string{"a/1.png=set/a/1.png", "b/1.png=set/a/1.png", "b/2.png=set/a/1.png"},
			[]string{
				"a/2.png and 1 more: links to what is not in the tar", "a/up: a link to a folder that it lies in",
			},
		},
		{"absolute names", []tarFile{file("/d/a/1.png"), sym("/d/b", "/d/a")}, []string{
			"a/1.png=/d/a/1.png", "b/1.png=/d/a/1.png",
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := open(t, write(t, "x.tar", tarOf(t, c.entries)), 0, 1)
			var got, unused []string
			for i := range src.Train.Len() {
				raw, err := src.Train.Read(t.Context(), i, nil)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, src.Train.Name(i)+"="+string(raw))
			}
			slices.Sort(got)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("pictures (-want +got):\n%s", d)
			}
			for _, u := range src.Unused {
				unused = append(unused, u.String())
			}
			if d := cmp.Diff(c.unused, unused); d != "" {
				t.Errorf("not used (-want +got):\n%s", d)
			}
		})
	}
}

// TestTarOfLinksOnly: what is said where no link leads to a picture, and where they lead to more than can be listed.
func TestTarOfLinksOnly(t *testing.T) {
	bomb := []tarFile{{name: "f30/1.png", raw: anyFile}}
	for i := range 30 { // 2^30 names
		for _, side := range []string{"a", "b"} {
			bomb = append(bomb, tarFile{name: fmt.Sprintf("f%d/%s", i, side), sym: fmt.Sprintf("../f%d", i+1)})
		}
	}
	for want, entries := range map[string][]tarFile{
		"holds no pictures (a/1.png and 1 more: links to what is not in the tar)": {
			{name: "a/1.png", sym: "../../pool/1.png"}, {name: "a/2.png", sym: "../../pool/2.png"},
		},
		"cannot be read (its links lead to more than 69,440 files)": bomb,
	} {
		_, err := Open(t.Context(), files.OS, At(write(t, "x.tar", tarOf(t, entries))), 0, 1)
		if !errors.Is(err, ErrNoData) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// arranged is a source of files in folders of classes.
func arranged(files []Record, share float64, seed uint64) (*Source, error) {
	c, err := arrange("x", &listing{files: files}, "", nil)
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
	all := slices.Clone(files)
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
	if one.FingerprintBy(.5, 2) != two.Fingerprint || two.FingerprintBy(.5, 1) != one.Fingerprint {
		t.Error("divided anew it is not the same as divided so at first")
	}
	whole, err := arranged(slices.Clone(all), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if whole.FingerprintBy(.5, 1) != one.Fingerprint || one.FingerprintBy(0, 1) != whole.Fingerprint {
		t.Error("with all in one part it is not the same as divided so at first")
	}
}

func TestSharedTars(t *testing.T) {
	for _, c := range []struct {
		name              string
		classes, pictures int
	}{{"cifar10-test.tar", 10, 10000}, {"photos.tar", 106, 106}} {
		src := open(t, sharedtest.Data(t, c.name), 0, 1)
		if len(src.Classes) != c.classes || src.Train.Len() != c.pictures {
			t.Errorf("%s: %d classes, %d pictures", c.name, len(src.Classes), src.Train.Len())
		}
	}
}

// TestTarNames: a tar of any form has the names of the folder that it was made of, whatever their bytes, and the links.
func TestTarNames(t *testing.T) {
	long := strings.Repeat("l", 90)
	dir := folder(t, map[string][]byte{
		"\xb9\xb7/1.png": anyFile, "\xc4\xf1/caf\xe9.png": anyFile, "\x83\x5c/1.png": anyFile, `\xb9/1.png`: anyFile,
		"\ufffd/a\nb.png": anyFile, "caf\u00e9/" + long + "/" + long + "\xe9.png": anyFile,
	})
	for link, target := range map[string]string{"link": "\xb9\xb7", "caf\u00e9/2.png": "../\xc4\xf1/caf\xe9.png"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	want := open(t, dir, 0, 1)
	for _, format := range []string{"ustar", "pax", "gnu", "oldgnu"} {
		path := filepath.Join(t.TempDir(), "x.tar")
		making := exec.Command("tar", "--format="+format, "-C", dir, "-cf", path, ".")
		if out, err := making.CombinedOutput(); err != nil {
			t.Skipf("no tar that writes %s: %v\n%s", format, err, out)
		}
		got := open(t, path, 0, 1)
		if d := cmp.Diff(names(want.Train), names(got.Train)); d != "" || got.Fingerprint != want.Fingerprint {
			t.Errorf("%s: names (-folder +tar):\n%s", format, d)
		}
	}
}

// TestFolderThatCannotBeRead is an error with the folder's name, and not a class less.
func TestFolderThatCannotBeRead(t *testing.T) {
	dir := folder(t, map[string][]byte{"a/1.png": anyFile, "b/1.png": anyFile})
	if err := os.Chmod(filepath.Join(dir, "b"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "b"), 0o700) })
	if _, err := os.ReadDir(filepath.Join(dir, "b")); err == nil {
		t.Skip("whoever may read everything, as root may, reads this too")
	}
	_, err := Open(t.Context(), files.OS, At(dir), 0, 1)
	var se *SourceError
	if !errors.As(err, &se) || se.Problem != NotListed || !strings.Contains(err.Error(), filepath.Join(dir, "b")) {
		t.Errorf("error %v", err)
	}
}
