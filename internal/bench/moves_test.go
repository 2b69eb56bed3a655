package bench

import (
	"fmt"
	"math"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/cpu"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/device"
	"alexnet/internal/step"
)

// Guards against slower steps that need no clock: what a step allocates, and what it moves without computing anything.

// stepCase is a net on cpu devices that learns, or predicts. moves are those on AVX-512 (with bf16), with oneDNN 2.x;
// in bf16 with AMX, those of stepTiles.
type stepCase struct {
	mode      string
	net       string
	devices   int
	precision string
	rows      int
	moves     device.Moves
	int8      bool
}

// want is what a step moves on this processor; not known: oneDNN's choice of layouts may be another.
func (c *stepCase) want() (want device.Moves, known bool) {
	known = strings.HasPrefix(cpu.Version(), "oneDNN 2.") && strings.HasPrefix(cpu.ISA(), "avx512_core")
	if c.precision == "bf16" && strings.Contains(cpu.ISA(), "amx") {
		moves, there := stepTiles[c.String()]
		if !there {
			panic("stepTiles lacks " + c.String())
		}
		return moves, known
	}
	return c.moves, known
}

// Bytes of numbers in fp32 that are read and written by a copy, of a batch of so many; in bf16 half of it.
const (
	copy4  = 4 * 2 * 4
	copy8  = 8 * 2 * 4
	copy16 = 16 * 2 * 4
	copy32 = 32 * 2 * 4
)

// transformed is what the paper's five convolutions read and write of their weights: for each pair of an input and an
// output the kernel and 49 points, twice, but conv1's once, where 16 pixels of a colour are inputs. After each point of
// a group comes a line of 64 bytes more.
const transformed = 4*(96*3*11*11+96*48*49) + 2*4*(256*48*(25+49)+(384*256+384*192+256*192)*(9+49))

const lines = 49 * 64

