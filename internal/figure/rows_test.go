package figure

import (
	"image"
	"image/color"
	"strings"
	"testing"
)

// TestRows: each picture is in its place and in no other, one that is missing is a frame, and words stay under their
// picture.
func TestRows(t *testing.T) {
	const side = 40
	plain := func(with color.RGBA) image.Image {
		m := New(20, 20)
		m.Fill(m.Rect, with)
		return m
	}
	long := strings.Repeat("W", 300)
	c := Rows([]Row{
		{
			First: Thumb{Picture: plain(Red), Words: []string{long, ""}},
			Then:  []Thumb{{Picture: plain(Blue), Words: []string{"a"}}, {Missing: "gone"}},
		},
		{Title: long, Then: []Thumb{{Picture: plain(Green)}, {Picture: plain(Pink)}, {Picture: plain(Lilac)}}},
	}, side)
	second := side + 2*Small.Height() + cellGap + Body.Height() // where the second row's pictures begin
	if want := image.Pt(side+rowGap+3*side+2*cellGap, second+side+cellGap); c.Rect.Size() != want {
		t.Errorf("%v, want %v", c.Rect.Size(), want)
	}
	x := side + rowGap
	for _, want := range []struct {
		x, y int
		is   color.RGBA
	}{
		{0, 0, Red},
		{side - 1, side - 1, Red},
		{side, 5, Paper},
		{x, 0, Blue},
		{x + side - 1, side - 1, Blue},
		{x + side + cellGap, 0, Line},
		{x + side + cellGap + 2, 2, Paper},
		{x + 2*(side+cellGap), 0, Paper},
		{0, second, Paper},
		{x, second, Green},
		{x + side + cellGap, second + side - 1, Pink},
		{x + 2*(side+cellGap), second, Lilac},
	} {
		if got := c.RGBAAt(want.x, want.y); got != want.is {
			t.Errorf("at %d, %d: %v, want %v", want.x, want.y, got, want.is)
		}
	}
	for y := side; y < side+Small.Height(); y++ {
		for at := side; at < x; at++ {
			if c.RGBAAt(at, y) != Paper {
				t.Fatalf("words go on beside their picture, at %d, %d", at, y)
			}
		}
	}
	if small := Rows(nil, side); small.Rect.Empty() {
		t.Error("no rows make no picture")
	}
}
