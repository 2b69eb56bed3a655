// Package schedule is the learning rate over a run: for every epoch the factors of train.lr that parameters get, by the
// kinds of schedule that a configuration can name.
//
// It knows no run. What it must remember from one epoch to the next is a [Plateau], which whoever runs the epochs
// keeps. It imports configurations and the model's list of parameters, nothing else of the program.
package schedule

import (
	"math"

	"alexnet/internal/config"
	"alexnet/internal/model"
)

// The authors' schedule by hand (authors2012), after the notes with net 145 of their 2012 source, for ILSVRC-2010: what
// changed, and after how many whole passes over the data. Factors are of train.lr, .01 in the paper.
//
//	epochs done   weights' lr    conv1's weights        colour noise
//	 0            lr     1e-2    as the others          on
//	23            lr/10  1e-3    as the others          on
//	51            lr/100 1e-4    as the others          on
//	68            lr/100 1e-4    lr/1000  1e-5          off
//	72            lr/100 1e-4    frozen (biases too)    off
//	78            lr/1000 1e-5   frozen (biases too)    off
//	93            they stopped: set train.epochs to 93
//
// The notes say that the biases' lr did not follow each drop, not which it followed; here it follows none and stays
// train.lr * bias_lr. The table is a record of one run and is not scaled to other values of train.epochs: a shorter run
// sees the changes that lie in it, at these epochs. "conv1" is the net's first layer with weights, whatever its name.
const (
	AuthorsDrop1  = 23
	AuthorsDrop2  = 51
	authorsNoHue  = 68
	authorsFreeze = 72
	AuthorsDrop3  = 78
)

// MinImprovement is what a validation error must fall by to count as better, for plateau and for the best checkpoint:
// any fall counts, but not the last bit of a division.
const MinImprovement = 1e-9

// Plateau is what the schedule of that kind has seen. It goes into the checkpoint.
type Plateau struct {
	Seen   int     `json:"seen,omitempty"`   // validations
	Lowest float64 `json:"lowest,omitempty"` // lowest top-1 error among them
	Since  int     `json:"since,omitempty"`  // validations since then
	Drops  int     `json:"drops,omitempty"`  // times the rate was lowered
}

// See takes the top-1 error of a validation at an epoch's end. With the kind plateau, when it has not reached a new low
// for Patience validations, the rate drops, Drops times at most; after a drop patience starts anew against the same
// lowest error. It tells whether the rate dropped.
func (p *Plateau) See(cfg config.Schedule, top1 float64) bool {
	if cfg.Kind != config.Plateau {
		return false
	}
	if p.Seen++; p.Seen == 1 || top1 < p.Lowest-MinImprovement {
		p.Lowest, p.Since = top1, 0
		return false
	}
	if p.Since++; p.Since < cfg.Patience || p.Drops >= cfg.Drops {
		return false
	}
	p.Drops, p.Since = p.Drops+1, 0
	return true
}

// Rates are factors of train.lr (biases: before bias_lr); 0 freezes.
type Rates struct {
	Weights, Biases         float64
	FirstWeights, FirstBias float64 // of the net's first layer with weights
	Color                   bool    // colour noise as configured
}

// At gives the rates after `done` whole epochs, and of validations what p says.
func At(cfg config.Schedule, p Plateau, done int) Rates {
	f := 1.0
	switch cfg.Kind {
	case config.Authors2012:
		return authors2012(done)
	case config.Steps:
		for _, e := range cfg.Epochs {
			if done >= e {
				f *= cfg.Factor
			}
		}
	case config.Plateau:
		f = math.Pow(cfg.Factor, float64(p.Drops))
	}
	return Rates{Weights: f, Biases: f, FirstWeights: f, FirstBias: f, Color: true}
}

func authors2012(done int) Rates {
	r := Rates{Weights: 1, Biases: 1, FirstBias: 1, Color: done < authorsNoHue}
	switch {
	case done >= AuthorsDrop3:
		r.Weights = 1. / 1000
	case done >= AuthorsDrop2:
		r.Weights = 1. / 100
	case done >= AuthorsDrop1:
		r.Weights = 1. / 10
	}
	switch {
	case done >= authorsFreeze:
		r.FirstWeights, r.FirstBias = 0, 0
	case done >= authorsNoHue:
		r.FirstWeights = 1. / 1000
	default:
		r.FirstWeights = r.Weights
	}
	return r
}

// Apply writes lr and decay of every parameter, by index in arch.Params, for the device's update v = momentum v - decay
// lr w - lr g. Biases take bias_lr times the rate and their own decay; a layer's `lr` multiplies, its `bias_lr` and
// `weight_decay` replace.
func (r Rates) Apply(arch *model.Arch, t config.Train, lr, decay []float32) {
	for i, p := range arch.Params {
		first := p.Layer == arch.Params[0].Layer
		f, d, bias := r.Weights, t.WeightDecay, t.BiasLR
		if p.BiasLR != nil {
			bias = *p.BiasLR
		}
		switch {
		case p.Bias && first:
			f, d = r.FirstBias*bias, t.BiasDecay
		case p.Bias:
			f, d = r.Biases*bias, t.BiasDecay
		case first:
			f = r.FirstWeights
		}
		if p.Decay != nil {
			d = *p.Decay
		}
		lr[i], decay[i] = float32(t.LR*f*p.LR), float32(d)
	}
}
