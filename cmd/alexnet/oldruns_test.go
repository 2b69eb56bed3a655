package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"image/png"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/cpu"
)

// What lies under testdata/old was made by an early version of this program, and whatever reads it now must get from
// it what that version got. The inputs are never made again; another form of checkpoint gets a folder beside this one:
//
//	net.yaml         a small net with everything of the paper's
//	pictures.tar.gz  of data demo --train 4 --val 1 --size 20 --seed 3 the training part, six of its classes
//	picture.png      a picture that is not square
//	run              train --config net.yaml --data pictures.tar --device reference, interrupted in its fourth epoch
//
// What is expected of them lies under want, a file for each document that a command writes. After a change that is
// meant to be seen there,
//
//	ALEXNET_RECORD=1 go test -tags dnnl -run TestOldRuns ./cmd/alexnet
//
// records it anew; git diff then shows what changed. That needs a machine on which the reference backend has the bits
// that are recorded (see exactHere).
const (
	oldFiles  = "testdata/old"
	recordEnv = "ALEXNET_RECORD"
)

// How a command's document is held to the recorded one.
type likeness int

const (
	equal    likeness = iota // byte for byte; where this machine rounds otherwise, nearly
	grown                    // equal, but objects may have more keys: a newer program may say more in a checkpoint
	nearly                   // as grown, and numbers within nearEnough: another backend's, or another machine's
	keysOnly                 // the same keys: times, and what a machine has
)

// nearEnough is how far numbers of other backends and machines may be off; at most 3e-7 was seen, after 33 steps of
// training.
const nearEnough = 1e-5

// oldCommand is a command on the old files.
type oldCommand struct {
	want string // the recorded document: a name under want
	args string
	how  likeness
	exit int
	// also names files that it wrote. Of checkpoints the list of tensors is held, with a checksum of each; of metrics
	// all but what was timed; arrays byte for byte.
	also []string
}

const onReference = " --device reference --json"

const oldPictures = "picture.png pictures/ring/0001.png pictures/bars/0002.png"

// oldCommands come in the order in which they run; what one wrote, later ones read. Of run itself they only read.
var oldCommands = []oldCommand{
	{want: "predict", args: "predict " + oldPictures + " --weights run" + onReference},
	{want: "predict-two", args: "predict " + oldPictures + " --weights run --device reference,reference --json"},
	{
		want: "predict-last",
		args: "predict picture.png --weights run/checkpoints/last.safetensors --top 2" + onReference,
	},
	{want: "predict-missing", args: "predict missing.png picture.png --weights run" + onReference, exit: 3},
	{want: "predict-builtin", args: "predict " + oldPictures + " --weights builtin" + onReference},
	{want: "eval", args: "eval --weights run --data pictures.tar" + onReference, how: grown},
	{want: "eval", args: "eval --weights run --data pictures" + onReference, how: grown},
	{want: "eval-crops", args: "eval --weights run --data pictures.tar --crops 10" + onReference, how: grown},
	{
		want: "features-input", args: "features picture.png --weights run --layer input --out input.npy" + onReference,
		also: []string{"input.npy"},
	},
	{
		want: "features-fc3", args: "features " + oldPictures + " --weights run --layer fc3 --out fc.npy" + onReference,
		also: []string{"fc.npy"},
	},
	{
		want: "features-pre", args: "features picture.png --weights run --layer fc3.pre --out pre.npy" + onReference,
		also: []string{"pre.npy"},
	},
	{
		want: "features-pool2", args: "features picture.png --weights run --layer pool2 --out pool2.npy" + onReference,
		also: []string{"pool2.npy"},
	},
	{want: "show-last", args: "weights show run/checkpoints/last.safetensors --json"},
	{want: "show-best", args: "weights show run --json"},
	{
		want: "export", args: "weights export run --out plain.safetensors --json",
		also: []string{"plain.safetensors"}, // the mean is in features-input.npy
	},
	{want: "show-export", args: "weights show plain.safetensors --json"},
	{
		want: "export-half", args: "weights export run --to checkpoint --dtype f16 --out half.safetensors --json",
		also: []string{"half.safetensors"},
	},
	{want: "predict-half", args: "predict picture.png --weights half.safetensors" + onReference},
	{want: "info", args: "data info pictures.tar --val-share 0.25 --seed 5 --json", how: grown},
	{want: "info-folder", args: "data info pictures --val-share 0.25 --seed 5 --json", how: grown},
	{want: "config", args: "config --config net.yaml --set train.lr=0.5 --json"},
	{want: "config-run", args: "config --config run/config.yaml --yaml"},
	{want: "config-paper", args: "config --config alexnet --yaml"},
	{want: "summary", args: "summary --config net.yaml" + onReference},
	{want: "summary-two", args: "summary --config net.yaml --device reference,reference --batch 32 --json"},
	{want: "summary-paper", args: "summary --config alexnet" + onReference},
	{
		want: "init", args: "weights init --config net.yaml --out init.safetensors --json",
		also: []string{"init.safetensors"},
	},
	{
		want: "resume", args: "train --resume one --data pictures.tar --json",
		also: append(runFiles("one"), "one/config.yaml"),
	},
	{want: "show-resumed", args: "weights show one/checkpoints/last.safetensors --json", how: grown},
	{
		want: "resume-two", args: "train --resume two --data pictures --device reference,reference --json",
		also: runFiles("two")[:1],
	},
	{
		want: "train", args: "train --config net.yaml --data pictures --device reference --steps 7 --out fresh --json",
		also: runFiles("fresh"),
	},
	{
		want: "train-two", also: runFiles("fresh2"),
		args: "train --config net.yaml --data pictures.tar --steps 7 --out fresh2 --device reference,reference --json",
	},
	{
		want: "train-init", also: runFiles("tuned"),
		args: "train --config net.yaml --data pictures.tar --init run --epochs 1 --seed 9 --out tuned" + onReference,
	},
	{want: "bench", args: "bench --config net.yaml --device reference --layers --steps 2 --json", how: keysOnly},
	{want: "bench-infer", args: "bench --config net.yaml --mode infer --steps 2" + onReference, how: keysOnly},
	{want: "bench-data", args: "bench --config net.yaml --mode data --data pictures --steps 2 --json", how: keysOnly},
	{want: "doctor", args: "doctor" + onReference, how: keysOnly},
	{want: "gradients", args: "doctor --gradients net.yaml" + onReference, how: keysOnly},
	{want: "version", args: "version --json", how: keysOnly},
}

