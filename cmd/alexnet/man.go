package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"alexnet/internal/atomicfile"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// manResult is the document of man --json.
type manResult struct {
	Out   text.Raw `json:"out"`
	Pages []string `json:"pages"`
}

func newManCommand(t *ui.Terminal) *cobra.Command {
	var out string
	var force bool
	c := &cobra.Command{
		Use:   "man --out DIR",
		Short: "Write the manual pages",
		Long: `Write a manual page for each command, from the text that --help shows, into a folder, which is made
if it does not exist. Pages that exist already are replaced only with --force. SOURCE_DATE_EPOCH, in
seconds, sets their date.`,
		Example: `  alexnet man --out man1
  alexnet man --out ~/.local/share/man/man1 --force`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" || out == "-" {
				return usageError("alexnet man --out man1", "man needs --out, a folder")
			}
			return runMan(c.Context(), c.Root(), out, force, t)
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder `DIR` to write to")
	c.Flags().BoolVar(&force, "force", false, "overwrite the pages that are there")
	return c
}

func runMan(ctx context.Context, root *cobra.Command, out string, force bool, t *ui.Terminal) error {
	root.DisableAutoGenTag = true // the pages are ours
	long := root.Long
	root.Long += "\n\n```\n" + exitHelp + "```\n" // where the help shows it from its template
	defer func() { root.Long = long }()
	commands := allCommands(root)
	r, pages := manResult{Out: text.Raw(out)}, make([][]byte, len(commands))
	for i, c := range commands {
		var b bytes.Buffer
		if err := doc.GenMan(c, &doc.GenManHeader{Section: "1", Source: "alexnet", Manual: "alexnet"}, &b); err != nil {
			return err
		}
		pages[i] = flagsAsInHelp(c, b.Bytes())
		r.Pages = append(r.Pages, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1")
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	for _, page := range r.Pages {
		if _, err := newFile(filepath.Join(out, page), force, t); err != nil {
			return err
		}
	}
	to := disk(t)
	for i, page := range r.Pages {
		_, err := atomicfile.Put(ctx, to, filepath.Join(out, page), func(f atomicfile.File) error {
			_, err := f.Write(pages[i])
			return err
		})
		if err != nil {
			return err
		}
	}
	return t.Result(r, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s, from %s to %s; man %s shows the first\n", text.Name(out),
			text.Count(len(r.Pages), "page"),
			r.Pages[0], r.Pages[len(r.Pages)-1], text.ShellPath(filepath.Join(out, r.Pages[0])))
	})
}

// manFlag is a flag as cobra writes it, with the value that it has when it is not given: "--batch=0", which reads like
// a default.
var manFlag = regexp.MustCompile(`(?m)\\fB--([a-z0-9-]+)\\fP(=\S*|\[=\S*\])?$`)

// flagsAsInHelp is a command's page with its flags as --help has them: "--batch N".
func flagsAsInHelp(command *cobra.Command, page []byte) []byte {
	return manFlag.ReplaceAllFunc(page, func(found []byte) []byte {
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
}

// allCommands are a command and those below it, each before its subcommands.
func allCommands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, s := range c.Commands() {
		if s.IsAvailableCommand() {
			all = append(all, allCommands(s)...)
		}
	}
	return all
}
