package main

import (
	"github.com/spf13/cobra"

	"alexnet/internal/text"
)

// subcommandOf names the subcommand of c that the user may have meant.
func subcommandOf(c *cobra.Command, name string) string {
	var names []string
	for _, s := range c.Commands() {
		if s.IsAvailableCommand() {
			names = append(names, s.Name())
		}
	}
	return text.Nearest(name, names)
}
