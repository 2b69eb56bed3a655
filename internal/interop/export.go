package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/atomicfile"
	"alexnet/internal/checkpoint"
	"alexnet/internal/files"
	"alexnet/internal/model"
	"alexnet/internal/npy"
	"alexnet/internal/onnx"
	"alexnet/internal/safetensors"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
)

// Keys in the metadata of an exported file, which is not a checkpoint.
const (
	formKey   = "alexnet_export" // one of Forms
	sourceKey = "source"         // the checkpoint that it was made from
	insideKey = "preprocess_in_graph"
)

// dropoutInverted is the form of dropout in exported files: see checkpoint.DropoutPaper.
const dropoutInverted = "inverted"

// form is how a net goes out.
type form struct {
	params func(*model.Arch) ([]param, error) // names a net's parameters as other programs do
	end    string                             // of the file's name
}

// onnxForm is the form whose file holds what is computed as well.
const onnxForm = "onnx"

// npzForm is the form whose file holds the mean image as well.
const npzForm = "npz"

var forms = map[string]form{
	"plain": {plain, ".safetensors"}, "torchvision": {torchvision, ".safetensors"}, npzForm: {plain, ".npz"},
	onnxForm: {plain, ".onnx"},
}

// Forms are the forms that Export knows, sorted.
func Forms() []string { return slices.Sorted(maps.Keys(forms)) }

// Ending is the end of the name of a file of one of Forms.
func Ending(name string) string { return forms[name].end }

// Options say what a checkpoint is to become.
type Options struct {
	Form  string // one of Forms
	DType string // of the numbers: F32 or F16
	Path  string // of the file of weights
	// Prepared puts the mean and the scale into the graph of ONNX: it is given pictures of 0..255, cropped.
	Prepared bool
}

// Export is a checkpoint made ready for another program, to be written.
type Export struct {
	Path       string // of the file of weights
	MeanImage  string // path of the mean image, which metadata cannot hold; empty: the net has none
	Parameters int64  // numbers in all tensors
	Bytes      int64  // of the weights, once they are written

	form      string
	meta      map[string]string
	tensors   []tensor.Tensor
	onnx      *onnx.Graph // nil: another form
	mean      []float32
	meanShape []int
}

// NewExport finds out what the file will hold; it reads no weights and writes nothing. A net that the form cannot hold
// is a *Refused. The checkpoint stays the caller's, and open until the Export is written.
func NewExport(c *checkpoint.Checkpoint, o Options) (*Export, error) {
	arch, err := archOf(c)
	if err != nil {
		return nil, err
	}
	params, err := forms[o.Form].params(arch)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	e := &Export{Path: o.Path, mean: c.Recipe.Mean, meanShape: c.Recipe.MeanShape}
	inside := ""
	if c.Recipe.HasMeanImage() && (o.Prepared || o.Form == npzForm) {
		inside = meanTensor
	} else if c.Recipe.HasMeanImage() {
		e.MeanImage = strings.TrimSuffix(o.Path, Ending(o.Form)) + ".mean.npy"
		inside = filepath.Base(e.MeanImage)
	}
	if e.meta, err = metadata(c, o.Form, inside); err != nil {
		return nil, err
	}
	if o.Prepared {
		e.meta[insideKey] = "minus mean; divided by std"
	}
	for _, p := range params {
		from := c.Params[slices.IndexFunc(c.Params, func(t tensor.Tensor) bool {
			return t.Name == arch.Params[p.Index].Name
		})]
		e.tensors = append(e.tensors, tensor.Tensor{
			Name: p.Name, Shape: from.Shape, DType: o.DType, Fill: times(p.Factor, from.Fill),
		})
		e.Parameters += int64(from.Len())
	}
	switch {
	case o.Form == onnxForm:
		e.onnx, err = e.graph(arch, c, o.Prepared)
	case o.Form == npzForm && c.Recipe.HasMeanImage():
		e.tensors = append(e.tensors, tensor.Of(meanTensor, c.Recipe.MeanShape, c.Recipe.Mean))
	}
	e.form = o.Form
	return e, err
}

