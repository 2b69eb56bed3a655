package figure

import (
	"image"
	"math"
)

// Histogram is how numbers are spread over a range that is divided into equal parts.
type Histogram struct {
	Low, High float64
	Counts    []int   // by part
	Mark      float64 // a number that a line is drawn at, as a median; NaN: none
}

// Spread counts numbers from low to high in so many parts; high itself belongs to the last. What is beyond, or no
// number, is not counted.
func Spread(numbers []float64, low, high float64, parts int) Histogram {
	h := Histogram{low, high, make([]int, parts), math.NaN()}
	for _, v := range numbers {
		if v >= low && v <= high {
			h.Counts[min(int((v-low)/(high-low)*float64(parts)), parts-1)]++
		}
	}
	return h
}

// Draw draws the histogram with its ends written under it, in so many pixels. The highest bar is as high as there is
// room, one of half its count half as high.
func (h *Histogram) Draw(width, height int) *Canvas {
	c := New(width, height)
	floor, most := height-Small.Height(), 1
	for _, n := range h.Counts {
		most = max(most, n)
	}
	for i, n := range h.Counts {
		from, to := i*width/len(h.Counts), (i+1)*width/len(h.Counts)
		top := floor - 1 - int(math.Round(float64(n)/float64(most)*float64(floor-1)))
		c.Fill(image.Rect(from, top, to-1, floor-1), Blue)
	}
	c.Fill(image.Rect(0, floor-1, width, floor), Ink)
	if !math.IsNaN(h.Mark) {
		x := int(math.Round((h.Mark - h.Low) / (h.High - h.Low) * float64(width-1)))
		c.Fill(image.Rect(x, 0, x+1, floor), Vermillion)
	}
	c.Words(Small, 0, floor, Number(h.Low), Ink)
	c.Before(Small, width, floor, Number(h.High), Ink)
	return c
}
