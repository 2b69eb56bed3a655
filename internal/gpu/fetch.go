//go:build cuda

package gpu

import (
	"unsafe"

	"gorgonia.org/cu"

	"alexnet/internal/device"
	"alexnet/internal/gpu/cuda"
	"alexnet/kernels"
)

// ticket is the receipt of a Fetch: the value lies in pinned memory as soon as the event has happened.
type ticket struct {
	net   *Net
	there cu.Event
	value *value
	typ   cuda.Type
	rows  int
	raw   []byte
	dst   []float32 // nil: nothing is under way
}

// Wait returns when the data is there.
func (t *ticket) Wait() error {
	n := t.net
	if n.guard.Live() {
		n.guard.Fail("fetch", n.dev.do(func() error {
			if err := t.finish(); err != nil {
				return err
			}
			return n.look()
		}))
	}
	return n.guard.Sync()
}

// finish waits for what is under way, and brings it into logical order.
func (t *ticket) finish() error {
	if t.dst == nil {
		return nil
	}
	if err := t.there.Synchronize(); err != nil {
		return cuda.Wrap("cuEventSynchronize", err)
	}
	t.value.unpack(t.raw, t.typ, t.rows, t.dst)
	t.dst = nil
	return nil
}

// Fetch reads a value or its gradient. It waits only for values that no step would read: the input, and where nothing
// is kept.
func (n *Net) Fetch(v device.Value, grad bool, dst []float32) device.Ticket {
	t := &n.tickets[n.fetched&1]
	slot := n.place.tickets[n.fetched&1]
	n.fetched++
	val, b, typ := n.tensor("fetch", v, grad, len(dst))
	if !n.guard.Live() {
		t.net = n
		return t
	}
	err := n.dev.do(func() error {
		if err := t.finish(); err != nil || b == nil {
			return err
		}
		*t = ticket{net: n, there: t.there, value: val, typ: typ, rows: n.pass.Rows}
		bytes := typ.Size() * int64(n.pass.Rows) * int64(val.row())
		if err := n.settled(val); err != nil {
			return err
		}
		if bytes > n.place.ticket {
			t.raw = make([]byte, bytes)
			if err := n.dev.main.Synchronize(); err != nil {
				return cuda.Wrap("cuStreamSynchronize", err)
			}
			if err := cu.MemcpyDtoH(unsafe.Pointer(&t.raw[0]), b.ptr(), bytes); err != nil {
				return cuda.Wrap("cuMemcpyDtoH", err)
			}
			val.unpack(t.raw, typ, t.rows, dst)
			return nil
		}
		t.raw, t.dst = cuda.Slice[byte](n.pinned, slot, int(bytes)), dst
		if err := cu.MemcpyDtoHAsync(n.pinned.At(slot), b.ptr(), bytes, n.dev.main); err != nil {
			return cuda.Wrap("cuMemcpyDtoHAsync", err)
		}
		return cuda.Wrap("cuEventRecord", t.there.Record(n.dev.main))
	})
	t.net = n
	n.guard.Fail("fetch", err)
	return t
}

// settled has the computing stream wait for a value that comes from another device, whoever reads it.
func (n *Net) settled(v *value) error {
	if v.port == nil {
		return nil
	}
	return cuda.Wrap("cuStreamWaitEvent", n.dev.main.Wait(v.port.came, 0))
}

// Store writes a value or its gradient. Rows that take no part have no gradient.
func (n *Net) Store(v device.Value, grad bool, src []float32) {
	val, b, typ := n.tensor("store", v, grad, len(src))
	if b == nil {
		return
	}
	n.guard.Fail("store", n.dev.do(func() error {
		rows := n.pass.Rows
		if grad {
			rows = n.prog.Rows
		}
		raw := make([]byte, typ.Size()*int64(rows)*int64(val.row()))
		val.pack(src, typ, n.pass.Rows, raw)
		if err := n.settled(val); err != nil {
			return err
		}
		return cuda.Write(b.ptr(), unsafe.Pointer(&raw[0]), int64(len(raw)), n.dev.main)
	}))
}

