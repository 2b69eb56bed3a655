package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/prepare"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// prepareOptions are what data prepare was asked to do.
type prepareOptions struct {
	prepare.Making
	sources []string
	out     string
}

// prepareResult is the document of data prepare --json.
type prepareResult struct {
	Out        text.Raw `json:"out"`
	Classes    int      `json:"classes"`
	Train      int      `json:"train"`
	Val        int      `json:"val"`
	Test       int      `json:"test"`
	Shards     [3]int   `json:"shards"` // of these parts
	Bytes      int64    `json:"bytes"`
	Resize     int      `json:"resize"`
	Fit        string   `json:"fit"`
	Kept       int      `json:"kept"`
	Encoded    int      `json:"encoded"`
	Encoder    string   `json:"encoder,omitempty"`
	Unreadable int      `json:"unreadable"`
	Resumed    int      `json:"resumed"`
	Labels     text.Raw `json:"labels,omitempty"`  // as they were given
	Decided    string   `json:"decided,omitempty"` // what numbered labels were found to mean
}

// fits are the values of --fit.
var fits = []string{prepare.Crop, prepare.Squash}

func newDataPrepareCommand(t *ui.Terminal) *cobra.Command {
	var o prepareOptions
	c := &cobra.Command{
		Use:   "prepare SRC... OUT",
		Short: "Make a set that training reads fast, of pictures in any form",
		Long: `Read every picture of SRC once and write it to OUT as training wants it. SRC is whatever --data takes,
s3://BUCKET/PREFIX included, or what can only be read from its beginning to its end: a .tar.gz, .tgz,
.zip or .parquet, or a folder of such. Several SRC make one set, as several --data do: train.tar and
val.tar. OUT is a new folder on a disk.

A picture becomes its centre square, N pixels wide, as a JPEG of quality 95, in WebDataset tars with an
index beside them. OUT is then a folder like any other for --data, and other programs that read
WebDataset read it too. JPEGs that have the size already keep their bytes, and nothing is enlarged.
Training's mean image and colours are computed on the way, so that a run on OUT begins at once.
Pictures are held out for validation when OUT is trained on, not here.

Until everything is there it lies in OUT.partial. When it was interrupted, or the disk was full, the
same command goes on where it was. Pictures that cannot be read are named in OUT/report.jsonl, and the
exit code is 3.`,
		Example: `  alexnet data prepare photos photos.set
  alexnet data prepare photos small.set --resize 64 --fit squash
  alexnet data prepare train.tar val.tar two.set
  alexnet data prepare photos.tar.gz packed.set
  alexnet data prepare pictures.csv list.set --labels numbers
  alexnet train --data photos.set`,
		Args: wantArgs("pictures and a new folder", 0),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError(c.CommandPath()+" --help", "%s needs pictures and a new folder", c.CommandPath())
			}
			o.sources, o.out = args[:len(args)-1], args[len(args)-1]
			if err := cmp.Or(o.check(c), checkOut(c.CommandPath(), o.sources, o.out)); err != nil {
				return err
			}
			return runDataPrepare(c.Context(), o, t)
		},
	}
	f := c.Flags()
	f.IntVar(&o.Resize, "resize", 256, "`N`, width and height of the pictures in pixels; smaller ones stay smaller")
	f.StringVar(&o.Fit, "fit", prepare.Crop, "how they become square: crop, which cuts the longer side, or squash")
	f.BoolVar(&o.Keep, "keep", false, "keep the bytes of every picture, whatever its size and kind")
	f.IntVar(&o.Shards, "shards", 0, fmt.Sprintf("`N` tars to train on, 1 to %d (one for each 128 MiB of SRC)",
		prepare.MaxShards))
	addLabels(c, (*string)(&o.Labels))
	return c
}

func (o *prepareOptions) check(c *cobra.Command) error {
	help := c.CommandPath() + " --help"
	switch {
	case files.Remote(o.out):
		return usageError(c.CommandPath()+" SRC DIR, then copy DIR there with another program",
			"%s: a set is made in a folder on a disk", text.Name(o.out))
	case !slices.Contains(fits, o.Fit):
		return usageError(help, "--fit %s: want %s", text.Name(o.Fit), alternatives(fits))
	case o.Resize < 1 || o.Resize > config.MaxSide:
		return usageError(help, "--resize %d: want 1 to %d", o.Resize, config.MaxSide)
	case c.Flags().Changed("shards") && (o.Shards < 1 || o.Shards > prepare.MaxShards):
		return usageError(help, "--shards %d: want 1 to %d", o.Shards, prepare.MaxShards)
	}
	return nil
}

