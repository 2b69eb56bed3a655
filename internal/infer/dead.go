package infer

import (
	"context"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/model"
)

// Rectified are the layers of a net that end in a ReLU.
func Rectified(a *model.Arch) (layers []model.Layer) {
	for _, l := range a.Layers {
		if l.Act == config.ReLU && (l.Kind.Weighted() || l.Kind == config.Activation) {
			layers = append(layers, l)
		}
	}
	return layers
}

// Alive notes which units of a layer were above 0 on some picture; of a convolution a unit is a kernel, alive where its
// map is above 0 anywhere.
type Alive struct {
	units []bool
	area  int // of a map
}

// NewAlive is that of a layer before any picture.
func NewAlive(l *model.Layer) *Alive { return &Alive{make([]bool, l.Out.C), l.Out.H * l.Out.W} }

// Add looks at the layer's outputs for some pictures, (rows, C, H, W).
func (a *Alive) Add(out []float32) {
	for i, x := range out {
		if x > 0 {
			a.units[i/a.area%len(a.units)] = true
		}
	}
}

// Dead is how many units were never above 0.
func (a *Alive) Dead() (n int) {
	for _, alive := range a.units {
		if !alive {
			n++
		}
	}
	return n
}

// DeadUnits is how many of a layer's units are off on all the pictures looked at.
type DeadUnits struct {
	Layer string `json:"layer"`
	Dead  int    `json:"dead"`
	Units int    `json:"units"`
}

// RectifiedIn are the names of the layers that Dead looks at, for PredictOptions.Layers.
func RectifiedIn(c *checkpoint.Checkpoint) ([]string, error) {
	a, err := archOf(c)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range Rectified(a) {
		names = append(names, l.Name)
	}
	return names, nil
}

// Dead runs pictures through the net and counts, in each layer that ends in a ReLU, the units that are off on all of
// them. Looked is how many pictures could be read. The predictor's Layers must have RectifiedIn. Errors are those that
// end Predict.
func (p *Predictor) Dead(ctx context.Context, images *data.Pictures) (dead []DeadUnits, looked int, err error) {
	layers := Rectified(p.net.arch)
	all, out := make([]*Alive, len(layers)), make([][]float32, len(layers))
	for i := range layers {
		all[i], out[i] = NewAlive(&layers[i]), make([]float32, p.net.rows*layers[i].Out.Len())
	}
	err = p.each(ctx, images, func(rows int) error {
		for i := range layers {
			if err := p.net.net.Fetch(layers[i].Name, false, out[i][:rows*layers[i].Out.Len()]); err != nil {
				return err
			}
			all[i].Add(out[i][:rows*layers[i].Out.Len()])
		}
		return nil
	}, func(_, _ int, bad *data.BadPicture) bool {
		if bad == nil {
			looked++
		}
		return true
	})
	if err != nil {
		return nil, 0, err
	}
	for i := range layers {
		dead = append(dead, DeadUnits{layers[i].Name, all[i].Dead(), layers[i].Out.C})
	}
	return dead, looked, nil
}
