// Command alexnet trains AlexNet as in the 2012 paper, evaluates it and names pictures with it.
//
// Each command has a file of its own: newXCommand declares flags and help and checks what was typed, runX does the work
// and can be called without a shell. The arithmetic, the data and the files belong to the packages under internal; this
// package wires them together, picks the backend (devices.go, nowhere else), and turns results into text and JSON and
// errors into exit codes and advice (advice.go). How these are written to the terminal is for package ui.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"alexnet/internal/text"
	"alexnet/internal/ui"
)

func main() { os.Exit(execute(os.Args[1:], ui.NewTerminal(os.Stdout, os.Stderr))) }

// execute runs one command line and returns the exit code.
func execute(args []string, t *ui.Terminal) int {
	ctx, stop := watchSignals(context.Background(), t.LastWords)
	defer stop()
	defer tellSlowEnd(ctx, t)()
	root := newRootCommand(t)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if signal := interruption(ctx, err); signal != 0 {
		if errors.Is(err, context.Canceled) {
			err = context.Cause(ctx)
		}
		showError(t, err)
		return exitSignal + int(signal)
	}
	showError(t, err)
	return exitCode(err)
}

// tellSlowEnd sees to it that a signal is answered where the work under way does not end with it, as a call to a disk
// that hangs, or compiling. The command calls over when it has ended.
func tellSlowEnd(ctx context.Context, t *ui.Terminal) (over func()) {
	ended := make(chan struct{})
	context.AfterFunc(ctx, func() {
		select {
		case <-ended:
		case <-time.After(time.Second): // most have ended long before
			t.StillAt()
		}
	})
	return func() { close(ended) }
}

const rootHelp = `alexnet trains AlexNet as in "ImageNet Classification with Deep Convolutional Neural Networks"
(Krizhevsky, Sutskever, Hinton, 2012): two columns of layers that meet only before conv3 and the
fully connected layers, on one device or on two.

Results go to standard output (with --json as one document), everything else to standard error.`

const exitHelp = `Exit codes:
  0    done
  1    failed
  2    wrong usage: flags, arguments or configuration
  3    done, but some inputs could not be read; or ended by them (--strict, data.bad_share)
  10   no data, data that went away, or no trained net yet
  11   no usable GPU
  12   bad checkpoint
  13   run folder in use by another process
  130  interrupted by SIGINT, 143 by SIGTERM, 129 by SIGHUP (training then writes a checkpoint where
       there is something to keep)
`

func newRootCommand(t *ui.Terminal) *cobra.Command {
	version := false
	root := &cobra.Command{
		Use:   "alexnet",
		Short: "Train AlexNet as in 2012, evaluate it, name pictures with it",
		Long:  rootHelp,
		Example: `  alexnet train                                   the demo net on generated pictures, under a minute
  alexnet eval                                    error of the newest run on its held-out pictures
  alexnet predict cat.jpg                         the five most probable classes
  alexnet train --data imagenet --device cpu,cpu  the paper's net, one column a device`,
		Args: checkGroupArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if version {
				return runVersion(t)
			}
			return c.Help()
		},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.Flags().BoolVarP(&version, "version", "v", false, "print the version, as alexnet version does")
	root.SetOut(t.Out)
	root.SetErr(t.Err)
	root.PersistentFlags().BoolVar(&t.JSON, "json", false, "write the result as one JSON document")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpTemplate(root.HelpTemplate() + "{{if not .HasParent}}\n" + exitHelp + "{{end}}")
	root.SetHelpFunc(fitHelp(root.HelpFunc(), t))
	root.SetHelpCommand(newHelpCommand())
	root.AddCommand(newTrainCommand(t), newEvalCommand(t), newPredictCommand(t), newFeaturesCommand(t),
		newReportCommand(t), newLookCommand(t), newSummaryCommand(t), newConfigCommand(t), newDataCommand(t),
		newWeightsCommand(t), newRunsCommand(t), newVerifyCommand(t), newBenchCommand(t), newDoctorCommand(t),
		newVersionCommand(t), newCompletionCommand(t), newManCommand(t))
	refuseEmpty(root)
	root.CompletionOptions.DisableDefaultCmd = true // ours keeps the rules of output and exit codes
	completeAll(root)
	return root
}

// fitHelp is help as it is written, and on a terminal laid out for its width.
func fitHelp(help func(*cobra.Command, []string), t *ui.Terminal) func(*cobra.Command, []string) {
	return func(c *cobra.Command, args []string) {
		if t.OutWidth == 0 {
			help(c, args)
			return
		}
		var b bytes.Buffer
		c.SetOut(&b)
		help(c, args)
		c.SetOut(t.Out)
		_, _ = io.WriteString(t.Out, ui.Help(b.String(), t.OutWidth))
	}
}

