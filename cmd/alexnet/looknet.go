package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/config"
	"alexnet/internal/figure"
	"alexnet/internal/model"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// lookNetOptions are what look net was asked to draw.
type lookNetOptions struct {
	net   netOptions
	out   string
	force bool
}

// lookNetResult is the document of look net --json.
type lookNetResult struct {
	Out        text.Raw       `json:"out"`
	Config     text.Raw       `json:"config"`
	Columns    int            `json:"columns"`
	Classes    int            `json:"classes"`
	Parameters int64          `json:"parameters"`
	Neurons    int64          `json:"neurons"` // outputs of the conv and fc layers, a picture
	Layers     []lookNetLayer `json:"layers"`  // those that are drawn
}

// lookNetLayer is a block of the drawing.
type lookNetLayer struct {
	Name    string `json:"name"`
	Inputs  string `json:"inputs,omitempty"` // own, or both: it reads every column
	Output  [3]int `json:"output"`           // channels, height, width, all columns together
	Neurons int    `json:"neurons"`
}

func newLookNetCommand(t *ui.Terminal) *cobra.Command {
	var o lookNetOptions
	c := &cobra.Command{
		Use:   "net",
		Short: "Draw a net from its configuration, as in the paper's figure 2",
		Long: `Draw a net from its configuration as in the paper's figure 2, as SVG: a block for each layer with
weights, in proportion to its maps, with sizes, kernels, strides and the number of its neurons. Each column is a row,
and lines cross where a layer reads both. A net whose classes follow the data is drawn with its
usual number, or 1000.`,
		Example: `  alexnet look net
  alexnet look net --config cifar10 --out cifar10.svg
  alexnet look net --set model.columns=1 --force --json | jq .neurons`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := promised(o.out, ".svg"); err != nil {
				return err
			}
			return runLookNet(c.Context(), o, t)
		},
	}
	o.net.addFlags(c)
	f := c.Flags()
	f.StringVar(&o.out, "out", "net.svg", "the `FILE` to draw, new")
	f.BoolVar(&o.force, "force", false, "overwrite FILE")
	return c
}

func runLookNet(ctx context.Context, o lookNetOptions, t *ui.Terminal) error {
	if _, err := newFile(o.out, o.force, t); err != nil {
		return err
	}
	cfg, err := o.net.load(ctx, "alexnet")
	if err != nil {
		return err
	}
	a, err := model.Of(cfg, 0)
	if err != nil {
		return err
	}
	s, err := a.Summary(1, 1)
	if err != nil {
		return err
	}
	name, _ := o.net.page("alexnet")
	r := lookNetResult{
		Out: text.Raw(o.out), Config: text.Raw(name), Columns: a.Columns, Classes: a.Classes,
		Parameters: s.Parameters, Neurons: s.Neurons,
	}
	drawn := drawnNet(a, &r)
	if len(o.net.set) > 0 {
		drawn.Title = text.Name(name) + " with " + text.Escape(strings.Join(o.net.set, ", ")) +
			strings.TrimPrefix(drawn.Title, text.Name(name))
	}
	if err := drawn.WriteSVG(ctx, disk(t), o.out); err != nil {
		return err
	}
	return t.Result(r, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s\n", text.Name(o.out), drawn.Title)
	})
}

// drawnNet is the figure of a net, and tells in r what is in it.
func drawnNet(a *model.Arch, r *lookNetResult) *figure.Net {
	n := &figure.Net{
		Title: fmt.Sprintf("%s: %s parameters, %s neurons", text.Name(r.Config), text.Grouped(r.Parameters),
			text.Grouped(r.Neurons)),
		Rows: a.Columns,
		Notes: []string{
			"The heights of blocks go with the square root of their maps' sides, their widths with that of the " +
				"number of maps in a column, and bars with that of the number of units.",
		},
	}
	if a.Columns > 1 {
		n.Notes = append(n.Notes, fmt.Sprintf(
			"The net has %d columns, a row each. Lines cross where a layer reads all of them.", a.Columns))
	}
	in := figure.Block{Name: "input", Side: a.Input.H, Maps: a.Input.C, Whole: true}
	in.Lines = []string{text.Shape([]int{a.Input.C, a.Input.H, a.Input.W}), text.Count(a.Input.Len(), "number")}
	n.Blocks = append(n.Blocks, in)
	r.Layers = append(r.Layers, lookNetLayer{
		Name: in.Name, Output: [3]int{a.Input.C, a.Input.H, a.Input.W}, Neurons: a.Input.Len(),
	})
	for i := range a.Layers {
		l := &a.Layers[i]
		if !l.Kind.Weighted() {
			b := &n.Blocks[len(n.Blocks)-1]
			b.Lines = append(b.Lines, besideOf(l))
			continue
		}
		b, row := blockOf(a, l)
		n.Blocks, r.Layers = append(n.Blocks, b), append(r.Layers, row)
	}
	return n
}

// blockOf is a layer with weights.
func blockOf(a *model.Arch, l *model.Layer) (figure.Block, lookNetLayer) {
	shares := a.Shares(l)
	row := lookNetLayer{
		Name: l.Name, Inputs: string(config.Own), Output: [3]int{l.Out.C, l.Out.H, l.Out.W}, Neurons: l.Out.Len(),
	}
	b := figure.Block{
		Name: l.Name, Maps: l.Out.C / shares, Whole: shares < a.Columns,
		Both: l.Inputs == config.Both && l.Columns() && a.Columns > 1,
	}
	times := ""
	if shares > 1 {
		times = fmt.Sprintf("%d × ", shares)
	}
	neurons := text.Count(l.Out.Len(), "neuron")
	if l.Kind == config.FC {
		b.Lines = []string{times + text.Grouped(int64(b.Maps)), neurons, "fully connected"}
	} else {
		seen := a.Params[l.Params[0]].Shape
		b.Side, b.Window, b.Of = l.Out.H, l.Size, l.In.H+2*l.Pad
		b.Lines = []string{
			times + text.Shape([]int{b.Maps, l.Out.H, l.Out.W}), neurons,
			"kernels " + text.Shape(seen[1:]), fmt.Sprintf("stride %d", l.Stride),
		}
		if l.Pad > 0 {
			b.Lines[3] += fmt.Sprintf(", pad %d", l.Pad)
		}
		if l.Groups > 1 {
			b.Lines = append(b.Lines, fmt.Sprintf("in %d groups", l.Groups))
		}
	}
	if b.Both {
		row.Inputs = string(config.Both)
		b.Lines = append(b.Lines, "reads every column")
	}
	if l.Act != "" && l.Act != config.Linear {
		b.Lines = append(b.Lines, actName(l.Act))
	}
	return b, row
}

// actName is what an activation is called.
func actName(a config.Act) string {
	if a == config.ReLU {
		return "ReLU"
	}
	return string(a)
}

// besideOf says in a few words what a layer without weights does.
func besideOf(l *model.Layer) string {
	switch l.Kind {
	case config.LRN:
		return "normalised"
	case config.Pool:
		return fmt.Sprintf("%s-pooled %d/%d to %s", l.Pool, l.Size, l.Stride, text.Shape([]int{l.Out.H, l.Out.W}))
	case config.Dropout:
		return "dropout " + strings.TrimPrefix(text.Plain(l.Rate, 2), "0")
	case config.Activation:
		return actName(l.Act)
	}
	return string(l.Kind)
}
