package interop

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"codeberg.org/sbinet/npyio"

	"alexnet/internal/checkpoint"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/lockfile"
	"alexnet/internal/recipe"
	"alexnet/internal/safetensors"
	"alexnet/internal/tensor"
)

const tiny = `
model:
  columns: 2
  input: {channels: 3, size: 14}
  layers:
    - {name: conv1, kind: conv, kernels: 8, size: 5, stride: 2, act: relu}
    - {name: pool1, kind: pool, size: 3, stride: 2}
    - {name: fc2, kind: fc, inputs: both, units: 16, act: relu}
    - {name: drop2, kind: dropout, rate: 0.5}
    - {name: fc3, kind: fc, inputs: both}
    - {name: prob, kind: softmax}
data: {resize: 16}
`

// counting is a checkpoint of tiny whose every tensor is 1, 2, 3, ..., with momentum and a mean image of the same kind.
func counting(t *testing.T) *checkpoint.Checkpoint {
	t.Helper()
	net := arch(t, tiny, "model.classes=3")
	c := &checkpoint.Checkpoint{
		Config: []byte(tiny), Dropout: checkpoint.DropoutPaper, Classes: []string{"cat", "dog", "emu"},
		Data: checkpoint.Data{Path: "/home/me/photos", Fingerprint: "1"},
	}
	c.Recipe = recipe.Recipe{
		Resize: 16, Height: 16, Width: 16, Crop: 14, Channels: 3, MeanKind: "image", Mean: counted32(3 * 256),
		MeanShape: []int{3, 16, 16}, Scale: []float32{0.5, 0.25, 1. / 64},
	}
	for i := range net.Params {
		p := &net.Params[i]
		c.Params = append(c.Params, tensor.Of(p.Name, p.Shape, counted32(p.Len())))
	}
	c.Momentum = c.Params
	path := filepath.Join(t.TempDir(), "c.safetensors")
	if err := checkpoint.Save(files.OS, path, c); err != nil {
		t.Fatal(err)
	}
	c, err := checkpoint.Load(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// exported writes a checkpoint for other programs.
func exported(t *testing.T, c *checkpoint.Checkpoint, o Options) *Export {
	t.Helper()
	e, err := NewExport(c, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Write(t.Context(), files.OS); err != nil {
		t.Fatal(err)
	}
	return e
}

func counted32(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i + 1)
	}
	return v
}

// The file holds the parameters in order and as they are, but for those after dropout; metadata and the .npy hold the
// rest.
func TestExportPlain(t *testing.T) {
	out := filepath.Join(t.TempDir(), "net.safetensors")
	e := exported(t, counting(t), Options{Form: "plain", DType: "F32", Path: out})
	r, err := safetensors.Open(files.OS, out)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// drop2 before fc3
	factors := map[string]float32{
		"conv1.weight": 1, "conv1.bias": 1, "fc2.weight": 1, "fc2.bias": 1, "fc3.weight": 0.5, "fc3.bias": 1,
	}
	if len(r.Tensors) != len(factors) {
		t.Errorf("tensors %+v", r.Tensors)
	}
	for i, info := range r.Tensors {
		v, err := r.Tensor(i).Values()
		if err != nil {
			t.Fatal(err)
		}
		for j := range v {
			if want := factors[info.Name] * float32(j+1); v[j] != want || info.DType != "F32" {
				t.Fatalf("%s[%d] is %g as %s, want %g", info.Name, j, v[j], info.DType, want)
			}
		}
	}
	var in recipe.Public
	if err := json.Unmarshal([]byte(r.Meta["preprocess"]), &in); err != nil {
		t.Fatal(err)
	}
	if in.Shape != [3]int{3, 14, 14} || in.Color != "RGB" || in.Resize != 16 || in.Crop != 14 ||
		in.MeanImage != "net.mean.npy" ||
		!slices.Equal(in.Mean, []float32{128.5, 384.5, 640.5}) || !slices.Equal(in.Std, []float32{2, 4, 64}) {
		t.Errorf("preprocess %+v", in)
	}
	if r.Meta["classes"] != `["cat","dog","emu"]` || r.Meta["dropout"] != "inverted" ||
		strings.Contains(strings.Join(slices.Collect(maps.Values(r.Meta)), " "), "/home/me") {
		t.Errorf("metadata %q", r.Meta)
	}
	parameters := int64(0)
	for _, info := range r.Tensors {
		parameters += int64(info.Len())
	}
	if e.MeanImage != filepath.Join(filepath.Dir(out), "net.mean.npy") || e.Parameters != parameters {
		t.Errorf("mean image %s, %d parameters of %d", e.MeanImage, e.Parameters, parameters)
	}
	if mean := readNPY(t, e.MeanImage); !slices.Equal(mean, counted32(3*256)) {
		t.Errorf("mean image %v", mean)
	}
}

func readNPY(t *testing.T, path string) (v []float32) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := npyio.Read(f, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// An export that fails leaves what was there: both files of the one before, or none.
func TestExportFails(t *testing.T) {
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	for name, c := range map[string]struct {
		ctx   context.Context
		spoil func(t *testing.T, e *Export) // makes the export fail
		want  string                        // in the error
	}{
		"interrupted": {ctx: interrupted, want: "context canceled"},
		"a number too large": {
			spoil: func(_ *testing.T, e *Export) {
				e.tensors[5] = tensor.Of("fc3.bias", []int{1}, []float32{float32(math.Inf(1))})
				e.tensors[5].DType = "F16"
			},
			want: "not a number that F16 can hold",
		},
		"weights being written elsewhere": {
			spoil: func(t *testing.T, e *Export) { lock(t, e.Path) }, want: "another process is writing it",
		},
		"mean being written elsewhere": {
			spoil: func(t *testing.T, e *Export) { lock(t, e.MeanImage) }, want: "another process is writing it",
		},
		"a folder in the way of the weights": {
			spoil: func(t *testing.T, e *Export) { block(t, e.Path) }, want: "net.safetensors is a folder",
		},
		"a folder in the way of the mean": {
			spoil: func(t *testing.T, e *Export) { block(t, e.MeanImage) }, want: "net.mean.npy is a folder",
		},
	} {
		for _, there := range []bool{false, true} {
			dir := t.TempDir()
			o := Options{Form: "plain", DType: "F32", Path: filepath.Join(dir, "net.safetensors")}
			from := counting(t)
			if there {
				exported(t, from, o)
			}
			from.Recipe.Mean[0] = -1
			e, err := NewExport(from, o)
			if err != nil {
				t.Fatal(err)
			}
			if c.spoil != nil {
				c.spoil(t, e)
			}
			before := filesIn(t, dir)
			err = e.Write(cmp.Or(c.ctx, t.Context()), filestest.New(files.OS))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "cannot write") > 1 {
				t.Errorf("%s: error %v, want %s", name, err, c.want)
			}
			if after := filesIn(t, dir); !maps.Equal(before, after) {
				t.Errorf("%s: with files there before (%v): %d files became %d, or others", name, there,
					len(before), len(after))
			}
		}
	}
}

// lock is another process that writes the file.
func lock(t *testing.T, path string) {
	t.Helper()
	f, err := lockfile.Acquire(files.OS, filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
}

// block puts a folder where the file would go.
func block(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Join(path, "folder"), 0o777)); err != nil {
		t.Fatal(err)
	}
}

