// Package interop is nets in other programs' words: what their parameters are called there, what the numbers must be,
// and what a file says to whoever reads it there.
//
// Names and shapes are a matter of the form: see [Forms]. The numbers change in one place. Our dropout is the paper's:
// a mask in training, outputs times 1-rate when predicting. PyTorch's, Caffe's and others' is inverted: times
// 1/(1-rate) in training, nothing when predicting. So in an exported net the weights of the layer that reads after a
// dropout layer are multiplied by 1-rate, and the net predicts the same; the bias stays. That is exact for a rate of
// 0.5.
//
// What comes in goes the other way ([NewImport]): a file's content tells its form ([Open]), its names, shapes and,
// where it has them, layers tell which page's net it is, and the numbers are put into our order: (out, in, height,
// width), maps as channels, rows, columns, colours as red, green, blue, the paper's dropout.
//
// It stands on the net (model, config, recipe, and device for the sizes of what layers give), on checkpoint, on the
// formats (safetensors, npy, pth, caffe, onnx, zipped), on imagenet for names of classes, and on files, atomicfile,
// tensor and text to read, to write and to word them; it may import no backend and nothing that trains.
package interop

import (
	"fmt"

	"alexnet/internal/config"
	"alexnet/internal/model"
)

// param is one parameter for another program.
type param struct {
	Name   string  // there
	Index  int     // in Arch.Params
	Factor float32 // it is multiplied by this
}

// Refused is a net that the target cannot hold.
type Refused struct {
	Target  string // "torchvision.models.alexnet"
	Reason  string // what is different, where first
	Dropout string // the dropout layer without which it could be held, where that is what is in the way
}

func (e *Refused) Error() string { return "cannot be exported to " + e.Target + ": " + e.Reason }

// plain is every parameter under its own name, the paper's: for a module written for this net, whose layers have these
// names.
func plain(a *model.Arch) ([]param, error) {
	factors, err := inverted(a)
	if err != nil {
		return nil, err
	}
	all := make([]param, len(a.Params))
	for i := range a.Params {
		all[i] = param{a.Params[i].Name, i, factors[i]}
	}
	return all, nil
}

// inverted is what turns the paper's dropout into the inverted form, by parameter. What stands between a dropout layer
// and the layer with weights after it must let a factor through.
func inverted(a *model.Arch) ([]float32, error) {
	factors := make([]float32, len(a.Params))
	factor, dropout := 1.0, ""
	for i := range a.Layers {
		switch l := &a.Layers[i]; {
		case l.Kind == config.Dropout:
			factor, dropout = factor*(1-l.Rate), l.Name
		case len(l.Params) > 0:
			factors[l.Params[0]], factors[l.Params[1]] = float32(factor), 1
			factor = 1
		case factor != 1 && !homogeneous(l):
			return nil, &Refused{
				Target: "a net with inverted dropout", Dropout: dropout,
				Reason: fmt.Sprintf("%s (%s) stands between %s and the next weights, and what it does to outputs "+
					"times %g no weights can do", l.Name, what(l), dropout, factor),
			}
		}
	}
	return factors, nil
}

// homogeneous tells whether c times the input gives c times the output, for c above 0.
func homogeneous(l *model.Layer) bool {
	return l.Kind == config.Pool || l.Kind == config.Activation && l.Act != config.Tanh
}

// what is a layer's kind in words.
func what(l *model.Layer) string {
	switch l.Kind {
	case config.Activation:
		return string(l.Act)
	case config.Pool:
		return string(l.Pool) + " pool"
	}
	return string(l.Kind)
}
