package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"alexnet/internal/checkpoint"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/interop"
	"alexnet/internal/reference"
	"alexnet/internal/report"
	folder "alexnet/internal/run"
	"alexnet/internal/step/steptest"
	"alexnet/internal/tensor"
	"alexnet/internal/train"
)

var failingCalls = row{
	name: "calls", short: 1, long: 1,
	fault: "each call of a save, a run, a resume, an export fails once: EIO, ENOSPC, EDQUOT, EROFS, ESTALE, EINTR, " +
		"ENOLCK",
	how: "in the process, at the interface that all files go through; the short form takes the seven causes in turn. " +
		"It succeeds, or the error names the file; old or new is there whole, nothing else is left, and the next try " +
		"ends in the tensors of a run that nothing disturbed",
	open: openFailing,
}

// errnos are what calls fail with.
var errnos = []syscall.Errno{
	syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.ESTALE, syscall.EINTR, syscall.ENOLCK,
}

// Steps of the runs whose calls fail: one epoch, so that the curves are drawn while nothing else is asked of the file
// system, and call n is the same call each time.
const (
	halfSteps  = 2
	wholeSteps = 4
)

// scene is one thing that a user does, whose calls fail.
type scene struct {
	name    string
	prepare func(b *bed, dir string) error // on the disk
	act     func(b *bed, fsys files.FS, dir string) error
	// judge looks at what act left: err is its error.
	judge func(b *bed, dir string, err error) error
	// again does the same on the sound disk and looks whether the outcome is that of an undisturbed try.
	again func(b *bed, dir string) error
	calls int // that act makes if nothing fails
}

func openFailing(_ context.Context, s *setup) (caseFunc, error) {
	b, err := newBed(filepath.Join(s.dir, "bed"))
	if err != nil {
		return nil, err
	}
	scenes := scenes()
	all := 0
	for i := range scenes {
		dir := filepath.Join(s.dir, scenes[i].name)
		disk := filestest.New(files.OS)
		if err := scenes[i].try(b, disk, dir); err != nil {
			return nil, fmt.Errorf("%s, undisturbed: %w", scenes[i].name, err)
		}
		scenes[i].calls = len(disk.Calls())
		all += scenes[i].calls
	}
	s.cases = all
	if s.long {
		s.cases *= len(errnos)
	}
	return func(_ context.Context, c *testCase) error {
		turn, n := c.number/all, c.number%all
		i := 0
		for ; n >= scenes[i].calls; i++ {
			n -= scenes[i].calls
		}
		dir, err := c.folder()
		if err != nil {
			return err
		}
		cause := errnos[(n+turn)%len(errnos)]
		disk := filestest.New(files.OS)
		disk.Fail("", n, cause)
		err = scenes[i].try(b, disk, filepath.Join(dir, "work"))
		fault := disk.Fault()
		if fault == nil {
			return fmt.Errorf("%s: it made no call %d: %w", scenes[i].name, n, err)
		}
		if err != nil {
			return fmt.Errorf("%s, %q at call %d, %s: %w", scenes[i].name, cause.Error(), n, fault, err)
		}
		return nil
	}, nil
}

// try does a scene on a disk that may fail, and all that a case looks at.
func (s *scene) try(b *bed, disk *filestest.FS, dir string) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	if err := s.prepare(b, dir); err != nil {
		return err
	}
	told := s.act(b, disk, dir)
	fault := disk.Fault()
	switch {
	case told != nil && fault == nil:
		return fmt.Errorf("no call failed, and it says: %w", told)
	case told != nil && !names(told, fault):
		return fmt.Errorf("the error does not name %s: %w", aboutFile(fault), told)
	}
	if err := s.judge(b, dir, told); err != nil {
		return fmt.Errorf("it said %w; then %w", orNothing(told), err)
	}
	if err := leftovers(dir, fault); err != nil {
		return fmt.Errorf("it said %w; then %w", orNothing(told), err)
	}
	if err := s.again(b, dir); err != nil {
		return fmt.Errorf("it said %w; the next try, undisturbed: %w", orNothing(told), err)
	}
	return leftovers(dir, nil)
}

var errNothing = errors.New("nothing")

func orNothing(err error) error {
	if err == nil {
		return errNothing
	}
	return err
}

// aboutFile is the file that a user knows by the one that a call was about: a temporary one is its owner's, the lock
// the folder's.
func aboutFile(c *filestest.Call) string {
	dir, base := filepath.Split(c.Name)
	if own, temporary := strings.CutSuffix(base, ".tmp"); temporary {
		return filepath.Join(dir, strings.TrimPrefix(own, "."))
	}
	if base == "lock" {
		return filepath.Clean(dir)
	}
	return filepath.Clean(c.Name)
}

