package main

import (
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"alexnet/internal/ui"
)

// Every flag that takes a word says how it completes, and no flag is spoken of that is not there.
func TestEveryFlagCompletes(t *testing.T) {
	there := map[string]bool{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			there[f.Name] = true
			kind := f.Value.Type()
			if _, ok := completers[f.Name]; !ok && (kind == "string" || kind == "stringArray") {
				t.Errorf("%s --%s: completion.go does not say what it completes to", c.CommandPath(), f.Name)
			}
			if _, ok := c.GetFlagCompletionFunc(f.Name); !ok && kind != "bool" {
				t.Errorf("%s --%s does not complete", c.CommandPath(), f.Name)
			}
		})
		for _, s := range c.Commands() {
			walk(s)
		}
	}
	walk(newRootCommand(&ui.Terminal{}))
	for name := range completers {
		if !there[name] {
			t.Errorf("no command has --%s", name)
		}
	}
}
