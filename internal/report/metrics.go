// Package report writes what a run has to say about itself: metrics.jsonl, one JSON object a line; a TensorBoard event
// file with the same numbers, pictures and histograms; and curves.png, drawn from what the writer keeps of the numbers.
// It writes vectors of pictures for TensorBoard's projector, too. It knows nothing of training: it is given numbers,
// steps and pictures. It imports atomicfile, files and text and nothing else of the program.
package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"alexnet/internal/files"
)

// Metrics is one line of metrics.jsonl: of a step, or of an epoch's end (then without LR). What it has nothing to say
// about is nil and left out. Errors are fractions, 0..1.
type Metrics struct {
	Step  uint64 `json:"step"`  // steps done when the line was written
	Epoch int    `json:"epoch"` // from 1

	Loss            *float64 `json:"loss,omitempty"`       // mean cross-entropy, natural logarithm
	Top1Error       *float64 `json:"top1_error,omitempty"` // on the training batch, with dropout and augmentation
	Top5Error       *float64 `json:"top5_error,omitempty"`
	LR              *float64 `json:"lr,omitempty"`
	ImagesPerSecond *float64 `json:"images_per_second,omitempty"`
	DataStall       *float64 `json:"data_stall,omitempty"` // share of the time spent waiting for pictures, 0..1
	BadPictures     int      `json:"bad_pictures,omitempty"`
	// batches so far of which no picture could be read, and which are not steps: those before a resume included
	SkippedBatches uint64 `json:"skipped_batches,omitempty"`

	// of an epoch's line: mean over its steps so far, those before a resume included
	TrainLoss    *float64 `json:"train_loss,omitempty"`
	ValLoss      *float64 `json:"val_loss,omitempty"`
	ValTop1Error *float64 `json:"val_top1_error,omitempty"`
	ValTop5Error *float64 `json:"val_top5_error,omitempty"`

	// between devices, both ways, a step: the mean over the epoch's
	ExchangeBytes   *float64 `json:"exchange_bytes,omitempty"`
	ExchangeSeconds *float64 `json:"exchange_seconds,omitempty"` // time spent copying them
	// between GPUs: peer, staged through the host's memory, or inside of the same GPU
	ExchangeWay string `json:"exchange_way,omitempty"`
}

// fileName is the metrics' name in a run folder.
const fileName = "metrics.jsonl"

// Writer appends to metrics.jsonl and to a TensorBoard event file of a run.
type Writer struct {
	fsys   files.FS
	file   *log
	redo   *line  // an epoch's end that may be written again; see Append
	curves Curves // of all lines but redo
	last   uint64 // the step of the last line
	events *log
}

// BrokenError says that a run's metrics hold what cannot be read, so that no lines can be added.
type BrokenError struct {
	Path string
	Err  error // which line, and what of it
}

func (e *BrokenError) Error() string { return fmt.Sprintf("%s: %v", e.Path, e.Err) }
func (e *BrokenError) Unwrap() error { return e.Err }

// line is what stands in the file from byte at on.
type line struct {
	at   int64
	text []byte
	m    Metrics

	event spot // of the same numbers, where redo is what is written again
}

// spot is a record in a log.
type spot struct {
	at     int64
	record []byte // nil: there is none
}

