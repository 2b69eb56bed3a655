package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/export"
	"alexnet/internal/model"
	"alexnet/internal/npy"
	"alexnet/internal/report"
	"alexnet/internal/safetensors"
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

// exportTargets are the values of --to that are files for other programs; checkpoint comes on top.
var exportTargets = map[string]func(*model.Arch) ([]export.Param, error){
	"plain": export.Plain, "torchvision": export.Torchvision,
}

// toCheckpoint is the value of --to for a file of our own.
const toCheckpoint = "checkpoint"

func targetNames() []string { return append(slices.Sorted(maps.Keys(exportTargets)), toCheckpoint) }

func newWeightsExportCommand(t *terminal) *cobra.Command {
	var o exportOptions
	c := &cobra.Command{
		Use:   "export FILE|RUN --out FILE",
		Short: "Write a net's weights for PyTorch and other programs",
		Long: `Write the weights of a checkpoint, or of a run's best one, as a safetensors file for other programs, to be loaded strictly:

  plain        every parameter under its own name, conv1.weight .. fc8.bias, and nothing else
  torchvision  the names of torchvision.models.alexnet, features.0.weight .. classifier.6.bias; the net must be that one (--config torchvision)
  checkpoint   a checkpoint of this program without what only training needs: momentum, and where the data lie

Dropout becomes the inverted form of PyTorch and others, which does nothing in use: the weights of a layer behind a dropout layer are
multiplied by 1-rate. Two columns stay side by side along the first dimension, as a grouped convolution has them (groups=2). The metadata
hold the classes and how pictures are prepared; a mean image is written beside the file, as NAME.mean.npy. See docs/export.md.`,
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
		if near := config.Nearest(o.to, targetNames()); near != "" {
			help = "did you mean --to " + near + "? See " + help
		}
		return usageError(help, "--to %s: want one of %s", o.to, strings.Join(targetNames(), ", "))
	}
	if o.dtype != "f32" && o.dtype != "f16" {
		return usageError(help, "--dtype %s: want f32 or f16", o.dtype)
	}
	return nil
}

func runWeightsExport(ctx context.Context, o exportOptions, path string, t *terminal) error {
	if err := newFile(o.out, o.force); err != nil {
		return err
	}
	c, err := loadCheckpoint(inRun(path, t))
	if err != nil {
		return err
	}
	defer done(c)
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
	return t.result(r, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s, %s parameters as %s, %s\n", r.Out, r.To, grouped(r.Parameters), r.DType,
			report.Bytes(r.Bytes))
		if r.MeanImage != "" {
			fmt.Fprintf(w, "%s: the mean image, which metadata cannot hold; its mean colour is there\n", r.MeanImage)
		}
	})
}

func exportCheckpoint(ctx context.Context, c *checkpoint.Checkpoint, r *exportResult) error {
	compact := c.Compact(r.DType)
	for i, p := range compact.Params {
		compact.Params[i].Fill = untilDone(ctx, p.Fill)
		r.Parameters += int64(p.Len())
	}
	return checkpoint.Save(r.Out, compact)
}

func exportForeign(ctx context.Context, c *checkpoint.Checkpoint, o exportOptions, r *exportResult) error {
	arch, err := archOf(c)
	if err != nil {
		return err
	}
	params, err := exportTargets[o.to](arch)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Path, err)
	}
	if isImage(&c.Preprocess) {
		r.MeanImage = strings.TrimSuffix(o.out, ".safetensors") + ".mean.npy"
		if err := newFile(r.MeanImage, o.force); err != nil {
			return err
		}
	}
	meta, err := exportMeta(c, o.to, filepath.Base(r.MeanImage))
	if err != nil {
		return err
	}
	var tensors []safetensors.Tensor
	for _, p := range params {
		from := c.Params[slices.IndexFunc(c.Params, func(t safetensors.Tensor) bool {
			return t.Name == arch.Params[p.Index].Name
		})]
		tensors = append(tensors, safetensors.Tensor{
			Name: p.Name, Shape: from.Shape, DType: r.DType, Fill: untilDone(ctx, times(p.Factor, from.Fill)),
		})
		r.Parameters += int64(from.Len())
	}
	if r.MeanImage != "" { // first: no file of weights names a mean that is not there
		if err := npy.Write(r.MeanImage, c.Preprocess.Mean, c.Preprocess.MeanShape); err != nil {
			return err
		}
	}
	err = safetensors.Write(o.out, meta, tensors)
	if err != nil && r.MeanImage != "" {
		_ = os.Remove(r.MeanImage) // the first failure counts
	}
	return err
}