// newHelpCommand is cobra's, but what it does not know is an error.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [command]", Short: "Help about any command",
		Example: `  alexnet help train
  alexnet help weights show`,
		ValidArgsFunction: completeCommands,
		RunE: func(c *cobra.Command, args []string) error {
			topic, rest, err := c.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return checkGroupArgs(topic, rest)
			}
			return topic.Help()
		},
	}
}

// completeCommands completes the words of help.
func completeCommands(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	topic, rest, err := c.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range topic.Commands() {
		if s.IsAvailableCommand() {
			names = append(names, s.Name()+"\t"+s.Short)
		}
	}
	return keepPrefix(names, typed), cobra.ShellCompDirectiveNoFileComp
}

// newGroup is a command that only holds others; its examples are their first ones.
func newGroup(use, short, long string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Args: checkGroupArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(children...)
	var examples []string
	for _, child := range children {
		first, _, _ := strings.Cut(child.Example, "\n")
		examples = append(examples, first)
	}
	c.Example = strings.Join(examples, "\n")
	return c
}

// checkGroupArgs refuses what is not a subcommand, and names the nearest one.
func checkGroupArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	next := fmt.Sprintf("%s --help", c.CommandPath())
	if near := subcommandOf(c, args[0]); near != "" {
		next = fmt.Sprintf("%s %s", c.CommandPath(), near)
	}
	return usageError(next, "unknown command %q for %q", args[0], c.CommandPath())
}

// noArgs refuses arguments.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		next := c.CommandPath() + " --help"
		if meant := pathFor(c, args[0]); meant != "" {
			next = meant
		}
		return usageError(next, "%s takes no arguments, got %q", c.CommandPath(), args[0])
	}
	return nil
}

// wantArgs demands arguments, no more than most (0: any number).
func wantArgs(what string, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		help := c.CommandPath() + " --help"
		if len(args) == 0 {
			return usageError(help, "%s needs %s", c.CommandPath(), what)
		}
		if most > 0 && len(args) > most {
			return usageError(help, "%s takes %s, got %d arguments", c.CommandPath(), what, len(args))
		}
		return nil
	}
}

// refuseEmpty has a command, and those below it, refuse words that are empty, as "$DIR" is where DIR is not set: they
// would be taken for flags that were not given, or for paths.
func refuseEmpty(c *cobra.Command) {
	for _, child := range c.Commands() {
		refuseEmpty(child)
	}
	check := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
		help, empty := c.CommandPath()+" --help", error(nil)
		c.Flags().Visit(func(f *pflag.Flag) {
			if empty == nil && isEmpty(f.Value) {
				empty = usageError(help, "--%s needs a value", f.Name)
			}
		})
		if i := slices.Index(args, ""); i >= 0 && empty == nil {
			empty = usageError(help, "%s: argument %d is empty", c.CommandPath(), i+1)
		}
		if empty != nil || check == nil {
			return empty
		}
		return check(c, args)
	}
}

// isEmpty tells whether a flag was given nothing; of one that may be repeated, once.
func isEmpty(v pflag.Value) bool {
	if several, is := v.(pflag.SliceValue); is {
		return slices.Contains(several.GetSlice(), "")
	}
	return v.String() == ""
}

// flagError adds the nearest flag to the parser's message.
func flagError(c *cobra.Command, err error) error {
	next := c.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		f := invalid.GetFlag()
		return usageError(next, "--%s %s: want %s", f.Name, invalid.GetValue(), describeType(f.Value.Type()))
	}
	if errors.As(err, &unknown) {
		name := unknown.GetSpecifiedName()
		if whole := unknown.GetSpecifiedShortnames(); whole != "" { // -data for --data
			name, _, _ = strings.Cut(whole, "=")
		}
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if c.Flags().Lookup(name) != nil {
			next = "did you mean --" + name + "?"
		} else if meant := flagFor(c, name); meant != "" {
			next = fmt.Sprintf("%s does that here. See %s", meant, next)
		} else if near := text.Nearest(name, names); near != "" {
			next = fmt.Sprintf("did you mean --%s? See %s", near, next)
		} else if near := subcommandOf(c, name); near != "" {
			next = c.CommandPath() + " " + near
		}
	}
	return usageError(next, "%s: %v", c.CommandPath(), err)
}

// describeType puts the type of a flag into words.
func describeType(kind string) string {
	switch kind {
	case "int":
		return "a whole number"
	case "uint64":
		return "a whole number from 0"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	}
	return "a " + kind
}
