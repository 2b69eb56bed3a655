package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/data/picture"
)

// A run turns pictures as their EXIF data says, and whoever uses the net does so too; with data.exif=ignore neither
// does. Runs that are older than the key leave pictures as they are stored, also after they were resumed. The net in
// the program turns them.
func TestExif(t *testing.T) {
	dir := oldFolder(t)
	raw := read(t, filepath.FromSlash("../../internal/data/picture/testdata/pillow/exif-6.png"))
	d := picture.NewDecoder()
	defer d.Close()
	for name, upright := range map[string]bool{"stored.png": false, "upright.png": true} {
		want := picture.Want{Channels: 3, Upright: upright}
		pic, err := d.Decode(t.Context(), raw, want, nil)
		if err != nil {
			t.Fatal(err)
		}
		img := image.NewNRGBA(image.Rect(0, 0, pic.Width, pic.Height))
		for i := range pic.Height * pic.Width {
			p := pic.Pixels[3*i:]
			img.SetNRGBA(i%pic.Width, i/pic.Width, color.NRGBA{p[0], p[1], p[2], 255})
		}
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		keep(t, filepath.Join(dir, name), b.Bytes())
	}
	keep(t, filepath.Join(dir, "exif.png"), raw)
	byHand := read(t, filepath.Join(dir, "upright.png"))
	for _, name := range []string{"a/1.png", "a/2.png", "b/1.png", "b/2.png"} {
		keep(t, filepath.Join(dir, "data", name), raw)
		keep(t, filepath.Join(dir, "turned", name), byHand)
	}
	train := func(data, out string, more ...string) {
		finish(t, dir, append([]string{
			"train", "--config", "net.yaml", "--data", data, "--set", "model.classes=0", "--steps", "2", "--out", out,
			"--device", "reference",
		}, more...)...)
	}
	train("data", "apply")
	train("data", "ignore", "--set", "data.exif=ignore")
	train("turned", "by-hand")
	finish(t, dir, "train", "--resume", "run", "--data", "pictures.tar", "--steps", "18")
	input := func(file, weights string) []byte {
		finish(t, dir, "features", file, "--layer", "input", "--out", "f.npy", "--force", "--weights", weights)
		return read(t, filepath.Join(dir, "f.npy"))
	}
	for weights, like := range map[string]string{
		"apply": "upright.png", "ignore": "stored.png", "run": "stored.png", "builtin": "upright.png",
	} {
		for _, file := range []string{"upright.png", "stored.png"} {
			if same := bytes.Equal(input("exif.png", weights), input(file, weights)); same != (file == like) {
				t.Errorf("%s: takes the picture for %s: %t", weights, file, same)
			}
		}
	}
	if !bytes.Equal(input("stored.png", "apply"), input("stored.png", "by-hand")) {
		t.Error("another mean than that of the pictures turned by hand")
	}
	info := exec.Command("alexnet", "data", "info", "data")
	info.Dir = dir
	if out, err := info.Output(); err != nil || !strings.Contains(string(out), "turned as EXIF says (data.exif): 4") {
		t.Errorf("data info: %v\n%s", err, out)
	}
}

// A pointer that Git LFS has left is said to be one, wherever weights are wanted.
func TestPointer(t *testing.T) {
	dir := oldFolder(t)
	pointer := []byte("version https://git-lfs.github.com/spec/v1\n" +
		"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n")
	keep(t, filepath.Join(dir, "net.safetensors"), pointer)
	keep(t, filepath.Join(dir, "run", "checkpoints", "last.safetensors"), pointer)
	for _, args := range []string{
		"predict picture.png --weights net.safetensors", "eval --data pictures.tar --weights net.safetensors",
		"features picture.png --layer input --out f.npy --weights net.safetensors", "weights show net.safetensors",
		"train --data pictures.tar --init net.safetensors", "train --resume run --data pictures.tar",
	} {
		log, code := attempt(dir, args)
		if code != exitCheckpoint || !strings.Contains(log, "is a pointer of Git LFS") ||
			!strings.Contains(log, "git lfs pull") {
			t.Errorf("%s: exit code %d\n%s", args, code, log)
		}
	}
	verify := exec.Command("alexnet", "verify", "net.safetensors")
	verify.Dir = dir
	if out, err := verify.Output(); err == nil || !strings.Contains(string(out), "pointer of Git LFS") {
		t.Errorf("verify: %v\n%s", err, out)
	}
}
