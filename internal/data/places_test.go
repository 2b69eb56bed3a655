package data

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/files"
)

// TestSeveralPaths gives training and validation as paths of their own, in whatever form: names, labels, order and
// bytes are those of one folder with both in it.
func TestSeveralPaths(t *testing.T) {
	all := mock(t)
	whole := folder(t, all)
	want := open(t, whole, 0, 1)
	pictures := content(t, want)
	train, val := only(all, "train/", ""), only(all, "val/", "")
	dir := folder(t, map[string][]byte{
		"train.tar": tarOf(t, tarFiles(train)), "val.tar": tarOf(t, tarFiles(val)),
		"small-train.tar":          tarOf(t, tarFiles(only(all, "train/", "around/"))),
		"photos_val_1.tar":         tarOf(t, tarFiles(val)),
		"ILSVRC2012_img_train.tar": officialTrain(t, all), "ILSVRC2012_img_val.tar": tarOf(t, tarFiles(flat(all, ""))),
		"both.tar": tarOf(t, tarFiles(only(all, "train/", "x/train/"))),
	})
	in := func(names ...string) Place {
		var at Place
		for _, name := range names {
			at.Paths = append(at.Paths, filepath.Join(dir, name))
		}
		return at
	}
	for name, at := range map[string]Place{
		"two tars":           in("train.tar", "val.tar"),
		"the other way":      in("val.tar", "train.tar"),
		"words in names":     in("small-train.tar", "photos_val_1.tar"),
		"official":           in("ILSVRC2012_img_val.tar", "ILSVRC2012_img_train.tar"),
		"a folder and a tar": At(filepath.Join(whole, "train")+"/", filepath.Join(dir, "val.tar")),
		"two folders":        At(filepath.Join(whole, "train"), filepath.Join(whole, "val")),
		"parts inside":       in("both.tar", "val.tar"),
	} {
		src, err := Open(t.Context(), files.OS, at, 0, 1)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if src.Fingerprint != want.Fingerprint || !maps.Equal(content(t, src), pictures) || len(src.Unused) > 0 {
			t.Errorf("%s: train %v\nval %v\n%v", name, names(src.Train), names(src.Val), src.Unused)
		}
		if !slices.Equal(src.Place.Paths, at.Paths) || src.Path != strings.Join(at.Paths, ", ") {
			t.Errorf("%s: is at %v, %s", name, src.Place, src.Path)
		}
		if file := src.Train.File(0); !strings.HasPrefix(file, dir+"/") && !strings.HasPrefix(file, whole+"/train/n") {
			t.Errorf("%s: a picture lies at %s", name, file)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestPathsWithoutParts are class folders of one set where no name says what they are for.
func TestPathsWithoutParts(t *testing.T) {
	a := folder(t, map[string][]byte{"cat/1.png": pngOf(t, 8, 8, 1), "dog/1.png": pngOf(t, 8, 8, 2)})
	b := write(t, "more.tar", tarOf(t, tarFiles(map[string][]byte{"cat/2.png": pngOf(t, 8, 8, 3)})))
	src, err := Open(t.Context(), files.OS, At(a, b), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(src.Train); !slices.Equal(got, []string{"cat/1.png", "cat/2.png", "dog/1.png"}) {
		t.Errorf("%v", got)
	}
	if got, want := src.Train.File(1), b+"/cat/2.png"; got != want {
		t.Errorf("a picture lies at %s, want %s", got, want)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	train := write(t, "train.tar", tarOf(t, tarFiles(map[string][]byte{"cat/2.png": pngOf(t, 8, 8, 3)})))
	for name, c := range map[string]struct {
		at      Place
		problem Problem
		detail  string
	}{
		"twice":     {At(a, a+"/"), PathTwice, ""},
		"no part":   {At(train, a), NoPart, ""},
		"empty":     {At(a, t.TempDir()), NoPictures, ""},
		"missing":   {At(a, filepath.Join(a, "no")), NotFound, ""},
		"two parts": {At(train, train), PathTwice, ""},
	} {
		_, err := Open(t.Context(), files.OS, c.at, 0, 1)
		var e *SourceError
		if !errors.As(err, &e) || e.Problem != c.problem || e.Detail != c.detail {
			t.Errorf("%s: %v", name, err)
		}
	}
}
