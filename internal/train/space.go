package train

import (
	"context"
	"path/filepath"

	"alexnet/internal/files"
	"alexnet/internal/run"
)

const (
	besides  = 1 << 20 // bytes of what a run writes besides tensors, at its beginning
	newFiles = 8       // files and folders of a run
)

// weightBytes is what the parameters take, in fp32.
func (t *trainer) weightBytes() (n int64) {
	for _, p := range t.arch.Params {
		n += 4 * int64(p.Len())
	}
	return n
}

// checkSpace refuses a run whose checkpoints do not fit, with a *files.NoRoom: the last one (weights and momentum), the
// best one (weights) and the new one that is written before it takes the place of either. What is there of them counts
// as theirs. Where the file system does not tell, or tells nonsense as some do, the run begins.
func (t *trainer) checkSpace(context.Context) error {
	if t.o.Dir == nil {
		return nil
	}
	// The folder may be a link to another disk, and perhaps nothing of the run is made yet.
	dir, _, _ := files.Standing(t.o.Dir.FS(), filepath.Dir(t.o.Dir.Checkpoint(run.Last)))
	weights := besides + t.weightBytes()
	need := 2 * weights // written beside the file that it replaces
	for _, file := range []struct {
		name string
		size int64
	}{{run.Last, 2 * weights}, {run.Best, weights}} {
		if file.name == run.Best && t.valNet == nil {
			continue
		}
		have := int64(0)
		if info, err := t.o.Dir.FS().Stat(t.o.Dir.Checkpoint(file.name)); err == nil {
			have = info.Size()
		}
		need += max(0, file.size-have)
	}
	return files.Room(t.o.Dir.FS(), dir, t.o.Dir.Path(), "the checkpoints need", need, newFiles)
}