var stepCases = []stepCase{
	{mode: Train, net: "alexnet", devices: 1, precision: "fp32", rows: 8, moves: device.Moves{
		// pool5 becomes a vector for fc6, its gradient a map; all convolutions are Winograd's, the first without a
		// gradient of its input.
		Reorders:      2 + 1 + 2*4,
		BetweenOps:    copy8 * 2 * 256 * 6 * 6,
		PackedWeights: transformed + lines*(1+2*(2+1+2+2)),
		Upload:        8 * 3 * 224 * 224 * (1 + 4),
	}},
	{mode: Train, net: "alexnet", devices: 2, precision: "fp32", rows: 8, moves: device.Moves{
		// On each device: the halves of pool5, one's own and the received one, there and back; weights as above.
		Reorders: 2*2*2 + 2*(1+2*4),
		// Before conv3, fc6 and fc7 each device joins two halves and splits their gradient, and each half is posted and
		// got, there and back: 8 and 8, of which fc6's joins are among the reorders. fc8 reads on device 0 alone: 4
		// and 4.
		Copies: 16 + 8 + 16 + 8,
		// What is joined: on two devices pool2, pool5 and fc6, on one fc7; there and back.
		BetweenOps:    copy8 * 2 * (2*256*13*13 + 2*256*6*6 + 2*4096 + 4096),
		PackedWeights: transformed + 2*lines*(1+2*4),
		// 468,992 bytes a picture cross, half of them forward: posted and got, so four times. Gradients but for fc7's
		// are added to what is there.
		Exchange: 8*4*468_992 + 8*(468_992/2-4*2048),
		Upload:   2 * 8 * 3 * 224 * 224 * (1 + 4),
	}},
	{mode: Train, net: "alexnet", devices: 1, precision: "bf16", rows: 32, moves: device.Moves{
		// All convolutions are Winograd's as above; the update packs the three other weights, of which oneDNN pads
		// some.
		Reorders: 2 + 1 + 2*4, BetweenOps: copy32 / 2 * 2 * 256 * 6 * 6, PackedWeights: 228_433_984,
		Upload: 32 * 3 * 224 * 224 * (1 + 2),
	}},
	{mode: Train, net: "alexnet", devices: 2, precision: "bf16", rows: 4, moves: device.Moves{
		// conv2 is Winograd's; conv1 with half of its kernels is not at 4 rows. Other convolutions' weights are packed
		// for forward, conv3's to conv5's for the data gradient too: oneDNN pads some.
		Reorders: 2*2*2 + 2*(2+1+3+3), Copies: 48, BetweenOps: copy4 / 2 * 2 * (2*256*13*13 + 2*256*6*6 + 2*4096 +
			4096), PackedWeights: 148_847_744, Exchange: (4*4*468_992 + 4*(468_992/2-4*2048)) / 2,
		Upload: 2 * 4 * 3 * 224 * 224 * (1 + 2),
	}},
	{mode: Train, net: "demo", devices: 1, precision: "fp32", rows: 16, moves: device.Moves{
		// pool3 for fc4, there and back; conv2 is Winograd's, conv3's weights are packed for the data gradient.
		Reorders: 2 + 2 + 1, BetweenOps: copy16 * 2 * 64 * 3 * 3, PackedWeights: 2*4*32*16*(9+49) + 2*lines +
			2*4*64*16*9, Upload: 16 * 3 * 28 * 28 * (1 + 4),
	}},
	{mode: Train, net: "demo", devices: 2, precision: "fp32", rows: 16, moves: device.Moves{
		// conv2's inputs have 8 channels of a block of 16 each: 8 of its joins and gets fill blocks with both, pool3
		// for fc4 takes 8; conv2's and conv3's weights.
		Reorders: 8 + 8 + 4, Copies: 8 + 8 + 8,
		// What is joined, as above, there and back; half-filled blocks count whole: one side of 6 of conv2's joins, and
		// 14 times in pool1's exchange.
		BetweenOps:    copy16*2*(2*16*14*14+2*64*3*3+128) + copy16/2*6*8*14*14,
		PackedWeights: 2 * 4 * (32 + 64) * 16 * 9,
		Exchange:      2*4*16*4*(16*14*14+64*3*3+64) + 16*4*(16*14*14+64*3*3) + 14*16*4*8*14*14,
		Upload:        2 * 16 * 3 * 28 * 28 * (1 + 4),
	}},
	{mode: Train, net: "demo", devices: 1, precision: "bf16", rows: 16, moves: device.Moves{
		Reorders: 2 + 5, BetweenOps: copy16 / 2 * 2 * 64 * 3 * 3, PackedWeights: 325_440,
		Upload: 16 * 3 * 28 * 28 * (1 + 2),
	}},
	{mode: Train, net: "fig1", devices: 1, precision: "fp32", rows: 16, moves: device.Moves{
		// pool3 for fc10, there and back; conv2 and conv3 are Winograd's.
		Reorders: 2 + 2*2, BetweenOps: copy16 * 2 * 64 * 4 * 4, PackedWeights: 2*4*(32*32+64*32)*(25+49) + 2*2*lines,
		Upload: 16 * 3 * 32 * 32 * (1 + 4),
	}},
	{mode: Train, net: "fig1", devices: 1, precision: "bf16", rows: 16, moves: device.Moves{
		Reorders: 2 + 5, BetweenOps: copy16 / 2 * 2 * 64 * 4 * 4, PackedWeights: 970_368,
		Upload: 16 * 3 * 32 * 32 * (1 + 2),
	}},
	// Predicting, every weight was packed in the first pass.
	{mode: Infer, net: "alexnet", devices: 1, precision: "fp32", rows: 1, moves: device.Moves{
		Reorders: 1, BetweenOps: 2 * 4 * 256 * 6 * 6, Upload: 3 * 224 * 224 * (1 + 4),
	}},
	{mode: Infer, net: "alexnet", devices: 1, precision: "bf16", rows: 1, moves: device.Moves{
		Reorders: 1, BetweenOps: 2 * 2 * 256 * 6 * 6, Upload: 3 * 224 * 224 * (1 + 2),
	}},
	{mode: Infer, net: "alexnet", devices: 1, precision: "fp32", rows: 1, int8: true, moves: device.Moves{
		Reorders: 1, BetweenOps: 2 * 4 * 256 * 6 * 6, Upload: 3 * 224 * 224 * (1 + 4),
	}},
}

// stepTiles are the moves where values have channels last. Convolutions' weights are packed for the forward pass and,
// but for the first layer's, which is folded (its input and the gradient of its weights are laid out anew), for the
// data gradient; fully connected ones by the update, which no reorder counts.
var stepTiles = map[string]device.Moves{
	"train: alexnet on 1 in bf16, 32": {
		Reorders: 2 + 5 + 4 + 2, BetweenOps: copy32/2*2*256*6*6 + 2*32*(3*224*224+48*57*57), PackedWeights: 145_707_456,
		Upload: 32 * 3 * 224 * 224 * (1 + 2),
	},
	"train: alexnet on 2 in bf16, 4": {
		Reorders: 2*2*2 + 2*(5+4+2), Copies: 48,
		BetweenOps:    copy4/2*2*(2*256*13*13+2*256*6*6+2*4096+4096) + 2*2*4*(3*224*224+48*57*57),
		PackedWeights: 145_707_456,
		Exchange:      (4*4*468_992 + 4*(468_992/2-4*2048)) / 2, Upload: 2 * 4 * 3 * 224 * 224 * (1 + 2),
	},
	"train: demo on 1 in bf16, 16": {
		Reorders: 2 + 3 + 2 + 2, BetweenOps: copy16/2*2*64*3*3 + 2*16*(3*28*28+16*32*28), PackedWeights: 334_240,
		Upload: 16 * 3 * 28 * 28 * (1 + 2),
	},
	"train: fig1 on 1 in bf16, 16": {
		Reorders: 2 + 3 + 2 + 2, BetweenOps: copy16/2*2*64*4*4 + 2*16*(3*32*32+16*36*32), PackedWeights: 987_968,
		Upload: 16 * 3 * 32 * 32 * (1 + 2),
	},
	"infer: alexnet on 1 in bf16, 1": {Reorders: 1, BetweenOps: 2 * 2 * 256 * 6 * 6, Upload: 3 * 224 * 224 * (1 + 2)},
}

