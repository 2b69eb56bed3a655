package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"alexnet/internal/data"
	"alexnet/internal/infer"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// evalOptions are what eval was asked to do.
type evalOptions struct {
	weights weightsOption
	device  deviceOptions
	data    string
	crops   int
	strict  bool
}

func newEvalCommand(t *ui.Terminal) *cobra.Command {
	var o evalOptions
	c := &cobra.Command{
		Use:   "eval",
		Short: "Measure a net's error on labelled pictures",
		Long: `Measure top-1 and top-5 error and loss on labelled pictures, prepared as the checkpoint says: the
centre crop, or with --crops 10 the four corners and the centre, each also mirrored, with the ten
answers averaged after the softmax.

Without --data: the validation part of the data that the checkpoint names. With --data: its val/
where there is one; if it is the data that the net was trained on, the part that was held out;
otherwise every picture. Where nothing was held out: every picture, with a warning.

--int8 shows what int8 weights do to the answers. What they do to the speed, of one picture at a
time: alexnet bench --mode infer --batch 1 --int8.`,
		Example: `  alexnet eval
  alexnet eval --weights runs/train2/checkpoints/best.safetensors --crops 10
  alexnet eval --data imagenet --json | jq .top5_error
  alexnet eval --int8`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.crops != 1 && o.crops != 10 {
				return usageError(c.CommandPath()+" --help", "--crops %d: want 1 or 10", o.crops)
			}
			if err := o.device.check(c); err != nil {
				return err
			}
			return runEval(c.Context(), o, t)
		},
	}
	o.weights.addFlag(c)
	o.device.addFlags(c)
	o.device.addInt8(c)
	f := c.Flags()
	f.StringVar(&o.data, "data", "",
		"`PATH` of a folder or tar of labelled pictures (default: the data that the checkpoint names)")
	f.IntVar(&o.crops, "crops", 1, "`N` views of each picture: 1 or 10")
	f.BoolVar(&o.strict, "strict", false,
		"stop at the first picture that cannot be read, and refuse another JPEG decoder than the net was trained with")
	return c
}

func runEval(ctx context.Context, o evalOptions, t *ui.Terminal) error {
	checkpoint, err := o.weights.load(t)
	if err != nil {
		return err
	}
	defer closeQuietly(checkpoint)
	if err := checkDecoder(checkpoint, o.strict, t); err != nil {
		return err
	}
	source, set, err := evalData(ctx, o.data, checkpoint, t)
	if err != nil {
		return err
	}
	defer closeQuietly(source)
	devices, err := o.device.open(t)
	if err != nil {
		return err
	}
	defer closeDevices(devices)
	notePrecision(devices, checkpoint, t)
	bar, bad, start := ui.NewProgress(t), 0, time.Now()
	score, err := infer.Evaluate(ctx, infer.EvalOptions{
		Checkpoint: checkpoint, Devices: devices, Set: set, Classes: source.Classes, Crops: o.crops, Strict: o.strict,
		Int8: o.device.int8, OnBad: func(b *data.BadPicture) { bad++; bar.Note("%v%s", b, hintOf(b)) },
		Progress: func(done, total int) {
			bar.Update(ui.Status{
				Label: "evaluating", Done: int64(done), All: int64(total), Left: int64(total - done),
				Rate: float64(done) / time.Since(start).Seconds(), Loss: -1, Stall: -1,
			})
		},
	})
	bar.Clear()
	if err != nil {
		return err
	}
	err = t.Result(score, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: errors %s, loss %.4f\n", text.Count(score.Images, "picture"),
			errorsOf(score, len(source.Classes)), score.Loss)
	})
	if err != nil {
		return err
	}
	return unreadableError(bad)
}
