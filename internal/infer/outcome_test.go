package infer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/reference"
	"alexnet/internal/stats"
	"alexnet/internal/step/steptest"
	"alexnet/internal/tensor"
)

// reordered is the checkpoint with its last layer's outputs in another order: output i is the old one's from[i]. Where
// names go along it is the same net.
func reordered(t *testing.T, c *checkpoint.Checkpoint, from []int, names bool) *checkpoint.Checkpoint {
	t.Helper()
	other := *c
	other.Path = "other"
	other.Params = slices.Clone(c.Params)
	for i, p := range other.Params {
		if !strings.HasPrefix(p.Name, "fc3.") {
			continue
		}
		old, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		row := len(old) / len(from)
		rows := make([]float32, 0, len(old))
		for _, k := range from {
			rows = append(rows, old[k*row:][:row]...)
		}
		other.Params[i] = tensor.Of(p.Name, p.Shape, rows)
	}
	if names {
		other.Classes = nil
		for _, k := range from {
			other.Classes = append(other.Classes, c.Classes[k])
		}
	}
	return &other
}

// turned are the numbers below n, each n-1-i, or the next one.
func turned(n int) (backward, rolled []int) {
	for i := range n {
		backward, rolled = append(backward, n-1-i), append(rolled, (i+1)%n)
	}
	return backward, rolled
}

