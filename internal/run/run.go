// Package run keeps the numbered folders of training runs.
package run

import (
	"errors"
	"fmt"
	"path/filepath"
)

// Dir is a run folder, held by this process alone until Close.
type Dir struct{ path string }

// Names of checkpoints.
const (
	Last = "last" // to go on from
	Best = "best" // lowest validation error so far
)

// LockedError says that another process trains in the folder. The command exits with 13.
type LockedError struct {
	Path string
	PID  int // of the holder; 0: not known
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("%s: another process (pid %d) is training here", e.Path, e.PID)
}

// Create makes a new run folder and locks it. out is the folder itself, new or empty; "" takes runs/train, runs/train2, ...
func Create(out string) (*Dir, error) { return nil, errors.New("being written") }

// Open locks an existing run to go on with it: its folder, or "last", the run under runs/ with the newest checkpoint.
func Open(path string) (*Dir, error) { return nil, errors.New("being written") }

// Newest is the newest best checkpoint among the runs under runs/, by modification time.
func Newest() (checkpoint string, err error) { return "", errors.New("being written") }

// Path is the folder.
func (d *Dir) Path() string { return d.path }

// Config is the resolved configuration.
func (d *Dir) Config() string { return filepath.Join(d.path, "config.yaml") }

// Metrics is the file of package report's Writer.
func (d *Dir) Metrics() string { return filepath.Join(d.path, "metrics.jsonl") }

// Curves is the picture of the run.
func (d *Dir) Curves() string { return filepath.Join(d.path, "curves.png") }

// Checkpoint is the file of a checkpoint, Last or Best.
func (d *Dir) Checkpoint(name string) string {
	return filepath.Join(d.path, "checkpoints", name+".safetensors")
}

// Close gives the lock back. A folder that Create made and nothing was written to is removed.
func (d *Dir) Close() error { return nil }
