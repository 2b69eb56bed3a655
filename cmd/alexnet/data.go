package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// dataForms are what --data and its like take.
const dataForms = `Data is a folder or a tar of class folders, or of train/ and val/ with class folders in them;
ILSVRC2012's tars as they come; Tiny ImageNet; CIFAR's binary files; shards of a WebDataset; a list
of pictures and labels, as lines or CSV; or what data prepare makes. s3://BUCKET/PREFIX may hold any
of these. A .tar.gz, .tgz, .zip or .parquet, or a folder of such, is for data prepare.`

func newDataCommand(t *ui.Terminal) *cobra.Command {
	return newGroup("data", "Make, fetch, inspect and prepare pictures for training",
		"Make, fetch, inspect and prepare pictures for training.\n\n"+dataForms,
		newDataDemoCommand(t), newDataFetchCommand(t), newDataInfoCommand(t), newDataPrepareCommand(t),
		newDataSplitCommand(t))
}

// dataDemoOptions are what data demo was asked to do.
type dataDemoOptions struct {
	pictures demo.Options
	out      string
}

// dataDemoResult is the document of data demo --json.
type dataDemoResult struct {
	Out     text.Raw   `json:"out"`
	Classes []text.Raw `json:"classes"`
	Train   int        `json:"train"`
	Val     int        `json:"val"`
}

func newDataDemoCommand(t *ui.Terminal) *cobra.Command {
	var o dataDemoOptions
	c := &cobra.Command{
		Use:   "demo --out DIR",
		Short: "Write the generated pictures as files",
		Long: `Write the pictures that alexnet train draws itself as PNG files: ten classes of shapes,
DIR/train/CLASS and DIR/val/CLASS. The same options give the same files.`,
		Example: `  alexnet data demo --out shapes
  alexnet data demo --out few --train 20 --val 5
  alexnet train --config demo --data shapes`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.out == "" || o.out == "-" {
				return usageError("alexnet data demo --out shapes", "data demo needs --out, a folder")
			}
			p := o.pictures
			if p.Train < 1 || p.Val < 1 || p.Size < 1 {
				return usageError(c.CommandPath()+" --help", "--train, --val and --size: want at least 1")
			}
			return runDataDemo(c.Context(), o, t)
		},
	}
	f := c.Flags()
	f.StringVar(&o.out, "out", "", "folder `DIR` to write, new or empty")
	f.IntVar(&o.pictures.Train, "train", 200, "`N` training pictures of each class")
	f.IntVar(&o.pictures.Val, "val", 50, "`N` validation pictures of each class")
	f.IntVar(&o.pictures.Size, "size", generatedSize, "`N`, width and height in pixels")
	f.Uint64Var(&o.pictures.Seed, "seed", 0, "`N`, the number that all draws start from")
	return c
}

func runDataDemo(ctx context.Context, o dataDemoOptions, t *ui.Terminal) error {
	err := demo.Write(ctx, files.OS, o.out, o.pictures)
	if errors.Is(err, fs.ErrExist) {
		return advise(exitFailed, "give a new folder", err)
	}
	if err != nil {
		return err
	}
	source, err := data.Open(ctx, files.OS, data.At(o.out), 0, 0)
	if err != nil {
		return err
	}
	defer closeQuietly(source)
	r := dataDemoResult{text.Raw(o.out), text.Raws(source.Classes), source.Train.Len(), source.Val.Len()}
	return t.Result(r, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s to train on, %s for validation, %s\n", text.Name(r.Out), text.Count(r.Train, "picture"),
			text.Grouped(int64(r.Val)), strings.Join(text.Names(source.Classes), " "))
	})
}

// splitOptions say how pictures are split: as training with the same flags does it.
type splitOptions struct {
	at    data.Place
	net   netOptions
	share float64
}

func (o *splitOptions) addFlags(c *cobra.Command) {
	o.net.addFlags(c)
	o.net.addSeed(c)
	c.Flags().Float64Var(&o.share, "val-share", 0,
		"`SHARE` held out of each class where there is no val/ (data.val_share)")
	addLabels(c, &o.at.Labels)
}

func (o *splitOptions) check(c *cobra.Command) error {
	if c.Flags().Changed("val-share") {
		if !(o.share >= 0 && o.share < 1) {
			return usageError(c.CommandPath()+" --help", "--val-share %g: want at least 0 and below 1", o.share)
		}
		o.net.addShorthand("val-share", "data.val_share", o.share)
	}
	return o.net.check(c, nil)
}

// open finds the pictures, and splits them as training does with --data and the same page.
func (o *splitOptions) open(ctx context.Context, t *ui.Terminal) (*data.Source, *config.Config, error) {
	cfg, err := o.net.load(ctx, "alexnet")
	if err != nil {
		return nil, nil, err
	}
	source, err := listPictures(ctx, o.at, cfg.Data.ValShare, cfg.Train.Seed, cfg.Data.Cache, t)
	return source, cfg, err
}

