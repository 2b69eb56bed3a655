package train

import (
	"fmt"
	"math"
	"strings"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/model"
)

// A dead start: the loss stays where guessing has it. With a softmax over C classes an untrained net has a loss near ln C, and one whose
// hidden units are all off can still learn the bias of its last layer, that is, how frequent each class is: its loss falls to the
// entropy of the labels and no further. So that entropy (ln C where classes are equally frequent) is the level to compare with.
//
// The loss is judged over the last quarter of a window: one epoch, but at least deadMin steps, since momentum .9 alone takes tens of
// steps to get to speed and tiny data has epochs of a few steps, and at most deadMax, a fifth of an epoch of ImageNet: bad news should
// not wait a day. A mean not below 99% of the level is a dead start. While a net only guesses, the loss of every picture is close to the
// level, so the mean of some 50 batches scatters by far less than that 1%.
const (
	deadMin   = 200
	deadMax   = 2000
	deadShare = .99
	// deadRows is on how many pictures units are looked at. A unit is dead if it was 0 on all of them; of a convolution, everywhere.
	deadRows = 64
)

// deadStart watches the loss of the first steps.
type deadStart struct {
	window uint64 // steps of the run
	level  float64
	sum    float64
	steps  int
	over   bool // judged, or nothing to judge
}

// newDeadStart prepares for a run with `first` steps behind it. A run resumed after judging began is not judged again.
func newDeadStart(set *data.Set, classes int, window, first uint64) *deadStart {
	return &deadStart{window: window, level: entropy(set, classes), over: first > judged(window)}
}

// judged is the step after which losses count.
func judged(window uint64) uint64 { return window - window/4 }

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

// add takes the loss of a step, counted from 1, and tells, once, that the start is dead.
func (d *deadStart) add(step uint64, loss float64) bool {
	if d.over || step <= judged(d.window) {
		return false
	}
	d.sum += loss
	d.steps++
	d.over = step >= d.window
	return d.over && d.mean() >= deadShare*d.level
}

func (d *deadStart) mean() float64 { return d.sum / float64(max(d.steps, 1)) }

// deadUnits is the share of a layer's units that were off on all the pictures looked at.
type deadUnits struct {
	layer string
	share float64
	init  config.Init
	fc    bool
}

// rectified are the layers that end in a ReLU.
func rectified(a *model.Arch) (layers []model.Layer) {
	for _, l := range a.Layers {
		if l.Act == "relu" && (l.Kind == "conv" || l.Kind == "fc" || l.Kind == "activation") {
			layers = append(layers, l)
		}
	}
	return layers
}

// findDead runs some training pictures, centre crop, through a net of its own that keeps the outputs of all ReLUs.
func (t *trainer) findDead() (dead []deadUnits, err error) {
	layers := rectified(t.arch)
	if len(layers) == 0 {
		return nil, nil
	}
	names := make([]string, len(layers))
	for i := range layers {
		names[i] = layers[i].Name
	}
	rows := min(deadRows, t.cfg.Train.Batch)
	net, err := t.model.Compile(model.Options{Rows: rows, Precision: t.precision, Keep: names, Input: input(&t.pre)})
	if err != nil {
		return nil, err
	}
	defer closeInto(&err, net.Close)
	if err := net.Alloc(); err != nil {
		return nil, err
	}
	o := loaderOptions(&t.pre, t.arch.Input.H, rows, 1)
	o.CacheBytes = t.o.CacheBytes
	loader, err := data.NewLoader(t.o.Source.Train, o)
	if err != nil {
		return nil, err
	}
	defer loader.Close()

	b := net.Stage()
	info, err := loader.Next(rowsOf(b))
	if err != nil {
		return nil, err
	}
	net.Forward(b, model.Pass{Seed: t.cfg.Train.Seed, Rows: info.Rows, Divisor: 1})
	for _, l := range layers {
		share, err := deadShareOf(net, l, info.Rows)
		if err != nil {
			return nil, err
		}
		dead = append(dead, deadUnits{l.Name, share, l.Init, l.Kind == "fc"})
	}
	return dead, nil
}

// deadShareOf looks at one layer's output, (rows, C, H, W).
func deadShareOf(net *model.Net, l model.Layer, rows int) (float64, error) {
	out := make([]float32, rows*l.Out.Len())
	if err := net.Fetch(l.Name, false, out); err != nil {
		return 0, err
	}
	alive, area := make([]bool, l.Out.C), l.Out.H*l.Out.W
	for i, x := range out {
		if x > 0 {
			alive[i/area%l.Out.C] = true
		}
	}
	n := 0
	for _, a := range alive {
		if !a {
			n++
		}
	}
	return float64(n) / float64(l.Out.C), nil
}

// deadWarning says what was seen and what to try: a lower rate, and what Caffe's AlexNet changed in the paper's net against this very
// trouble, biases of .1 where the paper has 1 and a standard deviation of .005 in the fully connected layers where it has .01.
func deadWarning(d *deadStart, dead []deadUnits, lr float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "warning: the loss was %.4g over steps %d to %d, no better than guessing (%.4g): the net has not begun to learn.",
		d.mean(), judged(d.window)+1, d.window, d.level)
	var shares, try []string
	for _, u := range dead {
		shares = append(shares, fmt.Sprintf("%s %.0f%%", u.layer, 100*u.share))
		if u.init.Bias > .1 || u.init.Bias < 0 {
			try = append(try, fmt.Sprintf("--set model.%s.init.bias=0.1", u.layer))
		}
		if u.fc && u.init.Std == .01 {
			try = append(try, fmt.Sprintf("--set model.%s.init.std=0.005", u.layer))
		}
	}
	if len(dead) > 0 {
		fmt.Fprintf(&b, " Units that were off on all of some training pictures: %s.", strings.Join(shares, ", "))
	}
	fmt.Fprintf(&b, " Try a new run with --set train.lr=%.2g", lr/10)
	if len(try) > 0 {
		fmt.Fprintf(&b, ", or with %s", strings.Join(try, " "))
	}
	b.WriteString(", or from weights that have learned something: --init FILE.")
	return b.String()
}
