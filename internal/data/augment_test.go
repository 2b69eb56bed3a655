package data

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"alexnet/internal/config"
	"alexnet/internal/recipe"
)

func TestPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "n")
		seed, epoch := rapid.Uint64().Draw(t, "seed"), rapid.Uint64().Draw(t, "epoch")
		order := make([]int32, n)
		permutation(order, seed, epoch)
		again := make([]int32, n)
		permutation(again, seed, epoch)
		if !slices.Equal(order, again) {
			t.Fatal("drawn twice, two orders")
		}
		slices.Sort(again)
		for i, v := range again {
			if int(v) != i {
				t.Fatalf("not a permutation: %v", order)
			}
		}
	})
}

// Each picture should come to each place alike often: the mean place of picture 0 over many epochs.
func TestPermutationIsFair(t *testing.T) {
	const n, epochs = 20, 4000
	count := [n][n]int{}
	order := make([]int32, n)
	for e := range uint64(epochs) {
		permutation(order, 1, e)
		for place, i := range order {
			count[i][place]++
		}
	}
	for i := range count {
		for place, c := range count[i] { // 200 expected, standard deviation 13.8
			if c < 130 || c > 270 {
				t.Errorf("picture %d came to place %d %d times of %d, expected about %d", i, place, c, epochs, epochs/n)
			}
		}
	}
}

func TestDrawsAreInRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, w := rapid.IntRange(1, 300).Draw(t, "height"), rapid.IntRange(1, 300).Draw(t, "width")
		crop := rapid.IntRange(1, min(h, w)).Draw(t, "crop")
		seed, epoch, index := rapid.Uint64().Draw(t, "seed"), rapid.Uint64().Draw(t, "epoch"),
			rapid.IntRange(0, 1<<31-1).Draw(t, "index")
		a := config.Augment{Crop: config.RandomCrop, Flip: true}
		by := &recipe.Recipe{Height: h, Width: w, Crop: crop}
		d := draw(&a, seed, epoch, index, by)
		if y, x := int(d.crop[0]), int(d.crop[1]); y < 0 || x < 0 || y+crop > h || x+crop > w {
			t.Fatalf("crop of %d at %v in %dx%d", crop, d.crop, h, w)
		}
		if d != draw(&a, seed, epoch, index, by) {
			t.Fatal("drawn twice, two draws")
		}
		still := config.Augment{Crop: config.CenterCrop}
		if c := draw(&still, seed, epoch, index, by); c.crop != by.Centre() || c.flip ||
			c.color != [3]float32{} {
			t.Fatalf("nothing to draw, but %+v", c)
		}
	})
}

// Crops reach every place, flips half of the pictures, and colour has the covariance that the statistics say.
func TestDrawsAreFair(t *testing.T) {
	by := &recipe.Recipe{Height: 8, Width: 6, Crop: 4}
	by.Colors.Stdev = [3]float64{2, 5, 20}
	r := math.Sqrt2 / 2
	// vectors are columns: not symmetric, so that rows would show
	by.Colors.Eigvec = [3][3]float64{{r, -r, 0}, {r, r, 0}, {0, 0, 1}}
	a := config.Augment{Flip: true, Color: .1}
	const n = 40000
	count := map[[2]int32]int{}
	flips := 0
	var cov [3][3]float64
	for i := range n {
		d := draw(&a, 1, uint64(i%7), i/7, by)
		count[d.crop]++
		if d.flip {
			flips++
		}
		for y := range 3 {
			for x := range 3 {
				cov[y][x] += float64(d.color[y]) * float64(d.color[x]) / n
			}
		}
	}
	if len(count) != 5*3 {
		t.Errorf("crops of 4 from 8x6 fell on %d places, want 5*3", len(count))
	}
	for at, c := range count { // 2667 expected, standard deviation 50
		if c < 2417 || c > 2917 {
			t.Errorf("%d of %d crops at %v", c, n, at)
		}
	}
	if flips < n/2-500 || flips > n/2+500 { // standard deviation 100
		t.Errorf("%d of %d flipped", flips, n)
	}
	// .01 E diag(4, 25, 400) E': the sampling error of a variance is sqrt(2/n) = .7% of it.
	want := [3][3]float64{{.145, -.105, 0}, {-.105, .145, 0}, {0, 0, 4}}
	for y := range 3 {
		for x := range 3 {
			if math.Abs(cov[y][x]-want[y][x]) > .035*math.Sqrt(want[y][y]*want[x][x]) {
				t.Errorf("covariance of colour noise %v, want %v", cov, want)
			}
		}
	}
}

// Draws of neighbours in seed, epoch or number have nothing to do with each other.
func TestDrawsDiffer(t *testing.T) {
	a, by := config.Augment{}, &recipe.Recipe{Height: 1 << 20, Width: 1 << 20, Crop: 1}
	seen := map[draws]bool{}
	for _, c := range [][3]uint64{{1, 1, 1}, {2, 1, 1}, {1, 2, 1}, {1, 1, 2}, {1, 1 << 33, 1}, {1 << 33, 1, 1}} {
		seen[draw(&a, c[0], c[1], int(c[2]), by)] = true
	}
	if len(seen) != 6 {
		t.Errorf("6 places in the run gave %d different crops out of 2^40", len(seen))
	}
}

func TestViews(t *testing.T) {
	want := []draws{}
	for _, flip := range []bool{false, true} {
		for _, c := range [][2]int32{{0, 0}, {0, 32}, {32, 0}, {32, 32}, {16, 16}} {
			want = append(want, draws{crop: c, flip: flip})
		}
	}
	by := &recipe.Recipe{Height: 256, Width: 256, Crop: 224}
	if d := cmp.Diff(want, views(10, by), cmp.AllowUnexported(draws{})); d != "" {
		t.Error(d)
	}
	by = &recipe.Recipe{Height: 32, Width: 34, Crop: 28}
	if d := cmp.Diff([]draws{{crop: [2]int32{2, 3}}}, views(1, by), cmp.AllowUnexported(draws{})); d != "" {
		t.Error(d)
	}
}