func examine(t *testing.T, o infer.EvalOptions) *infer.Outcome {
	t.Helper()
	out, err := infer.Examine(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestExamine holds all that an outcome has against probabilities by hand: of single views and of ten, of all classes
// and of pictures of some of them.
func TestExamine(t *testing.T) {
	t.Parallel()
	c := openTrained(t)
	classes, val := len(c.Classes), steptest.Pictures().Val
	prob := viewsByHand(t, c, [2]int32{1, 1}, false)
	for _, without := range []int32{-1, 4} {
		names := slices.Clone(steptest.Pictures().Classes)
		if without >= 0 {
			names[without] = "aardvark" // which the net lacks: its pictures are not read, and keep their numbers
		}
		var answers []infer.Answer
		o := infer.EvalOptions{
			Checkpoint: c, Devices: reference.Open(1), Set: val, Classes: names, Batch: 3,
			Each: func(a infer.Answer) error { answers = append(answers, a); return nil },
		}
		out := examine(t, o)
		i, confused, perClass := 0, map[[2]int]int{}, make([][3]int, classes)
		for n := range val.Len() {
			label := int(val.Label(n))
			if label == int(without) {
				continue
			}
			p := prob[n*classes:][:classes]
			best, rank := 0, 0
			for k, x := range p {
				if x > p[best] {
					best = k
				}
				if x > p[label] {
					rank++
				}
			}
			want := infer.Answer{Number: n, Label: label, Answer: best, Rank: rank}
			want.Probability, want.LabelProbability = float64(p[best]), float64(p[label])
			if i >= len(answers) || !sameAnswer(answers[i], want) {
				t.Fatalf("picture %d: %+v, want %+v", n, answers[i:], want)
			}
			i++
			perClass[label][0]++
			if best != label {
				confused[[2]int{label, best}]++
				perClass[label][1]++
			}
			if rank >= 5 {
				perClass[label][2]++
			}
		}
		errs := 0
		for k, cl := range out.Classes {
			if cl.Images != perClass[k][0] || cl.Top1Errors != perClass[k][1] || cl.Top5Errors != perClass[k][2] ||
				string(cl.Class) != c.Classes[k] || cl.Top1ErrorInterval != stats.Wilson(cl.Top1Errors, cl.Images) {
				t.Errorf("class %d: %+v, want %v", k, cl, perClass[k])
			}
			errs += cl.Top1Errors
		}
		if math.Round(out.Top1Error*float64(out.Images)) != float64(errs) || out.Images != i ||
			out.Top1ErrorInterval != stats.Wilson(errs, i) {
			t.Errorf("%d wrong of %d: %+v", errs, i, out.Evaluation)
		}
		checkConfusions(t, out, confused)
		checkMistakes(t, out, val, answers)
		if out.Checkpoint != c.Sum() || out.Checkpoint == "" || out.Data != val.Fingerprint(names) || out.Crops != 1 {
			t.Errorf("of %q on %q, %d crops", out.Checkpoint, out.Data, out.Crops)
		}
		kept, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		var back infer.Outcome
		if err := json.Unmarshal(kept, &back); err != nil || !reflect.DeepEqual(&back, out) {
			t.Errorf("kept and read again: %v\n%+v\n%+v", err, back, *out)
		}
		o.Crops, o.Batch = 10, 20
		if ten := examine(t, o); ten.Images != i || ten.Crops != 10 || reflect.DeepEqual(ten.Mistakes, out.Mistakes) {
			t.Errorf("ten crops: %+v", ten.Evaluation)
		}
	}
}

func sameAnswer(got, want infer.Answer) bool {
	if math.Abs(got.Probability-want.Probability) > 1e-6 ||
		math.Abs(got.LabelProbability-want.LabelProbability) > 1e-6 {
		return false
	}
	got.Probability, got.LabelProbability = want.Probability, want.LabelProbability
	return got == want
}

func checkConfusions(t *testing.T, out *infer.Outcome, want map[[2]int]int) {
	t.Helper()
	if out.Pairs != len(want) || len(out.Confusions) != len(want) {
		t.Errorf("%d confusions of %d, want %d", len(out.Confusions), out.Pairs, len(want))
	}
	last := math.MaxInt
	for _, p := range out.Confusions {
		if p.Pictures != want[[2]int{p.Label, p.Answer}] || p.Pictures > last {
			t.Errorf("confusion %+v, want %d, and no more than %d", p, want[[2]int{p.Label, p.Answer}], last)
		}
		last = p.Pictures
	}
}

func checkMistakes(t *testing.T, out *infer.Outcome, set *data.Set, answers []infer.Answer) {
	t.Helper()
	wrong := slices.DeleteFunc(slices.Clone(answers), func(a infer.Answer) bool { return a.Rank == 0 })
	slices.SortStableFunc(wrong, func(a, b infer.Answer) int {
		if a.Probability > b.Probability {
			return -1
		}
		return 1
	})
	if len(out.Mistakes) != min(len(wrong), infer.MostConfident) || len(wrong) == 0 {
		t.Fatalf("%d mistakes, want those of %d", len(out.Mistakes), len(wrong))
	}
	for i, m := range out.Mistakes {
		if w := wrong[i]; m.Number != w.Number || m.Answer != w.Answer || m.Label != w.Label ||
			m.Probability != w.Probability || string(m.File) != set.File(w.Number) {
			t.Errorf("mistake %d: %+v, want %+v", i, m, w)
		}
	}
}

// TestPanel: several nets on the same pictures answer as each does alone, whatever the order of their classes and
// however their pictures are prepared, and together as the mean of their probabilities by hand.
func TestPanel(t *testing.T) {
	t.Parallel()
	c := openTrained(t)
	classes, val := len(c.Classes), steptest.Pictures().Val
	backward, rolled := turned(classes)
	same, other := reordered(t, c, backward, true), reordered(t, c, rolled, false)
	squashed := *other
	squashed.Recipe.Fit = config.SquashFit // of square pictures: the same pixels, read once more
	prob := viewsByHand(t, c, [2]int32{1, 1}, false)
	mean := make([]float64, len(prob))
	for i := range mean {
		mean[i] = (2*float64(prob[i]) + float64(prob[i/classes*classes+rolled[i%classes]])) / 3
	}
	want := scoreByHand(mean, classes)
	o := infer.EvalOptions{
		Checkpoint: c, Devices: reference.Open(1), Set: val, Classes: steptest.Pictures().Classes, Batch: 7,
	}
	alone := evaluate(t, o)
	o.Checkpoint = other
	shifted := evaluate(t, o)
	if alone.Top1Error == shifted.Top1Error || math.Abs(alone.Loss-want.Loss) < .01 {
		t.Fatalf("%+v, %+v and %+v show nothing", *alone, *shifted, want)
	}
	o.Checkpoint = c
	for _, third := range []*checkpoint.Checkpoint{other, &squashed} {
		o.More, o.Against = []*checkpoint.Checkpoint{same, third}, other
		e, err := infer.Evaluate(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		sameScore(t, "together", &e.Score, want)
		if len(e.Nets) != 3 || e.Nets[1].Weights != "other" || len(c.Sum()) != 64 ||
			e.Nets[2].Checkpoint != third.Sum() || e.Against.Checkpoint != other.Sum() {
			t.Fatalf("%+v", e.Nets)
		}
		for i, score := range []infer.NetScore{e.Nets[0], e.Nets[1], e.Nets[2], e.Against.NetScore} {
			if i < 2 {
				sameScore(t, fmt.Sprint("net ", i), &score.Score, *alone)
			} else {
				sameScore(t, fmt.Sprint("net ", i), &score.Score, *shifted)
			}
		}
		checkComparison(t, e, mean, prob, rolled)
	}
}

// checkComparison counts the pictures that one of two gets wrong by hand.
func checkComparison(t *testing.T, e *infer.Evaluation, mean []float64, prob []float32, rolled []int) {
	t.Helper()
	classes, val := len(rolled), steptest.Pictures().Val
	var top1, top5 stats.Paired
	for n := range val.Len() {
		label, first, second := int(val.Label(n)), 0, 0
		for k := range classes {
			if mean[n*classes+k] > mean[n*classes+label] {
				first++
			}
			if prob[n*classes+rolled[k]] > prob[n*classes+rolled[label]] {
				second++
			}
		}
		for rank, p := range map[int]*stats.Paired{1: &top1, 5: &top5} {
			p.N++
			if first >= rank && second < rank {
				p.FirstOnly++
			}
			if first < rank && second >= rank {
				p.SecondOnly++
			}
		}
	}
	a := e.Against
	if a.Top1.Paired != top1 || a.Top5 == nil || a.Top5.Paired != top5 || top1.FirstOnly+top1.SecondOnly == 0 {
		t.Fatalf("%+v and %+v, want %+v and %+v", a.Top1, a.Top5, top1, top5)
	}
	d, in := top1.Difference()
	if a.Top1.ExactP != top1.Exact() || a.Top1.MidP != top1.MidP() || a.Top1.Difference != d || a.Top1.Interval != in ||
		math.Abs(d-(e.Top1Error-a.Top1Error)) > 1e-12 {
		t.Errorf("%+v, want %g, %v, p %g and %g", a.Top1, d, in, top1.Exact(), top1.MidP())
	}
}

// TestUnlikeNets: a net of other classes neither answers together with one nor is compared with it.
func TestUnlikeNets(t *testing.T) {
	t.Parallel()
	c := openTrained(t)
	other := *c
	other.Path, other.Classes = "other", slices.Clone(c.Classes)
	other.Classes[2] = "zebra"
	o := infer.EvalOptions{
		Checkpoint: c, Devices: reference.Open(1), Set: steptest.Pictures().Val, Classes: steptest.Pictures().Classes,
	}
	for i := range 2 {
		o.More, o.Against = nil, &other
		if i == 1 {
			o.More, o.Against = []*checkpoint.Checkpoint{&other}, nil
		}
		_, err := infer.Evaluate(t.Context(), o)
		var unlike *infer.UnlikeNets
		if !errors.As(err, &unlike) || !slices.Equal(unlike.Has, []string{"zebra"}) ||
			!slices.Equal(unlike.Lacks, c.Classes[2:3]) || !strings.Contains(err.Error(), "zebra") {
			t.Error(err)
		}
	}
}

// TestEachEnds: an error of whoever is told of the answers ends the evaluation, and pictures that cannot be read are
// told of to nobody but OnBad, and keep their numbers.
func TestEachEnds(t *testing.T) {
	t.Parallel()
	c, dir := openTrained(t), t.TempDir()
	if err := demo.Write(t.Context(), files.OS, dir, demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	s := steptest.OpenFolder(t, dir)
	if err := os.Truncate(filepath.Join(dir, filepath.FromSlash(s.Val.Name(3))), 40); err != nil {
		t.Fatal(err)
	}
	var numbers []int
	full := errors.New("disk full")
	o := infer.EvalOptions{Checkpoint: c, Devices: reference.Open(1), Set: s.Val, Classes: s.Classes, Batch: 2}
	o.Each = func(a infer.Answer) error { numbers = append(numbers, a.Number); return nil }
	if e, err := infer.Evaluate(t.Context(), o); err != nil || e.Images != s.Val.Len()-1 {
		t.Errorf("%+v, %v", e, err)
	}
	if len(numbers) != s.Val.Len()-1 || !slices.Equal(numbers[:5], []int{0, 1, 2, 4, 5}) {
		t.Errorf("told of %v", numbers)
	}
	o.Each = func(a infer.Answer) error {
		if a.Number == 5 {
			return full
		}
		return nil
	}
	if _, err := infer.Evaluate(t.Context(), o); !errors.Is(err, full) {
		t.Error(err)
	}
}
