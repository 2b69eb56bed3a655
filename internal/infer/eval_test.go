package infer_test

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
	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
	"alexnet/internal/reference"
	"alexnet/internal/run"
	"alexnet/internal/step"
	"alexnet/internal/step/steptest"
	"alexnet/internal/train"
)

// trained is a checkpoint of a short run, made once.
var trained = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "infer-test")
	if err != nil {
		return "", err
	}
	cfg, err := steptest.Config("train.schedule.kind=constant")
	if err != nil {
		return "", err
	}
	d, err := run.Create(files.OS, filepath.Join(dir, "run"))
	if err != nil {
		return "", err
	}
	defer d.Close()
	r, err := train.Run(context.Background(), train.Options{
		Config: cfg, Devices: reference.Open(1), Source: steptest.Pictures(), Dir: d,
	})
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
	c, err := checkpoint.Load(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// shapes are the files of the validation pictures, in order.
func shapes(t *testing.T) (val []string) {
	t.Helper()
	dir := t.TempDir()
	if err := demo.Write(t.Context(), files.OS, dir, demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	s := steptest.Pictures().Val
	for i := range s.Len() {
		val = append(val, filepath.Join(dir, filepath.FromSlash(s.Name(i))))
	}
	return val
}

func evaluate(t *testing.T, o infer.EvalOptions) *step.Score {
	t.Helper()
	s, err := infer.Evaluate(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return &s.Score
}

// openByHand is the checkpoint's net without package infer's hands on it, but for the names of the parameters.
func openByHand(t *testing.T, c *checkpoint.Checkpoint, rows int) *model.Net {
	t.Helper()
	arch, err := model.Of(steptest.Page(t), len(c.Classes))
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(arch, reference.Open(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	net, err := m.Compile(model.Options{Rows: rows, Input: c.Recipe})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { net.Close() })
	if err := net.Alloc(); err != nil {
		t.Fatal(err)
	}
	if err := c.Restore(infer.Slots(m, device.Weight), nil); err != nil {
		t.Fatal(err)
	}
	return net
}

// viewsByHand runs one view of every validation picture through a net and gives the probabilities, (pictures, classes).
func viewsByHand(t *testing.T, c *checkpoint.Checkpoint, crop [2]int32, flip bool) []float32 {
	t.Helper()
	set := steptest.Pictures().Val
	net := openByHand(t, c, set.Len())
	l, err := data.NewLoader(t.Context(), set, data.LoaderOptions{
		Batch: set.Len(), Recipe: c.Recipe, Workers: 1, Slots: step.Slots{Net: net},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	for r := range info.Batch.Crop {
		info.Batch.Crop[r], info.Batch.Flip[r] = crop, flip
	}
	prob := make([]float32, set.Len()*len(c.Classes))
	net.Forward(net.Slot(info.Slot), model.Pass{Rows: set.Len(), Divisor: 1})
	if err := net.Probabilities(prob).Wait(); err != nil {
		t.Fatal(err)
	}
	return prob
}

// scoreByHand scores mean probabilities by sorting them: slower than what Evaluate does, and written without looking at
// it.
func scoreByHand(prob []float64, classes int) step.Score {
	return scoreByHandOf(prob, classes, func(int) bool { return true })
}

// scoreByHandOf does so for the pictures of some labels.
func scoreByHandOf(prob []float64, classes int, of func(label int) bool) step.Score {
	var s step.Score
	set := steptest.Pictures().Val
	n := 0.
	for i := range set.Len() {
		p, label := prob[i*classes:][:classes], int(set.Label(i))
		if !of(label) {
			continue
		}
		n++
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
	return step.Score{Images: int(n), Top1Error: s.Top1Error / n, Top5Error: s.Top5Error / n, Loss: s.Loss / n}
}

func sameScore(t *testing.T, what string, got *step.Score, want step.Score) {
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
	mean := make([]float64, steptest.Pictures().Val.Len()*classes)
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
	o := infer.EvalOptions{
		Checkpoint: c, Devices: reference.Open(1), Set: steptest.Pictures().Val,
		Classes: steptest.Pictures().Classes,
	}
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
		if done != steptest.Pictures().Val.Len() {
			t.Errorf("progress ended at %d", done)
		}
	}
	o.Crops = 5
	if _, err := infer.Evaluate(context.Background(), o); err == nil {
		t.Error("5 crops were accepted")
	}
}

// TestEvaluateClasses: of pictures of some of the net's classes and of one that it lacks, in another order than the
// net's, both errors are those of the probabilities by hand, without the pictures of that class. Data of no class that
// the net has is refused.
func TestEvaluateClasses(t *testing.T) {
	t.Parallel()
	c := openTrained(t)
	classes, val := len(c.Classes), steptest.Pictures().Val
	names := slices.Clone(steptest.Pictures().Classes)
	names[3] = "aardvark"
	o := infer.EvalOptions{Checkpoint: c, Devices: reference.Open(1), Classes: names}
	o.Set = val.Only(func(label int32) bool { return label != 1 && label != 8 })
	one, ten := make([]float64, val.Len()*classes), make([]float64, val.Len()*classes)
	for _, flip := range []bool{false, true} {
		for _, crop := range [][2]int32{{0, 0}, {0, 2}, {2, 0}, {2, 2}, {1, 1}} {
			for i, p := range viewsByHand(t, c, crop, flip) {
				if ten[i] += float64(p) / 10; crop == [2]int32{1, 1} && !flip {
					one[i] = float64(p)
				}
			}
		}
	}
	absent := []int{1, 3, 8}
	for _, views := range []struct {
		crops, batch int
		prob         []float64
	}{{1, 3, one}, {10, 20, ten}} {
		o.Crops, o.Batch = views.crops, views.batch
		e, err := infer.Evaluate(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		// an output that is absent, as if the net had given it nothing
		fewer := slices.Clone(views.prob)
		for i := range fewer {
			if slices.Contains(absent, i%classes) {
				fewer[i] = -1
			}
		}
		kept := func(label int) bool { return !slices.Contains(absent, label) }
		sameScore(t, "all outputs", &e.Score, scoreByHandOf(views.prob, classes, kept))
		want := scoreByHandOf(fewer, classes, kept)
		if e.Images != 14 || e.Present != 7 || e.PresentTop1Error != want.Top1Error ||
			e.PresentTop5Error == nil || *e.PresentTop5Error != want.Top5Error {
			t.Errorf("%d views: %+v, top-5 %v, want %+v", views.crops, e, e.PresentTop5Error, want)
		}
		if want.Top1Error == e.Top1Error && want.Top5Error == e.Top5Error {
			t.Errorf("%d views: both errors are %g and %g, which shows nothing", views.crops, e.Top1Error, e.Top5Error)
		}
		if len(e.LeftOut) != 1 || e.LeftOut[0] != (infer.LeftOut{Class: "aardvark", Pictures: 2}) {
			t.Errorf("left out: %+v", e.LeftOut)
		}
	}
	o.Set = val.Only(func(label int32) bool { return label == 3 })
	_, err := infer.Evaluate(t.Context(), o)
	var other *infer.OtherClasses
	if !errors.As(err, &other) || !slices.Equal(other.Data, []string{"aardvark"}) {
		t.Error(err)
	}
}

func TestEvaluateInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := infer.Evaluate(ctx, infer.EvalOptions{
		Checkpoint: openTrained(t), Devices: reference.Open(1), Set: steptest.Pictures().Val,
		Classes: steptest.Pictures().Classes,
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
	broken := broken(t)
	want, classes := viewsByHand(t, c, [2]int32{1, 1}, false), len(c.Classes)
	images := append([]string{val[7], broken}, val...)
	order := append([]int{7, -1}, numbers(len(val))...)
	for _, batch := range []int{1, 4, 64} {
		p, err := infer.NewPredictor(infer.PredictOptions{
			Checkpoint: c, Devices: reference.Open(2), Files: files.OS, Batch: batch,
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := predict(context.Background(), p, images, 5)
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

func checkPrediction(t *testing.T, got infer.Prediction, prob []float32, names []string) {
	t.Helper()
	if len(got.Predictions) != 5 {
		t.Fatalf("%d classes, asked for 5", len(got.Predictions))
	}
	last := math.Inf(1)
	for _, p := range got.Predictions {
		if math.Abs(p.Probability-float64(prob[p.Index])) > 1e-6 || string(p.Class) != names[p.Index] ||
			p.Probability > last {
			t.Errorf("%s: %+v, want probability %g of %s", got.Image, p, prob[p.Index], names[p.Index])
		}
		last = p.Probability
	}
	for i, p := range prob {
		if listed := slices.ContainsFunc(got.Predictions, func(c infer.ClassProbability) bool {
			return c.Index == i
		}); !listed && float64(p) > last+1e-6 {
			t.Errorf("%s: class %d with %g is missing", got.Image, i, p)
		}
	}
}

// TestStrict: the first unreadable picture ends predict, features and evaluation, and no later one is told of.
func TestStrict(t *testing.T) {
	t.Parallel()
	c := openTrained(t)
	broken := broken(t)
	images := []string{shapes(t)[0], broken, filepath.Join(t.TempDir(), "missing.png")}
	for _, batch := range []int{1, 4} {
		p, err := infer.NewPredictor(infer.PredictOptions{
			Checkpoint: c, Devices: reference.Open(1), Files: files.OS, Batch: batch, Layers: []string{"fc2"},
			Strict: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		var bad *data.BadPicture
		if _, err := predict(context.Background(), p, images, 1); !errors.As(err, &bad) || bad.Name != broken {
			t.Errorf("predict: %v", err)
		}
		if _, err := features(context.Background(), p, images, "fc2"); !errors.As(err, &bad) || bad.Name != broken {
			t.Errorf("features: %v", err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}

	dir := t.TempDir()
	if err := demo.Write(t.Context(), files.OS, dir, demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	s := steptest.OpenFolder(t, dir)
	if err := os.Truncate(filepath.Join(dir, filepath.FromSlash(s.Val.Name(3))), 40); err != nil {
		t.Fatal(err)
	}
	o := infer.EvalOptions{Checkpoint: c, Devices: reference.Open(1), Set: s.Val, Classes: s.Classes}
	if score := evaluate(t, o); score.Images != s.Val.Len()-1 {
		t.Errorf("%d pictures scored of %d with one unreadable", score.Images, s.Val.Len())
	}
	o.Strict, o.Batch = true, 2
	done := 0
	o.Progress = func(d, _ int) { done = d }
	var bad *data.BadPicture
	_, err := infer.Evaluate(context.Background(), o)
	if !errors.As(err, &bad) || bad.Name != s.Val.Name(3) || done > 2 {
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
	read := func(batch int, layer string) (table, []int) {
		p, err := infer.NewPredictor(infer.PredictOptions{
			Checkpoint: c, Devices: reference.Open(1), Files: files.OS, Batch: batch, Layers: []string{
				"conv1", "conv1.pre", "fc2", "prob", "input",
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		f, err := features(context.Background(), p, images, layer)
		if err != nil {
			t.Fatal(err)
		}
		shape, err := p.FeatureShape(layer)
		if err != nil {
			t.Fatal(err)
		}
		return f, shape
	}
	for layer, shape := range map[string][]int{
		"input": {3, 14, 14}, "conv1": {8, 14, 14}, "conv1.pre": {8, 14, 14}, "fc2": {24}, "prob": {10},
	} {
		one, got := read(1, layer)
		two, _ := read(2, layer)
		if !slices.Equal(got, shape) || len(one.images) != 5 || len(one.bad) != 1 {
			t.Errorf("%s: shape %v, want %v; %d pictures, %d bad", layer, got, shape, len(one.images), len(one.bad))
		}
		if !slices.EqualFunc(one.values, two.values, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-5 }) {
			t.Errorf("%s: depends on the batch", layer)
		}
	}
	pre, _ := read(5, "conv1.pre")
	post, _ := read(5, "conv1")
	for i, x := range pre.values {
		if max(x, 0) != post.values[i] {
			t.Fatalf("conv1 is %g where conv1.pre is %g", post.values[i], x)
		}
	}
	in, _ := read(5, "input")
	i, by := 0, &recipe.Recipe{Resize: 16, Height: 16, Width: 16, Channels: 3}
	for pic, err := range data.Files(files.OS, images[:5]).Decode(t.Context(), by, 1, data.Patience{}) {
		if err != nil {
			t.Fatal(err)
		}
		for k, x := range in.values[i*3*14*14:][:3*14*14] {
			ch, y, col := k/(14*14), k/14%14+1, k%14+1
			want := float32(pic.Pixels[(y*16+col)*3+ch]) - c.Recipe.Mean[(ch*16+y)*16+col]
			if math.Abs(float64(x-want)) > 1e-4 {
				t.Fatalf("%s: input %d is %g, want %g", images[i], k, x, want)
			}
		}
		i++
	}
	if _, err := infer.NewPredictor(infer.PredictOptions{
		Checkpoint: c, Devices: reference.Open(1), Layers: []string{"conv9"},
	}); !errors.As(err, new(*config.Error)) {
		t.Errorf("a layer that is not there: %v", err)
	}
}

// With int8 weights a net's loss moves, but little; on two devices it is that of one.
func TestInt8Loss(t *testing.T) {
	c := openTrained(t)
	loss := func(devices int, int8 bool) float64 {
		return evaluate(t, infer.EvalOptions{
			Checkpoint: c, Devices: reference.Open(devices), Set: steptest.Pictures().Val,
			Classes: steptest.Pictures().Classes, Int8: int8,
		}).Loss
	}
	exact, one, two := loss(1, false), loss(1, true), loss(2, true)
	if d := math.Abs(one - exact); d < 1e-6 || d > .05 {
		t.Errorf("loss %g, with int8 weights %g", exact, one)
	}
	if d := math.Abs(two - one); d > 1e-5 {
		t.Errorf("with int8 weights: loss %g, on two devices %g", one, two)
	}
}
