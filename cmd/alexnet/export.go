package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/checkpoint"
	"alexnet/internal/files"
	"alexnet/internal/interop"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// exportOptions are what weights export was asked to do.
type exportOptions struct {
	to, dtype, out string
	force          bool
}

// exportResult is the document of weights export --json.
type exportResult struct {
	Out        string `json:"out"`
	To         string `json:"to"`
	DType      string `json:"dtype"`
	Parameters int64  `json:"parameters"`
	Bytes      int64  `json:"bytes"`
	// file of the mean image, where the net has one and the target no place for it
	MeanImage string `json:"mean_image,omitempty"`
}

// toCheckpoint is the value of --to for a file of our own; the others are forms for other programs.
const toCheckpoint = "checkpoint"

func targetNames() []string { return append(interop.Forms(), toCheckpoint) }

func newWeightsExportCommand(t *ui.Terminal) *cobra.Command {
	var o exportOptions
	c := &cobra.Command{
		Use:   "export FILE|RUN --out FILE",
		Short: "Write a net's weights for PyTorch and other programs",
		Long: `Write the weights of a checkpoint, or of a run's best one, as a safetensors file for other programs,
to be loaded strictly:

  plain        every parameter under its own name, conv1.weight .. fc8.bias, and nothing else
  torchvision  the names of torchvision.models.alexnet, features.0.weight .. classifier.6.bias; the
               net must be that one (--config torchvision)
  checkpoint   a checkpoint of this program without what only training needs: momentum, and where
               the data lie

Dropout becomes the inverted form of PyTorch and others, which does nothing in use: the weights of a
layer behind a dropout layer are multiplied by 1-rate. Two columns stay side by side along the first
dimension, as a grouped convolution has them (groups=2). The metadata hold the classes and how
pictures are prepared; a mean image is written beside the file, as NAME.mean.npy. See
docs/export.md.`,
		Example: `  alexnet weights export runs/train --out net.safetensors
  alexnet weights export alexnet.safetensors --to checkpoint --dtype f16 --out half.safetensors
  alexnet weights show net.safetensors`,
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
	return nil
}

func runWeightsExport(ctx context.Context, o exportOptions, path string, t *ui.Terminal) error {
	if err := newFile(o.out, o.force); err != nil {
		return err
	}
	c, err := loadCheckpoint(findCheckpoint(path, t))
	if err != nil {
		return err
	}
	defer closeQuietly(c)
	r := exportResult{Out: o.out, To: o.to, DType: strings.ToUpper(o.dtype)}
	if o.to == toCheckpoint {
		err = exportCheckpoint(ctx, c, &r)
	} else {
		err = exportForeign(ctx, c, o, &r)
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(o.out)
	if err != nil {
		return err
	}
	r.Bytes = info.Size()
	return t.Result(r, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s, %s parameters as %s, %s\n", r.Out, r.To, text.Grouped(r.Parameters), r.DType,
			text.Bytes(r.Bytes))
		if r.MeanImage != "" {
			fmt.Fprintf(w, "%s: the mean image, which metadata cannot hold; its mean colour is there\n", r.MeanImage)
		}
	})
}

func exportCheckpoint(ctx context.Context, c *checkpoint.Checkpoint, r *exportResult) error {
	compact := c.Compact(r.DType)
	for i, p := range compact.Params {
		compact.Params[i] = p.WithContext(ctx)
		r.Parameters += int64(p.Len())
	}
	return checkpoint.Save(files.OS, r.Out, compact)
}

func exportForeign(ctx context.Context, c *checkpoint.Checkpoint, o exportOptions, r *exportResult) error {
	e, err := interop.NewExport(c, interop.Options{Form: o.to, DType: r.DType, Path: o.out})
	if err != nil {
		return err
	}
	if e.MeanImage != "" {
		if err := newFile(e.MeanImage, o.force); err != nil {
			return err
		}
	}
	r.MeanImage, r.Parameters = e.MeanImage, e.Parameters
	return e.Write(ctx, files.OS)
}
