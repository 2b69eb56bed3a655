package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var fuzz = row{
	name: "fuzz", short: 1, long: 1, atOnce: 1, deadline: 10 * time.Minute,
	fault: "go test -fuzz, each target of the repository",
	how: "3 s a target, in the long form 60 s; inputs tried are counted; survived: no crash. What fails is kept " +
		"under testdata/fuzz, where go test finds it",
	open: openFuzz,
}

// fuzzTarget is a fuzz target.
type fuzzTarget struct{ dir, name string }

func openFuzz(_ context.Context, s *setup) (caseFunc, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, skip("needs go")
	}
	all, err := fuzzTargets(".")
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, skip("no targets here: it is to be started in the repository")
	}
	s.cases = len(all)
	length := "3s"
	if s.long {
		length = "60s"
	}
	return func(ctx context.Context, c *testCase) error {
		t := all[c.number]
		args := []string{
			"test", "-run=^$", "-fuzz=^" + t.name + "$", "-fuzztime=" + length, "-fuzzminimizetime=1s", "-parallel=1",
			"./" + filepath.ToSlash(t.dir),
		}
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.WaitDelay = time.Second
		said, err := cmd.CombinedOutput()
		c.counts(executions(said))
		if err != nil && !onlyTime(said) {
			return errors.Join(fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, text(fromFailure(said))),
				c.note("output.txt", said))
		}
		if executions(said) == 0 {
			return fmt.Errorf("go %s tried nothing: %s", strings.Join(args, " "), text(said))
		}
		return nil
	}, nil
}

// fuzzTargets are those in the tests of the packages under a folder, whatever their build tags.
func fuzzTargets(top string) (all []fuzzTarget, err error) {
	err = filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		name := e.Name()
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != top && (name == "testdata" || name == "build" || strings.HasPrefix(name, ".")):
			return fs.SkipDir
		case e.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte("testing.F)")) {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
				all = append(all, fuzzTarget{filepath.Dir(path), f.Name.Name})
			}
		}
		return nil
	})
	return all, err
}

var (
	execs    = regexp.MustCompile(`execs: (\d+)`)
	baseline = regexp.MustCompile(`gathering baseline coverage: (\d+)/`)
)

// executions is how many inputs go test says that it tried, by the last line that says so. Those kept from earlier
// times come first, and on a slow machine take all of the time.
func executions(said []byte) int {
	for _, lines := range []*regexp.Regexp{execs, baseline} {
		found := lines.FindAllSubmatch(said, -1)
		if len(found) == 0 {
			continue
		}
		if n, err := strconv.Atoi(string(found[len(found)-1][1])); err == nil && n > 0 {
			return n
		}
	}
	return 0
}

// expired is how go test -fuzz ends when it takes the end of its own -fuzztime for a failure, which it does now and
// then: golang/go#75804, mended in Go 1.27. scripts/fuzz.sh knows it too.
var expired = regexp.MustCompile(`^--- FAIL: Fuzz\w* \([\d.]+s\)\n +context deadline exceeded\n` +
	`(FAIL\n|exit status 1\n|FAIL\t\S+\t[\d.]+s\n)+$`)

// onlyTime tells whether a go test -fuzz that failed found nothing: it tried inputs, and then its time was over.
func onlyTime(said []byte) bool {
	return executions(said) > 0 && expired.Match(fromFailure(said)) && !bytes.Contains(said, []byte("panic: "))
}

// fromFailure is what go test says from the failure on.
func fromFailure(said []byte) []byte {
	if at := bytes.Index(said, []byte("--- FAIL")); at >= 0 {
		return said[at:]
	}
	return said
}
