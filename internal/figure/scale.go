package figure

import (
	"image/color"
	"math"
	"strconv"
	"sync"

	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/palette/moreland"
)

// Colors gives the colour of a share of a scale, 0 to 1.
type Colors func(share float64) color.RGBA

// Grey goes from black to white.
func Grey(share float64) color.RGBA {
	v := uint8(math.Round(255 * share))
	return color.RGBA{v, v, v, 255}
}

// Heat goes from black over violet, red and orange to white, ever lighter, so that it can be read without colours too:
// K. Moreland's extended black body.
func Heat(share float64) color.RGBA { return heat()[int(math.Round(255*share))] }

// BlueRed goes from blue over light grey in the middle to red, for numbers on both sides of zero: K. Moreland,
// "Diverging color maps for scientific visualization", 2009.
func BlueRed(share float64) color.RGBA { return blueRed()[int(math.Round(255*share))] }

var (
	heat    = sync.OnceValue(func() []color.RGBA { return table(moreland.ExtendedBlackBody()) })
	blueRed = sync.OnceValue(func() []color.RGBA { return table(moreland.SmoothBlueRed()) })
)

// table is 256 colours of a map.
func table(m palette.ColorMap) []color.RGBA {
	m.SetMin(0)
	m.SetMax(255)
	all := make([]color.RGBA, 256)
	for i := range all {
		at, err := m.At(float64(i))
		if err != nil { // i is in its range
			panic(err)
		}
		all[i] = color.RGBAModel.Convert(at).(color.RGBA) //nolint:forcetypeassert // what the model converts to
	}
	return all
}

// NotFinite is the colour of what is no finite number, and of no scale.
var NotFinite = color.RGBA{255, 0, 255, 255}

// Scale gives numbers colours.
type Scale struct {
	Low, High float64 // what is beyond them has the colour of the nearer one
	Colors    Colors
}

// Around is a scale that is as long on both sides of zero, and reaches as far as any of the values: zero has the middle
// colour.
func Around(values []float32, colors Colors) Scale {
	most := 0.0
	for _, v := range values {
		if a := math.Abs(float64(v)); a > most && !math.IsInf(a, 0) {
			most = a
		}
	}
	return Scale{-most, most, colors}
}

// Range is a scale from the lowest to the highest of the values that are finite; of none, 0 to 0.
func Range(values []float32, colors Colors) Scale {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
			low, high = min(low, f), max(high, f)
		}
	}
	if low > high {
		low, high = 0, 0
	}
	return Scale{low, high, colors}
}

// Color is that of a number. Where the scale has no length all numbers have the middle colour.
func (s Scale) Color(v float64) color.RGBA {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return NotFinite
	case !(s.High > s.Low):
		return s.Colors(.5)
	}
	return s.Colors(min(max((v-s.Low)/(s.High-s.Low), 0), 1))
}

// Number writes a number of a scale with three digits.
func Number(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
