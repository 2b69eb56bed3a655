package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"alexnet/internal/atomicfile"
	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/report"
	"alexnet/internal/report/page"
	"alexnet/internal/run"
	"alexnet/internal/step"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// reportOptions are what report was asked to do.
type reportOptions struct {
	device deviceOptions
	data   dataOption
	out    string
	force  bool
	noEval bool
}

// reportResult is the document of report --json.
type reportResult struct {
	Out   text.Raw      `json:"out"`
	Bytes int64         `json:"bytes"`
	Runs  []reportedRun `json:"runs"`
}

// reportedRun is a run in it.
type reportedRun struct {
	Run       text.Raw `json:"run"`
	Top1Error *float64 `json:"top1_error"` // null: not evaluated
	Evaluated bool     `json:"evaluated"`  // now, and not before
	Missing   []string `json:"missing"`
}

// mostReported is how many runs a report takes: beyond, colours can no longer be told apart by far.
const mostReported = 50

func newReportCommand(t *ui.Terminal) *cobra.Command {
	var o reportOptions
	c := &cobra.Command{
		Use:   "report RUN...",
		Short: "Write a page of what runs did and learned, to look at or to pass on",
		Long: `Write one HTML file that needs no network and no other file: settings and what differs from the
net's page; the curves of all runs in one plot, by step, epoch or hour of training; where the time
went; the first layer's filters; dead units; and what the net gets right and wrong: the confusion
matrix (over 100 classes the 50 most confused pairs), the worst classes, and its most confident
mistakes as pictures. RUN is a run folder, or a folder of run folders.

Each run's best checkpoint is evaluated on the pictures that alexnet eval would take, and the
outcome kept in the run folder (outcome.json): another report reads it. With --no-eval nets are not
run. What is not there, as data that were moved, the page names, and shows the rest.

` + outHelp,
		Example: `  alexnet report runs/train
  alexnet report runs/train runs/train2 --out both.html
  alexnet report runs/train --data photos --out photos.html
  alexnet report runs --no-eval --out all.html`,
		Args: wantArgs("a run folder, or several", 0),
		RunE: func(c *cobra.Command, args []string) error {
			err := promised(o.out, ".html")
			if err == nil && o.noEval && o.data.given() {
				err = usageError(c.CommandPath()+" --help", "--no-eval and --data exclude each other")
			}
			if err == nil {
				err = o.data.check(c)
			}
			if err == nil {
				err = o.device.check(c)
			}
			if err != nil {
				return err
			}
			return runReport(c.Context(), o, args, t)
		},
	}
	o.device.addFlags(c)
	o.data.addFlag(c, "labelled pictures", "the data that each checkpoint names")
	f := c.Flags()
	f.StringVar(&o.out, "out", "report.html", "the `FILE` to write, new")
	f.BoolVar(&o.force, "force", false, "overwrite FILE")
	f.BoolVar(&o.noEval, "no-eval", false, "run no net: show what was evaluated before")
	c.ValidArgsFunction = func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return completeWordsOrFiles(slices.DeleteFunc(resumable(), func(s string) bool { return s == run.Last }), typed)
	}
	return c
}

// reporter gathers what a report shows.
type reporter struct {
	reportOptions
	t       *ui.Terminal
	devices []device.Device // opened when first needed
}

func runReport(ctx context.Context, o reportOptions, args []string, t *ui.Terminal) error {
	if _, err := newFile(o.out, o.force, t); err != nil {
		return err
	}
	found, err := reportedRuns(args)
	if err != nil {
		return err
	}
	r := &reporter{reportOptions: o, t: t}
	defer func() { closeDevices(r.devices) }()
	shown := page.Page{Written: time.Now(), Program: "alexnet " + versionFacts().Version}
	result := reportResult{Out: text.Raw(o.out)}
	for _, f := range found {
		one, evaluated, err := r.describe(ctx, f)
		if err != nil {
			return err
		}
		shown.Runs = append(shown.Runs, *one)
		listed := reportedRun{Run: text.Raw(f.Path), Evaluated: evaluated, Missing: []string{}}
		if one.Outcome != nil {
			listed.Top1Error = &one.Outcome.Top1Error
		}
		for _, m := range one.Missing {
			listed.Missing = append(listed.Missing, text.Escape(m))
		}
		result.Runs = append(result.Runs, listed)
	}
	result.Bytes, err = atomicfile.Put(ctx, disk(t), o.out, func(f atomicfile.File) error {
		return page.Write(f, &shown)
	})
	if err != nil {
		return err
	}
	return t.Result(result, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s, %s\n", text.Name(o.out), text.Count(len(found), "run"), text.Bytes(result.Bytes))
		for _, one := range result.Runs {
			for _, m := range one.Missing {
				fmt.Fprintf(w, "not in it of %s: %s\n", text.Name(one.Run), m)
			}
		}
	})
}

// reportedRuns are the runs that arguments name, each once.
func reportedRuns(args []string) (all []run.Found, err error) {
	for _, path := range args {
		found, err := run.List(files.OS, path)
		file := errors.Is(err, syscall.ENOTDIR)
		if err == nil && len(found) == 0 || errors.Is(err, run.ErrNoRun) || file {
			why := "there is no run in this folder"
			switch {
			case file:
				why = "this is a file, not a run folder"
			case err != nil:
				why = "there is no such folder"
			}
			return nil, advise(exitNoData, "name a run folder, as alexnet runs lists them",
				fmt.Errorf("%s: %s", text.Name(path), why))
		}
		if err != nil {
			return nil, err
		}
		slices.Reverse(found) // of a folder the oldest first, so that the others are compared with it
		for _, f := range found {
			if !slices.ContainsFunc(all, func(g run.Found) bool { return g.Path == f.Path }) {
				all = append(all, f)
			}
		}
	}
	if len(all) > mostReported {
		return nil, usageError("name fewer of them", "%d runs: a report takes at most %d", len(all), mostReported)
	}
	return all, nil
}

