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
	return opened(t, o)
}

// opened is a predictor for as long as the test takes.
func opened(t *testing.T, o infer.PredictOptions) *infer.Predictor {
	t.Helper()
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

// predict collects the answers.
func predict(ctx context.Context, p *infer.Predictor, images []string, top int) (all []infer.Prediction, err error) {
	for a, err := range p.Predict(ctx, images, top) {
		if err != nil {
			return all, err
		}
		all = append(all, a)
	}
	return all, nil
}

// table are the features of several pictures.
type table struct {
	values      []float32
	images, bad []string
}

func features(ctx context.Context, p *infer.Predictor, images []string, layer string) (all table, err error) {
	for f, err := range p.Features(ctx, images, layer) {
		switch {
		case err != nil:
			return all, err
		case f.Err != nil:
			all.bad = append(all.bad, f.Image)
			continue
		}
		all.images, all.values = append(all.images, f.Image), append(all.values, f.Values...)
	}
	return all, nil
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
		if _, err := predict(t.Context(), p, images, 1); err != nil || lonely.Load() > 0 {
			t.Fatalf("predict, batch %d: %v, the first file opened with no other: %d", batch, err, lonely.Load())
		}
		opened.Store(0)
		second = make(chan struct{})
		if _, err := features(t.Context(), p, images, "fc2"); err != nil || lonely.Load() > 0 {
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
		got, err := predict(t.Context(), p, images, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range got {
			if g.Image != images[i] || (g.Err == nil) != slices.Contains(good, i) {
				t.Errorf("batch %d: answer %d is of %s, %v", batch, i, g.Image, g.Err)
			}
			want, err := predict(t.Context(), alone, images[i:i+1], 3)
			if err != nil || !slices.Equal(g.Predictions, want[0].Predictions) {
				t.Errorf("batch %d: %s is %v, asked for on its own %v, %v", batch, g.Image, g.Predictions,
					want[0].Predictions, err)
			}
		}
		p = predictor(t, infer.PredictOptions{Files: late(t, images), Batch: batch})
		f, err := features(t.Context(), p, images, "fc2")
		if err != nil {
			t.Fatal(err)
		}
		if want := append(slices.Clone(images[1:3]), images[4:]...); !slices.Equal(f.images, want) {
			t.Errorf("batch %d: features of %v, want %v", batch, f.images, want)
		}
		if !slices.Equal(f.bad, []string{bad, missing}) {
			t.Errorf("batch %d: unreadable are %v", batch, f.bad)
		}
	}
}

// TestStrictFirst: of two unreadable pictures the first in the order given is told, though the other is met before,
// and those before it are answered.
func TestStrictFirst(t *testing.T) {
	atOnce(t)
	val, first := shapes(t), broken(t)
	images := append(slices.Clone(val[:2]), first, filepath.Join(t.TempDir(), "missing.png"))
	for _, batch := range []int{1, 4, 64} {
		p := predictor(t, infer.PredictOptions{Files: late(t, images), Batch: batch, Strict: true})
		var bad *data.BadPicture
		if got, err := predict(t.Context(), p, images, 1); !errors.As(err, &bad) || bad.Name != first || len(got) != 2 {
			t.Errorf("predict, batch %d: %v after %d answers", batch, err, len(got))
		}
		p = predictor(t, infer.PredictOptions{Files: late(t, images), Batch: batch, Strict: true})
		if _, err := features(t.Context(), p, images, "fc2"); !errors.As(err, &bad) || bad.Name != first {
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
		if _, err := predict(ctx, p, images, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("batch %d: %v", batch, err)
		}
		if workers := runtime.GOMAXPROCS(0); opened > 5+workers {
			t.Errorf("batch %d: %d files opened by %d workers, interrupted at the fifth", batch, opened, workers)
		}
	}
}

// counted counts which files are looked at.
func counted(n *atomic.Int32) files.Reader {
	return hooked{files.OS, func(string) { n.Add(1) }}
}

// TestPredictAsItGoes: an answer is there while most pictures have not been looked at yet, and whoever wants no more of
// them gets none; that many cannot be read holds nothing up.
func TestPredictAsItGoes(t *testing.T) {
	atOnce(t)
	val := shapes(t)
	good := slices.Repeat(val[:8], 50)
	unread := append([]string{val[0]}, slices.Repeat([]string{filepath.Join(t.TempDir(), "missing.png")}, 400)...)
	for _, images := range [][]string{good, unread} {
		for _, batch := range []int{1, 4} {
			ahead := int32(2*batch + runtime.GOMAXPROCS(0))
			var looked atomic.Int32
			p := predictor(t, infer.PredictOptions{Files: counted(&looked), Batch: batch})
			n := int32(0)
			for a, err := range p.Predict(t.Context(), images, 1) {
				if err != nil || a.Image != images[n] {
					t.Fatalf("answer %d is of %s, %v", n, a.Image, err)
				}
				if now := looked.Load(); now > n+ahead {
					t.Fatalf("batch %d: %d pictures looked at before answer %d", batch, now, n)
				}
				if n++; n == 100 {
					break
				}
			}
			rows := 0
			for f, err := range p.Features(t.Context(), images, "fc2") {
				if err != nil || (f.Err == nil) != (len(f.Values) > 0) {
					t.Fatalf("%+v, %v", f, err)
				}
				if rows++; rows == 5 {
					break
				}
			}
		}
	}
}
