package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/philox"
	"alexnet/internal/text"
)

// Plan is what runs: one program a device, and the order in which one goroutine enqueues their ops.
type Plan struct {
	Programs []device.Program
	// Order is the forward pass; backward is its exact reverse. All Sends of an exchange come before its Recvs, so that
	// a device that works at once, without a queue, never waits for what was not sent yet.
	Order []Step
	Links []*device.Link // "pool2 0>1"
	Slots int            // as Options say

	named       map[string]spread
	stats, prob device.Value // on device 0
	sources     []string     // by link: "pool2"
	readers     []string     // by link: "conv3"
	returns     []bool       // by link: gradients cross it backward
}

// Step is op number Op of device number Device.
type Step struct{ Device, Op int }

// spread is a value of the net as it lies on the devices.
type spread struct {
	shape  device.Shape // of the whole
	at     placement
	values []device.Value // by device; None where it holds no part
	kept   bool
	frozen bool // it has no gradient, for nothing below it learns
}

// planner writes a Plan, layer by layer.
type planner struct {
	*Plan
	arch   *Arch
	local  [][]device.Param
	keep   []string
	int8   bool
	frozen bool   // nothing below the current layer, itself included, learns: no gradients
	source string // what the current value is called when it crosses: the last layer that was no dropout
}

// leastSlots is one slot to fill while the devices read another.
const leastSlots = 2

// newPlan spreads the net over one device or one a column. The programs have no Params yet.
func newPlan(a *Arch, devices int, o Options) (*Plan, error) {
	if err := a.CheckDevices(devices); err != nil {
		return nil, err
	}
	if err := a.CheckNames(o.Keep); err != nil {
		return nil, err
	}
	p := &planner{
		Plan: &Plan{
			Programs: make([]device.Program, devices), Slots: cmp.Or(o.Slots, leastSlots), named: map[string]spread{},
		},
		arch: a, local: a.localParams(devices), int8: o.Int8, frozen: o.Train && !o.InputGrad && len(a.Frozen()) > 0,
	}
	keep := o.Keep
	if o.InputGrad && !slices.Contains(keep, a.Logits()) { // for BackwardLogits
		keep = append(slices.Clip(keep), a.Logits())
	}
	for _, name := range keep {
		if name != "input" && name != "prob" && name != a.Layers[len(a.Layers)-1].Name { // these can be read anyway
			p.keep = append(p.keep, name)
		}
	}
	cur := p.input(o)
	for i := range a.Layers {
		cur = p.layer(&a.Layers[i], cur)
	}
	p.named["prob"] = cur
	p.prob = cur.values[0]
	return p.Plan, nil
}

// CheckNames refuses names that are none of Names, with a *config.Error that tells the nearest.
func (a *Arch) CheckNames(names []string) error {
	valid := a.Names()
	for _, n := range names {
		if slices.Contains(valid, n) {
			continue
		}
		msg := "the net has no layer " + n
		if near := text.Nearest(n, valid); near != "" {
			msg += "; nearest: " + near
		}
		return config.Errorf("", "%s; there are %s", msg, strings.Join(valid, ", "))
	}
	return nil
}

// Names are those of all values that can be kept and fetched: input, every layer's output, "conv1.pre" before the
// activation, prob.
func (a *Arch) Names() []string {
	names := []string{"input"}
	for i := range a.Layers {
		l := &a.Layers[i]
		if l.Kind.Weighted() {
			names = append(names, l.Name+".pre")
		}
		names = append(names, l.Name)
	}
	if !slices.Contains(names, "prob") {
		names = append(names, "prob")
	}
	return names
}

// LastHidden names what the last layer with weights reads: the paper's fc7, whose 4096 numbers say what a picture shows
// before any class is chosen. Dropout, which changes nothing but the scale when a net is used, does not count. "input"
// where there is no layer before.
func (a *Arch) LastHidden() string {
	name, hidden := "input", "input"
	for i := range a.Layers {
		l := &a.Layers[i]
		if l.Kind.Weighted() {
			hidden = name
		}
		if l.Kind != config.Dropout {
			name = l.Name
		}
	}
	return hidden
}

