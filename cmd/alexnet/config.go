package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/config"
	"alexnet/internal/ui"
)

// configOptions are what config was asked to do.
type configOptions struct {
	net    netOptions
	epochs int
	yaml   bool
}

// configResult is the document of config --json.
type configResult struct {
	Config string      `json:"config"`
	Keys   []configKey `json:"keys"`
}

// configKey is a key, its value and where that comes from: "alexnet.yaml:31" (a page, line), "--set", a flag as
// "--batch", the key that it follows ("train.weight_decay"), or "default".
type configKey struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Source string `json:"source"`

	text string
}

func newConfigCommand(t *ui.Terminal) *cobra.Command {
	var o configOptions
	c := &cobra.Command{
		Use:   "config",
		Short: "Show every key of a configuration, its value and where that comes from",
		Long: `Show every key that train would use, with its value and where that comes from: a line of the page,
--set, a flag, another key that it follows, or the default. --yaml writes the whole as a page
instead, for --config.

Whether the layers fit each other is for alexnet summary to say.`,
		Example: `  alexnet config
  alexnet config --config torchvision --set train.lr=0.005 --batch 64
  alexnet config --config runs/train/config.yaml
  alexnet config --config demo --set model.lrn1=off --yaml > mine.yaml
  alexnet config --json | jq '.keys[] | select(.source != "default")'`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			help := c.CommandPath() + " --help"
			if o.yaml && t.JSON {
				return usageError(help, "--yaml and --json exclude each other")
			}
			if c.Flags().Changed("epochs") {
				if o.epochs < 1 {
					return usageError(help, "--epochs %d: want at least 1", o.epochs)
				}
				o.net.addShorthand("epochs", "train.epochs", o.epochs)
			}
			if err := o.net.check(c, nil); err != nil {
				return err
			}
			return runConfig(o, t)
		},
	}
	o.net.addFlags(c)
	o.net.addBatch(c)
	o.net.addSeed(c)
	c.Flags().IntVar(&o.epochs, "epochs", 0, "`N` passes over the data (train.epochs)")
	c.Flags().BoolVar(&o.yaml, "yaml", false, "write a page that --config reads, every default filled in")
	return c
}

func runConfig(o configOptions, t *ui.Terminal) error {
	name, sets := o.net.page("alexnet")
	cfg, entries, err := config.Explain(name, sets)
	if err != nil {
		return o.net.nameFlag(err)
	}
	if o.yaml {
		page, err := cfg.YAML()
		if err != nil {
			return err
		}
		return t.Result(nil, func(w *bytes.Buffer) { w.Write(page) })
	}
	r := configResult{Config: name}
	for i := range entries {
		e := &entries[i]
		r.Keys = append(r.Keys, configKey{e.Key, e.Value, o.net.sourceOf(e), e.Text()})
	}
	return t.Result(r, func(w *bytes.Buffer) { printConfig(w, r.Keys, t.OutWidth) })
}

// sourceOf is where a value comes from; of overrides the flag alone, for key and value stand beside it.
func (o *netOptions) sourceOf(e *config.Entry) string {
	if !e.Override {
		return e.From()
	}
	flag, _, _ := strings.Cut(o.typedAs(e.Source), " ")
	return flag
}

// printConfig is a table, without the sources where these find no room; where keys and values find none either, a line
// for each, whole: who has a terminal so narrow still wants to read the keys.
func printConfig(w *bytes.Buffer, keys []configKey, width int) {
	tab := &ui.Table{Columns: []ui.Column{{Head: "key"}, {Head: "value"}, {Head: "source", Drop: 1}}}
	for _, k := range keys {
		tab.Add(k.Key, k.text, k.Source)
	}
	if width == 0 || tab.Width(0, 1) <= width {
		tab.Write(w, width)
		return
	}
	for _, k := range keys {
		fmt.Fprintf(w, "%s: %s\n", k.Key, k.text)
	}
}
