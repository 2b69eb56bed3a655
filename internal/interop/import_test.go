package interop

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"alexnet/internal/atomicfile"
	"alexnet/internal/caffe"
	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/npy"
	"alexnet/internal/onnx"
	"alexnet/internal/recipe"
	"alexnet/internal/safetensors"
	"alexnet/internal/tensor"
)

// small is a net whose layers with weights are a convolution, one on a map, and one after dropout.
const small = `
model:
  input: {channels: 3, size: 8}
  layers:
    - {name: conv1, kind: conv, kernels: 4, size: 3, stride: 1, pad: 1, act: relu}
    - {name: pool1, kind: pool, size: 2, stride: 4}
    - {name: fc2, kind: fc, units: 5, act: relu}
    - {name: drop2, kind: dropout, rate: 0.75}
    - {name: fc3, kind: fc}
    - {name: prob, kind: softmax}
data: {resize: 8}
`

// smallShapes are those of small's parameters for three classes.
var smallShapes = map[string][]int{
	"conv1.weight": {4, 3, 3, 3}, "conv1.bias": {4}, "fc2.weight": {5, 16}, "fc2.bias": {5}, "fc3.weight": {3, 5},
	"fc3.bias": {3},
}

func smallPage(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "small.yaml")
	if err := os.WriteFile(path, []byte(small), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// sourceOf opens a safetensors file of counting tensors with these names, whose shapes are those of small.
func sourceOf(t *testing.T, names map[string]string, meta map[string]string) *Source {
	t.Helper()
	var all []tensor.Tensor
	for _, name := range slices.Sorted(maps.Keys(names)) {
		shape := smallShapes[names[name]]
		all = append(all, tensor.Of(name, shape, counted32(tensor.Tensor{Shape: shape}.Len())))
	}
	return sourceWith(t, all, meta)
}

func sourceWith(t *testing.T, all []tensor.Tensor, meta map[string]string) *Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := safetensors.Write(files.OS, path, meta, all); err != nil {
		t.Fatal(err)
	}
	s, err := Open(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func same1(name string) map[string]string {
	names := map[string]string{}
	for p := range smallShapes {
		names[name+p] = p
	}
	return names
}

// imported is what a file becomes, written and read again.
func imported(t *testing.T, s *Source, o ImportOptions) (*Import, *checkpoint.Checkpoint) {
	t.Helper()
	i, err := NewImport(t.Context(), files.OS, s, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "own.safetensors")
	if _, err := i.Write(t.Context(), files.OS, path); err != nil {
		t.Fatal(err)
	}
	c, err := checkpoint.Load(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return i, c
}

func valuesOf(t *testing.T, c *checkpoint.Checkpoint, name string) []float32 {
	t.Helper()
	for _, p := range c.Params {
		if p.Name == name {
			v, err := p.Values()
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no %s", name)
	return nil
}

// Names are found whatever stands around them, and the weights after dropout are divided by what is kept of the units.
func TestImportNames(t *testing.T) {
	torch := map[string]string{
		"features.0.weight": "conv1.weight", "features.0.bias": "conv1.bias", "classifier.10.weight": "fc3.weight",
		"classifier.10.bias": "fc3.bias", "classifier.9.weight": "fc2.weight", "classifier.9.bias": "fc2.bias",
	}
	wrapped := func(prefix, inside string) map[string]string {
		names := map[string]string{}
		for name, p := range torch {
			top, rest, _ := strings.Cut(name, ".")
			names[prefix+top+inside+"."+rest] = p
		}
		return names
	}
	optimizer := wrapped("state_dict.module.", "")
	optimizer["optimizer.state.0.momentum_buffer.weight"] = "fc3.weight"
	for name, names := range map[string]map[string]string{
		"the net's own": same1(""), "another's": torch, "DataParallel": wrapped("module.", ""),
		"on features only": wrapped("state_dict.", ".module"), "a training checkpoint": optimizer,
		"Lightning's": wrapped("state_dict.model.", ""), "in a module of its own": same1("net."),
		"the zoo's": {
			"conv1_w_0": "conv1.weight", "conv1_b_0": "conv1.bias", "fc2_w_0": "fc2.weight", "fc2_b_0": "fc2.bias",
			"fc3_w_0": "fc3.weight", "fc3_b_0": "fc3.bias",
		},
	} {
		t.Run(name, func(t *testing.T) {
			i, c := imported(t, sourceOf(t, names, nil), ImportOptions{Net: smallPage(t)})
			for p, shape := range smallShapes {
				factor := float32(1)
				if p == "fc3.weight" {
					factor = 4 // drop2 keeps a quarter
				}
				for k, v := range valuesOf(t, c, p) {
					if v != factor*float32(k+1) {
						t.Fatalf("%s of %v: number %d is %g", p, shape, k, v)
					}
				}
			}
			if i.How != ByAsking || len(i.Rows) != len(smallShapes) || i.Prep != PrepPage ||
				!slices.Equal(c.Classes, []string{"class-0000", "class-0001", "class-0002"}) {
				t.Errorf("%+v", i)
			}
		})
	}
}

// What is among the weights and no weight or bias is of a layer that no page has: it is refused, and listed. What lies
// beside the weights is named.
func TestImportLeftOver(t *testing.T) {
	page := smallPage(t)
	for name, fits := range map[string]bool{
		"bn.running_mean": false, "running_mean": false, "conv1.scale": false, "optimizerx.scale": false,
		"conv1.num_batches_tracked": true, "optimizer.state.0.momentum_buffer": true, "ema.conv1.weight": false,
	} {
		names := same1("")
		names[name] = "conv1.bias"
		i, err := NewImport(t.Context(), files.OS, sourceOf(t, names, nil), ImportOptions{Net: page})
		var unfit *Unfit
		beside := fits && strings.HasPrefix(name, "optimizer")
		switch {
		case fits && (err != nil || beside != slices.Equal(i.Beside, []string{name})):
			t.Errorf("%s: %v, %+v", name, err, i)
		case !fits && (!errors.As(err, &unfit) || !slices.ContainsFunc(unfit.Rows, func(r Row) bool {
			return r.File == name && r.Net == "" && !r.Fits
		})):
			t.Errorf("%s: %v", name, err)
		}
	}
	names := same1("model.")
	names["ema.conv1.weight"] = "conv1.weight"
	i, err := NewImport(t.Context(), files.OS, sourceOf(t, names, nil), ImportOptions{Net: page})
	if err != nil || !slices.Equal(i.Beside, []string{"ema.conv1.weight"}) {
		t.Errorf("beside a dict: %v", err)
	}
	names = same1("")
	names["module.conv1.weight"] = "conv1.weight"
	var twice *Twice
	_, err = NewImport(t.Context(), files.OS, sourceOf(t, names, nil), ImportOptions{Net: page})
	if !errors.As(err, &twice) || twice.Names != [2]string{"conv1.weight", "module.conv1.weight"} {
		t.Errorf("two of one place: %v", err)
	}
}

// A file with HWIO and (in, out) whose fully connected layer reads rows, columns, channels, and whose colours are BGR,
// gives the numbers of the same net in our order. Each convention counts: with one left out some number is another.
func TestImportConventions(t *testing.T) {
	const outs, ins, side, units = 4, 3, 3, 5
	conv, fc := make([]float32, outs*ins*side*side), make([]float32, units*16)
	at := func(v ...int) float32 { // a number that tells its place: 1 + digits
		n := 1
		for _, d := range v {
			n = 10*n + d
		}
		return float32(n)
	}
	for h := range side { // the file's: height, width, in (BGR), out
		for w := range side {
			for i := range ins {
				for o := range outs {
					conv[((h*side+w)*ins+i)*outs+o] = at(o, 2-i, h, w)
				}
			}
		}
	}
	for y := range 2 { // rows of the map, columns, channels, then units
		for x := range 2 {
			for c := range outs {
				for u := range units {
					fc[((y*2+x)*outs+c)*units+u] = at(u, c, y, x)
				}
			}
		}
	}
	// fc2 as it is written, and as a convolution: over the whole map, or over one place of flat inputs
	for _, shape := range [][]int{{16, units}, {2, 2, outs, units}, {1, 1, 16, units}} {
		checkConventions(t, at, conv, tensor.Of("fc2.weight", shape, fc))
	}
}

func checkConventions(t *testing.T, at func(v ...int) float32, conv []float32, fc tensor.Tensor) {
	t.Helper()
	const outs, ins, side, units = 4, 3, 3, 5
	s := sourceWith(t, []tensor.Tensor{
		tensor.Of("conv1.weight", []int{side, side, ins, outs}, conv),
		tensor.Of("conv1.bias", []int{1, 1, 1, outs}, counted32(outs)),
		fc, tensor.Of("fc2.bias", []int{units}, counted32(units)),
		tensor.Of("fc3.weight", []int{units, 3}, counted32(3*units)), tensor.Of("fc3.bias", []int{3}, counted32(3)),
	}, nil)
	s.layout, s.bgr = inOut, true
	i, c := imported(t, s, ImportOptions{Net: smallPage(t)})
	if !i.BGR {
		t.Error("not BGR")
	}
	got := valuesOf(t, c, "conv1.weight")
	for k := range got {
		if want := at(k/27, k/9%3, k/3%3, k%3); got[k] != want {
			t.Fatalf("conv1.weight[%d] is %g, want %g", k, got[k], want)
		}
	}
	got = valuesOf(t, c, "fc2.weight")
	for k := range got { // units, channels, rows, columns
		if want := at(k/16, k/4%4, k/2%2, k%2); got[k] != want {
			t.Fatalf("fc2.weight[%d] of %v is %g, want %g", k, fc.Shape, got[k], want)
		}
	}
	got = valuesOf(t, c, "fc3.weight")
	for k := range got {
		if want := 4 * float32(k%units*3+k/units+1); got[k] != want {
			t.Fatalf("fc3.weight[%d] is %g, want %g", k, got[k], want)
		}
	}
}

func TestPermuted(t *testing.T) {
	v, err := permuted(tensor.Of("x", []int{2, 3, 4}, counted32(24)), 2, 0, 1).Values()
	if err != nil {
		t.Fatal(err)
	}
	for k, x := range v {
		if want := float32(k/3%2*12 + k%3*4 + k/6 + 1); x != want {
			t.Fatalf("number %d is %g, want %g", k, x, want)
		}
	}
	plain := tensor.Of("x", []int{1, 8}, counted32(8))
	if v, err = outIn.mapOrdered(plain, device.Shape{C: 2, H: 2, W: 2}).Values(); err != nil || v[1] != 2 {
		t.Errorf("%v, %v: channels are first already", v, err)
	}
}

// What was exported comes back: numbers, classes, configuration and the preparation of pictures.
func TestImportExported(t *testing.T) {
	from := counting(t)
	e := exported(t, from, Options{Form: "plain", DType: "F32", Path: filepath.Join(t.TempDir(), "net.safetensors")})
	s, err := Open(files.OS, e.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	image := &Mean{Path: "m.npy", Tensor: tensor.Of("", from.Recipe.MeanShape, from.Recipe.Mean)}
	for _, mean := range []*Mean{nil, image} {
		i, c := imported(t, s, ImportOptions{Mean: mean})
		for k, p := range from.Params {
			want, err := p.Values()
			if err != nil {
				t.Fatal(err)
			}
			if got := valuesOf(t, c, p.Name); !slices.Equal(got, want) {
				t.Errorf("%s is %v, want %v", p.Name, got, want)
			}
			if c.Params[k].Name != p.Name {
				t.Errorf("parameter %d is %s", k, c.Params[k].Name)
			}
		}
		if !slices.Equal(c.Classes, from.Classes) || i.How != ByItself || i.Prep != PrepFile ||
			!slices.Equal(c.Recipe.Scale, from.Recipe.Scale) || c.Recipe.Resize != 16 || c.Recipe.Crop != 14 {
			t.Errorf("%+v, recipe %+v", i, c.Recipe)
		}
		switch want := []float32{128.5, 384.5, 640.5}; {
		case mean == nil && (i.MeanImage != "net.mean.npy" || !slices.Equal(c.Recipe.Mean, want)):
			t.Errorf("without the mean image: %q, %v", i.MeanImage, c.Recipe.Mean)
		case mean != nil && (i.MeanImage != "" || !slices.Equal(c.Recipe.Mean, from.Recipe.Mean)):
			t.Errorf("with it: %q, %d numbers", i.MeanImage, len(c.Recipe.Mean))
		}
		if c.Origin == nil || c.Origin.File != "net.safetensors" || len(c.Origin.SHA256) != 64 {
			t.Errorf("origin %+v", c.Origin)
		}
	}
	mean := &Mean{Path: "m.npy", Tensor: tensor.Of("", []int{3, 15, 16}, counted32(3*15*16))}
	if _, err = NewImport(t.Context(), files.OS, s, ImportOptions{Mean: mean}); !errors.As(err, new(*MeanSize)) {
		t.Errorf("a mean of another size: %v", err)
	}
}

// A mean of Caffe's has its planes the other way round.
func TestImportMeanBGR(t *testing.T) {
	mean := &Mean{Path: "m.binaryproto", Tensor: tensor.Of("", []int{1, 3, 8, 8}, counted32(192)), BGR: true}
	_, c := imported(t, sourceOf(t, same1(""), nil), ImportOptions{Net: smallPage(t), Mean: mean})
	for k, v := range c.Recipe.Mean {
		if want := float32((2-k/64)*64 + k%64 + 1); v != want {
			t.Fatalf("number %d is %g, want %g", k, v, want)
		}
	}
	if !slices.Equal(c.Recipe.MeanShape, []int{3, 8, 8}) || c.Recipe.MeanKind != "image" {
		t.Errorf("recipe %+v", c.Recipe)
	}
}

// pageShapes gives a source with the shapes of a page's parameters, whose numbers nobody reads.
func pageShapes(t *testing.T, page string, classes int, names func(i int, own string) string) *Source {
	t.Helper()
	a := arch(t, page, "model.classes="+strconv.Itoa(classes))
	s := &Source{Path: "x", close: func() error { return nil }}
	for i := range a.Params {
		s.Tensors = append(s.Tensors, tensor.Tensor{Name: names(i, a.Params[i].Name), Shape: a.Params[i].Shape})
	}
	return s
}

// The pages are recognised by shapes and names; of those that have the same, nothing tells which it is.
func TestRecognise(t *testing.T) {
	own := func(_ int, own string) string { return own }
	jiecaoyu := func(i int, own string) string {
		layers := []string{
			"features.0", "features.4", "features.8", "features.10", "features.12", "classifier.0", "classifier.3",
			"classifier.6",
		}
		return layers[i/2] + own[strings.Index(own, "."):]
	}
	for page, want := range map[string]string{
		"torchvision": "torchvision", "cifar10": "cifar10", "demo": "demo", "fig1": "fig1",
		"alexnet-merged": "alexnet-merged", "alexnet-one-column": "alexnet-one-column",
		"alexnet": "alexnet caffenet bvlc-alexnet", "caffenet": "alexnet caffenet bvlc-alexnet",
	} {
		m, err := recognise(pageShapes(t, page, 365, own), "")
		var several *Ambiguous
		switch {
		case errors.As(err, &several):
			for _, net := range strings.Fields(want) {
				if !slices.Contains(several.Nets, net) {
					t.Errorf("%s: %v", page, err)
				}
			}
		case err != nil:
			t.Errorf("%s: %v", page, err)
		case m.net != want || m.arch.Classes != 365:
			t.Errorf("%s was recognised as %s with %d classes", page, m.net, m.arch.Classes)
		}
	}
	m, err := recognise(pageShapes(t, "caffenet", 1000, jiecaoyu), "caffenet")
	if err != nil || m.how != ByAsking {
		t.Errorf("asked for: %v", err)
	}
	m, err = recognise(pageShapes(t, "caffenet", 1000, jiecaoyu), "")
	if err != nil || m.how != ByNames || m.net != "bvlc-alexnet" {
		t.Errorf("by names: %+v, %v", m, err)
	}
	s := pageShapes(t, "caffenet", 1000, own)
	s.published = &published[3]
	if m, err = recognise(s, ""); err != nil || m.how != ByChecksum || m.net != "caffenet" {
		t.Errorf("by checksum: %+v, %v", m, err)
	}
	wide := pageShapes(t, "torchvision", 1000, own)
	wide.Tensors[2].Shape = []int{200, 64, 5, 5}
	_, err = recognise(wide, "")
	var unfit *Unfit
	if !errors.As(err, &unfit) || unfit.Net != "torchvision" || unfit.Rows[2].Fits || !unfit.Rows[0].Fits ||
		unfit.Rows[2].FileShape[0] != 200 || unfit.Rows[2].NetShape[0] != 192 {
		t.Errorf("another shape: %v", err)
	}
	if _, err = recognise(&Source{Path: "x"}, ""); !errors.As(err, &unfit) || len(unfit.Rows) != 0 {
		t.Errorf("no tensors: %v", err)
	}
}

// Numbers that no trained net has are refused when they are read, and nothing is written.
func TestImportNotFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 3e38} { // the last is divided by .25
		values := counted32(15)
		values[7] = float32(bad)
		names := same1("")
		var all []tensor.Tensor
		for name := range names {
			v := counted32(tensor.Tensor{Shape: smallShapes[name]}.Len())
			if name == "fc3.weight" {
				v = values
			}
			all = append(all, tensor.Of(name, smallShapes[name], v))
		}
		i, err := NewImport(t.Context(), files.OS, sourceWith(t, all, nil), ImportOptions{Net: smallPage(t)})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "own.safetensors")
		_, err = i.Write(t.Context(), files.OS, path)
		var not *NotFinite
		if !errors.As(err, &not) || not.Index != 7 || not.Tensor != "fc3.weight" {
			t.Errorf("%g: %v", bad, err)
		}
		if left := filesIn(t, filepath.Dir(path)); len(left) > 0 {
			t.Errorf("%g: left %v", bad, slices.Collect(maps.Keys(left)))
		}
	}
}

func TestImportRefuses(t *testing.T) {
	s := sourceOf(t, same1(""), nil)
	var count *ClassCount
	_, err := NewImport(t.Context(), files.OS, s, ImportOptions{Net: smallPage(t), Classes: []string{"a", "b"}})
	if !errors.As(err, &count) || count.Have != 2 || count.Want != 3 {
		t.Errorf("two classes for three outputs: %v", err)
	}
	own := filepath.Join(t.TempDir(), "own.safetensors")
	if err := checkpoint.Save(files.OS, own, counting(t).Compact("F32")); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(files.OS, own); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err = NewImport(t.Context(), files.OS, s, ImportOptions{}); !errors.As(err, new(*Ours)) {
		t.Errorf("a checkpoint: %v", err)
	}
	dir := t.TempDir()
	for content, form := range map[string]Form{
		"\x89HDF\r\n\x1a\n": HDF5, "MATLAB 5.0 MAT-file": Matlab, "\x1f\x8b\x08": Packed, "name: \"x\"": Prototxt,
		"\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01" + strings.Repeat("\x00", 9): Darknet,
		"hello": NoForm, "": NoForm, "\x0a\x01n\x12\x09\x0a\x07\x0a\x05conv1": CaffeV0,
		strings.Repeat("x\x00", 128) + "\x00ustar": Archive,
	} {
		path := filepath.Join(dir, "w")
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		var other *OtherForm
		if _, err := Open(files.OS, path); !errors.As(err, &other) || other.Form != form {
			t.Errorf("%q: %v, want %s", content, err, form)
		}
	}
}

// Every form comes back as it went out; npz, and a graph that prepares pictures itself, with the mean image inside.
func TestRoundTrip(t *testing.T) {
	from := counting(t)
	for _, c := range []struct {
		Options
		meanInside bool
	}{
		{Options{Form: "plain", DType: "F16"}, false},
		{Options{Form: "npz", DType: "F32"}, true},
		{Options{Form: "npz", DType: "F16"}, true},
		{Options{Form: "onnx", DType: "F32"}, false},
		{Options{Form: "onnx", DType: "F16", Prepared: true}, true},
		{Options{Form: "onnx", DType: "F32", Prepared: true}, true},
	} {
		t.Run(c.Form+" "+c.DType, func(t *testing.T) {
			c.Path = filepath.Join(t.TempDir(), "net"+Ending(c.Form))
			e := exported(t, from, c.Options)
			if info, err := os.Stat(c.Path); err != nil || info.Size() != e.Bytes {
				t.Errorf("%d bytes said: %v, %v", e.Bytes, info.Size(), err)
			}
			if (e.MeanImage == "") != c.meanInside {
				t.Errorf("mean image %q", e.MeanImage)
			}
			s, err := Open(files.OS, c.Path)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			o := ImportOptions{}
			if !c.meanInside {
				if o.Mean, err = s.OpenMean(files.OS, e.MeanImage); err != nil {
					t.Fatal(err)
				}
			}
			i, got := imported(t, s, o)
			for _, p := range from.Params {
				want, err := p.Values()
				if err != nil {
					t.Fatal(err)
				}
				if v := valuesOf(t, got, p.Name); !slices.Equal(v, want) {
					t.Errorf("%s is %v, want %v", p.Name, v, want)
				}
			}
			if !slices.Equal(got.Recipe.Mean, from.Recipe.Mean) || !slices.Equal(got.Recipe.Scale, from.Recipe.Scale) ||
				!slices.Equal(got.Classes, from.Classes) || i.How != ByItself || i.MeanImage != "" {
				t.Errorf("%+v, %+v", i, got.Recipe)
			}
		})
	}
}

// The graph that is written is the net's: read again as one of another program, without what its metadata says, its
// layers are those of the page, and not those of another with the same shapes.
func TestGraphSaysLayers(t *testing.T) {
	dir := t.TempDir()
	for page, other := range map[string]string{
		small: strings.Replace(small, "size: 2, stride: 4", "size: 2, stride: 4, pool: avg", 1),
		strings.Replace(small, "stride: 4}", "stride: 4, round: up}\n    - {name: lrn1, kind: lrn, k: 1}", 1):    small,
		strings.Replace(small, "pad: 1, act: relu", "pad: 1, act: tanh", 1):                                      small,
		strings.Replace(small, "kernels: 4, size: 3, stride: 1", "kernels: 4, size: 3, stride: 1, round: up", 1): "",
	} {
		path := filepath.Join(dir, "page.yaml")
		from := &checkpoint.Checkpoint{
			Config: []byte(page), Dropout: checkpoint.DropoutPaper, Classes: []string{"a", "b", "c"},
			Recipe: recipe.Recipe{Resize: 8, Height: 8, Width: 8, Crop: 8, Channels: 3},
		}
		for _, p := range arch(t, page, "model.classes=3").Params {
			from.Params = append(from.Params, tensor.Of(p.Name, p.Shape, counted32(p.Len())))
		}
		e, err := NewExport(from, Options{Form: "onnx", DType: "F32", Path: filepath.Join(dir, "net.onnx")})
		if err != nil {
			t.Fatal(err)
		}
		e.onnx.Meta = nil
		if err := e.Write(t.Context(), files.OS); err != nil {
			t.Fatal(err)
		}
		s, err := Open(files.OS, e.Path)
		if err != nil {
			t.Fatal(err)
		}
		for config, fits := range map[string]bool{page: true, other: false} {
			if config == "" {
				continue
			}
			if err := os.WriteFile(path, []byte(config), 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := recognise(s, path)
			var unfit *Unfit
			if fits && err != nil || !fits && (!errors.As(err, &unfit) || unfit.Layer == "") {
				t.Errorf("%s\nas\n%s: %v", page, config, err)
			}
		}
		s.Close()
	}
}

// A graph without metadata whose normalisation stops at the border of a column is a net of columns, and not the one
// with the same shapes whose does not.
func TestGraphSaysColumns(t *testing.T) {
	dir := t.TempDir()
	two := strings.Replace(small, "model:\n", "model:\n  columns: 2\n", 1)
	two = strings.Replace(two, "    - {name: pool1", "    - {name: lrn1, kind: lrn, size: 3, k: 1}\n"+
		"    - {name: conv2, kind: conv, kernels: 4, size: 3, stride: 1, pad: 1, act: relu}\n    - {name: pool1", 1)
	two = strings.ReplaceAll(two, "kind: fc,", "kind: fc, inputs: both,")
	two = strings.Replace(two, "{name: fc3, kind: fc}", "{name: fc3, kind: fc, inputs: both}", 1)
	two = strings.Replace(two, "units: 5", "units: 6", 1)
	one := strings.Replace(two, "columns: 2", "columns: 1", 1)
	one = strings.ReplaceAll(one, ", inputs: both", "")
	one = strings.Replace(one, "conv2, kind: conv,", "conv2, kind: conv, groups: 2,", 1)
	for page, want := range map[string]map[string]bool{two: {two: true, one: false}, one: {two: false, one: true}} {
		path := filepath.Join(dir, "page.yaml")
		s := graphOf(t, page, path, func(*onnx.Graph) {})
		for config, fits := range want {
			if err := os.WriteFile(path, []byte(config), 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := recognise(s, path)
			var unfit *Unfit
			if fits && err != nil || !fits && (!errors.As(err, &unfit) || !strings.Contains(unfit.Layer, "columns")) {
				t.Errorf("%s\nas\n%s: %v", page, config, err)
			}
		}
	}
}

// graphOf is a page's net as a graph without metadata, spoilt.
func graphOf(t *testing.T, page, path string, spoil func(*onnx.Graph)) *Source {
	t.Helper()
	from := &checkpoint.Checkpoint{
		Config: []byte(page), Dropout: checkpoint.DropoutPaper, Classes: []string{"a", "b", "c"},
		Recipe: recipe.Recipe{Resize: 8, Height: 8, Width: 8, Crop: 8, Channels: 3},
	}
	for _, p := range arch(t, page, "model.classes=3").Params {
		from.Params = append(from.Params, tensor.Of(p.Name, p.Shape, counted32(p.Len())))
	}
	e, err := NewExport(from, Options{Form: "onnx", DType: "F32", Path: path + ".onnx"})
	if err != nil {
		t.Fatal(err)
	}
	e.onnx.Meta = nil
	spoil(e.onnx)
	if err := e.Write(t.Context(), files.OS); err != nil {
		t.Fatal(err)
	}
	s, err := Open(files.OS, e.Path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Zeros after a map count as what sizes rounded down or up make of them; others are as no page has them, and so are
// windows with gaps and shapes that no layer has.
func TestGraphRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "page.yaml")
	if err := os.WriteFile(path, []byte(small), 0o666); err != nil {
		t.Fatal(err)
	}
	node := func(g *onnx.Graph, op string) *onnx.Node {
		return &g.Nodes[slices.IndexFunc(g.Nodes, func(n onnx.Node) bool { return n.Op == op })]
	}
	set := func(op string, attr onnx.Attr) func(*onnx.Graph) {
		return func(g *onnx.Graph) {
			n := node(g, op)
			n.Attrs = slices.DeleteFunc(n.Attrs, func(a onnx.Attr) bool { return a.Name == attr.Name })
			n.Attrs = append(n.Attrs, attr)
		}
	}
	reshape := func(to ...int64) func(*onnx.Graph) {
		return func(g *onnx.Graph) {
			n := node(g, "Flatten")
			n.Op, n.Attrs, n.Inputs = "Reshape", nil, append(n.Inputs, "to")
			g.Ints["to"] = to
		}
	}
	for name, c := range map[string]struct {
		spoil func(*onnx.Graph)
		fits  bool
	}{
		"as it is":               {func(*onnx.Graph) {}, true},
		"zeros that none reads":  {set("MaxPool", numbers("pads", 0, 0, 1, 0)), true}, // 8 by 2 in steps of 4
		"a row more":             {set("MaxPool", numbers("pads", 0, 0, 4, 4)), false},
		"a column more":          {set("MaxPool", numbers("pads", 0, 0, 0, 4)), false},
		"none after":             {set("Conv", numbers("pads", 1, 1, 1, 0)), false},
		"none before":            {set("Conv", numbers("pads", 0, 0, 2, 2)), false},
		"windows with gaps":      {set("MaxPool", numbers("dilations", 2, 2)), false},
		"flat, by a shape":       {reshape(-1, 16), true},
		"flat, of a batch":       {reshape(0, -1), true},
		"two pictures as one":    {reshape(-1, 32), false},
		"a map of another shape": {reshape(-1, 2, 2, 4), false},
		"another axis":           {set("Flatten", number("axis", 2)), false},
	} {
		s := graphOf(t, small, filepath.Join(dir, strings.ReplaceAll(name, " ", "-")), c.spoil)
		_, err := recognise(s, path)
		var unfit *Unfit
		if c.fits && err != nil || !c.fits && (!errors.As(err, &unfit) || unfit.Layer == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An import that fails leaves what was there.
func TestImportFails(t *testing.T) {
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	i, err := NewImport(t.Context(), files.OS, sourceOf(t, same1(""), nil), ImportOptions{Net: smallPage(t)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ctx   context.Context
		spoil func(path string)
	}{
		"interrupted":             {interrupted, func(string) {}},
		"being written elsewhere": {t.Context(), func(path string) { lock(t, path) }},
		"a folder in the way":     {t.Context(), func(path string) { block(t, path) }},
	} {
		for _, there := range []bool{false, true} {
			path := filepath.Join(t.TempDir(), "own.safetensors")
			if there {
				if err := os.WriteFile(path, []byte("before"), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			c.spoil(path)
			before := filesIn(t, filepath.Dir(path))
			if _, err := i.Write(c.ctx, files.OS, path); err == nil {
				t.Errorf("%s: no error", name)
			}
			if after := filesIn(t, filepath.Dir(path)); !maps.Equal(before, after) {
				t.Errorf("%s: %v became %v", name, before, after)
			}
		}
	}
}

// A flipped bit in a zip is found whatever it is of; what has no checksums is not read.
func TestVerify(t *testing.T) {
	whole, err := os.ReadFile("testdata/zip.pth")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "w.pth")
	for at, want := range map[int]bool{-1: true, len(whole) / 2: false} {
		b := slices.Clone(whole)
		if at >= 0 {
			b[at] ^= 1
		}
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := Open(files.OS, path)
		if err == nil {
			err = errors.Join(s.Verify(t.Context()), s.Close())
		}
		var bad *tensor.BadFile
		if want && err != nil || !want && (!errors.As(err, &bad) || bad.Path != path) {
			t.Errorf("with byte %d spoilt: %v", at, err)
		}
	}
}

// What is verified is the file that is open, whatever its name stands for by then.
func TestVerifyReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.npz")
	whole, err := os.ReadFile("../npy/testdata/stored.npz")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole, 0o666); err != nil {
		t.Fatal(err)
	}
	s, err := Open(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path+"2", []byte("PK\x03\x04"), 0o666), os.Rename(path+"2", path)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Verify(t.Context()), s.Close()); err != nil {
		t.Error(err)
	}
}

// What a small file says that it unpacks to is looked at in little memory.
func TestVerifyMemory(t *testing.T) {
	const size = 64 << 20
	path := filepath.Join(t.TempDir(), "w.npz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	w, err := z.Create("w.npy")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(npy.Encode(w, make([]float32, size/4), []int{size / 4}), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s, err := Open(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(s.Verify(t.Context()), s.Close())
	runtime.ReadMemStats(&after)
	if asked := after.TotalAlloc - before.TotalAlloc; err != nil || asked > 4<<20 {
		t.Errorf("%v, %d MiB to look at %d", err, asked>>20, size>>20)
	}
}

// An .npz whose checksums are all 0 is not one whose checksums agree.
func TestVerifyNothing(t *testing.T) {
	for name, want := range map[string]struct{ checked, unchecked bool }{
		"../npy/testdata/stored.npz": {true, false}, "../npy/testdata/kaffe.npy": {false, false},
		withoutSums(t, "../npy/testdata/stored.npz"): {false, true}, "../pth/testdata/crc0.pth": {false, true},
	} {
		s, err := Open(files.OS, name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Checked != want.checked || s.Unchecked != want.unchecked {
			t.Errorf("%s: checked %v, unchecked %v", name, s.Checked, s.Unchecked)
		}
		if err := errors.Join(s.Verify(t.Context()), s.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// withoutSums is a copy of a zip whose checksums are all 0.
func withoutSums(t *testing.T, path string) string {
	t.Helper()
	whole, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	to := filepath.Join(t.TempDir(), "w.npz")
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := zip.NewWriter(f)
	for _, m := range whole.File {
		h := m.FileHeader
		h.CRC32, h.Flags = 0, 0
		raw, err := m.OpenRaw()
		if err != nil {
			t.Fatal(err)
		}
		out, err := w.CreateRaw(&h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return to
}

// What files say of pictures counts; what they do not say is taken from a page of the user's, or as such weights are
// used: torchvision's mean and deviation, or Caffe's mean, its squares by squashing. Of other nets nothing is known.
func TestPrepare(t *testing.T) {
	own := func(_ int, own string) string { return own }
	caffe := func(mean []float32, scale float32, meanFile string) func(s *Source) {
		return func(s *Source) { s.caffe, s.bgr, s.mean, s.scale, s.meanFile = true, true, mean, scale, meanFile }
	}
	torchScale := []float32{1 / 58.395, 1 / 57.12, 1 / 57.375}
	const squash, linear = "squash", "linear"
	for name, c := range map[string]struct {
		page, set string // set: the page is a file, with this; empty: it is named
		spoil     func(s *Source)
		from      PrepFrom
		want      recipe.Recipe
	}{
		"torchvision": {"torchvision", "", func(*Source) {}, PrepPublished, recipe.Recipe{
			Resize: 256, Mean: torchMean, Scale: torchScale,
		}},
		"Caffe's shapes from PyTorch": {"caffenet", "", func(*Source) {}, PrepPublished, recipe.Recipe{
			Resize: 256, Mean: torchMean, Scale: torchScale,
		}},
		"a page of the user's": {
			"torchvision", "std: [1, 2, 4], fit: squash, interpolation: linear", func(*Source) {}, PrepPage,
			recipe.Recipe{
				Resize: 256, Mean: torchMean, Scale: []float32{1, .5, .25}, Fit: squash, Interpolation: linear,
			},
		},
		"a page of the user's for Caffe": {"torchvision", "resize: 240", caffe(nil, 0, ""), PrepPage, recipe.Recipe{
			Resize: 240, Mean: caffeMean, Scale: torchScale,
		}},
		"Caffe": {"caffenet", "", caffe(nil, 0, ""), PrepPublished, recipe.Recipe{
			Resize: 256, Mean: caffeMean, Fit: squash, Interpolation: linear,
		}},
		"torchvision's net from Caffe": {"torchvision", "", caffe(nil, 1, ""), PrepPublished, recipe.Recipe{
			Resize: 256, Mean: caffeMean, Fit: squash, Interpolation: linear,
		}},
		"Caffe with numbers of its own": {"caffenet", "", caffe([]float32{1, 2, 3}, .5, ""), PrepFile, recipe.Recipe{
			Resize: 256, Mean: []float32{3, 2, 1}, Scale: []float32{.5, .5, .5}, Fit: squash, Interpolation: linear,
		}},
		"Caffe of RGB": {
			"caffenet", "", func(s *Source) {
				caffe([]float32{1, 2, 3}, 1, "")(s)
				s.SetBGR(false)
			}, PrepFile, recipe.Recipe{
				Resize: 256, Mean: []float32{1, 2, 3}, Fit: squash, Interpolation: linear,
			},
		},
		"Caffe of another size": {"cifar10", "", caffe([]float32{7}, .25, ""), PrepFile, recipe.Recipe{
			Resize: 32, Mean: []float32{7, 7, 7}, Scale: []float32{.25, .25, .25},
		}},
		"Caffe that only scales": {"caffenet", "", caffe(nil, .5, ""), PrepFile, recipe.Recipe{
			Resize: 256, Scale: []float32{.5, .5, .5}, Fit: squash, Interpolation: linear,
		}},
		"Caffe that names an image": {"caffenet", "", caffe(nil, .5, "m.binaryproto"), PrepFile, recipe.Recipe{
			Resize: 256, Mean: caffeMean, Scale: []float32{.5, .5, .5}, Fit: squash, Interpolation: linear,
		}},
		"Caffe's numbers and a page": {
			"cifar10", "std: [64]", caffe([]float32{1, 2, 3}, .5, ""), PrepFile, recipe.Recipe{
				Resize: 32, Mean: []float32{3, 2, 1}, Scale: []float32{.5, .5, .5},
			},
		},
		"nothing is known": {"cifar10", "", func(*Source) {}, PrepUnknown, recipe.Recipe{Resize: 32}},
		"the page's std": {"cifar10", "std: [32]", func(*Source) {}, PrepPage, recipe.Recipe{
			Resize: 32, Scale: []float32{1. / 32, 1. / 32, 1. / 32},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := pageShapes(t, c.page, 1000, own)
			c.spoil(s)
			page := c.page
			if c.set != "" {
				page = pageWith(t, c.page, c.set)
			}
			m, err := recognise(s, page)
			if err != nil {
				t.Fatal(err)
			}
			got, from, err := s.prepare(m, nil)
			if err != nil || from != c.from || !slices.Equal(got.Mean, c.want.Mean) ||
				!slices.Equal(got.Scale, c.want.Scale) || got.Fit != c.want.Fit || got.Resize != c.want.Resize ||
				got.Interpolation != c.want.Interpolation || (len(got.MeanShape) > 0) != (len(got.Mean) > 0) {
				t.Errorf("%+v, %s, %v", got, from, err)
			}
			if image, err := s.meanImage(); err != nil || image != s.meanFile {
				t.Errorf("mean image %q, %v", image, err)
			}
		})
	}
	s := pageShapes(t, "cifar10", 10, own)
	s.mean = []float32{1, 2}
	m, err := recognise(s, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.prepare(m, nil); !errors.As(err, new(*MeanSize)) {
		t.Errorf("two means for three channels: %v", err)
	}
}

// pageWith is a page's file with keys of data set otherwise: "std: [64], fit: squash".
func pageWith(t *testing.T, name, data string) string {
	t.Helper()
	var sets []string
	for _, pair := range regexp.MustCompile(`(\w+): (\[[^]]*\]|[^,]+)`).FindAllStringSubmatch(data, -1) {
		sets = append(sets, "data."+pair[1]+"="+pair[2])
	}
	page, err := config.Load(name, sets)
	if err != nil {
		t.Fatal(err)
	}
	content, err := page.YAML()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "page.yaml")
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// What a file says of colours is the order of its first layer and of every mean, whatever is usual in its form.
func TestSetBGR(t *testing.T) {
	array := filepath.Join(t.TempDir(), "mean.npy")
	if _, err := atomicfile.Put(t.Context(), files.OS, array, func(f atomicfile.File) error {
		return npy.Encode(f, []float32{1, 2, 3}, []int{3})
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		caffe, told, bgr bool
		array, proto     bool // what is BGR then
	}{
		{false, false, false, false, true},
		{false, true, true, true, true},
		{false, true, false, false, false},
		{true, false, true, true, true},
		{true, true, false, false, false},
	} {
		s := sourceOf(t, same1(""), nil)
		s.bgr = c.caffe
		if c.told {
			s.SetBGR(c.bgr)
		}
		a, err := s.OpenMean(files.OS, array)
		b, err2 := s.OpenMean(files.OS, "../caffe/testdata/colour.binaryproto")
		if err = errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		i, got := imported(t, s, ImportOptions{Net: smallPage(t), Mean: a})
		if a.BGR != c.array || b.BGR != c.proto || i.BGR != c.bgr {
			t.Errorf("%+v: %v, %v, %v", c, a.BGR, b.BGR, i.BGR)
		}
		mean, red := []float32{1, 2, 3}, float32(1)
		if c.bgr {
			mean, red = []float32{3, 2, 1}, 19 // the third plane of nine
		}
		if v := valuesOf(t, got, "conv1.weight"); v[0] != red || !slices.Equal(got.Recipe.Mean, mean) {
			t.Errorf("%+v: weight %g, mean %v", c, v[0], got.Recipe.Mean)
		}
	}
}

// Where the names of classes are from is said; those of a file are held to what a list of them must be.
func TestClassesFrom(t *testing.T) {
	own := &Source{Path: "x", Meta: map[string]string{formKey: "plain", "classes": `["a","b"]`}}
	for name, c := range map[string]struct {
		s     *Source
		n     int
		given []string
		from  ClassesFrom
	}{
		"a list": {own, 2, []string{"c", "d"}, ClassesGiven}, "the file": {own, 2, nil, ClassesFile},
		"ILSVRC2012": {&Source{}, 1000, nil, ClassesImageNet}, "none": {&Source{}, 999, nil, ClassesUnnamed},
	} {
		if names, from, err := c.s.classes(c.n, c.given); err != nil || from != c.from || len(names) != c.n {
			t.Errorf("%s: %d names from %s, %v", name, len(names), from, err)
		}
	}
	for _, bad := range []string{`["a","a"]`, `["a",""]`, `["a"]`, `{}`} {
		own.Meta["classes"] = bad
		if _, _, err := own.classes(2, nil); !errors.As(err, new(*BadExport)) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// A mean may have ones around its channels.
func TestMeanShapes(t *testing.T) {
	for _, shape := range [][]int{{3}, {3, 1, 1}, {1, 3, 1, 1}, {1, 3}, {3, 1}} {
		mean := &Mean{Path: "m.npy", Tensor: tensor.Of("", shape, []float32{1, 2, 3})}
		_, c := imported(t, sourceOf(t, same1(""), nil), ImportOptions{Net: smallPage(t), Mean: mean})
		if !slices.Equal(c.Recipe.Mean, []float32{1, 2, 3}) || !slices.Equal(c.Recipe.MeanShape, []int{3}) {
			t.Errorf("%v: %v of %v", shape, c.Recipe.Mean, c.Recipe.MeanShape)
		}
	}
}

// A recipe that cannot be is an error of the file that says it.
func TestPrepareSpoilt(t *testing.T) {
	from := counting(t)
	e := exported(t, from, Options{Form: "plain", DType: "F32", Path: filepath.Join(t.TempDir(), "net.safetensors")})
	s, err := Open(files.OS, e.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	said := s.Meta["preprocess"]
	for std, fits := range map[string]bool{"[1,2,4]": true, "[0,1,1]": false, "[1,2]": false} {
		s.Meta["preprocess"] = regexp.MustCompile(`"std":\[[^]]*\]`).ReplaceAllString(said, `"std":`+std)
		_, err := NewImport(t.Context(), files.OS, s, ImportOptions{})
		var bad *BadExport
		if fits && err != nil || !fits && (!errors.As(err, &bad) || bad.Path != e.Path) {
			t.Errorf("std %s: %v", std, err)
		}
	}
	s.Meta["preprocess"] = said
	huge := &Mean{Path: "m.npy", Tensor: tensor.Of("", []int{3}, []float32{1, 2, 3e30})}
	var no *NoMean
	_, err = NewImport(t.Context(), files.OS, s, ImportOptions{Mean: huge})
	if !errors.As(err, &no) || no.Path != "m.npy" {
		t.Errorf("a mean of 3e30: %v", err)
	}
	for _, scale := range []float32{0, -1, float32(math.NaN()), float32(math.Inf(1))} {
		var bad *tensor.BadFile
		err := new(Source).transform("x.caffemodel", &caffe.Transform{Scale: scale})
		if !errors.As(err, &bad) || bad.Path != "x.caffemodel" {
			t.Errorf("scale %g: %v", scale, err)
		}
	}
}
