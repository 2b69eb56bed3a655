package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"alexnet/internal/checkpoint"
	"alexnet/internal/files"
	"alexnet/internal/report"
	"alexnet/internal/tensor"
)

// cuts are the rows of power cuts.
func cuts() []row {
	how := "a file system of its own is shut down at a random moment without writing anything more " +
		"(FS_IOC_SHUTDOWN), its process killed, and mounted again; every other case a writer of checkpoints, of " +
		"which none may be lost whose save had returned; the others a run, which goes on to the tensors and " +
		"metrics of an undisturbed one"
	return []row{
		{
			name: "cuts-ext4", short: 6, long: 100, atOnce: 2, fault: "power cut, on ext4", how: how,
			open: openCuts(ext4),
		},
		{name: "cuts-xfs", short: 3, long: 50, atOnce: 2, fault: "power cut, on XFS", how: how, open: openCuts(xfs)},
		{
			name: "cuts-control", short: 2, long: 2, fault: "control: power cuts under a writer that never syncs",
			how: "ext4 and XFS; survived: of ten cuts at least one lost or tore a checkpoint, so that the cuts above " +
				"are known to cut",
			open: openCutControl,
		},
	}
}

// A diskKind is a file system that can be shut down.
type diskKind struct {
	name  string
	mkfs  []string // without the image
	bytes int64    // of the image, which stays mostly empty
	hard  string   // options of mount under which less is promised
}

var (
	ext4 = diskKind{"ext4", []string{"mkfs.ext4", "-q", "-F"}, 64 << 20, "noauto_da_alloc,data=writeback"}
	xfs  = diskKind{"xfs", []string{"mkfs.xfs", "-q", "-f"}, 320 << 20, ""}
)

// disk is a file system in a file.
type disk struct {
	kind    diskKind
	image   string
	at      string // where it is mounted
	options string // of mount
}

// makeDisk makes a file system in a folder and mounts it.
func makeDisk(ctx context.Context, kind diskKind, dir, options string) (*disk, error) {
	d := &disk{kind: kind, image: filepath.Join(dir, kind.name+".img"), at: filepath.Join(dir, "mnt"), options: options}
	if err := os.Mkdir(d.at, 0o777); err != nil {
		return nil, err
	}
	f, err := os.Create(d.image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(kind.bytes), f.Close()); err != nil {
		return nil, err
	}
	if err := tool(ctx, append(kind.mkfs, d.image)...); err != nil {
		return nil, err
	}
	return d, d.mount(ctx)
}

func (d *disk) mount(ctx context.Context) error {
	options := "loop"
	if d.options != "" {
		options += "," + d.options
	}
	return tool(ctx, "mount", "-t", d.kind.name, "-o", options, d.image, d.at)
}

// remount is what a machine does that has power again.
func (d *disk) remount(ctx context.Context) error {
	if err := unmount(d.at); err != nil {
		return err
	}
	return d.mount(ctx)
}

// unmount also works when the time of the case is over, and does nothing where nothing is mounted. A folder may be in
// use for a moment more: by a process that was just killed, or one that was just forked.
func unmount(at string) (err error) {
	for range 100 {
		if !isMounted(at) {
			return nil
		}
		if err = tool(context.Background(), "umount", at); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

// disksFor says why there can be no such disks here: a skip.
func disksFor(ctx context.Context, kind diskKind, dir string) error {
	for _, name := range []string{kind.mkfs[0], "mount", "umount"} {
		if err := haveTool(name); err != nil {
			return err
		}
	}
	dir = filepath.Join(dir, "probe")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	d, err := makeDisk(ctx, kind, dir, "")
	if err != nil {
		return skip("no file system in a file can be mounted (needs root and loop devices): %v", err)
	}
	err = cutPower(d.at)
	if e := unmount(d.at); e != nil {
		return e
	}
	if err != nil {
		return skip("%s cannot be shut down: %v", kind.name, err)
	}
	return os.RemoveAll(dir)
}

func openCuts(kind diskKind) func(context.Context, *setup) (caseFunc, error) {
	return func(ctx context.Context, s *setup) (caseFunc, error) {
		if err := disksFor(ctx, kind, s.dir); err != nil {
			return nil, err
		}
		l, err := openLab(ctx, s, 2)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, c *testCase) (err error) {
			dir, err := c.folder()
			if err != nil {
				return err
			}
			options := ""
			if c.number/2%2 == 1 {
				options = kind.hard
			}
			d, err := makeDisk(ctx, kind, dir, options)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, unmount(d.at)) }()
			if c.number%2 == 0 {
				return cutWriter(ctx, c, d, synced)
			}
			return cutRun(ctx, c, d, l)
		}, nil
	}
}

