package step

import "math"

// Score is the outcome of an evaluation. Errors are fractions, the loss is the mean of -log p in nats.
type Score struct {
	Images    int     `json:"images"`
	Top1Error float64 `json:"top1_error"`
	Top5Error float64 `json:"top5_error"`
	Loss      float64 `json:"loss"`
}

// Tally sums rows of a net's statistics.
type Tally struct {
	images           int
	loss, top1, top5 float64
}

// Add takes the statistics (rows, 3) of a batch with `good` labelled rows; the others hold zeros.
func (t *Tally) Add(stats []float32, good int) {
	t.images += good
	for i := 0; i+2 < len(stats); i += 3 {
		t.loss += float64(stats[i])
		t.top1 += float64(stats[i+1])
		t.top5 += float64(stats[i+2])
	}
}

// Score gives the means; of no pictures at all, zeros.
func (t *Tally) Score() Score {
	n := float64(max(t.images, 1))
	return Score{Images: t.images, Top1Error: t.top1 / n, Top5Error: t.top5 / n, Loss: t.loss / n}
}

// TopK is the 5 of top-5. Of so few classes the right one is always among them, and the error says nothing.
const TopK = 5

// Rank is the number of classes that are more probable than the label, or equally probable and of lower number, as in
// device.SoftmaxLoss.
func Rank(prob []float64, label int) (rank int) {
	for i, p := range prob {
		if p > prob[label] || p == prob[label] && i < label {
			rank++
		}
	}
	return rank
}

// AddPicture scores one picture by its probabilities, and gives its label's Rank.
func (t *Tally) AddPicture(prob []float64, label int) (rank int) {
	rank = Rank(prob, label)
	t.images++
	// a probability that fp32 rounds to 0 is not infinitely wrong
	t.loss -= math.Log(max(prob[label], math.SmallestNonzeroFloat32))
	if rank >= 1 {
		t.top1++
	}
	if rank >= TopK {
		t.top5++
	}
	return rank
}