// tensor finds what a Fetch or Store of so many numbers means; no buffer after a failure.
func (n *Net) tensor(what string, id device.Value, grad bool, numbers int) (*value, *buffer, cuda.Type) {
	if !n.guard.Value(what, id) {
		return nil, nil, 0
	}
	v := n.values[id]
	b, typ := v.data, v.typ
	if grad {
		b, typ = v.grad, v.gradType
	}
	if !n.guard.Tensor(what, id, grad, b != nil, numbers) {
		return nil, nil, 0
	}
	return v, b, typ
}

// unpack brings raw rows into logical order.
func (v *value) unpack(raw []byte, typ cuda.Type, rows int, dst []float32) {
	b := v.rows(rows)
	if typ == cuda.BFloat16 {
		x := unsafe.Slice((*uint16)(unsafe.Pointer(&raw[0])), len(raw)/2)
		b.eachNumber(func(private, logical int) { dst[logical] = widen(x[private]) })
		return
	}
	x := unsafe.Slice((*float32)(unsafe.Pointer(&raw[0])), len(raw)/4)
	if b.privates == b.logicals {
		copy(dst, x)
		return
	}
	b.eachNumber(func(private, logical int) { dst[logical] = x[private] })
}

// pack is the way back.
func (v *value) pack(src []float32, typ cuda.Type, rows int, raw []byte) {
	b := v.rows(rows)
	if typ == cuda.BFloat16 {
		x := unsafe.Slice((*uint16)(unsafe.Pointer(&raw[0])), len(raw)/2)
		b.eachNumber(func(private, logical int) { x[private] = narrow(src[logical]) })
		return
	}
	x := unsafe.Slice((*float32)(unsafe.Pointer(&raw[0])), len(raw)/4)
	b.eachNumber(func(private, logical int) { x[private] = src[logical] })
}

// flagReport is what a check found, in pinned memory as soon as the event has happened.
type flagReport struct {
	there cu.Event
	step  uint64
}

// sendFlags has the flags of the check that was enqueued last copied to the host.
func (n *Net) sendFlags() error {
	i := n.sent % len(n.reports)
	r := &n.reports[i]
	if n.sent-n.looked == len(n.reports) { // so far ahead is the host only where it never waits
		if err := r.there.Synchronize(); err != nil {
			return cuda.Wrap("cuEventSynchronize", err)
		}
		n.judge(i)
		n.looked++
	}
	r.step = n.pass.Step
	n.sent++
	at := n.place.reports + int64(i)*n.flags.Bytes
	if err := cu.MemcpyDtoHAsync(n.pinned.At(at), n.flags.ptr(), n.flags.Bytes, n.dev.main); err != nil {
		return cuda.Wrap("cuMemcpyDtoHAsync", err)
	}
	return cuda.Wrap("cuEventRecord", r.there.Record(n.dev.main))
}

// judge fails the net where report number i has a flag set. Flags stay set, so the first report that has one names the
// step.
func (n *Net) judge(i int) {
	specs := n.params.specs
	flags := cuda.Slice[int32](n.pinned, n.place.reports+int64(i)*n.flags.Bytes, kernels.FlagCount(len(specs)))
	var bad []string
	if flags[kernels.FlagLoss] != 0 {
		bad = append(bad, "loss")
	}
	for p, s := range specs {
		if flags[kernels.FlagFirst+p] != 0 {
			bad = append(bad, "gradient of "+s.Name)
		}
	}
	for p, s := range specs {
		if flags[kernels.FlagFirst+len(specs)+p] != 0 {
			bad = append(bad, s.Name)
		}
	}
	if bad != nil {
		n.guard.Fail("update", &device.NonFiniteError{Device: n.dev.name, Step: n.reports[i].step, Tensors: bad})
	}
}
