package interop

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/tensor"
)

// TestNatural: numbers in names count as numbers.
func TestNatural(t *testing.T) {
	sorted := []string{"", "a", "a10", "a.2", "a.2.b", "a.10", "b", "b1.2", "b1.10", "b9"}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := natural(a, b); got != cmp.Compare(i, j) {
				t.Errorf("%q to %q: %d", a, b, got)
			}
		}
	}
	a, b := strings.Repeat("1a", 500)+"1", strings.Repeat("1a", 500)+"2"
	if n := testing.AllocsPerRun(10, func() { natural(a, b) }); n != 0 {
		t.Errorf("%g allocations to compare two names", n)
	}
}

// TestPairUpDeep: many tensors, and a name of very many parts: with the work of their product it would take an hour.
func TestPairUpDeep(t *testing.T) {
	tensors := []tensor.Tensor{{Name: strings.Repeat("net.", 200_000) + "deep.x.weight"}}
	for i := range 50_000 {
		tensors = append(tensors, tensor.Tensor{Name: fmt.Sprintf("l%d.weight", i)})
	}
	f, err := pairUp("x", tensors)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, p := range f.pairs {
		names = append(names, p.name)
	}
	if !slices.Equal(names, []string{"deep.x"}) || len(f.beside) != 50_000 {
		t.Errorf("%q and %d others", names, len(f.beside))
	}
}
