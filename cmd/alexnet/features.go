package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/npy"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// featuresOptions are what features was asked to do.
type featuresOptions struct {
	weights    weightsOption
	device     deviceOptions
	layer, out string
	strict     bool
}

// featuresResult is the document of features --json.
type featuresResult struct {
	Out    string   `json:"out"`
	Layer  string   `json:"layer"`
	Shape  []int    `json:"shape"`
	Images []string `json:"images"` // of the rows
}

func newFeaturesCommand(t *ui.Terminal) *cobra.Command {
	var o featuresOptions
	c := &cobra.Command{
		Use:   "features IMAGE... --layer NAME --out FILE.npy",
		Short: "Write what a layer says about pictures, as a NumPy array",
		Long: `Write a layer's output for each picture as float32 array, (N, C, H, W) or (N, units), rows in the
order given. Layers: input (what conv1 sees), conv1 .. conv5 (after ReLU; conv1.pre before it),
lrn1, pool1 .., fc6, fc7, fc8 and prob, as far as the net has them. Pictures that cannot be read are
named and left out, and the exit code is 3; --strict stops at the first instead.`,
		Example: `  alexnet features *.jpg --layer fc7 --out fc7.npy
  alexnet features cat.jpg --layer conv1.pre --out conv1.npy --weights alexnet.safetensors`,
		Args: wantArgs("a picture or several", 0),
		RunE: func(c *cobra.Command, images []string) error {
			if o.layer == "" || o.out == "" {
				return usageError("alexnet features IMAGE... --layer fc7 --out fc7.npy",
					"features needs --layer and --out")
			}
			if err := o.device.check(c); err != nil {
				return err
			}
			return runFeatures(c.Context(), o, images, t)
		},
	}
	o.weights.addFlag(c)
	o.device.addFlags(c)
	f := c.Flags()
	f.StringVar(&o.layer, "layer", "", "the layer's `NAME`")
	f.StringVar(&o.out, "out", "", "the `FILE` to write")
	f.BoolVar(&o.strict, "strict", false,
		"stop at the first picture that cannot be read, and refuse another JPEG decoder than the net was trained with")
	return c
}

func runFeatures(ctx context.Context, o featuresOptions, images []string, t *ui.Terminal) error {
	if err := writable(o.out); err != nil {
		return err
	}
	p, end, err := openPredictor(&o.weights, &o.device, infer.PredictOptions{
		Batch: min(len(images), predictBatch), Layers: []string{o.layer}, Strict: o.strict,
	}, t)
	if err != nil {
		return err
	}
	defer end()
	f, err := p.Features(ctx, images, o.layer)
	if err != nil {
		return err
	}
	var bad []string
	for _, b := range f.Bad {
		bad = append(bad, b.Name)
		t.Note("%s", explainUnread(b.Name, b, "alexnet features"))
	}
	if len(f.Images) == 0 {
		return advise(exitUnreadable, "name other pictures, or repair these",
			fmt.Errorf("none of the pictures can be read; %s was not written", o.out))
	}
	if err := npy.Write(files.OS, o.out, f.Data, f.Shape); err != nil {
		return err
	}
	err = t.Result(featuresResult{o.out, o.layer, f.Shape, f.Images}, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s of %s, float32 %v\n", o.out, o.layer, text.Count(len(f.Images), "picture"), f.Shape)
	})
	if err != nil {
		return err
	}
	return unreadableError(len(bad), bad...)
}
