package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protowire"

	"alexnet/internal/data/picture/picturetest"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// hostile is a name that clears the screen, forges a message and writes backwards; noUTF8 is one that is no UTF-8 too.
const (
	hostile = "a\x1b[2J\nerror: forged\r\tb\u009b31m\u202e\x07'c"
	noUTF8  = hostile + "\x9b2J\xff"
)

// lostByte is what encoding/json makes of a byte that is not UTF-8.
const lostByte = `\ufffd`

// TestHostileNames: no command writes what a terminal would obey, nor a line that a name forged, whatever the names of
// what it reads and is told; and what it writes as JSON is JSON.
func TestHostileNames(t *testing.T) {
	dir := hostileFolder(t)
	t.Chdir(dir)
	bad, run := hostile+".yaml", filepath.Join(hostile, "run")
	png, archive := hostile+"/train/cat/0.png", serveArchive(t)
	work := [][]string{ // to their end, or past a picture that cannot be read
		{"train", "--config", bad, "--data", hostile, "--out", run, "--device", "reference"},
		{"train", "--resume", run, "--device", "reference", "--live"},
		{"eval", "--weights", run, "--device", "reference"},
		{"eval", "--data", noUTF8, "--weights", run, "--device", "reference"},
		{"eval", "--weights", run, "--weights", run, "--against", run, "--device", "reference"},
		{"eval", "--data", noUTF8, "--weights", run, "--device", "reference", "--out", noUTF8 + ".out"},
		{
			"predict", hostile + "/train/" + hostile + "/0.png", hostile + "/train/cat/bad.png", hostile,
			hostile + "/no",
			"--weights", run, "--device", "reference",
		},
		{
			"features", "--layer", "fc2", "--out", hostile + ".npy", "--weights", run, png, "--device", "reference",
		},
		{
			"features", "--layer", "fc2", "--projector", noUTF8 + ".cloud", "--weights", run, png,
			noUTF8 + "/cat/0.png", "--device", "reference",
		},
		{"features", "--layer", "fc2", "--out", "x.npy", hostile + "/empty", hostile + "/empty", "--weights", run},
		{"predict", hostile + "/empty", "--strict", "--weights", run},
		{"predict", "-r", hostile, noUTF8, "--weights", run, "--device", "reference"},
		{"predict", "-r", hostile, noUTF8, "--csv", "--weights", run, "--device", "reference"},
		{"predict", "--list", hostile + ".list", "--weights", run, "--device", "reference"},
		{
			"features", "-r", hostile, "--list", hostile + ".list", "--layer", "fc2", "--out", hostile + ".list.npy",
			"--force", "--weights", run, "--device", "reference",
		},
		{"look", "filters", "--weights", run, "--out", hostile + ".filters.png", "--force"},
		{
			"look", "maps", png, "--layer", "conv1", "--weights", run, "--out", hostile + ".maps.png", "--force",
			"--device", "reference",
		},
		{
			"look", "predictions", hostile, "--weights", run, "--out", hostile + ".predictions.png", "--force",
			"--device", "reference",
		},
		{"look", "net", "--config", bad, "--out", hostile + ".svg", "--force"},
		{"summary", "--config", bad, "--device", "reference"},
		{"config", "--config", bad},
		{"config", "--config", bad, "--yaml"},
		{"data", "info", hostile},
		{"data", "info", noUTF8, "--full"},
		{"data", "split", hostile},
		{"data", "split", noUTF8},
		{"data", "split", hostile + "/train", hostile + "/val"},
		{"data", "split", hostile + ".csv"},
		{"data", "info", hostile + ".csv"},
		{"data", "fetch", archive, "--out", hostile + "/fetched"},
		{"data", "prepare", hostile, hostile + ".set", "--resize", "16"},
		{"data", "prepare", noUTF8, noUTF8 + ".set", "--resize", "16"},
		{"data", "info", noUTF8 + ".set"},
		{"predict", noUTF8 + "/cat/0.png", "--weights", run, "--device", "reference"},
		{"train", "--config", bad, "--data", noUTF8, "--out", noUTF8 + "run", "--device", "reference", "--live"},
		{"train", "--resume", noUTF8 + "run", "--device", "reference"},
		{"eval", "--weights", noUTF8 + "run", "--device", "reference"},
		{"predict", noUTF8 + "/cat/0.png", noUTF8 + "/no", "--weights", noUTF8 + "run", "--device", "reference"},
		{
			"features", "--layer", "fc2", "--out", noUTF8 + ".npy", "--weights", noUTF8 + "run", png, "--device",
			"reference",
		},
		{"look", "index", hostile, "--out", hostile + ".index", "--force", "--weights", run, "--device", "reference"},
		{
			"look", "neighbors", png, hostile + "/no", "--index", hostile + ".index", "--out", hostile + ".png",
			"--force", "--weights", run, "--device", "reference",
		},
		{
			"look", "neighbors", noUTF8, "--pixels", "--out", noUTF8 + ".png", "--force", "--weights", run, "--device",
			"reference",
		},
		{"weights", "show", noUTF8 + "run"},
		{"weights", "export", noUTF8 + "run", "--to", "plain", "--out", noUTF8 + ".plain.safetensors", "--force"},
		{"bench", "--config", bad, "--data", noUTF8, "--steps", "1", "--warmup", "1", "--device", "reference"},
		{"look", "filters", "--weights", noUTF8 + "run", "--out", noUTF8 + ".filters.png", "--force"},
		{
			"look", "predictions", noUTF8, "--weights", noUTF8 + "run", "--out", noUTF8 + ".predictions.png", "--force",
			"--device", "reference",
		},
		{
			"look", "predictions", hostile + "/train/cat/0.png", hostile + "/no", "--weights", noUTF8 + "run", "--out",
			hostile + ".named.png", "--force", "--device", "reference",
		},
		{"look", "maps", hostile + "/no", "--layer", "conv1", "--weights", run, "--out", "x.png"},
		{"look", "predictions", hostile + "/no", "--weights", run, "--out", "x.png"},
		{"verify", noUTF8 + "run"},
		{"runs", noUTF8},
		{"report", run, noUTF8 + "run", "--out", hostile + ".html", "--force", "--device", "reference"},
		{"report", run, "--out", noUTF8 + ".html", "--force", "--no-eval"},
		{"weights", "init", "--config", bad, "--out", hostile + ".init.safetensors", "--force"},
		{"weights", "show", hostile + ".safetensors"},
		{"weights", "show", hostileModel(t)},
		{"weights", "show", run},
		{"weights", "export", run, "--to", "plain", "--out", hostile + ".plain.safetensors", "--force"},
		{"weights", "import", hostile + ".plain.safetensors", "--out", hostile + ".own.safetensors", "--force"},
		{"weights", "import", noUTF8 + ".plain.safetensors", "--out", noUTF8 + ".own.safetensors", "--force"},
		{"bench", "--config", bad, "--data", hostile, "--steps", "1", "--warmup", "1", "--device", "reference"},
		{"man", "--out", hostile + "/man"},
		{"completion", "bash"},
		{"completion", "fish"},
		{"completion", "powershell"},
		{"completion", "zsh"},
		{"verify", run, hostile + ".safetensors"},
		{"runs"},
		{"runs", hostile},
		{"look", "occlusion", png, "--weights", run, "--out", hostile + ".occlusion.png", "--device", "reference"},
		{"look", "occlusion", noUTF8 + "/cat/0.png", "--weights", noUTF8 + "run", "--force", "--device", "reference"},
		{
			"look", "saliency", png, "--weights", run, "--class", hostile, "--smooth", "2", "--force", "--out",
			noUTF8 + ".saliency.png", "--device", "reference",
		},
		{"look", "cam", png, "--weights", run, "--out", hostile + ".cam.png", "--device", "reference"},
		{"version"},
	}
	fail := [][]string{
		{"train", "--config", bad, "--data", hostile, "--out", hostile},
		{"train", "--config", bad, "--data", hostile + "/no"},
		{"train", "--resume", hostile},
		{"train", "--set", hostile + "=1"},
		{"train", "--device", hostile},
		{"train", "--" + hostile},
		{"eval", "--weights", hostile + "/no"},
		{"report", hostile + "/no"},
		{"report", hostile + "/empty"},
		{"eval", "--weights", run, "--against", hostile + "/no"},
		{"eval", "--weights", run, "--against", noUTF8 + "run", "--device", "reference"},
		{"eval", "--weights", run, "--out", hostile, "--device", "reference"},
		{"predict", hostile, "--weights", hostile + ".safetensors"},
		{"predict", "--list", hostile, "--weights", run},
		{"predict", hostile, "--submission", hostile + ".txt", "--weights", noUTF8 + "run"},
		{"predict", hostile, "--submission", hostile, "--weights", run},
		{"predict", "--list", hostile + "/no", "--weights", run},
		{"predict", "-r", hostile + "/empty", "--weights", run},
		{"look", "cam", png, "--weights", run, "--layer", "fc2", "--out", "x.cam.png", "--device", "reference"},
		{"look", "cam", png, "--weights", run, "--layer", hostile, "--device", "reference"},
		{"look", "saliency", png, "--weights", run, "--class", hostile + "no", "--device", "reference"},
		{"look", "occlusion", hostile + "/no", "--weights", run, "--device", "reference"},
		{"features", "--layer", hostile, "--out", "x.npy", "--weights", run, png, "--device", "reference"},
		{"features", "--layer", "fc2", "--projector", hostile, "--weights", run, png, "--device", "reference"},
		{"look", "index", hostile + "/no", "--out", "x.index", "--weights", run},
		{"look", "index", hostile, "--out", "x.index", "--part", hostile, "--weights", run},
		{"look", "neighbors", png, "--index", hostile + ".list", "--out", "x.png", "--weights", run},
		{"look", "neighbors", png, "--index", hostile + ".index", "--out", "x.png", "--weights", noUTF8 + "run"},
		{"look", "neighbors", hostile + "/empty", "--out", "x.png", "--weights", run},
		{"look", "filters", "--layer", hostile, "--weights", run, "--out", "x.png"},
		{"look", "filters", "--weights", run, "--out", hostile},
		{"look", "net", "--config", hostile + "/no", "--out", "x.svg"},
		{"look", "net", "--config", bad, "--out", hostile},
		{"look", "maps", png, "--layer", noUTF8, "--weights", run, "--out", "x.png"},
		{"look", "predictions", hostile + "/empty", "--weights", run, "--out", "x.png"},
		{"look", "predictions", png, "--errors", "--weights", run, "--out", "x.png"},
		{"summary", "--config", hostile},
		{"config", hostile},
		{"config", "--help-keys", hostile},
		{"weights", "export", run, "--out", hostile + ".pth"},
		{"features", "--layer", "fc2", "--out", hostile + ".npz", "--weights", run, png},
		{"data", "info", hostile + ".safetensors"},
		{"data", "split", noUTF8 + "/no"},
		{"data", "split", hostile, "--labels", hostile},
		{"data", "split", hostile + ".csv", "--labels", "index"},
		{"data", "prepare", hostile, hostile + ".2.set", "--labels", hostile + "/no"},
		{"data", "prepare", hostile, "s3://" + hostile},
		{"eval", "--data", hostile, "--data", hostile + "/no", "--labels", noUTF8, "--weights", run},
		{"data", "fetch", hostile},
		{"data", "fetch", "http://" + hostile},
		{"data", "fetch", archive, "--out", hostile},
		{"data", "fetch", archive, "--out", noUTF8},
		{"data", "split", hostile, "--part", hostile},
		{"data", "demo", "--out", hostile, "--train", "1", "--val", "1"},
		{"weights", "init", "--config", bad, "--out", hostile},
		{"weights", "show", hostile},
		{"weights", "import", hostile + "/no", "--out", "z.safetensors"},
		{"weights", "import", hostile + ".list", "--out", "z.safetensors"},
		{"weights", "import", hostileModel(t), "--out", "z.safetensors"},
		{"weights", "import", hostile + ".safetensors", "--out", "z.safetensors"},
		{"weights", "import", hostile + ".plain.safetensors", "--config", "torchvision", "--out", "z.safetensors"},
		{"weights", "import", hostile + ".plain.safetensors", "--config", hostile, "--out", "z.safetensors"},
		{"weights", "import", hostile + ".plain.safetensors", "--classes", hostile + ".list", "--out", "z.safetensors"},
		{"weights", "export", hostile + ".safetensors", "--to", "plain", "--out", "y.safetensors"},
		{"bench", "--config", hostile},
		{"doctor", "--gradients", hostile},
		{"doctor", "--device", hostile},
		{"verify", hostile + "/no", noUTF8 + "/no"},
		{"verify", hostile},
		{"runs", hostile + "/no"},
		{"verify", hostile + "/train/cat/bad.png", bad},
		{"version", noUTF8},
		{"train", "--live=" + noUTF8},
		{"train", "--data", noUTF8 + "/no"},
		{"train", "--config", noUTF8},
		{"predict", noUTF8, "--weights", noUTF8 + ".safetensors"},
		{"weights", "show", noUTF8},
		{"completion", hostile},
		{"man", hostile},
		{"help", hostile},
		{hostile},
	}
	all := slices.Concat(work, fail)
	for i, args := range all {
		for _, more := range [][]string{nil, {"--json"}} {
			var out, err bytes.Buffer
			args := append(slices.Clone(args), more...)
			code := execute(args, &ui.Terminal{Out: &out, Err: &err})
			for _, written := range []string{out.String(), err.String()} {
				checkWritten(t, args, written)
			}
			if more != nil && out.Len() > 0 && !json.Valid(out.Bytes()) && args[0] != "completion" {
				t.Errorf("%q: no JSON: %s", args, out.String())
			}
			if done := code == exitOK || code == exitUnreadable; more == nil && done != (i < len(work)) {
				t.Errorf("%q: exit code %d: %s", args, code, err.String())
			}
			if out.Len()+err.Len() == 0 {
				t.Errorf("%q: exit code %d and not a word", args, code)
			}
		}
	}
	eachLeaf(newRootCommand(&ui.Terminal{}), func(c *cobra.Command) {
		if !slices.ContainsFunc(all, func(args []string) bool {
			return strings.HasPrefix("alexnet "+strings.Join(args, " ")+" ", c.CommandPath()+" ")
		}) {
			t.Errorf("%s is not tried", c.CommandPath())
		}
	})
}

