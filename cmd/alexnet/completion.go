package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"alexnet/internal/builtin"
	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/gpu"
	"alexnet/internal/model"
	"alexnet/internal/run"
	"alexnet/internal/safetensors"
	"alexnet/internal/serve"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// completionResult is the document of completion SHELL --json.
type completionResult struct {
	Shell  string `json:"shell"`
	Script string `json:"script"`
}

// shells are those that a script can be written for, and how each takes it.
var shells = []struct {
	name, install string
	write         func(root *cobra.Command, w *bytes.Buffer) error
}{
	{
		"bash", "source <(alexnet completion bash)",
		func(root *cobra.Command, w *bytes.Buffer) error { return root.GenBashCompletionV2(w, true) },
	},
	{
		"zsh", "source <(alexnet completion zsh)",
		func(root *cobra.Command, w *bytes.Buffer) error { return root.GenZshCompletion(w) },
	},
	{
		"fish", "alexnet completion fish | source",
		func(root *cobra.Command, w *bytes.Buffer) error { return root.GenFishCompletion(w, true) },
	},
	{
		"powershell", "alexnet completion powershell | Out-String | Invoke-Expression",
		func(root *cobra.Command, w *bytes.Buffer) error { return root.GenPowerShellCompletionWithDesc(w) },
	},
}

func newCompletionCommand(t *ui.Terminal) *cobra.Command {
	var children []*cobra.Command
	for _, s := range shells {
		children = append(children, &cobra.Command{
			Use:   s.name,
			Short: "Write the completion script for " + s.name,
			Long: "Write what makes " + s.name + ` complete commands, flags and their values: nets, keys of --set,
layers, devices, runs. The example's line switches it on in this shell; in the shell's start-up
file, in every new one.`,
			Example: "  " + s.install,
			Args:    noArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				var b bytes.Buffer
				if err := s.write(c.Root(), &b); err != nil {
					return err
				}
				return t.Result(completionResult{s.name, b.String()}, func(w *bytes.Buffer) { w.Write(b.Bytes()) })
			},
		})
	}
	return newGroup("completion", "Write a shell's completion script", `Write the script that lets a shell complete `+
		`alexnet's commands, flags and values. bash needs its package bash-completion.`, children...)
}

// completer gives the values that a flag may have, those that go on from what is typed, and what the shell is to do
// besides.
type completer func(c *cobra.Command, typed string) ([]string, cobra.ShellCompDirective)

// completers go by the name of the flag, which means the same in every command. Numbers complete to nothing.
var completers = map[string]completer{
	"config":    completeNets,
	"gradients": completeNets,
	"set":       completeKeys,
	"device":    completeWords("cpu", "cpu,cpu", "reference", "reference,reference"),
	"precision": completeWords(device.PrecisionNames()...),
	"mode":      completeWords(benchModes...),
	"crops":     completeWords("1", "10"),
	"part":      completeWords(partNames...),
	"name":      completeWords(),
	"layer":     completeLayers,
	"class":     completeClasses,
	"gpus":      completeGPUs,
	"to":        completeWords(targetNames()...),
	"dtype":     completeWords("f32", "f16"),
	"fit":       completeWords(fits...),
	"resume": func(_ *cobra.Command, typed string) ([]string, cobra.ShellCompDirective) {
		return completeWordsOrFiles(resumable(), typed)
	},
	"weights": completeCheckpoints,
	"against": completeCheckpoints,
	"init":    completeCheckpoints,
	"freeze":  completeFreeze,
	"data":    completeFiles,
	"labels": func(_ *cobra.Command, typed string) ([]string, cobra.ShellCompDirective) {
		return completeWordsOrFiles(labelWords, typed)
	},
	"out":     completeFiles,
	"live":    completeWords(fmt.Sprintf("localhost:%d", serve.FirstPort)),
	"list":    completeFiles,
	"classes": completeFiles,
	"mean":    completeFiles,
	"index":   completeFiles,

	"projector": completeFiles,

	"submission": completeFiles,
}

// completeGPUs offers those that are there.
func completeGPUs(c *cobra.Command, typed string) ([]string, cobra.ShellCompDirective) {
	switch gpu.Count() {
	case 0:
		return completeWords()(c, typed)
	case 1:
		return completeWords("0", "0,0", allGPUs)(c, typed)
	}
	return completeWords("0", "1", "0,1", "0,0", allGPUs)(c, typed)
}

func completeNets(_ *cobra.Command, typed string) ([]string, cobra.ShellCompDirective) {
	return completeWordsOrFiles(config.Names(), typed)
}

// completeAll tells cobra how to complete every flag and argument below root.
func completeAll(root *cobra.Command) {
	for _, c := range root.Commands() {
		completeAll(c)
	}
	root.Flags().VisitAll(func(f *pflag.Flag) {
		complete, ok := completers[f.Name]
		if kind := f.Value.Type(); !ok && kind != "string" && kind != "bool" { // a number
			complete, ok = completeWords(), true
		}
		if !ok {
			return
		}
		err := root.RegisterFlagCompletionFunc(f.Name,
			func(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
				return complete(c, typed)
			})
		if err != nil { // the flag is there and nobody else registers
			panic(err)
		}
	})
	if path := root.CommandPath(); path == "alexnet weights show" || path == "alexnet weights export" {
		root.ValidArgsFunction = func(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return completeCheckpoints(c, typed)
		}
	}
	// takes no arguments
	if root.ValidArgsFunction == nil && root.Args != nil && root.Args(root, []string{"x"}) != nil {
		root.ValidArgsFunction = cobra.NoFileCompletions
	}
}

