package main

import (
	"bytes"
	"image"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data/picture"
	"alexnet/internal/files"
)

// A run says which decoder its JPEGs went through; where another decodes, whoever uses it is told, and --strict
// refuses. Without JPEGs there is nothing to tell.
func TestDecoder(t *testing.T) {
	dir := oldFolder(t)
	jpegs(t, filepath.Join(dir, "jpegs"))
	for data, want := range map[string]string{"jpegs": picture.JPEGDecoder(), "pictures": ""} {
		finish(t, dir, "train", "--config", "net.yaml", "--data", data, "--set", "model.classes=0", "--steps", "2",
			"--out", "run-"+data, "--device", "reference")
		path := filepath.Join(dir, "run-"+data, "checkpoints", "last.safetensors")
		if got := change(t, path, func(c *checkpoint.Checkpoint) { c.Recipe.Decoder = "yet another" }); got != want {
			t.Errorf("%s: decoder %q, want %q", data, got, want)
		}
	}
	if err := os.Remove(filepath.Join(dir, "run-jpegs", "checkpoints", "best.safetensors")); err != nil {
		t.Fatal(err) // it was not changed
	}
	for _, args := range []string{
		"predict picture.png --weights run-jpegs", "eval --weights run-jpegs", "train --resume run-jpegs --steps 3",
		"features picture.png --layer input --out f.npy --weights run-jpegs",
	} {
		log, code := attempt(dir, args+" --strict")
		if code != exitFailed || !strings.Contains(log, "error:") || !strings.Contains(log, "yet another") ||
			!strings.Contains(log, "omit --strict") {
			t.Errorf("%s --strict: exit code %d\n%s", args, code, log)
		}
		log, code = attempt(dir, args)
		if code != exitOK || !strings.Contains(log, "warning: the net was trained on JPEGs as yet another decodes") {
			t.Errorf("%s: exit code %d\n%s", args, code, log)
		}
	}
	last := filepath.Join(dir, "run-jpegs", "checkpoints", "last.safetensors")
	if got := change(t, last, func(*checkpoint.Checkpoint) {}); got != "yet another" {
		t.Errorf("a run that goes on says %q", got)
	}
	change(t, last, func(c *checkpoint.Checkpoint) { c.Recipe.Decoder = "" })
	finish(t, dir, "train", "--resume", "run-jpegs", "--steps", "5")
	if got, want := change(t, last, func(*checkpoint.Checkpoint) {}), picture.JPEGDecoder(); got != want {
		t.Errorf("a run that had no decoder and goes on says %q, want %q", got, want)
	}
}

// jpegs makes a folder of two classes of pictures.
func jpegs(t *testing.T, dir string) {
	t.Helper()
	for i := range 8 {
		img := image.NewGray(image.Rect(0, 0, 20, 20))
		for p := range img.Pix {
			img.Pix[p] = uint8(p * (i + 1))
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, img, nil); err != nil {
			t.Fatal(err)
		}
		keep(t, filepath.Join(dir, []string{"a", "b"}[i%2], strconv.Itoa(i)+".jpg"), b.Bytes())
	}
}

// change rewrites a checkpoint and returns the decoder that it named.
func change(t *testing.T, path string, how func(*checkpoint.Checkpoint)) string {
	t.Helper()
	c, err := checkpoint.Load(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	was := c.Recipe.Decoder
	how(c)
	if err := checkpoint.Save(files.OS, path, c); err != nil {
		t.Fatal(err)
	}
	return was
}

// attempt runs the program and returns what it wrote to standard error, and its exit code.
func attempt(dir, args string) (string, int) {
	var log bytes.Buffer
	c := exec.Command("alexnet", strings.Fields(args)...)
	c.Dir, c.Stderr = dir, &log
	_ = c.Run() // the exit code says how it went
	return log.String(), c.ProcessState.ExitCode()
}
