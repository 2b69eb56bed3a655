package main

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data/picture"
	"alexnet/internal/data/picture/picturetest"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/report"
)

// TestMain lets the test binary be the children, as the campaign's own is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childWord {
		os.Exit(child(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// wants holds an error to words, "" to none.
func wants(t *testing.T, what string, err error, words string) {
	t.Helper()
	switch {
	case words == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case words != "" && (err == nil || !strings.Contains(err.Error(), words)):
		t.Errorf("%s: %v, want %q", what, err, words)
	}
}

// deaf is a disk on which removing does nothing, and says that it did.
type deaf struct{ files.FS }

func (deaf) Remove(string) error { return nil }

// What a case of the failing calls must find: a temporary file that is left, an error without a name, another net's
// weights under sound checksums, a step that the run was never at.
func TestCallsFindHarm(t *testing.T) {
	dir := t.TempDir()
	b, err := newBed(filepath.Join(dir, "bed"))
	if err != nil {
		t.Fatal(err)
	}
	save := saveScene()
	for name, c := range map[string]struct {
		disk  files.FS
		op    string
		act   func(*bed, files.FS, string) error
		words string
	}{
		"sound":    {files.OS, "sync", save.act, ""},
		"leftover": {deaf{files.OS}, "sync", save.act, "was left behind"},
		"nameless": {files.OS, "sync", func(b *bed, f files.FS, dir string) error {
			return errors.Unwrap(save.act(b, f, dir))
		}, "does not name"},
		"silent": {files.OS, "sync", func(b *bed, f files.FS, dir string) error {
			_ = save.act(b, f, dir) // whoever saves says nothing of its failure
			return nil
		}, "the old checkpoint is still there"},
	} {
		t.Run(name, func(t *testing.T) {
			one := save
			one.act = c.act
			disk := filestest.New(c.disk)
			disk.Fail(c.op, 0, syscall.EIO)
			wants(t, name, one.try(b, disk, filepath.Join(dir, name)), c.words)
		})
	}
	other := filepath.Join(dir, "other.safetensors")
	for _, c := range []struct {
		step  uint64
		words string
	}{{wholeSteps, "holds other tensors"}, {wholeSteps - 1, "is of step 3 and holds"}} {
		x := numbered(1)
		x.Step, x.Sample = c.step, c.step
		if err := checkpoint.Save(files.OS, other, x); err != nil {
			t.Fatal(err)
		}
		_, err = b.whole(other)
		wants(t, "another net", err, c.words)
	}
	wants(t, "a run that is half way", b.finished(b.run(halfSteps)), "ended at step 2")
	lines := filepath.Join(dir, "lines")
	if err := os.CopyFS(lines, os.DirFS(b.run(wholeSteps))); err != nil {
		t.Fatal(err)
	}
	wants(t, "a copy of the whole run", b.finished(lines), "")
	if err := os.WriteFile(filepath.Join(lines, "metrics.jsonl"), []byte("{\"step\":1,\"lr\":1}\n"),
		0o666); err != nil {
		t.Fatal(err)
	}
	wants(t, "lost lines", b.finished(lines), "lines of the steps [1], not [1 2 3 4]")
}

// A writer's folder after a cut: an older checkpoint than was promised, a torn one, none, missing lines.
func TestCutsFindHarm(t *testing.T) {
	save := func(t *testing.T, n, lines int) string {
		dir := t.TempDir()
		if err := checkpoint.Save(files.OS, filepath.Join(dir, "last.safetensors"), numbered(n)); err != nil {
			t.Fatal(err)
		}
		w, err := report.NewWriter(files.OS, dir, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		for i := range lines {
			loss := 1.0
			if err := w.Append(report.Metrics{Step: uint64(i + 1), Epoch: 1, LR: &loss, Loss: &loss}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	wants(t, "what was promised", writtenAtLeast(save(t, 4, 4), 4), "")
	wants(t, "a later one", writtenAtLeast(save(t, 5, 6), 4), "")
	wants(t, "nothing, and nothing was promised", writtenAtLeast(t.TempDir(), 0), "")
	for what, lost := range map[string]error{
		"an older one":  writtenAtLeast(save(t, 3, 4), 4),
		"missing lines": writtenAtLeast(save(t, 4, 3), 4),
		"nothing":       writtenAtLeast(t.TempDir(), 1),
	} {
		if !errors.Is(lost, errTornOrLost) {
			t.Errorf("%s: %v", what, lost)
		}
	}
	torn := save(t, 4, 4)
	path := filepath.Join(torn, "last.safetensors")
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()-1)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := writtenAtLeast(torn, 4); !errors.Is(err, errTornOrLost) {
		t.Errorf("torn: %v", err)
	}
}

// A process that is killed, dumps, or does not end is told from one that is refused politely; limits hold.
func TestChildrenUnderLimits(t *testing.T) {
	for _, c := range []struct {
		script string
		limits limits
		code   int
		words  string
	}{
		{"echo error: no >&2; exit 12", limits{}, 12, ""},
		{"kill -9 $$", limits{}, -1, "it was killed"},
		{"echo 'panic: x' >&2; exit 2", limits{}, 2, "with a dump"},
		{"while :; do :; done", limits{cpu: time.Second}, -1, "of processor"},
		{"exec sleep 60", limits{time: 300 * time.Millisecond}, -1, "not done after"},
		{"trap '' XFSZ; head -c 5000 /dev/zero > f", limits{fileSize: 1000}, 1, ""},
	} {
		end, err := limited(t.Context(), c.limits, t.TempDir(), "/bin/sh", "-c", c.script)
		if err != nil {
			t.Fatal(err)
		}
		if end.code != c.code {
			t.Errorf("%s: exit %d, want %d: %s", c.script, end.code, c.code, end.tail())
		}
		wants(t, c.script, end.civil(), c.words)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := limited(ctx, limits{}, t.TempDir(), "/bin/true"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPlainText(t *testing.T) {
	for said, words := range map[string]string{
		"a\tb\r\nerror: é \\x1b\n": "", "x\x1b[31m": "reaches the terminal", "\u009b31m": "reaches the terminal",
		"a\n" + forged + "\n": "a line of its own", "x " + forged: "",
	} {
		wants(t, said, plainText(said), words)
	}
}

// Every way to spoil a file spoils it, now and then at least, and the same seed in the same way.
func TestDamages(t *testing.T) {
	b, err := newBed(t.TempDir(), "model.fc2.units=256")
	if err != nil {
		t.Fatal(err)
	}
	whole, err1 := os.ReadFile(b.last(wholeSteps))
	other, err2 := os.ReadFile(b.last(halfSteps))
	if err := errors.Join(err1, err2, readWhole(whole), readWhole(other)); err != nil {
		t.Fatal(err)
	}
	for i, damage := range damages {
		changed := 0
		for n := range uint64(50) {
			spoil := func() []byte { return damage(rand.New(rand.NewPCG(n, 0)), slices.Clone(whole), other) }
			spoilt := spoil()
			if !bytes.Equal(spoilt, spoil()) {
				t.Errorf("damage %d is another one each time", i)
			}
			if !bytes.Equal(spoilt, whole) {
				changed++
			}
		}
		if changed < 5 {
			t.Errorf("damage %d changed %d of 50 files", i, changed)
		}
	}
}

func TestExecutions(t *testing.T) {
	for said, want := range map[string]int{
		"": 0, "PASS\n": 0, "gathering baseline coverage: 141/156 completed\nPASS": 141,
		"gathering baseline coverage: 4/4 completed\nelapsed: 3s, execs: 295 (1/sec)\nelapsed: 4s, execs: 400": 400,
	} {
		if got := executions([]byte(said)); got != want {
			t.Errorf("%q: %d, want %d", said, got, want)
		}
	}
	all, err := fuzzTargets("../..")
	known := fuzzTarget{filepath.Clean("../../internal/config"), "FuzzParse"}
	if err != nil || len(all) < 4 || !slices.Contains(all, known) {
		t.Errorf("targets %v (%v)", all, err)
	}
}

// The picture at which a decoding process ends is told and kept.
func TestDecodeAll(t *testing.T) {
	var seeds [][]byte
	for _, base := range picturetest.Bases() {
		seeds = append(seeds, base.Bytes)
	}
	c := &testCase{dir: t.TempDir()}
	kept := filepath.Join(c.dir, "picture.bin")
	wants(t, "sound pictures", decodeAll(t.Context(), c, seeds, picture.Standard, pictureMemory, wantAny), "")
	if isThere(kept) {
		t.Error("a picture was kept")
	}
	wants(t, "another outcome", decodeAll(t.Context(), c, seeds[:1], picture.Standard, pictureMemory, wantError),
		"want: error")
	var large bytes.Buffer
	if err := png.Encode(&large, image.NewGray(image.Rect(0, 0, 8000, 8000))); err != nil {
		t.Fatal(err)
	}
	seeds[2] = large.Bytes() // 64 MB of grey, 192 MB of RGB
	wants(t, "too little memory", decodeAll(t.Context(), c, seeds, picture.Standard, 160<<20, wantAny),
		"picture 2 of the case")
	if raw, err := os.ReadFile(kept); err != nil || !bytes.Equal(raw, seeds[2]) {
		t.Errorf("kept is another picture (%v)", err)
	}
}
