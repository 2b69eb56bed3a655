package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/text"
	"alexnet/internal/ui"
	"alexnet/internal/verify"
)

// verifyResult is the document of verify --json.
type verifyResult struct {
	Sound    bool             `json:"sound"` // nothing is damaged or missing
	Findings []verify.Finding `json:"findings"`
}

func newVerifyCommand(t *ui.Terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE|RUN...",
		Short: "Check whether files are as they were written",
		Long: `Read files, or all files of a run folder, and tell what in them is damaged, by the name of the
tensor, line or record: checkpoints and other safetensors files, metrics.jsonl, TensorBoard event
files, pages, curves.png, arrays and indexes. Of a run it also tells what is missing, and what of its
files is not of one run. It may train meanwhile; nothing is written. Damage is exit code 12; a remark,
such as a line that a killed writer left torn, is not.`,
		Example: `  alexnet verify runs/train
  alexnet verify runs/train/checkpoints/*.safetensors
  alexnet verify runs/train --json | jq '.findings[] | select(.status == "damaged")'`,
		Args: wantArgs("a file or a run folder, or several", 0),
		RunE: func(c *cobra.Command, paths []string) error { return runVerify(c.Context(), paths, t) },
	}
}

func runVerify(ctx context.Context, paths []string, t *ui.Terminal) error {
	bar := ui.NewProgress(t)
	defer bar.Clear()
	progress := func(file string, done, all int64) {
		const mib = 1 << 20
		bar.Counter(text.Name(file)+", MiB")(int(done/mib), int((all+mib-1)/mib))
	}
	r := verifyResult{Findings: []verify.Finding{}}
	var missing error
	for _, path := range paths {
		found, err := verifyPath(ctx, path, progress)
		if errors.Is(err, context.Canceled) || ctx.Err() != nil {
			return err
		}
		if err != nil && missing != nil {
			t.Note("error: %v", err)
		} else if err != nil {
			missing = err
		}
		r.Findings = append(r.Findings, found...)
	}
	bar.Clear()
	if missing != nil && len(r.Findings) == 0 {
		return missing
	}
	r.Sound = missing == nil && !verify.IsDamaged(r.Findings)
	if err := t.Result(r, func(w *bytes.Buffer) { printFindings(w, r.Findings) }); err != nil {
		return err
	}
	if !verify.IsDamaged(r.Findings) {
		return missing
	}
	return advise(exitCheckpoint, "take another copy of it, or of a run the other checkpoint", damageError(r.Findings))
}

// verifyPath verifies a file or a run.
func verifyPath(ctx context.Context, path string, progress verify.Progress) ([]verify.Finding, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, advise(exitNoData, "check the path; alexnet runs lists the runs",
			fmt.Errorf("%s: there is no such file or run", text.Name(path)))
	case err == nil && info.IsDir():
		found, err := verify.Run(ctx, files.OS, path, progress)
		switch {
		case errors.Is(err, verify.ErrNoRun) && data.IsPrepared(files.OS, path):
			err = advise(exitNoData, "alexnet data info "+text.ShellPath(path)+" --full reads every picture of it",
				fmt.Errorf("%s: a prepared set, not a run", text.Name(path)))
		case errors.Is(err, verify.ErrNoRun):
			err = advise(exitNoData, "name a run folder, as alexnet runs lists them, or a file",
				fmt.Errorf("%s: there is no run in this folder", text.Name(path)))
		}
		return found, err
	}
	return verify.File(ctx, files.OS, path, progress)
}

func printFindings(w *bytes.Buffer, all []verify.Finding) {
	tab := &ui.Table{Columns: []ui.Column{{Head: "status"}, {Head: "file"}, {Head: "finding"}}}
	for _, f := range all {
		what := f.Text
		if f.Part != "" {
			what = f.Part + ": " + what
		}
		tab.Add(string(f.Status), string(f.File), what)
	}
	tab.Write(w, 0) // what is wrong is not to be shortened
}

// damageError names the damaged files.
func damageError(all []verify.Finding) error {
	var names []string
	for _, f := range all {
		if f.Status == verify.Damaged && !slices.Contains(names, text.Name(f.File)) {
			names = append(names, text.Name(f.File))
		}
	}
	if len(names) == 1 {
		return fmt.Errorf("%s is damaged or missing", names[0])
	}
	return fmt.Errorf("%s are damaged or missing: %s", text.Count(len(names), "file"), strings.Join(names, ", "))
}
