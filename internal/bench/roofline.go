package bench

import (
	"sync"
	"time"

	"alexnet/internal/device"
	"alexnet/internal/model"
)

// Roofline is how near a step comes to what the devices do at most: see Williams, Waterman and Patterson, "Roofline: an
// insightful visual performance model for multicore architectures", 2009. A layer cannot take less time than its
// operations do at the peak, nor than its bytes do at the bandwidth.
type Roofline struct {
	Instructions  string  `json:"instructions"` // of the peak: "AVX-512"
	PeakGFLOPS    float64 `json:"peak_gflops"`  // multiply-adds in registers, on all devices together
	Bandwidth     float64 `json:"bandwidth_gb_per_second"`
	Ridge         float64 `json:"ridge_flop_per_byte"` // layers of fewer operations a byte are bound by memory
	StepGFLOP     float64 `json:"step_gflop"`
	StepGFLOPS    float64 `json:"step_gflops"` // of the steps that were not taken apart
	StepPeakShare float64 `json:"step_share_of_peak"`
	// of the sum of the rows, if each that is below its roof ran at it
	LeastMS     float64  `json:"least_milliseconds_per_step"`
	MemoryBound []string `json:"memory_bound"` // layers: "fc6", or "fc6 forward" where backward is not
}

// Roof is the least that a layer does in one direction, and how near it comes to the least time. Operations are those
// of the direct algorithm, padding included: a layer may pass the peak where Winograd's algorithm does fewer, or where
// kernels leave out those with the zeros of the padding (a tenth of the paper's conv3).
type Roof struct {
	// each weight, value and gradient read or written once, in the precision of the net
	Bytes           int64   `json:"bytes"`
	Intensity       float64 `json:"flop_per_byte,omitempty"`       // operations a byte
	PeakShare       float64 `json:"share_of_peak,omitempty"`       // of GFLOP/s
	Attainable      float64 `json:"attainable_gflops,omitempty"`   // the lower of the peak and what the bytes allow
	LeastMS         float64 `json:"least_ms"`                      // at attainable, or of the bytes alone
	AttainableShare float64 `json:"share_of_attainable,omitempty"` // least_ms of the time measured
	Bound           string  `json:"bound"`                         // compute or memory
}

// speed is what devices do at most, together.
type speed struct {
	instructions string
	flops, bytes float64 // a second
}

// probeTime is how long each of the two is measured; of that, the best piece counts, for others may use the machine.
const probeTime = 400 * time.Millisecond

// measure probes the devices, all at once; nil where one of them has no probe.
func measure(devs []device.Device, p device.Precision) (*speed, error) {
	var probes []device.Probe
	defer func() {
		for _, p := range probes {
			p.Close()
		}
	}()
	for _, d := range devs {
		able, ok := d.(device.Prober)
		if !ok {
			return nil, nil
		}
		probe, err := able.Probe(p)
		if err != nil {
			return nil, err
		}
		probes = append(probes, probe)
	}
	if len(probes) == 0 {
		return nil, nil
	}
	return &speed{
		probes[0].Instructions(), fastest(probes, device.Probe.Multiply), fastest(probes, device.Probe.Triad),
	}, nil
}

// fastest is the amount a second that all probes do side by side.
func fastest(probes []device.Probe, work func(device.Probe) float64) (best float64) {
	amounts := make([]float64, len(probes))
	for begun := time.Now(); time.Since(begun) < probeTime; {
		start := time.Now()
		var all sync.WaitGroup
		for i, p := range probes {
			all.Go(func() { amounts[i] = work(p) })
		}
		all.Wait()
		sum := 0.
		for _, a := range amounts {
			sum += a
		}
		best = max(best, sum/time.Since(start).Seconds())
	}
	return best
}

// roof is what so many operations and bytes take at least, and how much of the time measured that is.
func (v *speed) roof(flop, bytes, ms float64) *Roof {
	if flop+bytes == 0 {
		return nil
	}
	compute, memory := 1000*flop/v.flops, 1000*bytes/v.bytes // ms
	r := &Roof{Bytes: int64(bytes), LeastMS: max(compute, memory), Bound: "compute"}
	if memory > compute {
		r.Bound = "memory"
	}
	if ms > 0 {
		r.PeakShare, r.AttainableShare = compute/ms, r.LeastMS/ms
	}
	if flop > 0 {
		r.Attainable = rate(1e-9*flop, r.LeastMS)
		if bytes > 0 {
			r.Intensity = flop / bytes
		}
	}
	return r
}

// ---- the least bytes

// traffic is what a layer, or an exchange, reads and writes, in bytes of a batch.
type traffic struct{ forward, backward, out float64 } // out: its value alone

// full is the size of a number in gradients of weights, momentum, and weights where they are updated.
const full = 4

