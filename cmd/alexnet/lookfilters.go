package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"alexnet/internal/figure"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

func newLookFiltersCommand(t *ui.Terminal) *cobra.Command {
	o := newLook(false)
	c := &cobra.Command{
		Use:     "filters",
		Short:   "Draw a layer's kernels, as in the paper's figure 3",
		Long:    `Draw the kernels of conv1, as in the paper's figure 3.`,
		Example: `  alexnet look filters`,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c, ".png"); err != nil {
				return err
			}
			return runLookFilters(c.Context(), o, t)
		},
	}
	o.addFlags(c)
	return c
}

func runLookFilters(ctx context.Context, o lookOptions, t *ui.Terminal) error {
	if _, err := newFile(o.out, o.force, t); err != nil {
		return err
	}
	c, err := o.weights.load(t)
	if err != nil {
		return err
	}
	defer closeQuietly(c)
	p := figure.Page{Title: "conv1 of " + netName(c)}
	if err := o.write(ctx, p.Draw(), t); err != nil {
		return err
	}
	return t.Result(map[string]text.Raw{"out": text.Raw(o.out)}, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s\n", text.Name(o.out))
	})
}
