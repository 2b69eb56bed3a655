//go:build linux || darwin

package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
)

// The test binary runs itself as a child that saves and is killed. A child's orders are in these variables.
const (
	// "stop N": hang at tensor N; "loop": save again and again; "limit N": no file longer than N bytes
	orderEnv = "CHECKPOINT_TEST_CHILD"
	pathEnv  = "CHECKPOINT_TEST_PATH"
)

func TestMain(m *testing.M) {
	if order := os.Getenv(orderEnv); order != "" {
		if err := child(order, os.Getenv(pathEnv)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// big is a checkpoint of version v: every number is v, so that a file of two versions would show.
func big(v float32) *Checkpoint {
	c := &Checkpoint{Step: uint64(v), Sample: uint64(v), Dropout: DropoutPaper}
	for i := range 6 {
		shape := []int{i + 1, 10_000}
		t := tensor.Tensor{Name: fmt.Sprintf("layer%d.weight", i), Shape: shape, Fill: func(dst []float32) error {
			for j := range dst {
				dst[j] = v
			}
			return nil
		}}
		c.Params = append(c.Params, t)
	}
	return c
}

func child(order, path string) error {
	what, number, _ := strings.Cut(order, " ")
	n, _ := strconv.Atoi(number)
	c := big(2)
	switch what {
	case "stop":
		for i := range c.Params {
			if i == n {
				c.Params[i].Fill = func([]float32) error {
					fmt.Println("stopped")
					time.Sleep(time.Hour) // until the kill; with no cgo an empty select would be a deadlock to Go
					return nil
				}
			}
		}
	case "loop":
		fmt.Println("running")
		for i := 2; ; i++ {
			if err := Save(files.OS, path, big(float32(i))); err != nil {
				return err
			}
		}
	case "limit":
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(n), Max: uint64(n)}); err != nil {
			return err
		}
	}
	return Save(files.OS, path, c)
}

// start runs a child and waits for its first line.
func start(t *testing.T, order, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), orderEnv+"="+order, pathEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("child %s: %q, %v", order, line, err)
	}
	return cmd
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("child ended with %v, not killed", err)
	}
}

// version reads a checkpoint of big, whole, and tells which it is.
func version(t *testing.T, path string) float32 {
	t.Helper()
	c, err := Load(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, p := range c.Params {
		values, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if v != float32(c.Step) {
				t.Fatalf("%s holds %g in a checkpoint of step %d", p.Name, v, c.Step)
			}
		}
	}
	return float32(c.Step)
}

func wantOnly(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("folder holds %v (%v), want %s alone", entries, err, filepath.Base(path))
	}
}

// Killed while it takes tensor n, the writer leaves the old file; the next writer clears away what it left besides.
func TestKilledBetweenTensors(t *testing.T) {
	for n := range len(big(1).Params) {
		path := filepath.Join(t.TempDir(), "last.safetensors")
		if err := Save(files.OS, path, big(1)); err != nil {
			t.Fatal(err)
		}
		kill(t, start(t, fmt.Sprint("stop ", n), path))
		if v := version(t, path); v != 1 {
			t.Errorf("killed at tensor %d: version %g, want 1", n, v)
		}
		if err := Save(files.OS, path, big(3)); err != nil {
			t.Fatal(err)
		}
		if v := version(t, path); v != 3 {
			t.Errorf("after the kill, version %g was saved, want 3", v)
		}
		wantOnly(t, path)
	}
}

// Killed anywhere, sync and rename included, the writer leaves a whole file of one version.
func TestKilledAnywhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "last.safetensors")
	if err := Save(files.OS, path, big(1)); err != nil {
		t.Fatal(err)
	}
	moments := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		cmd := start(t, "loop", path)
		time.Sleep(time.Duration(moments.IntN(60)) * time.Millisecond)
		kill(t, cmd)
		version(t, path)
	}
	if err := Save(files.OS, path, big(1)); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, path)
}

// A file system that takes no more bytes (here a limit on the length of files) fails the save at any of its writes.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "last.safetensors")
	if err := Save(files.OS, path, big(1)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int64{0, 100, 5000, info.Size() / 2, info.Size() - 1} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), orderEnv+"=limit "+fmt.Sprint(limit), pathEnv+"="+path)
		out, err := cmd.Output()
		if want := "cannot write " + path + ": file too large (nothing was changed)"; err == nil ||
			!strings.HasPrefix(string(out), want) {
			t.Errorf("limit %d: %q (%v), want %q", limit, out, err, want)
		}
		if v := version(t, path); v != 1 {
			t.Errorf("limit %d: version %g, want the old one", limit, v)
		}
		wantOnly(t, path)
	}
}
