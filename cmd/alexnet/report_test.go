package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"alexnet/internal/infer"
	"alexnet/internal/ui"
)

// reported runs report in a folder and gives the page and the document.
func reported(t *testing.T, dir string, args ...string) (html string, r reportResult) {
	t.Helper()
	t.Chdir(dir)
	r = document[reportResult](t, append([]string{"report", "--force", "--device", "reference"}, args...)...)
	page, err := os.ReadFile("report.html")
	if err != nil {
		t.Fatal(err)
	}
	return string(page), r
}

// TestReport: a report shows what was trained, evaluates it once, says what is missing and shows the rest.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	writeTiny(t, dir)
	for _, class := range oddNames[:5] {
		for k := range 6 {
			path := filepath.Join(dir, "odd", class, string(rune('a'+k))+".png")
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Skip("a file system without such names: ", err)
			}
			keep(t, path, smallPNG(t, 7*k))
		}
	}
	finish(t, dir, "train", "--config", "tiny.yaml", "--data", "odd", "--steps", "3", "--set", "data.val_share=0.4",
		"--device", "reference", "--out", "first")
	finish(t, dir, "train", "--config", "tiny.yaml", "--data", "odd", "--steps", "4", "--set", "data.val_share=0.4",
		"--lr", "0.5", "--device", "reference", "--out", "second")

	html, r := reported(t, dir, "first", "second", "first")
	if len(r.Runs) != 2 || r.Bytes != int64(len(html)) {
		t.Fatalf("%+v of %d bytes", r, len(html))
	}
	for _, one := range r.Runs {
		if !one.Evaluated || one.Top1Error == nil || len(one.Missing) > 0 {
			t.Errorf("%+v", one)
		}
	}
	if !strings.Contains(html, "train.lr") || strings.Contains(html, "the picture cannot be read") {
		t.Error("the page lacks the rates, or pictures")
	}

	kept, err := os.ReadFile(filepath.Join(dir, "first", outcomeName))
	if err != nil {
		t.Fatal(err)
	}
	again, r := reported(t, dir, "first", "second")
	when := regexp.MustCompile(`alexnet [^<]*`)
	if again = when.ReplaceAllString(again, ""); again != when.ReplaceAllString(html, "") || r.Runs[0].Evaluated {
		t.Error("a second report is another, or evaluates again")
	}

	// a mistaken picture can no longer be read
	html, _ = reported(t, dir, "first")
	pictures := strings.Count(html, "<img")
	var outcome infer.Outcome
	if err := json.Unmarshal(kept, &outcome); err != nil || len(outcome.Mistakes) == 0 {
		t.Fatalf("%v, %d mistakes", err, len(outcome.Mistakes))
	}
	lost := filepath.Join(dir, "odd", string(outcome.Mistakes[0].File))
	picture, err := os.ReadFile(lost)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, lost, []byte("no picture"))
	html, r = reported(t, dir, "first")
	if r.Runs[0].Evaluated || len(r.Runs[0].Missing) != 1 || strings.Count(html, "the picture cannot be read") != 1 ||
		strings.Count(html, "<img") != pictures-1 {
		t.Errorf("one picture is unreadable: %+v, %d pictures of %d", r.Runs[0], strings.Count(html, "<img"), pictures)
	}
	keep(t, lost, picture)

	// the data are gone: what was kept is shown
	if err := os.Rename(filepath.Join(dir, "odd"), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	html, r = reported(t, dir, "first")
	if r.Runs[0].Top1Error == nil || len(r.Runs[0].Missing) != 1 || !strings.Contains(html, "Most confident mistakes") {
		t.Errorf("data are gone: %+v", r.Runs[0])
	}
	_, r = reported(t, dir, "first", "--data", "moved")
	if r.Runs[0].Evaluated || len(r.Runs[0].Missing) > 0 {
		t.Errorf("with --data of the same pictures: %+v", r.Runs[0])
	}

	// a full disk
	if _, err := os.Stat("/dev/full"); err == nil {
		var said bytes.Buffer
		args := []string{"report", "first", "--no-eval", "--out", "/dev/full"}
		code := execute(args, &ui.Terminal{Out: &said, Err: &said})
		if code != exitFailed || !strings.Contains(said.String(), "no space left") {
			t.Errorf("a full disk: exit code %d, %s", code, said.String())
		}
	}

	// an outcome of another checkpoint, or a damaged one, is not used
	for name, content := range map[string][]byte{
		"another": bytes.Replace(kept, []byte(outcome.Checkpoint), []byte("x"), 1),
		"damaged": kept[:len(kept)/2],
		"forged":  bytes.Replace(kept, []byte(`"answer": `), []byte(`"answer": 9`), 1),
		"empty":   nil,
	} {
		keep(t, filepath.Join(dir, "first", outcomeName), content)
		html, r = reported(t, dir, "first", "--no-eval")
		if r.Runs[0].Top1Error != nil || len(r.Runs[0].Missing) != 1 || !strings.Contains(html, "Filters of") {
			t.Errorf("%s: %+v", name, r.Runs[0])
		}
	}

	// a net that is damaged does not keep the other run from being shown
	best := filepath.Join(dir, "first", "checkpoints", "best.safetensors")
	net, err := os.ReadFile(best)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := bytes.Clone(net)
	spoilt[len(spoilt)-9] ^= 0xff
	keep(t, best, spoilt)
	_, r = reported(t, dir, "first", "second", "--data", "moved")
	if r.Runs[0].Top1Error != nil || len(r.Runs[0].Missing) == 0 || r.Runs[1].Top1Error == nil {
		t.Errorf("a damaged net: %+v", r.Runs)
	}
	keep(t, best, net)

	// a torn line is left out, a damaged one ends the curves; without metrics, page or checkpoints the rest is there
	metrics, err := os.ReadFile(filepath.Join(dir, "first", "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		missing int
		curves  bool
	}{
		"torn":    {append(bytes.Clone(metrics), `{"step":9,`...), 1, true},
		"damaged": {bytes.Replace(metrics, []byte("{\"step\":2"), []byte("{\"step:2"), 1), 2, true},
		"empty":   {nil, 2, false},
	} {
		keep(t, filepath.Join(dir, "first", "metrics.jsonl"), c.content)
		html, r = reported(t, dir, "first", "--no-eval")
		if len(r.Runs[0].Missing) != c.missing || strings.Contains(html, `id="plots"`) != c.curves {
			t.Errorf("%s metrics: %+v, curves %v", name, r.Runs[0], !c.curves)
		}
	}
	if err := os.Remove(filepath.Join(dir, "first", "metrics.jsonl")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "first", "metrics.jsonl"), 0o777); err != nil { // as a pipe, which would wait
		t.Fatal(err)
	}
	_, r = reported(t, dir, "first", "--no-eval")
	if len(r.Runs[0].Missing) != 2 || !strings.Contains(r.Runs[0].Missing[0], "not a regular file") {
		t.Errorf("metrics are a folder: %+v", r.Runs[0])
	}
	for i, name := range []string{"metrics.jsonl", "config.yaml", "checkpoints/best.safetensors"} {
		if err := os.Remove(filepath.Join(dir, "first", name)); err != nil {
			t.Fatal(err)
		}
		html, r = reported(t, dir, "first", "--no-eval")
		if len(r.Runs[0].Missing) < 2 || !strings.Contains(html, "<h2>Runs</h2>") {
			t.Errorf("%d files are gone: %+v", i+1, r.Runs[0])
		}
	}
}

// TestReportRefuses: what cannot be reported is refused with words of its own, before a net is opened.
func TestReportRefuses(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	keep(t, filepath.Join(dir, "there.html"), nil)
	if err := os.Mkdir("empty", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"report"}, exitUsage, "needs a run folder"},
		{[]string{"report", "no"}, exitNoData, "there is no such folder"},
		{[]string{"report", "there.html"}, exitNoData, "this is a file, not a run folder"},
		{[]string{"report", "empty"}, exitNoData, "there is no run in this folder"},
		{[]string{"report", "empty", "--out", "there.html"}, exitFailed, "is there already"},
		{[]string{"report", "empty", "--out", "x.png"}, exitUsage, "it would be a .html file"},
		{[]string{"report", "empty", "--no-eval", "--data", "x"}, exitUsage, "exclude each other"},
	} {
		var said bytes.Buffer
		code := execute(c.args, &ui.Terminal{Out: &said, Err: &said})
		if code != c.code || !strings.Contains(said.String(), c.says) {
			t.Errorf("%q: exit code %d, %s", c.args, code, said.String())
		}
	}
}
