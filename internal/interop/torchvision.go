package interop

import (
	"fmt"
	"slices"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/text"
)

// torchvisionLayer is a layer of torchvision.models.alexnet (torchvision/models/alexnet.py). The average pooling to 6x6
// before the classifier is left out: pictures of 224 arrive there as 6x6, and it does nothing.
type torchvisionLayer struct {
	name   string // "features.0"
	layer  config.Layer
	inputs int // of a layer with weights: channels, or units
}

func conv(name string, kernels, inputs, size, stride, pad int) torchvisionLayer {
	return torchvisionLayer{
		name, config.Layer{
			Kind: config.Conv, Kernels: kernels, Size: size, Stride: stride, Pad: pad, Act: config.ReLU,
		}, inputs,
	}
}

func pool(name string) torchvisionLayer {
	return torchvisionLayer{name, config.Layer{Kind: config.Pool, Pool: config.Max, Size: 3, Stride: 2}, 0}
}

func fc(name string, inputs, units int, act config.Act) torchvisionLayer {
	return torchvisionLayer{name, config.Layer{Kind: config.FC, Units: units, Act: act}, inputs}
}

func torchvisionLayers(classes int) []torchvisionLayer {
	dropout := func(name string) torchvisionLayer {
		return torchvisionLayer{name: name, layer: config.Layer{Kind: config.Dropout}}
	}
	return []torchvisionLayer{
		conv("features.0", 64, 3, 11, 4, 2), pool("features.2"), // 64x55x55, 64x27x27
		conv("features.3", 192, 64, 5, 1, 2), pool("features.5"), // 192x27x27, 192x13x13
		conv("features.6", 384, 192, 3, 1, 1), conv("features.8", 256, 384, 3, 1, 1),
		conv("features.10", 256, 256, 3, 1, 1), pool("features.12"), // 256x13x13, 256x6x6
		dropout("classifier.0"), fc("classifier.1", 256*6*6, 4096, config.ReLU),
		dropout("classifier.3"), fc("classifier.4", 4096, 4096, config.ReLU),
		fc("classifier.6", 4096, classes, config.Linear),
	}
}

// torchvision is the net under the names of torchvision.models.alexnet, with num_classes as the net's. A net of another
// architecture is a *Refused. Dropout layers may be missing, both or one (they do nothing when predicting), but there
// may be none where torchvision has none.
func torchvision(a *model.Arch) ([]param, error) {
	all, differs := torchvisionNames(a)
	if differs != "" {
		return nil, &Refused{Target: "torchvision.models.alexnet", Reason: differs}
	}
	factors, err := inverted(a)
	for i := range all {
		all[i].Factor = factors[all[i].Index]
	}
	return all, err
}

// torchvisionNames goes through both nets side by side; differs is the first difference.
func torchvisionNames(a *model.Arch) (all []param, differs string) {
	if a.Columns != 1 {
		return nil, fmt.Sprintf("this net has %d columns, that one has one", a.Columns)
	}
	want := torchvisionLayers(a.Classes)
	for i := range a.Layers[:len(a.Layers)-1] { // the last is softmax, which there is left to the caller
		l := &a.Layers[i]
		for len(want) > 0 && want[0].layer.Kind == config.Dropout && l.Kind != config.Dropout {
			want = want[1:]
		}
		if len(want) == 0 {
			return nil, fmt.Sprintf("%s (%s) comes after all of its layers", l.Name, what(l))
		}
		if differs = want[0].differs(l, a); differs != "" {
			return nil, differs
		}
		for n, p := range l.Params {
			all = append(all, param{want[0].name + []string{".weight", ".bias"}[n], p, 1})
		}
		want = want[1:]
	}
	if len(want) > 0 {
		return nil, "this net has no layer for " + want[0].name
	}
	return all, ""
}

// differs tells what of a layer is not as there; "" where all is.
func (w *torchvisionLayer) differs(l *model.Layer, a *model.Arch) string {
	if l.Kind != w.layer.Kind {
		return fmt.Sprintf("%s (%s) stands where that one has %s (%s)", l.Name, what(l), w.name,
			what(&model.Layer{Layer: w.layer}))
	}
	mismatch := func(key string, is, want any) string {
		return fmt.Sprintf("%s.%s is %v, of %s there it is %v", l.Name, key, is, w.name, want)
	}
	if l.Kind == config.Conv || l.Kind == config.Pool {
		for _, key := range []struct {
			name     string
			is, want int
		}{{"size", l.Size, w.layer.Size}, {"stride", l.Stride, w.layer.Stride}, {"pad", l.Pad, w.layer.Pad}} {
			if key.is != key.want {
				return mismatch(key.name, key.is, key.want)
			}
		}
	}
	switch {
	case l.Kind == config.Pool && l.Pool != w.layer.Pool:
		return mismatch("pool", l.Pool, w.layer.Pool)
	case l.Round == config.Up && l.Out.H != down(l):
		return mismatch("round", config.Up, config.Down)
	case len(l.Params) == 0:
		return ""
	case l.Act != w.layer.Act:
		return mismatch("act", l.Act, w.layer.Act)
	}
	return w.differsInShape(&a.Params[l.Params[0]], l)
}

// down is the size of a layer's output if it were rounded down.
func down(l *model.Layer) int {
	if l.Kind == config.Conv {
		return device.ConvSize(l.In.H, l.Size, l.Stride, l.Pad, false)
	}
	return device.PoolSize(l.In.H, l.Size, l.Stride, l.Pad, false)
}

func (w *torchvisionLayer) differsInShape(p *model.ParamInfo, l *model.Layer) string {
	want := []int{w.layer.Units, w.inputs}
	if l.Kind == config.Conv {
		want = []int{w.layer.Kernels, w.inputs, l.Size, l.Size}
	}
	if slices.Equal(p.Shape, want) {
		return ""
	}
	return fmt.Sprintf("%s is %s, %s.weight there is %s", p.Name, text.Shape(p.Shape), w.name,
		text.Shape(want))
}
