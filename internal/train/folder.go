package train

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"alexnet/internal/atomicfile"
	"alexnet/internal/config"
	"alexnet/internal/files"
)

// checkpoint is the path of one of the run's; empty: there is no run folder.
func (o *Options) checkpoint(name string) string {
	if o.Dir == nil {
		return ""
	}
	return o.Dir.Checkpoint(name)
}

// standing is path if there is a file, or if nobody can tell, else empty.
func (o *Options) standing(path string) string {
	if path == "" || o.Dir == nil {
		return path
	}
	if _, err := o.Dir.FS().Stat(path); err != nil {
		return ""
	}
	return path
}

func (t *trainer) standing(path string) string { return t.o.standing(path) }

// keepFolder makes durable what was reported, before a checkpoint is written, and makes again what somebody removed
// from under the run: a run of days is not to be lost with its folder. It says so.
func (t *trainer) keepFolder() error {
	restored, err := t.o.Dir.Keep()
	if err != nil {
		return err
	}
	_, err = t.o.Dir.FS().Lstat(t.o.Dir.Config())
	if errors.Is(err, fs.ErrNotExist) {
		restored = append(restored, t.o.Dir.Config())
		err = t.writeConfig()
	}
	if err != nil {
		return err
	}
	again, err := t.syncMetrics(t.steps.Pass.Step)
	if restored = append(restored, again...); len(restored) > 0 {
		t.warn(Restored{restored})
	}
	return err
}

// missBest tells of the best checkpoint that somebody removed, once: its weights are nowhere else.
func (t *trainer) missBest() {
	if t.bestPath != "" && t.standing(t.bestPath) == "" {
		t.warn(Gone{t.bestPath})
		t.bestPath = ""
	}
}

// edited looks at the page in the folder of a run that goes on. The run goes on with its checkpoint's, and whoever
// edited the file may think otherwise: nil where it says the same, or where nothing can be said of it. left tells that
// it is not written as the run would write it, with comments perhaps, and may stay so.
func (o *Options) edited() (e *Edited, left bool) {
	f, err := o.Dir.FS().Open(o.Dir.Config())
	if err != nil {
		return nil, false
	}
	defer f.Close() //nolint:errcheck // only read
	page, err := io.ReadAll(io.LimitReader(f, config.MaxPage+1))
	if err != nil || bytes.Equal(page, o.Resume.Config) {
		return nil, false
	}
	e = &Edited{Path: o.Dir.Config(), Checkpoint: o.Resume.Path, Data: o.Source.Place}
	file, err := config.Parse(page, nil)
	var wrong *config.Error
	if errors.As(err, &wrong) {
		wrong.Source = filepath.Base(e.Path)
	}
	if e.Err = err; err != nil {
		return e, false
	}
	now := config.Differ(o.Config, file)
	if len(now) == 0 {
		return nil, true
	}
	before, err := o.Resume.Page(nil)
	if err != nil {
		return nil, false // nobody resumes it
	}
	was := config.Differ(before, file)
	for _, key := range now { // what came with this command is no edit
		if slices.Contains(was, key) {
			e.Keys = append(e.Keys, key)
		}
	}
	return e, false
}

// bringConfig writes the page of the run, unless the file says the same; what somebody made of the file is kept beside
// it.
func (t *trainer) bringConfig() (err error) {
	if t.o.Resume == nil {
		return t.writeConfig()
	}
	e, left := t.o.edited()
	if left {
		return nil
	}
	if e != nil {
		if e.Kept, err = files.PutAside(t.o.Dir.FS(), e.Path); err != nil {
			return err
		}
		t.warn(e)
	}
	return t.writeConfig()
}

// writeConfig writes the page of the run.
func (t *trainer) writeConfig() error {
	return atomicfile.Write(t.o.Dir.FS(), t.o.Dir.Config(), func(f atomicfile.File) error {
		_, err := f.Write(t.yaml)
		return err
	})
}
