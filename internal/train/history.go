package train

import (
	"encoding/json"
	"fmt"
	"math"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/schedule"
	"alexnet/internal/step"
)

// history is what a resumed run must know of itself, besides its tensors and its place in the data. In a checkpoint it
// is the text "schedule"; its keys and their order are those of all checkpoints so far.
type history struct {
	Validated int `json:"validated"` // whole epochs whose end (validation, plateau) is over
	// steps taken at the last epoch line, that at the end of a run included
	ValidatedAt      uint64      `json:"validated_at"`
	Last             *step.Score `json:"last,omitempty"` // of the validation then; nil: no pictures for it
	schedule.Plateau             // what it has seen, in the same object

	EpochLoss     float64   `json:"epoch_loss,omitempty"` // sum over the good pictures of the epoch under way
	EpochPictures int       `json:"epoch_pictures,omitempty"`
	EpochBad      int       `json:"epoch_bad,omitempty"` // pictures of that epoch that could not be read
	Passed        uint64    `json:"passed,omitempty"`    // batches of which none could, and which are not steps
	Exchange      exchanged `json:"exchange,omitzero"`   // between devices in the epoch under way
	Start         deadState `json:"start,omitzero"`      // what was seen of the loss at the start
	High          highState `json:"high,omitempty"`      // what was seen of one that is far too high
	Steps         int       `json:"steps,omitempty"`     // that end the run; 0: only its epochs do
}

// exchanged is what went between devices, both ways. What it took is not kept: checkpoints of equal runs are equal, and
// clocks are not. A run that goes on from a checkpoint of an earlier version knows only what its own steps sent.
type exchanged struct {
	Steps uint64 `json:"steps"` // that sent it
	Bytes int64  `json:"bytes"`
}

// Goal is where a run is to end.
type Goal struct {
	Epochs  int
	Steps   int  // in all; 0: the epochs alone decide
	Reached bool // it has come there
}

// GoalOf is the goal of the run of a checkpoint, whose page says so many epochs. Checkpoints of versions that did not
// keep the steps have 0 for them. Errors are the checkpoint's own.
func GoalOf(c *checkpoint.Checkpoint, epochs int) (Goal, error) {
	h, err := readHistory(c)
	if err != nil {
		return Goal{}, err
	}
	return Goal{epochs, h.Steps, h.over(c.Step, epochs, h.Steps)}, nil
}

// over tells that a run is at its end, the validation there included, that has taken so many steps and is to end after
// those epochs, or after limit steps (0: no limit).
func (h *history) over(taken uint64, epochs, limit int) bool {
	at := uint64(limit)
	return h.Validated >= epochs || limit > 0 && (taken > at || taken == at && h.ValidatedAt == at)
}

// readHistory reads what a checkpoint has; of nothing it is that of a run that begins. Errors are the checkpoint's own:
// of a number that no run could have.
func readHistory(c *checkpoint.Checkpoint) (h history, err error) {
	if len(c.Schedule) > 0 {
		err = json.Unmarshal(c.Schedule, &h)
	}
	if err == nil {
		err = h.check(c)
	}
	if err != nil {
		return h, c.Damaged("metadata schedule: %v", err)
	}
	return h, nil
}

// historyOf is readHistory, and where the pictures are those that the run began with, its place among them is checked
// as well.
func historyOf(c *checkpoint.Checkpoint, source *data.Source) (history, error) {
	h, err := readHistory(c)
	if err != nil || source.Fingerprint != c.Data.Fingerprint {
		return h, err
	}
	if err := h.checkPlace(c.Sample, uint64(source.Train.Len())); err != nil {
		return h, c.Damaged("metadata schedule: %v", err)
	}
	return h, nil
}

// check holds every number to its range.
func (h *history) check(c *checkpoint.Checkpoint) error {
	for _, n := range []struct {
		key         string
		value, most uint64 // a negative number is a large one
	}{
		{"validated", uint64(h.Validated), config.MaxEpochs},
		{"validated_at", h.ValidatedAt, c.Step},
		{"seen", uint64(h.Seen), config.MaxEpochs},
		{"since", uint64(h.Since), uint64(h.Seen)},
		{"drops", uint64(h.Drops), uint64(h.Seen)},
		{"epoch_pictures", uint64(h.EpochPictures), math.MaxInt32},
		{"epoch_bad", uint64(h.EpochBad), math.MaxInt32},
		{"passed", h.Passed, max(c.Sample, c.Step) - c.Step}, // each of them had a sample at least
		{"exchange.steps", h.Exchange.Steps, c.Step},
		{"exchange.bytes", uint64(h.Exchange.Bytes), math.MaxInt64},
		{"start.from", h.Start.From, h.Start.To},
		{"start.steps", uint64(h.Start.Steps), c.Step},
		{"high", uint64(h.High), highSteps},
	} {
		if n.value > n.most {
			return fmt.Errorf("%s is %d, want 0 to %d", n.key, int64(n.value), n.most)
		}
	}
	if h.Steps != 0 && (h.Steps < 0 || uint64(h.Steps) < c.Step) {
		return fmt.Errorf("steps is %d, want 0 or at least the %d taken", h.Steps, c.Step)
	}
	if !(h.Lowest >= 0 && h.Lowest <= 1) {
		return fmt.Errorf("lowest is %g, want 0 to 1", h.Lowest)
	}
	if !(h.EpochLoss >= 0) || !(h.Start.Sum >= 0) {
		return fmt.Errorf("losses of %g and %g, want at least 0", h.EpochLoss, h.Start.Sum)
	}
	if s := h.Last; s != nil && !(s.Images >= 0 && s.Top1Error >= 0 && s.Top1Error <= 1 && s.Top5Error >= 0 &&
		s.Top5Error <= 1 && s.Loss >= 0) {
		return fmt.Errorf("last is %+v, want errors of 0 to 1", *s)
	}
	return nil
}

// checkPlace holds the next sample to the epoch that it must be in: an epoch ends with its last picture, and is
// validated then.
func (h *history) checkPlace(sample, pictures uint64) error {
	if from := uint64(h.Validated) * pictures; sample < from || sample-from > pictures {
		return fmt.Errorf("%d epochs of %d pictures are over, but the next sample is number %d", h.Validated, pictures,
			sample)
	}
	return nil
}

func (h *history) marshal() []byte {
	b, err := json.Marshal(h)
	if err != nil { // only numbers, all finite
		panic(err)
	}
	return b
}
