package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// openTerminal makes a pseudo-terminal: what is written to slave can be read from master.
func openTerminal(t *testing.T, columns uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// onTerminal runs a command with a terminal for standard output and standard error and returns what the terminal got.
func onTerminal(t *testing.T, dir string, columns uint16, env []string, args ...string) string {
	t.Helper()
	master, slave := openTerminal(t, columns)
	defer closeQuietly(master)
	c := exec.Command("alexnet", args...)
	c.Dir, c.Env, c.Stdout, c.Stderr = dir, append(append(os.Environ(), "TERM=xterm", "NO_COLOR="), env...), slave,
		slave
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	closeQuietly(slave)
	shown, _ := io.ReadAll(master) // EIO when the last writer is gone
	if err := c.Wait(); err != nil && c.ProcessState.ExitCode() != exitUsage &&
		c.ProcessState.ExitCode() != exitNoData {
		t.Fatalf("alexnet %v: %v\n%s", args, err, shown)
	}
	return strings.ReplaceAll(string(shown), "\r\n", "\n")
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

func TestBarFitsTheTerminal(t *testing.T) {
	dir := t.TempDir()
	writeTiny(t, dir)
	finish(t, dir, "data", "demo", "--out", "shapes", "--train", "16", "--val", "2", "--size", "16")
	for _, test := range []struct {
		columns int
		once    string // it can be interrupted: there is a bar
		shows   []string
	}{
		{100, "ETA", []string{"images/s", "loss", "ETA", "stall"}},
		{36, "─", nil},
	} {
		shown := interruptOnce(t, dir, uint16(test.columns), test.once, "--set", "model.conv1.kernels=1024", "--batch",
			"8", "--name", strconv.Itoa(test.columns))
		shown = strings.ReplaceAll(shown, "^C", "\n")
		bars := 0
		for _, line := range strings.Split(strings.ReplaceAll(escapes.ReplaceAllString(shown, ""), "\r", ""), "\n") {
			if !strings.Contains(line, "─") && !strings.Contains(line, "━") {
				continue
			}
			bars++
			if n := utf8.RuneCountInString(line); n > test.columns {
				t.Errorf("%d columns: a bar of %d characters: %q", test.columns, n, line)
			}
		}
		if bars == 0 {
			t.Errorf("%d columns: no bar in %q", test.columns, shown)
		}
		for _, want := range test.shows {
			if !strings.Contains(shown, want) {
				t.Errorf("%d columns: nothing shows %s", test.columns, want)
			}
		}
	}
}

func TestColourOnTerminals(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		env    []string
		colour bool
	}{
		{nil, true},
		{[]string{"NO_COLOR=1"}, false},
		{[]string{"TERM=dumb"}, false},
	} {
		shown := onTerminal(t, dir, 80, test.env, "tarin")
		if !strings.Contains(escapes.ReplaceAllString(shown, ""), `error: unknown command "tarin"`) {
			t.Errorf("%v: %q", test.env, shown)
		}
		if got := strings.Contains(shown, "\x1b["); got != test.colour {
			t.Errorf("%v: coloured: %v, want %v: %q", test.env, got, test.colour, shown)
		}
	}
}

func TestSummaryFitsTheTerminal(t *testing.T) {
	for _, columns := range []int{100, 60, 40} {
		shown := onTerminal(t, t.TempDir(), uint16(columns), nil, "summary", "--device", "reference", "--batch", "1")
		found := false
		for _, line := range strings.Split(shown, "\n") {
			if !strings.HasPrefix(line, "conv") && !strings.HasPrefix(line, "fc") && !strings.HasPrefix(line, "layer") {
				continue
			}
			found = found || strings.Contains(line, "37,752,832")
			if n := utf8.RuneCountInString(line); n > columns {
				t.Errorf("%d columns: a row of %d characters: %q", columns, n, line)
			}
		}
		if !found {
			t.Errorf("%d columns: no parameters of fc6 in %q", columns, shown)
		}
	}
}

// interruptOnce trains on a terminal and types Ctrl-C once it has shown something. It gives what the terminal got.
func interruptOnce(t *testing.T, dir string, columns uint16, once string, args ...string) string {
	t.Helper()
	master, slave := openTerminal(t, columns)
	defer closeQuietly(master)
	c := exec.Command("alexnet", append([]string{
		"train", "--config", "tiny.yaml", "--data", "shapes", "--device", "reference", "--epochs", "100000",
	}, args...)...)
	c.Dir, c.Env, c.Stdin, c.Stdout, c.Stderr = dir, append(os.Environ(), "TERM=xterm"), slave, slave, slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // of the terminal on its standard input
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	closeQuietly(slave)
	var shown strings.Builder
	buf, typed := make([]byte, 4096), false
	for {
		n, err := master.Read(buf)
		shown.Write(buf[:n])
		if !typed && strings.Contains(shown.String(), once) {
			typed = true
			if _, err := master.WriteString("\x03"); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			break // EIO: the program is gone
		}
	}
	if err := c.Wait(); c.ProcessState.ExitCode() != exitSignal+int(syscall.SIGINT) {
		t.Fatalf("ended with %v:\n%s", err, shown.String())
	}
	return shown.String()
}

// TestInterruptOnTerminals types Ctrl-C twice: what the program says begins in the first column, whatever the terminal
// echoed.
func TestInterruptOnTerminals(t *testing.T) {
	dir := t.TempDir()
	writeTiny(t, dir)
	finish(t, dir, "data", "demo", "--out", "shapes", "--train", "16", "--val", "2", "--size", "16")
	shown := interruptOnce(t, dir, 100, "step 40", "--set", "model.conv1.kernels=512") // in the second epoch
	for _, want := range []string{"\r\x1b[Kstopping: writing a checkpoint; once more", "interrupted after step"} {
		if !strings.Contains(shown, want) {
			t.Errorf("nothing shows %q in %q", want, shown)
		}
	}
	if n := strings.Count(escapes.ReplaceAllString(shown, ""), "interrupted"); n != 1 {
		t.Errorf("%d times interrupted", n)
	}
}

// TestPredictBar: a bar is drawn where answers go to a file, and not where they go to the terminal or into a pipe, the
// end of which may be the terminal; features has one. The first picture comes late enough for a bar.
func TestPredictBar(t *testing.T) {
	dir := t.TempDir()
	writeTiny(t, dir)
	finish(t, dir, "data", "demo", "--out", "shapes", "--train", "10", "--val", "1", "--size", "16")
	finish(t, dir, "train", "--config", "tiny.yaml", "--data", "shapes", "--device", "reference", "--steps", "1",
		"--out", "run")
	const with = "--weights run --device reference - -r shapes"
	for name, test := range map[string]struct {
		command string
		bar     bool
	}{
		"terminal": {"alexnet predict " + with, false},
		"pipe":     {"alexnet predict " + with + " | cat", false},
		"file":     {"alexnet predict " + with + " > answers", true},
		"features": {"alexnet features " + with + " --layer fc2 --out f.npy", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			master, slave := openTerminal(t, 80)
			c := exec.Command("sh", "-c", "(sleep 3; cat shapes/val/ring/0001.png) | "+test.command)
			c.Dir, c.Env, c.Stdout, c.Stderr = dir, append(os.Environ(), "TERM=xterm"), slave, slave
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			closeQuietly(slave)
			shown, _ := io.ReadAll(master) // EIO when the last writer is gone
			if err := c.Wait(); err != nil {
				t.Errorf("%s: %v\n%s", test.command, err, shown)
			}
			closeQuietly(master)
			if got := strings.Contains(string(shown), "0/111"); got != test.bar {
				t.Errorf("%s: bar %v, want %v: %q", test.command, got, test.bar, shown)
			}
		})
	}
}

