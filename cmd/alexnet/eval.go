package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"alexnet/internal/builtin"
	"alexnet/internal/data"
	"alexnet/internal/infer"
	"alexnet/internal/step"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// evalOptions are what eval was asked to do.
type evalOptions struct {
	weights weightsOption
	device  deviceOptions
	data    dataOption
	part    string
	crops   int
	strict  bool
}

var partNames = []string{string(data.TrainPart), string(data.ValPart), string(data.TestPart)}

func newEvalCommand(t *ui.Terminal) *cobra.Command {
	var o evalOptions
	c := &cobra.Command{
		Use:   "eval",
		Short: "Measure a net's error on labelled pictures",
		Long: `Measure top-1 and top-5 error and loss on labelled pictures, prepared as the checkpoint says: the
centre crop, or with --crops 10 the four corners and the centre, each also mirrored, with the ten
answers averaged after the softmax.

Without --data: the validation part of the data that the checkpoint names, where these are still the
pictures that the net was trained on. With --data: its val/ where there is one; if it is the data
that the net was trained on, the part that was held out; otherwise every picture. Where nothing was
held out: every picture, with a warning. --part names another part.

Classes go by their keys: folders' names, WNIDs where they are ILSVRC2012's. Of classes that the net
lacks the pictures are counted and left out. Where the pictures are of some of the net's classes
only, as those of imagenette or ImageNet-A, there are two errors: over all of the net's outputs, and
over those of the classes that are present (present_top1_error).

--int8 shows what int8 weights do to the answers. What they do to the speed, of one picture at a
time: alexnet bench --mode infer --batch 1 --int8.`,
		Example: `  alexnet eval
  alexnet eval --weights runs/train2/checkpoints/best.safetensors --crops 10
  alexnet eval --data imagenet --json | jq .top5_error
  alexnet eval --data photos --json | jq .present_top1_error
  alexnet eval --part train
  alexnet eval --int8`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.crops != 1 && o.crops != 10 {
				return usageError(c.CommandPath()+" --help", "--crops %d: want 1 or 10", o.crops)
			}
			if c.Flags().Changed("part") && !slices.Contains(partNames, o.part) {
				return usageError(c.CommandPath()+" --help", "--part %s: want %s", o.part, alternatives(partNames))
			}
			if err := cmp.Or(o.device.check(c), o.data.check(c)); err != nil {
				return err
			}
			return runEval(c.Context(), o, t)
		},
	}
	o.weights.addFlag(c)
	o.device.addFlags(c)
	o.device.addInt8(c)
	f := c.Flags()
	o.data.addFlag(c, "labelled pictures", "the data that the checkpoint names")
	f.StringVar(&o.part, "part", "",
		"`PART` of the data: train, val or test (default: val where there is one, see above)")
	f.IntVar(&o.crops, "crops", 1, "`N` views of each picture: 1 or 10")
	f.BoolVar(&o.strict, "strict", false,
		"stop at the first picture that cannot be read, and refuse another JPEG decoder than the net was trained with")
	return c
}

// lacksData is the error where the net in the program is to be evaluated and nobody said on what.
func (o *evalOptions) lacksData() error {
	const without = builtin.Name + ", the net in the program, comes without data"
	next := "alexnet eval --weights " + builtin.Name + " --data DIR, of pictures in folders named after its classes"
	if o.weights.path != "" {
		return advise(exitNoData, next, errors.New(without))
	}
	return advise(exitNoData, "alexnet train begins a run; or "+next,
		errors.New("nothing was trained here, and "+without))
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
	if !o.data.given() && checkpoint.Path == builtin.Name {
		return o.lacksData()
	}
	source, set, err := evalData(ctx, o.data.at, data.Part(o.part), checkpoint, t)
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
	bar, bad := t.Phase("opening the net"), 0
	var start time.Time
	source.SetPatience(patienceOf(checkpoint, bar))
	score, err := infer.Evaluate(ctx, infer.EvalOptions{
		Checkpoint: checkpoint, Devices: devices, Set: set, Classes: source.Classes, Crops: o.crops, Strict: o.strict,
		Int8: o.device.int8, OnBad: func(b *data.BadPicture) { bad++; bar.Note("%v%s", b, hintOf(b)) },
		Progress: func(done, total int) {
			s := ui.Status{
				Label: "evaluating", Done: int64(done), All: int64(total), Left: int64(total - done), Loss: -1,
				Stall: -1,
			}
			if done == 0 {
				start = time.Now()
			} else {
				s.Rate = float64(done) / time.Since(start).Seconds()
			}
			bar.Update(s)
		},
	})
	bar.Clear()
	if err != nil {
		return err
	}
	err = t.Result(score, func(w *bytes.Buffer) {
		printEvaluation(w, score, len(checkpoint.Classes))
	})
	if err != nil {
		return err
	}
	return unreadableError(bad)
}

// printEvaluation writes errors for people; classes are the net's.
func printEvaluation(w *bytes.Buffer, e *infer.Evaluation, classes int) {
	fmt.Fprintf(w, "%s: errors %s, loss %.4f\n", text.Count(e.Images, "picture"), errorsOf(&e.Score, classes), e.Loss)
	if e.Present < classes {
		within := step.Score{Top1Error: e.PresentTop1Error}
		if e.PresentTop5Error != nil {
			within.Top5Error = *e.PresentTop5Error
		}
		fmt.Fprintf(w, "among the %s that the pictures are of, of %s: errors %s\n", text.Classes(e.Present),
			text.Grouped(int64(classes)), errorsOf(&within, e.Present))
	}
	left := 0
	for _, l := range e.LeftOut {
		left += l.Pictures
	}
	if left > 0 {
		fmt.Fprintf(w, "left out, of classes that the net lacks: %s\n", text.Count(left, "picture"))
	}
	for _, l := range e.LeftOut {
		name := string(l.Class)
		if l.Name != "" {
			name += " " + l.Name
		}
		fmt.Fprintf(w, "  %s: %s\n", text.Name(name), text.Grouped(int64(l.Pictures)))
	}
}
