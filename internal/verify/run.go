package verify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/config"
	"alexnet/internal/files"
)

// Names in a run folder, as package run has them.
const (
	lastName    = "checkpoints/last.safetensors"
	bestName    = "checkpoints/best.safetensors"
	configName  = "config.yaml"
	metricsName = "metrics.jsonl"
	curvesName  = "curves.png"
	lockName    = "lock"
	indexNames  = "neighbors-*.index" // of look neighbors
)

// ErrNoRun says that a folder holds nothing of a run.
var ErrNoRun = errors.New("no run")

// Run verifies a run folder: each file of it, what is missing, and whether the files are of one run and of one state of
// it. What it finds beside a run that is under way is what it would find if the run were killed now. An error says that
// nothing could be found out: there is no such folder, no run in it (ErrNoRun), or ctx has ended.
func Run(ctx context.Context, fsys files.Reader, dir string, progress Progress) ([]Finding, error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	r := &runChecker{checker: &checker{ctx: ctx, fsys: fsys, progress: progress}, dir: dir}
	for _, e := range entries {
		r.names = append(r.names, e.Name())
	}
	if !slices.ContainsFunc([]string{"checkpoints", configName, metricsName}, r.has) {
		return nil, ErrNoRun
	}
	// A trainer writes metrics and events first, then the checkpoint: read in the other order, what is found of each is
	// not older than what the ones before it rely on.
	for _, check := range []func() error{r.checkpoints, r.page, r.metrics, r.events, r.others} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return r.found, nil
}

type runChecker struct {
	*checker
	dir        string
	names      []string // in the folder
	last, best facts
	none       bool // there is no last checkpoint
}

func (r *runChecker) has(name string) bool { return slices.Contains(r.names, name) }

// at makes the file of that name the one that is spoken of.
func (r *runChecker) at(name string) { r.path, r.told = filepath.Join(r.dir, name), 0 }

// part verifies a file of the run; there tells whether it is there.
func (r *runChecker) part(name string, into *facts) (there bool, err error) {
	path := filepath.Join(r.dir, name)
	if _, err := r.fsys.Stat(path); errors.Is(err, fs.ErrNotExist) {
		r.at(name)
		return false, nil
	}
	return true, r.file(path, into)
}

func (r *runChecker) checkpoints() error {
	last, err := r.part(lastName, &r.last)
	if err != nil {
		return err
	}
	best, err := r.part(bestName, &r.best)
	if err != nil {
		return err
	}
	r.at(lastName)
	switch {
	case !last && best:
		r.damaged("", "it is missing, and there is a best checkpoint")
	case !last:
		r.none = true // the metrics tell whether there has to be one
	}
	l, b := r.last.weights, r.best.weights
	if l != nil && len(l.Momentum) == 0 {
		r.damaged("", "it holds no momentum: it is not a run's last checkpoint")
	}
	r.at(bestName)
	if l != nil && l.Best != nil && !best {
		r.damaged("", "it is missing: the last checkpoint knows of one, of step %d", l.Best.Step)
	}
	if l == nil || b == nil {
		return nil
	}
	switch {
	case l.Seed != b.Seed || l.Data.Fingerprint != b.Data.Fingerprint || !samePage(l.Config, b.Config):
		r.damaged("", "it is of another run than the last checkpoint: seed, data or page differ")
	case b.Step >= l.Step && (l.Best == nil || l.Best.Step != b.Step):
		r.add("", Remark, "it is of step %d, of which the last checkpoint, of step %d, does not know: the run was "+
			"killed between the two, or is under way", b.Step, l.Step)
	case l.Best == nil || l.Best.Step != b.Step:
		r.damaged("", "it is of step %d, the last checkpoint knows of another", b.Step)
	}
	return nil
}

// samePage tells whether two pages are of one run, which may be prolonged, and read its pictures otherwise.
func samePage(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errX := config.Parse(a, nil)
	y, errY := config.Parse(b, nil)
	return errX == nil && errY == nil && config.OneRun(config.Differ(x, y))
}

