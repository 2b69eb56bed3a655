package infer

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/crafted"
	"alexnet/internal/model"
	"alexnet/internal/reference"
	"alexnet/internal/safetensors"
)

// A checkpoint whose page or tensors make no net, or another than the other, is refused before memory is taken for
// what it says, and as a fault of the file.
func TestCrafted(t *testing.T) {
	use := func(b []byte) (asked int64, err error) {
		r, err := safetensors.NewReader("f", bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		c, err := checkpoint.LoadFrom(r)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, err := open(c, reference.Open(1), func(int) int { return 1 }, false, model.Options{Slots: 2})
		runtime.ReadMemStats(&after)
		if err == nil {
			err = n.close()
		}
		return int64(after.TotalAlloc - before.TotalAlloc), err
	}
	if _, err := use(crafted.SoundCheckpoint()); err != nil {
		t.Fatal(err)
	}
	for _, f := range crafted.Checkpoints() {
		if f.At != crafted.Used {
			continue
		}
		asked, err := use(f.Bytes())
		if !errors.As(err, new(*checkpoint.BadPage)) && !errors.As(err, new(*checkpoint.Mismatch)) ||
			!strings.Contains(err.Error(), f.Want) || len(err.Error()) > 1000 {
			t.Errorf("%s: error %v, want %q", f.Name, err, f.Want)
		}
		if asked > 64<<20 {
			t.Errorf("%s: %d MB", f.Name, asked>>20)
		}
	}
}
