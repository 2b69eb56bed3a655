package interop

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"alexnet/internal/tensor"
)

// pair is the weight and the bias of a layer, as a file has them.
type pair struct {
	name         string // what the two have in common: "features.0"
	weight, bias *tensor.Tensor
}

// wrappers are the keys under which programs keep the weights among other things: epochs, the optimizer's state.
var wrappers = []string{"state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params"}

// suffixes tell weight and bias by the last part of a name.
var suffixes = map[string]bool{ // is it the bias?
	"weight": false, "weights": false, "w": false, "W": false, "kernel": false,
	"bias": true, "biases": true, "b": true,
}

// caffe2 are names of the ONNX model zoo: conv1_w_0, conv1_b_0.
var caffe2 = regexp.MustCompile(`^(.+)_([wb])_0$`)

// harmless are the last parts of names of tensors that no net computes with.
var harmless = []string{"num_batches_tracked"}

// training are keys under which programs keep the state of training, where the weights have no key of their own.
var training = []string{
	"optimizer", "optimizers", "optimizer_state", "optimizer_state_dict", "optimizer_states", "optim", "optim_state",
	"optim_state_dict", "scheduler", "lr_scheduler", "lr_schedulers", "scaler", "amp",
}

// found are a file's tensors by what they are.
type found struct {
	pairs  []pair
	others []tensor.Tensor // among the weights, and neither weight nor bias: of layers that no net here has
	beside []tensor.Tensor // outside the dict of weights: the optimizer's state, means of weights
}

// Twice are two tensors of one file that are the same parameter.
type Twice struct {
	Path  string
	Names [2]string
}

func (e *Twice) Error() string {
	return fmt.Sprintf("%s: %s and %s are the same parameter", e.Path, e.Names[0], e.Names[1])
}

// pairUp finds the layers among a file's tensors. Parts "module" of a name, which DataParallel puts there, are dropped.
func pairUp(path string, tensors []tensor.Tensor) (f found, err error) {
	names := make([][]string, len(tensors))
	for i, t := range tensors {
		names[i] = slices.DeleteFunc(strings.Split(t.Name, "."), func(part string) bool { return part == "module" })
	}
	inside, at := unwrap(names), map[string]int{} // in pairs
	for i := range tensors {
		t := &tensors[i]
		name, isBias, ok := split(names[i])
		switch {
		case !inside[i] || len(names[i]) > 1 && slices.Contains(training, names[i][0]):
			f.beside = append(f.beside, *t)
			continue
		case !ok:
			if n := len(names[i]); n == 0 || !slices.Contains(harmless, names[i][n-1]) {
				f.others = append(f.others, *t)
			}
			continue
		}
		n, there := at[name]
		if !there {
			n = len(f.pairs)
			at[name], f.pairs = n, append(f.pairs, pair{name: name})
		}
		place := &f.pairs[n].weight
		if isBias {
			place = &f.pairs[n].bias
		}
		if *place != nil {
			return f, &Twice{path, [2]string{(*place).Name, t.Name}}
		}
		*place = t
	}
	slices.SortStableFunc(f.pairs, before)
	return f, nil
}

// split is the layer's name and whether the tensor is its bias.
func split(name []string) (layer string, isBias, ok bool) {
	if len(name) == 0 {
		return "", false, false
	}
	last := name[len(name)-1]
	if m := caffe2.FindStringSubmatch(last); m != nil {
		return m[1], m[2] == "b", true
	}
	isBias, ok = suffixes[last]
	return strings.Join(name[:len(name)-1], "."), isBias, ok && len(name) > 1
}

// unwrap drops the keys around the dict of weights, whatever there are, and tells which tensors lie in it.
func unwrap(names [][]string) (inside []bool) {
	in := make([]int, len(names)) // numbers of the names inside: none is looked at more often than it has parts
	for i := range in {
		in[i] = i
	}
	for key := outermost(names, in); key != ""; key = outermost(names, in) {
		within := in[:0]
		for _, i := range in {
			if name := names[i]; len(name) > 1 && name[0] == key {
				names[i], within = name[1:], append(within, i)
			}
		}
		in = within
	}
	inside = make([]bool, len(names))
	for _, i := range in {
		inside[i] = true
	}
	return inside
}

// outermost is the key around the dict of weights: one that is used for such, or that all have in common, where layer
// and weight follow.
func outermost(names [][]string, in []int) string {
	for _, key := range wrappers {
		for _, i := range in {
			if len(names[i]) > 2 && names[i][0] == key {
				return key
			}
		}
	}
	first := ""
	for _, i := range in {
		name := names[i]
		if len(name) < 3 || first != "" && name[0] != first {
			return ""
		}
		first = name[0]
	}
	return alone(first, names, in)
}

// alone is a key that all names have in common if all begin with it for another reason than that there are only
// convolutions: layers below it are in parts of their own.
func alone(key string, names [][]string, in []int) string {
	if slices.ContainsFunc(in, func(i int) bool { return len(names[i]) > 3 }) {
		return key
	}
	return ""
}

// before orders layers: convolutions before fully connected ones, and those by name, whose numbers count as numbers.
func before(a, b pair) int {
	return cmp.Or(cmp.Compare(b.dims(), a.dims()), natural(a.name, b.name))
}

// dims is 4 for a convolution, 2 for what is fully connected.
func (p *pair) dims() int {
	if p.weight == nil {
		return 0
	}
	shape := p.weight.Shape
	for len(shape) > 2 && shape[0] == 1 { // old Caffe's 1x1x4096x9216
		shape = shape[1:]
	}
	return len(shape)
}

// natural compares names so that features.6 stands before features.10.
func natural(a, b string) int {
	for a != "" && b != "" {
		x, y := piece(a), piece(b)
		if isDigit(x[0]) && isDigit(y[0]) {
			n, m := strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if c := cmp.Or(cmp.Compare(len(n), len(m)), strings.Compare(n, m)); c != 0 {
				return c
			}
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
		a, b = a[len(x):], b[len(y):]
	}
	return cmp.Compare(len(a), len(b))
}

// piece is what a name begins with: digits, or what comes before some.
func piece(name string) string {
	n := 1
	for n < len(name) && isDigit(name[n]) == isDigit(name[0]) {
		n++
	}
	return name[:n]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
