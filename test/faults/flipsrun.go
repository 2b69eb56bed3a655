package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"alexnet/internal/files"
	"alexnet/internal/verify"
)

var runFlips = row{
	name: "flips-run", short: 300, long: 1000,
	fault: "a file of a run spoilt in the same ways, or removed: checkpoints, metrics, events, curves, page",
	how: "verify looks at the run, one in 25 as a user would start it (exit 12); survived: the damage is told of, by " +
		"the file's name; a remark is enough of what can be had again, and of the torn end of a log",
	open: openRunFlips,
}

func openRunFlips(ctx context.Context, s *setup) (caseFunc, error) {
	b, err := newBed(filepath.Join(s.dir, "bed"))
	if err != nil {
		return nil, err
	}
	run, other := b.run(wholeSteps), b.run(halfSteps)
	names, err := filesIn(run)
	if err != nil {
		return nil, err
	}
	found, err := verify.Run(ctx, files.OS, run, nil)
	if err != nil || slices.ContainsFunc(found, func(f verify.Finding) bool { return f.Status != verify.Sound }) {
		return nil, fmt.Errorf("undisturbed: %v (%w)", found, orNothing(err))
	}
	return func(ctx context.Context, c *testCase) error {
		name := names[c.rand.IntN(len(names))]
		dir, err := c.folder()
		if err != nil {
			return err
		}
		work := filepath.Join(dir, "run")
		if err := os.CopyFS(work, os.DirFS(run)); err != nil {
			return err
		}
		mild, err := spoilIn(c, work, name, other)
		if err != nil {
			return err
		}
		found, err := verify.Run(ctx, files.OS, work, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !tells(found, name, mild) {
			return fmt.Errorf("%s: nobody noticed: %v", name, found)
		}
		if c.number%25 != 0 {
			return nil
		}
		want := 0
		if verify.IsDamaged(found) {
			want = exitCheckpoint
		}
		end, err := limited(ctx, limits{memory: 1 << 30, time: 30 * time.Second}, dir, s.alexnet, "verify", "run")
		if err != nil {
			return err
		}
		if err := end.civil(); err != nil {
			return err
		}
		if end.code != want || !strings.Contains(end.stdout+end.stderr, "run/") {
			return fmt.Errorf("%s: alexnet verify: exit %d, want %d: %s", name, end.code, want, end.tail())
		}
		return nil
	}, nil
}

// filesIn are the names of the files in a folder and those below it.
func filesIn(dir string) (names []string, err error) {
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, path)
		}
		return err
	})
	return names, err
}

// spoilIn spoils a file of a run, or removes it. What it is exchanged with is another run's file of that name. mild
// tells that a remark is enough: of what can be had again (the page is in the checkpoint too), and of a log that is
// longer, for its writer may have been killed; of events also where they end early, for users remove them.
func spoilIn(c *testCase, run, name, otherRun string) (mild bool, err error) {
	path, base := filepath.Join(run, name), filepath.Base(name)
	again, events := base == "config.yaml" || base == "curves.png", strings.Contains(base, "tfevents")
	if c.rand.IntN(20) == 0 {
		return again || events, os.Remove(path)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	other, err := os.ReadFile(filepath.Join(otherRun, name))
	if errors.Is(err, fs.ErrNotExist) { // of events, whose name tells the time
		other, err = bytes.Repeat([]byte("x"), len(whole)), nil
	}
	if err != nil {
		return false, err
	}
	spoilt := spoil(c.rand, whole, other)
	longer, shorter := bytes.HasPrefix(spoilt, whole), bytes.HasPrefix(whole, spoilt)
	mild = again || events && (longer || shorter) || base == "metrics.jsonl" && longer
	return mild, os.WriteFile(path, spoilt, 0o666)
}

// tells whether what was found is about a file: damage, or a remark where that is enough. A line of the metrics and its
// event vouch for each other.
func tells(found []verify.Finding, name string, mild bool) bool {
	base := filepath.Base(name)
	log := strings.Contains(base, "tfevents") || base == "metrics.jsonl"
	return slices.ContainsFunc(found, func(f verify.Finding) bool {
		said := f.String()
		about := strings.Contains(said, base) || log && strings.Contains(said, "events")
		return about && (f.Status == verify.Damaged || f.Status == verify.Remark && mild)
	})
}

// spoil is a small file damaged in one of these ways; other is one that its bytes are exchanged with.
func spoil(r *rand.Rand, file, other []byte) []byte {
	spoilt := file
	for bytes.Equal(spoilt, file) { // by chance
		spoilt = smallDamages[r.IntN(len(smallDamages))](r, slices.Clone(file), other)
	}
	return spoilt
}

// smallDamages are those of damages that small files without a header of safetensors can take.
var smallDamages = []func(r *rand.Rand, file, other []byte) []byte{
	func(r *rand.Rand, file, _ []byte) []byte {
		file[r.IntN(len(file))] ^= 1 << r.IntN(8)
		return file
	},
	func(r *rand.Rand, file, _ []byte) []byte { return file[:r.IntN(len(file))] },
	func(r *rand.Rand, file, other []byte) []byte { return append(file, other[:1+r.IntN(len(other))]...) },
	func(r *rand.Rand, file, _ []byte) []byte {
		at := r.IntN(len(file))
		clear(file[at:min(len(file), at+512)])
		return file
	},
	func(r *rand.Rand, file, other []byte) []byte {
		at := r.IntN(min(len(file), len(other)))
		copy(file[at:], other[at:min(len(other), at+512)])
		return file
	},
	func(r *rand.Rand, file, _ []byte) []byte { // a part is missing
		at := r.IntN(len(file))
		return slices.Delete(file, at, min(len(file), at+1+r.IntN(512)))
	},
}
