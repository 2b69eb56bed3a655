package devicetest

import (
	"math"

	"alexnet/internal/device"
)

// oracle runs programs in float64 with loops that follow the definitions in package device word by word. It shares no
// code with any backend.
type oracle struct {
	progs    []*device.Program
	values   [][][]float64 // by device and value: (rows, C, H, W)
	grads    [][][]float64
	weights  [][][]float64 // by device and parameter
	momentum [][][]float64
	gradient [][][]float64
	crossing map[*device.Link][]float64 // what lies in the link
	back     map[*device.Link][]float64
	written  []map[device.Value]bool // gradients written in this pass, by device
	bytes    map[*device.Link][2]int64
	pass     device.Pass
	// margin is how near the pass came to a kink: the least distance of a ReLU's input from 0 and of a maximum from the
	// runner-up (equal ones apart). Nearer than single precision resolves, two correct implementations may go separate
	// ways, and the case says nothing.
	margin float64
}

func newOracle(progs []*device.Program, specs [][]device.ParamSpec) *oracle {
	o := &oracle{
		progs: progs, margin: math.Inf(1), crossing: map[*device.Link][]float64{},
		back: map[*device.Link][]float64{}, bytes: map[*device.Link][2]int64{},
	}
	for d, p := range progs {
		o.values = append(o.values, make([][]float64, len(p.Values)))
		o.grads = append(o.grads, make([][]float64, len(p.Values)))
		o.written = append(o.written, nil)
		for v, info := range p.Values {
			o.values[d][v] = make([]float64, p.Rows*info.Shape.Len())
			o.grads[d][v] = make([]float64, p.Rows*info.Shape.Len())
		}
		o.weights, o.momentum, o.gradient = append(o.weights, nil), append(o.momentum, nil), append(o.gradient, nil)
		for _, s := range specs[d] {
			o.weights[d] = append(o.weights[d], make([]float64, s.Len()))
			o.momentum[d] = append(o.momentum[d], make([]float64, s.Len()))
			o.gradient[d] = append(o.gradient[d], make([]float64, s.Len()))
		}
	}
	return o
}

// shadow is an oracle for other programs with the same parameters: what an inference net is to a training net.
func (o *oracle) shadow(progs []*device.Program, specs [][]device.ParamSpec) *oracle {
	s := newOracle(progs, specs)
	s.weights, s.momentum, s.gradient = o.weights, o.momentum, o.gradient
	return s
}

// begin computes the input value of device d from the definition in device.Input.
func (o *oracle) begin(d int, b *device.Batch, pass device.Pass) {
	o.pass = pass
	o.written[d] = map[device.Value]bool{}
	in := o.progs[d].Input
	s := o.progs[d].Values[in.Value].Shape
	x := o.values[d][in.Value]
	for r := range pass.Rows {
		for c := range s.C {
			for i := range s.H {
				for j := range s.W {
					jj := j
					if b.Flip[r] {
						jj = s.W - 1 - j
					}
					py, px := int(b.Crop[r][0])+i, int(b.Crop[r][1])+jj
					p := float64(b.Pixels[((r*in.Height+py)*in.Width+px)*in.Channels+c])
					switch len(in.Mean) {
					case 0:
					case in.Channels:
						p -= float64(in.Mean[c])
					default:
						p -= float64(in.Mean[(c*in.Height+py)*in.Width+px])
					}
					p += float64(b.Color[r][c])
					if len(in.Scale) > 0 {
						p *= float64(in.Scale[c])
					}
					x[((r*s.C+c)*s.H+i)*s.W+j] = p
				}
			}
		}
	}
}

// labels of the pass, set beside begin.
type labels = []int32

func (o *oracle) forward(d, op int, y labels) {
	p := o.progs[d]
	val := func(v device.Value) []float64 { return o.values[d][v] }
	switch s := p.Ops[op].(type) {
	case *device.Conv:
		x, in := o.joinPlanes(d, s.In)
		convForward(s, o.pass.Rows, in, p.Values[s.Out].Shape, x, o.weights[d][s.Weight], o.weights[d][s.Bias],
			val(s.Out))
		o.activate(s.Act, val(s.Out), p.Values[s.Out].Shape.Len())
	case *device.FC:
		x, in := o.joinPlanes(d, s.In)
		units, w := p.Values[s.Out].Shape.C, o.weights[d][s.Weight]
		if s.Int8 {
			w = rounded(units, w)
		}
		fcForward(o.pass.Rows, in.Len(), units, x, w, o.weights[d][s.Bias], val(s.Out))
		o.activate(s.Act, val(s.Out), units)
	case *device.Activate:
		copy(val(s.Out), val(s.In[0]))
		o.activate(s.Act, val(s.Out), p.Values[s.Out].Shape.Len())
	case *device.LRN:
		lrnForward(s, o.pass.Rows, p.Values[s.Out].Shape, val(s.In[0]), val(s.Out))
	case *device.Pool:
		gap := poolForward(s, o.pass.Rows, p.Values[s.In[0]].Shape, p.Values[s.Out].Shape, val(s.In[0]), val(s.Out))
		o.margin = min(o.margin, gap)
	case *device.Dropout:
		dropout(s, p.Train, o.pass, p.Values[s.Out].Shape.Len(), val(s.In[0]), val(s.Out))
	case *device.SoftmaxLoss:
		gap := softmaxForward(o.pass.Rows, p.Values[s.Out].Shape.C, val(s.In[0]), y, val(s.Out), val(s.Stats))
		o.margin = min(o.margin, gap)
	case *device.Send:
		n := o.pass.Rows * s.Link.Shape.Len()
		o.crossing[s.Link] = append([]float64(nil), val(s.In[0])[:n]...)
		o.count(s.Link, 0, n)
	case *device.Recv:
		copy(val(s.Out), o.crossing[s.Link])
	}
}

