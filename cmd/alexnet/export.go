package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/atomicfile"
	"alexnet/internal/checkpoint"
	"alexnet/internal/interop"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// exportOptions are what weights export was asked to do.
type exportOptions struct {
	to, dtype, out string
	prepared       bool // --with-preprocess
	force          bool
}

// exportResult is the document of weights export --json.
type exportResult struct {
	Out        text.Raw `json:"out"`
	To         string   `json:"to"`
	DType      string   `json:"dtype"`
	Parameters int64    `json:"parameters"`
	Bytes      int64    `json:"bytes"`
	// file of the mean image, where the net has one and the target no place for it
	MeanImage text.Raw `json:"mean_image,omitempty"`
}

// toCheckpoint is the value of --to for a file of our own; the others are forms for other programs.
const toCheckpoint = "checkpoint"

func targetNames() []string { return append(interop.Forms(), toCheckpoint) }

func newWeightsExportCommand(t *ui.Terminal) *cobra.Command {
	var o exportOptions
	c := &cobra.Command{
		Use:   "export FILE|RUN --out FILE",
		Short: "Write a net's weights for PyTorch and other programs",
		Long: `Write the weights of a checkpoint, or of a run's best one, for other programs. As a safetensors file,
to be loaded strictly:

  plain        every parameter under its own name, conv1.weight .. fc8.bias, and nothing else
  torchvision  the names of torchvision.models.alexnet, features.0.weight .. classifier.6.bias; the
               net must be that one (--config torchvision)
  checkpoint   a checkpoint of this program without what only training needs: momentum, and where
               the data lie

In other forms:

  npz          arrays of NumPy's, shaped as PyTorch has them, conv1.weight .. fc8.bias, with the mean
               image and the metadata (metadata.json) inside
  onnx         the net itself, to be computed by ONNX Runtime and others: opset 13, any number of
               pictures at a time; --with-preprocess takes pictures of 0..255, cropped, and does the
               rest of what comes before the net

Dropout becomes the inverted form of PyTorch and others, which does nothing when predicting: the
weights of a layer after a dropout layer are multiplied by 1-rate. Two columns stay side by side
along the first dimension, as a grouped convolution has them (groups=2). The metadata hold the
classes and how pictures are prepared. A mean image is written beside the file, as NAME.mean.npy; in
checkpoints, npz and onnx with --with-preprocess it is inside. alexnet weights import takes these
files back. See docs/export.md.

` + outHelp,
		Example: `  alexnet weights export runs/train --out net.safetensors
  alexnet weights export alexnet.safetensors --to checkpoint --dtype f16 --out half.safetensors
  alexnet weights export runs/train --to npz --out net.npz
  alexnet weights export runs/train --to onnx --with-preprocess --out net.onnx
  alexnet weights show net.onnx`,
		Args: wantArgs("a checkpoint or a run", 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return runWeightsExport(c.Context(), o, args[0], t)
		},
	}
	f := c.Flags()
	f.StringVar(&o.to, "to", "plain", "the `FORM`: "+strings.Join(targetNames(), ", "))
	f.StringVar(&o.dtype, "dtype", "f32", "the `TYPE` of the numbers: f32, or f16, half the size")
	f.StringVar(&o.out, "out", "", "the `FILE` to write, new")
	f.BoolVar(&o.prepared, "with-preprocess", false, "with --to onnx: subtract the mean and scale in the graph")
	f.BoolVar(&o.force, "force", false, "overwrite FILE")
	return c
}

func (o *exportOptions) check(c *cobra.Command) error {
	help := c.CommandPath() + " --help"
	if o.out == "" {
		return usageError("alexnet weights export runs/train --out net.safetensors", "weights export needs --out")
	}
	if !slices.Contains(targetNames(), o.to) {
		if near := text.Nearest(o.to, targetNames()); near != "" {
			help = "did you mean --to " + near + "? See " + help
		}
		return usageError(help, "--to %s: want one of %s", o.to, strings.Join(targetNames(), ", "))
	}
	if o.dtype != "f32" && o.dtype != "f16" {
		return usageError(help, "--dtype %s: want f32 or f16", o.dtype)
	}
	if o.prepared && o.to != "onnx" {
		return usageError(help, "--with-preprocess goes with --to onnx: only there the file says what is computed")
	}
	return promised(o.out, cmp.Or(interop.Ending(o.to), ".safetensors"))
}

func runWeightsExport(ctx context.Context, o exportOptions, path string, t *ui.Terminal) error {
	place, err := newFile(o.out, o.force, t)
	if err != nil {
		return err
	}
	c, err := loadCheckpoint(findCheckpoint(path, t), t)
	if err != nil {
		return err
	}
	defer closeQuietly(c)
	r := exportResult{Out: text.Raw(o.out), To: o.to, DType: strings.ToUpper(o.dtype)}
	writing := t.Phase("writing the weights")
	if o.to == toCheckpoint {
		err = exportCheckpoint(ctx, c, &r, t)
	} else {
		err = exportForeign(ctx, c, o, place, &r, t)
	}
	writing.Clear()
	if err != nil {
		return err
	}
	return t.Result(r, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s, %s parameters as %s, %s\n", text.Name(r.Out), r.To, text.Grouped(r.Parameters), r.DType,
			text.Bytes(r.Bytes))
		if r.MeanImage != "" {
			fmt.Fprintf(w, "%s: the mean image, which metadata cannot hold; its mean colour is there\n",
				text.Name(r.MeanImage))
		}
	})
}

func exportCheckpoint(ctx context.Context, c *checkpoint.Checkpoint, r *exportResult, t *ui.Terminal) (err error) {
	if err := interop.Check(c); err != nil { // before room is made for its longest tensor
		return err
	}
	compact := c.Compact(r.DType)
	for i, p := range compact.Params {
		compact.Params[i] = p.WithContext(ctx)
		r.Parameters += int64(p.Len())
	}
	r.Bytes, err = atomicfile.Put(ctx, disk(t), string(r.Out), func(f atomicfile.File) error {
		return checkpoint.Encode(f, compact)
	})
	return err
}

func exportForeign(ctx context.Context, c *checkpoint.Checkpoint, o exportOptions, place *atomicfile.Place,
	r *exportResult, t *ui.Terminal,
) error {
	e, err := interop.NewExport(c, interop.Options{
		Form: o.to, DType: r.DType, Path: o.out, Prepared: o.prepared,
	})
	if err != nil {
		return err
	}
	if e.MeanImage != "" {
		if err := besideFile(e.MeanImage, place, o.force, t); err != nil {
			return err
		}
	}
	err = e.Write(ctx, disk(t))
	r.MeanImage, r.Parameters, r.Bytes = text.Raw(e.MeanImage), e.Parameters, e.Bytes
	return err
}

// besideFile refuses a mean image that would have no file to lie beside, or that could not be written.
func besideFile(mean string, weights *atomicfile.Place, force bool, t *ui.Terminal) error {
	if weights.Through {
		return advise(exitFailed, "name a file, or take a form that holds it: --to checkpoint, --to npz, or --to onnx "+
			"--with-preprocess",
			errors.New("this net has a mean image, which is written beside the weights: a pipe or a device has no "+
				"place for it"))
	}
	place, err := newFile(mean, force, t)
	if err == nil && place.Through {
		err = advise(exitFailed, "name another file with --out",
			fmt.Errorf("cannot write the mean image: %s is not a regular file", mean))
	}
	return err
}