// infoOptions are what data info was asked to do.
type infoOptions struct {
	splitOptions

	full bool
}

// infoSample is how many pictures of a larger set are decoded unasked: enough to meet, nineteen times out of twenty,
// what is wrong with 15 of 10,000, and some seconds of work.
const infoSample = 2000

func newDataInfoCommand(t *ui.Terminal) *cobra.Command {
	var o infoOptions
	c := &cobra.Command{
		Use:   "info PATH...",
		Short: "Count classes, sizes and kinds of pictures, and name what cannot be read",
		Long: `Say what is there: how many pictures of each class, in training and validation (where there is no
val/: with the share that training with the same --config, --set and --seed would hold out), in
which form, and what looks wrong with classes and files. Of the pictures up to 2,000 are decoded,
drawn by --seed, of each part and class its share; --full decodes all. That tells their formats,
colours and sizes, turned as EXIF says (data.exif), and where all were read which ones are there
twice. Pictures that cannot be read are named with the reason, and the exit code is 3.

Training goes over its pictures once for their mean, and keeps it in alexnet/mean in the user's cache
folder ($XDG_CACHE_HOME, or else ~/.cache or what the system has) for the next run on the same
pictures. That folder may be deleted at any time.`,
		Example: `  alexnet data info photos
  alexnet data info photos --full
  alexnet data info photos --config cifar10 --set data.val_share=0.2
  alexnet data info train.tar val.tar
  alexnet data info pictures.csv --labels numbers
  alexnet data info cifar10.tar --json | jq '.classes | length'`,
		Args: wantArgs("a folder, tar or list of pictures, or several", 0),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			o.at.Paths = args
			return runDataInfo(c.Context(), o, t)
		},
	}
	o.addFlags(c)
	c.Flags().BoolVar(&o.full, "full", false, "decode all pictures, and find those that are there twice")
	return c
}

func runDataInfo(ctx context.Context, o infoOptions, t *ui.Terminal) error {
	source, cfg, err := o.open(ctx, t)
	if err != nil {
		return err
	}
	defer closeQuietly(source)
	bar := ui.NewProgress(t)
	source.SetPatience(patience(cfg.Data.Retry, bar))
	look := data.InspectOptions{
		Sample: infoSample, Seed: cfg.Train.Seed, Progress: bar.CounterOf("picture", "reading"),
	}
	if o.full {
		look.Sample = 0
	}
	info, err := data.Inspect(ctx, source, look)
	bar.Clear()
	if err != nil {
		return err
	}
	for _, u := range info.Unreadable {
		t.Note("cannot read picture %s: %s", text.Name(u.Name), u.Reason)
	}
	if err := t.Result(info, func(w *bytes.Buffer) { printDataInfo(w, info, t.OutWidth) }); err != nil {
		return err
	}
	return unreadableError(len(info.Unreadable))
}

func printDataInfo(w *bytes.Buffer, r *data.SourceInfo, width int) {
	classTable(r).Write(w, width)
	held := ""
	if r.HeldOut {
		held = "; val: held out by share"
	}
	fmt.Fprintf(w, "\n%s: %s%s\n", text.Name(r.Path), text.Classes(len(r.Classes)), held)
	fmt.Fprintf(w, "form: %s; %s\n", r.Form, orders[r.ClassOrder])
	if r.Labels != "" {
		fmt.Fprintf(w, "validation labels: %s\n", r.Labels)
	}
	if r.ILSVRC != nil {
		printILSVRC(w, r.ILSVRC)
	}
	if all := r.Train + r.Val + r.Test; r.Decoded < all {
		fmt.Fprintf(w, "decoded %s of %s; --full decodes all\n", text.Grouped(int64(r.Decoded)),
			text.Count(all, "picture"))
	}
	fmt.Fprintf(w, "formats: %s; colours: %s\n", listCounts(r.Formats), listCounts(r.Colors))
	fmt.Fprintf(w, "width %s, height %s (smallest, median, largest)\n", describeRange(r.Width), describeRange(r.Height))
	if r.Turned > 0 {
		fmt.Fprintf(w, "turned as EXIF says (data.exif): %d\n", r.Turned)
	}
	printNamed(w, fmt.Sprintf("tiny, a side under %d pixels", data.TinySide), r.Tiny)
	printNamed(w, fmt.Sprintf("huge, a side over %d pixels", data.HugeSide), r.Huge)
	printNamed(w, "named as another format than they are", r.Misnamed)
	fmt.Fprintf(w, "unreadable: %d\n", len(r.Unreadable))
	if r.Duplicates != nil && r.Duplicates.Groups > 0 {
		printDuplicates(w, r.Duplicates)
	}
	printNamed(w, "classes without validation pictures", r.TrainOnly)
	for _, alike := range r.SameClass {
		fmt.Fprintf(w, "perhaps one class: %s\n", text.Examples(rawStrings(alike)))
	}
	if len(r.Leftovers) > 0 {
		fmt.Fprintf(w, "left behind by systems and downloads: %s\n", listCounts(r.Leftovers))
	}
	for _, name := range r.Empty {
		fmt.Fprintf(w, "no pictures: class folder %s\n", text.Name(name))
	}
	for _, u := range r.Unused {
		fmt.Fprintf(w, "not used: %s\n", u)
	}
}

