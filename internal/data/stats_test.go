package data

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/recipe"
)

func TestStatsByHand(t *testing.T) {
	set := numbered(t, 5, 2) // grey pictures of 0, 1, 3, 4
	var bad []string
	by := recipe.Recipe{Channels: 3, MeanKind: config.MeanImage}
	s, err := Measure(t.Context(), set, by, MeasureOptions{
		Workers: 2, OnBad: func(b *BadPicture) { bad = append(bad, b.Name) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(bad, []string{"0003"}) || s.Height != 5 || s.Width != 6 ||
		!slices.Equal(s.MeanShape, []int{3, 5, 6}) || s.Check() != nil {
		t.Errorf("bad %v, pictures of %dx%d, mean of %v: %v", bad, s.Width, s.Height, s.MeanShape, s.Check())
	}
	by.MeanKind = config.MeanChannel
	color, err := Measure(t.Context(), set, by, MeasureOptions{Workers: 2})
	if err != nil || !slices.Equal(color.MeanShape, []int{3}) {
		t.Errorf("mean of %v: %v", color.MeanShape, err)
	}
	for _, m := range append(s.Mean, color.Mean...) { // (0+1+3+4)/4: the picture that cannot be read does not count
		if m != 2 {
			t.Fatalf("mean %g, want 2", m)
		}
	}
	// All channels equal: variance (4+1+1+4)/4 = 2.5 in each, so one component along (1,1,1)/sqrt 3 with eigenvalue
	// 7.5.
	stdev := s.Colors.Stdev
	if want := math.Sqrt(7.5); math.Abs(stdev[2]-want) > 1e-9 || stdev[0] > 1e-6 || stdev[1] > 1e-6 {
		t.Errorf("stdev %v, want 0 0 %g", stdev, want)
	}
	for c := range 3 {
		if math.Abs(s.Colors.Eigvec[c][2]-1/math.Sqrt(3)) > 1e-9 {
			t.Errorf("eigenvector %v is not along grey", s.Colors.Eigvec)
		}
	}
}

func TestStatsOfGrey(t *testing.T) {
	by := recipe.Recipe{Channels: 1, MeanKind: config.MeanImage}
	s, err := Measure(t.Context(), numbered(t, 3), by, MeasureOptions{Workers: 1})
	if err != nil || len(s.Mean) != 30 || !slices.Equal(s.MeanShape, []int{1, 5, 6}) || s.Mean[0] != 1 ||
		s.Colors.Stdev != [3]float64{} {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestStatsErrors(t *testing.T) {
	_, err := Measure(t.Context(), numbered(t, 0), recipe.Recipe{Resize: 8, Channels: 3}, MeasureOptions{Workers: 1})
	if !errors.Is(err, ErrNoData) {
		t.Errorf("no pictures: error %v", err)
	}
	for _, r := range []recipe.Recipe{{Channels: 3}, {Resize: 8, Channels: 3}} {
		_, err := Measure(t.Context(), numbered(t, 2, 0, 1), r, MeasureOptions{Workers: 1})
		if !errors.Is(err, ErrNoData) || !strings.Contains(err.Error(), "none of 2 pictures") ||
			!strings.Contains(err.Error(), "0001") {
			t.Errorf("all unreadable, %+v: error %v", r, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Measure(ctx, numbered(t, 5), recipe.Recipe{Channels: 3}, MeasureOptions{Workers: 1})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

// TestWorkersFollowTheQuota: pictures are decoded by as many workers as run at a time, which a container's quota may
// make fewer than there are processors.
func TestWorkersFollowTheQuota(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, want := range []int{1, runtime.NumCPU() + 1} {
		runtime.GOMAXPROCS(want)
		if got := WorkerCount(0); got != want {
			t.Errorf("%d workers, want %d", got, want)
		}
	}
	if got := WorkerCount(7); got != 7 {
		t.Errorf("%d workers, 7 were asked for", got)
	}
}
