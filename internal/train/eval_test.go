package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/data/picture"
	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/model"
	"alexnet/internal/run"
	"alexnet/internal/safetensors"
)

// trained is a checkpoint of a short run, made once.
var trained = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "train-test")
	if err != nil {
		return "", err
	}
	cfg, err := config.Parse([]byte(tinyPage), []string{"train.schedule.kind=constant"})
	if err != nil {
		return "", err
	}
	d, err := run.Create(filepath.Join(dir, "run"))
	if err != nil {
		return "", err
	}
	defer d.Close()
	r, err := Run(context.Background(), Options{Config: cfg, Devices: references(1), Source: pictures(), Dir: d})
	if err != nil {
		return "", err
	}
	return r.LastPath, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := trained(); err == nil {
		os.RemoveAll(filepath.Dir(filepath.Dir(filepath.Dir(path))))
	}
	if err := goleak.Find(); err != nil { // loaders have workers
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func openTrained(t *testing.T) *checkpoint.Checkpoint {
	t.Helper()
	path, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	return load(t, path)
}

// shapes are the files of the validation pictures, in order.
func shapes(t *testing.T) (val []string) {
	t.Helper()
	dir := t.TempDir()
	if err := demo.Write(t.Context(), dir, demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	s := pictures().Val
	for i := range s.Len() {
		val = append(val, filepath.Join(dir, filepath.FromSlash(s.Name(i))))
	}
	return val
}

func evaluate(t *testing.T, o EvalOptions) *Score {
	t.Helper()
	s, err := Evaluate(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// viewsByHand runs one view of every validation picture through a net and gives the probabilities, (pictures, classes).
func viewsByHand(t *testing.T, c *checkpoint.Checkpoint, crop [2]int32, flip bool) []float32 {
	t.Helper()
	n, err := open(c, references(1), func(int) int { return pictures().Val.Len() }, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	l, err := data.NewLoader(pictures().Val, loaderOptions(&n.pre, n.arch.Input.H, n.rows, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := n.net.Stage()
	if _, err := l.Next(rowsOf(b)); err != nil {
		t.Fatal(err)
	}
	for r := range b.Crop {
		b.Crop[r], b.Flip[r] = crop, flip
	}
	prob := make([]float32, n.rows*n.arch.Classes)
	n.net.Forward(b, model.Pass{Rows: n.rows, Divisor: 1})
	if err := n.net.Probabilities(prob).Wait(); err != nil {
		t.Fatal(err)
	}
	return prob
}

// scoreByHand scores mean probabilities by sorting them: slower than what Evaluate does, and written without looking at
// it.
func scoreByHand(prob []float64, classes int) Score {
	var s Score
	set := pictures().Val
	for i := range set.Len() {
		p, label := prob[i*classes:][:classes], int(set.Label(i))
		order := make([]int, classes)
		for k := range order {
			order[k] = k
		}
		slices.SortStableFunc(order, func(a, b int) int {
			if p[a] > p[b] {
				return -1
			}
			if p[a] < p[b] {
				return 1
			}
			return a - b
		})
		if order[0] != label {
			s.Top1Error++
		}
		if !slices.Contains(order[:5], label) {
			s.Top5Error++
		}
		s.Loss -= math.Log(p[label])
	}
	n := float64(set.Len())
	return Score{Images: set.Len(), Top1Error: s.Top1Error / n, Top5Error: s.Top5Error / n, Loss: s.Loss / n}
}

func sameScore(t *testing.T, what string, got *Score, want Score) {
	t.Helper()
	if got.Images != want.Images || got.Top1Error != want.Top1Error || got.Top5Error != want.Top5Error ||
		math.Abs(got.Loss-want.Loss) > 1e-5 {
		t.Errorf("%s: %+v, want %+v", what, *got, want)
	}
}

// TestEvaluate holds both ways of scoring against probabilities of single views, put together by hand: the centre of
// 16x16 at 14x14 is (1, 1), the corners are (0, 0), (0, 2), (2, 0), (2, 2).
func TestEvaluate(t *testing.T) {
	t.Parallel()
	c := openTrained(t)
	classes := len(c.Classes)
	mean := make([]float64, pictures().Val.Len()*classes)
	for _, flip := range []bool{false, true} {
		for _, crop := range [][2]int32{{0, 0}, {0, 2}, {2, 0}, {2, 2}, {1, 1}} {
			for i, p := range viewsByHand(t, c, crop, flip) {
				mean[i] += float64(p) / 10
			}
		}
	}
	centre := make([]float64, len(mean))
	for i, p := range viewsByHand(t, c, [2]int32{1, 1}, false) {
		centre[i] = float64(p)
	}
	o := EvalOptions{Checkpoint: c, Devices: references(1), Set: pictures().Val, Classes: pictures().Classes}
	sameScore(t, "centre", evaluate(t, o), scoreByHand(centre, classes))
	for _, batch := range []int{0, 3, 7} {
		o.Batch = batch
		sameScore(t, "centre, batches", evaluate(t, o), scoreByHand(centre, classes))
	}
	o.Crops = 10
	for _, batch := range []int{0, 10, 35} {
		done := 0
		o.Batch, o.Progress = batch, func(d, _ int) { done = d }
		sameScore(t, "10 crops", evaluate(t, o), scoreByHand(mean, classes))
		if done != pictures().Val.Len() {
			t.Errorf("progress ended at %d", done)
		}
	}
	o.Crops = 5
	if _, err := Evaluate(context.Background(), o); err == nil {
		t.Error("5 crops were accepted")
	}
}

// TestEvaluateClasses: the data's classes are found by name, wherever they stand in the checkpoint; others are refused.
func TestEvaluateClasses(t *testing.T) {
	t.Parallel()
	c := openTrained(t)
	labels, err := matchClasses(&checkpoint.Checkpoint{Classes: []string{"dog", "cat", "bird"}}, []string{
		"bird", "cat", "dog",
	})
	if err != nil || !slices.Equal(labels, []int32{2, 1, 0}) {
		t.Errorf("labels %v, %v", labels, err)
	}
	for what, names := range map[string][]string{
		"two classes": c.Classes[:2],
		"other names": append([]string{"aardvark"}, c.Classes[1:]...),
	} {
		var bad *safetensors.BadFile
		_, err := Evaluate(context.Background(), EvalOptions{
			Checkpoint: c, Devices: references(1), Set: pictures().Val, Classes: names,
		})
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", what, err)
		}
	}
	r := relabel{from: fixed{labels: []int32{0, -1, 2}}, labels: []int32{2, 1, 0}}
	dst := data.Rows{Labels: make([]int32, 4)}
	if _, err := r.Next(dst); err != nil || !slices.Equal(dst.Labels[:3], []int32{2, -1, 0}) {
		t.Errorf("relabelled %v, %v", dst.Labels, err)
	}
}

// fixed feeds the same labels for ever.
type fixed struct{ labels []int32 }

func (f fixed) Next(dst data.Rows) (data.Info, error) {
	copy(dst.Labels, f.labels)
	return data.Info{Rows: len(f.labels)}, nil
}

func TestEvaluateInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Evaluate(ctx, EvalOptions{
		Checkpoint: openTrained(t), Devices: references(1), Set: pictures().Val, Classes: pictures().Classes,
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestPredict: files are answered as the same pictures in a set are, in the order given, unreadable ones apart.
func TestPredict(t *testing.T) {
	t.Parallel()
	c := openTrained(t)
	val := shapes(t)
	broken := filepath.Join(t.TempDir(), "broken.png")
	if err := os.WriteFile(broken, []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	want, classes := viewsByHand(t, c, [2]int32{1, 1}, false), len(c.Classes)
	images := append([]string{val[7], broken}, val...)
	order := append([]int{7, -1}, numbers(len(val))...)
	for _, batch := range []int{1, 4, 64} {
		p, err := NewPredictor(PredictOptions{Checkpoint: c, Devices: references(2), Batch: batch})
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Predict(context.Background(), images, 5)
		if err != nil || len(got) != len(images) {
			t.Fatalf("%d predictions, %v", len(got), err)
		}
		for i, g := range got {
			if g.Image != images[i] {
				t.Errorf("prediction %d is of %s, want %s", i, g.Image, images[i])
			}
			if order[i] < 0 {
				var bad *data.BadPicture
				if !errors.As(g.Err, &bad) || g.Predictions != nil {
					t.Errorf("the broken picture: %+v", g)
				}
				continue
			}
			checkPrediction(t, g, want[order[i]*classes:][:classes], c.Classes)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func checkPrediction(t *testing.T, got Prediction, prob []float32, names []string) {
	t.Helper()
	if len(got.Predictions) != 5 {
		t.Fatalf("%d classes, asked for 5", len(got.Predictions))
	}
	last := math.Inf(1)
	for _, p := range got.Predictions {
		if math.Abs(p.Probability-float64(prob[p.Index])) > 1e-6 || p.Class != names[p.Index] || p.Probability > last {
			t.Errorf("%s: %+v, want probability %g of %s", got.Image, p, prob[p.Index], names[p.Index])
		}
		last = p.Probability
	}
	for i, p := range prob {
		if listed := slices.ContainsFunc(got.Predictions, func(c ClassProbability) bool {
			return c.Index == i
		}); !listed && float64(p) > last+1e-6 {
			t.Errorf("%s: class %d with %g is missing", got.Image, i, p)
		}
	}
}

// TestStrict: the first unreadable picture ends predict, features and evaluation, and nothing behind it is looked at.
func TestStrict(t *testing.T) {
	t.Parallel()
	c := openTrained(t)
	broken := filepath.Join(t.TempDir(), "broken.png")
	if err := os.WriteFile(broken, []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	images := []string{shapes(t)[0], broken, filepath.Join(t.TempDir(), "missing.png")}
	for _, batch := range []int{1, 4} {
		p, err := NewPredictor(PredictOptions{
			Checkpoint: c, Devices: references(1), Batch: batch, Layers: []string{"fc2"}, Strict: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		var bad *data.BadPicture
		if _, err := p.Predict(context.Background(), images, 1); !errors.As(err, &bad) || bad.Name != broken {
			t.Errorf("predict: %v", err)
		}
		if _, err := p.Features(context.Background(), images, "fc2"); !errors.As(err, &bad) || bad.Name != broken {
			t.Errorf("features: %v", err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}

	dir := t.TempDir()
	if err := demo.Write(t.Context(), dir, demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	s := openFolder(t, dir)
	if err := os.Truncate(filepath.Join(dir, filepath.FromSlash(s.Val.Name(3))), 40); err != nil {
		t.Fatal(err)
	}
	o := EvalOptions{Checkpoint: c, Devices: references(1), Set: s.Val, Classes: s.Classes}
	if score := evaluate(t, o); score.Images != s.Val.Len()-1 {
		t.Errorf("%d pictures scored of %d with one unreadable", score.Images, s.Val.Len())
	}
	o.Strict, o.Batch = true, 2
	done := 0
	o.Progress = func(d, _ int) { done = d }
	var bad *data.BadPicture
	if _, err := Evaluate(context.Background(), o); !errors.As(err, &bad) || bad.Name != s.Val.Name(3) || done > 2 {
		t.Errorf("evaluation: %v after %d pictures", err, done)
	}
}

// TestFeatures: outputs come in the order of the pictures, whatever the batches, with the shapes of the layers; "input"
// is the centre crop minus the mean.
func TestFeatures(t *testing.T) {
	t.Parallel()
	c := openTrained(t)
	val := shapes(t)
	images := append(slices.Clone(val[:5]), filepath.Join(t.TempDir(), "missing.png"))
	read := func(batch int, layer string) *Features {
		p, err := NewPredictor(PredictOptions{
			Checkpoint: c, Devices: references(1), Batch: batch, Layers: []string{
				"conv1", "conv1.pre", "fc2", "prob", "input",
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		f, err := p.Features(context.Background(), images, layer)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for layer, shape := range map[string][]int{
		"input": {5, 3, 14, 14}, "conv1": {5, 8, 14, 14}, "conv1.pre": {5, 8, 14, 14}, "fc2": {5, 24}, "prob": {5, 10},
	} {
		one, two := read(1, layer), read(2, layer)
		if !slices.Equal(one.Shape, shape) || len(one.Images) != 5 || len(one.Bad) != 1 {
			t.Errorf("%s: shape %v, want %v; %d pictures, %d bad", layer, one.Shape, shape, len(one.Images),
				len(one.Bad))
		}
		if !slices.EqualFunc(one.Data, two.Data, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-5 }) {
			t.Errorf("%s: depends on the batch", layer)
		}
	}
	pre, post := read(5, "conv1.pre"), read(5, "conv1")
	for i, x := range pre.Data {
		if max(x, 0) != post.Data[i] {
			t.Fatalf("conv1 is %g where conv1.pre is %g", post.Data[i], x)
		}
	}
	in := read(5, "input")
	for i, name := range images[:5] {
		pic, err := data.DecodeFile(files.OS, name, picture.Prep{Resize: 16})
		if err != nil {
			t.Fatal(err)
		}
		for k, x := range in.Data[i*3*14*14:][:3*14*14] {
			ch, y, col := k/(14*14), k/14%14+1, k%14+1
			want := float32(pic.Pixels[(y*16+col)*3+ch]) - c.Preprocess.Mean[(ch*16+y)*16+col]
			if math.Abs(float64(x-want)) > 1e-4 {
				t.Fatalf("%s: input %d is %g, want %g", name, k, x, want)
			}
		}
	}
	if _, err := NewPredictor(PredictOptions{
		Checkpoint: c, Devices: references(1), Layers: []string{"conv9"},
	}); !errors.As(err, new(*config.Error)) {
		t.Errorf("a layer that is not there: %v", err)
	}
}

// TestBench: each mode gives medians over as many steps as asked for, of generated and of real pictures.
func TestBench(t *testing.T) {
	t.Parallel()
	for _, source := range []*data.Source{nil, pictures()} {
		for _, mode := range []string{BenchTrain, BenchInfer, BenchData} {
			o := BenchOptions{Config: page(t), Devices: references(1), Source: source, Mode: mode, Steps: 5, Warmup: 2}
			r, err := Bench(context.Background(), o)
			if mode == BenchData && source == nil {
				if err == nil {
					t.Error("bench of data without data")
				}
				continue
			}
			if err != nil {
				t.Fatal(mode, err)
			}
			if r.Steps != 5 || r.Batch != 16 || !(r.ImagesPerSecond > 0) || !(r.MillisecondsPerStep > 0) ||
				r.DataStall < 0 || r.DataStall > 1 {
				t.Errorf("%s: %+v", mode, r)
			}
		}
	}
	if _, err := Bench(context.Background(), BenchOptions{Config: page(t), Mode: "dream"}); err == nil {
		t.Error("a mode that is not there")
	}
}

// TestBenchSteps: bench in mode train moves every parameter, in mode infer none.
func TestBenchSteps(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{BenchTrain, BenchInfer} {
		b := &bench{BenchOptions: BenchOptions{Config: page(t), Devices: references(1), Mode: mode}, cfg: *page(t)}
		var err error
		if b.cfg.Model, err = b.cfg.Model.ForClasses(10); err != nil {
			t.Fatal(err)
		}
		s, err := b.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		before := tensorsOf(t, b.model, device.Weight)
		for range 3 {
			if _, err := s.step(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.drain(); err != nil {
			t.Fatal(err)
		}
		for name, v := range tensorsOf(t, b.model, device.Weight) {
			if moved := !slices.Equal(v, before[name]); moved != (mode == BenchTrain) {
				t.Errorf("mode %s: %s moved: %v", mode, name, moved)
			}
		}
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSynthetic: made-up batches have labels and crops that a net can take.
func TestSynthetic(t *testing.T) {
	t.Parallel()
	pre := checkpoint.Preprocess{Height: 20, Width: 18, Channels: 3, Crop: 14}
	feed := &synthetic{pre: &pre, classes: 10, batch: 64, seed: 1, filled: map[*uint8]bool{}}
	b := device.NewBatch(0, 64, device.Input{}, make([]uint8, 64*20*18*3))
	info, err := feed.Next(rowsOf(b))
	if err != nil || info.Rows != 64 || info.Good != 64 {
		t.Fatal(info, err)
	}
	seen := map[int32]bool{}
	for r := range 64 {
		if l := b.Labels[r]; l < 0 || l >= 10 {
			t.Errorf("label %d", l)
		}
		seen[b.Labels[r]] = true
		if y, x := b.Crop[r][0], b.Crop[r][1]; y < 0 || x < 0 || y+14 > 20 || x+14 > 18 {
			t.Errorf("crop at %d, %d", y, x)
		}
	}
	if len(seen) < 5 {
		t.Errorf("labels %v", seen)
	}
}
