package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"alexnet/internal/checkpoint"
	"alexnet/internal/files"
	"alexnet/internal/tensor"
)

//go:embed tiny.yaml
var tinyPage []byte

// The run that is disturbed: three epochs of five steps and a part of a fourth, a checkpoint after every second step.
const (
	lastStep      = 18
	stepsPerEpoch = 5
	trainPictures = 8 // of each of ten classes: five batches of 16
)

// lab is what the rows of processes share: the page of a tiny net, drawn pictures, and what undisturbed runs came to.
type lab struct {
	alexnet string
	page    string // the tiny net's
	shapes  string // a folder of drawn pictures
	first   string // a checkpoint that runs begin from, where there is one: they need no statistics
	whole   map[string]*outcome
	missing map[string]string // why a device computes nothing here
}

// outcome is all of a run that must not depend on what happened to it.
type outcome struct {
	tensors map[string][]float32 // weights and momentum of the last checkpoint
	metrics []string             // the lines, without what a clock measured
	points  []string             // of TensorBoard's curves, likewise
}

const withoutOneDNN = "the program was built without oneDNN"

var devices = []string{"reference", "cpu", "cpu,cpu"}

// openLab draws the pictures, val of each class for validation, and trains the undisturbed run on each device.
func openLab(ctx context.Context, s *setup, val int) (*lab, error) {
	l, err := openShapes(ctx, s, trainPictures, val)
	if err != nil {
		return nil, err
	}
	return l, l.disturbNothing(ctx, s.dir)
}

// openShapes only draws the pictures, so many of each class.
func openShapes(ctx context.Context, s *setup, train, val int) (*lab, error) {
	l := &lab{
		alexnet: s.alexnet, page: filepath.Join(s.dir, "tiny.yaml"), shapes: filepath.Join(s.dir, "shapes"),
		whole: map[string]*outcome{}, missing: map[string]string{},
	}
	if err := os.WriteFile(l.page, tinyPage, 0o666); err != nil {
		return nil, err
	}
	if err := l.must(ctx, s.dir, "data", "demo", "--out", l.shapes, "--train", strconv.Itoa(train), "--val",
		strconv.Itoa(val), "--size", "16"); err != nil {
		return nil, err
	}
	return l, nil
}

// disturbNothing trains the undisturbed run on each device that is here.
func (l *lab) disturbNothing(ctx context.Context, dir string) error {
	able, err := l.computes(ctx, dir)
	if err != nil {
		return err
	}
	for _, device := range devices {
		if device != "reference" && !able {
			l.missing[device] = withoutOneDNN
			continue
		}
		run := filepath.Join(dir, "whole-"+device)
		if err := l.must(ctx, dir, l.train(run, device)...); err != nil {
			return err
		}
		if l.whole[device], err = outcomeOf(run); err != nil {
			return err
		}
	}
	return nil
}

// computes tells whether the program has the cpu device.
func (l *lab) computes(ctx context.Context, dir string) (bool, error) {
	p, err := l.start(ctx, dir, nil, "version", "--json")
	if err != nil {
		return false, err
	}
	var said struct{ Backends []string }
	if code := p.wait(); code != 0 {
		return false, p.failed("version --json")
	}
	if err := json.Unmarshal(p.stdout.bytes(), &said); err != nil {
		return false, err
	}
	return slices.ContainsFunc(said.Backends, func(b string) bool { return strings.HasPrefix(b, "cpu") }), nil
}

// train is the command line of the run that is disturbed.
func (l *lab) train(run, device string, more ...string) []string {
	args := []string{
		"train", "--config", l.page, "--data", l.shapes, "--steps", strconv.Itoa(lastStep), "--out", run,
		"--device", device,
	}
	if l.first != "" {
		args = append(args, "--init", l.first)
	}
	return append(args, more...)
}

func (l *lab) resume(run string) []string {
	return []string{"train", "--resume", run, "--steps", strconv.Itoa(lastStep)}
}

// device is the case's: each in turn.
func (l *lab) device(number int) (string, error) {
	device := devices[number%len(devices)]
	if why := l.missing[device]; why != "" {
		return "", skip("%s", why)
	}
	return device, nil
}

// finish goes on with a run that something happened to, as the program advises, and holds what comes of it to the
// undisturbed run. A run that was ended before its first checkpoint begins anew.
func (l *lab) finish(ctx context.Context, dir, run, device string) error {
	args := l.resume(run)
	if !isThere(checkpointOf(run)) {
		if err := os.RemoveAll(run); err != nil {
			return err
		}
		args = l.train(run, device)
	}
	if err := l.must(ctx, dir, args...); err != nil {
		return err
	}
	return l.compare(run, device)
}

// compare holds a finished run to the undisturbed one, and its folder to what belongs there.
func (l *lab) compare(run, device string) error {
	got, err := outcomeOf(run)
	if err != nil {
		return err
	}
	var all []error
	if names := differences(l.whole[device].tensors, got.tensors); len(names) > 0 {
		all = append(all, fmt.Errorf("the tensors %s differ from the undisturbed run's", strings.Join(names, ", ")))
	}
	if err := compareLines("line %d of metrics.jsonl", l.whole[device].metrics, got.metrics); err != nil {
		all = append(all, err)
	}
	if err := compareLines("point %d of TensorBoard's", l.whole[device].points, got.points); err != nil {
		all = append(all, err)
	}
	for _, pattern := range []string{".*.tmp", "checkpoints/.*.tmp"} {
		left, err := filepath.Glob(filepath.Join(run, pattern))
		if err != nil {
			return err
		}
		if len(left) > 0 {
			all = append(all, fmt.Errorf("left behind: %s", strings.Join(left, ", ")))
		}
	}
	return errors.Join(all...)
}