// runFiles are the files of a run that are held.
func runFiles(dir string) []string {
	dir += "/"
	return []string{dir + "checkpoints/last.safetensors", dir + "checkpoints/best.safetensors", dir + "metrics.jsonl"}
}

// onCPU are those that the cpu device answers too, nearly.
var onCPU = []oldCommand{
	{want: "predict", args: "predict " + oldPictures + " --weights run --device cpu --json", how: nearly},
	{want: "predict-two", args: "predict " + oldPictures + " --weights run --device cpu,cpu --json", how: nearly},
	{want: "predict-builtin", args: "predict " + oldPictures + " --weights builtin --device cpu --json", how: nearly},
	{want: "eval-crops", args: "eval --weights run --data pictures.tar --crops 10 --device cpu --json", how: nearly},
}

// TestOldRuns holds what this program makes of an old run, and of the net in the program, to what the version that
// wrote the run made of them.
func TestOldRuns(t *testing.T) {
	dir := oldFolder(t)
	record := os.Getenv(recordEnv) != ""
	if record && !exactHere() {
		t.Fatalf("%s: other machines than this one round as the recorded files do", recordEnv)
	}
	for _, c := range oldCommands {
		t.Run(c.want, func(t *testing.T) {
			got := c.output(t, dir)
			for name, text := range got {
				path := filepath.Join(oldFiles, "want", name)
				if record {
					keep(t, path, text)
				}
				if diff := c.how.compare(name, read(t, path), text); diff != "" {
					t.Errorf("alexnet %s\n%s", c.args, diff)
				}
			}
		})
	}
	t.Run("two", func(t *testing.T) { nearTensors(t, dir, "two") })
	t.Run("cpu", func(t *testing.T) { oldOnCPU(t, dir) })
	t.Run("demo", func(t *testing.T) { samePictures(t, dir) })
}

// oldOnCPU does so with the cpu device, which rounds otherwise.
func oldOnCPU(t *testing.T, dir string) {
	switch err := cpu.Available(); {
	case !cpu.Built:
		t.Skip("this build has no oneDNN: ", err)
	case err != nil:
		t.Fatal(err) // a build with oneDNN promises it
	}
	for _, c := range onCPU {
		for name, text := range c.output(t, dir) {
			if diff := c.how.compare(name, read(t, filepath.Join(oldFiles, "want", name)), text); diff != "" {
				t.Errorf("alexnet %s\n%s", c.args, diff)
			}
		}
	}
	for run, device := range map[string]string{"cpu": "cpu", "cpu-two": "cpu,cpu"} {
		finish(t, dir, "train", "--resume", run, "--data", "pictures.tar", "--device", device)
		nearTensors(t, dir, run)
	}
}

