package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"alexnet/internal/serve"
	"alexnet/internal/ui"
)

// liveAddress is what train says where it shows a run.
var liveAddress = regexp.MustCompile(`live: (http://\S+)`)

// visitor is the notes of a command, and visits the address as soon as they name one.
type visitor struct {
	mu   sync.Mutex
	said bytes.Buffer
	url  string
	page string
}

func (v *visitor) Write(b []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.said.Write(b)
	if m := liveAddress.FindSubmatch(v.said.Bytes()); m != nil && v.url == "" {
		v.url = string(m[1])
		if r, err := http.Get(v.url); err == nil {
			page, _ := io.ReadAll(r.Body)
			r.Body.Close()
			v.page = r.Status + "\n" + string(page)
		}
	}
	return len(b), nil
}

// TestTrainLive: a run is shown from its start on, one that goes on with what was before; --json stays JSON; a dry run
// only looks whether the address can be had.
func TestTrainLive(t *testing.T) {
	dir := t.TempDir()
	writeTiny(t, dir)
	t.Chdir(dir)
	finish(t, dir, "data", "demo", "--out", "pictures", "--train", "4", "--val", "1")
	train := func(args ...string) (int, *visitor, string) {
		t.Helper()
		var out bytes.Buffer
		v := &visitor{}
		args = append([]string{"train", "--device", "reference"}, args...)
		return execute(args, &ui.Terminal{Out: &out, Err: v}), v, out.String()
	}
	code, v, out := train("--config", "tiny.yaml", "--data", "pictures", "--steps", "2", "--out", "run", "--live",
		"--json")
	if code != exitOK || !json.Valid([]byte(out)) || !strings.HasPrefix(v.page, "200 OK\n") {
		t.Fatalf("exit code %d: %s%s%.200s", code, out, v.said.String(), v.page)
	}
	if !strings.Contains(v.page, "Live: run") || !strings.Contains(v.page, "train.steps") &&
		!strings.Contains(v.page, "train.batch") || !strings.Contains(v.page, "0 of 2") {
		t.Errorf("the page is %.3000s", v.page)
	}
	if r, err := http.Get(v.url); err == nil {
		r.Body.Close()
		t.Error("after the run somebody still answers")
	}
	code, v, _ = train("--resume", "run", "--steps", "3", "--live")
	if code != exitOK || !strings.Contains(v.page, "2 of 3") || !strings.Contains(v.page, `"step":[1,2]`) {
		t.Errorf("exit code %d: %s%.3000s", code, v.said.String(), v.page)
	}
	if code, v, _ = train("--resume", "run", "--steps", "3", "--live"); code != exitOK || v.url != "" {
		t.Errorf("a run that is finished: exit code %d, %s", code, v.said.String())
	}

	s, err := serve.Listen("")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(0)
	port := strings.TrimSuffix(s.URL()[strings.LastIndex(s.URL(), ":")+1:], "/")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--live=" + port}, exitFailed, "--live alone takes the next free port"},
		{[]string{"--live=localhost:" + port, "--dry-run"}, exitFailed, "cannot listen on localhost:" + port},
		{[]string{"--live=somewhere"}, exitUsage, "want HOST:PORT"},
		{[]string{"--live=" + hostile}, exitUsage, "want HOST:PORT"},
		{[]string{"--live", port}, exitUsage, "--live=" + port},
	} {
		words := append([]string{"--config", "tiny.yaml", "--data", "pictures", "--out", "no"}, c.args...)
		code, v, _ := train(words...)
		if said := v.said.String(); code != c.code || !strings.Contains(said, c.says) || v.url != "" {
			t.Errorf("%q: exit code %d, %s", c.args, code, said)
		}
		if _, err := os.Stat(filepath.Join(dir, "no")); err == nil {
			t.Errorf("%q leaves a folder", c.args)
		}
	}
	code, v, _ = train("--config", "tiny.yaml", "--data", "pictures", "--out", "no", "--live", "--dry-run")
	if code != exitOK || v.url != "" {
		t.Errorf("a dry run: exit code %d, %s", code, v.said.String())
	}
	http.DefaultClient.CloseIdleConnections()
}
