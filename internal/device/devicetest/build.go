package devicetest

import (
	"fmt"

	"alexnet/internal/device"
	"alexnet/internal/philox"
)

// builder writes one device's program by hand: each method adds an op, works out the shape of what it gives, and
// declares its parameters.
type builder struct {
	device.Program
	specs []device.ParamSpec
}

// newProgram starts a program for an input of channels x height x width. Pictures are a little larger than that, so
// that every case crops, and pixels reach the net as (p-128)/64: about -2..2.
func newProgram(channels, height, width, rows int) *builder {
	b := &builder{}
	b.Rows = rows
	v := b.value("input", device.Shape{C: channels, H: height, W: width})
	b.Input = device.Input{Value: v, Channels: channels, Height: height + 3, Width: width + 2}
	for range channels {
		b.Input.Mean = append(b.Input.Mean, 128)
		b.Input.Scale = append(b.Input.Scale, 1./64)
	}
	return b
}

func (b *builder) value(name string, s device.Shape) device.Value {
	b.Values = append(b.Values, device.ValueInfo{Name: name, Shape: s})
	return device.Value(len(b.Values) - 1)
}

func (b *builder) param(name string, shape ...int) device.Param {
	b.specs = append(b.specs, device.ParamSpec{Name: name, Shape: shape})
	return device.Param(len(b.specs) - 1)
}

func (b *builder) shape(v device.Value) device.Shape { return b.Values[v].Shape }

func (b *builder) add(s device.Spec) device.Value {
	b.Ops = append(b.Ops, s)
	return s.Base().Out
}

// conv adds a convolution described by c, of which only the geometry and the activation are read.
func (b *builder) conv(name string, kernels int, c device.Conv, in ...device.Value) device.Value {
	s := b.shape(in[0])
	for _, v := range in[1:] {
		s.C += b.shape(v).C
	}
	c.Stride, c.Groups = max(c.Stride, 1), max(c.Groups, 1)
	c.Op = device.Op{Name: name, In: in}
	c.Weight = b.param(name+".weight", kernels, s.C/c.Groups, c.Kernel, c.Kernel)
	c.Bias = b.param(name+".bias", kernels)
	c.Out = b.value(name, device.Shape{
		C: kernels,
		H: device.ConvSize(s.H, c.Kernel, c.Stride, c.Pad, c.RoundUp),
		W: device.ConvSize(s.W, c.Kernel, c.Stride, c.Pad, c.RoundUp),
	})
	return b.add(&c)
}

func (b *builder) fc(name string, units int, act device.Activation, in ...device.Value) device.Value {
	n := 0
	for _, v := range in {
		n += b.shape(v).Len()
	}
	o := &device.FC{Op: device.Op{Name: name, In: in}, Act: act}
	o.Weight, o.Bias = b.param(name+".weight", units, n), b.param(name+".bias", units)
	o.Out = b.value(name, device.Shape{C: units, H: 1, W: 1})
	return b.add(o)
}

// same is the common part of ops that keep the shape.
func (b *builder) same(name string, in device.Value) device.Op {
	return device.Op{Name: name, In: []device.Value{in}, Out: b.value(name, b.shape(in))}
}

func (b *builder) activate(name string, act device.Activation, in device.Value) device.Value {
	return b.add(&device.Activate{Op: b.same(name, in), Act: act})
}

// lrn adds a normalisation with the paper's constants made stronger (alpha 1e-4 moves nothing that single precision
// could resolve).
func (b *builder) lrn(name string, size, groups int, in device.Value) device.Value {
	return b.add(&device.LRN{Op: b.same(name, in), Size: size, Alpha: .5, Beta: .75, K: 2, Groups: groups})
}

func (b *builder) pool(name string, p device.Pool, in device.Value) device.Value {
	s := b.shape(in)
	p.Op = device.Op{Name: name, In: []device.Value{in}}
	p.Out = b.value(name, device.Shape{
		C: s.C,
		H: device.PoolSize(s.H, p.Window, p.Stride, p.Pad, p.RoundUp),
		W: device.PoolSize(s.W, p.Window, p.Stride, p.Pad, p.RoundUp),
	})
	return b.add(&p)
}

func (b *builder) dropout(name string, rate float32, firstUnit int, in device.Value) device.Value {
	return b.add(&device.Dropout{Op: b.same(name, in), Rate: rate, Stream: philox.Stream(name), FirstUnit: firstUnit})
}

func (b *builder) softmax(in device.Value) device.Value {
	return b.add(&device.SoftmaxLoss{Op: b.same("prob", in), Stats: b.value("stats", device.Shape{C: 3, H: 1, W: 1})})
}

// send copies v to the other end of a new link.
func (b *builder) send(from, to int, v device.Value) *device.Link {
	name := fmt.Sprintf("%s %d>%d", b.Values[v].Name, from, to)
	l := device.NewLink(name, from, to, b.shape(v))
	b.add(&device.Send{Op: device.Op{Name: "send " + name, In: []device.Value{v}, Out: device.None}, Link: l})
	return l
}

func (b *builder) recv(l *device.Link) device.Value {
	v := b.value(l.Name, l.Shape)
	return b.add(&device.Recv{Op: device.Op{Name: "recv " + l.Name, Out: v}, Link: l})
}

// keepAll makes every value readable.
func (b *builder) keepAll() {
	for v := range b.Values {
		b.Keep = append(b.Keep, device.Value(v))
	}
}

// readable are the values that may be fetched: the input, what is kept, and what a SoftmaxLoss gives.
func readable(p *device.Program) []device.Value {
	var vs []device.Value
	loss := map[device.Value]bool{p.Input.Value: true}
	for _, s := range p.Ops {
		if l, ok := s.(*device.SoftmaxLoss); ok {
			loss[l.Out], loss[l.Stats] = true, true
		}
	}
	for i := range p.Values {
		if v := device.Value(i); loss[v] || p.Kept(v) {
			vs = append(vs, v)
		}
	}
	return vs
}

// loose tells whether nothing reads v, so that its gradient can only come from a Store.
func loose(p *device.Program, v device.Value) bool {
	for _, s := range p.Ops {
		for _, in := range s.Base().In {
			if in == v {
				return false
			}
		}
		if l, ok := s.(*device.SoftmaxLoss); ok && (l.Out == v || l.Stats == v) {
			return false
		}
	}
	return true
}
