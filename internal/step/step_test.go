package step

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
	"alexnet/internal/reference"
	"alexnet/internal/step/steptest"
)

// rows feeds one batch of grey pictures, each of its own brightness, with these labels.
type rows struct {
	slots  data.Slots
	labels []int32
}

func (f rows) Next() (data.Info, error) {
	info := data.Info{Rows: len(f.labels), Slot: 1, Batch: f.slots.Rows(1)}
	dst := info.Batch
	size := len(dst.Pixels) / len(dst.Labels)
	for i, l := range f.labels {
		for k := range size {
			dst.Pixels[i*size+k] = uint8(20*l) + uint8(k%7)
		}
		dst.Labels[i], dst.Crop[i], dst.Flip[i], dst.Color[i] = l, [2]int32{}, false, [3]float32{}
		if l >= 0 {
			info.Good++
		}
	}
	return info, nil
}

// opened is the small net on one device, ready to train without dropout, and a stepper that feeds it with these labels.
func opened(t *testing.T, batch int, labels []int32) (*model.Model, *Stepper) {
	t.Helper()
	cfg := steptest.Page(t, "train.dropout=false")
	arch, err := model.Of(cfg, 10)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(arch, reference.Open(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	net, err := m.Compile(model.Options{
		Rows: batch, Train: true, Input: recipe.Recipe{Height: 16, Width: 16, Mean: []float32{128, 128, 128}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { net.Close() })
	if err := net.Alloc(); err != nil {
		t.Fatal(err)
	}
	if err := m.Init(cfg.Train.Seed); err != nil {
		t.Fatal(err)
	}
	return m, New(net, rows{Slots{net}, labels}, batch)
}

// TestMeanOverGood: a batch with unreadable pictures gives the gradient and the loss of the batch without them.
func TestMeanOverGood(t *testing.T) {
	t.Parallel()
	var grads [2]map[string][]float32
	var losses [2]float64
	for i, labels := range [][]int32{{3, -1, 5, -1}, {3, 5}} {
		m, s := opened(t, 4, labels)
		if _, err := s.Step(); err != nil {
			t.Fatal(err)
		}
		last, err := s.Drain()
		if err != nil {
			t.Fatal(err)
		}
		grads[i], losses[i] = steptest.TensorsOf(t, m, device.Gradient), last.Score.Loss
	}
	for name, g := range grads[1] {
		if d := steptest.Distance(g, grads[0][name]); !(d <= 1e-5) {
			t.Errorf("gradient of %s is off by %g of its norm", name, d)
		}
	}
	if !steptest.Near(losses[0], losses[1]) {
		t.Errorf("loss %g, want %g", losses[0], losses[1])
	}
}

// turns feeds batches with these labels, one after the other.
type turns struct {
	slots data.Slots
	all   [][]int32
	next  int
	first uint64
}

func (f *turns) Next() (data.Info, error) {
	info, err := rows{f.slots, f.all[f.next%len(f.all)]}.Next()
	info.First, info.Wait = f.first, time.Second
	f.next, f.first = f.next+1, f.first+uint64(info.Rows)
	return info, err
}

// TestNoStepWithoutPictures: a batch of which nothing can be read is passed over. Steps, weights and momentum are those
// of a run that never met it; only the samples have moved on.
func TestNoStepWithoutPictures(t *testing.T) {
	t.Parallel()
	none := []int32{-1, -1, -1, -1}
	var want map[device.Part]map[string][]float32
	for n, batches := range [][][]int32{
		{{3, 1, 5, 2}, {2, -1, 4, 0}},
		{none, {3, 1, 5, 2}, none, none, {2, -1, 4, 0}, none},
	} {
		m, s := opened(t, 4, none)
		s.Feed = &turns{slots: s.Feed.(rows).slots, all: batches}
		params := len(m.Arch().Params)
		s.Pass.Momentum = .9
		s.Pass.LR, s.Pass.Decay = slices.Repeat([]float32{.1}, params), slices.Repeat([]float32{.1}, params)
		taken, skipped := 0, 0
		count := func(k *Taken, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			if k != nil {
				if taken++; k.Step != uint64(taken) || k.Good == 0 {
					t.Errorf("step %d is %+v", taken, k)
				}
			}
		}
		for range batches {
			count(s.Step())
			skipped += s.Skipped
		}
		count(s.Drain())
		empty := len(batches) - 2
		if taken != 2 || s.Pass.Step != 2 || s.Passed != uint64(empty) || skipped != 4*empty ||
			s.Next != uint64(4*len(batches)) {
			t.Errorf("%d steps, %d pictures passed over, next sample %d", taken, skipped, s.Next)
		}
		got := map[device.Part]map[string][]float32{}
		for _, part := range []device.Part{device.Weight, device.Momentum} {
			got[part] = steptest.TensorsOf(t, m, part)
		}
		if n == 0 {
			want = got
		} else if !reflect.DeepEqual(got, want) {
			t.Error("weights or momentum differ from those of the run that met no such batch")
		}
	}
}

// ticket is a Fetch that takes its time.
type ticket time.Duration

func (w ticket) Wait() error { time.Sleep(time.Duration(w)); return nil }

// TestStall: waiting for pictures counts only while the devices have nothing to do.
func TestStall(t *testing.T) {
	t.Parallel()
	s := &Stepper{landed: time.Now()}
	fly := func(w time.Duration) *flight { return &flight{ticket: ticket(w)} }
	for _, c := range []struct {
		flight *flight
		want   float64 // of 3 s of waiting
	}{
		{nil, 0},                // nothing in flight: counted with the step that comes
		{fly(0), 6},             // the devices were done: a stall, and the one before the first step
		{fly(5 * stillBusy), 0}, // they were still at work
		{fly(0), 3},
	} {
		got, err := s.land(c.flight, 3*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if got != nil && got.Stall != c.want {
			t.Errorf("stall of %g s, want %g", got.Stall, c.want)
		}
	}
}
