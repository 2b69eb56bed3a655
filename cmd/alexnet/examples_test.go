package main

import (
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"alexnet/internal/config"
	"alexnet/internal/files"
	"alexnet/internal/safetensors"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// examplePage is the net that stands in for those too large for a test, with the names of the paper's layers.
const examplePage = `
model:
  columns: 2
  input: {channels: 3, size: 14}
  layers:
    - {name: conv1, kind: conv, kernels: 8, size: 5, stride: 2, act: relu, init: {std: 0.02}}
    - {name: lrn1, kind: lrn}
    - {name: pool1, kind: pool, size: 3, stride: 2}
    - {name: conv4, kind: conv, kernels: 8, size: 3, pad: 1, act: relu, init: {std: 0.1}}
    - {name: fc6, kind: fc, inputs: both, units: 16, act: relu, init: {std: 0.1}}
    - {name: drop6, kind: dropout}
    - {name: fc7, kind: fc, inputs: both, units: 16, act: relu, init: {std: 0.1}}
    - {name: drop7, kind: dropout}
    - {name: fc8, kind: fc, inputs: both, init: {std: 0.1}}
    - {name: prob, kind: softmax}
train: {epochs: 1, batch: 16, lr: 0.001, schedule: {kind: constant}}
data: {resize: 16}
`

// exampleFolder is where examples find what they name: folders and tars of pictures, one of them in gzip, pictures and
// a list of them, a run, a checkpoint, a run on ILSVRC2012's classes. small.yaml is the page above.
func exampleFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "small.yaml"), []byte(examplePage), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"photos", "imagenet", "cifar10"} {
		finish(t, dir, "data", "demo", "--out", data, "--train", "2", "--val", "1")
	}
	for name, what := range map[string][2]string{
		"cifar10.tar": {".", "cifar10"}, "train.tar": {"photos/train", "."}, "val.tar": {"photos/val", "."},
		"photos.tar.gz": {".", "photos"},
	} {
		if out, err := exec.Command("tar", "-C", filepath.Join(dir, what[0]), "-caf", filepath.Join(dir, name),
			what[1]).CombinedOutput(); err != nil {
			t.Fatalf("tar: %v\n%s", err, out)
		}
	}
	for _, name := range []string{"cat.jpg", "dog.jpg"} {
		writeJPEG(t, filepath.Join(dir, name))
	}
	if err := os.WriteFile(filepath.Join(dir, "pictures.txt"), []byte("cat.jpg\ndog.jpg\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	trainThousand(t, dir, "paper")
	if err := os.RemoveAll(filepath.Join(dir, "thousand")); err != nil { // the folder is copied often
		t.Fatal(err)
	}
	buildTar(t, filepath.Join(dir, "ILSVRC2012_img_test.tar"), []string{"test/ILSVRC2012_test_00000001.JPEG"})
	for name, list := range map[string]string{
		"pictures.csv": "path,label\ncat.jpg,0\ndog.jpg,1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(list), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range []string{"runs/train2", "runs/train"} {
		finish(t, dir, "train", "--config", "small.yaml", "--data", "photos", "--steps", "1", "--out", run)
	}
	best, err := os.ReadFile(filepath.Join(dir, "runs/train/checkpoints/best.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "alexnet.safetensors"), best, 0o666); err != nil {
		t.Fatal(err)
	}
	otherPrograms(t, dir)
	return dir
}

// otherPrograms makes the weights that examples import, whatever their names promise, and the names of their classes.
func otherPrograms(t *testing.T, dir string) {
	t.Helper()
	finish(t, dir, "weights", "export", "runs/train", "--out", "other.safetensors")
	weights, err := os.ReadFile(filepath.Join(dir, "other.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alexnet.pth", "plants.pth", "caffe.caffemodel"} {
		keep(t, filepath.Join(dir, name), weights)
	}
	r, err := safetensors.Open(files.OS, filepath.Join(dir, "other.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var classes []string
	if err := json.Unmarshal([]byte(r.Meta["classes"]), &classes); err != nil {
		t.Fatal(err)
	}
	keep(t, filepath.Join(dir, "plants.txt"), []byte(strings.Join(classes, "\n")+"\n"))
}

func writeJPEG(t *testing.T, path string) {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 40, 30))
	for i := range 40 * 30 {
		m.Set(i%40, i/40, color.RGBA{uint8(6 * (i % 40)), uint8(8 * (i / 40)), 90, 255})
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := jpeg.Encode(f, m, nil); err != nil {
		t.Fatal(err)
	}
}

// TestExamples runs every example of every command, those of the first page included, in the order in which they stand,
// in a folder of the command's own (exampleFolder). A shell runs them, so that *.jpg and > mean what they mean to
// users, with these changes:
//
//   - what an example pipes its result into (jq) is left away;
//   - commands that take steps take one (two with --resume; no warm-up), with batches of 2;
//   - train, bench and weights init of a net with an input above 32x32, hours or gigabytes of work, run with --config
//     small.yaml at their end, which overrides the example's. The net that the example names is still loaded, by
//     alexnet config with the example's own --config and --set;
//   - data fetch fetches an archive of the test's from a server of the test's.
//
// All else runs as it stands, and all must end with exit code 0.
func TestExamples(t *testing.T) {
	var all []*cobra.Command
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		all = append(all, c)
		for _, s := range c.Commands() {
			walk(s)
		}
	}
	walk(newRootCommand(&ui.Terminal{}))
	prepared := exampleFolder(t)
	for _, c := range all {
		t.Run(strings.ReplaceAll(c.CommandPath(), " ", "-"), func(t *testing.T) {
			t.Parallel()
			lines := exampleLines(c)
			if len(lines) == 0 {
				t.Fatalf("%s --help shows no example", c.CommandPath())
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(prepared)); err != nil {
				t.Fatal(err)
			}
			for _, line := range lines {
				runExample(t, dir, line)
			}
		})
	}
}

var inner = regexp.MustCompile(`<\((alexnet [^)]*)\)`) // source <(alexnet completion bash)

// exampleLines are the command lines of a command's examples, as commandLines has them.
func exampleLines(c *cobra.Command) []string { return commandLines(c.Example) }

// commandLines are those of a text, without explanations (after two spaces) and pipes.
func commandLines(page string) []string {
	var lines []string
	for line := range strings.Lines(page) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "  ")
		line, _, _ = strings.Cut(line, " | ")
		if m := inner.FindStringSubmatch(line); m != nil {
			line = m[1]
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// fenced are the README's blocks of commands, by their kind: those marked sh can be run in a row, those marked text
// need pictures, minutes or much memory.
var fenced = regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)^```$")

// TestReadme runs the README's commands marked sh in the order in which they stand, in one folder that is empty but for
// small.yaml, with the changes of TestExamples and no others. Of those marked text it holds commands and flags to what
// there is.
func TestReadme(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	keep(t, filepath.Join(dir, "small.yaml"), []byte(examplePage))
	count := map[string]int{}
	for _, block := range fenced.FindAllStringSubmatch(string(page), -1) {
		for _, line := range commandLines(block[2]) {
			args, ok := strings.CutPrefix(line, "alexnet ")
			if !ok { // an explanation goes on
				continue
			}
			count[block[1]]++
			if block[1] == "sh" {
				runExample(t, dir, line)
				continue
			}
			c, rest, err := newRootCommand(&ui.Terminal{}).Find(strings.Fields(args))
			if err == nil {
				err = c.ParseFlags(rest)
			}
			if err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	if count["sh"] < 15 || count["text"] < 5 {
		t.Errorf("the README has %v commands: it looks in the wrong place", count)
	}
}

func runExample(t *testing.T, dir, line string) {
	t.Helper()
	if strings.HasPrefix(line, "alexnet data fetch ") {
		f := strings.Fields(line)
		line = strings.Replace(line, f[3], serveArchive(t)+" --out data/"+path.Base(f[3]), 1)
	}
	args, ok := strings.CutPrefix(line, "alexnet ")
	if !ok {
		t.Errorf("%s: not a command of ours", line)
		return
	}
	more, named := standIn(t, dir, strings.Fields(args))
	if len(named) > 0 {
		shell(t, dir, "alexnet config "+strings.Join(named, " "))
	}
	command, redirect, redirected := strings.Cut(line, " > ")
	command = strings.Join(append([]string{command}, more...), " ")
	if redirected {
		command += " > " + redirect
	}
	shell(t, dir, command)
}

func shell(t *testing.T, dir, command string) {
	t.Helper()
	c := exec.Command("sh", "-c", command)
	c.Dir = dir
	c.Env = append(os.Environ(), "HOME="+dir)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
}

// standIn gives the flags that make an example small, and where these replace its net, the flags of alexnet config that
// name it.
func standIn(t *testing.T, dir string, args []string) (more, named []string) {
	t.Helper()
	c, rest, err := newRootCommand(&ui.Terminal{}).Find(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ParseFlags(rest); err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	value := func(name string) string {
		if f := c.Flag(name); f != nil {
			return f.Value.String()
		}
		return ""
	}
	if c.Flag("steps") != nil {
		more = append(more, "--steps 1")
		if value("resume") != "" {
			return []string{"--steps 2"}, nil
		}
		if c.Flag("batch") != nil {
			more = append(more, "--batch 2")
		}
		if c.Flag("warmup") != nil {
			more = append(more, "--warmup 0")
		}
	}
	if !slices.Contains([]string{"alexnet train", "alexnet bench", "alexnet weights init"}, c.CommandPath()) {
		return more, nil
	}
	name := value("config")
	if name == "" && c.Flag("init") != nil && value("init") != "" { // the file's, which is small here
		return more, nil
	}
	if name == "" {
		name = "alexnet"
		if c.Name() == "train" && value("data") == "" {
			name = "demo"
		}
	}
	var sets []string
	if c.Flag("set").Changed {
		if sets, err = c.Flags().GetStringArray("set"); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(name, sets)
	if err != nil || cfg.Model.Input.Size <= generatedSize { // an error: the command will say so
		return more, nil
	}
	named = []string{"--config", name}
	for _, s := range sets {
		named = append(named, "--set", text.ShellWord(s))
	}
	return append(more, "--config small.yaml"), named
}
