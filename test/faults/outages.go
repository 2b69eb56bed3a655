package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/reference"
	folder "alexnet/internal/run"
	"alexnet/internal/train"
)

// outages takes the pictures away from runs.
var outages = row{
	name: "outages", short: 26, long: 52,
	fault: "the data go away in the run, and come back or not: a folder or one class renamed, an empty folder in its " +
		"place, a permission taken, no descriptor left, a tar cut, a share unmounted, ESTALE",
	how: "ESTALE through the file system's interface, the others to the program as a user runs it; survived: back in " +
		"time, all is as in the undisturbed run; not back, it ends with exit code 10 after data.retry, no step was " +
		"taken without pictures, none was condemned, and resumed with the data back all is as in the undisturbed run",
	open: func(ctx context.Context, s *setup) (caseFunc, error) {
		// Pictures stay in memory once they are decoded. So the statistics come with a checkpoint, and the run ends in
		// its first epoch: each picture is read as it is needed.
		l, err := openShapes(ctx, s, 40, 2)
		if err != nil {
			return nil, err
		}
		first := filepath.Join(s.dir, "first")
		if err := l.must(ctx, s.dir, l.train(first, "reference", "--steps", "1")...); err != nil {
			return nil, err
		}
		l.first = checkpointOf(first)
		if err := l.disturbNothing(ctx, s.dir); err != nil {
			return nil, err
		}
		return l.outage, nil
	},
}

// How long a reading is tried again: longer than the data are away, or not.
const (
	patient   = "data.retry=20s"
	impatient = "data.retry=300ms"
)

// outage is a way in which data go away.
type outage struct {
	name string
	tar  bool // the data are a tar file, else a folder
	lost bool // they come back only once the run has ended
	// codes are those with which it may end. 0 is also where the data are lost: whoever has the file open reads on.
	codes []int
	// spoil takes the data, at where, away, and restore brings them back.
	spoil, restore func(where string, p *process) error
}

var (
	well    = []int{0}
	refused = []int{exitNoData}
)

var outageKinds = []outage{
	{name: "folder renamed, and back", codes: well, spoil: away, restore: back},
	{name: "folder renamed", lost: true, codes: refused, spoil: away, restore: back},
	{name: "empty folder in its place, and back", codes: well, spoil: emptied, restore: unemptied},
	{name: "empty folder in its place", lost: true, codes: refused, spoil: emptied, restore: unemptied},
	{name: "class renamed, and back", codes: well, spoil: in("train/disc", away), restore: in("train/disc", back)},
	{
		name: "class renamed", lost: true, codes: refused, spoil: in("train/disc", away),
		restore: in("train/disc", back),
	},
	{name: "tar renamed", tar: true, lost: true, codes: well, spoil: away, restore: back},
	{name: "tar cut", tar: true, lost: true, codes: refused, spoil: cutInPlace, restore: back},
	// a checkpoint cannot be written either: 1, and that stands for no loss
	{name: "no descriptor left, and again", codes: []int{0, exitFailed}, spoil: takenFiles, restore: givenFiles},
}

// Cases beyond the kinds of the program's surroundings.
const (
	estaleBack = iota
	estaleLost
	permission
	unmounted
	otherKinds
)

func (l *lab) outage(ctx context.Context, c *testCase) error {
	dir, err := c.folder()
	if err != nil {
		return err
	}
	kind := c.number % (len(outageKinds) + otherKinds)
	switch kind - len(outageKinds) {
	case estaleBack:
		return l.estale(ctx, c, dir, false)
	case estaleLost:
		return l.estale(ctx, c, dir, true)
	case permission:
		return l.forbidden(ctx, c, dir)
	case unmounted:
		return l.unmounted(ctx, c, dir)
	}
	device, err := l.device(c.number / (len(outageKinds) + otherKinds))
	if err != nil {
		return err
	}
	k := outageKinds[kind]
	if err := l.without(ctx, c, dir, device, k); err != nil {
		return fmt.Errorf("%s: %w", k.name, err)
	}
	return nil
}

