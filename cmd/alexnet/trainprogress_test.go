package main

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/reference"
	"alexnet/internal/report"
	"alexnet/internal/step"
	"alexnet/internal/train"
	"alexnet/internal/ui"
)

// TestStalledPictures: where pictures do not come, a run says after two seconds what it waits for; it goes on when they
// do, and a first Ctrl-C ends it. The clock is the test's own.
func TestStalledPictures(t *testing.T) {
	dir := t.TempDir() + "/shapes"
	if err := demo.Write(t.Context(), files.OS, dir, demo.Options{Train: 2, Val: 1, Size: 16}); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load("testdata/tiny.yaml", []string{"train.epochs=1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{0, 80} {
		for _, interrupt := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) { stall(t, dir, cfg, width, interrupt) })
		}
	}
}

func stall(t *testing.T, dir string, cfg *config.Config, width int, interrupt bool) {
	disk := filestest.New(files.OS)
	source, err := data.Open(t.Context(), disk, data.At(dir), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer closeQuietly(source)
	release := disk.Hang(func(c filestest.Call) bool { return c.Op == "open" })
	var b bytes.Buffer
	term := &ui.Terminal{Err: &b, ErrWidth: width}
	shown := func() string {
		synctest.Wait()
		defer b.Reset()
		return regexp.MustCompile("\r|\x1b\\[[0-9;]*[A-Za-z]").ReplaceAllString(b.String(), "")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	devices := reference.Open(1)
	defer closeDevices(devices)
	go func() {
		_, err := train.Run(ctx, train.Options{
			Config: cfg, Devices: devices, Source: source, Progress: newTrainProgress(term, "run", 10),
		})
		done <- err
	}()
	time.Sleep(1900 * time.Millisecond)
	if got := shown(); got != "" {
		t.Errorf("after 1.9 s: %q", got)
	}
	time.Sleep(time.Second)
	if got := shown(); strings.Contains(got, "0 of 20 pictures") != (width > 0) {
		t.Errorf("%d columns, after 2.9 s: %q", width, got)
	}
	time.Sleep(30 * time.Second)
	if got := shown(); !strings.Contains(got, "mean image") || !strings.Contains(got, "0 of 20 pictures") ||
		!strings.Contains(got, "no answer for 10s") {
		t.Errorf("%d columns, after 33 s: %q", width, got)
	}
	if interrupt {
		cancel()
		if err := <-done; !errors.Is(err, train.ErrInterrupted) {
			t.Errorf("error %v", err)
		}
		release()
		synctest.Wait() // what hung comes back, to nothing
		return
	}
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := shown(); !strings.Contains(got, "epoch 1/1  step 2") {
		t.Errorf("in the end: %q", got)
	}
}

// TestEpochLines: at one width all lines of a run have the same parts in the same columns, and fit; the error stays
// longest. What a stall is is said once, where there is one.
func TestEpochLines(t *testing.T) {
	number := func(x float64) *float64 { return &x }
	for width, want := range map[int]string{
		0: "epoch step mean val top-1 top-5 images/s stall", 120: "epoch step mean val top-1 top-5 images/s stall",
		80: "epoch mean val top-1 top-5", 60: "epoch mean val top-1", 40: "epoch top-1 top-5", 25: "epoch top-1",
	} {
		var b bytes.Buffer
		p := newTrainProgress(&ui.Terminal{Err: &b, ErrWidth: width}, "run", 6)
		p.ahead = train.Start{Epochs: 30, Steps: 37500}
		for _, m := range []report.Metrics{
			{
				Epoch: 1, Step: 1250, TrainLoss: number(12.3456), ValLoss: number(2.3456), ValTop1Error: number(1),
				ValTop5Error: number(.5), ImagesPerSecond: number(9.57), DataStall: number(.3),
			},
			{
				Epoch: 30, Step: 37500, TrainLoss: number(.01234), ValLoss: number(11.3456), ValTop1Error: number(.05),
				ValTop5Error: number(0), ImagesPerSecond: number(81234), DataStall: number(1),
			},
		} {
			p.epoch = epochSums{1, 1 / *m.ImagesPerSecond, *m.DataStall / *m.ImagesPerSecond}
			p.Epoch(m)
		}
		text := strings.ReplaceAll(b.String(), "\r\x1b[K", "")
		if n := strings.Count(text, "share of the time"); n != 1 && width != 25 && width != 40 {
			t.Errorf("%d: it is said %d times what a stall is:\n%s", width, n, text)
		}
		var lines []string
		for _, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(line, "epoch ") {
				lines = append(lines, line)
			}
			if width > 0 && utf8.RuneCountInString(line) > width {
				t.Errorf("%d: %s", width, line)
			}
		}
		for _, word := range []string{"epoch", "step", "mean", "val", "top-1", "top-5", "images/s", "stall"} {
			in, then := strings.Index(lines[0], word), strings.Index(lines[1], word)
			if shown := strings.Contains(want, word); in < 0 == shown || then < 0 == shown {
				t.Errorf("%d: %s is there %t, want %t:\n%s", width, word, !shown, shown, text)
			}
			if word != "images/s" && width > 0 && in != then {
				t.Errorf("%d: %s is not in one column:\n%s", width, word, text)
			}
		}
	}
	p := newTrainProgress(&ui.Terminal{Err: &bytes.Buffer{}}, "run", step.TopK)
	few := ui.Fit(p.epochParts(report.Metrics{ValTop1Error: number(1), ValTop5Error: number(0)}), 0)
	if strings.Contains(few, "top-5") {
		t.Errorf("%d classes: %s", step.TopK, few)
	}
}

// TestPlace: the bar counts batches, those that were passed over for want of pictures too.
func TestPlace(t *testing.T) {
	whole := train.Start{Epochs: 3, StepsPerEpoch: 4, Steps: 12}
	short := train.Start{Epochs: 3, StepsPerEpoch: 4, Steps: 6} // by --steps
	for _, c := range []struct {
		ahead             train.Start
		step, skipped     uint64
		epoch             int
		done, left, total int64
	}{
		{whole, 1, 0, 1, 1, 11, 4},
		{whole, 12, 0, 3, 4, 0, 4},
		{whole, 3, 2, 2, 1, 7, 4}, // the fifth batch
		{whole, 10, 2, 3, 4, 0, 4},
		{short, 5, 0, 2, 1, 1, 2},
		{short, 5, 1, 2, 2, 1, 3},
		{train.Start{Epochs: 3, StepsPerEpoch: 4, Steps: 10, First: 3, Skipped: 2}, 10, 2, 3, 4, 0, 4},
	} {
		p := trainProgress{ahead: c.ahead}
		done, left, total := p.place(report.Metrics{Step: c.step, Epoch: c.epoch, SkippedBatches: c.skipped})
		if done != c.done || left != c.left || total != c.total {
			t.Errorf("%+v: %d done, %d left of %d", c, done, left, total)
		}
	}
}

// TestSlowEnd: a second after the signal the program says what it is still at; nothing where it has ended by then.
func TestSlowEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, takes := range []time.Duration{0, 900 * time.Millisecond, 1100 * time.Millisecond} {
			var b bytes.Buffer
			term := &ui.Terminal{Err: &b}
			ctx, cancel := context.WithCancel(t.Context())
			over := tellSlowEnd(ctx, term)
			phase := term.Phase("opening the weights")
			time.Sleep(time.Minute)
			synctest.Wait()
			b.Reset()
			cancel()
			time.Sleep(takes)
			phase.Clear()
			over()
			synctest.Wait()
			want := ""
			if takes > time.Second {
				want = "stopping, still opening the weights; once more to quit at once\n"
			}
			if b.String() != want {
				t.Errorf("after %v: %q", takes, b.String())
			}
		}
	})
}