// hostileModel is a net of Caffe's whose names are hostile.
func hostileModel(t *testing.T) string {
	t.Helper()
	field := func(to []byte, number protowire.Number, content string) []byte {
		return protowire.AppendString(protowire.AppendTag(to, number, protowire.BytesType), content)
	}
	blob := field(nil, 7, string(field(nil, 1, "\x01\x01"))) // shape 1x1
	blob = field(blob, 5, "\x00\x00\x80\x3f")                // 1
	layer := field(field(nil, 1, noUTF8), 2, "InnerProduct") // name, type
	layer = field(field(layer, 3, hostile), 4, noUTF8)       // bottom, top
	layer = field(layer, 7, string(blob))
	path := hostile + ".caffemodel"
	keep(t, path, field(field(nil, 1, noUTF8), 100, string(layer)))
	return path
}

func eachLeaf(c *cobra.Command, do func(*cobra.Command)) {
	for _, child := range c.Commands() {
		eachLeaf(child, do)
	}
	if !c.HasSubCommands() {
		do(c)
	}
}

func checkWritten(t *testing.T, args []string, written string) {
	t.Helper()
	if text.Escape(written) != written || !utf8.ValidString(written) {
		t.Errorf("%q writes what a terminal obeys: %q", args, written)
	}
	if strings.Contains(written, lostByte) {
		t.Errorf("%q loses a byte of a name: %q", args, written)
	}
	for line := range strings.Lines(written) {
		if strings.HasPrefix(line, "error: forged") {
			t.Errorf("%q writes a line that a name forged: %q", args, written)
		}
	}
}

