package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/reference"
	"alexnet/internal/report"
	"alexnet/internal/run"
	"alexnet/internal/step/steptest"
)

// undisturbed is a run of all steps in one go.
func undisturbed(t *testing.T, steps int, sets ...string) (want string, lines []report.Metrics) {
	t.Helper()
	o, _ := options(t, sets...)
	o.Dir, o.Steps = folder(t), steps
	r := mustRun(t, o)
	return state(t, r.LastPath), timeless(t, o.Dir)
}

// metricsOf are the lines of a run's metrics.jsonl, all of which must be whole.
func metricsOf(t *testing.T, d *run.Dir) (all []report.Metrics) {
	t.Helper()
	f, err := d.FS().Open(d.Metrics())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := report.ReadLines(f, func(l report.Line) error {
		all = append(all, l.M)
		return l.Err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// timeless are the lines of metrics.jsonl without what a clock had to say.
func timeless(t *testing.T, d *run.Dir) []report.Metrics {
	t.Helper()
	ms := metricsOf(t, d)
	for i := range ms {
		ms[i].ImagesPerSecond, ms[i].DataStall, ms[i].ExchangeSeconds = nil, nil, nil
	}
	return ms
}

func sameLines(t *testing.T, got, want []report.Metrics) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d lines of metrics, want %d", len(got), len(want))
		return
	}
	for i := range got {
		if g, w := line(got[i]), line(want[i]); g != w {
			t.Errorf("line %d of the metrics is %v, want %v", i, g, w)
		}
	}
}

// line is what a metrics line says, with -1 for nothing.
func line(m report.Metrics) [9]float64 {
	or := func(p *float64) float64 {
		if p == nil {
			return -1
		}
		return *p
	}
	return [9]float64{
		float64(m.Step), float64(m.Epoch), or(m.Loss), or(m.Top1Error), or(m.LR), or(m.ValLoss), or(m.ValTop1Error),
		or(m.ValTop5Error), or(m.TrainLoss),
	}
}

// TestResume stops a run after each of its steps, in the middle of epochs and at their ends, and goes on with it in
// another process's place: a new trainer, devices and folder handle. Weights, momentum, cursor, schedule and metrics
// are those of the undisturbed run.
func TestResume(t *testing.T) {
	t.Parallel()
	const steps = 3*tinySteps + 2
	sets := []string{"train.epochs=9"}
	want, lines := undisturbed(t, steps, sets...)
	for cut := 1; cut < steps; cut++ {
		t.Run(fmt.Sprint("after step ", cut), func(t *testing.T) {
			t.Parallel()
			resumeAfter(t, cut, steps, want, lines, sets...)
		})
	}
}

func resumeAfter(t *testing.T, cut, steps int, want string, lines []report.Metrics, sets ...string) {
	t.Helper()
	o, l := options(t, sets...)
	o.Dir = folder(t)
	ctx, cancel := context.WithCancel(context.Background())
	l.onStep = func(m report.Metrics) {
		if m.Step == uint64(cut) {
			cancel()
		}
	}
	_, err := Run(ctx, o)
	cancel()
	var stop *Interrupted
	if !errors.As(err, &stop) || !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if stop.Step < uint64(cut) || stop.Step > uint64(cut)+1 || stop.Checkpoint != o.Dir.Checkpoint(run.Last) {
		t.Errorf("interrupted at step %d with checkpoint %s", stop.Step, stop.Checkpoint)
	}
	again, _ := options(t, sets...)
	again.Dir, again.Steps, again.Resume = o.Dir, steps, load(t, stop.Checkpoint)
	r := mustRun(t, again)
	same(t, "resumed", state(t, r.LastPath), want)
	sameLines(t, timeless(t, o.Dir), lines)
}

// TestProlonged: a run that ended after N steps, the last validation included, and is prolonged, is the longer run.
func TestProlonged(t *testing.T) {
	t.Parallel()
	sets := []string{"train.schedule.kind=constant", "train.checkpoint_steps=3"}
	for _, first := range []int{tinySteps, tinySteps + 2} {
		want, _ := undisturbed(t, 11, sets...)
		o, _ := options(t, sets...)
		o.Dir, o.Steps = folder(t), first
		r := mustRun(t, o)
		if r.Last == nil || r.Steps != uint64(first) {
			t.Fatalf("after %d steps: %+v", first, r)
		}
		again, _ := options(t, sets...)
		again.Dir, again.Steps, again.Resume = o.Dir, 11, load(t, r.LastPath)
		r = mustRun(t, again)
		same(t, "prolonged", tensorsOnly(state(t, r.LastPath)), tensorsOnly(want))
	}
}

// tensorsOnly leaves out the first line: the validation at an earlier end may have found a better net.
func tensorsOnly(s string) string {
	for i := range s {
		if s[i] == '\n' {
			return s[i:]
		}
	}
	return s
}

// TestResumeAfterEnd: a run that has reached its end has nothing to do, and says the same again.
func TestResumeAfterEnd(t *testing.T) {
	t.Parallel()
	o, _ := options(t, "train.epochs=1")
	o.Dir = folder(t)
	r := mustRun(t, o)
	before, lines, last := state(t, r.LastPath), timeless(t, o.Dir), *r.Last
	again, l := options(t, "train.epochs=1")
	again.Dir, again.Resume = o.Dir, load(t, r.LastPath)
	r = mustRun(t, again)
	if len(l.steps) != 0 || len(l.epochs) != 0 || r.Steps != tinySteps || r.Best == nil || r.BestPath == "" {
		t.Errorf("%d steps and %d validations more: %+v", len(l.steps), len(l.epochs), r)
	}
	if !r.Finished || r.PlannedSteps != tinySteps || r.PlannedEpochs != 1 || r.Epochs != 1 || r.Loss != nil ||
		r.Last == nil || *r.Last != last {
		t.Errorf("%+v, want it finished with the last validation %+v", r, last)
	}
	same(t, "resumed after the end", state(t, r.LastPath), before)
	sameLines(t, timeless(t, o.Dir), lines)
}

// TestResumeBeyondSteps: a run that has taken as many steps as it is asked for, or more, is finished; one step more is
// training.
func TestResumeBeyondSteps(t *testing.T) {
	t.Parallel()
	o, _ := options(t)
	o.Dir, o.Steps = folder(t), tinySteps+2
	path := mustRun(t, o).LastPath
	before, lines := state(t, path), timeless(t, o.Dir)
	if end := lines[len(lines)-1]; end.Epoch != 2 || end.ValLoss == nil || end.TrainLoss == nil {
		t.Errorf("the line of the end, inside epoch 2: %+v", end)
	}
	for _, steps := range []int{1, tinySteps, tinySteps + 2, tinySteps + 3} {
		again, l := options(t)
		again.Dir, again.Steps, again.Resume = o.Dir, steps, load(t, path)
		r := mustRun(t, again)
		if more := steps > tinySteps+2; r.Finished == more || (r.Loss != nil) != more || (len(l.steps) > 0) != more {
			t.Errorf("--steps %d: %+v", steps, r)
		} else if !more {
			same(t, "finished", state(t, path), before)
			sameLines(t, timeless(t, o.Dir), lines)
		}
	}
}

// TestGoal: a checkpoint knows the steps that its run was to take, also where it was cut off, and whether it has come
// to its end, the validation there included.
func TestGoal(t *testing.T) {
	t.Parallel()
	goal := func(path string) Goal {
		t.Helper()
		c := load(t, path)
		page, err := c.Page(nil)
		if err != nil {
			t.Fatal(err)
		}
		g, err := GoalOf(c, page.Train.Epochs)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	o, l := options(t, "train.epochs=2", "train.checkpoint_steps=1")
	o.Dir, o.Steps = folder(t), tinySteps+2
	last := o.Dir.Checkpoint(run.Last)
	ctx, cancel := context.WithCancel(t.Context())
	l.onStep = func(m report.Metrics) {
		if m.Step == 3 {
			cancel()
		}
		if m.Step == tinySteps+2 {
			if g := goal(last); g.Reached {
				t.Errorf("before the last validation: %+v", g)
			}
		}
	}
	if _, err := Run(ctx, o); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if g := goal(last); g != (Goal{Epochs: 2, Steps: tinySteps + 2}) {
		t.Errorf("cut off: %+v", g)
	}
	for _, steps := range []int{tinySteps + 2, 2*tinySteps - 1} {
		o.Resume, o.Steps = load(t, last), steps
		mustRun(t, o)
		if g := goal(last); g != (Goal{2, steps, true}) {
			t.Errorf("resumed to %d steps: %+v", steps, g)
		}
	}
	o.Resume, o.Steps = load(t, last), 0
	mustRun(t, o)
	if g := goal(last); g != (Goal{2, 0, true}) {
		t.Errorf("resumed to its epochs: %+v", g)
	}

	for _, steps := range []int{tinySteps, 3 * tinySteps} { // no fewer than the epochs are: no limit
		o, _ := options(t, "train.epochs=1")
		o.Dir, o.Steps = folder(t), steps
		r := mustRun(t, o)
		if g := goal(o.Dir.Checkpoint(run.Last)); g != (Goal{1, 0, true}) || r.PlannedSteps != tinySteps {
			t.Errorf("%d steps of %d: %+v, planned %d", steps, tinySteps, g, r.PlannedSteps)
		}
	}
}

// TestCurvesBlocked: where curves.png cannot be written the run goes on, and says so once.
func TestCurvesBlocked(t *testing.T) {
	t.Parallel()
	o, l := options(t, "train.epochs=2")
	o.Dir = folder(t)
	if err := os.MkdirAll(filepath.Join(o.Dir.Curves(), "in the way"), 0o777); err != nil {
		t.Fatal(err)
	}
	r := mustRun(t, o)
	if r.Epochs != 2 || r.LastPath == "" || r.BestPath == "" || r.CurvesPath != "" || len(r.Warnings) != 1 ||
		!l.noted("no curves are drawn") {
		t.Errorf("%+v, notes %q", r, l.notes)
	}
}

// TestWhere: a checkpoint says where its run computed, and where its pictures are from any folder.
func TestWhere(t *testing.T) {
	dir := t.TempDir()
	if err := demo.Write(t.Context(), files.OS, filepath.Join(dir, "shapes"),
		demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	o, _ := options(t, "train.epochs=1")
	o.Dir, o.Source, o.Device, o.Threads = folder(t), steptest.OpenFolder(t, "shapes"), "cpu,cpu", 3
	c := load(t, mustRun(t, o).LastPath)
	if c.Device != "cpu,cpu" || c.Threads != 3 || !filepath.IsAbs(c.Data.Path) ||
		filepath.Base(c.Data.Path) != "shapes" {
		t.Errorf("device %q, threads %d, data at %s", c.Device, c.Threads, c.Data.Path)
	}
	o, _ = options(t, "train.epochs=1")
	o.Dir = folder(t)
	if c := load(t, mustRun(t, o).LastPath); c.Data.Path != steptest.Pictures().Path {
		t.Errorf("pictures that were drawn are at %s", c.Data.Path)
	}
}

// TestFolderNamedAsGenerated: a folder that is called as the generated pictures are does not take their place, and they
// do not take its own.
func TestFolderNamedAsGenerated(t *testing.T) {
	dir := t.TempDir()
	name := steptest.Pictures().Path
	if err := demo.Write(t.Context(), files.OS, filepath.Join(dir, name),
		demo.Options{Train: 6, Val: 2, Size: 16, Seed: 2}); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, c := range []struct {
		source *data.Source
		path   string
	}{{steptest.Pictures(), name}, {steptest.OpenFolder(t, name), filepath.Join(dir, name)}} {
		o, _ := options(t)
		o.Dir, o.Source, o.Steps = folder(t), c.source, 1
		if got := load(t, mustRun(t, o).LastPath).Data; got.Path != c.path ||
			got.Fingerprint != c.source.Fingerprint {
			t.Errorf("the checkpoint names %+v, want %s", got, c.path)
		}
		o.Resume = load(t, o.Dir.Checkpoint(run.Last))
		o.Resume.Data.Fingerprint, o.Steps = "another", 2
		var other *OtherData
		if _, err := Run(t.Context(), o); !errors.As(err, &other) ||
			(len(other.Data.Paths) == 0) != (c.source.Kind == data.Generated) {
			t.Errorf("%s with other pictures: %+v, %v", c.path, other, err)
		}
	}
}

func TestResumeRefuses(t *testing.T) {
	t.Parallel()
	o, _ := options(t)
	o.Dir, o.Steps = folder(t), 2
	c := load(t, mustRun(t, o).LastPath)

	other, _ := options(t, "train.seed=2")
	other.Resume = c
	var usage *config.Error
	if _, err := Run(context.Background(), other); !errors.As(err, &usage) {
		t.Errorf("another seed: %v", err)
	}
	changed, _ := options(t)
	source, err := demo.Open(demo.Options{Train: 7, Val: 2, Size: 16, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	changed.Resume, changed.Source = c, source
	if _, err := Run(context.Background(), changed); err == nil {
		t.Error("resumed on other data")
	}
	wider, _ := options(t, "model.fc2.units=32")
	wider.Resume = c
	var mismatch *checkpoint.Mismatch
	if _, err := Run(context.Background(), wider); !errors.As(err, &mismatch) {
		t.Errorf("another net: %v", err)
	}
	both, _ := options(t)
	both.Resume, both.Init = c, c
	if _, err := Run(context.Background(), both); err == nil {
		t.Error("resumed and started from a file at once")
	}
}

// TestInit: a run from a file's weights begins where the file's run was, by its recipe, and a run for other classes
// is refused.
func TestInit(t *testing.T) {
	t.Parallel()
	o, _ := options(t)
	o.Dir = folder(t)
	r := mustRun(t, o)
	c := load(t, r.LastPath)
	var seen map[string][]float32
	next, l := options(t, "train.lr=1e-30", "train.epochs=1", "data.mean=channel") // too small a rate to move an fp32
	next.Init, next.Dir = c, folder(t)
	next.afterStep = func(tr *trainer) { seen = steptest.TensorsOf(t, tr.model, device.Weight) }
	r = mustRun(t, next)
	if part := "data.mean is image, as in " + c.Path + ", not channel, as the configuration says"; !l.noted(part) {
		t.Errorf("notes %q, none says %q", l.notes, part)
	}
	for _, p := range c.Params {
		v, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		for i := range v {
			if v[i] != seen[p.Name][i] {
				t.Fatalf("%s is not the file's", p.Name)
			}
		}
	}
	if got := load(t, r.LastPath).Recipe; got.MeanKind != "image" {
		t.Errorf("mean of kind %s, the file's is an image", got.MeanKind)
	}
	next.OwnRecipe, next.Dir = true, folder(t)
	if got := load(t, mustRun(t, next).LastPath).Recipe; got.MeanKind != "channel" || len(got.Mean) != 3 {
		t.Errorf("mean of kind %s and %d numbers, asked for a channel mean", got.MeanKind, len(got.Mean))
	}

	// the net comes first: what else differs follows from it
	o, _ = options(t, "model.conv1.kernels=16", "model.input.size=20", "data.resize=20")
	o.Init = c
	var mismatch *checkpoint.Mismatch
	if _, err := Run(context.Background(), o); !errors.As(err, &mismatch) || mismatch.Tensor != "conv1.weight" {
		t.Errorf("another net: %v", err)
	}
	o, l = options(t, "train.dropout=false", "train.epochs=1")
	o.Init = c
	mustRun(t, o)
	if part := "what passes drop2 is 2 times as large"; !l.noted(part) {
		t.Errorf("notes %q, none says %q", l.notes, part)
	}

	o, _ = options(t, "model.conv1.kernels=16")
	o.Init, o.Source = c, twoClasses(t)
	if _, err := Run(context.Background(), o); !errors.As(err, &mismatch) || mismatch.Tensor != "conv1.weight" ||
		!strings.Contains(err.Error(), "another net\n") || !strings.Contains(err.Error(), "10x") {
		t.Errorf("another net for other classes: %v", err)
	}
}

// TestHead: the last layer starts anew as in a net from nothing where the classes are others, also where they are as
// many; where only their order is another it goes on with its rows in the data's; all other layers are the file's.
func TestHead(t *testing.T) {
	t.Parallel()
	o, _ := options(t)
	o.Dir = folder(t)
	c := load(t, mustRun(t, o).LastPath)
	file := valuesOf(t, c)
	var fresh map[string][]float32
	start := func(o Options) map[string][]float32 { // the weights after a step too small to move any
		t.Helper()
		var seen map[string][]float32
		o.Steps, o.afterStep = 1, func(tr *trainer) { seen = steptest.TensorsOf(t, tr.model, device.Weight) }
		mustRun(t, o)
		return seen
	}
	still := []string{"train.lr=1e-30", "train.seed=7", "train.epochs=1", "model.fc3.init.bias=0.5"}
	turned := *c // its first row is that of the fourth class, and so on: no order that is its own inverse
	turned.Classes = slices.Concat(c.Classes[3:], c.Classes[:3])
	for _, k := range []struct {
		name   string
		file   *checkpoint.Checkpoint
		source *data.Source
		start  HeadStart
		note   string
	}{
		{"the same", c, steptest.Pictures(), HeadKept, "goes on with the file's weights"},
		{"other names", c, renamed(t), HeadNew, "starts anew: the 10 classes of"},
		{"fewer", c, twoClasses(t), HeadNew, "is for 10 classes"},
		{"another order", &turned, steptest.Pictures(), HeadReordered, "put into the order of the data"},
	} {
		o, l := options(t, still...)
		o.Init, o.Source = k.file, k.source
		got := start(o)
		if !l.noted(k.note) {
			t.Errorf("%s: notes %q, none says %q", k.name, l.notes, k.note)
		}
		o, _ = options(t, still...)
		o.Source = k.source
		fresh = start(o)
		for name, w := range got {
			want := file[name]
			if checkpoint.LayerOf(name) == c.LastLayer() {
				switch k.start {
				case HeadNew:
					want = fresh[name]
				case HeadReordered:
					want = nil
					row := len(w) / 10
					for _, class := range k.source.Classes {
						r := slices.Index(k.file.Classes, class)
						want = append(want, file[name][r*row:][:row]...)
					}
				}
			}
			if !slices.Equal(w, want) {
				t.Errorf("%s: %s starts with other numbers", k.name, name)
			}
		}
		look, err := Look(t.Context(), func() Options { o.Init = k.file; return o }())
		if err != nil || look.Head.Start != k.start {
			t.Errorf("%s: a look ahead finds %+v, %v", k.name, look, err)
		}
	}
}

// TestFrozenHead: a last layer that starts anew has to learn; one that goes on need not.
func TestFrozenHead(t *testing.T) {
	t.Parallel()
	o, _ := options(t)
	o.Dir = folder(t)
	c := load(t, mustRun(t, o).LastPath)
	for _, still := range []string{"model.fc3.freeze=true", "model.fc3.lr=0"} {
		o, _ := options(t, still, "train.epochs=1")
		o.Init = c
		if _, err := Look(t.Context(), o); err != nil {
			t.Errorf("%s, the same classes: %v", still, err)
		}
		o.Source = renamed(t)
		var e *FrozenHead
		if _, err := Look(t.Context(), o); !errors.As(err, &e) || e.Layer != "fc3" || e.Path != c.Path {
			t.Errorf("%s, other classes: %v", still, err)
		}
	}
}

// TestHeadOf: weights that were drawn for no data have classes without names, which are any as many; names that are
// twice there, or as many numbers that name folders, are names.
func TestHeadOf(t *testing.T) {
	t.Parallel()
	o, _ := options(t)
	o.Dir = folder(t)
	c := load(t, mustRun(t, o).LastPath)
	tr := bareTrainer(t.Context(), o)
	if err := tr.configure(t.Context()); err != nil {
		t.Fatal(err)
	}
	drawn, taught := *c, *c
	drawn.Classes = strings.Fields("0 1 2 3 4 5 6 7 8 9")
	taught.Classes = drawn.Classes
	drawn.Step, drawn.Data.Fingerprint = 0, ""
	twice := *c
	twice.Classes = slices.Clone(c.Classes)
	twice.Classes[1] = twice.Classes[0]
	nameless := *c
	nameless.Classes = nil
	other := *c // the last layer has another name there
	other.Params = slices.Clone(c.Params)
	for i := range other.Params {
		if p := &other.Params[i]; checkpoint.LayerOf(p.Name) == "fc3" {
			p.Name = "out" + strings.TrimPrefix(p.Name, "fc3")
		}
	}
	if h := tr.headOf(&other); h.Start != HeadNew || !strings.HasSuffix(h.String(), "the last layer is out") {
		t.Errorf("with another name: %s", h)
	}
	for name, k := range map[string]struct {
		file *checkpoint.Checkpoint
		want HeadStart
	}{
		"drawn": {&drawn, HeadKept}, "taught": {&taught, HeadNew}, "twice": {&twice, HeadNew},
		"nameless": {&nameless, HeadKept}, "itself": {c, HeadKept},
	} {
		if got := tr.headOf(k.file).Start; got != k.want {
			t.Errorf("%s: %s, want %s", name, got, k.want)
		}
	}
}

func valuesOf(t *testing.T, c *checkpoint.Checkpoint) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for _, p := range c.Params {
		v, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		all[p.Name] = v
	}
	return all
}

// renamed are the pictures with another name for the first class.
func renamed(t *testing.T) *data.Source {
	t.Helper()
	dir := t.TempDir()
	if err := demo.Write(t.Context(), files.OS, dir, demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"train", "val"} {
		if err := os.Rename(filepath.Join(dir, part, steptest.Pictures().Classes[0]),
			filepath.Join(dir, part, "aardvark")); err != nil {
			t.Fatal(err)
		}
	}
	return steptest.OpenFolder(t, dir)
}

// twoClasses are pictures of two of the ten classes, in a folder.
func twoClasses(t *testing.T) *data.Source {
	t.Helper()
	dir := t.TempDir()
	if err := demo.Write(t.Context(), files.OS, dir, demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	for _, name := range steptest.Pictures().Classes[2:] {
		for _, part := range []string{"train", "val"} {
			if err := os.RemoveAll(filepath.Join(dir, part, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return steptest.OpenFolder(t, dir)
}

// TestLearns: on two classes of shapes the loss falls well below guessing, and validation agrees.
func TestLearns(t *testing.T) {
	t.Parallel()
	o, l := options(t, "train.epochs=30", "train.batch=12", "train.lr=0.005", "train.schedule.kind=constant",
		"train.augment.color=0", "model.conv1.init.std=0.01", "model.drop2=off", "train.augment.crop=center")
	o.Source = twoClasses(t)
	r := mustRun(t, o)
	losses := l.losses()
	if *r.Loss > .5*math.Ln2 {
		t.Errorf("loss after %d steps is %g, guessing has %g; losses: %.3g", len(losses), *r.Loss, math.Ln2, losses)
	}
	if len(l.epochs) != 30 || r.Epochs != 30 || len(l.start) != 1 || l.start[0].Steps != r.Steps {
		t.Errorf("%d epochs, %d validations, start %+v", r.Epochs, len(l.epochs), l.start)
	}
	if len(r.Warnings) != 0 {
		t.Errorf("warned: %v", r.Warnings)
	}
}

// TestBest: the best checkpoint is the one whose validation was the best, whatever the training loss, and holds the net
// of that moment.
func TestBest(t *testing.T) {
	t.Parallel()
	o, l := options(t, "train.epochs=8", "train.lr=0.02", "train.schedule.kind=constant")
	o.Dir = folder(t)
	r := mustRun(t, o)
	best := 0
	for i, m := range l.epochs {
		b := l.epochs[best]
		if *m.ValTop1Error < *b.ValTop1Error || *m.ValTop1Error == *b.ValTop1Error && *m.ValLoss < *b.ValLoss {
			best = i
		}
	}
	m := l.epochs[best]
	c := load(t, r.BestPath)
	if c.Step != m.Step || c.Best == nil || c.Best.Top1Error != *m.ValTop1Error || len(c.Momentum) != 0 {
		t.Errorf("best checkpoint is of step %d (%+v), the best validation was at step %d", c.Step, c.Best, m.Step)
	}
	s, err := infer.Evaluate(context.Background(), infer.EvalOptions{
		Checkpoint: c, Devices: reference.Open(1), Set: steptest.Pictures().Val,
		Classes: steptest.Pictures().Classes,
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.Images != steptest.Pictures().Val.Len() || s.Top1Error != *m.ValTop1Error || s.Top5Error != *m.ValTop5Error ||
		!steptest.Near(s.Loss, *m.ValLoss) {
		t.Errorf("best checkpoint scores %+v, its validation was top-1 %g, loss %g", s, *m.ValTop1Error, *m.ValLoss)
	}
}

// TestTwoDevices: after 20 steps with dropout and augmentation, columns on two devices are the net that one device
// trains, and what crossed was counted.
func TestTwoDevices(t *testing.T) {
	t.Parallel()
	var weight, momentum [2]map[string][]float32
	for i := range weight {
		// four whole batches an epoch
		o, l := options(t, "train.batch=15", "train.epochs=5", "train.schedule.kind=constant")
		o.Devices = reference.Open(i + 1)
		o.afterStep = func(tr *trainer) {
			if tr.steps.Pass.Step == 20 {
				weight[i] = steptest.TensorsOf(t, tr.model, device.Weight)
				momentum[i] = steptest.TensorsOf(t, tr.model, device.Momentum)
			}
		}
		r := mustRun(t, o)
		if len(r.Memory) != i+1 || !l.noted("memory on reference") {
			t.Errorf("memory of %d devices is %v", i+1, r.Memory)
		}
		if i == 0 {
			continue
		}
		// pool1 (2 x 4 x 7 x 7) crosses both ways before fc2, fc2's 12 units one way before fc3; the gradients come
		// back: fp32, 15 rows.
		want := float64(2 * 15 * 4 * (8*7*7 + 12))
		for _, m := range l.epochs {
			if m.ExchangeBytes == nil || *m.ExchangeBytes != want {
				t.Fatalf("exchange of a step is %v bytes, want %g", m.ExchangeBytes, want)
			}
		}
		if r.ExchangeBytesPerStep != want {
			t.Errorf("exchange of a step is %g bytes, want %g", r.ExchangeBytesPerStep, want)
		}
	}
	for what, pair := range map[string][2]map[string][]float32{"weight": weight, "momentum": momentum} {
		for name, one := range pair[0] {
			if d := steptest.Distance(one, pair[1][name]); !(d <= 1e-4) {
				t.Errorf("%s of %s: one device and two differ by %g of its norm", what, name, d)
			}
		}
	}
}

// TestMetrics: what a run says of its steps and epochs.
func TestMetrics(t *testing.T) {
	t.Parallel()
	o, l := options(t, "train.epochs=2", "train.schedule.kind=steps", "train.schedule.epochs=[1]",
		"train.schedule.factor=0.1")
	o.Dir = folder(t)
	mustRun(t, o)
	for i, m := range l.steps {
		if m.Step != uint64(i+1) || m.Epoch != i/tinySteps+1 {
			t.Errorf("line %d is of step %d in epoch %d", i, m.Step, m.Epoch)
		}
		if want := []float64{.01, .001}[i/tinySteps]; !steptest.Near(*m.LR, want) {
			t.Errorf("step %d: lr %g, want %g", m.Step, *m.LR, want)
		}
		if !(*m.Loss > 0) || *m.Top1Error < 0 || *m.Top1Error > 1 || !(*m.ImagesPerSecond > 0) ||
			!(*m.DataStall >= 0 && *m.DataStall <= 1) {
			t.Errorf("step %d: loss %g, error %g, %g images/s, stall %g", m.Step, *m.Loss, *m.Top1Error,
				*m.ImagesPerSecond, *m.DataStall)
		}
	}
	for i, m := range l.epochs {
		if m.Step != uint64((i+1)*tinySteps) || m.Epoch != i+1 || m.LR != nil || m.ValLoss == nil {
			t.Errorf("validation %d is of step %d, epoch %d: %+v", i, m.Step, m.Epoch, m)
		}
	}
	if want := (Start{Pictures: tinyTrain, Batch: 16, Epochs: 2, StepsPerEpoch: tinySteps, Steps: 2 * tinySteps}); len(
		l.start) != 1 || l.start[0] != want {
		t.Errorf("start %+v, want %+v", l.start, want)
	}
	for _, name := range []string{
		o.Dir.Config(), o.Dir.Metrics(), o.Dir.Curves(), o.Dir.Checkpoint(run.Last),
		o.Dir.Checkpoint(run.Best),
	} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := config.Load(o.Dir.Config(), nil); err != nil {
		t.Errorf("the run's configuration does not load: %v", err)
	}
}

// TestNonFinite poisons a weight between two steps: the run stops in the next step, names what it saw, and leaves the
// last good checkpoint as it was.
func TestNonFinite(t *testing.T) {
	t.Parallel()
	o, l := options(t, "train.checkpoint_steps=2")
	o.Dir = folder(t)
	good := ""
	o.afterStep = func(tr *trainer) {
		if tr.steps.Pass.Step != 3 {
			return
		}
		good = state(t, o.Dir.Checkpoint(run.Last))
		v := make([]float32, tr.arch.Params[0].Len())
		v[0] = float32(math.NaN())
		if err := tr.model.Store(0, device.Weight, v); err != nil {
			t.Error(err)
		}
	}
	_, err := Run(context.Background(), o)
	var stop *Stopped
	if !errors.As(err, &stop) {
		t.Fatal(err)
	}
	var cause *device.NonFiniteError
	if stop.Step != 4 || len(stop.Tensors) == 0 || stop.Checkpoint != o.Dir.Checkpoint(run.Last) ||
		!errors.As(err, &cause) {
		t.Errorf("%+v", stop)
	}
	if len(l.steps) != 3 {
		t.Errorf("%d steps told of, three were good", len(l.steps))
	}
	if stop.Config != o.Dir.Config() || len(stop.Data.Paths) > 0 || stop.LR != .01 {
		t.Errorf("%+v, want the run's configuration, no path of pictures, and its rate", stop)
	}
	for _, part := range []string{"step 4", stop.Tensors[0], stop.Checkpoint} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error %q does not say %s", err, part)
		}
	}
	same(t, "checkpoint", state(t, o.Dir.Checkpoint(run.Last)), good)
}

// TestNonFiniteTwoDevices poisons one half of a parameter, the one on the first device or the one on the second, before
// different steps: the run stops in that step, names the parameter, keeps the last good checkpoint, and both devices
// come to rest.
func TestNonFiniteTwoDevices(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		half, step int // poisoned after so many steps
	}{{0, 1}, {1, 1}, {0, 3}, {1, 5}, {0, 6}, {1, 7}} {
		t.Run(fmt.Sprintf("half %d after step %d", c.half, c.step), func(t *testing.T) {
			t.Parallel()
			o, _ := options(t, "train.checkpoint_steps=1")
			o.Dir, o.Devices = folder(t), reference.Open(2)
			good := ""
			o.afterStep = func(tr *trainer) {
				if tr.steps.Pass.Step != uint64(c.step) {
					return
				}
				if err := tr.saveLast(); err != nil {
					t.Error(err)
				}
				good = state(t, o.Dir.Checkpoint(run.Last))
				// the first half of the kernels is on the first device
				v := steptest.TensorsOf(t, tr.model, device.Weight)["conv1.weight"]
				v[c.half*len(v)/2+1] = float32(math.NaN())
				if err := tr.model.Store(0, device.Weight, v); err != nil {
					t.Error(err)
				}
			}
			_, err := Run(context.Background(), o)
			var stop *Stopped
			if !errors.As(err, &stop) {
				t.Fatal(err)
			}
			if stop.Step != uint64(c.step)+1 || stop.Checkpoint != o.Dir.Checkpoint(run.Last) {
				t.Errorf("%+v", stop)
			}
			if !strings.Contains(strings.Join(stop.Tensors, " "), "conv1.weight") {
				t.Errorf("named %v, poisoned was conv1.weight", stop.Tensors)
			}
			same(t, "checkpoint", state(t, o.Dir.Checkpoint(run.Last)), good)
			for _, d := range o.Devices {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestDiverges: a rate far too high ends in numbers that are not, and nothing of it is written.
func TestDiverges(t *testing.T) {
	t.Parallel()
	o, _ := options(t, "train.lr=1e30")
	o.Dir = folder(t)
	_, err := Run(context.Background(), o)
	var stop *Stopped
	if !errors.As(err, &stop) || stop.Checkpoint != "" {
		t.Fatal(err)
	}
	if _, err := os.Stat(o.Dir.Checkpoint(run.Last)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a checkpoint was written: %v", err)
	}
}

// TestCheckpointFails: when no checkpoint can be written the run goes on, and ends with an error; the one before is
// intact.
func TestCheckpointFails(t *testing.T) {
	t.Parallel()
	o, l := options(t, "train.checkpoint_steps=2")
	o.Dir = folder(t)
	last, good := o.Dir.Checkpoint(run.Last), ""
	o.afterStep = func(tr *trainer) {
		if tr.steps.Pass.Step == 3 { // where the writer's temporary file would be, there is a folder
			good = state(t, last)
			if err := os.Mkdir(filepath.Join(filepath.Dir(last), "."+filepath.Base(last)+".tmp"), 0o777); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := Run(context.Background(), o)
	var unsaved *Unsaved
	if !errors.As(err, &unsaved) || unsaved.Before != 2 || unsaved.Step != uint64(len(l.steps)) ||
		unsaved.Interrupted || !errors.As(err, new(*files.InTheWay)) {
		t.Errorf("after %d steps: error %v", len(l.steps), err)
	}
	same(t, "checkpoint", state(t, last), good)
}

// TestBadPictures: unreadable pictures are named, counted once, and left out; with Strict the first one ends the run.
func TestBadPictures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := demo.Write(t.Context(), files.OS, dir, demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"train", "val"} {
		files, err := filepath.Glob(filepath.Join(dir, part, steptest.Pictures().Classes[0], "*"))
		if err != nil || len(files) == 0 {
			t.Fatal(err, files)
		}
		if err := os.Truncate(files[0], 40); err != nil {
			t.Fatal(err)
		}
	}
	o, l := options(t, "train.epochs=2")
	o.Source = steptest.OpenFolder(t, dir)
	named := map[string]int{}
	o.OnBad = func(b *data.BadPicture) { named[b.Name]++ }
	r := mustRun(t, o)
	if r.Bad != 2 || len(named) != 2 || !l.noted("cannot read picture") {
		t.Errorf("%d bad pictures, named %v, notes %v", r.Bad, named, l.notes)
	}
	for name, n := range named {
		if n != 1 {
			t.Errorf("%s named %d times", name, n)
		}
	}
	if r.Last.Images != 19 {
		t.Errorf("validation over %d pictures, 19 are good", r.Last.Images)
	}

	strict, l := options(t)
	strict.Source, strict.Strict = steptest.OpenFolder(t, dir), true
	var bad *data.BadPicture
	if _, err := Run(context.Background(), strict); !errors.As(err, &bad) {
		t.Errorf("strict: %v", err)
	}
	if len(l.steps) != 0 {
		t.Errorf("strict: %d steps were taken", len(l.steps))
	}
}

// TestDeadStart: a net whose biases switch every hidden unit off stays at guessing, and the run says so once, with
// shares and advice; one that learns is left in peace.
func TestDeadStart(t *testing.T) {
	t.Parallel()
	o, l := options(t, "train.epochs=5", "model.conv1.init.bias=-100", "model.fc2.init.bias=-1",
		"train.schedule.kind=constant")
	o.deadSteps = 16
	r := mustRun(t, o)
	if len(r.Warnings) != 1 || !l.noted("has not begun to learn") || !l.noted("conv1 100%, fc2 100%") {
		t.Fatalf("warnings %q, notes %q", r.Warnings, l.notes)
	}
	dead, is := r.Warnings[0].(*DeadStart)
	if !is || !strings.Contains(tries(dead), "model.conv1.init.bias=0.1") {
		t.Errorf("warnings %q", r.Warnings)
	}
	if r.Steps != 5*tinySteps {
		t.Errorf("stopped after %d steps", r.Steps)
	}

	o, l = options(t, "train.epochs=12", "train.batch=12", "train.lr=0.01", "train.schedule.kind=constant",
		"train.augment.color=0", "model.drop2=off", "train.augment.crop=center")
	o.Source, o.deadSteps = twoClasses(t), 12
	if r := mustRun(t, o); len(r.Warnings) != 0 {
		t.Errorf("a healthy net is warned of: %q; losses %.3g", r.Warnings, l.losses())
	}
}

// TestDeadWindow: the window is an epoch within bounds, no longer than the run; shorter runs are not judged, and a
// resumed run keeps its window and what it has seen.
func TestDeadWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		epoch, first, end, asked uint64
		want                     deadState
	}{
		{1, 0, 10, 0, deadState{}},
		{1, 0, 90, 0, deadState{From: 68, To: 90}},
		{1, 0, 5000, 0, deadState{From: 150, To: 200}},
		{10000, 0, 900000, 0, deadState{From: 1500, To: 2000}},
		{1, 1000, 1060, 0, deadState{From: 1045, To: 1060}},
		{1, 10, 5, 0, deadState{}},
		{1, 0, 10, 8, deadState{From: 6, To: 8}},
	} {
		var d deadState
		if d.setWindow(c.epoch, c.first, c.end, c.asked); d != c.want {
			t.Errorf("epochs of %d steps, from %d to %d: %+v, want %+v", c.epoch, c.first, c.end, d, c.want)
		}
	}
	d := deadState{From: 150, To: 200, Sum: 7, Steps: 3}
	if d.setWindow(1, 153, 5000, 0); d != (deadState{From: 150, To: 200, Sum: 7, Steps: 3}) {
		t.Errorf("a resumed run judges anew: %+v", d)
	}
}

// TestDeadStartResumed: a run that is interrupted inside the window is judged when it goes on, over all of the window.
func TestDeadStartResumed(t *testing.T) {
	t.Parallel()
	sets := []string{
		"train.epochs=12", "model.conv1.init.bias=-100", "model.fc2.init.bias=-1", "train.schedule.kind=constant",
	}
	whole, _ := options(t, sets...) // 48 steps: judged over the last 12
	want := mustRun(t, whole).Warnings
	if len(want) != 1 {
		t.Fatalf("warnings %q", want)
	}
	o, l := options(t, sets...)
	o.Dir = folder(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l.onStep = func(m report.Metrics) {
		if m.Step == 41 {
			cancel()
		}
	}
	_, err := Run(ctx, o)
	var stop *Interrupted
	if !errors.As(err, &stop) {
		t.Fatal(err)
	}
	again, _ := options(t, sets...)
	again.Dir, again.Resume = o.Dir, load(t, stop.Checkpoint)
	if got := mustRun(t, again).Warnings; !reflect.DeepEqual(got, want) {
		t.Errorf("warnings %q, want %q", got, want)
	}
}

// TestHighLoss: a loss far above guessing for 50 steps is told once in a run, resumes included, and the dead start that
// it is as well is not told too. Where that was told first, nothing is told again.
func TestHighLoss(t *testing.T) {
	t.Parallel()
	sets := []string{
		"train.epochs=20", "model.fc3.init.std=9", "train.lr=0.000001", "train.schedule.kind=constant",
	}
	o, _ := options(t, sets...) // 80 steps, of which the last 20 would be judged
	o.Suits = "small"
	r := mustRun(t, o)
	if len(r.Warnings) != 1 {
		t.Fatalf("warnings %q", r.Warnings)
	}
	h, is := r.Warnings[0].(HighLoss)
	if want := (HighLoss{
		Loss: h.Loss, Guessing: math.Log(10), From: 1, To: 50, LR: 1e-7, Lower: true, Suits: "small",
	}); !is || h.Loss < 2*h.Guessing || math.Abs(h.LR-want.LR) > 1e-12 {
		t.Errorf("warned of %+v, want %+v", h, want)
	}

	for _, cut := range []uint64{30, 60} {
		o, l := options(t, sets...)
		o.Dir = folder(t)
		ctx, cancel := context.WithCancel(t.Context())
		l.onStep = func(m report.Metrics) {
			if m.Step == cut {
				cancel()
			}
		}
		if _, err := Run(ctx, o); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		cancel()
		before := l.noted("twice that of guessing")
		again, _ := options(t, sets...)
		again.Dir, again.Resume = o.Dir, load(t, o.Dir.Checkpoint(run.Last))
		if after := len(mustRun(t, again).Warnings); before != (cut > 50) || (after == 1) == before || after > 1 {
			t.Errorf("cut off after step %d: told before: %v, %d warnings after", cut, before, after)
		}
	}

	o, _ = options(t, sets...)
	o.deadSteps = 40
	r = mustRun(t, o)
	if _, is := r.Warnings[0].(*DeadStart); !is || len(r.Warnings) != 1 {
		t.Errorf("a dead start before: %q", r.Warnings)
	}
}

// TestHighSteps: 50 in a row, of those that have a loss.
func TestHighSteps(t *testing.T) {
	t.Parallel()
	var h highState
	told := 0
	step := func(n int, good bool, loss float64) {
		for range n {
			if h.add(good, loss, 1) {
				told++
			}
		}
	}
	step(49, true, 2.1)
	step(1, true, 2) // twice is not above
	step(49, true, 9)
	step(10, false, 0)
	if told != 0 || h != 49 {
		t.Errorf("told %d times after %d", told, h)
	}
	step(1, true, 9)
	step(10, true, 1)
	step(100, true, 9)
	if told != 1 || h != highSteps {
		t.Errorf("told %d times, at %d", told, h)
	}
}

// TestDeadAdvice: what is off as a whole comes first; where all is alive and nothing moves the rate is too low; numbers
// are plain.
func TestDeadAdvice(t *testing.T) {
	t.Parallel()
	early := deadState{From: 68, To: 90, Sum: 22, Steps: 22}
	if text := deadStart(&early, 1, nil, .01, .01, .01).String(); !strings.Contains(text, "(90 steps are few") {
		t.Errorf("a short run is told %q", text)
	}
	flat := deadState{From: 150, To: 200, Sum: 100 * 50, Steps: 50}
	conv := deadUnits{layer: "conv1", share: 0, init: config.Init{Std: .01}}
	off := deadUnits{layer: "fc6", share: 1, init: config.Init{Std: .01, Bias: 1}, fc: true}
	for _, c := range []struct {
		what  string
		level float64
		dead  []deadUnits
		lr    float64
		says  string
		want  string  // the tries
		now   float64 // the rate; 0: lr
		own   float64 // the page's; 0: far above
	}{
		{
			"alive and flat", 100,
			[]deadUnits{conv},
			1e-5,
			"100 over steps 151 to 200, no better than guessing (100)", "train.lr=0.0001", 0, 0,
		},
		{"alive and flat, lowered", 100, []deadUnits{conv}, 1e-5, "", "train.lr=0.0001", 1e-8, 0},
		{"above guessing", 50, []deadUnits{conv}, 1000, "conv1 0%", "train.lr=100", 0, 0},
		{"above guessing, lowered a little", 50, []deadUnits{conv}, 1000, "", "train.lr=100", 500, 0},
		{"above guessing at a tenth of the rate", 50, []deadUnits{conv}, .1, "", "", .1 * .1, 0},
		{"alive and flat, near the page's rate", 100, []deadUnits{conv}, .002, "", "train.lr=0.005", 0, .005},
		{"alive and flat at the page's rate", 100, []deadUnits{conv}, .005, "", "train.lr=0.0005", 0, .005},
		{"alive and flat above it", 100, []deadUnits{conv}, .02, "", "train.lr=0.002", 0, .005},
		{"alive and flat far above it", 100, []deadUnits{conv}, .1, "", "train.lr=0.005", 0, .005},
		{"alive and flat above it, lowered to it", 100, []deadUnits{conv}, .1, "", "", .005, .005},
		{"above guessing, far above it", 50, []deadUnits{conv}, .1, "", "train.lr=0.005", 0, .005},
		{
			"above guessing, a layer off", 50,
			[]deadUnits{conv, off},
			50,
			"fc6 100%", "train.lr=5 | model.fc6.init.bias=0.1 model.fc6.init.std=0.005", 0, 0,
		},
		{
			"a layer off", 100,
			[]deadUnits{conv, off},
			.01,
			"fc6 100%", "model.fc6.init.bias=0.1 model.fc6.init.std=0.005 | train.lr=0.001", 0, 0,
		},
		{
			"a layer off, lowered", 100,
			[]deadUnits{conv, off},
			.01,
			"fc6 100%", "model.fc6.init.bias=0.1 model.fc6.init.std=0.005", 1e-5, 0,
		},
	} {
		dead := deadStart(&flat, c.level, c.dead, c.lr, cmp.Or(c.now, c.lr), cmp.Or(c.own, math.Inf(1)))
		if text := dead.String(); !strings.Contains(text, c.says) {
			t.Errorf("%s: %q does not say %q", c.what, text, c.says)
		}
		if got := tries(dead); got != c.want {
			t.Errorf("%s: tries %s, want %s", c.what, got, c.want)
		}
	}
}

// tries are a warning's: "train.lr=5 | model.conv1.init.bias=0.1 model.fc6.init.std=0.005".
func tries(d *DeadStart) string {
	var all []string
	for _, changes := range d.Try {
		all = append(all, strings.Trim(fmt.Sprint(changes), "[]"))
	}
	return strings.Join(all, " | ")
}

// TestColorOff: authors2012 switches the colour noise off at epoch 68, and freezes the first layer at 72.
func TestColorOff(t *testing.T) {
	t.Parallel()
	o, _ := options(t, "train.epochs=74", "train.batch=60", "train.schedule.kind=authors2012")
	colored, moved := map[bool][]int{}, map[int]bool{}
	var before float32
	o.afterStep = func(tr *trainer) {
		epoch := tr.history.Validated
		colored[tr.colored] = append(colored[tr.colored], epoch)
		w := steptest.TensorsOf(t, tr.model, device.Weight)["conv1.weight"][0]
		moved[epoch] = w != before
		before = w
	}
	mustRun(t, o)
	if n := len(colored[true]); n != 68 || len(colored[false]) != 6 {
		t.Errorf("colour noise in %d epochs, then none in %d; want 68 and 6", n, len(colored[false]))
	}
	if !moved[71] || moved[72] || moved[73] {
		t.Errorf("conv1 moved in epochs 71, 72, 73: %v %v %v; want it frozen at 72", moved[71], moved[72], moved[73])
	}
}

// TestNoValidation: without validation pictures there is nothing to choose by, and plateau has nothing to follow.
func TestNoValidation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := demo.Write(t.Context(), files.OS, dir, demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "val")); err != nil {
		t.Fatal(err)
	}
	o, l := options(t, "train.schedule.kind=constant", "train.epochs=1")
	o.Source, o.Dir = steptest.OpenFolder(t, dir), folder(t)
	r := mustRun(t, o)
	if !l.noted("no validation pictures") {
		t.Errorf("notes %q", l.notes)
	}
	if r.Last != nil || r.Best != nil || r.BestPath != "" || r.LastPath == "" {
		t.Errorf("%+v", r)
	}
	if lines := timeless(t, o.Dir); len(lines) != tinySteps+1 {
		t.Errorf("%d lines of metrics, want one a step and one of the epoch", len(lines))
	}
	o, l = options(t)
	o.Source = steptest.OpenFolder(t, dir)
	r = mustRun(t, o)
	if r.Epochs != 3 || !l.noted("schedule plateau follows the validation error") {
		t.Errorf("plateau without validation: %+v, notes %q", r, l.notes)
	}
	if !slices.Contains(l.notes, Note(NoValidation{Share: .09})) { // half a picture of six
		t.Errorf("notes %q", l.notes)
	}
}

// TestInputTooLarge: a net's input that cannot be cut out of the pictures is a mistake in the configuration.
func TestInputTooLarge(t *testing.T) {
	t.Parallel()
	o, _ := options(t, "data.resize=0", "model.input.size=20")
	var usage *config.Error
	if _, err := Run(context.Background(), o); !errors.As(err, &usage) {
		t.Error(err)
	}
}

// TestStartTells: what went wrong at the start is told, also where the context ended meanwhile; only an error that is
// the context's own is an interruption.
func TestStartTells(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancelCause(context.Background())
	end(errors.New("a signal"))
	o, _ := options(t)
	o.Resume = &checkpoint.Checkpoint{Seed: 2}
	if _, err := Run(ended, o); !errors.As(err, new(*config.Error)) {
		t.Errorf("another seed: %v", err)
	}

	dir := t.TempDir()
	if err := demo.Write(t.Context(), files.OS, dir, demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "train", steptest.Pictures().Classes[0], "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	if err := os.Truncate(files[0], 40); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o, _ = options(t)
	o.Source, o.Strict, o.OnBad = steptest.OpenFolder(t, dir), true, func(*data.BadPicture) { cancel() }
	if _, err := Run(ctx, o); !errors.As(err, new(*data.BadPicture)) {
		t.Errorf("an unreadable picture: %v", err)
	}

	o, _ = options(t)
	if _, err := Run(ended, o); !errors.Is(err, ErrInterrupted) {
		t.Errorf("nothing went wrong: %v", err)
	}

	stopped, full := fmt.Errorf("measuring: %w", context.Canceled), errors.New("no space left")
	for _, c := range []struct {
		err  error
		only bool
	}{
		{nil, false},
		{stopped, true},
		{full, false},
		{errors.Join(stopped, nil), true},
		{errors.Join(stopped, context.Canceled), true},
		{errors.Join(stopped, full), false},
		{fmt.Errorf("closing: %w", errors.Join(full, stopped)), false},
		{fmt.Errorf("%w: %w", stopped, full), false},
	} {
		if got := endedBy(ended, c.err); got != c.only {
			t.Errorf("the context's end and nothing else in %v: %t", c.err, got)
		}
		if endedBy(context.Background(), c.err) {
			t.Errorf("%v is the end of a context that has not ended", c.err)
		}
	}
}

// TestResumeLetsGo: a resumed run does not keep the checkpoint open that it came from: once that is replaced its room
// on the disk is free.
func TestResumeLetsGo(t *testing.T) {
	t.Parallel()
	const open = "/proc/self/fd"
	if _, err := os.Stat(open); err != nil {
		t.Skip(err)
	}
	o, _ := options(t, "train.checkpoint_steps=1")
	o.Dir, o.Steps = folder(t), 1
	c := load(t, mustRun(t, o).LastPath)
	o.Steps, o.Resume = 3, c
	path, looked := filepath.Dir(c.Path), false
	o.afterStep = func(*trainer) {
		looked = true
		all, err := os.ReadDir(open)
		if err != nil {
			t.Error(err)
		}
		for _, f := range all {
			if name, _ := os.Readlink(filepath.Join(open, f.Name())); strings.HasPrefix(name, path) {
				t.Errorf("%s is open", name)
			}
		}
	}
	mustRun(t, o)
	if !looked {
		t.Error("no step was taken")
	}
	if err := c.Close(); err != nil {
		t.Errorf("closed again by who opened it: %v", err)
	}
}

// TestInterruptedEarly: a run interrupted before its first step leaves nothing behind.
func TestInterruptedEarly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	o, _ := options(t)
	if _, err := Run(ctx, o); !errors.Is(err, ErrInterrupted) {
		t.Error(err)
	}
}

// TestPhases: what may take long is told of before it begins, and when it is over.
func TestPhases(t *testing.T) {
	o, l := options(t, "train.epochs=1")
	o.Dir = folder(t)
	mustRun(t, o)
	for _, what := range []string{
		"mean image", "compiling the net", "drawing the weights", "validating", "writing a checkpoint",
		"drawing the curves",
	} {
		at := slices.Index(l.phases, what)
		if at < 0 || at+1 >= len(l.phases) || l.phases[at+1] != "" {
			t.Errorf("%s: not in %q, or without an end", what, l.phases)
		}
	}
}

// TestKeptStatistics: a run that takes mean and colours from an earlier one, and one on a sample that is all of the
// pictures, are the same to the bit.
func TestKeptStatistics(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shapes")
	if err := demo.Write(t.Context(), files.OS, dir, demo.Options{Train: 3, Val: 1, Size: 16}); err != nil {
		t.Fatal(err)
	}
	keep := &data.StatsFolder{FS: files.OS, Path: t.TempDir()}
	train := func(keep *data.StatsFolder, sets ...string) (string, *log) {
		o, l := options(t, append(sets, "train.epochs=1")...)
		source, err := data.Open(t.Context(), files.OS, data.At(dir), 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		o.Dir, o.Source, o.Keep = folder(t), source, keep
		return state(t, mustRun(t, o).LastPath), l
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return cmp.Or(err, os.Chtimes(path, time.Unix(1e9, 0), time.Unix(1e9, 0)))
	})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := train(nil)
	for n, c := range []struct{ set, note string }{
		{"data.mean_pictures=0", ""},
		{"data.mean_pictures=0", "mean image of 30 training pictures: as an earlier run computed it, kept in "},
		{"data.mean_pictures=99", "mean image of 30 training pictures: as an earlier run computed it, kept in "},
	} {
		got, l := train(keep, c.set)
		same(t, c.set, got, want)
		if c.note == "" && l.noted("mean image") || !l.noted(c.note) {
			t.Errorf("run %d: notes %v", n, l.notes)
		}
	}
	if got, l := train(keep, "data.mean_pictures=10"); got == want ||
		!l.noted("mean image of 10 training pictures of 30 (data.mean_pictures)") {
		t.Errorf("a sample: notes %v", l.notes)
	}
}
