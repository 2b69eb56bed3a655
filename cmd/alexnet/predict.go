package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"alexnet/internal/checkpoint"
	"alexnet/internal/device"
	"alexnet/internal/imagenet"
	"alexnet/internal/infer"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// predictOptions are what predict was asked to do.
type predictOptions struct {
	weights  weightsOption
	device   deviceOptions
	pictures picturesOption
	top      int
	csv      bool
	strict   bool

	submission string
	force      bool
}

// predictResult is one picture's element in the document of predict --json.
type predictResult struct {
	Image       text.Raw                 `json:"image"`
	Predictions []infer.ClassProbability `json:"predictions"`
	Error       string                   `json:"error,omitempty"`
}

func newPredictCommand(t *ui.Terminal) *cobra.Command {
	o := predictOptions{weights: weightsOption{passGenerated: true}}
	c := &cobra.Command{
		Use:   "predict IMAGE...",
		Short: "Name what is in pictures",
		Long: `Print the most probable classes of each picture, in the order given, as they come; Ctrl-C keeps what
was printed. A picture that cannot be read is named with its reason, the others are answered, and
the exit code is 3; --strict stops at the first instead.

` + picturesHelp + `

With --csv, for spreadsheets, each answer is a line: file, rank (1 is the most probable), class,
probability (0 to 1).

--submission FILE writes what ILSVRC's test server takes, of a net of all 1,000 classes: for each
picture a line of five ILSVRC2012_IDs, the best first, in the order of the files' names. IMAGE may
then also be a folder or a tar, as ILSVRC2012_img_test.tar. A picture that cannot be read is named
and has the line 1 2 3 4 5.

Without --weights the best net of the newest run answers; runs on generated pictures are passed
over. Where there is no other, or with --weights builtin, a small net in the program answers. It
knows ten classes, those of CIFAR-10.`,
		Example: `  alexnet predict cat.jpg
  alexnet predict *.jpg --top 1
  alexnet predict -r photos --top 1 --csv > answers.csv
  alexnet predict - < cat.jpg
  alexnet predict --list pictures.txt --json | jq -r '.[].predictions[0].class'
  alexnet predict ILSVRC2012_img_test.tar --weights paper --submission test.txt
  alexnet predict cat.jpg --weights builtin
  alexnet predict cat.jpg --weights alexnet.safetensors --json | jq -r '.[0].predictions[0].class'`,
		Args: o.pictures.args,
		RunE: func(c *cobra.Command, args []string) error {
			help := c.CommandPath() + " --help"
			if o.top < 1 {
				return usageError(help, "--top %d: want at least 1", o.top)
			}
			if o.csv && t.JSON {
				return usageError(help, "--csv and --json exclude each other")
			}
			if err := o.checkSubmission(c, args); err != nil {
				return err
			}
			if err := o.device.check(c); err != nil {
				return err
			}
			if o.submission != "" {
				return runSubmission(c.Context(), o, args, t)
			}
			if len(args) > 0 && !slices.ContainsFunc(args, func(p string) bool { return !isTar(p) }) {
				return usageError(unpackTar+"; or --submission FILE, for ILSVRC's server",
					"%s is a tar, and predict takes pictures and folders", text.Name(args[0]))
			}
			return runPredict(c.Context(), o, args, t)
		},
	}
	o.weights.addFlag(c)
	o.device.addFlags(c)
	o.pictures.addFlags(c)
	f := c.Flags()
	f.IntVar(&o.top, "top", 5, "`N` classes to name")
	f.BoolVar(&o.csv, "csv", false, "write comma-separated values, with a header")
	f.StringVar(&o.submission, "submission", "", "the `FILE` to write for ILSVRC's test server, new")
	f.BoolVar(&o.force, "force", false, "overwrite FILE")
	f.BoolVar(&o.strict, "strict", false,
		"stop at the first picture that cannot be read, and refuse another JPEG decoder than the net was trained with")
	return c
}

// predictBatch is how many pictures are computed at a time.
const predictBatch = 64

