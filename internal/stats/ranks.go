package stats

import (
	"math"
	"slices"

	"alexnet/internal/philox"
)

// AUC is the probability that a number drawn from a is larger than one from b, ties counting half: the area under the
// curve of whoever tells the two apart by a threshold, and Mann and Whitney's U over len(a) len(b). .5 is no
// difference, 0 and 1 are complete ones. Of an empty group, or where one of the numbers is not a number, it is NaN.
// H. B. Mann, D. R. Whitney, "On a test of whether one of two random variables is stochastically larger than the
// other", Annals of Mathematical Statistics 18 (1947).
func AUC(a, b []float64) float64 {
	r, ok := rank(a, b)
	if !ok {
		return math.NaN()
	}
	return auc(r, len(a))
}

// Permutation is AUC, and the two-sided p of the difference: how often the AUC of the same numbers dealt into two such
// groups by chance is as far from .5, or farther. Of so many rounds (c+1)/(rounds+1) is given, never 0: B. Phipson,
// G. K. Smyth, "Permutation p-values should never be zero", SAGMB 9 (2010). The same seed gives the same p.
func Permutation(a, b []float64, rounds int, seed uint64) (area, p float64) {
	r, ok := rank(a, b)
	if !ok {
		return math.NaN(), math.NaN()
	}
	area = auc(r, len(a))
	// ranks are multiples of 1/2, so that equal areas are equal to the bit but for the last division
	far, as := math.Abs(area-.5)-1e-12, 0
	random := philox.NewSource(seed, philox.PurposePermutation, 0, 0)
	for range rounds {
		for i := range len(a) { // only the first group needs to be drawn
			k := i + random.Intn(len(r)-i)
			r[i], r[k] = r[k], r[i]
		}
		if math.Abs(auc(r, len(a))-.5) >= far {
			as++
		}
	}
	return area, float64(as+1) / float64(rounds+1)
}

// rank gives the ranks from 1 of the numbers of both groups, a's first; equal ones share the mean of theirs.
func rank(a, b []float64) (ranks []float64, ok bool) {
	if len(a) == 0 || len(b) == 0 {
		return nil, false
	}
	all := slices.Concat(a, b)
	if slices.ContainsFunc(all, math.IsNaN) {
		return nil, false
	}
	sorted := slices.Sorted(slices.Values(all))
	ranks = make([]float64, len(all))
	for i, v := range all {
		first, _ := slices.BinarySearch(sorted, v)
		after, _ := slices.BinarySearchFunc(sorted, v, func(x, v float64) int {
			if x <= v {
				return -1
			}
			return 1
		})
		ranks[i] = float64(first+1+after) / 2
	}
	return ranks, true
}

// auc is that of the first n ranks against the others.
func auc(ranks []float64, n int) float64 {
	sum := 0.
	for _, r := range ranks[:n] {
		sum += r
	}
	first, second := float64(n), float64(len(ranks)-n)
	return (sum - first*(first+1)/2) / (first * second)
}
