package main

import (
	"bufio"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"alexnet/internal/data"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// dataSplitOptions are what data split was asked to do.
type dataSplitOptions struct {
	splitOptions
	part string
}

// dataSplitResult is the document of data split --json.
type dataSplitResult struct {
	Path        text.Raw       `json:"path"`
	Part        string         `json:"part"`
	HeldOut     bool           `json:"held_out"`    // val was split off by share
	Fingerprint string         `json:"fingerprint"` // as in data info, and in the checkpoint of a run on this split
	Pictures    []splitPicture `json:"pictures"`
}

type splitPicture struct {
	Name  text.Raw `json:"name"` // from path on
	Class text.Raw `json:"class"`
}

func newDataSplitCommand(t *ui.Terminal) *cobra.Command {
	var o dataSplitOptions
	c := &cobra.Command{
		Use:   "split PATH...",
		Short: "List the pictures that are held out for validation",
		Long: `List the pictures of one part of the data, a path a line, from PATH on: those held out for validation,
or with --part those to train on or to test with. It is the split of a training with the same
--config, --set and --seed; --config runs/train/config.yaml asks for that of a run. No picture is
read.`,
		Example: `  alexnet data split photos
  alexnet data split photos --config cifar10 --seed 2 | head
  alexnet data split photos --part train --json | jq -r '.pictures[].class' | sort | uniq -c`,
		Args: wantArgs("a folder, tar or list of pictures, or several", 0),
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains(partNames, o.part) {
				return usageError(c.CommandPath()+" --help", "--part %s: want %s", o.part, alternatives(partNames))
			}
			if err := o.check(c); err != nil {
				return err
			}
			o.at.Paths = args
			return runDataSplit(c.Context(), o, t)
		},
	}
	o.addFlags(c)
	c.Flags().StringVar(&o.part, "part", string(data.ValPart), "`PART` of the data: train, val or test")
	return c
}

func runDataSplit(ctx context.Context, o dataSplitOptions, t *ui.Terminal) error {
	source, _, err := o.open(ctx, t)
	if err != nil {
		return err
	}
	defer closeQuietly(source)
	noteUnused(source, t)
	set := source.Part(data.Part(o.part))
	if set.Len() == 0 {
		t.Note("%s holds no pictures for --part %s", text.Name(source.Path), o.part)
	}
	if t.JSON {
		r := dataSplitResult{
			Path: text.Raw(source.Path), Part: o.part, HeldOut: source.Split, Fingerprint: source.Fingerprint,
			Pictures: make([]splitPicture, set.Len()),
		}
		for i := range r.Pictures {
			class := source.Classes[set.Label(i)]
			r.Pictures[i] = splitPicture{text.Raw(source.Around + set.File(i)), text.Raw(class)}
		}
		return t.Result(r, nil)
	}
	w := bufio.NewWriter(t.Out) // a list of any length, whose reader may end
	for i := 0; i < set.Len() && ctx.Err() == nil; i++ {
		if _, err := fmt.Fprintln(w, text.Name(source.Around+set.File(i))); err != nil {
			break // Flush says so again
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return context.Cause(ctx)
}
