package devicetest

import (
	"slices"
	"testing"

	"alexnet/internal/device"
)

// testFrozenOps: where the first ops are frozen, what learns learns as if they were not, bit for bit; their parameters
// stay as they are and take no memory to learn, and nothing crosses back before.
func testFrozenOps(t *testing.T, open opener) {
	one := func() []*builder { return trainee(5, true) }
	for _, k := range []struct {
		name, first string // of the ops that learn
		build       func() []*builder
	}{
		{"below a convolution", "conv2", one},
		{"below a fully connected layer", "fc3", one},
		{"all but the last layer", "fc4", one},
		{"two devices, below a convolution of both columns", "conv3", trainingPair},
		{"two devices, below a convolution of one column", "conv4", trainingPair},
		{"two devices, below fc6", "fc6", trainingPair},
		{"two devices, all but the last layer", "fc8", trainingPair},
	} {
		t.Run(k.name, func(t *testing.T) {
			frozen := k.build()
			for _, b := range frozen {
				freeze(b, k.first)
			}
			all := newRig(t, 1, k.build(), open(t, len(frozen)))
			some := newRig(t, 1, frozen, open(t, len(frozen)))
			before := all.snapshot()
			for _, r := range []*rig{all, some} {
				for s := range 3 {
					pass := r.defaultPass(s, r.progs[0].Rows)
					for p := range pass.LR {
						if !some.progs[0].Learns(device.Param(p)) {
							pass.LR[p] = 0
						}
					}
					r.step(pass)
					r.update()
				}
				r.sync()
			}
			compareFrozen(t, all, some, before[device.Weight])
			all.close()
			some.close()
		})
	}
}

// freeze freezes the ops before the one of a name; where there is none, all.
func freeze(b *builder, first string) {
	b.Frozen = slices.IndexFunc(b.Ops, func(s device.Spec) bool { return s.Base().Name == first })
	if b.Frozen < 0 {
		b.Frozen = len(b.Ops)
	}
}

// compareFrozen holds a rig whose first ops are frozen to one that has all gradients, after the same steps.
func compareFrozen(t *testing.T, all, some *rig, before [][][]float32) {
	t.Helper()
	for d, specs := range some.specs {
		for p, s := range specs {
			id := device.Param(p)
			if !slices.Equal(all.fetchParam(d, id, device.Weight), some.fetchParam(d, id, device.Weight)) {
				t.Errorf("device %d: %s is another", d, s.Name)
			}
			learns := some.progs[d].Learns(id)
			if slices.Equal(before[d][p], some.fetchParam(d, id, device.Weight)) == learns {
				t.Errorf("device %d: %s changed: %v, learns: %v", d, s.Name, !learns, learns)
			}
			for _, part := range []device.Part{device.Momentum, device.Gradient} {
				x := make([]float32, s.Len())
				switch err := some.params[d].Fetch(id, part, x); {
				case !learns && err == nil:
					t.Errorf("device %d: %s has %v, and is frozen", d, s.Name, part)
				case learns && err != nil:
					t.Errorf("device %d: %v", d, err)
				case learns && !slices.Equal(all.fetchParam(d, id, part), x):
					t.Errorf("device %d: %v of %s is another", d, part, s.Name)
				}
			}
		}
		for _, purpose := range []string{device.PurposeMomentum, device.PurposeGradients, device.PurposeBackward} {
			if is, was := bytesFor(some.nets[d], purpose), bytesFor(all.nets[d], purpose); is >= was {
				t.Errorf("device %d: %d bytes of %s, %d where nothing is frozen", d, is, purpose, was)
			}
		}
		for i, spec := range some.progs[d].Ops {
			if send, ok := spec.(*device.Send); ok {
				forward, _ := send.Link.Forward.Traffic()
				back, _ := send.Link.Backward.Traffic()
				if forward == 0 || (back == 0) != (i < some.progs[d].Frozen) {
					t.Errorf("link %s: %d bytes forward, %d back, frozen: %v", send.Link.Name, forward, back,
						i < some.progs[d].Frozen)
				}
			}
		}
	}
}

func bytesFor(n device.Net, purpose string) (bytes int64) {
	for _, item := range n.Memory() {
		if item.Purpose == purpose {
			bytes += item.Bytes
		}
	}
	return bytes
}

// testFrozenMisuse: frozen ops have no Backward, and what they write has no gradient.
func testFrozenMisuse(t *testing.T, open opener) {
	for name, call := range map[string]func(r *rig, kept device.Value){
		"backward of a frozen op": func(r *rig, _ device.Value) { r.nets[0].Backward(0) },
		"gradient of a frozen value": func(r *rig, kept device.Value) {
			r.nets[0].Fetch(kept, true, make([]float32, 5*r.progs[0].Values[kept].Shape.Len()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bs := trainee(5, true)
			freeze(bs[0], "fc3")
			kept := bs[0].Ops[0].Base().Out
			bs[0].Keep = append(bs[0].Keep, kept)
			devs := open(t, 1)
			r := newRig(t, 1, bs, devs)
			r.step(r.defaultPass(0, 5))
			r.sync()
			r.fetch(0, kept, false)
			call(r, kept)
			_ = failure(t, r.nets[0], devs[0].Name())
			r.close()
		})
	}
}