// archOf is the net that a checkpoint's configuration describes; its parameters have names and shapes of the net.
func archOf(c *checkpoint.Checkpoint) (*model.Arch, error) {
	cfg, err := config.Parse(c.Config, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: its configuration: %w", c.Path, err)
	}
	arch, err := model.Of(cfg, len(c.Classes))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	var want []checkpoint.Slot
	for i := range arch.Params {
		want = append(want, checkpoint.Slot{Name: arch.Params[i].Name, Shape: arch.Params[i].Shape})
	}
	return arch, c.Fits(want)
}

func untilDone(ctx context.Context, fill func([]float32) error) func([]float32) error {
	return func(dst []float32) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		return fill(dst)
	}
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

func isImage(p *checkpoint.Preprocess) bool { return len(p.MeanShape) == 3 }

// exportedInput tells how a picture becomes the net's input. Mean and Std are of values 0..255, one number a channel.
type exportedInput struct {
	Shape     [3]int    `json:"shape"` // of the input, (C, H, W)
	Color     string    `json:"color"` // RGB or grey
	Resize    int       `json:"resize"`
	Crop      int       `json:"crop"`
	Mean      []float32 `json:"mean"`
	MeanImage string    `json:"mean_image,omitempty"` // file, to be subtracted instead of Mean
	Std       []float32 `json:"std"`
}

// exportMeta is the metadata of a file for other programs: what the reader needs besides the weights.
func exportMeta(c *checkpoint.Checkpoint, to, meanImage string) (map[string]string, error) {
	in := inputOf(&c.Preprocess)
	if isImage(&c.Preprocess) {
		in.MeanImage = meanImage
	}
	source := c.Path
	if !filepath.IsLocal(source) {
		source = filepath.Base(source) // where it lies is nobody else's business
	}
	meta := map[string]string{
		"format":             "pt", // by custom: for PyTorch
		checkpoint.ExportKey: to, checkpoint.SourceKey: source, "dropout": checkpoint.DropoutInverted,
		"config": string(c.Config), "step": strconv.FormatUint(c.Step, 10), "preprocess_in_words": in.words(),
	}
	for key, v := range map[string]any{"classes": c.Classes, "preprocess": in} {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		meta[key] = string(text)
	}
	return meta, nil
}

func inputOf(p *checkpoint.Preprocess) exportedInput {
	in := exportedInput{
		Shape: [3]int{p.Channels, p.Crop, p.Crop}, Color: "RGB", Resize: p.Resize, Crop: p.Crop,
		Mean: make([]float32, p.Channels), Std: make([]float32, p.Channels),
	}
	if p.Channels == 1 {
		in.Color = "grey"
	}
	pixels := len(p.Mean) / p.Channels
	for ch := range in.Mean {
		sum := 0.0
		for _, v := range p.Mean[ch*pixels:][:pixels] {
			sum += float64(v)
		}
		in.Mean[ch], in.Std[ch] = float32(sum/float64(max(pixels, 1))), 1
		if p.Scale != nil {
			in.Std[ch] = float32(1 / float64(p.Scale[ch]))
		}
	}
	return in
}

// words are for people.
func (in *exportedInput) words() string {
	steps := []string{in.Color + " of 0..255"}
	if in.Resize > 0 {
		steps = append(steps, fmt.Sprintf("shorter side to %d (bilinear, antialiased; the longer rounded down), "+
			"centre square", in.Resize))
	}
	crop := fmt.Sprintf("centre crop of %d", in.Crop)
	if in.MeanImage != "" {
		steps = append(steps, "minus the mean image in "+in.MeanImage+" (or, nearly, minus mean)", crop)
	} else {
		steps = append(steps, crop, "minus mean")
	}
	return strings.Join(append(steps, "divided by std", "NCHW"), "; ")
}
