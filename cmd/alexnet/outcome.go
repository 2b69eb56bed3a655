package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"path/filepath"

	"alexnet/internal/atomicfile"
	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/report/page"
	"alexnet/internal/run"
	"alexnet/internal/text"
)

// outcomeName is the file in a run folder in which the outcome of its best checkpoint is kept.
const outcomeName = "outcome.json"

// mostKept is how large it may be: of 1,000 classes it has some 300 kB.
const mostKept = 64 << 20

// deadPictures is on how many pictures units are looked at.
const deadPictures = 256

// keptOutcome is what is in it.
type keptOutcome struct {
	*infer.Outcome
	Of     text.Raw          `json:"pictures"` // what to call them
	Dead   []infer.DeadUnits `json:"dead_units"`
	DeadOf int               `json:"dead_units_of"` // pictures
}

// readOutcome reads what was kept of a checkpoint; nil: nothing, or of another one.
func readOutcome(path string, c *checkpoint.Checkpoint) (*keptOutcome, error) {
	info, err := files.OS.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > mostKept:
		return nil, fmt.Errorf("%s is not an outcome", text.Name(path))
	}
	written, err := files.ReadFile(files.OS, path)
	if err != nil {
		return nil, err
	}
	k := keptOutcome{Outcome: &infer.Outcome{}}
	if err := json.Unmarshal(written, &k); err != nil {
		return nil, fmt.Errorf("%s: %w", text.Name(path), err)
	}
	if k.Checkpoint != c.Sum() {
		return nil, nil
	}
	if len(k.Classes) != len(c.Classes) || !page.Sound(k.Outcome) {
		return nil, fmt.Errorf("%s is not an outcome of this net", text.Name(path))
	}
	return &k, nil
}

// outcome adds to a run's page what its net answers: what was kept, or else what the net says now.
func (r *reporter) outcome(
	ctx context.Context, one *page.Run, f run.Found, c *checkpoint.Checkpoint,
) (evaluated bool, err error) {
	lack := func(what string, err error) { one.Missing = append(one.Missing, fmt.Sprintf("%s: %v", what, err)) }
	path := filepath.Join(f.Path, outcomeName)
	kept, err := readOutcome(path, c)
	if err != nil {
		r.t.Warn("not used: %v", err)
	}
	source, set, err := evalData(ctx, r.data.at, "", c, r.t)
	switch {
	case err != nil && (r.data.given() || ctx.Err() != nil):
		return false, err
	case err != nil && kept == nil:
		lack("right and wrong", err)
		return false, nil
	case err != nil:
		lack("pictures", err)
		show(one, kept)
		return false, nil
	}
	defer closeQuietly(source)
	source.SetPatience(patienceOf(c, r.t))
	if kept == nil || kept.Data != set.Fingerprint(source.Classes) {
		if r.noEval {
			lack("right and wrong", errors.New("this checkpoint was not evaluated on these pictures yet"))
			return false, nil
		}
		if r.devices == nil {
			if r.devices, err = r.device.open(r.t); err != nil {
				return false, err
			}
		}
		kept, err = r.examine(ctx, c, source, set)
		if ctx.Err() != nil {
			return false, err
		}
		if err != nil { // of other classes, or damaged: the other runs, and the rest of this one, are there to be shown
			lack("right and wrong", err)
			return false, nil
		}
		evaluated = true
		err = atomicfile.Write(disk(r.t), path, func(f atomicfile.File) error { return writeJSON(f, kept) })
		if err != nil {
			r.t.Warn("the outcome is not kept: %v", err)
		}
	}
	show(one, kept)
	return evaluated, r.mistakes(ctx, one, c, set)
}

// show adds an outcome to a page.
func show(one *page.Run, k *keptOutcome) {
	one.Outcome, one.OutcomeOf, one.Dead, one.DeadOf = k.Outcome, string(k.Of), k.Dead, k.DeadOf
}

// examine evaluates a net, and looks at its units.
func (r *reporter) examine(
	ctx context.Context, c *checkpoint.Checkpoint, source *data.Source, set *data.Set,
) (k *keptOutcome, err error) {
	if err := checkDecoder(c, false, r.t); err != nil {
		return nil, err
	}
	notePrecision(r.devices, c, r.t)
	bar := r.t.Phase("opening the net")
	defer bar.Clear()
	source.SetPatience(patienceOf(c, bar))
	k = &keptOutcome{Of: text.Raw(partName(source, set))}
	k.Outcome, err = infer.Examine(ctx, infer.EvalOptions{
		Checkpoint: c, Devices: r.devices, Set: set, Classes: source.Classes, Progress: evalProgress(bar),
		OnBad: func(b *data.BadPicture) { bar.Note("%v%s", b, hintOf(b)) },
	})
	if err != nil {
		return nil, err
	}
	k.Dead, k.DeadOf, err = r.dead(ctx, c, set)
	return k, err
}

// partName is what to call the pictures of a part.
func partName(source *data.Source, set *data.Set) string {
	switch set {
	case source.Val:
		return "validation pictures of " + source.Path
	case source.Test:
		return "test pictures of " + source.Path
	}
	return source.Path
}

// dead looks at a net's units on pictures from all over a set.
func (r *reporter) dead(ctx context.Context, c *checkpoint.Checkpoint, set *data.Set) ([]infer.DeadUnits, int, error) {
	layers, err := infer.RectifiedIn(c)
	if err != nil || len(layers) == 0 {
		return nil, 0, err
	}
	p, err := infer.NewPredictor(infer.PredictOptions{
		Checkpoint: c, Devices: r.devices, Files: pictureFiles, Batch: 32, Layers: layers,
		Patience: patienceOf(c, r.t),
	})
	if err != nil {
		return nil, 0, err
	}
	defer closeQuietly(p)
	n := min(deadPictures, set.Len())
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i * set.Len() / n
	}
	return p.Dead(ctx, set.Pictures(numbers))
}

// mistakes reads the pictures that were mistaken most confidently. Those that cannot be read any more are named.
func (r *reporter) mistakes(ctx context.Context, one *page.Run, c *checkpoint.Checkpoint, set *data.Set) error {
	by, err := infer.RecipeOf(c)
	if err != nil {
		return err
	}
	all := one.Outcome.Mistakes
	one.Pictures = make([]image.Image, len(all))
	var numbers, of []int
	for i, m := range all {
		if m.Number < set.Len() && set.File(m.Number) == string(m.File) {
			numbers, of = append(numbers, m.Number), append(of, i)
		}
	}
	i := 0
	for m, err := range set.Pictures(numbers).Seen(ctx, &by, patienceOf(c, r.t)) {
		var bad *data.BadPicture
		switch {
		case err == nil:
			one.Pictures[of[i]] = m
		case !errors.As(err, &bad):
			if ctx.Err() != nil {
				return err
			}
			one.Missing = append(one.Missing, fmt.Sprintf("pictures: %v", err))
			return nil
		}
		i++
	}
	var gone []string
	for i, m := range one.Pictures {
		if m == nil {
			gone = append(gone, string(all[i].File))
		}
	}
	if len(gone) > 0 {
		one.Missing = append(one.Missing, fmt.Sprintf("%s that cannot be read: %s", text.Count(len(gone), "picture"),
			text.Examples(gone)))
	}
	return nil
}