// layerTraffic counts values and weights once where they are read and once where they are written, in numbers of so
// many bytes; int8 weights are a byte each, their scales and the biases floats. The first layer with weights, and those
// before it, give no gradient of their input.
func layerTraffic(a *model.Arch, l *model.Layer, rows, size int, int8, first bool) traffic {
	in, out := float64(rows*l.In.Len()*size), float64(rows*l.Out.Len()*size)
	params := 0.
	for _, p := range l.Params {
		params += float64(a.Params[p].Len())
	}
	read := params * float64(size)
	if units := float64(l.Out.Len()); int8 {
		read = params - units + 2*full*units
	}
	t := traffic{forward: in + read + out, out: out}
	switch {
	case len(l.Params) > 0:
		t.backward = in + out + params*full // input and output's gradient to the weights' gradient
		if !first {
			t.backward += read + in // weights to the input's gradient
		}
	case first:
	case l.Kind == "lrn", l.Kind == "activation": // from input or output too
		t.backward = 2*in + out
	default:
		t.backward = in + out
	}
	return t
}

// ---- rows

// roofs adds the limits to the rows.
func (c *layerClock) roofs(v *speed, rows []LayerTime, train bool) {
	c.joinIdle()
	for i, p := range c.spans {
		r := &rows[i+1] // behind the upload
		r.Forward = v.roof(p.flop(c.rows), p.traffic.forward, r.ForwardMS)
		if train {
			r.Backward = v.roof(p.flop(c.rows)*float64(p.products), p.traffic.backward, r.BackwardMS)
		}
	}
	pixels := float64(c.rows * c.arch.Input.Len())
	rows[0].Forward = v.roof(0, pixels*float64(1+c.size)*float64(c.devices), rows[0].ForwardMS)
	if train {
		params := 0
		for i := range c.arch.Params {
			if c.arch.Learns(i) {
				params += c.arch.Params[i].Len()
			}
		}
		last := &rows[len(rows)-1]
		// weight and momentum read and written, gradient read
		last.Forward = v.roof(0, float64(5*full*params), last.ForwardMS)
	}
}

// joinIdle counts normalisation and pooling that the device does in one pass as one: the value between stays in the
// cache. They stand in the row of the one that has something to do.
func (c *layerClock) joinIdle() {
	for i := range c.spans[:len(c.spans)-1] {
		a, b := c.spans[i], c.spans[i+1]
		if a.kind != "lrn" || b.kind != "pool" {
			continue
		}
		if c.idle(a, false) {
			b.traffic.forward += a.traffic.forward - 2*a.traffic.out
			a.traffic.forward = 0
		}
		if c.idle(b, true) {
			a.traffic.backward += b.traffic.backward - 2*a.traffic.out
			b.traffic.backward = 0
		}
	}
}

// idle tells that no device has anything to do.
func (c *layerClock) idle(s *timedOp, backward bool) bool {
	for i := s.from; i < s.to; i++ {
		if !c.net.Idle(i, backward) {
			return false
		}
	}
	return true
}

// summary is of rows with their limits and of a step of so many milliseconds.
func (v *speed) summary(rows []LayerTime, stepMS float64) *Roofline {
	r := &Roofline{
		Instructions: v.instructions, PeakGFLOPS: 1e-9 * v.flops, Bandwidth: 1e-9 * v.bytes, Ridge: v.flops / v.bytes,
		MemoryBound: []string{},
	}
	for i := range rows {
		l := &rows[i]
		r.StepGFLOP += 1e-3 * (l.GFLOPSForward*l.ForwardMS + l.GFLOPSBackward*l.BackwardMS)
		var bound []string
		for _, d := range []struct {
			name string
			ms   float64
			*Roof
		}{{"forward", l.ForwardMS, l.Forward}, {"backward", l.BackwardMS, l.Backward}} {
			if d.Roof == nil {
				r.LeastMS += d.ms
				continue
			}
			r.LeastMS += min(d.LeastMS, d.ms)
			if d.Bound == "memory" {
				bound = append(bound, d.name)
			}
		}
		if len(bound) == 0 || l.Kind == "upload" || l.Kind == "exchange" || l.Kind == "update" {
			continue
		}
		if len(bound) == 1 && l.Forward != nil && l.Backward != nil {
			r.MemoryBound = append(r.MemoryBound, l.Name+" "+bound[0])
		} else {
			r.MemoryBound = append(r.MemoryBound, l.Name)
		}
	}
	r.StepGFLOPS = rate(r.StepGFLOP, stepMS)
	r.StepPeakShare = r.StepGFLOPS / r.PeakGFLOPS
	return r
}

// Moves is what a step moves without computing: see device.Moves.
type Moves struct {
	Reorders      float64 `json:"reorders"`
	Copies        float64 `json:"copies"`
	BetweenOps    int64   `json:"bytes_between_ops"`
	PackedWeights int64   `json:"bytes_packed_weights"`
	Exchange      int64   `json:"bytes_exchange"`
	Upload        int64   `json:"bytes_upload"`
	Bytes         int64   `json:"bytes"`
}

// movesOf is the mean over so many steps: an inference net packs its weights once.
func movesOf(m device.Moves, steps int) *Moves {
	n := int64(steps)
	return &Moves{
		float64(m.Reorders) / float64(steps), float64(m.Copies) / float64(steps),
		m.BetweenOps / n, m.PackedWeights / n, m.Exchange / n, m.Upload / n, m.Bytes() / n,
	}
}
