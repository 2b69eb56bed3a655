package train

import (
	"encoding/json"
	"fmt"

	"alexnet/internal/schedule"
	"alexnet/internal/step"
)

// history is what a resumed run must know of itself, besides its tensors and its place in the data. In a checkpoint it
// is the text "schedule"; its keys and their order are those of all checkpoints so far.
type history struct {
	Validated int `json:"validated"` // whole epochs whose end (validation, plateau) is behind us
	// steps taken at the last epoch line, that at the end of a run included
	ValidatedAt      uint64      `json:"validated_at"`
	Last             *step.Score `json:"last,omitempty"` // of the validation then; nil: no pictures for it
	schedule.Plateau             // what it has seen, in the same object

	EpochLoss     float64   `json:"epoch_loss,omitempty"` // sum over the good pictures of the epoch under way
	EpochPictures int       `json:"epoch_pictures,omitempty"`
	Start         deadState `json:"start,omitzero"` // what was seen of the loss at the start
}

// readHistory reads what a checkpoint has; of nothing it is that of a run that begins.
func readHistory(text []byte) (h history, err error) {
	if len(text) == 0 {
		return h, nil
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, fmt.Errorf("state of the schedule: %w", err)
	}
	return h, nil
}

func (h *history) marshal() []byte {
	b, err := json.Marshal(h)
	if err != nil { // only numbers, all finite
		panic(err)
	}
	return b
}
