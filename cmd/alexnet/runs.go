package main

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/run"
	"alexnet/internal/text"
	"alexnet/internal/train"
	"alexnet/internal/ui"
)

// runState is what has become of a run.
type runState string

// States of a run.
const (
	runTraining runState = "training" // a process is at it
	runFinished runState = "finished" // it has taken its epochs
	runStopped  runState = "stopped"  // it can be gone on with
	runBegun    runState = "begun"    // it ended before its first checkpoint
	runDamaged  runState = "damaged"  // its checkpoint or its page cannot be read
)

// listedRun is a run in the document of runs --json.
type listedRun struct {
	Run           text.Raw  `json:"run"`
	State         runState  `json:"state"`
	Written       time.Time `json:"written"` // when its newest checkpoint was
	Net           string    `json:"net"`     // the page that it comes from; "": no page of ours
	Changed       bool      `json:"changed"` // its numbers are not the page's
	Data          text.Raw  `json:"data"`
	Classes       int       `json:"classes"`
	Steps         uint64    `json:"steps"`
	Epochs        int       `json:"epochs"` // whole ones
	PlannedEpochs int       `json:"planned_epochs"`
	PlannedSteps  int       `json:"planned_steps,omitempty"` // that end it where the epochs do not before
	Best          *float64  `json:"best_top1_error"`         // null: not validated yet
	Problem       string    `json:"problem,omitempty"`
}

func newRunsCommand(t *ui.Terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "runs [DIR]",
		Short: "List the runs: date, net, data, epochs, best error, state",
		Long: `List the runs in the folder runs, or in DIR, newest first: when the last checkpoint was written, the
net, the data, how many of the planned epochs are done (of the steps, where --steps ends the run),
the lowest validation error, and the state: training, finished, stopped (alexnet train --resume RUN
goes on), begun (it ended before its first checkpoint) or damaged.`,
		Example: `  alexnet runs
  alexnet runs runs/train
  alexnet runs --json | jq -r '.[] | select(.state == "stopped") | .run'`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError(c.CommandPath()+" --help", "%s takes one folder, got %d arguments", c.CommandPath(),
					len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			dir := ""
			if len(args) == 1 {
				dir = args[0]
			}
			return runRuns(dir, t)
		},
	}
}

func runRuns(dir string, t *ui.Terminal) error {
	found, err := run.List(files.OS, dir)
	switch {
	case errors.Is(err, run.ErrNoRun) && dir == "":
		found = nil // nothing was trained here yet: that is an answer
	case errors.Is(err, run.ErrNoRun):
		return advise(exitNoData, "alexnet runs lists those of this folder",
			fmt.Errorf("%s: there is no such folder", text.Name(dir)))
	case err != nil:
		return err
	}
	list := make([]listedRun, len(found))
	for i, f := range found {
		list[i] = describeRun(f)
	}
	if len(list) == 0 {
		where := "runs"
		if dir != "" {
			where = dir
		}
		t.Note("no runs in %s; alexnet train begins one", text.Name(where))
	}
	return t.Result(list, func(w *bytes.Buffer) { printRuns(w, list, t.OutWidth) })
}

// describeRun reads what a run says of itself: its last checkpoint, else its page.
func describeRun(f run.Found) listedRun {
	r := listedRun{Run: text.Raw(f.Path), State: runBegun, Written: f.Written}
	cfg, goal, err := r.readCheckpoint(f)
	if err == nil && cfg == nil && f.Config != "" {
		cfg, err = config.Load(f.Config, nil)
	}
	if err == nil && cfg != nil {
		r.Net, r.Changed = config.NameOf(cfg.Model)
		r.Changed = r.Net != "" && !r.Changed
		r.PlannedEpochs = cfg.Train.Epochs
	}
	switch {
	case err != nil:
		r.State, r.Problem = runDamaged, text.Escape(err.Error())
	case f.Last != "" && goal.Reached:
		r.State = runFinished
	case f.Last != "":
		r.State = runStopped
	}
	if f.PID != 0 {
		r.State = runTraining
	}
	return r
}

// readCheckpoint takes what the checkpoint tells, and gives its page, nil where there is none, and the run's goal.
func (r *listedRun) readCheckpoint(f run.Found) (page *config.Config, goal train.Goal, err error) {
	path := f.Last
	if path == "" {
		path = f.Best
	}
	if path == "" {
		return nil, goal, nil
	}
	c, err := checkpoint.Load(files.OS, path)
	if err != nil {
		return nil, goal, err
	}
	defer closeQuietly(c)
	if page, err = c.Page(nil); err != nil {
		return nil, goal, err
	}
	if goal, err = train.GoalOf(c, page.Train.Epochs); err != nil {
		return nil, goal, err
	}
	r.PlannedSteps = goal.Steps
	r.Data = text.Raw(data.At(c.Data.Paths()...).String())
	r.Classes, r.Steps, r.Epochs = len(c.Classes), c.Step, c.Epoch
	if c.Best != nil {
		r.Best = &c.Best.Top1Error
	}
	return page, goal, nil
}

func printRuns(w *bytes.Buffer, list []listedRun, width int) {
	tab := &ui.Table{Columns: []ui.Column{
		{Head: "run"},
		{Head: "state"},
		{Head: "best error", Right: true},
		{Head: "epochs", Right: true, Drop: 1},
		{Head: "net", Drop: 2},
		{Head: "written", Drop: 3},
		{Head: "data", Drop: 4},
	}}
	for i := range list {
		r := &list[i]
		best, net := "", r.Net
		if r.Best != nil {
			best = text.Percent(*r.Best)
		}
		switch {
		case net == "" && r.PlannedEpochs > 0:
			net = "own page"
		case r.Changed:
			net += ", changed"
		}
		done := fmt.Sprintf("%d of %d", r.Epochs, r.PlannedEpochs)
		if r.PlannedSteps > 0 && r.Epochs < r.PlannedEpochs {
			done = fmt.Sprintf("%d of %s", r.Steps, text.Count(r.PlannedSteps, "step"))
		}
		tab.Add(string(r.Run), string(r.State), best, done, net, r.Written.Format("2006-01-02 15:04"), string(r.Data))
	}
	if len(list) > 0 {
		tab.Write(w, width)
	}
	for i := range list {
		if p := list[i].Problem; p != "" {
			fmt.Fprintf(w, "%s: %s\n", text.Name(list[i].Run), p)
		}
	}
}