// cutRun cuts the power under a training run.
func cutRun(ctx context.Context, c *testCase, d *disk, l *lab) error {
	run := filepath.Join(d.at, "run")
	p, err := l.start(ctx, c.dir, nil, l.train(run, "reference")...)
	if err != nil {
		return err
	}
	after, wait := c.rand.IntN(lastStep), time.Duration(c.rand.IntN(20_000))*time.Microsecond
	p.until(func() bool { return lines(run) >= after }) // one that ended before is cut after its end
	time.Sleep(wait)
	if err := errors.Join(cutPower(d.at), p.signal(syscall.SIGKILL)); err != nil {
		return err
	}
	p.wait()
	if err := d.remount(ctx); err != nil {
		return err
	}
	if err := l.finish(ctx, c.dir, run, "reference"); err != nil {
		return fmt.Errorf("cut %v after line %d: %w", wait, after, err)
	}
	return nil
}

// How a writer writes.
const (
	synced   = "synced"   // as the program does
	unsynced = "unsynced" // under another name and renamed, but never synced
)

// errTornOrLost is what a cut must not bring about.
var errTornOrLost = errors.New("torn or lost")

// cutWriter cuts the power under a process that saves one checkpoint after the other.
func cutWriter(ctx context.Context, c *testCase, d *disk, mode string) error {
	cmd, err := childCommand(ctx, "writer", mode, d.at)
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var last atomic.Int64 // the number of the last save that has returned
	heard := make(chan struct{}, 1)
	silent := make(chan struct{})
	go func() {
		defer close(silent)
		for said := bufio.NewScanner(out); said.Scan(); {
			if n, err := strconv.ParseInt(said.Text(), 10, 64); err == nil {
				last.Store(n)
			}
			select {
			case heard <- struct{}{}:
			default:
			}
		}
	}()
	for saves := c.rand.Int64N(8); last.Load() < saves; {
		select {
		case <-heard:
		case <-silent:
			return errors.Join(errors.New("the writer ended by itself"), cmd.Wait())
		}
	}
	time.Sleep(time.Duration(c.rand.IntN(30_000)) * time.Microsecond)
	// Only what was said before the cut counts: on a file system that was shut down XFS lets a folder's sync succeed.
	returned := int(last.Load())
	if err := cutPower(d.at); err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	_ = cmd.Process.Kill() // it may have ended, for its disk is gone
	<-silent
	_ = cmd.Wait() // killed
	if err := d.remount(ctx); err != nil {
		return err
	}
	if err := writtenAtLeast(d.at, returned); err != nil {
		return fmt.Errorf("save %d had returned: %w", returned, err)
	}
	return nil
}

// writtenAtLeast looks at what a writer left: a whole checkpoint of its save n or a later one, the metrics up to there,
// and that the next save works.
func writtenAtLeast(dir string, n int) error {
	path := filepath.Join(dir, "last.safetensors")
	version, err := versionOf(path)
	if errors.Is(err, fs.ErrNotExist) && n == 0 {
		version, err = 0, nil
	}
	if err != nil || version < n {
		return fmt.Errorf("%w: the checkpoint is of save %d: %w", errTornOrLost, version, orNothing(err))
	}
	if version > 0 {
		steps, err := stepsBefore(filepath.Join(dir, "metrics.jsonl"), uint64(version))
		if err != nil || len(steps) != version {
			return fmt.Errorf("%w: the metrics have %d lines up to save %d: %w", errTornOrLost, len(steps), version,
				orNothing(err))
		}
	}
	if err := checkpoint.Save(files.OS, path, numbered(version+1)); err != nil {
		return err
	}
	if after, err := versionOf(path); err != nil || after != version+1 {
		return fmt.Errorf("saved again it is of save %d: %w", after, orNothing(err))
	}
	return leftovers(dir, nil)
}