// NewWriter opens the metrics of a run for appending, in its folder dir. Lines of steps after step, and a line torn by
// a kill, are cut: 0 begins anew, a resumed run gives its checkpoint's step. So the file becomes what an undisturbed
// run writes, apart from times. Write a step's lines before the checkpoint of that step.
//
// The events go to a new file, as is TensorBoard's custom. Those of earlier files that are not before step are cut, and
// files that hold no others removed; the new one begins with an order to forget them, for a TensorBoard that has read
// them, and says again what the lines of step say. So all the files together tell each number once. Event files that
// other programs put into the folder are left alone. What earlier files show of step (Show), which nobody can show
// again, is taken over with keepShown only.
func NewWriter(fsys files.FS, dir string, step uint64, keepShown bool) (*Writer, error) {
	f, err := files.OpenOwn(fsys, filepath.Join(dir, fileName), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	w := &Writer{fsys: fsys, file: &log{File: f}}
	again, err := w.cut(step)
	if err == nil {
		err = w.newEvents(dir, step, again, keepShown, time.Now())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// cut removes the lines after step, and tells those of step.
func (w *Writer) cut(step uint64) (again []line, err error) {
	var last *line
	size := int64(0)
	if step > 0 {
		size, err = scan(w.file, step, func(l line) {
			if last != nil {
				w.curves.Add(last.m)
			}
			if last = &l; l.m.Step == step {
				again = append(again, l)
			}
		})
		if err != nil {
			return nil, &BrokenError{Path: w.file.Name(), Err: err}
		}
	}
	if last != nil {
		w.last = last.m.Step
	}
	switch {
	case last == nil:
	case last.m.Step == step && last.m.LR == nil:
		w.redo = last
	default:
		w.curves.Add(last.m)
	}
	return again, w.file.cut(size)
}

// Last is the step of the last line, 0 where there is none. After NewWriter it is before that of the checkpoint only if
// lines were lost.
func (w *Writer) Last() uint64 { return w.last }

// mostOfLine is how long a line is that scan reads: the program's have some hundred bytes, those of others that add to
// them more. A hole in a file reads as one line without end.
const mostOfLine = 1 << 20

// scan calls each for the lines up to step and tells where they end. A last line that was not finished is left out.
// Damage in the middle, as a line longer than mostOfLine, is an error; what follows it could not be trusted either.
func scan(r io.Reader, step uint64, each func(line)) (end int64, err error) {
	in := bufio.NewReaderSize(r, mostOfLine)
	var damage error
	at := int64(0)
	for n := 1; ; n++ {
		text, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if damage == nil {
				damage = fmt.Errorf("line %d is longer than %d bytes", n, mostOfLine)
			}
			torn, err := skipLine(in)
			if err != nil {
				return 0, err
			}
			if torn {
				return end, nil
			}
			continue // at is of no use any more
		}
		if errors.Is(err, io.EOF) {
			return end, nil // text has no end: torn
		}
		if err != nil {
			return 0, err
		}
		l := line{at: at, text: bytes.Clone(text)}
		at += int64(len(text))
		switch err := json.Unmarshal(text, &l.m); {
		case err != nil && damage == nil:
			damage = fmt.Errorf("line %d is damaged: %w", n, err)
		case err != nil: // more of it
		case l.m.Step > step:
			return end, nil
		case damage != nil:
			return 0, damage
		default:
			each(l)
			end = at
		}
	}
}

// Append writes one line and the event of the same numbers. Numbers that are not finite are an error. Where a run goes
// on from a checkpoint that was written between an epoch's last step and its end, the end is on file already: its line
// and its event are then replaced, not doubled. On an error the files are as they were.
func (w *Writer) Append(m Metrics) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("metrics of step %d: %w", m.Step, err)
	}
	old, at := spot{at: w.file.size}, spot{at: w.events.size}
	same := w.redo != nil && m.LR == nil && m.Step == w.redo.m.Step
	if same {
		old, at = spot{w.redo.at, w.redo.text}, w.redo.event
	}
	if err := w.file.replace(old, append(text, '\n')); err != nil {
		return err
	}
	if err := w.events.replace(at, scalars(m, text, time.Now())); err != nil {
		return errors.Join(err, w.file.takeBack(old))
	}
	if w.redo != nil && !same {
		w.curves.Add(w.redo.m)
	}
	w.redo, w.last = nil, m.Step
	w.curves.Add(m)
	return nil
}

// Show writes pictures and histograms of a step as events: after the line of the step, before that of the epoch that
// ends with it, and before the checkpoint of the step. A run that goes on from that keeps them. None may be longer than
// a megabyte. On an error the file is as it was.
func (w *Writer) Show(step uint64, images []Image, histograms []Histogram) error {
	now := time.Now()
	var all []byte
	add := func(tag string, value []byte) error {
		r := showing(step, value, now)
		if len(r) > parsed {
			return fmt.Errorf("%s of step %d has %d bytes, more than %d", tag, step, len(r), parsed)
		}
		all = append(all, r...)
		return nil
	}
	for i := range images {
		if err := add(images[i].Tag, images[i].value()); err != nil {
			return err
		}
	}
	for i := range histograms {
		if err := add(histograms[i].Tag, histograms[i].value()); err != nil {
			return err
		}
	}
	return w.events.append(all)
}

// Curves are those of the lines so far. They stay as they are while more lines are appended.
func (w *Writer) Curves() *Curves {
	c := w.curves.clone()
	if w.redo != nil {
		c.Add(w.redo.m)
	}
	return c
}

// Sync makes durable what was appended: before a checkpoint is saved, so that no checkpoint is ahead of its metrics and
// events. A file that somebody removed meanwhile, or put another one in the place of, is written again whole, under its
// name: restored are those. What stood in its place is kept beside it, as NAME.1.
func (w *Writer) Sync() (restored []string, err error) {
	for _, l := range []*log{w.file, w.events} {
		again, err := l.keep(w.fsys)
		if err != nil {
			return restored, err
		}
		if again {
			restored = append(restored, l.Name())
		}
	}
	return restored, errors.Join(w.file.Sync(), w.events.Sync())
}

// Close syncs and closes the files, whatever their names are by now.
func (w *Writer) Close() error {
	return errors.Join(w.file.Sync(), w.events.Sync(), w.file.Close(), w.events.Close())
}
