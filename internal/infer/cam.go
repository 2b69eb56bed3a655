package infer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
)

// CAM says where a layer's maps speak for a class (Selvaraju et al., "Grad-CAM: visual explanations from deep networks
// via gradient-based localization", 2017, arXiv 1610.02391).
type CAM struct {
	Explained
	Layer         string
	Height, Width int
	// Map is max(0, sum over k of weight_k A_k), (Height, Width), of the layer's maps A_k; weight_k is the mean over
	// the map's places of d logit / d A_k.
	Map []float32
}

// NoMaps is a layer that Grad-CAM cannot be of, for it has no maps of several places.
type NoMaps struct {
	Layer string   // empty: none was named, and the net has no convolution that has
	Have  []string // layers that have
}

func (e *NoMaps) Error() string {
	switch {
	case len(e.Have) == 0:
		return "Grad-CAM is of a layer's maps, and no layer of the net has maps"
	case e.Layer == "":
		return "Grad-CAM is of a layer's maps, and no convolution of the net has maps; layers that have are " +
			strings.Join(e.Have, ", ")
	}
	return fmt.Sprintf("Grad-CAM is of a layer's maps, and %s is not one that has maps; there are %s", e.Layer,
		strings.Join(e.Have, ", "))
}

// CAMLayer checks that a net's layer has maps that Grad-CAM can be of, for PredictOptions.Layers; of an empty name it
// is the last convolution, the paper's conv5. A layer without is a *NoMaps, one that is not there a *config.Error.
func CAMLayer(c *checkpoint.Checkpoint, layer string) (string, error) {
	_, arch, err := netOf(c)
	if err != nil {
		return "", err
	}
	var have []string
	last := ""
	for i := range arch.Layers {
		l := &arch.Layers[i]
		if l.Out.H*l.Out.W < 2 {
			continue
		}
		have = append(have, l.Name)
		if l.Kind == config.Conv {
			last = l.Name
		}
	}
	switch {
	case layer == "" && last != "":
		return last, nil
	case slices.Contains(have, strings.TrimSuffix(layer, ".pre")) && slices.Contains(arch.Names(), layer):
		return layer, nil
	}
	if err := arch.CheckNames([]string{layer}); layer != "" && err != nil {
		return "", err
	}
	return "", &NoMaps{layer, have}
}

// GradCAM computes the map of a layer, whose name CAMLayer gave. Of PredictOptions it needs Gradients and the layer.
func (p *Predictor) GradCAM(ctx context.Context, image string, class int, layer string) (*CAM, error) {
	s, e, err := p.ask(ctx, image, class)
	if err != nil {
		return nil, err
	}
	if err := s.backward(e.Class.Index, 1); err != nil {
		return nil, err
	}
	shape, err := s.net.Shape(layer)
	if err != nil {
		return nil, err
	}
	maps, grads := make([]float32, shape.Len()), make([]float32, shape.Len())
	if err := s.net.Fetch(layer, false, maps); err != nil {
		return nil, err
	}
	if err := s.net.Fetch(layer, true, grads); err != nil {
		return nil, err
	}
	m := &CAM{Explained: e, Layer: layer, Height: shape.H, Width: shape.W}
	m.Map = gradCAM(maps, grads, shape.H*shape.W)
	return m, s.net.Sync()
}

// gradCAM is the map of maps and their gradients, (maps, places).
func gradCAM(maps, grads []float32, places int) []float32 {
	sum := make([]float64, places)
	for first := 0; first < len(maps); first += places {
		weight := 0.0
		for _, g := range grads[first:][:places] {
			weight += float64(g) / float64(places)
		}
		for i, a := range maps[first:][:places] {
			sum[i] += weight * float64(a)
		}
	}
	m := make([]float32, places)
	for i, v := range sum {
		m[i] = float32(max(v, 0))
	}
	return m
}