func runPredict(ctx context.Context, o predictOptions, args []string, t *ui.Terminal) error {
	images, err := o.pictures.gather(ctx, args, t)
	if err != nil {
		return err
	}
	bar := ui.NewProgress(t)
	p, end, err := openPredictor(&o.weights, &o.device,
		infer.PredictOptions{Batch: min(len(images), predictBatch), Strict: o.strict}, t, bar)
	if err != nil {
		return err
	}
	defer end()
	done := func(int) {}
	if !t.OutShown { // else a bar would be drawn over the answers
		done = pace(bar, "predicting", len(images))
	}
	list, bad := t.List(), unread{command: "alexnet predict -r"}
	for a, failed := range p.Predict(ctx, images, o.top) {
		if failed != nil {
			err = failed
			break
		}
		out := predictResult{
			Image: text.Raw(a.Image), Predictions: append([]infer.ClassProbability{}, a.Predictions...),
		}
		if a.Err != nil {
			out.Error = text.Escape(a.Err.Error() + hintOf(a.Err))
			bad.add(a.Err, bar)
		}
		err = list.Add(out, func(w *bytes.Buffer) {
			switch {
			case o.csv:
				writeCSV(w, out, list.Len() == 1)
			case a.Err == nil:
				printPrediction(w, out, list.Len()-bad.n == 1, t.OutWidth)
			}
		})
		if err != nil {
			break
		}
		done(list.Len())
	}
	bar.Clear()
	if ctx.Err() != nil && len(images) > predictBatch {
		t.Note("stopped after %s of %s", text.Grouped(int64(list.Len())), text.Count(len(images), "picture"))
	}
	if err = list.End(bad.ended(err)); err != nil {
		return err
	}
	return bad.err()
}

// openPredictor opens checkpoint and devices, and the net of po on them. n is told what is said while pictures are
// read.
func openPredictor(wo *weightsOption, do *deviceOptions, po infer.PredictOptions,
	t *ui.Terminal, n noter,
) (p *infer.Predictor, end func(), err error) {
	checkpoint, err := wo.load(t)
	if err != nil {
		return nil, nil, err
	}
	return predictorOf(checkpoint, do, po, t, n)
}

// predictorOf is openPredictor of a checkpoint that is open. It is closed at the end, or on an error.
func predictorOf(checkpoint *checkpoint.Checkpoint, do *deviceOptions, po infer.PredictOptions,
	t *ui.Terminal, n noter,
) (p *infer.Predictor, end func(), err error) {
	var devices []device.Device
	if err = checkDecoder(checkpoint, po.Strict, t); err == nil {
		devices, err = do.open(t)
	}
	if err != nil {
		closeQuietly(checkpoint)
		return nil, nil, err
	}
	if !po.FP32 {
		notePrecision(devices, checkpoint, t)
	}
	po.Checkpoint, po.Devices, po.Files, po.Patience = checkpoint, devices, pictureFiles, patienceOf(checkpoint, n)
	opening := t.Phase("opening the net")
	p, err = infer.NewPredictor(po)
	opening.Clear()
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

// printPrediction writes an answer for people, apart from the one before it.
func printPrediction(w *bytes.Buffer, a predictResult, first bool, width int) {
	if !first {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, text.Name(a.Image))
	for _, p := range a.Predictions {
		line := fmt.Sprintf("  %6s  %s", text.Percent(p.Probability), text.Name(imagenet.Name(string(p.Class))))
		fmt.Fprintln(w, text.Shorten(line, width))
	}
}

// writeCSV writes an answer for spreadsheets, below what the columns are called.
func writeCSV(w *bytes.Buffer, a predictResult, head bool) {
	lines := csv.NewWriter(w)
	if head {
		// as all writing to a buffer, it cannot fail
		_ = lines.Write([]string{"file", "rank", "class", "name", "probability"})
	}
	for i, p := range a.Predictions {
		_ = lines.Write([]string{
			text.Name(a.Image), strconv.Itoa(i + 1), text.Name(p.Class), text.Name(cmp.Or(p.Name, string(p.Class))),
			strconv.FormatFloat(p.Probability, 'f', -1, 32),
		})
	}
	lines.Flush()
}