// completeWords completes to these values.
func completeWords(values ...string) completer {
	return func(_ *cobra.Command, typed string) ([]string, cobra.ShellCompDirective) {
		return keepPrefix(values, typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFiles leaves it to the shell.
func completeFiles(*cobra.Command, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// completeCheckpoints offers safetensors files, and folders: a run is as good.
func completeCheckpoints(*cobra.Command, string) ([]string, cobra.ShellCompDirective) {
	return []string{"safetensors"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeWordsOrFiles are values, or a file where none of them goes on from what is typed.
func completeWordsOrFiles(values []string, typed string) ([]string, cobra.ShellCompDirective) {
	return keepPrefix(values, typed), cobra.ShellCompDirectiveDefault
}

func keepPrefix(values []string, typed string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return !strings.HasPrefix(v, typed) })
}

// resumable are last and the folders of runs.
func resumable() []string {
	// fails for bad patterns alone
	checkpoints, _ := filepath.Glob(filepath.Join("runs", "*", "checkpoints", run.Last+".safetensors"))
	names := []string{"last"}
	for _, path := range checkpoints {
		names = append(names, filepath.Dir(filepath.Dir(path)))
	}
	return names
}

// pageName is that of the page that a command would take, if no weights brought one.
func pageName(c *cobra.Command) string {
	if f := c.Flag("config"); f != nil && f.Value.String() != "" {
		return f.Value.String()
	}
	if c.Name() == "train" && !c.Flag("data").Changed {
		return "demo"
	}
	return "alexnet"
}

// completeKeys goes down the keys of the page that --config names, part by part: train. -> train.lr=, model. ->
// model.conv4. or model.conv4=off.
func completeKeys(c *cobra.Command, typed string) ([]string, cobra.ShellCompDirective) {
	name := pageName(c)
	keys, layers, err := config.Keys(name, nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var parts []string
	for _, key := range keepPrefix(keys, typed) {
		part := key + "="
		if dot := strings.IndexByte(key[len(typed):], '.'); dot >= 0 {
			part = key[:len(typed)+dot+1]
		}
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	if strings.HasPrefix(typed, "model.") {
		for _, l := range layers {
			parts = append(parts, keepPrefix([]string{"model." + l + "=off"}, typed)...)
		}
	}
	return parts, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeLayers are those of the net in the checkpoint that the command would use; where there is none, the paper's.
func completeLayers(c *cobra.Command, typed string) ([]string, cobra.ShellCompDirective) {
	path := ""
	if f := c.Flag("weights"); f != nil {
		path = f.Value.String()
	}
	names, err := layersIn(path)
	if err != nil {
		cfg, err := config.Load("alexnet", nil)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		names, _ = valuesOf(cfg) // a page of our own
	}
	return keepPrefix(names, typed), cobra.ShellCompDirectiveNoFileComp
}

// layersIn reads the head of a checkpoint: "" is the one that the command would use.
func layersIn(path string) (names []string, err error) {
	cfg, err := pageIn(path)
	if err != nil {
		return nil, err
	}
	return valuesOf(cfg)
}

// completeClasses are those of the checkpoint that the command would use.
func completeClasses(c *cobra.Command, typed string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if r, err := headIn(c.Flag("weights").Value.String()); err == nil {
		defer closeQuietly(r)
		var classes []text.Raw
		_ = json.Unmarshal([]byte(r.Meta["classes"]), &classes) // of what is no list nothing is offered
		for _, class := range classes {
			if text.Name(class) == string(class) { // a shell would not show others as they are
				names = append(names, string(class))
			}
		}
	}
	return keepPrefix(names, typed), cobra.ShellCompDirectiveNoFileComp
}

// pageIn is the page in it.
func pageIn(path string) (cfg *config.Config, err error) {
	r, err := headIn(path)
	if err != nil {
		return nil, err
	}
	defer closeQuietly(r)
	return config.Parse([]byte(r.Meta["config"]), nil)
}

// headIn opens a checkpoint, as layersIn has the path.
func headIn(path string) (r *safetensors.Reader, err error) {
	switch inside := run.ToUse(files.OS, path); {
	case path == "":
		if path, _, err = newestWeights(true); errors.Is(err, run.ErrNoRun) {
			path, err = builtin.Name, nil
		}
	case path != builtin.Name && inside != "":
		path = inside
	}
	if err != nil {
		return nil, err
	}
	return openWeights(path)
}

// valuesOf are the names that --layer takes.
func valuesOf(cfg *config.Config) ([]string, error) {
	arch, err := model.Of(cfg, 0)
	if err != nil {
		return nil, err
	}
	return arch.Names(), nil
}