// compareLines finds the first line that is another; what says which that is, by its number.
func compareLines(what string, want, got []string) error {
	if slices.Equal(want, got) {
		return nil
	}
	for i := range max(len(want), len(got)) {
		w, g := "none", "none"
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w != g {
			return fmt.Errorf(what+" is %s, in the undisturbed run %s", i+1, g, w)
		}
	}
	return nil
}

func checkpointOf(run string) string { return filepath.Join(run, "checkpoints", "last.safetensors") }

// temporaries are the names under which checkpoints are written before they take their own.
func temporaries(run string) []string {
	return []string{
		filepath.Join(run, "checkpoints", ".last.safetensors.tmp"),
		filepath.Join(run, "checkpoints", ".best.safetensors.tmp"),
	}
}

func metricsOf(run string) string { return filepath.Join(run, "metrics.jsonl") }

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// lines counts those of a run's metrics so far.
func lines(run string) int {
	text, _ := os.ReadFile(metricsOf(run)) // not there yet: none
	return bytes.Count(text, []byte("\n"))
}

// outcomeOf reads what a finished run came to.
func outcomeOf(run string) (*outcome, error) {
	o := &outcome{}
	var step uint64
	var err error
	if o.tensors, step, err = tensorsOf(checkpointOf(run)); err != nil {
		return nil, err
	}
	if step != lastStep {
		return nil, fmt.Errorf("%s ended at step %d, not %d", run, step, lastStep)
	}
	text, err := os.ReadFile(metricsOf(run))
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(text) {
		fields := map[string]any{}
		if err := json.Unmarshal(line, &fields); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", metricsOf(run), line, err)
		}
		for _, clock := range []string{"images_per_second", "data_stall", "exchange_seconds"} {
			delete(fields, clock)
		}
		kept, err := json.Marshal(fields)
		if err != nil {
			return nil, err
		}
		o.metrics = append(o.metrics, string(kept))
	}
	o.points, err = pointsOf(run)
	return o, err
}

// tensorsOf reads weights and momentum of a checkpoint, and its step.
func tensorsOf(path string) (map[string][]float32, uint64, error) {
	c, err := checkpoint.Load(files.OS, path)
	if err != nil {
		return nil, 0, err
	}
	defer c.Close() //nolint:errcheck // only read
	all := map[string][]float32{}
	for prefix, list := range map[string][]tensor.Tensor{"": c.Params, "optim.": c.Momentum} {
		if len(list) == 0 {
			return nil, 0, fmt.Errorf("%s lacks weights or momentum", path)
		}
		for _, tensor := range list {
			if all[prefix+tensor.Name], err = tensor.Values(); err != nil {
				return nil, 0, err
			}
		}
	}
	return all, c.Step, nil
}

// differences names the tensors that are not the same bit for bit, those that only one side has too.
func differences(want, got map[string][]float32) (names []string) {
	same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
	all := maps.Clone(want)
	maps.Copy(all, got)
	for name := range all {
		if w, g := want[name], got[name]; w == nil || g == nil || !slices.EqualFunc(w, g, same) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// process is a program under way.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *output
	ended          chan struct{}
	began          time.Time
}

// output keeps what a process said; it may be read while the process speaks.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.buf.Bytes())
}

// start starts the program in a folder. At the end of ctx it is killed. with may change how it is started.
func (l *lab) start(ctx context.Context, dir string, with func(*exec.Cmd), args ...string) (*process, error) {
	p := &process{
		cmd: exec.CommandContext(ctx, l.alexnet, args...), stdout: &output{}, stderr: &output{},
		ended: make(chan struct{}), began: time.Now(),
	}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p.stdout, p.stderr
	p.cmd.WaitDelay = time.Second
	if with != nil {
		with(p.cmd)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the state tells
	}()
	return p, nil
}

// wait returns the exit code, as a shell counts it: 128 and the signal's number for what a signal ended.
func (p *process) wait() int {
	<-p.ended
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// signal sends one to a process that may have ended.
func (p *process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// until looks again and again until what it waits for is so (true) or the process has ended (false).
func (p *process) until(what func() bool) bool {
	for p.running() {
		if what() {
			return true
		}
		time.Sleep(50 * time.Microsecond)
	}
	return false
}

// within waits for the end for so long, and tells whether it came.
func (p *process) within(d time.Duration) bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(d):
		return false
	}
}

// failed is an error with the command, its exit code where it has ended, and the last that it said.
func (p *process) failed(format string, args ...any) error {
	state := "is running"
	if !p.running() {
		state = fmt.Sprint("exit code ", p.wait())
	}
	return fmt.Errorf("%s: %s: alexnet %s\n%s", fmt.Sprintf(format, args...), state, strings.Join(p.cmd.Args[1:], " "),
		tail(p.stderr.bytes(), 2000))
}

func tail(text []byte, n int) []byte { return text[max(0, len(text)-n):] }

// must runs a command to its end, which must be a good one.
func (l *lab) must(ctx context.Context, dir string, args ...string) error {
	p, err := l.start(ctx, dir, nil, args...)
	if err != nil {
		return err
	}
	if p.wait() != 0 {
		return p.failed("failed")
	}
	return nil
}
