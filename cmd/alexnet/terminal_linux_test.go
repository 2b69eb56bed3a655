package main

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
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
	if err := c.Wait(); err != nil && c.ProcessState.ExitCode() != exitUsage {
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
		shows   []string
	}{
		{100, []string{"images/s", "loss", "ETA", "stall"}},
		{36, nil},
	} {
		shown := onTerminal(t, dir, uint16(test.columns), nil, "train", "--config", "tiny.yaml", "--data", "shapes",
			"--device", "reference",
			// long enough for some bars to be drawn
			"--set", "model.conv1.kernels=1024", "--epochs", "1", "--batch", "8")
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

// TestInterruptOnTerminals types Ctrl-C twice: what the program says begins in the first column, whatever the terminal
// echoed.
func TestInterruptOnTerminals(t *testing.T) {
	dir := t.TempDir()
	writeTiny(t, dir)
	finish(t, dir, "data", "demo", "--out", "shapes", "--train", "16", "--val", "2", "--size", "16")
	master, slave := openTerminal(t, 100)
	defer closeQuietly(master)
	c := exec.Command("alexnet", "train", "--config", "tiny.yaml", "--data", "shapes", "--device", "reference",
		"--epochs", "100000", "--set", "model.conv1.kernels=512", "--out", "run")
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
		if !typed && strings.Contains(shown.String(), "step 40") { // the second epoch is under way
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
	for _, want := range []string{"\r\x1b[Kstopping: writing a checkpoint; once more", "interrupted after step"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("nothing shows %q in %q", want, shown.String())
		}
	}
	if n := strings.Count(escapes.ReplaceAllString(shown.String(), ""), "interrupted"); n != 1 {
		t.Errorf("%d times interrupted", n)
	}
}