// filesIn is what a folder holds; a folder in it holds "folder".
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		if e.IsDir() {
			all[e.Name()] = "folder"
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

// An exported file is not a checkpoint and names the one that it was made from; a checkpoint is not refused.
func TestRefuseExported(t *testing.T) {
	dir := t.TempDir()
	c := counting(t)
	c.Path = "runs/train/checkpoints/best.safetensors"
	out := exported(t, c, Options{Form: "plain", DType: "F16", Path: filepath.Join(dir, "net.safetensors")}).Path
	r, err := safetensors.Open(files.OS, out)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	err = RefuseExported(r)
	want := out + ": weights exported for other programs (plain), not a checkpoint"
	var refused *Exported
	if !errors.As(err, &refused) || err.Error() != want ||
		refused.Source != "runs/train/checkpoints/best.safetensors" {
		t.Errorf("error %v, want %s", err, want)
	}
	if _, err := checkpoint.LoadFrom(r); !errors.As(err, new(*checkpoint.Foreign)) {
		t.Errorf("it is loaded as a checkpoint: %v", err)
	}
	own := filepath.Join(dir, "own.safetensors")
	if err := checkpoint.Save(files.OS, own, c.Compact("F32")); err != nil {
		t.Fatal(err)
	}
	if r, err = safetensors.Open(files.OS, own); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := RefuseExported(r); err != nil {
		t.Errorf("a checkpoint: %v", err)
	}
}
