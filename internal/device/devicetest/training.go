package devicetest

import (
	"fmt"
	"slices"
	"testing"

	"alexnet/internal/device"
)

func testTraining(t *testing.T, open opener) {
	t.Run("three steps", func(t *testing.T) { testSteps(t, open) })
	t.Run("fewer rows after full ones", func(t *testing.T) { testFewerRows(t, open) })
	t.Run("frozen parameters", func(t *testing.T) { testFrozen(t, open) })
	t.Run("frozen ops", func(t *testing.T) { testFrozenOps(t, open) })
	t.Run("misuse of frozen ops", func(t *testing.T) { testFrozenMisuse(t, open) })
	t.Run("repeated", func(t *testing.T) { testRepeated(t, open, func() []*builder { return trainee(7, true) }) })
	t.Run("repeated on two devices", func(t *testing.T) { testRepeated(t, open, trainingPair) })
	t.Run("inference beside training", func(t *testing.T) { testBeside(t, open) })
	t.Run("inference alone", func(t *testing.T) { testInferenceAlone(t, open) })
	t.Run("gradient of the picture", func(t *testing.T) { testSaliency(t, open) })
	t.Run("batches written anew", func(t *testing.T) {
		testAwaited(t, open, func() []*builder { return trainee(4, true) })
	})
	t.Run("batches written anew on two devices", func(t *testing.T) { testAwaited(t, open, trainingPair) })
	t.Run("many batches under way", func(t *testing.T) { testManyBatches(t, open) })
	t.Run("batch in pinned memory", func(t *testing.T) { testPinned(t, open) })
	t.Run("loss seen while training goes on", func(t *testing.T) { testQueue(t, open) })
	t.Run("parameters in and out", func(t *testing.T) { testParams(t, open) })
}

// trainee is a net with every kind of op but links; nothing is kept but prob.
func trainee(rows int, train bool) []*builder {
	b := newProgram(3, 23, 23, rows)
	x := b.conv("conv1", 16, device.Conv{Kernel: 5, Stride: 2, RoundUp: true, Act: device.ReLU}, b.Input.Value)
	x = b.pool("pool1", device.Pool{Window: 3, Stride: 2}, b.lrn("lrn1", 5, 2, x))
	x = b.conv("conv2", 20, device.Conv{Kernel: 3, Pad: 1, Groups: 2}, x)
	x = b.pool("pool2", device.Pool{Kind: device.Avg, Window: 2, Stride: 2, RoundUp: true},
		b.activate("tanh2", device.Tanh, x))
	x = b.dropout("drop3", .5, 0, b.fc("fc3", 30, device.ReLU, x))
	b.Keep = []device.Value{b.softmax(b.fc("fc4", 7, device.Linear, x))}
	b.Train = train
	return []*builder{b}
}

func (r *rig) compareTrained() {
	r.t.Helper()
	r.compareParams(device.Weight, forwardTolerance)
	r.compareParams(device.Momentum, gradientTolerance)
	r.compareParams(device.Gradient, gradientTolerance)
}

// testSteps: three steps with momentum and decay, compared after each, and three more with no wait in between.
func testSteps(t *testing.T, open opener) {
	play(t, open, func() []*builder { return trainee(5, true) }, func(r *rig) {
		for s := range 3 {
			r.step(r.defaultPass(s, 5))
			r.update()
			r.compareValues(false)
			r.compareTrained()
		}
		for s := range 3 {
			pass := r.defaultPass(3+s, 5)
			pass.Divisor = 128 // the batch has rows elsewhere too
			r.step(pass)
			r.update()
		}
		r.compareTrained()
	})
}

// testFewerRows: what full passes leave in memory, and what lies in the rows out of use of a batch, must not be seen.
func testFewerRows(t *testing.T, open opener) {
	play(t, open, func() []*builder { return trainee(6, true) }, func(r *rig) {
		r.wild = true
		for s, rows := range []int{6, 2, 1, 5} {
			r.step(r.defaultPass(s, rows))
			r.update()
			r.compareValues(false)
			r.compareTrained()
		}
	})
}

// testFrozen: with lr 0 neither weight nor momentum changes by a bit, though the gradient is there, and the others go
// on.
func testFrozen(t *testing.T, open opener) {
	play(t, open, func() []*builder { return trainee(3, true) }, func(r *rig) {
		trainSteps(r, 3, 1)
		frozen := map[device.Param]bool{0: true, 3: true}
		before := r.snapshot()
		pass := r.defaultPass(1, 3)
		for p := range frozen {
			pass.LR[p] = 0
		}
		r.step(pass)
		r.update()
		r.compareTrained()
		for d := range r.nets {
			for p, s := range r.specs[d] {
				for _, part := range []device.Part{device.Weight, device.Momentum} {
					was, is := before[part][d][p], r.fetchParam(d, device.Param(p), part)
					if same := slices.Equal(was, is); same != frozen[device.Param(p)] {
						t.Errorf("%v of %s unchanged: %v, frozen: %v", part, s.Name, same, frozen[device.Param(p)])
					}
				}
			}
		}
		trainSteps(r, 3, 2) // thawed, with the momentum it had
		r.compareTrained()
	})
}

