package data_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/data/picture"
	"alexnet/internal/recipe"
)

// The definition, in float64 and in one loop, on real colours.
func TestStatsAgainstDefinition(t *testing.T) {
	src, err := demo.Open(demo.Options{Train: 3, Val: 1, Size: 16, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	by := recipe.Recipe{Resize: 12, Channels: 3, MeanKind: config.MeanImage}
	s, err := data.Measure(t.Context(), src.Train, by, data.MeasureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	by.MeanKind = config.MeanChannel
	color, err := data.Measure(t.Context(), src.Train, by, data.MeasureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d := picture.NewDecoder()
	defer d.Close()
	var pixels [][3]float64
	first := 0.
	for i := range src.Train.Len() {
		raw, err := src.Train.Read(t.Context(), i, nil)
		if err != nil {
			t.Fatal(err)
		}
		pic, err := d.Decode(t.Context(), raw, picture.Want{Resize: 12, Channels: 3}, nil)
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
	if got := s.Mean[12*12+5*12+7]; math.Abs(float64(got)-first) > 1e-4 {
		t.Errorf("mean of green at row 5, column 7 is %g, want %g", got, first)
	}
	var mean [3]float64
	for _, p := range pixels {
		for c := range mean {
			mean[c] += p[c] / float64(len(pixels))
		}
	}
	for c := range mean {
		if math.Abs(float64(color.Mean[c])-mean[c]) > 1e-4 {
			t.Errorf("mean of channel %d is %g, want %g", c, color.Mean[c], mean[c])
		}
	}
	for k := range 3 { // the variance along each eigenvector is its eigenvalue; eigenvectors have length 1
		variance, length := 0., 0.
		for _, p := range pixels {
			along := 0.
			for c := range 3 {
				along += s.Colors.Eigvec[c][k] * (p[c] - mean[c])
			}
			variance += along * along / float64(len(pixels))
		}
		largest := 0.
		for c := range 3 {
			length += s.Colors.Eigvec[c][k] * s.Colors.Eigvec[c][k]
			if math.Abs(s.Colors.Eigvec[c][k]) > math.Abs(largest) {
				largest = s.Colors.Eigvec[c][k]
			}
		}
		if math.Abs(math.Sqrt(variance)-s.Colors.Stdev[k]) > 1e-6 || math.Abs(length-1) > 1e-12 || largest < 0 {
			t.Errorf("component %d: stdev %g, measured %g; length^2 %g, largest %g", k, s.Colors.Stdev[k],
				math.Sqrt(variance), length, largest)
		}
	}
	if !(s.Colors.Stdev[0] <= s.Colors.Stdev[1] && s.Colors.Stdev[1] <= s.Colors.Stdev[2]) {
		t.Errorf("stdev %v are not ascending", s.Colors.Stdev)
	}
}

func TestStatsDoNotDependOnWorkers(t *testing.T) {
	var first *recipe.Recipe
	for _, workers := range []int{1, 2, 7, 0} {
		src, err := demo.Open(demo.Options{Train: 4, Val: 1, Size: 16})
		if err != nil {
			t.Fatal(err)
		}
		s, err := data.Measure(t.Context(), src.Train,
			recipe.Recipe{Resize: 20, Channels: 3, MeanKind: config.MeanImage}, data.MeasureOptions{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = &s.Recipe
		}
		if d := cmp.Diff(first, &s.Recipe); d != "" { // bit for bit
			t.Errorf("%d workers: %s", workers, d)
		}
	}
}