// without trains while the data go away, and then to the end.
func (l *lab) without(ctx context.Context, c *testCase, dir, device string, k outage) error {
	where := filepath.Join(dir, "data")
	if err := os.CopyFS(where, os.DirFS(l.shapes)); err != nil {
		return err
	}
	if k.tar {
		if err := packed(where, where+".tar"); err != nil {
			return err
		}
		where += ".tar"
	}
	return l.attempts(ctx, c, dir, where, device, k, nil)
}

// packed makes a tar of a folder.
func packed(where, name string) error {
	var all bytes.Buffer
	w := tar.NewWriter(&all)
	if err := w.AddFS(os.DirFS(where)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(name, all.Bytes(), 0o666)
}

// attempts repeats the run while it is done before it has met that its data are lost: it was too quick.
func (l *lab) attempts(
	ctx context.Context, c *testCase, dir, where, device string, k outage, with func(*exec.Cmd),
) error {
	for range 20 {
		run := filepath.Join(dir, "run")
		if err := os.RemoveAll(run); err != nil {
			return err
		}
		code, err := l.trainWithout(ctx, c, dir, run, where, device, k, with)
		if err != nil {
			return err
		}
		if code == 0 {
			err = l.compare(run, device)
		} else if err = l.must(ctx, dir, l.resume(run)...); err == nil {
			err = l.compare(run, device)
		}
		if err != nil || slices.Contains(k.codes, code) {
			return err
		}
	}
	return errors.New("twenty runs ended well, though the data were lost while they ran")
}

// trainWithout is one run up to its end, however that is, and has the data in their place again.
func (l *lab) trainWithout(
	ctx context.Context, c *testCase, dir, run, where, device string, k outage, with func(*exec.Cmd),
) (int, error) {
	retry := patient
	if k.lost {
		retry = impatient
	}
	args := l.train(run, device, "--set", retry)
	args[slices.Index(args, "--data")+1] = where
	p, err := l.start(ctx, dir, with, args...)
	if err != nil {
		return 0, err
	}
	at := 2 + c.rand.IntN(5) // there is a checkpoint, and five batches may have been read ahead
	if !p.until(func() bool { return lines(run) >= at }) && p.wait() != 0 {
		return 0, p.failed("before the data were touched")
	}
	// No further than here: on a busy machine the run would be done before the data are gone.
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return 0, err
	}
	if err := k.spoil(where, p); err != nil {
		return 0, err
	}
	if err := p.signal(syscall.SIGCONT); err != nil {
		return 0, err
	}
	if !k.lost {
		p.within(time.Duration(100+c.rand.IntN(900)) * time.Millisecond)
		if err := k.restore(where, p); err != nil {
			return 0, err
		}
	}
	code := p.wait()
	if k.lost {
		if err := k.restore(where, p); err != nil {
			return code, err
		}
	}
	if code != 0 && !slices.Contains(k.codes, code) {
		return code, p.failed("want exit code %d", k.codes[0])
	}
	return code, onlyWithPictures(run)
}

// onlyWithPictures looks for steps that were taken without a picture, and for pictures that were given up.
func onlyWithPictures(run string) error {
	text, err := os.ReadFile(metricsOf(run))
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		var m struct {
			LR, Loss    *float64
			BadPictures int `json:"bad_pictures"`
		}
		if err := json.Unmarshal(line, &m); err != nil {
			return err
		}
		if m.LR != nil && m.Loss == nil || m.BadPictures > 0 {
			return fmt.Errorf("metrics.jsonl: %s", line)
		}
	}
	return nil
}

const aside = ".away"

func away(where string, _ *process) error { return os.Rename(where, where+aside) }

func back(where string, _ *process) error { return os.Rename(where+aside, where) }

func emptied(where string, p *process) error {
	if err := away(where, p); err != nil {
		return err
	}
	return os.Mkdir(where, 0o777)
}

func unemptied(where string, p *process) error {
	if err := os.Remove(where); err != nil {
		return err
	}
	return back(where, p)
}

// in does something to what lies deeper.
func in(class string, do func(string, *process) error) func(string, *process) error {
	return func(where string, p *process) error { return do(filepath.Join(where, class), p) }
}

