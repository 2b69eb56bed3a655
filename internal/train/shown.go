package train

import (
	"bytes"
	"image/png"
	"math"
	"runtime/debug"
	"slices"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/figure"
	"alexnet/internal/infer"
	"alexnet/internal/model"
	"alexnet/internal/report"
)

// What a run shows of its net at an epoch's end, in its event file: the kernels of the first convolution as a picture,
// and how the numbers of every weight and bias that learns are distributed, and those of their gradients in the
// epoch's last step. That takes .5 s of one core for the paper's net, whose 61 million numbers are read twice from the
// devices and counted, and 94 KB of the file (53 of them the picture); for the demo net 26 KB. So that neither matters,
// epochs that are too short for it go without. Which ones follows from the net, the pictures and the batch, never from
// a clock: a run that was resumed shows what the undisturbed one does.

const (
	// shownWork is how many multiply-adds training takes for each parameter that is shown. Of the paper's net, whose
	// picture takes 2.2 billion of them for 61 million parameters, that is an epoch of 7,400 pictures: 120 s at 60
	// images a second.
	shownWork = 1 << 18
	// shownSteps is how many steps, each of whose lines takes some .5 KB in metrics and events, there are for one
	// picture and its histograms once shownFreely epochs have been.
	shownSteps  = 100
	shownFreely = 16
	// largestShown is how large a picture may be: the paper's takes 53 KB. Larger ones are left out.
	largestShown = 1 << 19
	// returned is from how many numbers on memory goes back to the system at once: a step takes none, so nothing else
	// would give it back.
	returned = 1 << 20
)

// shows tells whether the end of an epoch (from 1) shows the net: of the first and the last, and of those between as
// shownAt has it.
func (t *trainer) shows(epoch int) bool { return t.finished() || t.showsThrough(epoch) }

// showsThrough is shows for an epoch that the run does not end with, unless it is the last of all.
func (t *trainer) showsThrough(epoch int) bool {
	return epoch == t.cfg.Train.Epochs ||
		shownAt(epoch, shownRate(t.arch, t.o.Source.Train.Len()), t.o.stepsPerEpoch())
}

// keepsShown tells whether what was shown at the step of the checkpoint that the run goes on from stays. Where it was
// shown only because the run ended there, with fewer steps or epochs than now, it goes: the longer run has none there.
func (t *trainer) keepsShown() bool {
	c := t.o.Resume
	if c == nil || t.finished() {
		return true
	}
	n := uint64(t.o.Source.Train.Len())
	return c.Sample%n == 0 && t.showsThrough(int(c.Sample/n))
}

// shownAt chooses all epochs that are long enough, by the share that shownRate gives, and every second, third, ... of
// shorter ones.
func shownAt(epoch int, rate float64, steps uint64) bool {
	if epoch > shownFreely {
		rate = min(rate, float64(steps)/shownSteps)
	}
	rate = min(rate, 1)
	return math.Ceil(rate*float64(epoch)) > math.Ceil(rate*float64(epoch-1))
}

// shownRate is how many times an epoch of so many pictures takes shownWork. A layer that learns takes as many
// multiply-adds twice again going back.
func shownRate(a *model.Arch, pictures int) float64 {
	work, numbers := 0.0, 0.0
	for i := range a.Layers {
		l := &a.Layers[i]
		times := 1.0
		for _, p := range l.Params {
			if a.Learns(p) {
				times, numbers = 3, numbers+float64(a.Params[p].Len())
			}
		}
		work += times * float64(l.MACs)
	}
	return work * float64(pictures) / (shownWork * numbers)
}

// show shows the net, where an epoch or the run ends. It comes before whatever a checkpoint of the same step may be
// written for, because a run that goes on from that has no gradients. Where the epoch ends with a batch that was passed
// over, nobody has those of its last step.
func (t *trainer) show(stepped bool) error {
	if t.metrics == nil || !t.epochEnds() && !t.finished() || !t.shows(t.history.Validated+1) {
		return nil
	}
	if err := t.drain(); err != nil {
		return err
	}
	var images []report.Image
	var histograms []report.Histogram
	err := t.dog.watch("a look at the weights", t.steps.Pass.Step, func() (err error) {
		images, histograms, err = t.seen(stepped)
		return err
	})
	if err != nil {
		return err
	}
	return t.appendShown(t.steps.Pass.Step, images, histograms)
}

// seen reads what is to be shown from the devices.
func (t *trainer) seen(stepped bool) (images []report.Image, histograms []report.Histogram, err error) {
	longest := 0
	for i := range t.arch.Params {
		longest = max(longest, t.arch.Params[i].Len())
	}
	buf := make([]float32, longest)
	if longest >= returned {
		defer debug.FreeOSMemory()
	}
	first := slices.IndexFunc(t.arch.Layers, func(l model.Layer) bool { return l.Kind == config.Conv })
	for i := range t.arch.Params {
		if !t.arch.Learns(i) {
			continue
		}
		p := &t.arch.Params[i]
		numbers := buf[:p.Len()]
		if err := t.model.Fetch(i, device.Weight, numbers); err != nil {
			return nil, nil, err
		}
		histograms = append(histograms, report.Count("weights/"+p.Name, numbers))
		if first >= 0 && i == t.arch.Layers[first].Params[0] {
			if images, err = t.filters(first, numbers); err != nil {
				return nil, nil, err
			}
		}
		if !stepped {
			continue
		}
		if err := t.model.Fetch(i, device.Gradient, numbers); err != nil {
			return nil, nil, err
		}
		histograms = append(histograms, report.Count("gradients/"+p.Name, numbers))
	}
	return images, histograms, nil
}

// filters draws a layer's kernels as in the paper's figure 3.
func (t *trainer) filters(layer int, weights []float32) ([]report.Image, error) {
	k := infer.KernelsIn(t.arch, layer)
	drawn := figure.Kernels{
		Weights: weights, Count: k.Shape[0], Channels: k.Shape[1], Size: k.Shape[2], Columns: k.Columns, Color: k.Color,
	}
	m := drawn.Mosaic()
	if m.Rect.Empty() {
		return nil, nil
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m.RGBA); err != nil {
		return nil, err
	}
	if b.Len() > largestShown {
		return nil, nil
	}
	return []report.Image{{Tag: "filters/" + k.Layer, Width: m.Rect.Dx(), Height: m.Rect.Dy(), PNG: b.Bytes()}}, nil
}