// TestHostileNamesAreTold: from what is shown the name can be told.
func TestHostileNamesAreTold(t *testing.T) {
	t.Chdir(hostileFolder(t))
	var out, err bytes.Buffer
	for _, name := range []string{noUTF8, hostile} {
		execute([]string{"data", "info", name}, &ui.Terminal{Out: &out, Err: &err})
		for _, want := range []string{text.Name(name) + "  ", text.Name(name) + ": 2 classes"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s\ndoes not say %s", out.String(), want)
			}
		}
	}
	if want := "cannot read picture train/cat/bad.png"; !strings.Contains(err.String(), want) {
		t.Errorf("%s\ndoes not say %s", err.String(), want)
	}
	out.Reset()
	execute([]string{"weights", "show", hostile + ".safetensors"}, &ui.Terminal{Out: &out, Err: &err})
	if want := text.Name(hostile); strings.Count(out.String(), want) < 2 {
		t.Errorf("%s\ndoes not say %s", out.String(), want)
	}
}

// hostileFolder is a folder of a net's page, pictures and a file of weights, all of hostile names.
func hostileFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeTiny(t, dir)
	page, err := os.ReadFile(filepath.Join(dir, "tiny.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(raw []byte, parts ...string) {
		path := filepath.Join(append([]string{dir}, parts...)...)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Skip("a file system without such names: ", err)
		}
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Skip("a file system without such names: ", err)
		}
	}
	write(page, hostile+".yaml")
	for _, c := range picturetest.Bases() {
		if c.Name != "png colours 2, 8 bits, interlacing 0" {
			continue
		}
		for _, part := range []string{"train", "val"} {
			for _, class := range []string{hostile, "cat"} {
				for _, name := range []string{"0.png", "1.png", "2.png", "3.png"} {
					write(c.Bytes, hostile, part, class, name)
					write(c.Bytes, noUTF8, strings.Replace(class, hostile, noUTF8, 1), name)
				}
			}
		}
		write(c.Bytes[:50], hostile, "train", "cat", "bad.png")
	}
	write([]byte(hostile+"/train/cat/0.png\n"+noUTF8+"/cat/0.png\r\n"+hostile+"/no\n"), hostile+".list")
	write([]byte("path,label\nno\xff\u202e.png,\u202e\u009b\xff\nno.png,\x9b\xc2\n"), hostile+".csv")
	if err := os.Mkdir(filepath.Join(dir, hostile, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	name := hostile
	header, err := json.Marshal(map[string]any{
		name:           map[string]any{"dtype": "F32", "shape": []int{1}, "data_offsets": []int{0, 4}},
		"__metadata__": map[string]string{name: name},
	})
	if err != nil {
		t.Fatal(err)
	}
	write(append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), 0, 0, 0, 0),
		hostile+".safetensors")
	return dir
}
