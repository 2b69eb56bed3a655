package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// predictOptions are what predict was asked to do.
type predictOptions struct {
	weights weightsOption
	device  deviceOptions
	top     int
	strict  bool
}

// predictResult is one picture's element in the document of predict --json.
type predictResult struct {
	Image       string                   `json:"image"`
	Predictions []infer.ClassProbability `json:"predictions"`
	Error       string                   `json:"error,omitempty"`
}

func newPredictCommand(t *ui.Terminal) *cobra.Command {
	var o predictOptions
	c := &cobra.Command{
		Use:   "predict IMAGE...",
		Short: "Name what is in pictures",
		Long: `Print the most probable classes of each picture, in the order given. A picture that cannot be read
is named with its reason, the others are answered, and the exit code is 3; --strict stops at the
first instead.

Without --weights the newest run's best net answers; where nothing was trained yet, or with
--weights builtin, a small net in the program, which knows ten classes, those of CIFAR-10.`,
		Example: `  alexnet predict cat.jpg
  alexnet predict *.jpg --top 1
  alexnet predict cat.jpg --weights builtin
  alexnet predict cat.jpg --weights alexnet.safetensors --json | jq -r '.[0].predictions[0].class'`,
		Args: wantArgs("a picture or several", 0),
		RunE: func(c *cobra.Command, images []string) error {
			if o.top < 1 {
				return usageError(c.CommandPath()+" --help", "--top %d: want at least 1", o.top)
			}
			if err := o.device.check(c); err != nil {
				return err
			}
			return runPredict(c.Context(), o, images, t)
		},
	}
	o.weights.addFlag(c)
	o.device.addFlags(c)
	c.Flags().IntVar(&o.top, "top", 5, "`N` classes to name")
	c.Flags().BoolVar(&o.strict, "strict", false,
		"stop at the first picture that cannot be read, and refuse another JPEG decoder than the net was trained with")
	return c
}

// predictBatch is how many pictures are computed at a time.
const predictBatch = 64

func runPredict(ctx context.Context, o predictOptions, images []string, t *ui.Terminal) error {
	p, end, err := openPredictor(&o.weights, &o.device,
		infer.PredictOptions{Batch: min(len(images), predictBatch), Strict: o.strict}, t)
	if err != nil {
		return err
	}
	defer end()
	answers, err := p.Predict(ctx, images, o.top)
	if err != nil {
		return err
	}
	out, bad := make([]predictResult, len(answers)), []string(nil)
	for i, a := range answers {
		out[i] = predictResult{Image: a.Image, Predictions: append([]infer.ClassProbability{}, a.Predictions...)}
		if a.Err != nil {
			out[i].Error = a.Err.Error() + hintOf(a.Err)
			bad = append(bad, a.Image)
			t.Note("%s", explainUnread(a.Image, a.Err, "alexnet predict"))
		}
	}
	if err := t.Result(out, func(w *bytes.Buffer) { printPredictions(w, out, t.OutWidth) }); err != nil {
		return err
	}
	return unreadableError(len(bad), bad...)
}

// explainUnread says why a picture is left out, and of a folder how its pictures are named.
func explainUnread(path string, err error, command string) string {
	if info, e := os.Stat(path); e == nil && info.IsDir() {
		return fmt.Sprintf("cannot read picture %s: it is a folder; its pictures: %s %s", path, command,
			filepath.Join(path, "*"))
	}
	return err.Error() + hintOf(err)
}

// openPredictor opens checkpoint and devices, and the net of po on them.
func openPredictor(wo *weightsOption, do *deviceOptions, po infer.PredictOptions,
	t *ui.Terminal,
) (p *infer.Predictor, end func(), err error) {
	checkpoint, err := wo.load(t)
	if err != nil {
		return nil, nil, err
	}
	var devices []device.Device
	if err = checkDecoder(checkpoint, po.Strict, t); err == nil {
		devices, err = do.open(t)
	}
	if err != nil {
		closeQuietly(checkpoint)
		return nil, nil, err
	}
	notePrecision(devices, checkpoint, t)
	po.Checkpoint, po.Devices, po.Files = checkpoint, devices, files.OS
	p, err = infer.NewPredictor(po)
	end = func() {
		if p != nil {
			closeQuietly(p)
		}
		closeDevices(devices)
		closeQuietly(checkpoint)
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return p, end, nil
}

func printPredictions(w *bytes.Buffer, answers []predictResult, width int) {
	for _, a := range answers {
		if len(a.Predictions) == 0 {
			continue
		}
		if w.Len() > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, a.Image)
		for _, p := range a.Predictions {
			fmt.Fprintln(w, text.Shorten(fmt.Sprintf("  %6s  %s", text.Percent(p.Probability), p.Class), width))
		}
	}
}