// cutInPlace shortens a file that is open elsewhere, and keeps a whole one aside.
func cutInPlace(where string, _ *process) error {
	whole, err := os.ReadFile(where)
	if err != nil {
		return err
	}
	if err := os.WriteFile(where+aside, whole, 0o666); err != nil {
		return err
	}
	return os.Truncate(where, int64(len(whole)/3))
}

// estale trains within this process, on files that answer ESTALE for a while or until the run has ended.
func (l *lab) estale(ctx context.Context, c *testCase, dir string, lost bool) error {
	retry, run := patient, filepath.Join(dir, "run")
	if lost {
		retry = impatient
	}
	share := filestest.New(files.OS)
	opens, after := 0, 130+c.rand.IntN(60) // of 288; steps are up to 80 pictures behind their readers
	broken := make(chan struct{})
	share.Break(syscall.ESTALE, func(call filestest.Call) bool {
		if !strings.HasPrefix(call.Name, l.shapes) {
			return false
		}
		if call.Op == "open" && strings.HasSuffix(call.Name, ".png") {
			if opens++; opens == after {
				close(broken)
			}
		}
		return opens >= after
	})
	if !lost {
		go func() {
			<-broken
			time.Sleep(time.Duration(100+c.rand.IntN(900)) * time.Millisecond)
			share.Mend()
		}()
	}
	err := l.trainHere(ctx, share, run, retry)
	var fault *data.SourceFault
	switch {
	case !lost && err != nil:
		return fmt.Errorf("ESTALE for a while: %w", err)
	case lost && !errors.As(err, &fault):
		return fmt.Errorf("ESTALE from some reading on: the error is %w", orNothing(err))
	case lost:
		if err := onlyWithPictures(run); err != nil {
			return err
		}
		if err := l.finish(ctx, dir, run, "reference"); err != nil {
			return fmt.Errorf("after ESTALE: %w", err)
		}
		return nil
	}
	return l.compare(run, "reference")
}

// trainHere trains the run in this process, with data that come through a file system.
func (l *lab) trainHere(ctx context.Context, share files.FS, path, retry string) (err error) {
	cfg, err := config.Parse(tinyPage, []string{retry})
	if err != nil {
		return err
	}
	first, err := checkpoint.Load(files.OS, l.first)
	if err != nil {
		return err
	}
	defer first.Close() //nolint:errcheck // only read
	source, err := data.Open(ctx, share, data.At(l.shapes), cfg.Data.ValShare, cfg.Train.Seed)
	if err != nil {
		return err
	}
	defer source.Close() //nolint:errcheck // only read
	dir, err := folder.Create(files.OS, path)
	if err != nil {
		return err
	}
	_, err = train.Run(ctx, train.Options{
		Config: cfg, Devices: reference.Open(1), Device: "reference", Source: source, Dir: dir, Init: first,
		Steps: lastStep,
	})
	return errors.Join(err, dir.Close())
}

const nobody = 65534

// forbidden takes the permission to read away. Root may read everything: it has somebody else train.
func (l *lab) forbidden(ctx context.Context, c *testCase, dir string) error {
	where := filepath.Join(dir, "data")
	if err := os.CopyFS(where, os.DirFS(l.shapes)); err != nil {
		return err
	}
	var with func(*exec.Cmd)
	if os.Geteuid() == 0 {
		with = func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			return err
		}
		p, err := l.start(ctx, dir, with, "version")
		if err != nil || p.wait() != 0 {
			return skip("another user than root cannot run %s, or not in %s", l.alexnet, dir)
		}
	}
	k := outage{
		name: "permission taken", lost: c.rand.IntN(2) == 0, codes: well,
		spoil:   func(where string, _ *process) error { return os.Chmod(where, 0) },
		restore: func(where string, _ *process) error { return os.Chmod(where, 0o755) },
	}
	if k.lost {
		k.codes = refused
	}
	if err := l.attempts(ctx, c, dir, where, "reference", k, with); err != nil {
		return fmt.Errorf("%s (for good: %v): %w", k.name, k.lost, err)
	}
	return nil
}
