package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
	"unsafe"
)

// table is parameters in memory, as check and update walk them.
type table struct {
	tensors          *buf
	weight, momentum []*buf
	gradient, half   []*buf
	flags            *buf
	chunks           int64
}

// newTable makes parameters of so many elements; every other one has a bf16 copy.
func newTable(lengths ...int) *table {
	b := &table{tensors: &buf{addresses: map[int]*buf{}}, flags: i32(make([]int32, FlagCount(len(lengths))))}
	for i, n := range lengths {
		w, v, g := f32(kinds[0].random(uint64(3*i), n)), f32(kinds[0].random(uint64(3*i+1), n)),
			f32(kinds[0].random(uint64(3*i+2), n))
		h := bf16(unwritten(n))
		if i%2 == 1 {
			h = nil
		}
		for field, to := range []*buf{w, v, g, h} {
			if to != nil {
				b.tensors.addresses[i*TensorSize+8*field] = to
			}
		}
		// of fixed size: never fails
		data, _ := binary.Append(nil, binary.LittleEndian, Tensor{Len: int64(n), FirstChunk: b.chunks})
		b.tensors.data = append(b.tensors.data, data...)
		b.weight, b.momentum = append(b.weight, w), append(b.momentum, v)
		b.gradient, b.half = append(b.gradient, g), append(b.half, h)
		b.chunks += Chunks(n)
	}
	return b
}

func (b *table) check(t *testing.T) {
	t.Helper()
	run(t, "check", b.chunks, b.tensors, len(b.weight), int(b.chunks), b.flags)
}

func (b *table) update(t *testing.T, lr, decay []float64, momentum float32) {
	t.Helper()
	run(t, "update", b.chunks, b.tensors, len(b.weight), int(b.chunks), f32(lr), f32(decay),
		pass(Pass{Momentum: momentum}), b.flags)
}

// flagged lists the flags that are set.
func (b *table) flagged() []int {
	set := []int{}
	for i := range len(b.flags.data) / 4 {
		if binary.LittleEndian.Uint32(b.flags.data[4*i:]) != 0 {
			set = append(set, i)
		}
	}
	return set
}

func TestStructs(t *testing.T) {
	if PassSize != int(unsafe.Sizeof(Pass{})) || PassSize != binary.Size(Pass{}) ||
		TensorSize != binary.Size(Tensor{}) {
		t.Errorf("Pass takes %d bytes and Tensor %d: their fields do not fill them", PassSize, TensorSize)
	}
}

func TestUpdate(t *testing.T) {
	b := newTable(1, 3*Chunk, 10, Chunk+5, 7)
	lr, decay := []float64{.01, .02, 0, .1, .5}, []float64{.0005, 0, .5, .1, 0}
	type rest struct{ w, v, g []float64 }
	var before []rest
	for i := range b.weight {
		before = append(before, rest{b.weight[i].f32(), b.momentum[i].f32(), b.gradient[i].f32()})
	}
	b.check(t)
	b.update(t, lr, decay, .9)
	if set := b.flagged(); len(set) != 0 {
		t.Errorf("flags %v are set, and everything is finite", set)
	}
	for i, old := range before {
		w, v := old.w, old.v
		if lr[i] != 0 {
			for j := range w {
				v[j] = float64(float32(.9))*v[j] - decay[i]*lr[i]*w[j] - lr[i]*old.g[j]
				w[j] += v[j]
			}
		}
		what := fmt.Sprint("tensor ", i)
		near(t, what+" momentum", b.momentum[i].f32(), v, 1e-6, 3e-7)
		near(t, what+" weight", b.weight[i].f32(), w, 1e-6, 3e-7)
		if b.half[i] != nil && lr[i] != 0 {
			near(t, what+" copy", b.half[i].bf16(), bf16(b.weight[i].f32()).bf16(), 0, 0)
		}
	}
}

// TestUpdateStops: whatever is not finite is flagged by name and nothing changes, wherever in the tensor it stands.
func TestUpdateStops(t *testing.T) {
	lr, decay := []float64{.1, .1}, []float64{0, 0}
	for _, bad := range []float64{math.NaN(), math.Inf(-1)} {
		for _, place := range []int{0, Chunk, Chunk + 4} {
			b := newTable(3, Chunk+5)
			weights := b.weight[1].f32()
			g := b.gradient[1].f32()
			g[place] = bad
			b.gradient[1].data = f32(g).data
			b.check(t)
			b.update(t, lr, decay, .9)
			if set := b.flagged(); len(set) != 2 || set[0] != FlagStop || set[1] != FlagFirst+1 {
				t.Errorf("gradient 1 holds %g at %d, flags %v", bad, place, set)
			}
			near(t, "weights", b.weight[1].f32(), weights, 0, 0)
		}
		b := newTable(3)
		weights := b.weight[0].f32()
		run(t, "check_loss", 3, f32([]float64{1, 0, bad}), 3, b.flags)
		b.check(t)
		b.update(t, lr, decay, .9)
		if set := b.flagged(); len(set) != 2 || set[0] != FlagStop || set[1] != FlagLoss {
			t.Errorf("the loss is %g, flags %v", bad, set)
		}
		near(t, "weights", b.weight[0].f32(), weights, 0, 0)
	}
}

// TestUpdateOverflow: a weight that the update makes infinite is flagged, and stops the update after it.
func TestUpdateOverflow(t *testing.T) {
	b := newTable(3, 6)
	b.gradient[1].data = f32([]float64{0, 0, 0, 0, 0, -1e38}).data
	lr, decay := []float64{0, 10}, []float64{0, 0}
	b.check(t)
	b.update(t, lr, decay, .9)
	weight := FlagFirst + 2 + 1
	if set := b.flagged(); len(set) != 1 || set[0] != weight {
		t.Errorf("weight 1 overflowed, flags %v, want %d", set, weight)
	}
	b.gradient[1].data = f32(make([]float64, 6)).data
	before := b.weight[1].f32()
	b.check(t)
	b.update(t, lr, decay, .9)
	if set := b.flagged(); len(set) != 2 || set[0] != FlagStop || set[1] != weight {
		t.Errorf("a step after weight 1 overflowed, flags %v", set)
	}
	near(t, "weights a step later", b.weight[1].f32(), before, 0, 0)
}