func (c *stepCase) String() string {
	s := fmt.Sprintf("%s: %s on %d in %s, %d", c.mode, c.net, c.devices, c.precision, c.rows)
	if c.int8 {
		s += " with int8 weights"
	}
	return s
}

// open makes the stepper of a measurement, with pictures from memory or from a loader.
func (c *stepCase) open(t *testing.T, src *data.Source) *step.Stepper {
	t.Helper()
	cfg, err := config.Load(c.net, []string{"train.precision=" + c.precision, fmt.Sprintf("train.batch=%d", c.rows)})
	if err != nil {
		t.Fatal(err)
	}
	devs, err := cpu.Open(c.devices)
	if err != nil {
		t.Fatal(err)
	}
	b := &measurement{
		Options: Options{Config: cfg, Devices: devs, Mode: c.mode, Source: src, Int8: c.int8}, cfg: *cfg,
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
		for _, d := range devs {
			d.Close()
		}
	})
	p, lacking, err := step.Precision(cfg, devs)
	if err != nil {
		t.Fatal(err)
	}
	if lacking != nil {
		t.Skip(lacking)
	}
	if b.cfg.Model, err = cfg.Model.ForClasses(0); err != nil {
		t.Fatal(err)
	}
	s, err := b.open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStepMoves: each step moves what the table says; Go allocates nothing, and the process does not grow, so that
// neither oneDNN nor the C code keeps memory or takes large pieces anew. One device and two start with the same loss.
func TestStepMoves(t *testing.T) {
	if !cpu.Built {
		t.Skip(cpu.Available())
	}
	losses := map[string]float64{}
	for _, c := range stepCases {
		t.Run(c.String(), func(t *testing.T) {
			if testing.Short() && c.net == "alexnet" && c.mode == Train {
				t.Skip("takes a GiB")
			}
			s := c.open(t, nil)
			loss := c.moved(t, s)
			step := func() { next(t, s) }
			if n := testing.AllocsPerRun(3, step); n != 0 {
				t.Errorf("%g allocations a step", n)
			}
			if n := leastFaults(t, step); n > 4 {
				t.Errorf("%d pages more after each step", n)
			}
			of := fmt.Sprint(c.mode, c.net, c.precision, c.int8)
			if one, ok := losses[of]; ok && !(math.Abs(loss/one-1) <= 1e-5) && c.precision == "fp32" {
				t.Errorf("first loss %v, on one device %v", loss, one)
			}
			losses[of] = loss
		})
	}
}

// moved checks what the second step moves, and returns the loss of the first.
func (c *stepCase) moved(t *testing.T, s *step.Stepper) (loss float64) {
	t.Helper()
	next(t, s)
	first, err := s.Drain()
	if err != nil {
		t.Fatal(err)
	}
	loss = first.Score.Loss
	before, _ := s.Net.Moves()
	next(t, s)
	after, ok := s.Net.Moves()
	got := after.Sub(before)
	want, known := c.want()
	switch {
	case !ok:
		t.Error("the device does not count")
	case !known:
		t.Logf("%+v with %s, %s", got, cpu.Version(), cpu.ISA())
	case got != want:
		t.Errorf("a step moves\n%+v, want\n%+v", got, want)
	}
	next(t, s)
	return loss
}

// With a loader that has the pictures in memory a step costs no garbage either.
func TestLoadedStepAllocatesNothing(t *testing.T) {
	if !cpu.Built {
		t.Skip(cpu.Available())
	}
	src, err := demo.Open(demo.Options{Train: 4, Val: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	c := stepCase{mode: Train, net: "demo", devices: 1, precision: "fp32", rows: 16}
	s := c.open(t, src)
	for range 20 { // every picture was decoded, all buffers are there
		next(t, s)
	}
	if n := testing.AllocsPerRun(40, func() { next(t, s) }); n > 0 {
		t.Errorf("%g allocations a step", n)
	}
}

func next(t *testing.T, s *step.Stepper) {
	if _, err := s.Step(); err != nil {
		t.Fatal(err)
	}
}

// leastFaults is the number of pages that the process gets in a step, the least of five: Go's own memory may come and
// go.
func leastFaults(t *testing.T, step func()) int64 {
	t.Helper()
	least := int64(math.MaxInt64)
	for range 5 {
		before := faults(t)
		step()
		least = min(least, faults(t)-before)
	}
	return least
}

// faults are the pages that the process got so far.
func faults(t *testing.T) int64 {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return r.Minflt
}
