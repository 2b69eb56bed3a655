package train

import (
	"errors"
	"math"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/infer"
	"alexnet/internal/model"
	"alexnet/internal/step"
	"alexnet/internal/text"
)

// A dead start: the loss stays where guessing has it. With a softmax over C classes an untrained net has a loss near ln
// C, and one whose hidden units are all off can still learn the bias of its last layer, that is, how frequent each
// class is: its loss falls to the entropy of the labels and no further. So that entropy (ln C where classes are equally
// frequent) is the level to compare with.
//
// The loss is judged over the last quarter of a window: one epoch, but at least deadMin steps, since momentum .9 alone
// takes tens of steps to get to speed and tiny data has epochs of a few steps, and at most deadMax, a fifth of an epoch
// of ImageNet: bad news should not wait a day. A run that ends before is judged at its end, unless it is shorter than
// deadFloor: that is too early to expect anything. A mean not below 99% of the level is a dead start. While a net only
// guesses, the loss of every picture is close to the level, so the mean of some 50 batches scatters by far less than
// that 1%.
const (
	deadFloor = 40
	deadMin   = 200
	deadMax   = 2000
	deadShare = .99
	// deadRows is on how many pictures units are looked at. A unit is dead if it was 0 on all of them; of a
	// convolution, everywhere.
	deadRows = 64
	// deadLayer is the share of dead units from which on a layer lets nothing through.
	deadLayer = .99
	// deadHigh is how far above the level a loss shows that steps are too long rather than too short.
	deadHigh = 1.02
)

// A loss far above guessing shows sooner, and at any time, that steps are too long: one above highTimes ln C for
// highSteps steps in a row. That is told once in a run. A dead start that would say the same again is not told, nor
// this after one.
const (
	highTimes = 2
	highSteps = 50
)

// highState counts steps in a row whose loss was that high; highSteps: it was told. It goes into the checkpoint.
type highState int

// add takes the loss of a step and tells, once, that it has been too high for too long. ln is that of the classes.
func (h *highState) add(good bool, loss, ln float64) bool {
	if *h == highSteps || !good {
		return false
	}
	if loss <= highTimes*ln {
		*h = 0
		return false
	}
	*h++
	return *h == highSteps
}

// deadState watches the loss at the start of a run. It goes into the checkpoint, so that a resumed run judges as an
// undisturbed one.
type deadState struct {
	From  uint64  `json:"from"` // the step after which losses count
	To    uint64  `json:"to"`   // the step that ends the window; 0: not planned
	Sum   float64 `json:"sum"`
	Steps int     `json:"steps"`
}

// setWindow sets the window of a run that has taken `first` steps and is to end after `end`; one that is set stays.
// A run of a checkpoint that knows of no window is judged over the steps that follow. asked replaces the usual window.
func (d *deadState) setWindow(epoch, first, end, asked uint64) {
	if d.To != 0 || end <= first {
		return
	}
	window := min(max(epoch, deadMin), deadMax, end-first)
	if asked > 0 {
		window = asked
	} else if window < deadFloor {
		return
	}
	d.From, d.To = first+window-window/4, first+window
}

// add takes the loss of a step, counted from 1, and tells, once, that the start is dead: no better than guessing, which
// has the loss level.
func (d *deadState) add(step uint64, good bool, loss, level float64) bool {
	if step <= d.From || step > d.To {
		return false
	}
	if good {
		d.Sum += loss
		d.Steps++
	}
	return step == d.To && d.Steps > 0 && d.mean() >= deadShare*level
}

// blown tells that the loss was not only no better than guessing, but worse.
func (d *deadState) blown(level float64) bool { return d.mean() >= deadHigh*level }

func (d *deadState) mean() float64 { return d.Sum / float64(max(d.Steps, 1)) }

// entropy of the labels, in nats.
func entropy(set *data.Set, classes int) float64 {
	count := make([]float64, classes)
	for i := range set.Len() {
		count[set.Label(i)]++
	}
	h := 0.0
	for _, c := range count {
		if c > 0 {
			p := c / float64(set.Len())
			h -= p * math.Log(p)
		}
	}
	return h
}

// deadUnits is the share of a layer's units that were off on all the pictures looked at.
type deadUnits struct {
	layer string
	share float64
	init  config.Init
	fc    bool
}

