package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// makeHere runs make at the top of the repository, without Go in reach.
func makeHere(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("needs make: ", err)
	}
	c := exec.Command("make", append([]string{"--no-print-directory", "-C", "../..", "GO=no-such-go"}, args...)...)
	for _, v := range os.Environ() { // what a make above this test says of itself is not for this one
		if !strings.HasPrefix(v, "MAKE") && !strings.HasPrefix(v, "MFLAGS") {
			c.Env = append(c.Env, v)
		}
	}
	read(t, "../../Makefile") // so that go test sees it change
	out, err := c.CombinedOutput()
	return string(out), err
}

// TestInstall: make install puts the program, its manual pages and its completion where they are found, without Go;
// make uninstall takes them away again, and nothing else.
func TestInstall(t *testing.T) {
	program, err := exec.LookPath("alexnet")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "a b")
	there := func() (names []string) {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				names = append(names, strings.TrimPrefix(path, dir+"/"))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	args := []string{"DESTDIR=" + dir, "PREFIX=/usr", "BIN=" + program}
	for range 2 { // a second time over the first
		if out, err := makeHere(t, append(args, "install")...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	names := there()
	for file, holds := range map[string]string{
		"usr/bin/alexnet":                                  "",
		"usr/share/man/man1/alexnet.1":                     `.TH "ALEXNET"`,
		"usr/share/man/man1/alexnet-weights-export.1":      `.TH "ALEXNET-WEIGHTS-EXPORT"`,
		"usr/share/bash-completion/completions/alexnet":    "complete -o default -F __start_alexnet alexnet",
		"usr/share/zsh/site-functions/_alexnet":            "#compdef alexnet\n",
		"usr/share/fish/vendor_completions.d/alexnet.fish": "complete -c alexnet ",
	} {
		if !slices.Contains(names, file) || !strings.Contains(string(read(t, filepath.Join(dir, file))), holds) {
			t.Errorf("%s: not there, or without %q", file, holds)
		}
	}
	if out, err := exec.Command(filepath.Join(dir, "usr/bin/alexnet"), "version").CombinedOutput(); err != nil {
		t.Errorf("the program: %v\n%s", err, out)
	}
	keep(t, filepath.Join(dir, "usr/share/man/man1/other.1"), nil)
	if out, err := makeHere(t, append(args, "uninstall")...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if left := there(); !slices.Equal(left, []string{"usr/share/man/man1/other.1"}) {
		t.Errorf("left: %q", left)
	}
	if out, err := makeHere(t, "install", "BIN="+filepath.Join(dir, "nowhere"), "DESTDIR="+dir); err == nil ||
		!strings.Contains(out, "nowhere yet: make build") {
		t.Errorf("nothing was built: %v\n%s", err, out)
	}
}

// TestWithoutGo: make says in one line what is missing.
func TestWithoutGo(t *testing.T) {
	for _, target := range []string{"", "build", "demo", "test"} {
		out, err := makeHere(t, strings.Fields(target)...)
		if err == nil || strings.Count(out, "\n") != 1 ||
			!strings.Contains(out, "Go is not in the PATH: install Go 1.") ||
			!strings.Contains(out, "https://go.dev/dl") {
			t.Errorf("make %s: %v\n%s", target, err, out)
		}
	}
}