// snapshot reads weights and momentum of all devices.
func (r *rig) snapshot() map[device.Part][][][]float32 {
	all := map[device.Part][][][]float32{}
	for _, part := range []device.Part{device.Weight, device.Momentum} {
		for d := range r.nets {
			var ps [][]float32
			for p := range r.specs[d] {
				ps = append(ps, r.fetchParam(d, device.Param(p), part))
			}
			all[part] = append(all[part], ps)
		}
	}
	return all
}

// trainingPair is the net of two columns on two devices.
func trainingPair() []*builder {
	bs, _ := columnsNet(2, 3)
	for _, b := range bs {
		b.Train = true
	}
	return bs
}

// testRepeated: the same three steps on fresh devices give the same bits.
func testRepeated(t *testing.T, open opener, build func() []*builder) {
	var first map[device.Part][][][]float32
	for range 3 {
		r := newRig(t, 1, build(), open(t, len(build())))
		trainSteps(r, r.progs[0].Rows, 3)
		got := r.snapshot()
		r.close()
		if first == nil {
			first = got
		}
		for part, devs := range got {
			for d, ps := range devs {
				for p := range ps {
					if !slices.Equal(first[part][d][p], ps[p]) {
						t.Errorf("device %d: %v of %s differs from run to run", d, part, r.specs[d][p].Name)
					}
				}
			}
		}
	}
}

// testBeside: inference nets of other batch sizes share the parameters; they see each Update and each Store, and leave
// no trace.
func testBeside(t *testing.T, open opener) {
	play(t, open, func() []*builder { return trainee(4, true) }, func(r *rig) {
		one, many := r.shadow(trainee(1, false)), r.shadow(trainee(6, false))
		look := func(step int) {
			for _, s := range []*rig{one, many} {
				s.begin(s.defaultPass(step, s.progs[0].Rows))
				s.forward()
				s.compareValues(false)
				r.oracle.margin = min(r.oracle.margin, s.oracle.margin)
			}
		}
		look(10)
		for s := range 2 {
			r.step(r.defaultPass(s, 4))
			r.update()
			look(11 + s)
		}
		for p, s := range r.specs[0] {
			r.storeParam(0, device.Param(p), device.Weight, normals(r.source("stored "+s.Name, 0), s.Len(), .1))
		}
		look(13)
		r.step(r.defaultPass(2, 4))
		r.update()
		look(14)
		r.compareTrained()
		one.closeNets()
		many.closeNets()
	})
}

// testInferenceAlone: parameters that no net trains have weights and nothing else.
func testInferenceAlone(t *testing.T, open opener) {
	play(t, open, func() []*builder { return trainee(2, false) }, func(r *rig) {
		r.begin(r.defaultPass(0, 2))
		r.forward()
		r.compareValues(false)
		for d := range r.nets {
			for _, part := range []device.Part{device.Momentum, device.Gradient} {
				if err := r.params[d].Fetch(0, part, make([]float32, r.specs[d][0].Len())); err == nil {
					t.Errorf("there is %v without a training net", part)
				}
			}
		}
	})
}

// testSaliency: InputGrad without Train gives the gradient of the picture, dropout in its inference form.
func testSaliency(t *testing.T, open opener) {
	build := func() []*builder {
		bs := trainee(3, false)
		bs[0].InputGrad = true
		bs[0].Keep = append(bs[0].Keep, bs[0].Input.Value)
		return bs
	}
	play(t, open, build, func(r *rig) {
		r.step(r.defaultPass(0, 2))
		r.compareValues(true)
	})
}

// testAwaited: what Begin was given may be overwritten early: the batch as soon as every device was awaited, and the
// rates of the pass at once. All devices begin with one batch.
func testAwaited(t *testing.T, open opener, build func() []*builder) {
	play(t, open, build, func(r *rig) {
		for s := range 3 {
			pass := r.defaultPass(s, r.progs[0].Rows)
			r.begin(pass)
			if r.nets != nil {
				for range 2 { // the other one too, which was read long ago
					scribble(r.batch())
				}
			}
			rates := slices.Clone(pass.LR)
			clear(pass.LR)
			r.forward()
			r.backward()
			for _, n := range r.nets {
				n.Update()
			}
			r.sync()
			copy(pass.LR, rates) // the oracle reads them where they are
			for d := range r.progs {
				r.oracle.update(d)
			}
			r.compareValues(false)
			r.compareTrained()
		}
	})
}

