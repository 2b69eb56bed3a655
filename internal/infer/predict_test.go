package infer_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/reference"
)

// atOnce makes the process run several goroutines at a time for this test, whatever the machine.
func atOnce(t *testing.T) {
	before := runtime.GOMAXPROCS(4)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// hooked calls look before a file is looked at, which is before it is opened: one that is missing never is.
type hooked struct {
	files.Reader
	look func(name string)
}

func (h hooked) Stat(name string) (fs.FileInfo, error) {
	h.look(name)
	return h.Reader.Stat(name)
}

// patience is far more than anything here takes.
const patience = 20 * time.Second

func predictor(t *testing.T, o infer.PredictOptions) *infer.Predictor {
	t.Helper()
	o.Checkpoint, o.Devices, o.Layers = openTrained(t), reference.Open(1), []string{"fc2"}
	p, err := infer.NewPredictor(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestPredictAtOnce: the first file is not opened before a second one is being opened too, so whoever opens one after
// the other waits in vain.
func TestPredictAtOnce(t *testing.T) {
	atOnce(t)
	images := shapes(t)[:8]
	for _, batch := range []int{1, 3, 8} {
		var opened, lonely atomic.Int32
		var second chan struct{}
		reader := hooked{files.OS, func(string) {
			switch opened.Add(1) {
			case 1:
				select {
				case <-second:
				case <-time.After(patience):
					lonely.Add(1)
				}
			case 2:
				close(second)
			}
		}}
		p := predictor(t, infer.PredictOptions{Files: reader, Batch: batch})
		second = make(chan struct{})
		if _, err := p.Predict(t.Context(), images, 1); err != nil || lonely.Load() > 0 {
			t.Fatalf("predict, batch %d: %v, the first file opened with no other: %d", batch, err, lonely.Load())
		}
		opened.Store(0)
		second = make(chan struct{})
		if _, err := p.Features(t.Context(), images, "fc2"); err != nil || lonely.Load() > 0 {
			t.Fatalf("features, batch %d: %v, the first file opened with no other: %d", batch, err, lonely.Load())
		}
	}
}

// broken is a file that is not a picture.
func broken(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "broken.png")
	if err := os.WriteFile(path, []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// late makes the files at even places wait until the one after them was opened, so that what is asked for first is
// there last.
func late(t *testing.T, images []string) files.Reader {
	opened := make(map[string]chan struct{}, len(images))
	for _, name := range images {
		opened[name] = make(chan struct{})
	}
	return hooked{files.OS, func(name string) {
		i := slices.Index(images, name)
		close(opened[name])
		if i%2 == 0 && i+1 < len(images) {
			select {
			case <-opened[images[i+1]]:
			case <-time.After(patience):
				t.Errorf("nobody looked at %s while %s was waiting for that", images[i+1], name)
			}
			time.Sleep(time.Millisecond)
		}
	}}
}

// TestPredictOrder: answers and features come in the order given whatever is decoded first, to the bits of pictures
// that were asked for on their own.
func TestPredictOrder(t *testing.T) {
	atOnce(t)
	val, bad := shapes(t), broken(t)
	missing := filepath.Join(t.TempDir(), "missing.png")
	images := []string{bad, val[0], val[1], missing, val[2], val[3], val[4], val[5], val[6]}
	good := []int{1, 2, 4, 5, 6, 7, 8}
	alone := predictor(t, infer.PredictOptions{Files: files.OS, Batch: 1})
	for _, batch := range []int{1, 2, 3, 64} {
		p := predictor(t, infer.PredictOptions{Files: late(t, images), Batch: batch})
		got, err := p.Predict(t.Context(), images, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range got {
			if g.Image != images[i] || (g.Err == nil) != slices.Contains(good, i) {
				t.Errorf("batch %d: answer %d is of %s, %v", batch, i, g.Image, g.Err)
			}
			want, err := alone.Predict(t.Context(), images[i:i+1], 3)
			if err != nil || !slices.Equal(g.Predictions, want[0].Predictions) {
				t.Errorf("batch %d: %s is %v, asked for on its own %v, %v", batch, g.Image, g.Predictions,
					want[0].Predictions, err)
			}
		}
		p = predictor(t, infer.PredictOptions{Files: late(t, images), Batch: batch})
		f, err := p.Features(t.Context(), images, "fc2")
		if err != nil {
			t.Fatal(err)
		}
		if want := append(slices.Clone(images[1:3]), images[4:]...); !slices.Equal(f.Images, want) {
			t.Errorf("batch %d: features of %v, want %v", batch, f.Images, want)
		}
		if len(f.Bad) != 2 || f.Bad[0].Name != bad || f.Bad[1].Name != missing {
			t.Errorf("batch %d: unreadable are %v", batch, f.Bad)
		}
	}
}

// TestStrictFirst: of two unreadable pictures the first in the order given is told, though the other is met before.
func TestStrictFirst(t *testing.T) {
	atOnce(t)
	val, first := shapes(t), broken(t)
	images := append(slices.Clone(val[:2]), first, filepath.Join(t.TempDir(), "missing.png"))
	for _, batch := range []int{1, 4, 64} {
		p := predictor(t, infer.PredictOptions{Files: late(t, images), Batch: batch, Strict: true})
		var bad *data.BadPicture
		if _, err := p.Predict(t.Context(), images, 1); !errors.As(err, &bad) || bad.Name != first {
			t.Errorf("predict, batch %d: %v", batch, err)
		}
		p = predictor(t, infer.PredictOptions{Files: late(t, images), Batch: batch, Strict: true})
		if _, err := p.Features(t.Context(), images, "fc2"); !errors.As(err, &bad) || bad.Name != first {
			t.Errorf("features, batch %d: %v", batch, err)
		}
	}
}

// TestPredictInterrupted: what is interrupted at the fifth picture opens no more than those that were being opened
// then, and returns with the context's error and no goroutine left (see TestMain).
func TestPredictInterrupted(t *testing.T) {
	atOnce(t)
	images := slices.Repeat(shapes(t)[:8], 8)
	for _, batch := range []int{1, 4, 64} {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var guard sync.Mutex
		opened := 0
		reader := hooked{files.OS, func(string) {
			guard.Lock()
			defer guard.Unlock()
			if opened++; opened == 5 {
				stop()
			}
		}}
		p := predictor(t, infer.PredictOptions{Files: reader, Batch: batch})
		if _, err := p.Predict(ctx, images, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("batch %d: %v", batch, err)
		}
		if workers := runtime.GOMAXPROCS(0); opened > 5+workers {
			t.Errorf("batch %d: %d files opened by %d workers, interrupted at the fifth", batch, opened, workers)
		}
	}
}
