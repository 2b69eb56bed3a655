package interop

import (
	"fmt"
	"math"

	"alexnet/internal/config"
	"alexnet/internal/model"
)

// step is a layer of a file that knows its layers, in the order in which they are computed. Activations stand for
// themselves.
type step struct {
	name string
	kind config.Kind
	pool config.Pooling
	act  config.Act
	// facts are what the file says of the layer by the keys of a page; what it does not say is not there.
	facts map[string]float64
}

// stepsOf are a net's layers as steps. Dropout is left out, which does nothing when predicting, and softmax, which files
// may leave to whoever uses them.
func stepsOf(a *model.Arch) (all []step) {
	for i := range a.Layers {
		l := &a.Layers[i]
		s := step{name: l.Name, kind: l.Kind, pool: l.Pool, act: l.Act}
		switch l.Kind {
		case config.Dropout, config.Softmax:
			continue
		case config.Conv:
			s.facts = map[string]float64{
				"size": float64(l.Size), "stride": float64(l.Stride), "pad": float64(l.Pad),
				"groups": float64(l.In.C / a.Params[l.Params[0]].Shape[1]),
			}
		case config.Pool:
			s.facts = map[string]float64{"size": float64(l.Size), "stride": float64(l.Stride), "pad": float64(l.Pad)}
		case config.LRN:
			s.facts = map[string]float64{
				"size": float64(l.Size), "alpha": l.Alpha, "beta": l.Beta, "k": l.K, "columns": float64(a.Columns),
			}
		}
		all = append(all, s)
		if l.Kind.Weighted() && l.Act != config.Linear && l.Act != "" {
			all = append(all, step{name: l.Name + "'s activation", kind: config.Activation, act: l.Act})
		}
	}
	return all
}

// differsInSteps is the first difference between a file's layers and a net's, "" where there is none or the file does
// not know its layers.
func differsInSteps(file []step, a *model.Arch) string {
	if len(file) == 0 {
		return ""
	}
	net := stepsOf(a)
	for i := range max(len(file), len(net)) {
		switch {
		case i >= len(file):
			return fmt.Sprintf("the file ends before %s (%s)", net[i].name, net[i].what())
		case i >= len(net):
			return fmt.Sprintf("%s (%s) comes after all of its layers", file[i].name, file[i].what())
		}
		if d := file[i].differs(&net[i]); d != "" {
			return d
		}
	}
	return ""
}

func (s *step) what() string {
	return what(&model.Layer{Layer: config.Layer{Kind: s.kind, Pool: s.pool, Act: s.act}})
}

// differs tells what of a layer of a file is not as in the net's layer in its place.
func (s *step) differs(net *step) string {
	if s.what() != net.what() {
		return fmt.Sprintf("%s (%s) stands where it has %s (%s)", s.name, s.what(), net.name, net.what())
	}
	for _, key := range []string{"size", "stride", "pad", "groups", "alpha", "beta", "k", "columns"} {
		is, said := s.facts[key]
		if want := net.facts[key]; said && math.Abs(is-want) > 1e-6*math.Abs(want) { // files have float32
			return fmt.Sprintf("%s has %s %.6g, %s there has %.6g", s.name, key, is, net.name, want)
		}
	}
	return ""
}
