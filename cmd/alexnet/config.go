package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"alexnet/internal/config"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// configOptions are what config was asked to do.
type configOptions struct {
	net    netOptions
	epochs int
	yaml   bool
	help   bool
}

// configResult is the document of config --json.
type configResult struct {
	Config text.Raw    `json:"config"`
	Keys   []configKey `json:"keys"`
}

// helpKeysResult is the document of config --help-keys --json.
type helpKeysResult struct {
	Keys []helpKey `json:"keys"`
}

// helpKey is what is to be known of a key; see config.Described.
type helpKey struct {
	Key     string   `json:"key"`
	Layers  []string `json:"layers,omitempty"` // the kinds that have it
	Meaning string   `json:"meaning"`
	Unit    string   `json:"unit,omitempty"`
	Values  string   `json:"values"`
	Default string   `json:"default,omitempty"`
}

// configKey is a key, its value and where that comes from: "alexnet.yaml:31" (a page, line), "--set", a flag as
// "--batch", the key that it follows ("train.weight_decay"), or "default".
type configKey struct {
	Key    string   `json:"key"`
	Value  any      `json:"value"`
	Source text.Raw `json:"source"`

	text string
}

func newConfigCommand(t *ui.Terminal) *cobra.Command {
	var o configOptions
	c := &cobra.Command{
		Use:   "config [--help-keys [PREFIX]]",
		Short: "Show every key of a configuration, its value and where that comes from",
		Long: `Show every key that train would use, with its value and where that comes from: a line of the page,
--set, a flag, another key that it follows, or the default. --yaml writes the whole as a page
instead, for --config.

--help-keys explains the keys: what each means, what values it takes, and its default; with a PREFIX
only those that begin so, as train. or model.*. (those of layers).

Whether the layers fit each other is for alexnet summary to say.`,
		Example: `  alexnet config
  alexnet config --config torchvision --set train.lr=0.005 --batch 64
  alexnet config --config runs/train/config.yaml
  alexnet config --config demo --set model.lrn1=off --yaml > mine.yaml
  alexnet config --help-keys train.
  alexnet config --json | jq '.keys[] | select(.source != "default")'`,
		Args: func(c *cobra.Command, args []string) error {
			if o.help && len(args) == 1 {
				return nil
			}
			return noArgs(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			help := c.CommandPath() + " --help"
			if o.help {
				return runHelpKeys(c, args, t)
			}
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
			return runConfig(c.Context(), o, t)
		},
	}
	o.net.addFlags(c)
	o.net.addBatch(c)
	o.net.addSeed(c)
	c.Flags().IntVar(&o.epochs, "epochs", 0, "`N` passes over the data (train.epochs)")
	c.Flags().BoolVar(&o.yaml, "yaml", false, "write a page that --config reads, every default filled in")
	c.Flags().BoolVar(&o.help, "help-keys", false, "explain the keys, or those that begin with PREFIX")
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		var keys []string
		if found, _ := config.Describe(typed); o.help && len(args) == 0 {
			for i := range found {
				keys = append(keys, found[i].Key)
			}
		}
		return slices.Compact(keys), cobra.ShellCompDirectiveNoFileComp
	}
	return c
}

// runHelpKeys explains the keys that begin with what was typed.
func runHelpKeys(c *cobra.Command, args []string, t *ui.Terminal) error {
	with := ""
	c.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "help-keys" && f.Name != "json" {
			with = f.Name
		}
	})
	if with != "" {
		return usageError(c.CommandPath()+" --help", "--help-keys and --%s exclude each other", with)
	}
	prefix := strings.Join(args, "")
	found, nearest := config.Describe(prefix)
	if len(found) == 0 {
		next := "alexnet config --help-keys"
		if nearest != "" {
			next += " " + text.ShellWord(nearest)
		}
		return usageError(next, "no key begins with %q", prefix)
	}
	var r helpKeysResult
	for i := range found {
		d := &found[i]
		k := helpKey{Key: d.Key, Meaning: d.Meaning, Unit: d.Unit, Values: d.Values, Default: d.Default}
		for _, kind := range d.Kinds {
			k.Layers = append(k.Layers, string(kind))
		}
		r.Keys = append(r.Keys, k)
	}
	return t.Result(r, func(w *bytes.Buffer) { printHelpKeys(w, r.Keys, t.OutWidth) })
}

// printHelpKeys gives each key a line with its values, and what it means below.
func printHelpKeys(w *bytes.Buffer, keys []helpKey, width int) {
	const most, indent = 100, 4
	if width == 0 || width > most {
		width = most
	}
	for _, k := range keys {
		line := k.Key
		if len(k.Layers) > 0 {
			line += " (" + strings.Join(k.Layers, ", ") + ")"
		}
		line += ": " + strings.TrimSpace(k.Values+" "+k.Unit)
		if k.Default == "" {
			line += "; must be given"
		} else {
			line += "; default " + k.Default
		}
		fmt.Fprintln(w, ui.Wrap(line, width, 0, indent))
		fmt.Fprintln(w, ui.Wrap(strings.Repeat(" ", indent)+k.Meaning, width, 0, 0))
	}
}

func runConfig(ctx context.Context, o configOptions, t *ui.Terminal) error {
	name, sets := o.net.page("alexnet")
	var cfg *config.Config
	var entries []config.Entry
	err := orInterrupted(ctx, func() (err error) {
		cfg, entries, err = config.Explain(name, sets)
		return err
	})
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
	r := configResult{Config: text.Raw(name)}
	for i := range entries {
		e := &entries[i]
		r.Keys = append(r.Keys, configKey{e.Key, e.Value, text.Raw(o.net.sourceOf(e)), e.Text()})
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
		tab.Add(k.Key, k.text, string(k.Source))
	}
	if width == 0 || tab.Width(0, 1) <= width {
		tab.Write(w, width)
		return
	}
	for _, k := range keys {
		fmt.Fprintf(w, "%s: %s\n", k.Key, k.text)
	}
}
