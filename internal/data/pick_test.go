package data

import (
	"slices"
	"testing"
)

// TestPick: each number at most once, the same for one seed, and each as often as the others over many.
func TestPick(t *testing.T) {
	t.Parallel()
	count := make([]int, 10)
	for seed := range uint64(5000) {
		picked := Pick(10, 3, seed)
		for _, i := range picked {
			count[i]++
		}
		if slices.Sort(picked); len(slices.Compact(picked)) != 3 {
			t.Fatalf("seed %d: %v", seed, picked)
		}
	}
	for i, n := range count { // 1500, with a standard deviation of 32
		if n < 1350 || n > 1650 {
			t.Errorf("%d was picked %d times of 5000", i, n)
		}
	}
	all := Pick(4, 9, 1)
	if slices.Sort(all); !slices.Equal(all, []int{0, 1, 2, 3}) || !slices.Equal(Pick(99, 5, 7), Pick(99, 5, 7)) ||
		len(Pick(0, 5, 1)) != 0 {
		t.Errorf("all of four: %v", all)
	}
}