func names(err error, c *filestest.Call) bool { return strings.Contains(err.Error(), aboutFile(c)) }

// leftovers finds locks and temporary files. One whose removal is what failed is none.
func leftovers(dir string, fault *filestest.Call) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || fault != nil && fault.Op == "remove" && fault.Name == path {
			return err
		}
		if e.Name() == "lock" || strings.HasSuffix(e.Name(), ".tmp") {
			return fmt.Errorf("%s was left behind", path)
		}
		return nil
	})
}

// bed is what scenes are tried on: two runs that nothing disturbed, one of them half way.
type bed struct {
	dir   string
	sets  []string
	known map[uint64]tensorSums // by step
}

// tensorSums are the tensors of a checkpoint, bit for bit.
type tensorSums struct{ params, momentum [sha256.Size]byte }

// newBed makes the runs; sets change the net.
func newBed(dir string, sets ...string) (*bed, error) {
	b := &bed{dir: dir, sets: sets, known: map[uint64]tensorSums{}}
	for _, steps := range []int{halfSteps, wholeSteps} {
		if err := b.train(files.OS, b.run(steps), steps); err != nil {
			return nil, err
		}
		at, sums, err := sumsOf(b.last(steps))
		if err != nil {
			return nil, err
		}
		b.known[at] = sums
	}
	if len(b.known) != 2 || b.known[halfSteps] == b.known[wholeSteps] {
		return nil, errors.New("the runs that nothing disturbed are not what they are to be")
	}
	return b, nil
}

func (b *bed) run(steps int) string { return filepath.Join(b.dir, fmt.Sprint("run", steps)) }

func (b *bed) last(steps int) string { return checkpointIn(b.run(steps), folder.Last) }

func checkpointIn(run, name string) string {
	return filepath.Join(run, "checkpoints", name+".safetensors")
}

// options are those of all these runs.
func (b *bed) options(dir *folder.Dir, steps int) (train.Options, error) {
	cfg, err := steptest.Config(append([]string{"train.epochs=1", "train.checkpoint_steps=2"}, b.sets...)...)
	return train.Options{
		Config: cfg, Devices: reference.Open(1), Source: steptest.Pictures(), Dir: dir, Steps: steps,
	}, err
}

// train trains in a new run folder.
func (b *bed) train(fsys files.FS, path string, steps int) error {
	dir, err := folder.Create(fsys, path)
	if err != nil {
		return err
	}
	o, err := b.options(dir, steps)
	if err == nil {
		_, err = train.Run(context.Background(), o)
	}
	return errors.Join(err, dir.Close())
}

// resume goes on with a run to its end.
func (b *bed) resume(fsys files.FS, path string) error {
	dir, err := folder.Open(fsys, path)
	if err != nil {
		return err
	}
	c, err := checkpoint.Load(fsys, dir.Checkpoint(folder.Last))
	if err != nil {
		return errors.Join(err, dir.Close())
	}
	o, err := b.options(dir, wholeSteps)
	if o.Resume = c; err == nil {
		_, err = train.Run(context.Background(), o)
	}
	return errors.Join(err, c.Close(), dir.Close())
}

// sumsOf reads a checkpoint whole, checksums and all.
func sumsOf(path string) (step uint64, sums tensorSums, err error) {
	c, err := checkpoint.Load(files.OS, path)
	if err != nil {
		return 0, sums, err
	}
	defer c.Close() //nolint:errcheck // only read
	if sums.params, err = sumOf(c.Params); err != nil {
		return 0, sums, err
	}
	sums.momentum, err = sumOf(c.Momentum)
	return c.Step, sums, err
}

