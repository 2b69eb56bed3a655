package train

import (
	"encoding/json"
	"fmt"
	"math"

	"alexnet/internal/config"
	"alexnet/internal/model"
	"alexnet/internal/step"
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
	authorsDrop1  = 23
	authorsDrop2  = 51
	authorsNoHue  = 68
	authorsFreeze = 72
	authorsDrop3  = 78
)

// Kinds of schedule, as train.schedule.kind names them.
const (
	kindConstant = "constant"
	kindSteps    = "steps"
	kindPlateau  = "plateau"
	kindAuthors  = "authors2012"
)

// minImprovement is what a validation error must fall by to count as better, for plateau and for the best checkpoint:
// any fall counts, but not the last bit of a division.
const minImprovement = 1e-9

// schedule decides the rates of every step. Its state goes into the checkpoint.
type schedule struct {
	cfg   config.Schedule
	state scheduleState
}

// scheduleState is what a resumed run must know.
type scheduleState struct {
	Validated int `json:"validated"` // whole epochs whose end (validation, plateau) is behind us
	// steps taken at the last epoch line, that at the end of a run included
	ValidatedAt uint64      `json:"validated_at"`
	Last        *step.Score `json:"last,omitempty"`   // of the validation then; nil: no pictures for it
	Seen        int         `json:"seen,omitempty"`   // validations that plateau has seen
	Lowest      float64     `json:"lowest,omitempty"` // lowest top-1 error among them
	Since       int         `json:"since,omitempty"`  // validations since then
	Drops       int         `json:"drops,omitempty"`  // times the rate was lowered

	EpochLoss     float64   `json:"epoch_loss,omitempty"` // sum over the good pictures of the epoch under way
	EpochPictures int       `json:"epoch_pictures,omitempty"`
	Start         deadState `json:"start,omitzero"` // what was seen of the loss at the start
}

func newSchedule(cfg config.Schedule, state []byte) (*schedule, error) {
	s := &schedule{cfg: cfg}
	if len(state) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(state, &s.state); err != nil {
		return nil, fmt.Errorf("state of the schedule: %w", err)
	}
	return s, nil
}

func (s *schedule) marshal() []byte {
	b, err := json.Marshal(s.state)
	if err != nil { // numbers alone, all finite
		panic(err)
	}
	return b
}

// validated ends an epoch. With plateau, when the top-1 error has not reached a new low for Patience validations, the
// rate drops, Drops times at most; after a drop patience starts anew against the same lowest error. It tells whether
// the rate dropped.
func (s *schedule) validated(top1 float64) bool {
	st := &s.state
	if s.cfg.Kind != kindPlateau {
		return false
	}
	if st.Seen++; st.Seen == 1 || top1 < st.Lowest-minImprovement {
		st.Lowest, st.Since = top1, 0
		return false
	}
	if st.Since++; st.Since < s.cfg.Patience || st.Drops >= s.cfg.Drops {
		return false
	}
	st.Drops, st.Since = st.Drops+1, 0
	return true
}

// rates are factors of train.lr (biases: before bias_lr); 0 freezes.
type rates struct {
	weights, biases         float64
	firstWeights, firstBias float64 // of the net's first layer with weights
	color                   bool    // colour noise as configured
}

// at gives the rates while `done` whole epochs are behind.
func (s *schedule) at(done int) rates {
	f := 1.0
	switch s.cfg.Kind {
	case kindAuthors:
		return authors2012(done)
	case kindSteps:
		for _, e := range s.cfg.Epochs {
			if done >= e {
				f *= s.cfg.Factor
			}
		}
	case kindPlateau:
		f = math.Pow(s.cfg.Factor, float64(s.state.Drops))
	}
	return rates{weights: f, biases: f, firstWeights: f, firstBias: f, color: true}
}

func authors2012(done int) rates {
	r := rates{weights: 1, biases: 1, firstBias: 1, color: done < authorsNoHue}
	switch {
	case done >= authorsDrop3:
		r.weights = 1. / 1000
	case done >= authorsDrop2:
		r.weights = 1. / 100
	case done >= authorsDrop1:
		r.weights = 1. / 10
	}
	switch {
	case done >= authorsFreeze:
		r.firstWeights, r.firstBias = 0, 0
	case done >= authorsNoHue:
		r.firstWeights = 1. / 1000
	default:
		r.firstWeights = r.weights
	}
	return r
}

// apply writes lr and decay of every parameter, by index in arch.Params, for the device's update v = momentum v - decay
// lr w - lr g. Biases take bias_lr times the rate and their own decay; a layer's `lr` multiplies, its `bias_lr` and
// `weight_decay` replace.
func (r rates) apply(arch *model.Arch, t config.Train, lr, decay []float32) {
	for i, p := range arch.Params {
		first := p.Layer == arch.Params[0].Layer
		f, d, bias := r.weights, t.WeightDecay, t.BiasLR
		if p.BiasLR != nil {
			bias = *p.BiasLR
		}
		switch {
		case p.Bias && first:
			f, d = r.firstBias*bias, t.BiasDecay
		case p.Bias:
			f, d = r.biases*bias, t.BiasDecay
		case first:
			f = r.firstWeights
		}
		if p.Decay != nil {
			d = *p.Decay
		}
		lr[i], decay[i] = float32(t.LR*f*p.LR), float32(d)
	}
}
