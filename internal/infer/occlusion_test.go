package infer

import (
	"slices"
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/recipe"
)

// Of the paper's 224 pixels squares of 32 begin at every sixteenth; a side that they do not divide is covered from edge
// to edge too.
func TestPlaces(t *testing.T) {
	if at := places(224 - 32); len(at) != 13 || at[1] != 16 || at[12] != 192 {
		t.Errorf("224: %v", at)
	}
	if at := places(32 - 5); len(at) != 13 || at[0] != 0 || at[12] != 27 || !slices.IsSorted(at) {
		t.Errorf("32: %v", at)
	}
	if at := places(8 - 1); !slices.Equal(at, []int{0, 1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("8: %v", at)
	}
	if at := places(0); !slices.Equal(at, []int{0}) {
		t.Errorf("1: %v", at)
	}
}

// The square covers its place in the crop, in its row, and nothing else.
func TestCover(t *testing.T) {
	for _, channels := range []int{1, 3} {
		s := &subject{inference: &inference{recipe: recipe.Recipe{
			Height: 8, Width: 9, Crop: 5, Channels: channels,
		}}}
		s.pixels = make([]uint8, 8*9*channels)
		b := device.NewBatch(3, make([]uint8, 3*len(s.pixels)))
		for r := range 3 {
			s.put(b, r, s.pixels)
		}
		s.cover(b, 1, 2, 1, 2, []uint8{7, 8, 9}[:channels])
		for i, v := range b.Pixels {
			row, y, x := i/len(s.pixels), i%len(s.pixels)/channels/9-1, i%len(s.pixels)/channels%9-2 // centre at 1, 2
			want := uint8(0)
			if row == 1 && y >= 2 && y < 4 && x >= 1 && x < 3 {
				want = uint8(7 + i%channels)
			}
			if v != want {
				t.Fatalf("%d channels: row %d, y %d, x %d: %d, want %d", channels, row, y, x, v, want)
			}
		}
	}
}

func TestMeanColor(t *testing.T) {
	picture := []uint8{255, 255, 255, 10, 20, 30, 20, 40, 60, 255, 255, 255} // 2x2, of which the first is seen
	for _, c := range []struct {
		name string
		r    recipe.Recipe
		want []uint8
	}{
		{"a mean colour", recipe.Recipe{Mean: []float32{1.4, 2.6, 300}}, []uint8{1, 3, 255}},
		{"a mean image", recipe.Recipe{Mean: []float32{0, 1, 2, 3, 10, 10, 10, 10, 0, 0, 0, 200}}, []uint8{2, 10, 50}},
		{"none", recipe.Recipe{}, []uint8{255, 255, 255}},
	} {
		c.r.Height, c.r.Width, c.r.Crop, c.r.Channels = 2, 2, 1, 3
		s := &subject{inference: &inference{recipe: c.r}, pixels: picture}
		if got := s.meanColor(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	s := &subject{inference: &inference{recipe: recipe.Recipe{Height: 2, Width: 2, Crop: 2, Channels: 1}}}
	s.pixels = []uint8{10, 20, 30, 41}
	if got := s.meanColor(); !slices.Equal(got, []uint8{25}) {
		t.Errorf("a grey picture: %v", got)
	}
}

// By hand: weights 2 and -1, and what speaks against the class is nothing.
func TestGradCAMByHand(t *testing.T) {
	maps := []float32{1, 2, 0, 1, 0, 5, 1, 1}
	grads := []float32{2, 2, 4, 0, -1, -1, -2, 0}
	if got := gradCAM(maps, grads, 4); !slices.Equal(got, []float32{2, 0, 0, 1}) {
		t.Error(got)
	}
}
