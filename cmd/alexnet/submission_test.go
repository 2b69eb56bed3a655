package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/imagenet"
	"alexnet/internal/ui"
)

// trainThousand trains a small net of ILSVRC2012's 1000 classes for a step, into dir/run.
func trainThousand(t *testing.T, dir, run string) {
	t.Helper()
	page, err := os.ReadFile("testdata/tiny.yaml")
	if err != nil {
		t.Fatal(err)
	}
	keep(t, filepath.Join(dir, "thousand.yaml"), page)
	for i, c := range imagenet.All() {
		keep(t, filepath.Join(dir, "thousand", c.WNID, "1.png"), smallPNG(t, i))
	}
	finish(t, dir, "train", "--config", "thousand.yaml", "--data", "thousand", "--steps", "1", "--set",
		"data.val_share=0", "--device", "reference", "--out", run)
}

// TestSubmission: a line of five ILSVRC2012_IDs for each picture, in the order of the files' names wherever these lie;
// the answers are those of predict.
func TestSubmission(t *testing.T) {
	dir := t.TempDir()
	trainThousand(t, dir, "run")
	t.Chdir(dir)
	var words, order, want []string
	for _, n := range []int{7, 100, 3, 20, 1, 55} { // as in the official tars, not in order
		words = append(words, fmt.Sprintf("test/ILSVRC2012_test_%08d.JPEG", n))
	}
	words[4] += "=no picture"
	buildTar(t, "test.tar", words)
	buildFolder(t, "folder", words)
	buildFolder(t, "first", words[:2])
	pack := []string{"-C", "folder", "-cf", "rest.tar"}
	for _, w := range words[2:] {
		name, _, _ := strings.Cut(w, "=")
		pack = append(pack, name)
	}
	if out, err := exec.Command("tar", pack...).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	buildFolder(t, "of tars", nil)
	keep(t, "of tars/ILSVRC2012_img_test.tar", read(t, "test.tar"))
	for _, w := range words {
		name, _, _ := strings.Cut(w, "=")
		order = append(order, filepath.Join("folder", name))
	}
	slices.Sort(order)
	keep(t, "list", []byte(strings.Join(order[:4], "\n")))
	ids := map[string]int{}
	for _, c := range imagenet.All() {
		ids[c.WNID] = c.ID
	}
	onReference := []string{"--weights", "run", "--device", "reference"}
	answers := document[[]predictResult](t, slices.Concat([]string{"predict"}, order, onReference)...)
	for _, a := range answers {
		var five []string
		for _, p := range a.Predictions {
			five = append(five, fmt.Sprint(ids[string(p.Class)]))
		}
		if a.Error != "" {
			five = []string{"1", "2", "3", "4", "5"}
		}
		want = append(want, strings.Join(five, " ")+"\n")
	}
	if len(want) != 6 || want[0] != unreadLine || want[1] == want[2] {
		t.Fatalf("predict: %q", want)
	}
	for i, paths := range [][]string{
		{"test.tar"},
		{"folder"},
		{"first", "rest.tar"},
		{"rest.tar", "first"},
		{"of tars"},
		order,
		{"--list", "list", order[4], order[5]},
	} {
		out := fmt.Sprint(i, ".txt")
		args := slices.Concat([]string{"predict", "--submission", out}, paths, onReference)
		r := document[submissionResult](t, args...)
		if got := string(read(t, out)); got != strings.Join(want, "") {
			t.Errorf("%q: %q, want %q", paths, got, want)
		}
		if r.Pictures != 6 || r.Unreadable != 1 || !strings.HasSuffix(string(r.First), "_00000001.JPEG") ||
			!strings.HasSuffix(string(r.Last), "_00000100.JPEG") {
			t.Errorf("%q: %+v", paths, r)
		}
	}
	keep(t, "one/a.png", smallPNG(t, 1))
	refused(t, exitUnreadable, "test/ILSVRC2012_test_00000001.JPEG", "folder", "--submission", "again.txt")
	refused(t, exitNoData, "no: no such file or folder", "no", "one", "--submission", "x.txt")
	keep(t, "two/dogs/b.png", smallPNG(t, 2))
	keep(t, "two/cats/c.png", smallPNG(t, 3))
	finish(t, dir, "data", "prepare", "two", "set", "--resize", "8", "--shards", "2")
	if r := document[submissionResult](t, slices.Concat([]string{"predict", "--submission", "set.txt", "set"},
		onReference)...); r.Pictures != 2 || r.Unreadable != 0 {
		t.Errorf("of a prepared set: %+v", r)
	}
	refused(t, exitNoData, "set is a prepared set: its pictures lie in tars", "-r", "set")
	keep(t, "gone", []byte("no\none/a.png\n"))
	refused(t, exitUnreadable, "cannot read picture no: ", "--list", "gone", "--submission", "no.txt")
	refused(t, exitUnreadable, "cannot read picture", "folder", "--submission", "strict.txt", "--strict")
	if _, err := os.Stat("strict.txt"); err == nil {
		t.Error("--strict wrote a submission that ends early")
	}
	refused(t, exitUsage, "folder/test/ILSVRC2012_test_00000001.JPEG and test.tar/test/ILSVRC2012_test_00000001.JPEG "+
		"have the same file name", "test.tar", "folder", "--submission", "x.txt")
	refused(t, exitFailed, "again.txt is there already", "folder", "--submission", "again.txt")
	refused(t, exitUnreadable, "1 picture could not be read; 1 2 3 4 5", "folder", "--submission", "again.txt",
		"--force")
	refused(t, exitUsage, "test.tar is a tar, and predict takes pictures and folders", "test.tar")
	refused(t, exitUnreadable, "; "+unpackTar, "folder/test/ILSVRC2012_test_00000001.JPEG", "test.tar")
	refused(t, exitUsage, "exclude each other", "folder", "--submission", "x.txt", "--top", "5")
	refused(t, exitUsage, "exclude each other", "folder", "--submission", "x.txt", "--csv")
	refused(t, exitUsage, "has no file name", "-", "one", "--submission", "x.txt")
	refused(t, exitUsage, "goes with --submission", "folder", "--force")
	if out, err := exec.Command("tar", "-czf", "packed.tar", "one").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	refused(t, exitNoData, "packed.tar: can only be read from its beginning to its end", "packed.tar", "--submission",
		"x.txt")
	if err := os.Mkdir("nothing", 0o777); err != nil {
		t.Fatal(err)
	}
	refused(t, exitNoData, "nothing: holds no pictures", "nothing", "--submission", "x.txt")
	var said bytes.Buffer
	code := execute([]string{"predict", "one", "--submission", "x.txt", "--weights", "builtin"}, &ui.Terminal{
		Out: &said, Err: &said,
	})
	if code != exitCheckpoint ||
		!strings.Contains(said.String(), "lacks 1,000 of ILSVRC2012's 1,000 (n01440764 tench,") {
		t.Errorf("a net of other classes: exit code %d: %s", code, said.String())
	}
	if _, err := os.Stat("x.txt"); err == nil {
		t.Error("a refused submission was written")
	}
}

// refused runs predict with the net of run, and holds its exit code and what it says to what is wanted.
func refused(t *testing.T, code int, says string, args ...string) {
	t.Helper()
	var said bytes.Buffer
	args = slices.Concat([]string{"predict"}, args, []string{"--weights", "run", "--device", "reference"})
	got := execute(args, &ui.Terminal{Out: &said, Err: &said})
	if got != code || !strings.Contains(said.String(), says) {
		t.Errorf("%q: exit code %d, want %d and %q: %s", args, got, code, says, said.String())
	}
}
