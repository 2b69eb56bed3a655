package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOnlyTime: go test -fuzz that failed by the end of its own time found nothing, whatever asks for it; all else
// that it fails by is a finding.
func TestOnlyTime(t *testing.T) {
	const (
		begin = "fuzz: elapsed: 0s, gathering baseline coverage: 0/9 completed\n" +
			"fuzz: elapsed: 3s, execs: 40304 (13431/sec), new interesting: 4 (total: 13)\n"
		over = "--- FAIL: FuzzPage (3.63s)\n    context deadline exceeded\n"
		end  = "FAIL\nexit status 1\nFAIL\talexnet/internal/config\t3.641s\nFAIL\n"
	)
	for _, test := range []struct {
		name, said string
		want       bool
	}{
		{"its time is over", begin + over + end, true},
		{"without the last line", begin + over + strings.TrimSuffix(end, "FAIL\n"), true},
		{"a finding", begin + "fuzz: minimizing 54-byte failing input file\n--- FAIL: FuzzPage (0.23s)\n" +
			"    --- FAIL: FuzzPage (0.00s)\n        p_test.go:3: context deadline exceeded\n    \n" +
			"    Failing input written to testdata/fuzz/FuzzPage/1a4feb8ad1fe53b6\n    To re-run:\n" +
			"    go test -run=FuzzPage/1a4feb8ad1fe53b6\n" + end, false},
		{"a finding after it", begin + over +
			"    Failing input written to testdata/fuzz/FuzzPage/1a4feb8ad1fe53b6\n" + end, false},
		{"a panic", begin + "panic: runtime error: index out of range\n" + over + end, false},
		{"a seed that hangs", begin + "--- FAIL: FuzzPage (3.63s)\n    fuzzing process hung or terminated " +
			"unexpectedly: exit status 2\n" + end, false},
		{"nothing tried", over + end, false},
		{"it does not build", "FAIL\talexnet/internal/config [build failed]\nFAIL\n", false},
	} {
		if got := onlyTime([]byte(test.said)); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
		if err := fuzzScript(t, test.said); (err == nil) != test.want {
			t.Errorf("%s: scripts/fuzz.sh ended with %v", test.name, err)
		}
	}
}

// fuzzScript runs scripts/fuzz.sh in a repository of one target, where go test fails and says so much.
func fuzzScript(t *testing.T, said string) error {
	t.Helper()
	for _, program := range []string{"sh", "awk", "tee"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs " + program)
		}
	}
	script, err := os.ReadFile("../../scripts/fuzz.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"scripts/fuzz.sh":    string(script),
		"scripts/tags.sh":    "#!/bin/sh\n",
		"bin/go":             "#!/bin/sh\ncat said\nexit 1\n",
		"said":               said,
		"internal/x_test.go": "package x\n\nfunc FuzzPage(f *testing.F) {}\n",
		"cmd/none":           "",
		"test/none":          "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o777); err != nil { //nolint:gosec // scripts
			t.Fatal(err)
		}
	}
	c := exec.Command("sh", "scripts/fuzz.sh", "1")
	path := filepath.Join(dir, "bin") + string(filepath.ListSeparator) + os.Getenv("PATH")
	c.Dir, c.Env = dir, append(os.Environ(), "PATH="+path)
	return c.Run()
}