// TestFetchBar: while a server does not answer, the terminal shows that it is waited for.
func TestFetchBar(t *testing.T) {
	content := archive(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(3 * time.Second)
		_, _ = w.Write(content)
	}))
	defer s.Close()
	shown := onTerminal(t, t.TempDir(), 80, nil, "data", "fetch", s.URL+"/set.tgz")
	if want := "connecting to " + strings.TrimPrefix(s.URL, "http://") + ": 2s so far"; !strings.Contains(shown, want) {
		t.Errorf("got %q, want %q", shown, want)
	}
}

// TestHelpFitsTheTerminal: help and errors wrap at the terminal's width, but for commands; a pipe gets them as they are
// written.
func TestHelpFitsTheTerminal(t *testing.T) {
	for _, columns := range []int{40, 60, 80, 120} {
		for _, args := range [][]string{
			{"help"},
			{"train", "--help"},
			{"help", "weights", "export"},
			{"help", "doctor"},
			{"config", "--help-keys"},
			{"train", "--data", "nothere"},
			{"config", "--set", "train.bacth=3"},
		} {
			shown := escapes.ReplaceAllString(onTerminal(t, t.TempDir(), uint16(columns), nil, args...), "")
			for _, line := range strings.Split(shown, "\n") {
				if n := utf8.RuneCountInString(line); n > columns && !strings.HasPrefix(line, "  alexnet") &&
					len(strings.Fields(line)) > 1 {
					t.Errorf("%d columns: %v: %d characters: %s", columns, args, n, line)
				}
			}
			out, _ := exec.Command("alexnet", args...).CombinedOutput()
			if got, want := strings.Join(strings.Fields(shown), " "), strings.Join(strings.Fields(string(out)),
				" "); got != want {
				t.Errorf("%d columns: %v shows other words: %s", columns, args, got)
			}
		}
	}
}
