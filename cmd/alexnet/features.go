package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"alexnet/internal/atomicfile"
	"alexnet/internal/infer"
	"alexnet/internal/npy"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// featuresOptions are what features was asked to do.
type featuresOptions struct {
	weights    weightsOption
	device     deviceOptions
	pictures   picturesOption
	layer, out string
	strict     bool
	force      bool
}

// featuresResult is the document of features --json.
type featuresResult struct {
	Out    text.Raw   `json:"out"`
	Layer  string     `json:"layer"`
	Shape  []int      `json:"shape"`
	Images []text.Raw `json:"images"` // of the rows
}

func newFeaturesCommand(t *ui.Terminal) *cobra.Command {
	o := featuresOptions{weights: weightsOption{passGenerated: true}}
	c := &cobra.Command{
		Use:   "features IMAGE... --layer NAME --out FILE.npy",
		Short: "Write what a layer says about pictures, as a NumPy array",
		Long: `Write a layer's output for each picture as float32 array, (N, C, H, W) or (N, units), rows in the
order given. Layers: input (what conv1 sees), conv1 .. conv5 (after ReLU; conv1.pre before it),
lrn1, pool1 .., fc6, fc7, fc8 and prob, as far as the net has them. Pictures that cannot be read are
named and left out, and the exit code is 3; --strict stops at the first instead. Rows are written to
a file as they come, so that thousands take no more memory than a few; a pipe gets them at the end.

` + picturesHelp + `

` + outHelp,
		Example: `  alexnet features *.jpg --layer fc7 --out fc7.npy
  alexnet features -r photos --layer conv1 --out photos.npy
  alexnet features cat.jpg --layer conv1.pre --out conv1.npy --weights alexnet.safetensors`,
		Args: o.pictures.args,
		RunE: func(c *cobra.Command, args []string) error {
			if o.layer == "" || o.out == "" {
				return usageError("alexnet features IMAGE... --layer fc7 --out fc7.npy",
					"features needs --layer and --out")
			}
			if err := promised(o.out, ".npy"); err != nil {
				return err
			}
			if err := o.device.check(c); err != nil {
				return err
			}
			return runFeatures(c.Context(), o, args, t)
		},
	}
	o.weights.addFlag(c)
	o.device.addFlags(c)
	o.pictures.addFlags(c)
	f := c.Flags()
	f.StringVar(&o.layer, "layer", "", "the layer's `NAME`")
	f.StringVar(&o.out, "out", "", "the `FILE` to write, new")
	f.BoolVar(&o.force, "force", false, "overwrite FILE")
	f.BoolVar(&o.strict, "strict", false,
		"stop at the first picture that cannot be read, and refuse another JPEG decoder than the net was trained with")
	return c
}

func runFeatures(ctx context.Context, o featuresOptions, args []string, t *ui.Terminal) error {
	if _, err := newFile(o.out, o.force, t); err != nil {
		return err
	}
	images, err := o.pictures.gather(ctx, args, t)
	if err != nil {
		return err
	}
	bar := ui.NewProgress(t)
	p, end, err := openPredictor(&o.weights, &o.device, infer.PredictOptions{
		Batch: min(len(images), predictBatch), Layers: []string{o.layer}, Strict: o.strict,
	}, t, bar)
	if err != nil {
		return err
	}
	defer end()
	x := extraction{p: p, images: images, layer: o.layer, bar: bar, unread: unread{
		command: "alexnet features --layer " + text.ShellWord(o.layer) + " --out " + text.ShellWord(o.out) + " -r",
	}}
	_, err = atomicfile.Put(ctx, disk(t), o.out, func(f atomicfile.File) error { return x.write(ctx, f) })
	bar.Clear()
	switch {
	case errors.Is(x.failed, errNoRows):
		return advise(exitUnreadable, nextStep(x.unread.err()), fmt.Errorf("%w; %s was not written", errNoRows,
			text.Name(o.out)))
	case x.failed != nil:
		return x.unread.ended(x.failed)
	case err != nil:
		return err
	}
	err = t.Result(featuresResult{text.Raw(o.out), o.layer, x.shape, text.Raws(x.read)}, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s of %s, float32 %v\n", text.Name(o.out), text.Name(o.layer),
			text.Count(len(x.read), "picture"), x.shape)
	})
	if err != nil {
		return err
	}
	return x.unread.err()
}

// extraction is a layer's output for pictures on its way into a file.
type extraction struct {
	p      *infer.Predictor
	images []string
	layer  string
	bar    *ui.Progress

	shape  []int    // of the array
	read   []string // pictures, of its rows
	unread unread
	failed error // what ended it, but for the file
}

var errNoRows = errors.New("none of the pictures can be read")

// write writes the array row by row.
func (x *extraction) write(ctx context.Context, f atomicfile.File) error {
	var row []int
	if row, x.failed = x.p.FeatureShape(x.layer); x.failed != nil {
		return x.failed
	}
	w, err := npy.NewWriter(f, row...)
	if err != nil {
		return err
	}
	done := pace(x.bar, "reading", len(x.images))
	for feature, err := range x.p.Features(ctx, x.images, x.layer) {
		switch {
		case err != nil:
			x.failed = err
			return err
		case feature.Err != nil:
			x.unread.add(feature.Err, x.bar)
		default:
			if err := w.Write(feature.Values); err != nil {
				return err
			}
			x.read = append(x.read, feature.Image)
		}
		done(len(x.read) + x.unread.n)
	}
	if len(x.read) == 0 {
		x.failed = errNoRows
		return x.failed
	}
	x.shape = w.Shape()
	return w.Close()
}
