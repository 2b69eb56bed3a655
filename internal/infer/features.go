package infer

import (
	"context"
	"slices"

	"alexnet/internal/data"
)

// Features are one layer's outputs for pictures.
type Features struct {
	Data   []float32          // as Shape says
	Shape  []int              // (pictures, C, H, W), or (pictures, units) of fully connected layers and probabilities
	Images []string           // the pictures, in the order given, without the unreadable ones
	Bad    []*data.BadPicture // the unreadable ones
}

// Features reads the output of a layer (one of PredictOptions.Layers, or "input", which is what the first layer sees)
// for each picture.
func (p *Predictor) Features(ctx context.Context, images []string, layer string) (*Features, error) {
	shape, err := p.net.net.Shape(layer)
	if err != nil {
		return nil, err
	}
	f := &Features{}
	err = p.each(ctx, images, func(rows []int) error {
		at, n := len(f.Data), len(rows)*shape.Len()
		f.Data = slices.Grow(f.Data, n)[:at+n]
		for _, i := range rows {
			f.Images = append(f.Images, images[i])
		}
		return p.net.net.Fetch(layer, false, f.Data[at:])
	}, func(_ int, bad *data.BadPicture) { f.Bad = append(f.Bad, bad) })
	f.Shape = []int{len(f.Images), shape.C}
	if shape.H*shape.W > 1 {
		f.Shape = append(f.Shape, shape.H, shape.W)
	}
	return f, err
}
