package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"alexnet/internal/atomicfile"
	"alexnet/internal/data"
	"alexnet/internal/infer"
	"alexnet/internal/npy"
	"alexnet/internal/report"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// featuresOptions are what features was asked to do.
type featuresOptions struct {
	weights    weightsOption
	device     deviceOptions
	pictures   picturesOption
	layer, out string
	projector  string
	strict     bool
	force      bool
}

// featuresResult is the document of features --json.
type featuresResult struct {
	Out text.Raw `json:"out,omitempty"`
	// Projector is the folder of that name
	Projector text.Raw   `json:"projector,omitempty"`
	Layer     string     `json:"layer"`
	Shape     []int      `json:"shape"`
	Images    []text.Raw `json:"images"` // of the rows
}

func newFeaturesCommand(t *ui.Terminal) *cobra.Command {
	o := featuresOptions{weights: weightsOption{passGenerated: true}}
	c := &cobra.Command{
		Use:   "features IMAGE... --layer NAME --out FILE.npy|--projector DIR",
		Short: "Write what a layer says about pictures, as a NumPy array",
		Long: `Write a layer's output for each picture as float32 array, (N, C, H, W) or (N, units), rows in the
order given. Layers: input (what conv1 sees), conv1 .. conv5 (after ReLU; conv1.pre before it),
lrn1, pool1 .., fc6, fc7, fc8 and prob, as far as the net has them. Pictures that cannot be read are
named and left out, and the exit code is 3; --strict stops at the first instead. Rows are written to
a file as they come, so that thousands take no more memory than a few; a pipe gets them at the end.

--projector writes them, or writes them too, for TensorBoard's projector, as a cloud of points with
a small picture each: DIR, a new folder, gets vectors.tsv, metadata.tsv (file and folder of each
picture), sprite.png and projector_config.pbtxt. tensorboard --logdir DIR shows them.

` + picturesHelp + `

` + outHelp,
		Example: `  alexnet features *.jpg --layer fc7 --out fc7.npy
  alexnet features -r photos --layer conv1 --out photos.npy
  alexnet features -r photos --layer fc7 --projector cloud
  alexnet features cat.jpg --layer conv1.pre --out conv1.npy --weights alexnet.safetensors`,
		Args: o.pictures.args,
		RunE: func(c *cobra.Command, args []string) error {
			if o.layer == "" || o.out == "" && o.projector == "" {
				return usageError("alexnet features IMAGE... --layer fc7 --out fc7.npy",
					"features needs --layer and --out or --projector")
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
	f.StringVar(&o.projector, "projector", "", "the `DIR` to write for TensorBoard's projector, new")
	f.BoolVar(&o.force, "force", false, "overwrite FILE")
	f.BoolVar(&o.strict, "strict", false,
		"stop at the first picture that cannot be read, and refuse another JPEG decoder than the net was trained with")
	return c
}

func runFeatures(ctx context.Context, o featuresOptions, args []string, t *ui.Terminal) error {
	if o.out != "" {
		if _, err := newFile(o.out, o.force, t); err != nil {
			return err
		}
	}
	images, err := o.pictures.gather(ctx, args, t)
	if err != nil {
		return err
	}
	bar := ui.NewProgress(t)
	command := "alexnet features --layer " + text.ShellWord(o.layer)
	x := extraction{images: images, layer: o.layer, bar: bar}
	if o.projector != "" {
		command += " --projector " + text.ShellWord(o.projector)
		folder, err := atomicfile.NewFolder(disk(t), o.projector)
		if err != nil {
			return err
		}
		defer folder.Drop()
		if x.cloud, err = report.NewProjector(folder, o.layer, len(images)); err != nil {
			return err
		}
		x.folder = folder
	}
	if o.out != "" {
		command += " --out " + text.ShellWord(o.out)
	}
	x.unread.command = command + " -r"
	p, end, err := openPredictor(&o.weights, &o.device, infer.PredictOptions{
		Batch: min(len(images), predictBatch), Layers: []string{o.layer}, Strict: o.strict,
	}, t, bar)
	if err != nil {
		return err
	}
	defer end()
	x.p = p
	if o.out != "" {
		_, err = atomicfile.Put(ctx, disk(t), o.out, func(f atomicfile.File) error { return x.write(ctx, f) })
	} else {
		err = x.each(ctx, func([]float32) error { return nil })
	}
	if err == nil && x.cloud != nil {
		if err = x.cloud.Close(); err == nil {
			err = x.folder.Finish()
		}
	}
	bar.Clear()
	switch {
	case errors.Is(x.failed, errNoRows):
		return advise(exitUnreadable, nextStep(x.unread.err()), fmt.Errorf("%w; %s was not written", errNoRows,
			text.Name(cmp.Or(o.out, o.projector))))
	case x.failed != nil:
		return x.unread.ended(x.failed)
	case err != nil:
		return err
	}
	r := featuresResult{text.Raw(o.out), text.Raw(o.projector), o.layer, x.shape, text.Raws(x.read)}
	if err := t.Result(r, func(w *bytes.Buffer) { printFeatures(w, &r) }); err != nil {
		return err
	}
	return x.unread.err()
}

// printFeatures says what was written where.
func printFeatures(w *bytes.Buffer, r *featuresResult) {
	if r.Out != "" {
		fmt.Fprintf(w, "%s: %s of %s, float32 %v\n", text.Name(r.Out), text.Name(r.Layer),
			text.Count(len(r.Images), "picture"), r.Shape)
	}
	if r.Projector != "" {
		fmt.Fprintf(w, "%s: %s of %s, for tensorboard --logdir %s\n", text.Name(r.Projector), text.Name(r.Layer),
			text.Count(len(r.Images), "picture"), text.ShellPath(string(r.Projector)))
	}
}

// extraction is a layer's output for pictures on its way into files.
type extraction struct {
	p      *infer.Predictor
	images []string
	layer  string
	bar    *ui.Progress
	cloud  *report.Projector // or nil
	folder *atomicfile.Folder

	shape  []int    // of the array
	read   []string // pictures, of its rows
	unread unread
	failed error // what ended it, but for the files
}

var errNoRows = errors.New("none of the pictures can be read")

// write writes the array row by row.
func (x *extraction) write(ctx context.Context, f atomicfile.File) error {
	row, err := x.p.FeatureShape(x.layer)
	if err != nil {
		x.failed = err
		return err
	}
	w, err := npy.NewWriter(f, row...)
	if err != nil {
		return err
	}
	if err := x.each(ctx, w.Write); err != nil {
		return err
	}
	return w.Close()
}

// each gives the rows to write, and to the projector where there is one.
func (x *extraction) each(ctx context.Context, write func(row []float32) error) error {
	row, err := x.p.FeatureShape(x.layer)
	if err != nil {
		x.failed = err
		return err
	}
	rows := x.p.FeaturesAll
	if x.cloud != nil {
		rows = x.p.FeaturesSeen
	}
	done := pace(x.bar, "reading", len(x.images))
	for feature, err := range rows(ctx, data.Files(pictureFiles, x.images), x.layer) {
		switch {
		case err != nil:
			x.failed = err
			return err
		case feature.Err != nil:
			x.unread.add(feature.Err, x.bar)
		default:
			if err := x.add(feature, write); err != nil {
				return err
			}
		}
		done(len(x.read) + x.unread.n)
	}
	if len(x.read) == 0 {
		x.failed = errNoRows
		return x.failed
	}
	x.shape = append([]int{len(x.read)}, row...)
	return nil
}

func (x *extraction) add(feature infer.Feature, write func(row []float32) error) error {
	if err := write(feature.Values); err != nil {
		return err
	}
	x.read = append(x.read, feature.Image)
	if x.cloud == nil {
		return nil
	}
	return x.cloud.Add(feature.Image, feature.Values, feature.Seen)
}