// describe gathers what there is about a run. What is missing is told in it; an error ends the report.
func (r *reporter) describe(ctx context.Context, f run.Found) (one *page.Run, evaluated bool, err error) {
	one = &page.Run{Name: f.Path}
	lack := func(what string, err error) { one.Missing = append(one.Missing, fmt.Sprintf("%s: %v", what, err)) }
	listed := describeRun(f)
	path := run.ToUse(files.OS, f.Path)
	var c *checkpoint.Checkpoint
	if path == "" {
		lack("the net", errors.New("there is no checkpoint"))
	} else if c, err = loadCheckpoint(path, r.t); err != nil {
		lack("the net", err)
	} else {
		defer closeQuietly(c)
	}
	cfg, err := settingsOf(one, f, c)
	if err != nil {
		lack("settings", err)
	}
	rows := 0
	if cfg != nil {
		rows = cfg.Train.Batch
	}
	if c != nil {
		one.OnlyTop1 = len(c.Classes) <= step.TopK
	}
	if one.Overview, err = overviewOf(filepath.Join(f.Path, "metrics.jsonl"), rows); err != nil {
		lack("curves", err)
	}
	one.Facts = factsOf(&listed, one.Overview)
	if c == nil || cfg == nil {
		return one, false, ctx.Err()
	}
	one.Weights = path
	if one.Kernels, err = firstKernels(c, cfg); err != nil {
		lack("filters", err)
	}
	evaluated, err = r.outcome(ctx, one, f, c)
	return one, evaluated, err
}

// settingsOf reads a run's configuration, and compares it with the page that its net comes from. Of a run without one,
// as of a damaged one, its checkpoint has it, but no list of keys.
func settingsOf(one *page.Run, f run.Found, c *checkpoint.Checkpoint) (*config.Config, error) {
	if f.Config == "" {
		if c == nil {
			return nil, errors.New("there is no config.yaml")
		}
		return c.Page(nil)
	}
	cfg, entries, err := config.Explain(f.Config, nil)
	if err != nil {
		if c != nil {
			cfg, _ = c.Page(nil)
		}
		return cfg, err
	}
	of := map[string]string{}
	var differ []string
	if one.Net, _ = config.NameOf(cfg.Model); one.Net != "" {
		own, has, err := config.Explain(one.Net, nil)
		if err != nil {
			return cfg, err
		}
		for i := range has {
			of[has[i].Key] = has[i].Text()
		}
		differ = config.Differ(own, cfg)
	}
	for i := range entries {
		e := &entries[i]
		differs := slices.ContainsFunc(differ, func(key string) bool {
			return e.Key == key || strings.HasPrefix(e.Key, key+".")
		})
		one.Settings = append(one.Settings, page.Setting{
			Key: e.Key, Value: e.Text(), Page: of[e.Key], Differs: differs,
		})
	}
	return cfg, nil
}

// overviewOf reads a run's metrics, of steps of so many pictures. With an error there may be the lines before it.
func overviewOf(path string, rows int) (*report.Overview, error) {
	// a link may lead elsewhere, as in a run folder that was put together; a pipe would wait for a writer
	info, err := files.OS.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = files.NewInTheWay(files.OS, path, info)
	}
	if err != nil {
		return nil, err
	}
	f, err := files.OS.Open(path)
	if err != nil {
		return nil, err
	}
	defer closeQuietly(f)
	o := report.NewOverview(rows)
	if err = o.Read(f); err == nil && o.Step == 0 {
		err = errors.New("metrics.jsonl holds no line")
	}
	return o, err
}

// factsOf are the cells of a run in the table of runs.
func factsOf(r *listedRun, o *report.Overview) []page.Fact {
	all := []page.Fact{{Name: "state", Value: string(r.State)}}
	add := func(name, value string) { all = append(all, page.Fact{Name: name, Value: value}) }
	if r.Net != "" {
		add("net", r.Net)
	}
	if r.PlannedEpochs > 0 {
		add("epochs", fmt.Sprintf("%d of %d", r.Epochs, r.PlannedEpochs))
	}
	steps := r.Steps
	if o != nil {
		steps = max(steps, o.Step)
	}
	add("steps", text.Grouped(int64(steps)))
	if r.Best != nil {
		add("best validation error", text.Percent(*r.Best))
	}
	if o != nil && o.Seconds > 0 {
		add("time", page.Duration(o.Seconds))
	}
	if r.Data != "" {
		add("data", string(r.Data))
	}
	return all
}

// firstKernels are those of the net's first convolution; nil where it has none.
func firstKernels(c *checkpoint.Checkpoint, cfg *config.Config) (*infer.Kernels, error) {
	for i := range cfg.Model.Layers {
		if l := &cfg.Model.Layers[i]; l.Kind == config.Conv {
			return infer.KernelsOf(c, l.Name)
		}
	}
	return nil, nil
}
