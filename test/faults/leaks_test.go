package main

import "testing"

// TestMore wants what grows to be found, and what only breathes not.
func TestMore(t *testing.T) {
	grown := func(by usage) (all []usage) {
		for i := range 100 {
			wave := (i % 10) << 9 // 4.5 MiB up and down
			all = append(all, usage{
				40<<10 + wave + by.memory*i/100, 12 + i%2 + by.descriptors*i/100, 8 + by.threads*i/100,
			})
		}
		return all
	}
	for _, test := range []struct {
		by   usage
		want bool
	}{
		{usage{}, false},
		{usage{4 << 10, 0, 1}, false},
		{usage{memory: 10 << 10}, true}, // 20 kB a step, of 500
		{usage{descriptors: 10}, true},
		{usage{threads: 10}, true},
	} {
		if err := more(grown(test.by), breathOfRun); (err != nil) != test.want {
			t.Errorf("growth of %v: %v", test.by, err)
		}
	}
}