func runDataPrepare(ctx context.Context, o prepareOptions, t *ui.Terminal) error {
	at := data.Place{Paths: o.sources, Labels: string(o.Labels)}
	making := prepare.Options{Making: o.Making, Files: files.OS, Out: o.out}
	if err := prepare.Check(making, at.Paths); err != nil {
		return err
	}
	source, err := listWith(ctx, data.OpenThrough, at, 0, 0, config.DataCache, t)
	if err != nil {
		return err
	}
	defer closeQuietly(source)
	if err := source.Trainable(); err != nil {
		return err
	}
	noteDecided(source, t)
	noteUnused(source, t)
	bar := ui.NewProgress(t)
	source.SetPatience(patience(config.DataRetry, bar))
	making.OnBad = func(b *data.BadPicture) {
		bar.Note("cannot read picture %s: %s", text.Name(b.Name), text.Escape(b.Err.Error()))
	}
	making.Progress = bar.CounterOf("picture", "preparing")
	r, err := prepare.Run(ctx, source, making)
	bar.Clear()
	if err != nil {
		return prepareFailed(err, o.out)
	}
	result := prepareResult{
		Out: text.Raw(r.Out), Classes: r.Classes, Train: r.Pictures[0], Val: r.Pictures[1], Test: r.Pictures[2],
		Shards: r.Shards, Bytes: r.Bytes, Resize: r.Resize, Fit: r.Fit, Kept: r.Kept, Encoded: r.Encoded,
		Encoder: r.Encoder, Unreadable: r.Unreadable, Resumed: r.Resumed,
		Labels: r.Labels, Decided: r.Decided,
	}
	if err := t.Result(result, func(w *bytes.Buffer) { printPrepared(w, &result, t.OutWidth) }); err != nil {
		return err
	}
	if r.Unreadable == 0 {
		return nil
	}
	return advise(exitUnreadable, text.ShellPath(r.Report)+" names them; the set is complete without them",
		errors.New(text.Count(r.Unreadable, "picture")+" could not be read"))
}

func printPrepared(w *bytes.Buffer, r *prepareResult, width int) {
	tab := &ui.Table{Columns: []ui.Column{
		{Head: "part"}, {Head: "pictures", Right: true}, {Head: "shards", Right: true},
	}}
	for i, part := range []struct {
		name     string
		pictures int
	}{{"train", r.Train}, {"val", r.Val}, {"test", r.Test}} {
		if part.pictures > 0 {
			tab.Add(part.name, text.Grouped(int64(part.pictures)), text.Grouped(int64(r.Shards[i])))
		}
	}
	tab.Write(w, width)
	fmt.Fprintf(w, "\n%s: %s, %s\n", text.Name(r.Out), text.Classes(r.Classes), text.Bytes(r.Bytes))
	made := "pictures keep their bytes: " + text.Grouped(int64(r.Kept))
	if r.Encoded > 0 {
		made += fmt.Sprintf("; encoded by %s: %s", r.Encoder, text.Grouped(int64(r.Encoded)))
	}
	fmt.Fprintf(w, "%s\nunreadable: %s\n", made, text.Grouped(int64(r.Unreadable)))
	if r.Train == 0 {
		fmt.Fprintf(w, "alexnet eval --data %s measures a net on it\n", text.ShellPath(string(r.Out)))
		return
	}
	fmt.Fprintf(w, "alexnet train --data %s trains on it\n", text.ShellPath(string(r.Out)))
}

// adviseDiffers is what to do about another set that was begun in the place of this one.
func adviseDiffers(e *prepare.Differs, _ string) string {
	anew := "begin anew: rm -r " + text.ShellPath(e.Partial)
	if len(e.What) == 0 {
		return anew
	}
	return "the command that began it goes on with it; or " + anew
}

// advisePrepareInterrupted tells that what was done is not lost.
func advisePrepareInterrupted(e *prepare.Interrupted, _ string) string {
	if e.Done == 0 {
		return ""
	}
	return fmt.Sprintf("the same command again goes on after %s of %s", text.Grouped(int64(e.Done)),
		text.Count(e.All, "picture"))
}