// stepsBefore are the steps of the metrics' whole lines up to a step. What comes later is cut by a resume.
func stepsBefore(path string, step uint64) ([]uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var steps []uint64
	for line := range bytes.Lines(text) {
		m, err := parseMetrics(line)
		if err != nil {
			break // torn; whoever counts will miss it
		}
		if m.Step <= step {
			steps = append(steps, m.Step)
		}
	}
	return steps, nil
}

// numbered is a checkpoint of a few hundred kilobytes all of whose numbers are n.
func numbered(n int) *checkpoint.Checkpoint {
	c := &checkpoint.Checkpoint{Step: uint64(n), Sample: uint64(n), Dropout: checkpoint.DropoutPaper}
	for i := range 6 {
		c.Params = append(c.Params, tensor.Tensor{
			Name: fmt.Sprintf("layer%d.weight", i), Shape: []int{i + 1, 5000}, Fill: func(dst []float32) error {
				for j := range dst {
					dst[j] = float32(n)
				}
				return nil
			},
		})
	}
	return c
}

// versionOf reads such a checkpoint whole and tells its number.
func versionOf(path string) (int, error) {
	c, err := checkpoint.Load(files.OS, path)
	if err != nil {
		return 0, err
	}
	defer c.Close() //nolint:errcheck // only read
	for _, t := range c.Params {
		values, err := t.Values()
		if err != nil {
			return 0, err
		}
		for _, v := range values {
			if v != float32(c.Step) {
				return 0, fmt.Errorf("%s holds %g in a checkpoint of step %d", t.Name, v, c.Step)
			}
		}
	}
	return int(c.Step), nil
}

// writerChild saves until it fails, and says after each save its number: MODE FOLDER.
func writerChild(args []string) error {
	if len(args) != 2 {
		return errors.New("writer: want a mode and a folder")
	}
	mode, dir := args[0], args[1]
	fsys := files.OS
	if mode == unsynced {
		fsys = neverSynced{files.OS}
	}
	metrics, err := report.NewWriter(fsys, dir, 0, true)
	if err != nil {
		return err
	}
	loss := 1.0
	for n := 1; ; n++ {
		if err := metrics.Append(report.Metrics{Step: uint64(n), Epoch: 1, LR: &loss, Loss: &loss}); err != nil {
			return err
		}
		if _, err := metrics.Sync(); err != nil {
			return err
		}
		if err := checkpoint.Save(fsys, filepath.Join(dir, "last.safetensors"), numbered(n)); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// neverSynced is a file system whose syncs do nothing.
type neverSynced struct{ files.FS }

func (n neverSynced) SyncDir(string) error { return nil }

func (n neverSynced) OpenFile(name string, flag int, perm fs.FileMode) (files.File, error) {
	f, err := n.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

type unsyncedFile struct{ files.File }

func (unsyncedFile) Sync() error { return nil }

func openCutControl(_ context.Context, s *setup) (caseFunc, error) {
	return func(ctx context.Context, c *testCase) (err error) {
		kind := []diskKind{ext4, xfs}[c.number%2]
		dir, err := c.folder()
		if err != nil {
			return err
		}
		if err := disksFor(ctx, kind, dir); err != nil {
			return err
		}
		for n := range 10 {
			lost, err := cutUnsynced(ctx, c, kind, filepath.Join(dir, fmt.Sprint("try", n)))
			if lost || err != nil {
				return err
			}
		}
		return errors.New("ten cuts harmed nothing that was never synced: they do not cut")
	}, nil
}

// cutUnsynced tells whether a cut harmed what was never synced.
func cutUnsynced(ctx context.Context, c *testCase, kind diskKind, dir string) (lost bool, err error) {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return false, err
	}
	d, err := makeDisk(ctx, kind, dir, "")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, unmount(d.at)) }()
	err = cutWriter(ctx, c, d, unsynced)
	if errors.Is(err, errTornOrLost) {
		return true, nil
	}
	return false, err
}
