package main

import (
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"alexnet/internal/config"
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

// exampleFolder is where examples find what they name: folders and a tar of pictures, pictures, a run, a checkpoint.
// small.yaml is the page above.
func exampleFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "small.yaml"), []byte(examplePage), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"photos", "imagenet", "cifar10"} {
		finish(t, dir, "data", "demo", "--out", data, "--train", "2", "--val", "1")
	}
	if out, err := exec.Command("tar", "-C", dir, "-cf", filepath.Join(dir, "cifar10.tar"),
		"cifar10").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	for _, name := range []string{"cat.jpg", "dog.jpg"} {
		writeJPEG(t, filepath.Join(dir, name))
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
	return dir
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
//     alexnet config with the example's own --config and --set.
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

// exampleLines are the command lines of a command's examples, without explanations (after two spaces) and pipes.
func exampleLines(c *cobra.Command) []string {
	var lines []string
	for line := range strings.Lines(c.Example) {
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

func runExample(t *testing.T, dir, line string) {
	t.Helper()
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