// oldFolder copies the old files into a new folder, with the pictures in a folder too, and a copy of the run for each
// test that goes on with it.
func oldFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(oldFiles)); err != nil {
		t.Fatal(err)
	}
	for _, run := range []string{"one", "two", "cpu", "cpu-two"} {
		if err := os.CopyFS(filepath.Join(dir, run), os.DirFS(filepath.Join(oldFiles, "run"))); err != nil {
			t.Fatal(err)
		}
	}
	z, err := gzip.NewReader(bytes.NewReader(read(t, filepath.Join(dir, "pictures.tar.gz"))))
	if err != nil {
		t.Fatal(err)
	}
	pictures, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, filepath.Join(dir, "pictures.tar"), pictures)
	unpack(t, pictures, filepath.Join(dir, "pictures"))
	return dir
}

// unpack writes a tar's files into a folder.
func unpack(t *testing.T, archive []byte, dir string) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		keep(t, filepath.Join(dir, h.Name), data)
	}
}

// output runs the command and returns what it wrote, by names under want.
func (c *oldCommand) output(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	var out, log bytes.Buffer
	command := exec.Command("alexnet", strings.Fields(c.args)...)
	command.Dir, command.Stdout, command.Stderr = dir, &out, &log
	err := command.Run()
	if got := command.ProcessState.ExitCode(); got != c.exit {
		t.Fatalf("alexnet %s: %v, exit code %d, want %d\n%s", c.args, err, got, c.exit, log.Bytes())
	}
	if c.how == keysOnly {
		return map[string][]byte{c.want + ".keys": keysOf(t, out.Bytes())}
	}
	all := map[string][]byte{c.want + ".json": unvarying(out.Bytes(), dir)}
	if !strings.HasSuffix(c.args, " --json") {
		all = map[string][]byte{c.want + ".yaml": out.Bytes()}
	}
	for _, file := range c.also {
		data := read(t, filepath.Join(dir, file))
		name := c.want + "-" + filepath.Base(file)
		switch filepath.Ext(file) {
		case ".safetensors":
			name, data = name+".jsonl", listTensors(t, data)
		case ".jsonl":
			data = timed.ReplaceAll(data, []byte("${1}0"))
		}
		all[name] = data
	}
	return all
}

var (
	// timed is what metrics.jsonl says about speed.
	timed = regexp.MustCompile(`("images_per_second":|"data_stall":|"exchange_seconds":)[^,}]*`)
	// memoryPlan is one device's, purpose by purpose, with its total.
	memoryPlan = regexp.MustCompile(`(?s)"memory": \[.*?"memory_total": \d+`)
	partBytes  = regexp.MustCompile(`"bytes": (\d+)`)
	totalBytes = regexp.MustCompile(`("memory_total": )(\d+)`)
	// staging is memory that depends on how many batches are under way, which is not a result.
	staging = regexp.MustCompile(`("purpose": "staging",\s+"bytes": )\d+`)
)

// unvarying is a document without what depends on the place, and on the way of feeding the net. Of a total of memory
// it keeps what is in none of the parts: nothing, as is recorded.
func unvarying(text []byte, dir string) []byte {
	text = bytes.ReplaceAll(text, []byte(dir), []byte("DIR"))
	text = memoryPlan.ReplaceAllFunc(text, func(plan []byte) []byte {
		rest := number(totalBytes.FindSubmatch(plan)[2])
		for _, part := range partBytes.FindAllSubmatch(plan, -1) {
			rest -= number(part[1])
		}
		return totalBytes.ReplaceAll(plan, fmt.Appendf(nil, "${1}%d", rest))
	})
	return staging.ReplaceAll(text, []byte("${1}0"))
}

// number is one of digits only.
func number(digits []byte) (n int64) {
	for _, d := range digits {
		n = 10*n + int64(d-'0')
	}
	return n
}

// TestUnvarying: what a total has more than its parts shows.
func TestUnvarying(t *testing.T) {
	const plan = `{"memory": [{"purpose": "weights", "bytes": 7}, {"purpose": "staging", "bytes": %d}], ` +
		`"memory_total": %d}, `
	got := string(unvarying(fmt.Appendf(nil, plan+plan, 5, 12, 6, 14), "/nowhere"))
	if want := fmt.Sprintf(plan+plan, 0, 0, 0, 1); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// machines are the parts of doctor's and version's documents that depend on the machine and on how the program was
// built.
var machines = regexp.MustCompile(`^(cpu_threads|gpu|onednn|program|machine|revision|precisions\.missing)`)

// keysOf lists every key of a document once, a line each, with those of the objects around it.
func keysOf(t *testing.T, text []byte) []byte {
	t.Helper()
	all := map[string]bool{}
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, v := range v {
				if name := strings.TrimPrefix(prefix+"."+key, "."); !machines.MatchString(name) {
					all[name] = true
					walk(name, v)
				}
			}
		case []any:
			for _, v := range v {
				walk(prefix, v)
			}
		}
	}
	walk("", parse(t, text))
	return []byte(strings.Join(slices.Sorted(maps.Keys(all)), "\n") + "\n")
}

