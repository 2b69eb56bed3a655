//go:build linux || darwin

package verify

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/atomicfile"
	"alexnet/internal/config"
	"alexnet/internal/files"
	"alexnet/internal/neighbors"
	"alexnet/internal/npy"
	"alexnet/internal/reference"
	"alexnet/internal/report"
	"alexnet/internal/run"
	"alexnet/internal/safetensors"
	"alexnet/internal/step/steptest"
	"alexnet/internal/tensor"
	"alexnet/internal/train"
)

// trained is a run of nine steps, four an epoch, with the last checkpoint of the last of them. Where it was killed
// later there are three steps more in its metrics, and a second file of events.
func trained(t testing.TB, killed bool) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "run")
	d, err := run.Create(files.OS, dir)
	if err != nil {
		t.Fatal(err)
	}
	o := train.Options{
		Config: steptest.Page(t, "train.epochs=9"), Devices: reference.Open(2), Source: steptest.Pictures(), Dir: d,
		Steps: 9,
	}
	if _, err := train.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if !killed {
		return dir
	}
	w, err := report.NewWriter(files.OS, dir, 9, true)
	if err != nil {
		t.Fatal(err)
	}
	for step := range uint64(3) {
		if err := w.Append(report.Metrics{Step: 10 + step, Epoch: 3, Loss: new(1.5), LR: new(.01)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// verified are the findings of a run that are not Sound.
func verified(t testing.TB, dir string) []Finding {
	t.Helper()
	all, err := Run(t.Context(), files.OS, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(f Finding) bool { return f.Status == Sound })
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func keep(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestSoundRun(t *testing.T) {
	for _, killed := range []bool{false, true} {
		dir := trained(t, killed)
		if found := verified(t, dir); len(found) > 0 {
			t.Errorf("killed %v: %v", killed, found)
		}
		all, err := Run(t.Context(), files.OS, dir, nil)
		if err != nil || len(all) < 6 {
			t.Errorf("%d findings, %v: %v", len(all), err, all)
		}
	}
	if all, err := Run(t.Context(), files.OS, "../../cmd/alexnet/testdata/old/run", nil); err != nil || IsDamaged(all) {
		t.Errorf("an old run: %v, %v", all, err)
	}
}

// TestEventOwed: a trainer that was killed between an epoch's line and its event, after the checkpoint of the epoch's
// last step, leaves a sound run; the same without its lock, or with two such lines, is damage.
func TestEventOwed(t *testing.T) {
	dir := trained(t, false)
	metrics := filepath.Join(dir, metricsName)
	owed := `{"step":9,"epoch":3,"val_loss":1.5}` + "\n"
	lines := string(read(t, metrics)) + owed
	for _, c := range []struct {
		lines   string
		lock    bool
		damaged bool
	}{{lines, true, false}, {lines, false, true}, {lines + owed, true, true}} {
		keep(t, metrics, []byte(c.lines))
		if c.lock {
			keep(t, filepath.Join(dir, lockName), []byte("4711\n"))
		} else if err := os.Remove(filepath.Join(dir, lockName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if found := verified(t, dir); IsDamaged(found) != c.damaged {
			t.Errorf("%+v: %v", c, found)
		}
	}
}

// TestLockIsAPipe: a folder of a stranger may have anything for a lock, and nobody waits for it.
func TestLockIsAPipe(t *testing.T) {
	dir := trained(t, false)
	if err := syscall.Mkfifo(filepath.Join(dir, lockName), 0o666); err != nil {
		t.Fatal(err)
	}
	if found := verified(t, dir); len(found) != 1 || found[0].Status != Damaged ||
		found[0].Text != "it is a pipe, not a regular file: no run goes on here" {
		t.Errorf("%v", found)
	}
	list, err := run.List(files.OS, dir)
	if err != nil || len(list) != 1 || list[0].PID != 0 {
		t.Errorf("listed: %+v, %v", list, err)
	}
}

// TestFirstLineDamaged: that line 1 is damaged does not mean that others stood before it.
func TestFirstLineDamaged(t *testing.T) {
	dir := trained(t, false)
	path := filepath.Join(dir, metricsName)
	keep(t, path, []byte(strings.Replace(string(read(t, path)), `"loss":`, `"Loss":`, 1)))
	found := verified(t, dir)
	if !IsDamaged(found) || slices.ContainsFunc(found, func(f Finding) bool {
		return strings.Contains(f.Text, "moved away")
	}) {
		t.Errorf("%v", found)
	}
}

// TestNoCheckpoints: where the metrics go on after an epoch there was a checkpoint; before, there may be none yet.
func TestNoCheckpoints(t *testing.T) {
	dir := trained(t, false)
	if err := os.RemoveAll(filepath.Join(dir, "checkpoints")); err != nil {
		t.Fatal(err)
	}
	found := verified(t, dir)
	if !slices.ContainsFunc(found, func(f Finding) bool {
		return f.Status == Damaged && strings.Contains(f.Text, "at whose end it was written")
	}) {
		t.Errorf("after an epoch: %v", found)
	}
	path := filepath.Join(dir, metricsName)
	first, _, _ := strings.Cut(string(read(t, path)), "\n")
	keep(t, path, []byte(first+"\n"))
	for _, f := range verified(t, dir) {
		if strings.HasSuffix(string(f.File), lastName) && f.Status != Remark {
			t.Errorf("after a step: %v", f)
		}
	}
}

// flippable are the files of a run that carry something, and how many bits of each are flipped.
func flippable(t testing.TB, dir string) map[string]int {
	t.Helper()
	events, err := filepath.Glob(filepath.Join(dir, "events*"))
	if err != nil || len(events) == 0 {
		t.Fatal(events, err)
	}
	flips := 150
	if testing.Short() {
		flips = 20
	}
	all := map[string]int{
		lastName: flips, bestName: flips, configName: flips, metricsName: 2 * flips, curvesName: flips / 10,
	}
	for _, e := range events {
		all[filepath.Base(e)] = flips
	}
	return all
}

// TestFlips: whichever bit of whichever file is another, the run is damaged, and the file at fault is named. A page may
// also differ in what a resume may change, or in how it is written; that is a remark.
func TestFlips(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 1))
	dir := trained(t, true)
	curves := read(t, filepath.Join(dir, curvesName))
	for name, flips := range flippable(t, dir) {
		path := filepath.Join(dir, name)
		whole := curves
		if name != curvesName {
			whole = read(t, path)
			_ = os.Remove(filepath.Join(dir, curvesName)) // which takes time to decode
		} else {
			keep(t, path, curves)
		}
		for range flips {
			bit := r.IntN(8 * len(whole))
			b := slices.Clone(whole)
			b[bit/8] ^= 1 << (bit % 8)
			keep(t, path, b)
			if !named(verified(t, dir), name, name == configName) {
				t.Errorf("bit %d of byte %d of %s flipped, of %d: %v", bit%8, bit/8, name, len(whole), verified(t, dir))
			}
		}
		keep(t, path, whole)
	}
}

// named tells whether damage of the file was found, or a remark on it.
func named(found []Finding, name string, remark bool) bool {
	return slices.ContainsFunc(found, func(f Finding) bool {
		return strings.HasSuffix(string(f.File), name) && (f.Status == Damaged || remark && f.Status == Remark)
	})
}

// TestCuts: a file that is cut anywhere is damaged and named, but where what is lost is only what comes after the last
// checkpoint: a run that goes on writes that again.
func TestCuts(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 2))
	dir := trained(t, true)
	_ = os.Remove(filepath.Join(dir, curvesName))
	for name := range flippable(t, dir) {
		if name == curvesName {
			continue
		}
		path := filepath.Join(dir, name)
		whole := read(t, path)
		safe := len(whole)
		switch {
		case name == metricsName:
			safe = strings.Index(string(whole), `{"step":10,`)
		case strings.HasPrefix(name, "events"):
			safe = eventsUpTo(t, path, 9)
		}
		for range 60 {
			n := r.IntN(len(whole))
			keep(t, path, whole[:n])
			found := verified(t, dir)
			is := slices.ContainsFunc(found, func(f Finding) bool {
				file := string(f.File)
				return f.Status == Damaged && (strings.HasSuffix(file, name) ||
					strings.HasPrefix(name, "events") && strings.HasSuffix(file, "events.out.tfevents.*"))
			})
			if name == configName && len(found) > 0 {
				is = true
			}
			if is != (n < safe) {
				t.Errorf("%s cut at byte %d of %d, of which %d are durable: %v", name, n, len(whole), safe, found)
			}
		}
		keep(t, path, whole)
	}
}

// eventsUpTo is where the events of a step end in a file.
func eventsUpTo(t testing.TB, path string, step uint64) (end int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	end = -1
	err = report.ReadEvents(f, func(e report.Event) error {
		if e.Step > step && end < 0 {
			end = int(e.At)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if end < 0 {
		end = len(read(t, path))
	}
	return end
}

// TestParts: each kind of damage is told of by its name.
func TestParts(t *testing.T) {
	dir := trained(t, false)
	at := func(name string) string { return filepath.Join(dir, name) }
	other := trained(t, false)
	last := read(t, at(lastName))
	for _, c := range []struct {
		name string // of the file to spoil
		how  func(b []byte) []byte
		want string // of a finding
		is   Status
	}{
		{lastName, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, "tensor optim.fc3.bias: ", Damaged},
		{lastName, func(b []byte) []byte { b[12] ^= 1; return b }, "header: ", Damaged},
		{lastName, func([]byte) []byte { return nil }, "and there is a best checkpoint", Damaged},
		{bestName, func([]byte) []byte { return nil }, "the last checkpoint knows of one", Damaged},
		{bestName, func([]byte) []byte { return last }, "the run was killed between the two", Remark},
		{configName, func([]byte) []byte { return nil }, "it is missing", Damaged},
		{configName, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "epochs: 9", "epochs: 8", 1))
		}, "in train.epochs", Remark},
		{configName, func(b []byte) []byte {
			reading := []string{"data.workers=3", "data.retry=1s", "data.cache=2", "data.bad_share=1"}
			page, err := config.Parse(b, reading)
			if err != nil {
				t.Fatal(err)
			}
			again, err := page.YAML()
			if err != nil {
				t.Fatal(err)
			}
			return again
		}, "in how pictures are read", Remark},
		{configName, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "lr: 0.01", "lr: 0.02", 1))
		}, "not the page in the last checkpoint", Damaged},
		{configName, func([]byte) []byte { return []byte("nonsense: 1\n") }, "nonsense", Damaged},
		{metricsName, func([]byte) []byte { return nil }, "it is missing", Damaged},
		{metricsName, func(b []byte) []byte { return append(b, `{"step":10,"ep`...) }, "line 13: it is torn", Remark},
		{metricsName, func(b []byte) []byte { return append(b, "\x00\n"...) }, "line 13: ", Damaged},
		{metricsName, func(b []byte) []byte {
			i := strings.Index(string(b), "\n") + 1
			return append(b[:i:i], b[i+strings.Index(string(b[i:]), "\n")+1:]...)
		}, "line 2: it is of step 3, after step 1", Damaged},
		{metricsName, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), `"loss":`, `"Loss":`, 1))
		}, "line 1: it is not as this program writes lines", Damaged},
		{metricsName, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), `"lr":0.01`, `"lr":0.02`, 1))
		}, "line 1: its checksum in record 2 of ", Damaged},
		{"lock", func([]byte) []byte { return []byte("4711\n") }, "process 4711 trains in this folder, or was", Remark},
		{"checkpoints/.best.safetensors.tmp", func([]byte) []byte { return []byte{1} }, "writer was killed", Remark},
		{curvesName, func(b []byte) []byte { return append(b, 0) }, "1 bytes follow its end", Damaged},
		{curvesName, func(b []byte) []byte { return b[:100] }, "chunk 2: the file ends in it", Damaged},
		{curvesName, func([]byte) []byte { return nil }, "could not be drawn, or were removed", Remark},
	} {
		var whole []byte
		if _, err := os.Stat(at(c.name)); err == nil {
			whole = read(t, at(c.name))
		}
		spoilt := c.how(slices.Clone(whole))
		if spoilt == nil {
			if err := os.Remove(at(c.name)); err != nil {
				t.Fatal(err)
			}
		} else {
			keep(t, at(c.name), spoilt)
		}
		found := verified(t, dir)
		if !slices.ContainsFunc(found, func(f Finding) bool {
			return f.Status == c.is && string(f.File) == at(c.name) && strings.Contains(f.String(), c.want)
		}) {
			t.Errorf("%s: %v, want %s %q", c.name, found, c.is, c.want)
		}
		if whole == nil {
			if err := os.Remove(at(c.name)); err != nil {
				t.Fatal(err)
			}
		} else {
			keep(t, at(c.name), whole)
		}
	}
	o := train.Options{
		Config: steptest.Page(t, "train.seed=2"), Devices: reference.Open(1), Source: steptest.Pictures(),
	}
	d, err := run.Create(files.OS, filepath.Join(other, "..", "third"))
	if err != nil {
		t.Fatal(err)
	}
	o.Dir, o.Steps = d, 4
	if _, err := train.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	keep(t, at(bestName), read(t, d.Checkpoint(run.Best)))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if found := verified(t, dir); !named(found, bestName, false) {
		t.Errorf("another run's best: %v", found)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	var b bytes.Buffer
	if err := npy.Encode(&b, make([]float32, 12), []int{3, 4}); err != nil {
		t.Fatal(err)
	}
	array := b.Bytes()
	keep(t, at("a.npy"), array)
	keep(t, at("cut.npy"), array[:len(array)-1])
	keep(t, at("head.npy"), array[:30])
	var m atomicfile.Memory
	w, err := neighbors.NewWriter(&m, neighbors.Of{Net: "1f", Layer: "fc7", Names: []string{"cat"}}, 3)
	if err = errors.Join(err, w.Add("1.jpg", 0, []float32{1, 2, 3}), w.Close()); err != nil {
		t.Fatal(err)
	}
	rows := slices.Clone(m.Bytes)
	rows[70] ^= 1 // in a row
	keep(t, at("rows.index"), rows)
	keep(t, at("cut.index"), m.Bytes[:100])
	keep(t, at("index"), m.Bytes)
	keep(t, at("notes.txt"), []byte("hello"))
	keep(t, at("nothing.safetensors"), nil)
	for _, name := range []string{"lfs.safetensors", "lfs.npy", "lfs"} {
		keep(t, at(name), []byte("version https://git-lfs.github.com/spec/v1\n"))
	}
	header := `{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}`
	keep(t, at("theirs.safetensors"), append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header+"12345678"...))
	own := []tensor.Tensor{tensor.Of("w", []int{2}, []float32{1, float32(zero / zero)})}
	if err := safetensors.Write(files.OS, at("own.safetensors"), nil, own); err != nil {
		t.Fatal(err)
	}
	keep(t, at("by-content"), read(t, at("own.safetensors")))
	if err := syscall.Mkfifo(at("fifo.jsonl"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"a.npy":               "sound an array of shape [3 4]",
		"cut.npy":             "damaged it is 175 bytes long, its header says 176",
		"head.npy":            "damaged cut short",
		"index":               "sound an index of 1 picture, 3 numbers of each, every checksum agrees",
		"rows.index":          "damaged the index is damaged: rows 0 to 0",
		"cut.index":           "damaged the index is cut short",
		"notes.txt":           "damaged it is not a kind of file",
		"nothing.safetensors": "damaged 0 bytes are too few",
		"lfs.safetensors":     "damaged it is a pointer of Git LFS",
		"lfs.npy":             "damaged it is a pointer of Git LFS",
		"lfs":                 "damaged it is a pointer of Git LFS",
		"theirs.safetensors":  "remark 1 tensor; the file is another program's and has no checksums",
		"own.safetensors":     "remark its checksum agrees, but some of its numbers are infinite or none",
		"by-content":          "sound weights: 1 tensor, every checksum agrees",
		"fifo.jsonl":          "damaged it cannot be read: it is not a regular file",
	} {
		all, err := File(t.Context(), files.OS, at(name), nil)
		if err != nil || !slices.ContainsFunc(all, func(f Finding) bool {
			return strings.HasPrefix(string(f.Status)+" "+f.Text, want)
		}) {
			t.Errorf("%s: %v, %v; want %q", name, all, err, want)
		}
	}
	if _, err := File(t.Context(), files.OS, at("none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Run(t.Context(), files.OS, dir, nil); !errors.Is(err, ErrNoRun) {
		t.Errorf("no run: %v", err)
	}
}

var zero float64

// TestEnds: the end of the context is heard in the midst of a tensor and of a file that is read from end to end.
func TestEnds(t *testing.T) {
	dir := trained(t, false)
	for _, name := range []string{lastName, metricsName} {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		_, err := File(ctx, files.OS, filepath.Join(dir, name), func(string, int64, int64) {
			calls++
			cancel()
		})
		if !errors.Is(err, context.Canceled) || calls > 1 {
			t.Errorf("%s: %v after %d blocks", name, err, calls)
		}
	}
}

// TestBesideAWriter: nothing of a run that is under way, or goes on, is taken for damage.
func TestBesideAWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	done := make(chan error, 1)
	d, err := run.Create(files.OS, dir)
	if err != nil {
		t.Fatal(err)
	}
	sets := []string{"train.epochs=9", "train.checkpoint_steps=1"}
	go func() {
		o := train.Options{
			Config: steptest.Page(t, sets...), Devices: reference.Open(2), Source: steptest.Pictures(), Dir: d,
			Steps: 30,
		}
		_, err := train.Run(t.Context(), o)
		done <- errors.Join(err, d.Close())
	}()
	looks := 0
	for {
		select {
		case err := <-done:
			if err != nil || looks < 3 {
				t.Errorf("%d looks, %v", looks, err)
			}
			return
		default:
		}
		begun := exists(filepath.Join(dir, metricsName)) // the page comes before the metrics
		all, err := Run(t.Context(), files.OS, dir, nil)
		switch {
		case errors.Is(err, ErrNoRun): // not begun
		case err != nil:
			t.Error(err)
		case IsDamaged(all):
			if r := slices.ContainsFunc(all, func(f Finding) bool {
				return f.Status == Damaged && string(f.File) != filepath.Join(dir, configName)
			}); r || begun {
				t.Errorf("look %d: %v", looks, all)
			}
		}
		looks++
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
