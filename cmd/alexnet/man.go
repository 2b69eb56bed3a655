package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// manResult is the document of man --json.
type manResult struct {
	Out   string   `json:"out"`
	Pages []string `json:"pages"`
}

func newManCommand(t *ui.Terminal) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "man --out DIR",
		Short: "Write the manual pages",
		Long: `Write a manual page for each command, from the very help that --help shows, into a folder that is
made where it is not there. Pages of the same names are written over. SOURCE_DATE_EPOCH, in seconds,
sets the date that they bear.`,
		Example: `  alexnet man --out man1
  alexnet man --out ~/.local/share/man/man1`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" || out == "-" {
				return usageError("alexnet man --out man1", "man needs --out, a folder")
			}
			return runMan(c.Root(), out, t)
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder `DIR` to write to")
	return c
}

func runMan(root *cobra.Command, out string, t *ui.Terminal) error {
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	root.DisableAutoGenTag = true // the pages are ours
	long := root.Long
	root.Long += "\n\n```\n" + exitHelp + "```\n" // where the help shows it from its template
	defer func() { root.Long = long }()
	if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "alexnet", Manual: "alexnet"},
		out); err != nil {
		return err
	}
	r := manResult{Out: out, Pages: manPages(root)}
	for _, page := range r.Pages {
		if err := flagsAsInHelp(root, filepath.Join(out, page)); err != nil {
			return err
		}
	}
	return t.Result(r, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s, from %s to %s; man %s shows the first\n", out, text.Count(len(r.Pages), "page"),
			r.Pages[0], r.Pages[len(r.Pages)-1], text.ShellWord(filepath.Join(out, r.Pages[0])))
	})
}

// manFlag is a flag as cobra writes it, with the value that it has when it is not given: "--batch=0", which reads like
// a default.
var manFlag = regexp.MustCompile(`(?m)\\fB--([a-z0-9-]+)\\fP(=\S*|\[=\S*\])?$`)

// flagsAsInHelp writes a page's flags as --help does: "--batch N".
func flagsAsInHelp(root *cobra.Command, page string) error {
	content, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	command, _, err := root.Find(strings.Split(strings.TrimSuffix(filepath.Base(page), ".1"), "-")[1:])
	if err != nil {
		return err
	}
	content = manFlag.ReplaceAllFunc(content, func(found []byte) []byte {
		name := string(manFlag.FindSubmatch(found)[1])
		value := ""
		if f := command.Flag(name); f != nil {
			value, _ = pflag.UnquoteUsage(f)
		}
		if value != "" {
			value = ` \fI` + value + `\fP`
		}
		return []byte(`\fB--` + name + `\fP` + value)
	})
	return os.WriteFile(page, content, 0o666)
}

// manPages are the names of the pages, a command before its subcommands.
func manPages(c *cobra.Command) []string {
	pages := []string{strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"}
	for _, s := range c.Commands() {
		if s.IsAvailableCommand() {
			pages = append(pages, manPages(s)...)
		}
	}
	return pages
}
