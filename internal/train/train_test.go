package train

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"alexnet/internal/checkpoint"
	"alexnet/internal/files"
	"alexnet/internal/reference"
	"alexnet/internal/report"
	"alexnet/internal/run"
	"alexnet/internal/step/steptest"
	"alexnet/internal/tensor"
)

// TestMain looks for goroutines that are left: loaders have workers.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a run of steptest.Page on steptest.Pictures has.
const (
	tinyTrain = 60
	tinySteps = 4 // an epoch
)

// log is a Progress that remembers.
type log struct {
	start  []Start
	steps  []report.Metrics
	epochs []report.Metrics
	mu     sync.Mutex // of notes and phases
	notes  []Note
	phases []string
	onStep func(report.Metrics)
}

func (l *log) Start(s Start) { l.start = append(l.start, s) }
func (l *log) Step(m report.Metrics) {
	l.steps = append(l.steps, m)
	if l.onStep != nil {
		l.onStep(m)
	}
}
func (l *log) Epoch(m report.Metrics) { l.epochs = append(l.epochs, m) }
func (l *log) Note(n Note) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, n)
}

func (l *log) Phase(p Phase) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.phases); n == 0 || l.phases[n-1] != p.What {
		l.phases = append(l.phases, p.What)
	}
}

func (l *log) losses() []float64 {
	var all []float64
	for _, m := range l.steps {
		all = append(all, *m.Loss)
	}
	return all
}

func (l *log) noted(part string) bool {
	return slices.ContainsFunc(l.notes, func(n Note) bool { return strings.Contains(n.String(), part) })
}

func options(t testing.TB, sets ...string) (Options, *log) {
	t.Helper()
	l := &log{}
	return Options{
		Config: steptest.Page(t, sets...), Devices: reference.Open(1), Source: steptest.Pictures(), Progress: l,
	}, l
}

func folder(t testing.TB) *run.Dir {
	t.Helper()
	d, err := run.Create(files.OS, filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func load(t testing.TB, path string) *checkpoint.Checkpoint {
	t.Helper()
	c, err := checkpoint.Load(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func mustRun(t testing.TB, o Options) *Result {
	t.Helper()
	r, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// state is all that a checkpoint has to say about where a run is: every bit of weights and momentum, the cursor,
// schedule and best.
func state(t testing.TB, path string) string {
	t.Helper()
	c := load(t, path)
	s := fmt.Sprintf("step %d sample %d epoch %d schedule %s", c.Step, c.Sample, c.Epoch, c.Schedule)
	if c.Best != nil {
		s += fmt.Sprintf(" best %v", *c.Best)
	}
	for _, part := range [][]tensor.Tensor{c.Params, c.Momentum} {
		for _, p := range part {
			v, err := p.Values()
			if err != nil {
				t.Fatal(err)
			}
			s += fmt.Sprintf("\n%s %x", p.Name, v)
		}
	}
	return s
}

// same compares two states without printing thousands of numbers.
func same(t testing.TB, what, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	if len(g) != len(w) {
		t.Errorf("%s: %d tensors, want %d", what, len(g)-1, len(w)-1)
		return
	}
	for i := range g {
		if g[i] != w[i] {
			t.Errorf("%s: differs: %.300s\nwant: %.300s", what, g[i], w[i])
			return
		}
	}
}