// classTable counts pictures by class and part.
func classTable(r *data.SourceInfo) *ui.Table {
	tab := &ui.Table{Columns: []ui.Column{{Head: "class"}, {Head: "train", Right: true}, {Head: "val", Right: true}}}
	row := func(name string, train, val, test int) {
		cells := []string{name, text.Grouped(int64(train)), text.Grouped(int64(val))}
		if r.Test > 0 {
			cells = append(cells, text.Grouped(int64(test)))
		}
		tab.Add(cells...)
	}
	if r.Test > 0 {
		tab.Columns = append(tab.Columns, ui.Column{Head: "test", Right: true})
	}
	for _, c := range r.Classes {
		name := string(c.Name)
		if known := imagenet.Name(name); known != name {
			name += " " + known
		}
		row(name, c.Train, c.Val, c.Test)
	}
	row("total", r.Train, r.Val, r.Test)
	return tab
}

var orders = map[data.ClassOrder]string{
	data.ByWNID: "classes are WNIDs, and in that order", data.ByName: "classes are in the order of their names",
	data.ByNumber: "classes are numbers, and in that order",
	data.ByText:   "classes are numbers, in the order of texts: 10 before 9",
}

// printNamed writes how many there are of something, and the first few; nothing of none.
func printNamed(w *bytes.Buffer, what string, n *data.Named) {
	if n == nil {
		return
	}
	fmt.Fprintf(w, "%s: %s (%s)\n", what, text.Grouped(int64(n.Count)), text.Examples(rawStrings(n.First)))
}

func rawStrings(names []text.Raw) []string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = string(n)
	}
	return all
}

func printILSVRC(w *bytes.Buffer, x *data.ILSVRC) {
	if x.Complete {
		fmt.Fprintln(w, "ILSVRC2012: complete")
		return
	}
	line := fmt.Sprintf("ILSVRC2012: %s, %s", lacking("to train on", x.Train, imagenet.Trainings),
		lacking("for validation", x.Val, imagenet.Validations))
	if len(x.Short) > 0 {
		first, classes := x.Short[0], map[text.Raw]bool{}
		for _, s := range x.Short {
			classes[s.Class] = true
		}
		line += fmt.Sprintf("; too few of %s, such as %s for %s of %s, which has %s or more",
			text.Classes(len(classes)), text.Grouped(int64(first.Pictures)), first.Part, text.Name(first.Class),
			text.Grouped(int64(first.AtLeast)))
	}
	fmt.Fprintln(w, line)
}

// lacking says how many of all pictures are missing, or too many.
func lacking(what string, n, all int) string {
	switch {
	case n == 0:
		return what + " all"
	case n == all:
		return what + " none"
	case n < 0:
		return fmt.Sprintf("%s %s too many", what, text.Grouped(int64(-n)))
	}
	return fmt.Sprintf("%s %s of %s missing", what, text.Grouped(int64(n)), text.Grouped(int64(all)))
}

func printDuplicates(w *bytes.Buffer, d *data.Duplicates) {
	line := fmt.Sprintf("there twice: %s", text.Count(d.Pictures, "picture"))
	for _, part := range partNames {
		if n := d.Within[data.Part(part)]; n > 0 {
			line += fmt.Sprintf(", %s within %s", text.Grouped(int64(n)), part)
		}
	}
	if d.Across > 0 {
		line += fmt.Sprintf(", %s in two parts", text.Grouped(int64(d.Across)))
	}
	if d.Classes > 0 {
		line += fmt.Sprintf(", %s in two classes", text.Grouped(int64(d.Classes)))
	}
	fmt.Fprintln(w, line)
	for _, same := range d.First {
		fmt.Fprintf(w, "  %s\n", text.Examples(rawStrings(same)))
	}
}

// listCounts lists counts, the largest first.
func listCounts(counts map[string]int) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if d := counts[b] - counts[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = name + " " + text.Grouped(int64(counts[name]))
	}
	return strings.Join(parts, ", ")
}

func describeRange(r data.Range) string { return fmt.Sprintf("%d, %d, %d", r.Min, r.Median, r.Max) }