// findDead runs some training pictures, centre crop, through a net of its own that keeps the outputs of all ReLUs.
func (t *trainer) findDead() (dead []deadUnits, err error) {
	layers := infer.Rectified(t.arch)
	if len(layers) == 0 {
		return nil, nil
	}
	names := make([]string, len(layers))
	for i := range layers {
		names[i] = layers[i].Name
	}
	rows := min(deadRows, t.cfg.Train.Batch)
	net, err := t.model.Compile(model.Options{
		Rows: rows, Precision: t.precision, Keep: names, Input: t.recipe,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, net.Close()) }()
	for _, m := range step.MemoryOf(t.o.Devices, net) {
		t.progress.Note(remark("the loss is no better than guessing; looking at the units takes another %s on %s for "+
			"a moment", text.Bytes(m.Plan.Total()), m.Device))
	}
	if err := net.Alloc(); err != nil {
		return nil, err
	}
	o := data.LoaderOptions{Batch: rows, Recipe: t.recipe, Workers: 1, Slots: step.Slots{Net: net}}
	loader, err := data.NewLoader(t.ctx, t.o.Source.Train, o)
	if err != nil {
		return nil, err
	}
	defer loader.Close()

	info, err := patientFeed{loader, t.dog}.Next()
	if err != nil {
		return nil, err
	}
	net.Forward(net.Slot(info.Slot), model.Pass{Seed: t.cfg.Train.Seed, Rows: info.Rows, Divisor: 1})
	for _, l := range layers {
		share, err := deadShareOf(net, l, info.Rows)
		if err != nil {
			return nil, err
		}
		dead = append(dead, deadUnits{l.Name, share, l.Init, l.Kind == config.FC})
	}
	return dead, nil
}

// deadShareOf looks at one layer's output, (rows, C, H, W).
func deadShareOf(net *model.Net, l model.Layer, rows int) (float64, error) {
	out := make([]float32, rows*l.Out.Len())
	if err := net.Fetch(l.Name, false, out); err != nil {
		return 0, err
	}
	alive := infer.NewAlive(&l)
	alive.Add(out)
	return float64(alive.Dead()) / float64(l.Out.C), nil
}

// deadStart says what was seen and what to try. Where a layer is off as a whole nothing after it can learn, whatever
// the rate: its bias and spread come first, with what Caffe's AlexNet changed in the paper's net against this very
// trouble, biases of .1 where the paper has 1 and a standard deviation of .005 in the fully connected layers where it
// has .01. Where units are alive and the loss is flat, steps are too short; where it is above guessing, too long, and
// that comes first. Where steps are too long the loss can be flat as well: 2.33 with the demo net at ten times its
// page's rate, where guessing has 2.30. So no rate above own, the page's, is ever advised: at it or above it a lower
// one is, and above it that comes first. Rates are reckoned from lr, train.lr, for that is what another run begins
// with, and not from the rate now, which the schedule may have lowered; a rate that it has come down to was tried.
func deadStart(d *deadState, level float64, dead []deadUnits, lr, now, own float64) *DeadStart {
	out := &DeadStart{Loss: d.mean(), Guessing: level, From: d.From + 1, To: d.To}
	var first, later []Change
	off := false
	for _, u := range dead {
		out.Units = append(out.Units, UnitsOff{u.layer, u.share})
		if u.share >= deadLayer {
			off = true
			first = append(first, u.revive()...)
		} else {
			later = append(later, u.revive()...)
		}
	}
	blown := d.blown(level)
	var rate []Change
	if lower, try := lowerRate(lr, now, own); !off && !blown && lr < own {
		rate = []Change{{"train.lr", min(10*lr, own)}}
	} else if try {
		rate = []Change{{"train.lr", lower}}
	}
	for _, changes := range [][]Change{first, rate, later} {
		if len(changes) > 0 {
			out.Try = append(out.Try, changes)
		}
	}
	if (blown || lr > own) && len(first) > 0 && len(rate) > 0 { // the rate switched them off
		out.Try[0], out.Try[1] = out.Try[1], out.Try[0]
	}
	return out
}

// revive is how the layer's units could begin alive.
func (u deadUnits) revive() (try []Change) {
	const bias, std = .1, .005
	if u.init.Bias > bias || u.init.Bias < 0 || u.share >= deadLayer && u.init.Bias != bias {
		try = append(try, Change{"model." + u.layer + ".init.bias", bias})
	}
	if u.fc && u.init.Std == .01 {
		try = append(try, Change{"model." + u.layer + ".init.std", std})
	}
	return try
}
