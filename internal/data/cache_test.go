package data

import (
	"testing"

	"alexnet/internal/machine"
	"alexnet/internal/recipe"
)

// TestBudget: a quarter of what the process may use, which its control group limits, not only the machine.
func TestBudget(t *testing.T) {
	const gib = 1 << 30
	group := func(bytes int64) []machine.Limit { return []machine.Limit{{Of: machine.Resident, Bytes: bytes}} }
	for _, c := range []struct {
		memory machine.Memory
		want   int64
	}{
		{machine.Memory{Total: 64 * gib}, 2 * gib},
		{machine.Memory{Total: 64 * gib, Limits: group(2 * gib)}, gib / 2},
		{machine.Memory{Total: 4 * gib, Limits: group(8 * gib)}, gib},
		{machine.Memory{}, gib},
	} {
		if got := budget(c.memory); got != c.want {
			t.Errorf("%+v: budget %d, want %d", c.memory, got, c.want)
		}
	}
}

// TestOneBudget: training and validation pictures share one budget, and who is read first changes nothing.
func TestOneBudget(t *testing.T) {
	small := &recipe.Recipe{Height: 5, Width: 6, Channels: 3}
	size := int64(small.Pixels())
	for _, c := range []struct {
		name       string
		pictures   int64 // that there is room for; the source has 3 and 2
		train, val bool
	}{
		{"room for all", 5, true, true},
		{"room for either", 4, true, false},
		{"room for the smaller", 2, false, true},
		{"no room", 1, false, false},
	} {
		for _, valFirst := range []bool{false, true} {
			source := &cache{left: c.pictures * size, kept: map[viewKey][]*Set{}}
			train, val := newSet(make([]Record, 3), nil, source), newSet(make([]Record, 2), nil, source)
			sets := []*Set{train, val}
			if valFirst {
				sets = []*Set{val, train}
			}
			kept := map[*Set]bool{}
			for _, s := range sets {
				v, err := s.view(small, false)
				if err != nil {
					t.Fatal(err)
				}
				kept[s] = v.slab != nil
			}
			if kept[train] != c.train || kept[val] != c.val {
				t.Errorf("%s, validation first: %t: kept %t and %t", c.name, valFirst, kept[train], kept[val])
			}
			if v, err := val.view(small, true); err != nil || v.slab != nil {
				t.Errorf("%s: kept though told not to (%v)", c.name, err)
			}
		}
	}
}

// TestOtherRecipesShareTheBudget: pictures that are made in two ways take from the same budget.
func TestOtherRecipesShareTheBudget(t *testing.T) {
	source := &cache{left: 10 * 8 * 8, kept: map[viewKey][]*Set{}}
	set := newSet(make([]Record, 3), nil, source)
	for n, channels := range []int{1, 3, 1} {
		v, err := set.view(&recipe.Recipe{Resize: 8, Height: 8, Width: 8, Channels: channels}, false)
		if want := channels == 1; err != nil || (v.slab != nil) != want {
			t.Errorf("view %d: kept %t, want %t (%v)", n, v.slab != nil, want, err)
		}
	}
}

// TestCloseForgets: a closed source holds no pictures.
func TestCloseForgets(t *testing.T) {
	src := New(Contents{Classes: []string{"a"}, Train: []Record{{Name: "1"}}}, Memory{pngOf(t, 6, 5, 1)}, 0, 0)
	if _, err := Measure(t.Context(), src.Train, recipe.Recipe{Channels: 3}, MeasureOptions{Workers: 1}); err != nil {
		t.Fatal(err)
	}
	if len(src.Train.views) != 1 {
		t.Fatalf("%d views", len(src.Train.views))
	}
	if err := src.Close(); err != nil || len(src.Train.views) != 0 {
		t.Errorf("%d views are left (%v)", len(src.Train.views), err)
	}
}

// TestLimitCache: whoever knows what else is needed leaves less for sets that are not kept yet.
func TestLimitCache(t *testing.T) {
	c := &cache{left: 1000, kept: map[viewKey][]*Set{}}
	s := newSet(make([]Record, 10), nil, c)
	src := &Source{Train: s, Test: newSet(nil, nil, newCache())}
	src.LimitCache(99)
	src.LimitCache(5000)
	if c.keeps(s, viewKey{}, 10) {
		t.Error("100 bytes are kept, of 99")
	}
	c.left = 100
	c.kept = map[viewKey][]*Set{}
	if src.LimitCache(100); !c.keeps(s, viewKey{}, 10) {
		t.Error("100 bytes are not kept, of 100")
	}
}
