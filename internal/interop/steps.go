package interop

import (
	"fmt"
	"math"
	"slices"

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
	// round is how the size of the layer's map is rounded; empty: the file does not say.
	round config.Round
	// facts are what the file says of the layer by the keys of a page; what it does not say is not there.
	facts map[string]float64
}

// stepsOf are a net's layers as steps. Dropout is left out, which does nothing when predicting, and softmax, which
// files may leave to whoever uses them.
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
				"groups": float64(l.In.C / a.Params[l.Params[0]].Shape[1]), "dilation": 1,
			}
		case config.Pool:
			s.facts = map[string]float64{
				"size": float64(l.Size), "stride": float64(l.Stride), "pad": float64(l.Pad), "dilation": 1,
			}
		case config.LRN:
			s.facts = map[string]float64{
				"size": float64(l.Size), "alpha": l.Alpha, "beta": l.Beta, "k": l.K, "columns": 1,
			}
			if l.Columns() {
				s.facts["columns"] = float64(a.Columns)
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
	if s.kind == config.Activation && s.act == "" { // one that no page has
		return "activation"
	}
	return what(&model.Layer{Layer: config.Layer{Kind: s.kind, Pool: s.pool, Act: s.act}})
}

// differs tells what of a layer of a file is not as in the net's layer in its place.
func (s *step) differs(net *step) string {
	if s.what() != net.what() {
		return fmt.Sprintf("%s (%s) stands where it has %s (%s)", s.name, s.what(), net.name, net.what())
	}
	for _, key := range []string{"size", "stride", "pad", "dilation", "groups", "alpha", "beta", "k", "columns"} {
		is, said := s.facts[key]
		if want := net.facts[key]; said && math.Abs(is-want) > 1e-6*math.Abs(want) { // files have float32
			return fmt.Sprintf("%s has %s %.6g, %s there has %.6g", s.name, key, is, net.name, want)
		}
	}
	return ""
}

// adopt makes a page's net read pictures of the side that the file's net reads, and round the sizes of its maps as that
// does, where it matters. It says what it changed, as overrides.
func (s *Source) adopt(page *config.Config, classes int) (changed []string, err error) {
	m := &page.Model
	if s.side > 0 && s.side != m.Input.Size && s.side <= config.MaxSide {
		m.Input.Size = s.side
		changed = append(changed, fmt.Sprintf("model.input.size=%d", s.side))
	}
	if len(s.steps) == 0 {
		return changed, nil
	}
	var known []*step
	for i := range s.steps {
		if s.steps[i].kind != config.Activation {
			known = append(known, &s.steps[i])
		}
	}
	n := 0
	for i := range m.Layers {
		l := &m.Layers[i]
		if slices.Contains([]config.Kind{config.Dropout, config.Softmax, config.Activation}, l.Kind) {
			continue
		}
		if n >= len(known) || known[n].kind != l.Kind {
			break
		}
		round := known[n].round
		n++
		if round == "" || round == l.Round {
			continue
		}
		before, err := model.Of(page, classes)
		was := l.Round
		if l.Round = round; err != nil {
			return nil, err
		}
		if after, err := model.Of(page, classes); err == nil && sameSizes(before, after) {
			l.Round = was
			continue
		}
		changed = append(changed, fmt.Sprintf("model.%s.round=%s", l.Name, round))
	}
	return changed, nil
}

// sameSizes tells whether all maps of two nets of one page are of the same sizes.
func sameSizes(a, b *model.Arch) bool {
	return slices.EqualFunc(a.Layers, b.Layers, func(x, y model.Layer) bool { return x.Out == y.Out })
}