func sumOf(tensors []tensor.Tensor) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	for _, t := range tensors {
		v, err := t.Values()
		if err != nil {
			return sum, err
		}
		_, _ = fmt.Fprintf(h, "%s %v\n", t.Name, t.Shape) // a hash takes everything
		if err := binary.Write(h, binary.LittleEndian, v); err != nil {
			return sum, err
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// whole holds a checkpoint to the tensors that the undisturbed run had at its step; best has no momentum.
func (b *bed) whole(path string) (step uint64, err error) {
	step, got, err := sumsOf(path)
	if err != nil {
		return 0, err
	}
	want, known := b.known[step]
	if strings.HasPrefix(filepath.Base(path), folder.Best) {
		want.momentum = got.momentum
	}
	if !known || got != want {
		return 0, fmt.Errorf("%s is of step %d and holds other tensors than the undisturbed run", path, step)
	}
	return step, nil
}

// finished holds a run to the end of the undisturbed one.
func (b *bed) finished(run string) error {
	step, err := b.whole(checkpointIn(run, folder.Last))
	if err != nil {
		return err
	}
	if step != wholeSteps {
		return fmt.Errorf("%s ended at step %d, not %d", run, step, wholeSteps)
	}
	if _, err := b.whole(checkpointIn(run, folder.Best)); err != nil {
		return err
	}
	return sameLines(filepath.Join(run, "metrics.jsonl"), filepath.Join(b.run(wholeSteps), "metrics.jsonl"))
}

// sameLines holds metrics to those of an undisturbed run: as many lines, each of the same step.
func sameLines(path, want string) error {
	a, err := stepsOf(path)
	if err != nil {
		return err
	}
	b, err := stepsOf(want)
	if err == nil && !slices.Equal(a, b) {
		err = fmt.Errorf("%s: lines of the steps %v, not %v", path, a, b)
	}
	return err
}

func scenes() []scene {
	return []scene{saveScene(), exportScene("plain"), compactScene(), resumeScene(), trainScene()}
}

// saveScene saves a checkpoint over an older one.
func saveScene() scene {
	path := func(dir string) string { return filepath.Join(dir, "last.safetensors") }
	save := func(b *bed, fsys files.FS, dir string) error {
		c, err := checkpoint.Load(files.OS, b.last(wholeSteps))
		if err != nil {
			return err
		}
		defer c.Close() //nolint:errcheck // only read
		return checkpoint.Save(fsys, path(dir), c)
	}
	return scene{
		name:    "save",
		prepare: func(b *bed, dir string) error { return copyFile(b.last(halfSteps), path(dir)) },
		act:     save,
		judge: func(b *bed, dir string, err error) error {
			step, bad := b.whole(path(dir))
			if bad == nil && err == nil && step != wholeSteps {
				bad = errors.New("the old checkpoint is still there")
			}
			return bad
		},
		again: func(b *bed, dir string) error {
			if err := save(b, files.OS, dir); err != nil {
				return err
			}
			return sameFile(path(dir), b.last(wholeSteps))
		},
	}
}

// exportScene exports a net for other programs over an older export: two files, the weights and the mean image.
func exportScene(form string) scene {
	export := func(fsys files.FS, from, out string) error {
		c, err := checkpoint.Load(fsys, from)
		if err != nil {
			return err
		}
		e, err := interop.NewExport(c, interop.Options{Form: form, DType: "F32", Path: out})
		if err == nil {
			err = e.Write(context.Background(), fsys)
		}
		return errors.Join(err, c.Close())
	}
	// what the two files are: 0 the old ones, 1 the new ones
	pair := func(dir string) (which [2]bool, err error) {
		for i, name := range []string{"net.safetensors", "net.mean.npy"} {
			switch {
			case sameFile(filepath.Join(dir, name), filepath.Join(dir, "new", name)) == nil:
				which[i] = true
			case sameFile(filepath.Join(dir, name), filepath.Join(dir, "old", name)) != nil:
				return which, fmt.Errorf("%s is neither the old nor the new one", name)
			}
		}
		return which, nil
	}
	return scene{
		name: "export",
		prepare: func(b *bed, dir string) error {
			for name, from := range map[string]string{"old": b.last(halfSteps), "new": b.last(wholeSteps)} {
				if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
					return err
				}
				if err := export(files.OS, from, filepath.Join(dir, name, "net.safetensors")); err != nil {
					return err
				}
			}
			return errors.Join(
				copyFile(filepath.Join(dir, "old", "net.safetensors"), filepath.Join(dir, "net.safetensors")),
				// of another run, so that old and new are told apart
				os.WriteFile(filepath.Join(dir, "old", "net.mean.npy"), []byte("an older mean"), 0o666),
				os.WriteFile(filepath.Join(dir, "net.mean.npy"), []byte("an older mean"), 0o666))
		},
		act: func(b *bed, fsys files.FS, dir string) error {
			return export(fsys, b.last(wholeSteps), filepath.Join(dir, "net.safetensors"))
		},
		judge: func(_ *bed, dir string, err error) error {
			which, bad := pair(dir)
			if bad == nil && (which[0] != which[1] || err == nil && !which[0]) {
				bad = fmt.Errorf("weights new: %v, mean image new: %v", which[0], which[1])
			}
			return bad
		},
		again: func(b *bed, dir string) error {
			err := export(files.OS, b.last(wholeSteps), filepath.Join(dir, "net.safetensors"))
			if err != nil {
				return err
			}
			if which, err := pair(dir); err != nil || which != [2]bool{true, true} {
				return fmt.Errorf("weights new: %v, mean image new: %v (%w)", which[0], which[1], err)
			}
			return nil
		},
	}
}

// compactScene exports a checkpoint of half the size where there was none.
func compactScene() scene {
	export := func(b *bed, fsys files.FS, out string) error {
		c, err := checkpoint.Load(fsys, b.last(wholeSteps))
		if err != nil {
			return err
		}
		return errors.Join(checkpoint.Save(fsys, out, c.Compact("F16")), c.Close())
	}
	path := func(dir string) string { return filepath.Join(dir, "half.safetensors") }
	want := func(dir string) string { return filepath.Join(dir, "want.safetensors") }
	return scene{
		name:    "compact",
		prepare: func(b *bed, dir string) error { return export(b, files.OS, want(dir)) },
		act:     func(b *bed, fsys files.FS, dir string) error { return export(b, fsys, path(dir)) },
		judge: func(_ *bed, dir string, err error) error {
			if !isThere(path(dir)) && err != nil {
				return nil
			}
			return sameFile(path(dir), want(dir))
		},
		again: func(b *bed, dir string) error {
			if err := export(b, files.OS, path(dir)); err != nil {
				return err
			}
			return sameFile(path(dir), want(dir))
		},
	}
}

// resumeScene goes on with a run.
func resumeScene() scene {
	path := func(dir string) string { return filepath.Join(dir, "run") }
	return scene{
		name: "resume",
		prepare: func(b *bed, dir string) error {
			return os.CopyFS(path(dir), os.DirFS(b.run(halfSteps)))
		},
		act:   func(b *bed, fsys files.FS, dir string) error { return b.resume(fsys, path(dir)) },
		judge: func(b *bed, dir string, err error) error { return b.judgeRun(path(dir), true, err) },
		again: func(b *bed, dir string) error {
			if err := b.resume(files.OS, path(dir)); err != nil {
				return err
			}
			return b.finished(path(dir))
		},
	}
}

// trainScene is a run from its beginning.
func trainScene() scene {
	path := func(dir string) string { return filepath.Join(dir, "run") }
	return scene{
		name:    "train",
		prepare: func(*bed, string) error { return nil },
		act:     func(b *bed, fsys files.FS, dir string) error { return b.train(fsys, path(dir), wholeSteps) },
		judge:   func(b *bed, dir string, err error) error { return b.judgeRun(path(dir), false, err) },
		again: func(b *bed, dir string) error {
			if isThere(checkpointIn(path(dir), folder.Last)) {
				if err := b.resume(files.OS, path(dir)); err != nil {
					return err
				}
				return b.finished(path(dir))
			}
			err := b.train(files.OS, path(dir), wholeSteps)
			var holds *folder.NotEmptyError
			if errors.As(err, &holds) { // without a checkpoint: the user takes another folder
				dir = filepath.Join(dir, "another")
				err = b.train(files.OS, path(dir), wholeSteps)
			}
			if err != nil {
				return err
			}
			return b.finished(path(dir))
		},
	}
}

// judgeRun looks at a run one of whose calls failed: its checkpoints are whole and of steps that it was at.
func (b *bed) judgeRun(run string, before bool, err error) error {
	if err == nil {
		return b.finished(run)
	}
	for _, name := range []string{folder.Last, folder.Best} {
		path := checkpointIn(run, name)
		if !before && !isThere(path) {
			continue
		}
		if _, err := b.whole(path); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o666)
}

func sameFile(a, b string) error {
	x, err := os.ReadFile(a)
	if err != nil {
		return err
	}
	y, err := os.ReadFile(b)
	if err != nil {
		return err
	}
	if !bytes.Equal(x, y) {
		return fmt.Errorf("%s is not as %s", a, b)
	}
	return nil
}

// stepsOf are the steps of the lines of metrics.jsonl; those of an epoch's end are left out, for a run that was stopped
// within one has more of them.
func stepsOf(path string) (steps []uint64, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(text) {
		m, err := parseMetrics(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", path, line, err)
		}
		if m.LR != nil {
			steps = append(steps, m.Step)
		}
	}
	return steps, nil
}

func parseMetrics(line []byte) (m report.Metrics, err error) { return m, json.Unmarshal(line, &m) }
