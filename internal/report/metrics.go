// Package report writes what a run has to say about itself: metrics.jsonl, one JSON object a line; a TensorBoard event
// file with the same numbers; and curves.png, drawn from what the writer keeps of them. It knows nothing of training:
// it is given numbers and steps. It imports atomicfile and files and nothing else of the program.
package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
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
	file   *log
	redo   *line  // an epoch's end that may be written again; see Append
	curves Curves // of all lines but redo
	events *events
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
}

// log is a file that grows by whole records.
type log struct {
	files.File
	size int64 // of what is whole in it
}

// append writes a record, or takes back what could be written of it.
func (l *log) append(record []byte) error {
	n, err := l.Write(record)
	if err != nil {
		if n > 0 {
			err = errors.Join(err, l.Truncate(l.size))
		}
		return err
	}
	l.size += int64(n)
	return nil
}

// cut takes back all records from byte size on.
func (l *log) cut(size int64) error {
	if err := l.Truncate(size); err != nil {
		return err
	}
	l.size = size
	return nil
}

// NewWriter opens the metrics of a run for appending, in its folder dir. Lines of steps after step, and a line torn by
// a kill, are cut: 0 begins anew, a resumed run gives its checkpoint's step. So the file becomes what an undisturbed
// run writes, apart from times. Write a step's lines before the checkpoint of that step. The events go to a new file,
// as is TensorBoard's custom; what older ones say of later steps it then forgets.
func NewWriter(fsys files.FS, dir string, step uint64) (*Writer, error) {
	f, err := fsys.OpenFile(filepath.Join(dir, fileName), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	w := &Writer{file: &log{File: f}}
	if err := w.cut(step); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if w.events, err = newEvents(fsys, dir, step, time.Now()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// cut removes the lines after step.
func (w *Writer) cut(step uint64) error {
	var last *line
	size := int64(0)
	if step > 0 {
		end, err := scan(w.file, step, func(l line) {
			if last != nil {
				w.curves.Add(last.m)
			}
			last = &l
		})
		if err != nil {
			return &BrokenError{Path: w.file.Name(), Err: err}
		}
		size = end
	}
	switch {
	case last == nil:
	case last.m.Step == step && last.m.LR == nil:
		w.redo = last
	default:
		w.curves.Add(last.m)
	}
	return w.file.cut(size)
}

// scan calls each for the lines up to step and tells where they end. A last line that was not finished is left out.
// Damage in the middle is an error; what follows it could not be trusted either.
func scan(r io.Reader, step uint64, each func(line)) (end int64, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	var damage error
	at := int64(0)
	for n := 1; ; n++ {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return end, nil // text has no end: torn
		}
		if err != nil {
			return 0, err
		}
		l := line{at: at, text: text}
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
// is then replaced, not doubled. On an error the files are as they were.
func (w *Writer) Append(m Metrics) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("metrics of step %d: %w", m.Step, err)
	}
	size, old := w.file.size, w.redo
	if old != nil && (m.LR != nil || m.Step != old.m.Step) {
		old = nil // another line's predecessor
	}
	if old != nil {
		size = old.at
		if err := w.file.cut(size); err != nil {
			return err
		}
	}
	err = w.file.append(append(text, '\n'))
	if err == nil {
		err = w.events.scalars(m, time.Now())
	}
	if err != nil {
		return errors.Join(err, w.takeBack(size, old))
	}
	if w.redo != nil && old == nil {
		w.curves.Add(w.redo.m)
	}
	w.redo = nil
	w.curves.Add(m)
	return nil
}

// takeBack undoes what was written from byte size on, and puts the line that stood there back.
func (w *Writer) takeBack(size int64, old *line) error {
	if w.file.size > size {
		if err := w.file.cut(size); err != nil {
			return err
		}
	}
	if old == nil {
		return nil
	}
	return w.file.append(old.text)
}

// Curves are those of the lines so far. They stay as they are while more lines are appended.
func (w *Writer) Curves() *Curves {
	c := w.curves.clone()
	if w.redo != nil {
		c.Add(w.redo.m)
	}
	return c
}

// Sync makes durable what was appended: before a checkpoint is saved, so that no checkpoint is ahead of its metrics.
func (w *Writer) Sync() error { return w.file.Sync() }

// Close syncs and closes the files.
func (w *Writer) Close() error { return errors.Join(w.file.Sync(), w.file.Close(), w.events.close()) }

// Read reads a metrics.jsonl, leaving out a torn last line.
func Read(fsys files.Reader, path string) ([]Metrics, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	var all []Metrics
	if _, err := scan(f, math.MaxUint64, func(l line) { all = append(all, l.m) }); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}
