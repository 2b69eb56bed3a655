package report

import (
	"encoding/json"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func ptr(v float64) *float64 { return &v }

// step is a step's line whose loss is its number, at 64 pictures a second.
func stepLine(n, epoch int) Metrics {
	return Metrics{
		Step: uint64(n), Epoch: epoch, Loss: ptr(float64(n)), LR: ptr(.01), ImagesPerSecond: ptr(64),
		DataStall: ptr(.25),
	}
}

func TestOverview(t *testing.T) {
	o := NewOverview(32) // half a second a step
	for epoch := range 3 {
		for i := range 10 {
			m := stepLine(10*epoch+i+1, epoch+1)
			o.Add(&m)
		}
		o.Add(&Metrics{
			Step: uint64(10 * (epoch + 1)), Epoch: epoch + 1, ValLoss: ptr(2), ValTop1Error: ptr(.5),
			ExchangeBytes: ptr(100), ExchangeSeconds: ptr(.125), ExchangeWay: "peer",
		})
	}
	for i := 31; i <= 35; i++ {
		m := stepLine(i, 4)
		o.Add(&m)
	}
	if o.Seconds != 17.5 || o.Stalled != 17.5/4 || o.Exchanged != 3.75 || o.ExchangedBytes != 3000 {
		t.Errorf("%g s, %g s of them stalled, %g s exchange of %g bytes", o.Seconds, o.Stalled, o.Exchanged,
			o.ExchangedBytes)
	}
	if o.Step != 35 || o.Epoch != 4 || o.ExchangeWay != "peer" {
		t.Errorf("the end is step %d of epoch %d, exchange %q", o.Step, o.Epoch, o.ExchangeWay)
	}
	c := o.Epochs.Curve(ValTop1Error)
	if !slices.Equal(c.Step, []float64{10, 20, 30}) || !slices.Equal(c.Seconds, []float64{5, 10, 15}) ||
		!slices.Equal(c.Mean, []float64{.5, .5, .5}) {
		t.Errorf("validation is %v", c)
	}
	if got := o.EpochsAt([]float64{0, 5, 10, 35}); !slices.Equal(got, []float64{0, .5, 1, 3.5}) {
		t.Errorf("epochs are %v", got)
	}
	if got := NewOverview(1).EpochsAt([]float64{1}); got != nil {
		t.Errorf("without an epoch's end they are %v", got)
	}
	if c := o.Steps.Curve(ValLoss); len(c.Mean) != 0 {
		t.Errorf("steps have a validation loss: %v", c)
	}
}

// TestBins: whatever the number of lines, bins hold all of them, few enough, and know their extremes.
func TestBins(t *testing.T) {
	for _, n := range []int{1, MostBins, MostBins + 1, 2*MostBins + 1, 10*MostBins + 7} {
		o := NewOverview(64)
		for i := 1; i <= n; i++ {
			m := stepLine(i, 1)
			o.Add(&m)
		}
		c, each := o.Steps.Curve(Loss), o.Steps.Each()
		if bins := len(c.Mean); bins > MostBins || bins != (n+each-1)/each || n > MostBins && bins < MostBins/2 {
			t.Errorf("%d lines: %d bins of %d lines", n, bins, each)
		}
		for i := range c.Mean {
			low, high := float64(i*each+1), float64(min((i+1)*each, n))
			if c.Min[i] != low || c.Max[i] != high || c.Mean[i] != (low+high)/2 || c.Step[i] != (low+high)/2 ||
				math.Abs(c.Seconds[i]-c.Step[i]) > 1e-9*c.Step[i] {
				t.Fatalf("%d lines, bin %d of %d: %g to %g, mean %g at %g, %g s", n, i, each, c.Min[i], c.Max[i],
					c.Mean[i], c.Step[i], c.Seconds[i])
			}
		}
	}
}

// TestOverviewDamage: a torn end is left out, damage in the middle ends it with what was there before.
func TestOverviewDamage(t *testing.T) {
	const line = `{"step":1,"epoch":1,"loss":2,"lr":0.1}` + "\n"
	o := NewOverview(1)
	if err := o.Read(strings.NewReader(line + `{"step":2,"ep`)); err != nil || o.Step != 1 {
		t.Errorf("torn: step %d, %v", o.Step, err)
	}
	o = NewOverview(1)
	err := o.Read(strings.NewReader(line + "{]\n" + strings.Replace(line, "1", "3", 1)))
	if err == nil || !strings.Contains(err.Error(), "line 2") || o.Step != 1 {
		t.Errorf("damaged: step %d, %v", o.Step, err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	o = NewOverview(1)
	hole := io.LimitReader(zeros{}, 64<<20)
	if err := o.Read(io.MultiReader(strings.NewReader(line), hole)); err != nil || o.Step != 1 {
		t.Errorf("an endless line at the end: step %d, %v", o.Step, err)
	}
	o = NewOverview(1)
	hole = io.LimitReader(zeros{}, 64<<20)
	err = o.Read(io.MultiReader(strings.NewReader(line), hole, strings.NewReader("\n"+line)))
	if err == nil || !strings.Contains(err.Error(), "line 2 is longer than") || o.Step != 1 {
		t.Errorf("an endless line: step %d, %v", o.Step, err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("a line of 64 MiB takes %d bytes", took)
	}
}

// zeros is a file without end, as a hole in one reads.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestOverviewMemory: 200,000 lines leave behind no more than some MB.
func TestOverviewMemory(t *testing.T) {
	r, w := io.Pipe()
	go func() {
		out := json.NewEncoder(w)
		for i := range 200_000 {
			if out.Encode(stepLine(i+1, 1+i/10_000)) != nil {
				return
			}
		}
		w.Close()
	}()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	o := NewOverview(64)
	if err := o.Read(r); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 4<<20 || o.Step != 200_000 {
		t.Errorf("%d bytes are kept of %d steps", kept, o.Step)
	}
	runtime.KeepAlive(o)
}