func (p *planner) input(o Options) spread {
	in := p.arch.Input
	s := p.new("input", in, shared)
	for d := range p.Programs {
		prog := &p.Programs[d]
		prog.Precision, prog.Rows, prog.Train, prog.InputGrad = o.Precision, o.Rows, o.Train, o.InputGrad
		prog.Input = device.Input{
			Value: s.values[d], Channels: in.C, Height: o.Input.Height, Width: o.Input.Width, Mean: o.Input.Mean,
			Scale: o.Input.Scale,
		}
	}
	s.kept = true
	p.named["input"] = s
	return s
}

// new makes a value on every device that holds a part of it.
func (p *planner) new(name string, whole device.Shape, at placement) spread {
	s := spread{
		shape: whole, at: at, values: make([]device.Value, len(p.Programs)), kept: slices.Contains(p.keep, name),
		frozen: p.frozen,
	}
	for d := range s.values {
		s.values[d] = device.None
		if at == home && d > 0 {
			continue
		}
		s.values[d] = p.value(d, name, p.shareShape(s))
		if prog := &p.Programs[d]; s.kept {
			prog.Keep = append(prog.Keep, s.values[d])
		}
	}
	p.named[name] = s
	return s
}

// shareShape is the shape of one device's part.
func (p *planner) shareShape(s spread) device.Shape {
	part := s.shape
	if s.at == columns {
		part.C /= len(p.Programs)
	}
	return part
}

func (p *planner) value(d int, name string, shape device.Shape) device.Value {
	prog := &p.Programs[d]
	prog.Values = append(prog.Values, device.ValueInfo{Name: name, Shape: shape})
	return device.Value(len(prog.Values) - 1)
}

func (p *planner) op(d int, spec device.Spec) {
	prog := &p.Programs[d]
	p.Order = append(p.Order, Step{d, len(prog.Ops)})
	prog.Ops = append(prog.Ops, spec)
}

// layer adds one layer on every device that holds a part of its output.
func (p *planner) layer(l *Layer, in spread) spread {
	if l.Kind != config.Dropout {
		defer func() { p.source = l.Name }()
	}
	switch {
	case l.Kind.Weighted():
		return p.weighted(l, in)
	case l.Kind == config.Softmax:
		out := p.new(l.Name, l.Out, l.to)
		out.kept = true
		p.named[l.Name] = out
		p.stats = p.value(0, "stats", device.Shape{C: 3, H: 1, W: 1})
		p.op(0, &device.SoftmaxLoss{Op: device.Op{Name: l.Name, In: in.values[:1], Out: out.values[0]}, Stats: p.stats})
		return out
	}
	out := p.new(l.Name, l.Out, l.to)
	for d, v := range out.values {
		if v != device.None {
			p.op(d, p.unweightedSpec(l, device.Op{Name: l.Name, In: in.values[d : d+1], Out: v}, d))
		}
	}
	return out
}

// unweightedSpec is the spec of a layer without weights on device d.
func (p *planner) unweightedSpec(l *Layer, op device.Op, d int) device.Spec {
	switch l.Kind {
	case config.LRN:
		return &device.LRN{
			Op: op, Size: l.Size, Alpha: float32(l.Alpha), Beta: float32(l.Beta), K: float32(l.K),
			Groups: p.columnsHere(l.to),
		}
	case config.Pool:
		kind := device.Max
		if l.Pool == config.Average {
			kind = device.Avg
		}
		return &device.Pool{
			Op: op, Kind: kind, Window: l.Size, Stride: l.Stride, Pad: l.Pad, RoundUp: l.Round == config.Up,
		}
	case config.Dropout:
		first := 0
		if l.to == columns {
			first = d * l.Out.Len() / len(p.Programs)
		}
		return &device.Dropout{Op: op, Rate: float32(l.Rate), Stream: philox.Stream(l.Name), FirstUnit: first}
	case config.Activation:
		return &device.Activate{Op: op, Act: activation(l.Act)}
	}
	panic(fmt.Sprintf("model: layer %s of kind %q", l.Name, l.Kind)) // config lets no other kind through
}

// columnsHere is the number of columns in one device's part of a value.
func (p *planner) columnsHere(at placement) int {
	if at == columns {
		return p.arch.Columns / len(p.Programs)
	}
	return 1
}

func activation(act config.Act) device.Activation {
	switch act {
	case config.ReLU:
		return device.ReLU
	case config.Tanh:
		return device.Tanh
	}
	return device.Linear
}