func (r *runChecker) page() error {
	var page facts
	there, err := r.part(configName, &page)
	if err != nil {
		return err
	}
	l := r.last.weights
	switch {
	case !there:
		r.damaged("", "it is missing")
	case l == nil || page.page == nil || bytes.Equal(page.page, l.Config):
	case samePage(page.page, l.Config):
		r.add("", Remark, "it differs from the page in the last checkpoint in train.epochs, in how pictures are read, "+
			"or in how it is written")
	default:
		r.damaged("", "it is not the page in the last checkpoint, which is what the run goes on with")
	}
	return nil
}

func (r *runChecker) metrics() error {
	there, err := r.part(metricsName, &r.last)
	if err != nil {
		return err
	}
	if r.none {
		r.at(lastName)
		_, err := r.fsys.Stat(filepath.Join(r.dir, lastName)) // once more: a trainer may have written it since
		if r.last.saved && errors.Is(err, fs.ErrNotExist) {
			r.damaged("", "it is missing: the metrics go on after an epoch, at whose end it was written")
		} else {
			r.add("", Remark, "there is none yet")
		}
		r.at(metricsName)
	}
	l := r.last.weights
	switch {
	case l == nil || l.Step == 0:
	case !there:
		r.damaged("", "it is missing")
	case r.last.last < l.Step:
		r.damaged("", "it ends at step %d, the last checkpoint is of step %d", r.last.last, l.Step)
	}
	return nil
}

// events verifies the event files, and the lines of the metrics by what they say.
func (r *runChecker) events() error {
	v, broken := newVouchers(r.last.lines), false
	signed, first, last := 0, uint64(0), uint64(0)
	names := slices.DeleteFunc(slices.Clone(r.names), func(name string) bool {
		return !strings.Contains(name, ".tfevents.") || strings.HasPrefix(name, ".")
	})
	for i, name := range names {
		var f facts
		if _, err := r.part(name, &f); err != nil {
			return err
		}
		if f.torn && i < len(names)-1 && !r.has(lockName) { // a run that goes on mends it and begins another
			r.damaged("", "it is torn, though it is not the newest: it was cut")
		}
		broken = broken || r.told > 0
		for _, e := range f.events {
			if signed++; signed == 1 {
				first = e.step
			}
			last = max(last, e.step)
			v.take(e, name)
		}
	}
	r.at(metricsName)
	durable := uint64(0) // lines and events up to this step were, before the checkpoint was written
	if l := r.last.weights; l != nil {
		durable = l.Step
	}
	for _, m := range v.mismatches() {
		part := "line " + strconv.Itoa(int(m.line))
		switch {
		case m.line == 0 && (m.event.step > durable || r.last.damaged):
			// not there yet, or told of
		case m.line == 0:
			r.damaged("step "+strconv.FormatUint(m.event.step, 10),
				"the line that record %d of %s was written with is missing", m.event.number, m.file)
		case int(m.line) == len(r.last.lines) && r.has(lockName): // a trainer may be replacing both
			r.add(part, Remark, "record %d of %s was written with another", m.event.number, m.file)
		default:
			r.damaged(part, "its checksum in record %d of %s does not agree", m.event.number, m.file)
		}
	}
	n, without := len(r.last.lines), v.without(0, math.MaxUint64)
	switch {
	case signed > 0 && without == 0 && r.told == 0 && !r.last.damaged:
		r.add("", Sound, "every line agrees with its checksum in the events")
	case signed == 0 && n > 0:
		r.add("", Remark, "there are no events with checksums of its lines: its numbers could not be verified")
	case without > 0 && r.told == 0:
		r.add("", Remark, "%d of its %d lines have no events with their checksums", without, n)
	}
	r.at("events.out.tfevents.*")
	switch lost := v.without(first, durable); {
	case signed == 0 || broken || r.last.damaged:
	case last < durable:
		r.damaged("", "they end at step %d, the last checkpoint is of step %d", last, durable)
	case lost == 1 && v.owesLast() && r.has(lockName):
		// The end of an epoch whose last step's checkpoint is written: a trainer may be writing both, or was killed
		// between the line and its event.
	case lost > 0 && !v.replaced:
		r.damaged("", "records are missing: those of %d lines of the metrics up to the last checkpoint", lost)
	}
	return nil
}