func parse(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return v
}

// exactHere tells whether this machine rounds as that on which the files were recorded: for other processors, and for
// amd64 from its third level on, the compiler puts a multiplication and an addition into one operation with one
// rounding.
func exactHere() bool {
	level := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "GOAMD64" {
				level = s.Value
			}
		}
	}
	return runtime.GOARCH == "amd64" && level < "v3"
}

// compare tells how a document differs from the recorded one; "": as little as it may.
func (how likeness) compare(name string, want, got []byte) string {
	if bytes.Equal(want, got) {
		return ""
	}
	exact := exactHere() && how != nearly
	switch ext := filepath.Ext(name); {
	case ext == ".json":
		return documents(name, want, got, exact, how != equal)
	case ext == ".npy":
		return arrays(name, want, got, exact)
	case ext == ".jsonl" && !exact:
		want, got = sums.ReplaceAll(want, nil), sums.ReplaceAll(got, nil)
		return documents(name, array(want), array(got), false, false)
	}
	return firstLine(name, want, got)
}

// sums are the checksums in a list of tensors, which also gives the norms.
var sums = regexp.MustCompile(`,"crc32c":"[0-9a-f]{8}"`)

// array makes one document of lines of JSON.
func array(lines []byte) []byte {
	return slices.Concat([]byte("["), bytes.ReplaceAll(bytes.TrimSpace(lines), []byte("\n"), []byte(",")), []byte("]"))
}

// firstLine is where two texts part.
func firstLine(name string, want, got []byte) string {
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range max(len(w), len(g)) {
		switch {
		case i >= len(w):
			return fmt.Sprintf("%s, line %d: %q, which was not there", name, i+1, g[i])
		case i >= len(g):
			return fmt.Sprintf("%s, line %d: %q is missing", name, i+1, w[i])
		case w[i] != g[i]:
			return fmt.Sprintf("%s, line %d: %q, want %q", name, i+1, g[i], w[i])
		}
	}
	return ""
}

// documents compares JSON. Where exact, documents that hold the same in another form differ too, unless more keys are
// allowed.
func documents(name string, want, got []byte, exact, more bool) string {
	var w, g any
	if err := errors.Join(json.Unmarshal(want, &w), json.Unmarshal(got, &g)); err != nil {
		return fmt.Sprintf("%s: %v", name, err)
	}
	tolerance := nearEnough
	if exact {
		tolerance = 0
	}
	diff := apart("", w, g, tolerance, more)
	if diff == "" && exact && !more {
		return firstLine(name, want, got)
	}
	if diff != "" {
		return name + ": " + diff
	}
	return ""
}

// apart finds the first difference of two documents; "": none.
func apart(at string, want, got any, tolerance float64, more bool) string {
	differ := fmt.Sprintf("%s is %v, want %v", at, got, want)
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return differ
		}
		for _, key := range slices.Sorted(maps.Keys(got)) {
			if _, old := want[key]; !old && !more {
				return fmt.Sprintf("%s.%s was not there", at, key)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if diff := apart(at+"."+key, want[key], got[key], tolerance, more); diff != "" {
				return diff
			}
		}
		return ""
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return differ
		}
		for i := range want {
			if diff := apart(fmt.Sprintf("%s[%d]", at, i), want[i], got[i], tolerance, more); diff != "" {
				return diff
			}
		}
		return ""
	case float64:
		if got, ok := got.(float64); ok && math.Abs(got-want) <= tolerance*max(1, math.Abs(want)) {
			return ""
		}
		return differ
	}
	if want != got {
		return differ
	}
	return ""
}

// oldTensor is one tensor of a file of weights, as it is recorded.
type oldTensor struct {
	Name  string  `json:"name"`
	DType string  `json:"dtype"`
	Shape []int   `json:"shape"`
	Norm  float64 `json:"norm,omitempty"` // of F32
	Sum   string  `json:"crc32c"`         // of the bytes

	values []float64 // of F32
	at     int
}