func (o *oracle) backward(d, op int, y labels) {
	p := o.progs[d]
	val := func(v device.Value) []float64 { return o.values[d][v] }
	grad := func(v device.Value) []float64 { return o.grads[d][v] }
	switch s := p.Ops[op].(type) {
	case *device.Conv:
		dy := actBackward(s.Act, val(s.Out), grad(s.Out))
		x, in := o.joinPlanes(d, s.In)
		dx := convBackward(s, o.pass.Rows, in, p.Values[s.Out].Shape, x, dy,
			o.weights[d][s.Weight], o.gradient[d][s.Weight], o.gradient[d][s.Bias])
		o.splitPlanes(d, s.In, dx)
	case *device.FC:
		dy := actBackward(s.Act, val(s.Out), grad(s.Out))
		x, in := o.joinPlanes(d, s.In)
		dx := fcBackward(o.pass.Rows, in.Len(), p.Values[s.Out].Shape.C, x, dy,
			o.weights[d][s.Weight], o.gradient[d][s.Weight], o.gradient[d][s.Bias])
		o.splitPlanes(d, s.In, dx)
	case *device.Activate:
		o.write(d, s.In[0], actBackward(s.Act, val(s.Out), grad(s.Out)))
	case *device.LRN:
		o.write(d, s.In[0], lrnBackward(s, o.pass.Rows, p.Values[s.Out].Shape, val(s.In[0]), grad(s.Out)))
	case *device.Pool:
		o.write(d, s.In[0], poolBackward(s, o.pass.Rows, p.Values[s.In[0]].Shape, p.Values[s.Out].Shape, val(s.In[0]),
			grad(s.Out)))
	case *device.Dropout:
		dx := make([]float64, len(grad(s.Out)))
		dropout(s, p.Train, o.pass, p.Values[s.Out].Shape.Len(), grad(s.Out), dx)
		o.write(d, s.In[0], dx)
	case *device.SoftmaxLoss:
		o.write(d, s.In[0], softmaxBackward(o.pass, p.Values[s.Out].Shape.C, val(s.Out), y))
	case *device.Send:
		o.sendBackward(d, s)
	case *device.Recv:
		n := o.pass.Rows * s.Link.Shape.Len()
		o.back[s.Link] = append([]float64(nil), grad(s.Out)[:n]...)
		o.count(s.Link, 1, n)
	}
}

// sendBackward adds what came home, or writes it where no local consumer did.
func (o *oracle) sendBackward(d int, s *device.Send) {
	v := s.In[0]
	for i, g := range o.back[s.Link] {
		if o.written[d][v] {
			g += o.grads[d][v][i]
		}
		o.grads[d][v][i] = g
	}
	o.written[d][v] = true
}

func (o *oracle) count(l *device.Link, way, elements int) {
	n := o.bytes[l]
	n[way] += 4 * int64(elements) // float32
	o.bytes[l] = n
}

func (o *oracle) write(d int, v device.Value, g []float64) {
	copy(o.grads[d][v], g)
	o.written[d][v] = true
}

// activate applies act to the rows in use of y, in place.
func (o *oracle) activate(act device.Activation, y []float64, n int) {
	for i := range y[:o.pass.Rows*n] {
		switch act {
		case device.ReLU:
			o.margin = min(o.margin, math.Abs(y[i]))
			y[i] = max(y[i], 0)
		case device.Tanh:
			y[i] = math.Tanh(y[i])
		}
	}
}

// joinPlanes concatenates values row by row: (rows, C0+C1+.., H, W).
func (o *oracle) joinPlanes(d int, in []device.Value) ([]float64, device.Shape) {
	s := o.progs[d].Values[in[0]].Shape
	c := 0
	for _, v := range in {
		c += o.progs[d].Values[v].Shape.C
	}
	var x []float64
	for r := range o.pass.Rows {
		for _, v := range in {
			n := o.progs[d].Values[v].Shape.Len()
			x = append(x, o.values[d][v][r*n:(r+1)*n]...)
		}
	}
	s.C = c
	return x, s
}

// splitPlanes is the way back for gradients.
func (o *oracle) splitPlanes(d int, in []device.Value, dx []float64) {
	for r := range o.pass.Rows {
		for _, v := range in {
			n := o.progs[d].Values[v].Shape.Len()
			copy(o.grads[d][v][r*n:], dx[:n])
			dx = dx[n:]
		}
	}
	for _, v := range in {
		o.written[d][v] = true
	}
}

// update is the paper's rule with the learning rate inside the momentum.
func (o *oracle) update(d int) {
	for p, w := range o.weights[d] {
		lr, decay := float64(o.pass.LR[p]), float64(o.pass.Decay[p])
		if lr == 0 {
			continue
		}
		v, g := o.momentum[d][p], o.gradient[d][p]
		for i := range w {
			v[i] = float64(o.pass.Momentum)*v[i] - decay*lr*w[i] - lr*g[i]
			w[i] += v[i]
		}
	}
}