// weighted adds a conv or fc layer, the exchange before it, and, where the value before the activation is to be kept,
// an activation that stands alone.
func (p *planner) weighted(l *Layer, in spread) spread {
	reads := p.reads(l, in)
	if p.frozen && p.arch.layerLearns(l.Name) {
		p.frozen = false
		for d := range p.Programs {
			p.Programs[d].Frozen = len(p.Programs[d].Ops)
		}
	}
	act, pre := activation(l.Act), l.Name+".pre"
	apart := act != device.Linear && slices.Contains(p.keep, pre)
	name, fused := l.Name, act
	if apart {
		name, fused = pre, device.Linear
	}
	out := p.new(name, l.Out, l.to)
	for d, v := range out.values {
		if v != device.None {
			p.op(d, p.weightedSpec(l, device.Op{Name: l.Name, In: reads[d], Out: v}, d, fused))
		}
	}
	if !apart {
		if act == device.Linear { // nothing comes between
			out.kept = out.kept || slices.Contains(p.keep, pre)
			p.keepToo(out, l.Name)
			p.named[pre], p.named[l.Name] = out, out
		}
		return out
	}
	res := p.new(l.Name, l.Out, l.to)
	for d, v := range res.values {
		if v != device.None {
			p.op(d, &device.Activate{Op: device.Op{Name: l.Name + ".act", In: out.values[d : d+1], Out: v}, Act: act})
		}
	}
	return res
}

// keepToo keeps a value that is asked for under its second name, "fc8.pre" for fc8.
func (p *planner) keepToo(s spread, name string) {
	if !s.kept || slices.Contains(p.keep, name) {
		return
	}
	for d, v := range s.values {
		if v != device.None {
			p.Programs[d].Keep = append(p.Programs[d].Keep, v)
		}
	}
}

// weightedSpec is the spec of a conv or fc layer on device d.
func (p *planner) weightedSpec(l *Layer, op device.Op, d int, act device.Activation) device.Spec {
	w, b := p.local[l.Params[0]][d], p.local[l.Params[1]][d]
	groups := 1
	if l.own() {
		groups = p.columnsHere(columns)
	}
	switch {
	case l.Kind == config.Conv:
		return &device.Conv{
			Op: op, Weight: w, Bias: b, Kernel: l.Size, Stride: l.Stride, Pad: l.Pad, Groups: groups * l.Groups,
			RoundUp: l.Round == config.Up, Act: act,
		}
	case groups > 1:
		// columns of fully connected units side by side: a grouped convolution whose kernel is the whole map
		return &device.Conv{Op: op, Weight: w, Bias: b, Kernel: l.In.H, Stride: 1, Groups: groups, Act: act}
	}
	return &device.FC{Op: op, Weight: w, Bias: b, Act: act, Int8: p.int8}
}

// reads is what each device's part of a layer reads: its own part of the input, or every part in column order. What a
// device lacks crosses; a value has one reader, so nothing crosses twice to the same device.
func (p *planner) reads(l *Layer, in spread) [][]device.Value {
	reads := make([][]device.Value, len(p.Programs))
	for d := range reads {
		reads[d] = []device.Value{in.values[d]}
	}
	if in.at != columns || l.own() || len(p.Programs) == 1 {
		return reads
	}
	for d := range reads {
		reads[d] = slices.Clone(in.values)
	}
	var arrivals []func()
	for from, v := range in.values {
		for to := range p.Programs {
			if from == to || l.to == home && to > 0 {
				continue
			}
			part := p.shareShape(in)
			link := device.NewLink(fmt.Sprintf("%s %d>%d", p.source, from, to), from, to, part)
			p.Links, p.sources, p.readers = append(p.Links, link), append(p.sources, p.source),
				append(p.readers, l.Name)
			p.returns = append(p.returns, !p.frozen)
			p.op(from, &device.Send{
				Op: device.Op{Name: "send " + link.Name, In: []device.Value{v}, Out: device.None}, Link: link,
			})
			arrivals = append(arrivals, func() {
				got := p.value(to, fmt.Sprintf("%s@%d", p.source, from), part)
				p.op(to, &device.Recv{Op: device.Op{Name: "recv " + link.Name, Out: got}, Link: link})
				reads[to][from] = got
			})
		}
	}
	for _, arrive := range arrivals {
		arrive()
	}
	return reads
}
