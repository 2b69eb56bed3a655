package infer

import (
	"cmp"
	"context"
	"image"
	"math"
	"slices"

	"alexnet/internal/data"
)

// Maps are what a layer makes of one picture.
type Maps struct {
	Seen          *image.RGBA // the picture as the net sees it
	Count         int         // maps, all columns' together
	Height, Width int         // of a map; 1 and 1 of fully connected layers
	Values        []float32   // (Count, Height, Width)
	Columns       int         // that the maps lie in, one column's after the other's; 1: in none
}

// Map is the numbers of map i, (Height, Width).
func (m *Maps) Map(i int) []float32 {
	n := m.Height * m.Width
	return m.Values[i*n:][:n]
}

// Strength is the mean of a map's magnitudes.
func (m *Maps) Strength(i int) float64 {
	sum := 0.0
	for _, v := range m.Map(i) {
		sum += math.Abs(float64(v))
	}
	return sum / float64(m.Height*m.Width)
}

// Order is the numbers of the maps, strongest first; equally strong ones by number, and last those that hold what is no
// number.
func (m *Maps) Order() []int {
	order, strength := make([]int, m.Count), make([]float64, m.Count)
	for i := range order {
		order[i], strength[i] = i, m.Strength(i)
		if math.IsNaN(strength[i]) {
			strength[i] = -1
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(strength[b], strength[a]) })
	return order
}

// Maps reads a layer's maps of the picture in a file. layer is one of PredictOptions.Layers, or "input". A picture that
// cannot be read is a *data.BadPicture; else errors are those that end Predict.
func (p *Predictor) Maps(ctx context.Context, picture, layer string) (*Maps, error) {
	shape, err := p.net.net.Shape(layer)
	if err != nil {
		return nil, err
	}
	m := &Maps{
		Count: shape.C, Height: shape.H, Width: shape.W, Values: make([]float32, shape.Len()), Columns: 1,
	}
	for i := range p.net.arch.Layers {
		if l := &p.net.arch.Layers[i]; l.Name == layer || l.Name+".pre" == layer {
			m.Columns = p.net.arch.Shares(l)
		}
	}
	var bad *data.BadPicture
	err = p.eachSeen(ctx, data.Files(p.fsys, []string{picture}), func(pixels []uint8) {
		m.Seen = data.CentreOf(pixels, &p.net.recipe)
	}, func(int) error {
		return p.net.net.Fetch(layer, false, m.Values)
	}, func(_, _ int, b *data.BadPicture) bool {
		bad = b
		return true
	})
	if err == nil && bad != nil {
		err = bad
	}
	return m, err
}
