package train

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/run"
)

// small is a disk with so much room.
type small struct {
	files.FS
	space files.Space
}

func (s small) Space(string) (files.Space, error) { return s.space, nil }

// TestNoRoom: a run whose checkpoints will not fit is refused before the first step, to the byte by its own account;
// what a file system does not tell, or cannot be true, refuses nothing. What a run to resume has counts.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	begin := func(s files.Space, resume string) (*log, error) {
		o, l := options(t)
		path := filepath.Join(t.TempDir(), "run")
		var err error
		if resume != "" {
			o.Dir, err = run.Open(small{files.OS, s}, resume)
		} else {
			o.Dir, err = run.Create(small{files.OS, s}, path)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { o.Dir.Close() })
		if o.Steps = 1; resume != "" {
			o.Steps, o.Resume = 2, load(t, o.Dir.Checkpoint(run.Last))
		}
		_, err = Run(t.Context(), o)
		if resume != "" {
			o.Dir.Close()
		}
		return l, err
	}
	const total = 1 << 40
	l, err := begin(files.Space{Free: 5, Total: total}, "")
	var none, foreseen *files.NoRoom
	if !errors.As(err, &none) || none.Files || none.Free != 5 || none.Need < 5*besides || none.Need > 6*besides {
		t.Fatalf("%+v, %v", none, err)
	}
	if len(l.steps) != 0 {
		t.Error("steps were taken")
	}
	need := none.Need
	o, _ := options(t)
	if o.Dir, err = run.WouldCreate(small{files.OS, files.Space{Free: 5, Total: total}}, "no/such/folder"); err != nil {
		t.Fatal(err)
	}
	if _, err := Look(t.Context(), o); !errors.As(err, &foreseen) || foreseen.Need != need {
		t.Errorf("a look ahead: %v, want %v", err, none)
	}
	if _, err = begin(files.Space{Free: need - 1, Total: total}, ""); !errors.As(err, &none) {
		t.Errorf("a byte less: %v", err)
	}
	for _, s := range []files.Space{
		{Free: need, Total: total},
		{},
		{Free: 0, Total: 0},
		{Free: -4096, Total: total},
		{Free: need, Total: total, FilesTotal: 1000, FilesFree: newFiles},
		{Free: need, Total: total, FilesTotal: 0, FilesFree: 0},
	} {
		if _, err := begin(s, ""); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	s := files.Space{Free: need, Total: total, FilesTotal: 1000, FilesFree: 1}
	if _, err = begin(s, ""); !errors.As(err, &none) || !none.Files || none.Free != 1 {
		t.Errorf("no room for files: %v", err)
	}

	o, _ = options(t)
	o.Dir, o.Steps = folder(t), 1
	mustRun(t, o)
	path := o.Dir.Path()
	size := int64(0)
	for _, name := range []string{run.Last, run.Best} {
		info, err := os.Stat(o.Dir.Checkpoint(name))
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	o.Dir.Close()
	if _, err := begin(files.Space{Free: need - size, Total: total}, path); err != nil {
		t.Errorf("a run to resume has %d of %d bytes already: %v", size, need, err)
	}
}
