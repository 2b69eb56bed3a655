// Package report writes what a run has to say about itself: metrics.jsonl, a TensorBoard event file and curves.png.
package report

import "errors"

// Metrics is one line of metrics.jsonl. What a line has nothing to say about is nil and left out. Errors are fractions, 0..1.
type Metrics struct {
	Step  uint64 `json:"step"`  // steps done when the line was written
	Epoch int    `json:"epoch"` // from 1; of the step's samples

	Loss            *float64 `json:"loss,omitempty"`       // mean cross-entropy, natural logarithm
	Top1Error       *float64 `json:"top1_error,omitempty"` // on the training batch, with dropout and augmentation
	Top5Error       *float64 `json:"top5_error,omitempty"`
	LR              *float64 `json:"lr,omitempty"`
	ImagesPerSecond *float64 `json:"images_per_second,omitempty"`
	DataStall       *float64 `json:"data_stall,omitempty"` // share of the time spent waiting for pictures, 0..1
	BadPictures     int      `json:"bad_pictures,omitempty"`

	ValLoss      *float64 `json:"val_loss,omitempty"`
	ValTop1Error *float64 `json:"val_top1_error,omitempty"`
	ValTop5Error *float64 `json:"val_top5_error,omitempty"`

	ExchangeBytes   *int64   `json:"exchange_bytes,omitempty"`   // between devices, both ways, a step
	ExchangeSeconds *float64 `json:"exchange_seconds,omitempty"` // time spent copying them
}

// Writer appends to metrics.jsonl and the TensorBoard event file of a run.
type Writer struct{}

// NewWriter opens the metrics of a run for appending, in its folder dir. Lines of steps after step, and a line torn by a kill, are cut:
// 0 begins anew, a resumed run gives its checkpoint's step. So the file becomes what an undisturbed run writes, apart from times.
// Write a step's lines before the checkpoint of that step.
func NewWriter(dir string, step uint64) (*Writer, error) { return nil, errors.New("being written") }

// Append writes one line and the event of the same numbers. Numbers that are not finite are an error.
func (w *Writer) Append(m Metrics) error { return errors.New("being written") }

// Sync makes durable what was appended: before a checkpoint is saved, so that no checkpoint is ahead of its metrics.
func (w *Writer) Sync() error { return errors.New("being written") }

// Close syncs and closes the files.
func (w *Writer) Close() error { return errors.New("being written") }

// Read reads a metrics.jsonl, leaving out a torn last line.
func Read(path string) ([]Metrics, error) { return nil, errors.New("being written") }

// Curves draws training loss, validation errors and learning rate over the steps into a PNG at path, written whole or not at all.
func Curves(path, title string, ms []Metrics) error { return errors.New("being written") }
