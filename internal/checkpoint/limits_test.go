package checkpoint

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"alexnet/internal/crafted"
	"alexnet/internal/files"
	"alexnet/internal/safetensors"
	"alexnet/internal/tensor"
)

// open is LoadFrom of bytes, with the time that it took and the memory that it asked for.
func open(b []byte) (c *Checkpoint, took time.Duration, asked int64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	r, err := safetensors.NewReader("f", bytes.NewReader(b), int64(len(b)))
	if err == nil {
		c, err = LoadFrom(r)
	}
	took = time.Since(start)
	runtime.ReadMemStats(&after)
	return c, took, int64(after.TotalAlloc - before.TotalAlloc), err
}

// A file that is made to hurt is refused by a type that says so, with key and value, in a moment and little memory. One
// whose numbers only its use can judge is opened.
func TestCrafted(t *testing.T) {
	if _, _, _, err := open(crafted.SoundCheckpoint()); err != nil {
		t.Fatal(err)
	}
	for _, f := range crafted.Checkpoints() {
		b := f.Bytes()
		_, took, asked, err := open(b)
		if took > 10*time.Second || asked > 20*int64(len(b))+64<<20 {
			t.Errorf("%s (%d bytes): %v and %d MB", f.Name, len(b), took, asked>>20)
		}
		if f.At != crafted.Opened {
			if err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
			continue
		}
		var bad *tensor.BadFile
		if !errors.As(err, &bad) && !errors.As(err, new(*Foreign)) || !strings.Contains(err.Error(), f.Want) {
			t.Errorf("%s: error %v, want %q", f.Name, err, f.Want)
		} else if bad != nil && (bad.Path != "f" || len(bad.Error()) > 1000) {
			t.Errorf("%s: an error of %d letters about %q", f.Name, len(bad.Error()), bad.Path)
		}
	}
}

// Of a tensor of 20 GB that fits neither pictures nor net no byte is asked for.
func TestHugeTensor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huge.safetensors")
	for i, want := range map[int]string{
		0: "a mean of shape 5x1073741824 for pictures of 3x8x8", 1: "conv1.weight is 5x1073741824 in the file",
	} {
		tensors := crafted.SoundTensors()
		tensors[i].Shape = []int{5, 1 << 30}
		begins, size := crafted.Sparse(crafted.SoundMeta(), tensors[i:]) // a mean would be read, and damaged
		if err := os.WriteFile(path, begins, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Skip("no sparse files here: ", err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := Load(files.OS, path)
		if err == nil {
			var net []Slot
			for _, t := range crafted.SoundTensors()[1:5] {
				net = append(net, Slot{Name: t.Name, Shape: t.Shape})
			}
			err = errors.Join(c.Restore(net, nil), c.Close())
		}
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), want) || after.TotalAlloc-before.TotalAlloc > 1<<20 {
			t.Errorf("%v after %d bytes, want %q", err, after.TotalAlloc-before.TotalAlloc, want)
		}
	}
}
