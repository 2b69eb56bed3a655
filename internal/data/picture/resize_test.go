package picture

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// TestLinear holds resizing between the two nearest pixels to what OpenCV's INTER_LINEAR makes of the same pictures,
// larger and smaller, squashed and not (scripts/resize.py): no sample is off by more than one unit of 255, which is
// what rounding rows to 8 bits may cost. With antialiasing they are off by far more.
func TestLinear(t *testing.T) {
	raw, err := os.ReadFile("testdata/opencv.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		OpenCV string `json:"opencv"`
		Cases  []struct {
			Height, Width, Side int
			Fit, Pixels         string
		} `json:"cases"`
	}
	if err := json.Unmarshal(raw, &file); err != nil || len(file.Cases) < 10 {
		t.Fatalf("%d cases, %v", len(file.Cases), err)
	}
	for _, c := range file.Cases {
		want, err := hex.DecodeString(c.Pixels)
		if err != nil || len(want) != 3*c.Side*c.Side {
			t.Fatalf("%d bytes for %d, %v", len(want), c.Side, err)
		}
		pic := formula(c.Height, c.Width)
		p := upright(pic, c.Height, c.Width, 1)
		var worst [2]int // linear, antialiased
		for i, linear := range []bool{true, false} {
			var f fitter
			got := make([]uint8, len(want))
			f.square(&p, got, c.Side, Want{Channels: 3, Squash: c.Fit == "squash", Linear: linear})
			for k := range want {
				worst[i] = max(worst[i], int(got[k])-int(want[k]), int(want[k])-int(got[k]))
			}
		}
		if worst[0] > 1 {
			t.Errorf("%dx%d to %d: off by %d levels from OpenCV %s", c.Height, c.Width, c.Side, worst[0], file.OpenCV)
		}
		if min(c.Height, c.Width) > 2*c.Side && worst[1] < 8 {
			t.Errorf("%dx%d to %d: with antialiasing off by %d levels only", c.Height, c.Width, c.Side, worst[1])
		}
		t.Logf("%dx%d to %d: %d levels, %d with antialiasing", c.Height, c.Width, c.Side, worst[0], worst[1])
	}
}

// formula is the picture of scripts/resize.py.
func formula(h, w int) []uint8 {
	var pic []uint8
	for y := range h {
		for x := range w {
			for c := range 3 {
				pic = append(pic, uint8((x*x*(c+3)+y*y*5+x*y*7+31*c)>>3))
			}
		}
	}
	return pic
}
