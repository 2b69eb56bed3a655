package data

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alexnet/internal/data/picture"
)

func TestStatsByHand(t *testing.T) {
	set := numbered(t, 5, 2) // grey pictures of 0, 1, 3, 4
	var bad []string
	s, err := ComputeStats(t.Context(), set, picture.Prep{}, 2, func(b *BadPicture) { bad = append(bad, b.Name) })
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(bad, []string{"0003"}) || s.Pictures != 4 || s.Height != 5 || s.Width != 6 ||
		len(s.MeanImage) != 3*5*6 {
		t.Errorf("bad %v, %d pictures of %dx%d", bad, s.Pictures, s.Width, s.Height)
	}
	for _, m := range append(s.MeanImage, s.MeanChannel...) {
		if m != 2 {
			t.Fatalf("mean %g, want 2", m)
		}
	}
	// All channels equal: variance (4+1+1+4)/4 = 2.5 in each, so one component along (1,1,1)/sqrt 3 with eigenvalue
	// 7.5.
	if want := math.Sqrt(7.5); math.Abs(s.Stdev[2]-want) > 1e-9 || s.Stdev[0] > 1e-6 || s.Stdev[1] > 1e-6 {
		t.Errorf("stdev %v, want 0 0 %g", s.Stdev, want)
	}
	for c := range 3 {
		if math.Abs(s.Eigvec[c][2]-1/math.Sqrt(3)) > 1e-9 {
			t.Errorf("eigenvector %v is not along grey", s.Eigvec)
		}
	}
}

// The definition, in float64 and in one loop, on real colours.
func TestStatsAgainstDefinition(t *testing.T) {
	src, err := DemoSource(DemoOptions{Train: 3, Val: 1, Size: 16, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	s, err := ComputeStats(t.Context(), src.Train, picture.Prep{Resize: 12}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	var pixels [][3]float64
	first := 0.
	for i := range src.Train.Len() {
		raw, err := src.Train.store.read(&src.Train.entries[i], nil)
		if err != nil {
			t.Fatal(err)
		}
		pic, err := (picture.Prep{Resize: 12}).Decode(raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		first += float64(pic.Pixels[(5*12+7)*3+1]) / float64(src.Train.Len())
		for k := 0; k < len(pic.Pixels); k += 3 {
			pixels = append(pixels, [3]float64{
				float64(pic.Pixels[k]), float64(pic.Pixels[k+1]), float64(pic.Pixels[k+2]),
			})
		}
	}
	if got := s.MeanImage[12*12+5*12+7]; math.Abs(float64(got)-first) > 1e-4 {
		t.Errorf("mean of green at row 5, column 7 is %g, want %g", got, first)
	}
	var mean [3]float64
	for _, p := range pixels {
		for c := range mean {
			mean[c] += p[c] / float64(len(pixels))
		}
	}
	for c := range mean {
		if math.Abs(float64(s.MeanChannel[c])-mean[c]) > 1e-4 {
			t.Errorf("mean of channel %d is %g, want %g", c, s.MeanChannel[c], mean[c])
		}
	}
	for k := range 3 { // the variance along each eigenvector is its eigenvalue; eigenvectors have length 1
		variance, length := 0., 0.
		for _, p := range pixels {
			along := 0.
			for c := range 3 {
				along += s.Eigvec[c][k] * (p[c] - mean[c])
			}
			variance += along * along / float64(len(pixels))
		}
		largest := 0.
		for c := range 3 {
			length += s.Eigvec[c][k] * s.Eigvec[c][k]
			if math.Abs(s.Eigvec[c][k]) > math.Abs(largest) {
				largest = s.Eigvec[c][k]
			}
		}
		if math.Abs(math.Sqrt(variance)-s.Stdev[k]) > 1e-6 || math.Abs(length-1) > 1e-12 || largest < 0 {
			t.Errorf("component %d: stdev %g, measured %g; length^2 %g, largest %g", k, s.Stdev[k], math.Sqrt(variance),
				length, largest)
		}
	}
	if !(s.Stdev[0] <= s.Stdev[1] && s.Stdev[1] <= s.Stdev[2]) {
		t.Errorf("stdev %v are not ascending", s.Stdev)
	}
}

func TestStatsDoNotDependOnWorkers(t *testing.T) {
	var first *Stats
	for _, workers := range []int{1, 2, 7, 0} {
		src, err := DemoSource(DemoOptions{Train: 4, Val: 1, Size: 16})
		if err != nil {
			t.Fatal(err)
		}
		s, err := ComputeStats(t.Context(), src.Train, picture.Prep{Resize: 20}, workers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = s
		}
		if d := cmp.Diff(first, s); d != "" { // bit for bit
			t.Errorf("%d workers: %s", workers, d)
		}
	}
}

func TestStatsOfGrey(t *testing.T) {
	s, err := ComputeStats(t.Context(), numbered(t, 3), picture.Prep{Channels: 1}, 1, nil)
	if err != nil || len(s.MeanImage) != 30 || len(s.MeanChannel) != 1 || s.MeanChannel[0] != 1 ||
		s.Stdev != [3]float64{} {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestStatsErrors(t *testing.T) {
	if _, err := ComputeStats(t.Context(), numbered(t, 0), picture.Prep{Resize: 8}, 1, nil); !errors.Is(err, ErrNoData) {
		t.Errorf("no pictures: error %v", err)
	}
	for _, p := range []picture.Prep{{}, {Resize: 8}} {
		_, err := ComputeStats(t.Context(), numbered(t, 2, 0, 1), p, 1, nil)
		if !errors.Is(err, ErrNoData) || !strings.Contains(err.Error(), "none of 2 pictures") ||
			!strings.Contains(err.Error(), "0001") {
			t.Errorf("all unreadable, %+v: error %v", p, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ComputeStats(ctx, numbered(t, 5), picture.Prep{}, 1, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}