// encode writes the file of weights.
func (e *Export) encode(ctx context.Context, f atomicfile.File) error {
	stoppable := func(tensors []tensor.Tensor) (all []tensor.Tensor) {
		for _, t := range tensors {
			all = append(all, t.WithContext(ctx))
		}
		return all
	}
	switch e.form {
	case onnxForm: // below
	case npzForm:
		meta, err := json.MarshalIndent(e.meta, "", " ")
		if err != nil {
			return err
		}
		return npy.EncodeArchive(f, meta, stoppable(e.tensors))
	default:
		return safetensors.Encode(f, e.meta, stoppable(e.tensors))
	}
	g := *e.onnx
	g.Weights = stoppable(g.Weights)
	return onnx.Encode(f, &g)
}

// Write writes the weights and, where there is one, the mean image. It stops when ctx ends.
//
// Each of the two files appears whole or not at all, and when Write fails both names hold what they held before. They
// cannot change in one step, though. The mean image goes first, so that no file of weights names a mean that is not
// there: a process that is killed at that moment leaves the new mean image beside the old weights.
func (e *Export) Write(ctx context.Context, fsys files.FS) error {
	if e.MeanImage == "" {
		var err error
		e.Bytes, err = atomicfile.Put(ctx, fsys, e.Path, func(f atomicfile.File) error { return e.encode(ctx, f) })
		return err
	}
	return e.writeWithMean(ctx, fsys)
}

// Exported is a file made by Export, where a checkpoint is wanted.
type Exported struct {
	Path   string
	Form   string // one of Forms
	Source string // the checkpoint that it was made from; empty: it does not say
}

func (e *Exported) Error() string {
	return fmt.Sprintf("%s: weights exported for other programs (%s), not a checkpoint", e.Path, e.Form)
}

// RefuseExported is an *Exported where a checkpoint is wanted and the file is an exported one.
func RefuseExported(r *safetensors.Reader) error {
	form := r.Meta[formKey]
	if form == "" {
		return nil
	}
	source, err := text.Unescape(r.Meta[sourceKey])
	if err != nil { // nobody's path, or that of an older file
		source = r.Meta[sourceKey]
	}
	return &Exported{Path: r.Path(), Form: form, Source: source}
}

// Check tells whether a checkpoint holds the net that its configuration describes: else a *checkpoint.BadPage or a
// *checkpoint.Mismatch.
func Check(c *checkpoint.Checkpoint) error {
	_, err := archOf(c)
	return err
}

// archOf is the net that a checkpoint's configuration describes; its parameters have names and shapes of the net.
func archOf(c *checkpoint.Checkpoint) (*model.Arch, error) {
	cfg, err := c.Page(nil)
	if err != nil {
		return nil, err
	}
	arch, err := model.Of(cfg, len(c.Classes))
	if err == nil {
		_, err = c.Recipe.For(cfg.Model.Input)
	}
	if err != nil {
		return nil, &checkpoint.BadPage{Path: c.Path, Err: err}
	}
	var want []checkpoint.Slot
	for i := range arch.Params {
		want = append(want, checkpoint.Slot{Name: arch.Params[i].Name, Shape: arch.Params[i].Shape})
	}
	return arch, c.Fits(want)
}

func times(factor float32, fill func([]float32) error) func([]float32) error {
	if factor == 1 {
		return fill
	}
	return func(dst []float32) error {
		if err := fill(dst); err != nil {
			return err
		}
		for i := range dst {
			dst[i] *= factor
		}
		return nil
	}
}

// metadata is what a reader needs besides the weights. mean is the name of the mean image, where there is one. Names
// are written as text.UTF8 has them.
func metadata(c *checkpoint.Checkpoint, form, mean string) (map[string]string, error) {
	if !c.Recipe.HasMeanImage() {
		mean = ""
	}
	in := c.Recipe.Public(text.UTF8(mean))
	source := c.Path
	if !filepath.IsLocal(source) {
		source = filepath.Base(source) // where it lies is nobody else's business
	}
	classes, err := json.Marshal(text.Raws(c.Classes))
	if err != nil {
		return nil, fmt.Errorf("classes: %w", err)
	}
	public, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("preprocess: %w", err)
	}
	return map[string]string{
		"format": "pt", // by custom: for PyTorch
		formKey:  form, sourceKey: text.UTF8(source), "dropout": dropoutInverted, "config": string(c.Config),
		"step": strconv.FormatUint(c.Step, 10), "classes": string(classes), "preprocess": string(public),
		"preprocess_in_words": in.Words(),
	}, nil
}
