package model

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/recipe"
)

// fake is a device without arithmetic: it checks programs and notes what it is told to do.
type fake struct {
	name string
	fail string // what fails: "params", "compile", "run"
	log  []string
	nets []*fakeNet
}

func (f *fake) Name() string { return f.name }
func (f *fake) Close() error { return nil }

func (f *fake) NewParams(specs []device.ParamSpec) (device.Params, error) {
	if f.fail == "params" {
		return nil, errors.New(f.name + ": no memory")
	}
	p := &fakeParams{specs: specs, data: map[device.Part][][]float32{}}
	for _, part := range []device.Part{device.Weight, device.Momentum, device.Gradient} {
		for _, s := range specs {
			p.data[part] = append(p.data[part], make([]float32, s.Len()))
		}
	}
	return p, nil
}

func (f *fake) Compile(p device.Program) (device.Net, error) {
	if f.fail == "compile" {
		return nil, errors.New(f.name + ": an op too many")
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	n := &fakeNet{dev: f, prog: p}
	f.nets = append(f.nets, n)
	return n, nil
}

type fakeParams struct {
	specs  []device.ParamSpec
	data   map[device.Part][][]float32
	closed bool
}

func (p *fakeParams) Specs() []device.ParamSpec { return p.specs }
func (p *fakeParams) Close() error              { p.closed = true; return nil }

func (p *fakeParams) Fetch(id device.Param, part device.Part, dst []float32) error {
	copy(dst, p.data[part][id])
	return nil
}

func (p *fakeParams) Store(id device.Param, part device.Part, src []float32) error {
	copy(p.data[part][id], src)
	return nil
}

type fakeNet struct {
	dev    *fake
	prog   device.Program
	awaits []*device.Batch
	batch  *device.Batch
	pass   device.Pass
	calls  []string
	silent bool // no notes: to count allocations
	closed bool
	ends   *[]string // where Sync and Close are noted, of all devices; nil: nowhere
}

func (n *fakeNet) end(what string) {
	if n.ends != nil {
		*n.ends = append(*n.ends, what+" "+n.dev.name)
	}
}

func (n *fakeNet) note(what string, op int) {
	if n.silent {
		return
	}
	n.dev.log = append(n.dev.log, n.dev.name)
	n.calls = append(n.calls, fmt.Sprintf("%s %s", what, n.prog.Ops[op].Base().Name))
}

func (n *fakeNet) Memory() device.MemoryPlan {
	return device.MemoryPlan{{Purpose: device.PurposeActivations, Bytes: int64(len(n.prog.Ops))}}
}

func (n *fakeNet) Alloc() error {
	if n.dev.fail == "alloc" {
		return errors.New(n.dev.name + ": no memory")
	}
	return nil
}

func (n *fakeNet) Await(b *device.Batch) {
	if !n.silent {
		n.awaits = append(n.awaits, b)
	}
}

func (n *fakeNet) Begin(b *device.Batch, p device.Pass)              { n.batch, n.pass = b, p }
func (n *fakeNet) Forward(op int)                                    { n.note("forward", op) }
func (n *fakeNet) Backward(op int)                                   { n.note("backward", op) }
func (n *fakeNet) Update()                                           {}
func (n *fakeNet) Store(device.Value, bool, []float32)               {}
func (n *fakeNet) Wait() error                                       { return n.Sync() }
func (n *fakeNet) Fetch(device.Value, bool, []float32) device.Ticket { return n }

func (n *fakeNet) Close() error {
	n.end("close")
	n.closed = true
	return nil
}

func (n *fakeNet) Sync() error {
	n.end("sync")
	if n.dev.fail == "run" {
		return &device.OpError{Device: n.dev.name, Op: "conv1", Err: errors.New("broke")}
	}
	return nil
}

func fakes(n int) ([]*fake, []device.Device) {
	fs, devs := make([]*fake, n), make([]device.Device, n)
	for d := range fs {
		fs[d] = &fake{name: fmt.Sprintf("fake:%d", d)}
		devs[d] = fs[d]
	}
	return fs, devs
}

func open(t *testing.T, a *Arch, devs []device.Device) *Model {
	t.Helper()
	m, err := Open(a, devs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func compile(t *testing.T, m *Model, o Options) *Net {
	t.Helper()
	n, err := m.Compile(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := n.Alloc(); err != nil {
		t.Fatal(err)
	}
	return n
}

// staged are the options of a net whose pictures are a little larger than its input.
func staged(a *Arch, rows int, train bool) Options {
	return Options{Rows: rows, Train: train, Input: recipe.Recipe{Height: a.Input.H + 4, Width: a.Input.W + 4}}
}

// specsOf are a program's op names, receives and sends included.
func specsOf(p *device.Program) []string {
	var names []string
	for _, op := range p.Ops {
		names = append(names, op.Base().Name)
	}
	return names
}

func find[T device.Spec](t *testing.T, p *device.Program, name string) T {
	t.Helper()
	i := slices.IndexFunc(p.Ops, func(s device.Spec) bool { return s.Base().Name == name })
	if i < 0 {
		t.Fatalf("no op %s", name)
	}
	op, ok := p.Ops[i].(T)
	if !ok {
		t.Fatalf("%s is a %T", name, p.Ops[i])
	}
	return op
}
