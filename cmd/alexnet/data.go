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

	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/files"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

func newDataCommand(t *ui.Terminal) *cobra.Command {
	return newGroup("data", "Make and inspect pictures for training",
		`Make and inspect pictures for training. Data is a folder or a tar of class folders, or of train/
and val/ with class folders in them.`,
		newDataDemoCommand(t), newDataInfoCommand(t))
}

// dataDemoOptions are what data demo was asked to do.
type dataDemoOptions struct {
	pictures demo.Options
	out      string
}

// dataDemoResult is the document of data demo --json.
type dataDemoResult struct {
	Out     string   `json:"out"`
	Classes []string `json:"classes"`
	Train   int      `json:"train"`
	Val     int      `json:"val"`
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
	source, err := data.Open(ctx, files.OS, o.out, 0, 0)
	if err != nil {
		return err
	}
	defer closeQuietly(source)
	r := dataDemoResult{o.out, source.Classes, source.Train.Len(), source.Val.Len()}
	return t.Result(r, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s to train on, %s for validation, %s\n", r.Out, text.Count(r.Train, "picture"),
			text.Grouped(int64(r.Val)), strings.Join(r.Classes, " "))
	})
}

// dataInfoOptions are what data info was asked to do.
type dataInfoOptions struct {
	path  string
	share float64
	seed  uint64
}

func newDataInfoCommand(t *ui.Terminal) *cobra.Command {
	var o dataInfoOptions
	c := &cobra.Command{
		Use:   "info DIR|TAR",
		Short: "Count classes, sizes and kinds of pictures, and name what cannot be read",
		Long: `Read every picture once: how many there are of each class, in training and validation (where there
is no val/: with the share that training would hold out), their formats, colours and sizes. Pictures
that cannot be read are named with the reason, and the exit code is 3.`,
		Example: `  alexnet data info photos
  alexnet data info cifar10.tar --json | jq '.classes | length'`,
		Args: wantArgs("one folder or tar", 1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.share < 0 || o.share >= 1 {
				return usageError(c.CommandPath()+" --help", "--val-share %g: want at least 0 and below 1", o.share)
			}
			o.path = args[0]
			return runDataInfo(c.Context(), o, t)
		},
	}
	c.Flags().Float64Var(&o.share, "val-share", 0.1,
		"`SHARE` held out of each class where there is no val/ (data.val_share)")
	c.Flags().Uint64Var(&o.seed, "seed", 1,
		"`N`, the number that the choice of held-out pictures starts from (train.seed)")
	return c
}

func runDataInfo(ctx context.Context, o dataInfoOptions, t *ui.Terminal) error {
	source, err := data.Open(ctx, files.OS, o.path, o.share, o.seed)
	if err != nil {
		return err
	}
	defer closeQuietly(source)
	bar := ui.NewProgress(t)
	info, err := data.Inspect(ctx, source, 0, bar.Counter("reading"))
	bar.Clear()
	if err != nil {
		return err
	}
	for _, u := range info.Unreadable {
		t.Note("cannot read picture %s: %s", u.Name, u.Reason)
	}
	if err := t.Result(info, func(w *bytes.Buffer) { printDataInfo(w, info, t.OutWidth) }); err != nil {
		return err
	}
	return unreadableError(len(info.Unreadable))
}

func printDataInfo(w *bytes.Buffer, r *data.SourceInfo, width int) {
	tab := &ui.Table{Columns: []ui.Column{{Head: "class"}, {Head: "train", Right: true}, {Head: "val", Right: true}}}
	for _, c := range r.Classes {
		tab.Add(c.Name, text.Grouped(int64(c.Train)), text.Grouped(int64(c.Val)))
	}
	tab.Add("total", text.Grouped(int64(r.Train)), text.Grouped(int64(r.Val)))
	tab.Write(w, width)
	held := ""
	if r.HeldOut {
		held = "; val: held out by share"
	}
	fmt.Fprintf(w, "\n%s: %s%s\n", r.Path, text.Classes(len(r.Classes)), held)
	fmt.Fprintf(w, "formats: %s; colours: %s\n", listCounts(r.Formats), listCounts(r.Colors))
	fmt.Fprintf(w, "width %s, height %s (smallest, median, largest)\n", describeRange(r.Width), describeRange(r.Height))
	fmt.Fprintf(w, "unreadable: %d\n", len(r.Unreadable))
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