// readTensors reads a safetensors file by itself, so that it cannot be wrong together with the program: the length of
// the header (uint64), the header in JSON, the tensors' bytes. It returns them in the order of their bytes.
func readTensors(t *testing.T, file []byte) []oldTensor {
	t.Helper()
	start := 8 + binary.LittleEndian.Uint64(file)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(file[8:start], &header); err != nil {
		t.Fatal(err)
	}
	delete(header, "__metadata__")
	var all []oldTensor
	for name, text := range header {
		var h struct {
			DType   string `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}
		if err := json.Unmarshal(text, &h); err != nil {
			t.Fatal(err)
		}
		data := file[start:][h.Offsets[0]:h.Offsets[1]]
		x := oldTensor{Name: name, DType: h.DType, Shape: h.Shape, at: h.Offsets[0]}
		x.Sum = fmt.Sprintf("%08x", crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
		if h.DType == "F32" {
			x.values = floats(data)
			x.Norm = float64(float32(norm(x.values)))
		}
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b oldTensor) int { return a.at - b.at })
	return all
}

// listTensors lists the tensors of a file of weights, a line each.
func listTensors(t *testing.T, file []byte) []byte {
	t.Helper()
	var list bytes.Buffer
	to := json.NewEncoder(&list)
	for _, x := range readTensors(t, file) {
		if err := to.Encode(x); err != nil {
			t.Fatal(err)
		}
	}
	return list.Bytes()
}

// nearTensors holds the weights and momentum of a run that went on with other devices to those of the one that went on
// with the reference backend, which are recorded: no tensor's relative norm of the difference may pass 1e-4. At most
// 3e-7 was seen.
func nearTensors(t *testing.T, dir, run string) {
	t.Helper()
	want := readTensors(t, read(t, checkpointIn(filepath.Join(dir, "one"))))
	got := readTensors(t, read(t, checkpointIn(filepath.Join(dir, run))))
	if len(got) != len(want) || len(want) != 17 {
		t.Fatalf("%s: %d tensors, want %d", run, len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Name != w.Name || g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) {
			t.Fatalf("%s: tensor %s %s %v, want %s %s %v", run, g.Name, g.DType, g.Shape, w.Name, w.DType, w.Shape)
		}
		if d := distance(w.values, g.values); !(d <= 1e-4) {
			t.Errorf("%s: %s is %.2g away from that of the reference", run, w.Name, d)
		}
	}
}

// distance is the relative norm of the difference.
func distance(want, got []float64) float64 {
	diff := make([]float64, len(want))
	for i, w := range want {
		diff[i] = got[i] - w
	}
	if d := norm(diff); d != 0 {
		return d / norm(want)
	}
	return 0
}

func norm(v []float64) float64 {
	sum := 0.
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}

// floats are float32 numbers in little-endian bytes.
func floats(b []byte) []float64 {
	v := make([]float64, len(b)/4)
	for i := range v {
		v[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
	}
	return v
}

// arrays compares two NumPy files: the header (two bytes at 8 tell its length) and the numbers.
func arrays(name string, want, got []byte, exact bool) string {
	start := 10 + int(binary.LittleEndian.Uint16(want[8:]))
	if len(got) != len(want) || !bytes.Equal(got[:start], want[:start]) {
		return name + ": an array of another form"
	}
	if d := distance(floats(want[start:]), floats(got[start:])); exact || !(d <= nearEnough) {
		return fmt.Sprintf("%s: other bits, %.2g away from what was recorded", name, d)
	}
	return ""
}

// samePictures holds the generated pictures to those in the tar, which are of the same seed.
func samePictures(t *testing.T, dir string) {
	if !exactHere() {
		t.Skip("this machine rounds otherwise")
	}
	finish(t, dir, "data", "demo", "--out", "demo", "--train", "4", "--val", "1", "--size", "20", "--seed", "3")
	n := 0
	pictures := os.DirFS(filepath.Join(dir, "pictures"))
	err := fs.WalkDir(pictures, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		want, got := read(t, filepath.Join(dir, "pictures", path)), read(t, filepath.Join(dir, "demo/train", path))
		if w, g := pixels(t, want), pixels(t, got); w != g {
			t.Errorf("%s: other pixels than the old generated pictures", path)
		}
		return nil
	})
	if err != nil || n != 24 {
		t.Fatalf("%d pictures, want 24: %v", n, err)
	}
}

// pixels are those of a PNG file, whatever its compression.
func pixels(t *testing.T, file []byte) string {
	t.Helper()
	m, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y++ {
		for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x++ {
			fmt.Fprintln(&all, m.At(x, y))
		}
	}
	return all.String()
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// keep writes a file, and its folder where there is none.
func keep(t *testing.T, path string, data []byte) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o777)
	if err == nil {
		err = os.WriteFile(path, data, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}
