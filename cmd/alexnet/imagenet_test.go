package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"alexnet/internal/imagenet"
	"alexnet/internal/sharedtest"
)

// mockTar is a tar of files, in an order of its own: the official ones are not sorted.
func mockTar(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range names {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(files[name]))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// mockImageNet writes ILSVRC2012's two tars, small: photos for validation, each under a number whose built-in label is
// its class; to train on two copies of each, under other names, and of the other classes a tiny picture, so that there
// are 1,000.
func mockImageNet(t *testing.T, dir string) (photos map[string][]byte) {
	t.Helper()
	photos = map[string][]byte{}
	for _, photo := range sharedtest.Photos(t) {
		photos[path.Base(path.Dir(photo.Name))] = photo.Raw
	}
	classes := imagenet.All()
	number := map[string]int{} // of a validation picture of the class
	for n := 1; n <= imagenet.Validations; n++ {
		place, ok := imagenet.Validation(fmt.Sprintf("ILSVRC2012_val_%08d.JPEG", n))
		if !ok {
			t.Fatal(n)
		}
		number[classes[place].WNID] = n // the last one
	}
	val, train := map[string][]byte{}, map[string][]byte{}
	for _, c := range classes {
		inner := map[string][]byte{}
		if photo := photos[c.WNID]; photo != nil {
			val[fmt.Sprintf("ILSVRC2012_val_%08d.JPEG", number[c.WNID])] = photo
			inner[c.WNID+"_10026.JPEG"], inner[c.WNID+"_9.JPEG"] = photo, photo
		} else {
			var tiny bytes.Buffer
			grey := image.NewGray(image.Rect(0, 0, 20, 18))
			for i := range grey.Pix {
				grey.Pix[i] = uint8(c.ID * (i + 1))
			}
			if err := png.Encode(&tiny, grey); err != nil {
				t.Fatal(err)
			}
			inner[c.WNID+"_1.JPEG"] = tiny.Bytes() // one of the real ones is a PNG too
		}
		train[c.WNID+".tar"] = mockTar(t, inner)
	}
	for name, files := range map[string]map[string][]byte{
		"ILSVRC2012_img_train.tar": train, "ILSVRC2012_img_val.tar": val,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), mockTar(t, files), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return photos
}

// TestImageNet goes the way of somebody who has ILSVRC2012's tars, with a mock of them: inspect, prepare, train, eval,
// and predict for the test server.
func TestImageNet(t *testing.T) {
	dir := t.TempDir()
	photos := mockImageNet(t, dir)
	writeTiny(t, dir)
	t.Chdir(dir)
	if err := os.Mkdir("ilsvrc", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"} {
		if err := os.Rename(name, filepath.Join("ilsvrc", name)); err != nil {
			t.Fatal(err)
		}
	}
	type counts struct {
		Train, Val int
		Classes    []struct{ Name string }
	}
	info := document[counts](t, "data", "info", "ilsvrc")
	if info.Train != 2*len(photos)+imagenet.Classes-len(photos) || info.Val != len(photos) ||
		len(info.Classes) != imagenet.Classes {
		t.Fatalf("%d, %d, %d", info.Train, info.Val, len(info.Classes))
	}
	finish(t, dir, "data", "prepare", "ilsvrc", "prepared", "--resize", "24")
	if again := document[counts](t, "data", "info", "prepared"); again.Train != info.Train || again.Val != info.Val ||
		!slices.Equal(again.Classes, info.Classes) {
		t.Errorf("prepared: %d, %d, %d", again.Train, again.Val, len(again.Classes))
	}
	// two GPUs' columns on the CPU, as train does without flags; 1,000 outputs of the scripts' net
	finish(t, dir, "train", "--data", "prepared", "--config", "tiny.yaml", "--steps", "20", "--out", "run")
	figures := document[struct {
		Pictures int     `json:"images"`
		Top1     float64 `json:"top1_error"`
	}](t, "eval", "--weights", "run")
	if figures.Pictures != len(photos) || figures.Top1 < 0 || figures.Top1 > 1 {
		t.Errorf("%+v", figures)
	}

	if err := os.Mkdir("test", 0o777); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, photo := range photos {
		n++
		if err := os.WriteFile(fmt.Sprintf("test/ILSVRC2012_test_%08d.JPEG", n), photo, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	finish(t, dir, "predict", "--weights", "run", "--submission", "out.txt", "test")
	lines := strings.Split(strings.TrimSuffix(string(read(t, "out.txt")), "\n"), "\n")
	if len(lines) != n {
		t.Fatalf("%d lines for %d pictures", len(lines), n)
	}
	for _, line := range lines {
		ids := strings.Split(line, " ")
		for _, word := range ids {
			if id, err := strconv.Atoi(word); err != nil || id < 1 || id > imagenet.Classes {
				t.Fatalf("%q", line)
			}
		}
		slices.Sort(ids)
		if len(slices.Compact(ids)) != 5 {
			t.Fatalf("%q", line)
		}
	}
}
