package report

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"alexnet/internal/files"
)

// readMetrics reads a metrics.jsonl, leaving out a torn last line.
func readMetrics(path string) (all []Metrics, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_, err = scan(f, math.MaxUint64, func(l line) { all = append(all, l.m) })
	return all, err
}

func step(n uint64) Metrics {
	return Metrics{
		Step: n, Epoch: int(n-1)/3 + 1, Loss: new(1 / float64(n)), LR: new(0.01), ImagesPerSecond: new(28.3),
		DataStall: new(0.0),
	}
}

func epochEnd(n uint64) Metrics {
	return Metrics{
		Step: n, Epoch: int(n) / 3, ValLoss: new(2 / float64(n)), ValTop1Error: new(0.5), ValTop5Error: new(0.25),
	}
}

// undisturbed are the lines of a run of six steps with an epoch's end after each three.
func undisturbed() []Metrics {
	return []Metrics{step(1), step(2), step(3), epochEnd(3), step(4), step(5), step(6), epochEnd(6)}
}

func write(t interface{ Fatal(...any) }, dir string, from uint64, ms ...Metrics) {
	writeTo(t, files.OS, dir, from, ms...)
}

func writeTo(t interface{ Fatal(...any) }, fsys files.FS, dir string, from uint64, ms ...Metrics) {
	w, err := NewWriter(fsys, dir, from, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		if err := tell(w, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// tell appends a line, and after that of an epoch's last step a picture and a histogram, as a run does.
func tell(w *Writer, m Metrics) error {
	err := w.Append(m)
	if err != nil || m.LR == nil || m.Step%3 > 0 {
		return err
	}
	return w.Show(m.Step, []Image{{Tag: "filters/conv1", Width: 1, Height: 1, PNG: []byte{byte(m.Step)}}},
		[]Histogram{Count("weights/conv1.weight", []float32{float32(m.Step)})})
}

func content(t interface{ Fatal(...any) }, dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The keys are what users' scripts read.
func TestLines(t *testing.T) {
	dir := t.TempDir()
	all := Metrics{
		Step: 300, Epoch: 2, Loss: new(6.5), Top1Error: new(0.75), Top5Error: new(0.5), LR: new(0.01),
		ImagesPerSecond: new(28.25), DataStall: new(0.125), BadPictures: 3, ValLoss: new(6.25),
		ValTop1Error: new(0.0), ValTop5Error: new(0.25), ExchangeBytes: new(60030976.0), ExchangeSeconds: new(0.5),
	}
	write(t, dir, 0, Metrics{Step: 1, Epoch: 1, Loss: new(6.9)}, all)
	want := `{"step":1,"epoch":1,"loss":6.9}
{"step":300,"epoch":2,"loss":6.5,"top1_error":0.75,"top5_error":0.5,"lr":0.01,"images_per_second":28.25,` +
		`"data_stall":0.125,"bad_pictures":3,` +
		`"val_loss":6.25,"val_top1_error":0,"val_top5_error":0.25,"exchange_bytes":60030976,"exchange_seconds":0.5}
`
	if got := content(t, dir); got != want {
		t.Errorf("file holds\n%s\nwant\n%s", got, want)
	}
	got, err := readMetrics(filepath.Join(dir, fileName))
	if err != nil || len(got) != 2 || !reflect.DeepEqual(got[1], all) {
		t.Errorf("read back %+v, %v", got, err)
	}
}

// A run killed at any byte and resumed from any earlier checkpoint leaves the file of an undisturbed run.
func TestResumedFileEqualsUndisturbed(t *testing.T) {
	clean := t.TempDir()
	write(t, clean, 0, undisturbed()...)
	want := content(t, clean)
	ms := undisturbed()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(clean, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, fileName)
		done := 0 // lines that the checkpoint covers
		for range rapid.IntRange(1, 4).Draw(t, "kills") {
			write(t, dir, stepOf(ms, done), ms[done:]...)
			// The checkpoint is written after the lines of its step; an epoch's end may follow a checkpoint of the same
			// step.
			done = rapid.IntRange(done, len(ms)).Draw(t, "lines before the checkpoint")
			size := int64(len(strings.Join(strings.SplitAfter(want, "\n")[:done], "")))
			if err := os.Truncate(path, rapid.Int64Range(size, int64(len(want))).Draw(t, "killed at byte")); err !=
				nil {
				t.Fatal(err)
			}
		}
		write(t, dir, stepOf(ms, done), ms[done:]...)
		if got := content(t, dir); got != want {
			t.Errorf("resumed after %d lines:\n%s\nwant\n%s", done, got, want)
		}
	})
}

func stepOf(ms []Metrics, lines int) uint64 {
	if lines == 0 {
		return 0
	}
	return ms[lines-1].Step
}

// What follows a checkpoint of the same step is written again, not twice: but another step's, or a step's own line,
// takes nothing away.
func TestEpochEndIsReplacedOnlyByItself(t *testing.T) {
	for name, c := range map[string]struct{ then, want []Metrics }{
		"itself":         {[]Metrics{epochEnd(3), step(4)}, []Metrics{step(3), epochEnd(3), step(4)}},
		"the next step":  {[]Metrics{step(4)}, []Metrics{step(3), epochEnd(3), step(4)}},
		"a later itself": {[]Metrics{step(4), epochEnd(3)}, []Metrics{step(3), epochEnd(3), step(4), epochEnd(3)}},
	} {
		dir := t.TempDir()
		write(t, dir, 0, step(3), epochEnd(3))
		write(t, dir, 3, c.then...)
		got, err := readMetrics(filepath.Join(dir, fileName))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: file holds\n%s(%v)", name, content(t, dir), err)
		}
	}
}

func TestDamage(t *testing.T) {
	const one, two, three = `{"step":1,"epoch":1}` + "\n", `{"step":2,"epoch":1}` + "\n", `{"step":3,"epoch":1}` + "\n"
	for _, c := range []struct {
		text  string
		steps int    // that can be read; -1: an error
		kept  string // after NewWriter(files.OS, dir, 2); "-": an error
	}{
		{"", 0, ""},
		{one, 1, one},
		{one + `{"step":2,"epo`, 1, one},
		{one + `{"step":2,"epoch":1}`, 1, one}, // whole but for the line's end
		{one + "\x00\x00\x00\n", 1, one},
		{one + "\x00\n\x00\n\x00", 1, one},
		{one + two + three, 3, one + two},
		{one + "rubbish\n" + three, -1, one},
		{one + "rubbish\n" + two, -1, "-"},
		{"\n" + two, -1, "-"},
		{`{"step":"one"}` + "\n" + two, -1, "-"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, fileName)
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		ms, err := readMetrics(path)
		if c.steps >= 0 && (err != nil || len(ms) != c.steps) {
			t.Errorf("%q: read %d lines, %v, want %d", c.text, len(ms), err, c.steps)
		}
		if c.steps < 0 && (err == nil || !strings.HasPrefix(err.Error(), "line ")) {
			t.Errorf("%q: error %v", c.text, err)
		}
		w, err := NewWriter(files.OS, dir, 2, true)
		if c.kept == "-" {
			if err == nil || !strings.Contains(err.Error(), path+": line ") ||
				!errors.As(err, new(*BrokenError)) {
				t.Errorf("%q: NewWriter: %v", c.text, err)
			}
			if got := content(t, dir); got != c.text {
				t.Errorf("%q was changed to %q", c.text, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: NewWriter: %v", c.text, err)
			continue
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := content(t, dir); got != c.kept {
			t.Errorf("%q became %q, want %q", c.text, got, c.kept)
		}
	}
}

func TestLineLongerThanTheBuffer(t *testing.T) {
	long := fmt.Sprintf(`{"step":1,"epoch":1,"note":%q}`+"\n", strings.Repeat("x", 1<<17))
	all, end := 0, int64(0)
	end, err := scan(strings.NewReader(long+long), 1, func(line) { all++ })
	if err != nil || all != 2 || end != int64(2*len(long)) {
		t.Errorf("%d lines up to byte %d, %v", all, end, err)
	}
}

func TestAppendRefusesWhatIsNotFinite(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWriter(files.OS, dir, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []float64{math.NaN(), math.Inf(1)} {
		if err := w.Append(Metrics{Step: 7, Loss: &x}); err == nil ||
			!strings.Contains(err.Error(), "metrics of step 7") {
			t.Errorf("loss %g: error %v", x, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, dir); got != "" {
		t.Errorf("file holds %q", got)
	}
}

func TestNoFolder(t *testing.T) {
	if _, err := NewWriter(files.OS, filepath.Join(t.TempDir(), "no"), 0, true); !os.IsNotExist(err) {
		t.Errorf("NewWriter: %v", err)
	}
}