// vouchers hold lines of metrics to the events that were written with them.
type vouchers struct {
	lines []oneLine  // by step
	met   []bool     // of each: there is an event with its checksum
	other []mismatch // events without a line
	// there is one that was written with another text of a line: see mismatches
	replaced bool
}

// mismatch is an event that is of a line's step, but not of its text.
type mismatch struct {
	event oneLine
	file  string
	line  int32
}

func newVouchers(lines []oneLine) *vouchers {
	v := &vouchers{lines: slices.Clone(lines), met: make([]bool, len(lines))}
	slices.SortStableFunc(v.lines, func(a, b oneLine) int { return cmp.Compare(a.step, b.step) })
	return v
}

// of is where the lines of a step begin and end.
func (v *vouchers) of(step uint64) (from, to int) {
	from, _ = slices.BinarySearchFunc(v.lines, step, func(l oneLine, s uint64) int { return cmp.Compare(l.step, s) })
	for to = from; to < len(v.lines) && v.lines[to].step == step; {
		to++
	}
	return from, to
}

func (v *vouchers) take(e oneLine, file string) {
	from, to := v.of(e.step)
	i := slices.IndexFunc(v.lines[from:to], func(l oneLine) bool { return l.sum == e.sum })
	if i >= 0 {
		v.met[from+i] = true
		return
	}
	if len(v.other) < most { // more are not told of
		v.other = append(v.other, mismatch{event: e, file: file})
	}
}

// mismatches are the events without a line, each with a line of its step for which there is no event; 0 where there is
// none.
func (v *vouchers) mismatches() []mismatch {
	blamed := map[int]bool{}
	for k := range v.other {
		from, to := v.of(v.other[k].event.step)
		for i := from; i < to; i++ {
			if !v.met[i] && !blamed[i] {
				blamed[i], v.other[k].line, v.replaced = true, v.lines[i].number, true
				break
			}
		}
	}
	return v.other
}

// without counts the lines of steps from one to another that no event vouches for.
func (v *vouchers) without(from, to uint64) (n int) {
	for i, met := range v.met {
		if step := v.lines[i].step; !met && step >= from && step <= to {
			n++
		}
	}
	return n
}

// owesLast tells that no event vouches for the last line.
func (v *vouchers) owesLast() bool {
	n := len(v.met)
	return n > 0 && !v.met[n-1]
}

// others verifies the curves, and tells of what is not for long.
func (r *runChecker) others() error {
	there, err := r.part(curvesName, nil)
	if err != nil {
		return err
	}
	if !there && slices.ContainsFunc(r.last.lines, func(l oneLine) bool { return l.number > 1 }) &&
		r.last.weights != nil && r.last.weights.Epoch > 0 {
		r.add("", Remark, "it is missing: the curves could not be drawn, or were removed")
	}
	for _, name := range r.names {
		if ok, _ := filepath.Match(indexNames, name); ok {
			if _, err := r.part(name, nil); err != nil {
				return err
			}
		}
	}
	if r.has(lockName) {
		r.at(lockName)
		text, err := files.ReadOwn(r.fsys, r.path)
		who := "a process"
		if pid, bad := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && bad == nil {
			who = "process " + strconv.Itoa(pid)
		}
		if other := (*files.InTheWay)(nil); errors.As(err, &other) {
			r.damaged("", "it is %s, not a regular file: no run goes on here", files.Kind(other.Mode))
		} else {
			r.add("", Remark, "%s trains in this folder, or was killed in it", who)
		}
	}
	inside, err := r.fsys.ReadDir(filepath.Join(r.dir, "checkpoints"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	names := slices.Clone(r.names)
	for _, e := range inside {
		names = append(names, filepath.Join("checkpoints", e.Name()))
	}
	for _, name := range names {
		if base := filepath.Base(name); strings.HasPrefix(base, ".") && strings.HasSuffix(base, ".tmp") {
			r.at(name)
			r.add("", Remark, "its writer was killed, or is writing it; the next one takes the file over")
		}
	}
	return nil
}
