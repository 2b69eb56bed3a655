package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/atomicfile"
	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/imagenet"
	"alexnet/internal/infer"
	"alexnet/internal/reference"
	"alexnet/internal/text"
)

// oddNames are class names that a spreadsheet, a page or a reader of lines could mistake for something else.
var oddNames = []string{
	"=1+1", `a,"b";c`, "line\nbreak", "<script>'&", strings.Repeat("long", 40), "\xff\x9b", "  ",
}

// TestEvalOut: what is written of names with commas, quotes, ends of lines and bytes of no letter can be read back, and
// says what the result says; a folder that is there stays.
func TestEvalOut(t *testing.T) {
	dir := t.TempDir()
	writeTiny(t, dir)
	for i, class := range oddNames {
		for k := range 6 {
			path := filepath.Join(dir, "odd", class, fmt.Sprintf("%d,\"\n.png", k))
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Skip("a file system without such names: ", err)
			}
			keep(t, path, smallPNG(t, 7*i+k))
		}
	}
	finish(t, dir, "train", "--config", "tiny.yaml", "--data", "odd", "--steps", "2", "--set", "data.val_share=0",
		"--device", "reference", "--out", "run")
	finish(t, dir, "eval", "--weights", "run", "--device", "reference", "--out", "out/found")
	found := filepath.Join(dir, "out", "found")
	e := checkFound(t, found, 42)
	if e.Images != 42 {
		t.Errorf("%+v", e.Evaluation)
	}
	lines := readCSV(t, filepath.Join(found, "classes.csv"))
	var classes []infer.ClassOutcome
	readJSON(t, filepath.Join(found, "classes.json"), &classes)
	for i, c := range classes {
		if !slices.Contains(oddNames, string(c.Class)) || lines[i+1][1] != text.Name(c.Class) || c.Images != 6 {
			t.Errorf("class %d: %+v, line %q", i, c, lines[i+1])
		}
	}
	// pictures of one class, all of which may be right
	single := filepath.Join(dir, "single")
	if err := errors.Join(os.Mkdir(single, 0o777), os.Rename(filepath.Join(dir, "odd", oddNames[0]),
		filepath.Join(single, oddNames[0]))); err != nil {
		t.Fatal(err)
	}
	finish(t, dir, "eval", "--weights", "run", "--device", "reference", "--out", "one", "--data", "single")
	if lines := readCSV(t, filepath.Join(dir, "one", "classes.csv")); len(lines) != len(oddNames)+1 {
		t.Errorf("%d lines", len(lines))
	}
}

// TestEvalOutThousand: a matrix of a thousand classes, and a picture of it that a screen can show.
func TestEvalOutThousand(t *testing.T) {
	dir := t.TempDir()
	trainThousand(t, dir, "run")
	finish(t, dir, "eval", "--weights", "run", "--device", "reference", "--out", "found")
	found := filepath.Join(dir, "found")
	checkFound(t, found, len(imagenet.All()))
	if lines := readCSV(t, filepath.Join(found, "confusion.csv")); len(lines) != 1001 || len(lines[1000]) != 1001 {
		t.Errorf("%d lines", len(lines))
	}
	f, err := os.Open(filepath.Join(found, "confusion.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if head, err := png.DecodeConfig(f); err != nil || head.Width > 1300 || head.Height > 1300 {
		t.Errorf("%+v, %v", head, err)
	}
}

// TestEvalOutFull: of a disk that fills up nothing is left, and the error says so.
func TestEvalOutFull(t *testing.T) {
	dir := t.TempDir()
	writeTiny(t, dir)
	finish(t, dir, "data", "demo", "--out", "shapes", "--train", "2", "--val", "2", "--size", "16")
	finish(t, dir, "train", "--config", "tiny.yaml", "--data", "shapes", "--steps", "1", "--device", "reference",
		"--out", "run")
	c, err := checkpoint.Load(files.OS, filepath.Join(dir, "run", "checkpoints", "last.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := data.Open(t.Context(), files.OS, data.At(filepath.Join(dir, "shapes")), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o := infer.EvalOptions{Checkpoint: c, Devices: reference.Open(1), Set: s.Val, Classes: s.Classes}
	for n := range 8 { // of as many files
		fsys, out := filestest.New(files.OS), filepath.Join(dir, "out")
		fsys.Fail("write", n, syscall.ENOSPC)
		folder, err := atomicfile.NewFolder(fsys, out)
		if err == nil {
			_, err = writeEval(t.Context(), folder, o)
			folder.Drop()
		}
		var failed *atomicfile.Failed
		if !errors.Is(err, syscall.ENOSPC) || !errors.As(err, &failed) || failed.Now != atomicfile.Unchanged {
			t.Errorf("write %d: %v", n, err)
		}
		for _, left := range []string{out, files.Partial(out)} {
			if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("write %d: %s is left: %v", n, left, err)
			}
		}
	}
}

// checkFound holds the files of eval --out, of so many pictures, to each other.
func checkFound(t *testing.T, dir string, pictures int) *evalDocument {
	t.Helper()
	var e evalDocument
	readJSON(t, filepath.Join(dir, "evaluation.json"), &e)
	wrong := int(float64(e.Images)*e.Top1Error + .5)
	if e.Images != pictures || len(e.Checkpoint) != 64 || len(e.Data) != 32 || e.Crops != 1 || wrong == 0 {
		t.Errorf("%+v", e)
	}
	var classes []infer.ClassOutcome
	readJSON(t, filepath.Join(dir, "classes.json"), &classes)
	var listed []mistakeLine
	readJSON(t, filepath.Join(dir, "mistakes.json"), &listed)
	lines := readCSV(t, filepath.Join(dir, "mistakes.csv"))
	if len(listed) != wrong || len(lines) != wrong+1 {
		t.Fatalf("%d mistakes, %d lines, want %d", len(listed), len(lines), wrong)
	}
	for i, m := range listed {
		l := lines[i+1]
		if l[0] != strconv.Itoa(m.Number) || l[1] != text.Name(m.File) || l[2] != text.Name(m.Class) ||
			l[4] != text.Name(m.Answer) || m.Class == m.Answer || m.Rank < 2 || m.Probability < m.ClassProbability {
			t.Errorf("%q and %+v", l, m)
		}
	}
	sum, diagonal := 0, 0
	for i, l := range readCSV(t, filepath.Join(dir, "confusion.csv"))[1:] {
		for k, field := range l[1:] {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			if sum += n; i == k {
				diagonal += n
			}
		}
	}
	if sum != pictures || diagonal != pictures-wrong {
		t.Errorf("the matrix has %d pictures, %d right; want %d, %d wrong", sum, diagonal, pictures, wrong)
	}
	if lines := readCSV(t, filepath.Join(dir, "classes.csv")); len(lines) != len(classes)+1 {
		t.Errorf("%d classes, and %d lines", len(classes), len(lines))
	}
	var pairs struct{ Confusions []infer.Confusion }
	readJSON(t, filepath.Join(dir, "confusion.json"), &pairs)
	for _, p := range pairs.Confusions {
		wrong -= p.Pictures
	}
	if wrong != 0 {
		t.Errorf("the pairs lack %d mistakes", wrong)
	}
	return &e
}

func readCSV(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	document, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(document, into)
	}
	if err != nil {
		t.Fatal(path, err)
	}
}
