package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"alexnet/internal/atomicfile"
	"alexnet/internal/builtin"
	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/infer"
	"alexnet/internal/stats"
	"alexnet/internal/step"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// evalOptions are what eval was asked to do.
type evalOptions struct {
	weights []string // none: what weightsOption takes
	against string
	device  deviceOptions
	data    dataOption
	part    string
	out     string
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
answers averaged after the softmax. Beside each error stands where it lies with 95% confidence
(Wilson's interval).

Without --data: the validation part of the data that the checkpoint names, where these are still the
pictures that the net was trained on. With --data: its val/ where there is one; if it is the data
that the net was trained on, the part that was held out; otherwise every picture. Where nothing was
held out: every picture, with a warning. --part names another part.

Classes go by their keys: folders' names, WNIDs where they are ILSVRC2012's. Of classes that the net
lacks the pictures are counted and left out. Where the pictures are of some of the net's classes
only, as those of imagenette or ImageNet-A, there are two errors: over all of the net's outputs, and
over those of the classes that are present (present_top1_error).

Several nets of the same classes, each with a --weights of its own, answer together: their answers are
averaged after the softmax, and the errors of each alone are given too. --against OTHER measures
another net on the same pictures, and says whether the two differ: by how much, with its interval (a
difference above 0: OTHER has the smaller error), and McNemar's p, exact and mid-p, which goes by the
pictures that only one of them gets wrong. Nets that were trained on different pictures, or held out
different ones, are measured with --data, on pictures that none of them was trained on.

--out DIR writes a new folder: classes, confusion (the matrix, or in JSON its pairs) and mistakes,
each as .csv and .json, confusion.png and evaluation.json.

--int8 shows what int8 weights do to the answers. What they do to the speed, of one picture at a
time: alexnet bench --mode infer --batch 1 --int8.`,
		Example: `  alexnet eval
  alexnet eval --weights runs/train2/checkpoints/best.safetensors --crops 10
  alexnet eval --data imagenet --json | jq .top5_error
  alexnet eval --data photos --json | jq .present_top1_error
  alexnet eval --part train
  alexnet eval --out mistakes
  alexnet eval --weights runs/train --weights runs/train2
  alexnet eval --weights runs/train --against runs/train2
  alexnet eval --int8`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.crops != 1 && o.crops != 10 {
				return usageError(c.CommandPath()+" --help", "--crops %d: want 1 or 10", o.crops)
			}
			if c.Flags().Changed("part") && !slices.Contains(partNames, o.part) {
				return usageError(c.CommandPath()+" --help", "--part %s: want %s", o.part, alternatives(partNames))
			}
			if o.out == "-" {
				return usageError("name a new folder: --out DIR", "--out -: standard output takes no folder")
			}
			if err := cmp.Or(o.device.check(c), o.data.check(c)); err != nil {
				return err
			}
			return runEval(c.Context(), o, t)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.weights, "weights", nil, weightsHelp+"; may be repeated: nets that answer together (default: "+
		fmt.Sprintf(weightsDefault, "the newest run")+")")
	f.StringVar(&o.against, "against", "", "checkpoint or run folder `OTHER`, to compare with on the same pictures")
	o.device.addFlags(c)
	o.device.addInt8(c)
	o.data.addFlag(c, "labelled pictures", "the data that the checkpoint names")
	f.StringVar(&o.part, "part", "",
		"`PART` of the data: train, val or test (default: val where there is one, see above)")
	f.IntVar(&o.crops, "crops", 1, "`N` views of each picture: 1 or 10")
	f.StringVar(&o.out, "out", "", "the folder `DIR` to write, new: what became of each class and picture")
	f.BoolVar(&o.strict, "strict", false,
		"stop at the first picture that cannot be read, and refuse another JPEG decoder than the net was trained with")
	return c
}

// lacksData is the error where the net in the program is to be evaluated and nobody said on what.
func (o *evalOptions) lacksData() error {
	const without = builtin.Name + ", the net in the program, comes without data"
	next := "alexnet eval --weights " + builtin.Name + " --data DIR, of pictures in folders named after its classes"
	if len(o.weights) > 0 {
		return advise(exitNoData, next, errors.New(without))
	}
	return advise(exitNoData, "alexnet train begins a run; or "+next,
		errors.New("nothing was trained here, and "+without))
}

// load opens the checkpoints: those that answer together, and the one that they are compared with, or nil.
func (o *evalOptions) load(t *ui.Terminal) (nets []*checkpoint.Checkpoint, other *checkpoint.Checkpoint, err error) {
	paths := o.weights
	if len(paths) == 0 {
		paths = []string{""}
	}
	if o.against != "" {
		paths = append(slices.Clone(paths), o.against)
	}
	for _, path := range paths {
		c, err := (&weightsOption{path: path}).load(t)
		if err == nil {
			nets = append(nets, c)
			err = checkDecoder(c, o.strict, t)
		}
		if err != nil {
			closeAll(nets)
			return nil, nil, err
		}
	}
	if o.against != "" {
		nets, other = nets[:len(nets)-1], nets[len(nets)-1]
	}
	return nets, other, nil
}

func closeAll(nets []*checkpoint.Checkpoint) {
	for _, c := range nets {
		closeQuietly(c)
	}
}

// notHeldOut says which pictures nets are compared on.
const notHeldOut = "alexnet eval --data DIR, of pictures that none of them was trained on"

// checkSameData refuses a comparison on the pictures that the first net names with one that names others: it may have
// been trained on those that the first held out. What nets were trained on that name no data nobody can tell.
func checkSameData(first, other *checkpoint.Checkpoint) error {
	if other.Data.Fingerprint == first.Data.Fingerprint || other.Data.Fingerprint == "" {
		return nil
	}
	return advise(exitNoData, notHeldOut,
		fmt.Errorf("%s: may have been trained on these pictures: its own are others than those of %s, or were held "+
			"out otherwise", text.Name(other.Path), text.Name(first.Path)))
}

// checkHeldOut refuses a comparison on pictures that were given, a set of a source, where one of two nets was trained
// on some and the other was not, or held out others. What has a part of its own for validation or test is fair to both.
func checkHeldOut(source *data.Source, set *data.Set, first, other *checkpoint.Checkpoint) error {
	if first.Data.Fingerprint == other.Data.Fingerprint || set == source.Test ||
		set == source.Val && !source.Split {
		return nil
	}
	ofFirst, err := trainedOn(first, source)
	if err != nil {
		return err
	}
	ofOther, err := trainedOn(other, source)
	switch {
	case err != nil:
		return err
	case ofOther:
		return advise(exitNoData, notHeldOut, fmt.Errorf("%s: was trained on %s, or on a part of it, and %s was not, "+
			"or on another part", text.Name(other.Path), text.Name(source.Path), text.Name(first.Path)))
	case ofFirst:
		return checkSameData(first, other)
	}
	return nil
}

// trainedOn tells whether a net's own pictures, those held out among them, are those of a source.
func trainedOn(c *checkpoint.Checkpoint, source *data.Source) (bool, error) {
	cfg, err := c.Page(nil)
	if err != nil || c.Data.Fingerprint == "" {
		return false, err
	}
	return source.FingerprintBy(cfg.Data.ValShare, cfg.Train.Seed) == c.Data.Fingerprint, nil
}

// evalResult is the document of eval --json.
type evalResult struct {
	*infer.Evaluation
	Out text.Raw `json:"out,omitempty"`
}

func runEval(ctx context.Context, o evalOptions, t *ui.Terminal) error {
	var folder *atomicfile.Folder
	if o.out != "" { // before nets and pictures are opened, which may take minutes
		var err error
		if folder, err = atomicfile.NewFolder(disk(t), o.out); err != nil {
			return err
		}
		defer folder.Drop()
	}
	nets, against, err := o.load(t)
	if err != nil {
		return err
	}
	defer closeAll(nets)
	others := nets[1:]
	if against != nil {
		defer closeQuietly(against)
		others = append(slices.Clone(others), against)
	}
	first := nets[0]
	if !o.data.given() && first.Path == builtin.Name {
		return o.lacksData()
	}
	if !o.data.given() {
		for _, c := range others {
			if err := checkSameData(first, c); err != nil {
				return err
			}
		}
	}
	source, set, err := evalData(ctx, o.data.at, data.Part(o.part), first, t)
	if err != nil {
		return err
	}
	defer closeQuietly(source)
	if o.data.given() {
		for _, c := range others {
			if err := checkHeldOut(source, set, first, c); err != nil {
				return err
			}
		}
	}
	devices, err := o.device.open(t)
	if err != nil {
		return err
	}
	defer closeDevices(devices)
	notePrecision(devices, first, t)
	bar, bad := t.Phase("opening the net"), 0
	source.SetPatience(patienceOf(first, bar))
	eo := infer.EvalOptions{
		Checkpoint: first, More: nets[1:], Against: against, Devices: devices, Set: set, Classes: source.Classes,
		Crops: o.crops, Strict: o.strict, Int8: o.device.int8, Progress: evalProgress(bar),
		OnBad: func(b *data.BadPicture) { bad++; bar.Note("%v%s", b, hintOf(b)) },
	}
	r := evalResult{Out: text.Raw(o.out)}
	if folder == nil {
		r.Evaluation, err = infer.Evaluate(ctx, eo)
	} else {
		r.Evaluation, err = writeEval(ctx, folder, eo)
	}
	bar.Clear()
	if err != nil {
		return err
	}
	err = t.Result(r, func(w *bytes.Buffer) {
		printEvaluation(w, r.Evaluation, len(first.Classes))
		if o.out != "" {
			fmt.Fprintf(w, "written: %s\n", text.Name(o.out))
		}
	})
	if err != nil {
		return err
	}
	return unreadableError(bad)
}

// evalProgress shows how far an evaluation is.
func evalProgress(bar *ui.Progress) func(done, total int) {
	var start time.Time
	return func(done, total int) {
		s := ui.Status{
			Label: "evaluating", Done: int64(done), All: int64(total), Left: int64(total - done), Loss: -1, Stall: -1,
		}
		if done == 0 {
			start = time.Now()
		} else {
			s.Rate = float64(done) / time.Since(start).Seconds()
		}
		bar.Update(s)
	}
}

// printEvaluation writes errors for people; classes are the net's.
func printEvaluation(w *bytes.Buffer, e *infer.Evaluation, classes int) {
	together := ""
	if len(e.Nets) > 0 {
		together = fmt.Sprintf(", %d nets together", len(e.Nets))
	}
	fmt.Fprintf(w, "%s%s: errors %s, loss %.4f\n", text.Count(e.Images, "picture"), together,
		surelyOf(&e.Score, &e.Intervals, classes), e.Loss)
	for i := range e.Nets {
		printNet(w, "alone", &e.Nets[i], classes)
	}
	if e.Against != nil {
		printAgainst(w, e.Against, classes)
	}
	if e.Present < classes {
		within, in := step.Score{Top1Error: e.PresentTop1Error}, infer.Intervals{}
		in.Top1ErrorInterval = e.PresentTop1ErrorInterval
		if e.PresentTop5Error != nil {
			within.Top5Error, in.Top5ErrorInterval = *e.PresentTop5Error, *e.PresentTop5ErrorInterval
		}
		fmt.Fprintf(w, "among the %s that the pictures are of, of %s: errors %s\n", text.Classes(e.Present),
			text.Grouped(int64(classes)), surelyOf(&within, &in, e.Present))
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

// surelyOf are errors with their intervals; of so few classes top-5 says nothing.
func surelyOf(s *step.Score, in *infer.Intervals, classes int) string {
	words := fmt.Sprintf("top-1 %s (%s)", text.Percent(s.Top1Error), between(in.Top1ErrorInterval))
	if classes > step.TopK {
		words += fmt.Sprintf(", top-5 %s (%s)", text.Percent(s.Top5Error), between(in.Top5ErrorInterval))
	}
	return words
}

// between is an interval of an error.
func between(in stats.Interval) string { return text.Percent(in.Low) + " to " + text.Percent(in.High) }

// printNet writes the errors of one net.
func printNet(w *bytes.Buffer, how string, s *infer.NetScore, classes int) {
	fmt.Fprintf(w, "%s, %s: errors %s, loss %.4f\n", how, text.Name(s.Weights),
		surelyOf(&s.Score, &s.Intervals, classes), s.Loss)
}

// printAgainst writes a comparison.
func printAgainst(w *bytes.Buffer, c *infer.Comparison, classes int) {
	printNet(w, "against", &c.NetScore, classes)
	line := func(which string, d *infer.Difference) {
		fmt.Fprintf(w, "%s: wrong here and right there %s, the other way round %s; ", which,
			text.Grouped(int64(d.FirstOnly)), text.Grouped(int64(d.SecondOnly)))
		fmt.Fprintf(w, "difference %s points (%s to %s), McNemar's p %s exact, %s mid-p\n", points(d.Difference),
			points(d.Interval.Low), points(d.Interval.High), probability(d.ExactP), probability(d.MidP))
	}
	line("top-1", &c.Top1)
	if c.Top5 != nil {
		line("top-5", c.Top5)
	}
}

// points writes a difference of two fractions in percentage points, with its sign.
func points(d float64) string { return fmt.Sprintf("%+.2f", 100*d) }

// probability writes a p as papers do.
func probability(p float64) string {
	if p < .0001 {
		return "below .0001"
	}
	return strings.TrimPrefix(fmt.Sprintf("%.4f", p), "0")
}
