package data

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

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

func TestStatsOfGrey(t *testing.T) {
	s, err := ComputeStats(t.Context(), numbered(t, 3), picture.Prep{Channels: 1}, 1, nil)
	if err != nil || len(s.MeanImage) != 30 || len(s.MeanChannel) != 1 || s.MeanChannel[0] != 1 ||
		s.Stdev != [3]float64{} {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestStatsErrors(t *testing.T) {
	_, err := ComputeStats(t.Context(), numbered(t, 0), picture.Prep{Resize: 8}, 1, nil)
	if !errors.Is(err, ErrNoData) {
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

// TestWorkersFollowTheQuota: pictures are decoded by as many workers as run at a time, which a container's quota may
// make fewer than there are processors.
func TestWorkersFollowTheQuota(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, want := range []int{1, runtime.NumCPU() + 1} {
		runtime.GOMAXPROCS(want)
		if got := workerCount(0); got != want {
			t.Errorf("%d workers, want %d", got, want)
		}
	}
	if got := workerCount(7); got != 7 {
		t.Errorf("%d workers, 7 were asked for", got)
	}
}
