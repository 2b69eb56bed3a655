package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/fetch"
	"alexnet/internal/ui"
)

// archive is a .tgz of class folders with a picture each.
func archive(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	writeJPEG(t, filepath.Join(dir, "a.jpg"))
	picture := read(t, filepath.Join(dir, "a.jpg"))
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range []string{
		"set/train/n01440764/1.JPEG", "set/train/n02102040/1.JPEG", "set/val/n01440764/2.JPEG",
	} {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(picture)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(picture); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// serveArchive is the address of such an archive.
func serveArchive(t *testing.T) string {
	t.Helper()
	content := archive(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(s.Close)
	return s.URL + "/set.tgz"
}

// TestDataFetch fetches by address, and says what to do where that fails.
func TestDataFetch(t *testing.T) {
	content := archive(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/set.tgz":
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		case "/page":
			_, _ = w.Write([]byte("<html>sign in first</html>"))
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	dir := t.TempDir()
	run := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		c := exec.Command("alexnet", append([]string{"data", "fetch"}, args...)...)
		c.Dir = dir
		var out, err bytes.Buffer
		c.Stdout, c.Stderr = &out, &err
		_ = c.Run()
		if got := c.ProcessState.ExitCode(); got != code {
			t.Errorf("%v: exit code %d, want %d\n%s", args, got, code, err.Bytes())
		}
		return out.String(), err.String()
	}
	sum := sha256.Sum256(content)
	out, _ := run(exitOK, s.URL+"/set.tgz")
	want := fmt.Sprintf("data/set: 3 files unpacked from %.1f MB\n"+
		"SHA-256 %s (compared with nothing: nobody publishes one)\n"+
		"alexnet data info data/set shows what is in it\n", float64(len(content))/1e6, hex.EncodeToString(sum[:]))
	if out != want {
		t.Errorf("got %s\nwant %s", out, want)
	}
	finish(t, dir, "data", "info", "data/set")
	out, _ = run(exitOK, s.URL+"/set.tgz", "--out", "again", "--json")
	var r fetchResult
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Out != "again" || r.Files != 3 || r.Verified ||
		r.Bytes != int64(len(content)) {
		t.Errorf("%v: %s", err, out)
	}
	for _, c := range []struct {
		code int
		arg  string
		want []string
	}{
		{exitFailed, s.URL + "/set.tgz", []string{"data/set is not empty", "alexnet data info data/set"}},
		{exitFailed, s.URL + "/no.tgz", []string{"the server answers 404 Not Found", "check the address"}},
		{exitFailed, s.URL + "/page", []string{"the archive is neither a tar, a .tar.gz nor a zip"}},
		{exitNoData, "ImageNet", []string{"an account", "ILSVRC2012_img_train.tar", "https://image-net.org"}},
		{exitUsage, "imagenete", []string{"imagenete is neither an address nor", "alexnet data fetch imagenette"}},
		{exitUsage, s.URL + "/x.7z", []string{"archives of the form .7z are not unpacked", ".tar.gz"}},
		{exitUsage, "ftp://example.org/x", []string{"is neither an address"}},
		{exitUsage, "/etc/passwd", []string{"is neither an address"}},
	} {
		_, words := run(c.code, c.arg)
		for _, want := range c.want {
			if !strings.Contains(words, want) {
				t.Errorf("%s: got %s\nwant %s", c.arg, words, want)
			}
		}
	}
	for _, left := range []string{"page", "page.partial", "no.partial"} {
		if _, err := os.Stat(filepath.Join(dir, "data", left)); err == nil {
			t.Errorf("data/%s is there", left)
		}
	}
}

// TestDataFetchPlaces: where no folder can be made, that is said before anything is asked for.
func TestDataFetchPlaces(t *testing.T) {
	dir := t.TempDir()
	err := os.WriteFile(filepath.Join(dir, "a file"), nil, 0o666)
	if err := errors.Join(err, os.Mkdir(filepath.Join(dir, "empty"), 0o777)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, out, want string }{
		{"empty", ".", "error: the folder . cannot be replaced: it is the current folder\n" +
			"next:  name a new folder with --out\n"},
		{"empty", "..", "error: .. is not empty\n" +
			"next:  alexnet data info .. shows what is in it; or name another folder with --out\n"},
		{"", "a file", "error: a file is a file, not a folder\nnext:  name another folder with --out\n"},
		{"", "a file/set", "error: a file is a file, not a folder\nnext:  name another folder with --out\n"},
	} {
		cmd := exec.Command("alexnet", "data", "fetch", "http://127.0.0.1:1/set.tgz", "--out", c.out)
		cmd.Dir = filepath.Join(dir, c.in)
		if words, err := cmd.CombinedOutput(); err == nil || string(words) != c.want {
			t.Errorf("%s in %q: got %s\nwant %s", c.out, c.in, words, c.want)
		}
	}
}

// TestDataFetchInterrupted says why it waits, and at Ctrl-C that what was downloaded is kept.
func TestDataFetchInterrupted(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy.tgz" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Length", "9000000")
		_, _ = w.Write(make([]byte, 1_500_000))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	for _, c := range []struct {
		name, file string // that is so large when it is time
		size       int
		want       string
	}{
		{"busy.tgz", "words", 20, "cannot fetch ADDRESS: 503 Service Unavailable; trying again in 1s\n" +
			"error: interrupted (SIGINT)\n"},
		{"slow.tgz", "data/slow.partial/archive", 1_500_000, "error: interrupted (SIGINT)\n" +
			"next:  the same command again goes on after 1.5 MB\n"},
	} {
		dir := t.TempDir()
		words, err := os.Create(filepath.Join(dir, "words"))
		if err != nil {
			t.Fatal(err)
		}
		defer words.Close()
		cmd := exec.Command("alexnet", "data", "fetch", s.URL+"/"+c.name)
		cmd.Dir, cmd.Stderr = dir, words
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 3000 {
			if info, err := os.Stat(filepath.Join(dir, c.file)); err == nil && info.Size() >= int64(c.size) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		got := string(read(t, filepath.Join(dir, "words")))
		want := strings.ReplaceAll(c.want, "ADDRESS", s.URL+"/"+c.name)
		if code := cmd.ProcessState.ExitCode(); code != exitSignal+int(syscall.SIGINT) || got != want {
			t.Errorf("exit code %d: got %s\nwant %s", code, got, want)
		}
	}
}

// TestFetchProgress begins anew with each phase: what is left of one says nothing about another.
func TestFetchProgress(t *testing.T) {
	p := newFetchProgress(&ui.Terminal{Out: io.Discard, Err: io.Discard}, "http://example.org/set.tgz")
	bars := map[*ui.Progress]bool{p.bar: true}
	for _, phase := range []fetch.Phase{fetch.Downloading, fetch.Checking, fetch.Unpacking} {
		p.show(phase, 0, 10_000_000)
		first := p.bar
		if bars[first] {
			t.Errorf("phase %d goes on with the bar of another", phase)
		}
		bars[first] = true
		if p.show(phase, 5_000_000, 10_000_000); p.bar != first {
			t.Errorf("phase %d has two bars", phase)
		}
	}
	p.bar.Clear()
}

// TestNamesOfClasses trains on two classes of ILSVRC2012 and shows their names, not their WNIDs, but keeps these in
// JSON.
func TestNamesOfClasses(t *testing.T) {
	dir := t.TempDir()
	writeTiny(t, dir)
	finish(t, dir, "data", "fetch", serveArchive(t), "--out", "set")
	c := exec.Command("alexnet", "train", "--config", "tiny.yaml", "--data", "set", "--device", "reference",
		"--steps", "1", "--out", "run", "--set", "data.resize=16")
	c.Dir = dir
	words, err := c.CombinedOutput()
	if want := "2 classes (tench, English springer)"; err != nil || !strings.Contains(string(words), want) {
		t.Errorf("%v: %s\nwant %s", err, words, want)
	}
	c = exec.Command("alexnet", "predict", "--weights", "run", "set/set/val/n01440764/2.JPEG", "--device", "reference")
	c.Dir = dir
	if out, err := c.Output(); err != nil || !strings.Contains(string(out), "  tench\n") {
		t.Errorf("%v: %s", err, out)
	}
	c = exec.Command("alexnet", "predict", "--weights", "run", "set/set/val/n01440764/2.JPEG", "--device", "reference",
		"--json")
	c.Dir = dir
	out, err := c.Output()
	if want := `"class": "n01440764",`; err != nil || !strings.Contains(string(out), want) ||
		!strings.Contains(string(out), `"name": "tench"`) {
		t.Errorf("%v: %s\nwant %s", err, out, want)
	}
}
