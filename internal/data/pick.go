package data

import "alexnet/internal/philox"

// Pick draws n of the numbers below all, in the order drawn, every choice as likely: what seed gives is always the
// same. Where there are no more, it is all of them.
func Pick(all, n int, seed uint64) []int {
	n = min(n, all)
	from, moved, picked := philox.NewSource(seed, philox.PurposePick, 0, 0), map[int]int{}, make([]int, n)
	at := func(i int) int {
		if to, there := moved[i]; there {
			return to
		}
		return i
	}
	for i := range picked { // the first n swaps of a shuffle (Fisher and Yates)
		j := i + from.Intn(all-i)
		picked[i] = at(j)
		moved[j] = at(i)
	}
	return picked
}
