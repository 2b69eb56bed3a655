package main

import (
	"context"
	"errors"
	"image"
	"syscall"
	"testing"

	"alexnet/internal/atomicfile"
)

// TestOwnIndexSize: 2 GB of index are written unasked, and not a picture more.
func TestOwnIndexSize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pictures int
		shape    []int
		bytes    int64
		large    bool
	}{
		{50_000, []int{4096}, 819_200_000, false},
		{122_070, []int{4096}, 1_999_994_880, false},
		{122_071, []int{4096}, 2_000_011_264, true},
		{1_281_167, []int{4096}, 20_990_640_128, true},
		{1000, []int{64, 4, 4}, 4_096_000, false},
	} {
		if bytes, large := ownSize(c.pictures, c.shape); bytes != c.bytes || large != c.large {
			t.Errorf("%d pictures of %v: %d bytes, large: %v", c.pictures, c.shape, bytes, large)
		}
	}
}

// TestNotKept: of a run folder that cannot be written to it is said how else to search, of other failures nothing.
func TestNotKept(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		syscall.EROFS: "do", syscall.EACCES: "do", syscall.ENOSPC: "", context.Canceled: "",
	} {
		failed := notKept(&atomicfile.Failed{Path: "f", Err: err}, "do")
		if got := nextStep(failed); (got == "do") != (want == "do") || !errors.Is(failed, err) {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// TestSideOf: small pictures grow by whole pixels.
func TestSideOf(t *testing.T) {
	t.Parallel()
	for side, want := range map[int]int{28: 112, 32: 128, 100: 100, 128: 128, 224: 128, 1: 128} {
		if got := sideOf(image.NewRGBA(image.Rect(0, 0, side, side))); got != want {
			t.Errorf("%d pixels: %d, want %d", side, got, want)
		}
	}
}