// testManyBatches: any number of batches may be under way, one of them several times, and be awaited in any order.
func testManyBatches(t *testing.T, open opener) {
	play(t, open, func() []*builder { return trainee(4, true) }, func(r *rig) {
		batches := make([]*device.Batch, 5)
		for s := range batches {
			batches[s] = newBatch(r.progs[0])
			r.pass = r.defaultPass(s, 4)
			r.fill(batches[s])
		}
		for i, s := range []int{0, 1, 2, 2, 3, 4, 1} {
			r.beginWith(batches[s], r.defaultPass(i, 4))
			r.forward()
			r.backward()
			r.update()
		}
		for _, b := range append(batches, newBatch(r.progs[0])) { // the last was never begun with
			r.await(b)
			scribble(b)
		}
		r.compareValues(false)
		r.compareTrained()
	})
}

// testPinned: where a device offers memory, both devices read a batch there as any other.
func testPinned(t *testing.T, open opener) {
	play(t, open, trainingPair, func(r *rig) {
		b := newBatch(r.progs[0])
		if r.nets != nil {
			p, ok := r.devs[0].(device.Pinner)
			if !ok {
				return
			}
			memory, free, err := p.Pin(int64(len(b.Pixels)))
			r.must(err)
			defer func() { r.must(free()) }()
			if len(memory) != len(b.Pixels) {
				t.Fatalf("%d bytes of %d", len(memory), len(b.Pixels))
			}
			b.Pixels = memory
		}
		r.pass = r.defaultPass(0, r.progs[0].Rows)
		r.fill(b)
		r.beginWith(b, r.pass)
		r.await(b)
		scribble(b)
		r.forward()
		r.compareValues(false)
	})
}

// scribble fills a batch with what would be seen.
func scribble(b *device.Batch) {
	for i := range b.Pixels {
		b.Pixels[i] = 255
	}
	for i := range b.Labels {
		b.Labels[i], b.Crop[i], b.Flip[i], b.Color[i] = 0, [2]int32{}, true, [3]float32{1000, 1000, 1000}
	}
}

// testQueue: a Fetch reads what is there at its place in the queue, though it is waited for after the next pass began.
func testQueue(t *testing.T, open opener) {
	play(t, open, func() []*builder { return trainee(4, true) }, func(r *rig) {
		if r.nets == nil {
			trainSteps(r, 4, 3)
			return
		}
		loss := r.progs[0].Ops[len(r.progs[0].Ops)-1].(*device.SoftmaxLoss).Stats
		var tickets []device.Ticket
		var got [][]float32
		var want [][]float64
		for s := range 3 {
			r.step(r.defaultPass(s, 4))
			got = append(got, make([]float32, 4*3))
			tickets = append(tickets, r.nets[0].Fetch(loss, false, got[s]))
			want = append(want, slices.Clone(r.oracle.values[0][loss]))
			r.update()
			if s > 0 { // one step behind
				r.must(tickets[s-1].Wait())
				near(t, fmt.Sprintf("loss of step %d", s-1), got[s-1], want[s-1], forwardTolerance)
			}
		}
		r.must(tickets[2].Wait())
		near(t, "loss of step 2", got[2], want[2], forwardTolerance)
	})
}

// testParams: every part of every parameter comes out as it went in, whatever the private layout, also after a pass
// used it.
func testParams(t *testing.T, open opener) {
	play(t, open, func() []*builder { return trainee(2, true) }, func(r *rig) {
		if r.nets == nil {
			return
		}
		parts := []device.Part{device.Weight, device.Momentum, device.Gradient}
		stored := map[string][]float32{}
		for p, s := range r.specs[0] {
			for _, part := range parts {
				x := normals(r.source(part.String()+s.Name, 1), s.Len(), .1)
				stored[part.String()+s.Name] = x
				r.storeParam(0, device.Param(p), part, x)
			}
		}
		check := func(when string, parts []device.Part) {
			for p, s := range r.specs[0] {
				for _, part := range parts {
					if got := r.fetchParam(0, device.Param(p), part); !slices.Equal(got, stored[part.String()+s.Name]) {
						t.Errorf("%s: %v of %s is not what was stored", when, part, s.Name)
					}
				}
			}
		}
		check("at once", parts)
		r.begin(r.defaultPass(0, 2))
		r.forward()
		r.backward()
		check("after a pass", parts[:2])
		r.update()
		r.compareTrained()
		if specs := r.params[0].Specs(); len(specs) != len(r.specs[0]) || specs[2].Name != r.specs[0][2].Name {
			t.Errorf("Specs gives %v", specs)
		}
	})
}
