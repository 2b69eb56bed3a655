// Package house holds what docs/design.md and the packages' own comments say about who imports whom.
package house

import (
	"cmp"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// top is the module's folder, and its name as an import path.
const (
	top    = "../.."
	module = "alexnet"
)

// TestImports holds every package to the table, whatever the build tags of its files; those of its tests are free. An
// import that the table lacks is an error, and so is a line of the table that nothing needs any more.
func TestImports(t *testing.T) {
	found, err := imports()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range table {
		got, there := found[line.pkg]
		if !there {
			t.Errorf("%s is in the table and not in the module, or twice in the table", line.pkg)
			continue
		}
		delete(found, line.pkg)
		want := strings.Fields(line.imports)
		for _, path := range got {
			if !slices.Contains(want, path) {
				t.Errorf("%s imports %s, which the table does not allow", line.pkg, path)
			}
		}
		for _, path := range want {
			if !slices.Contains(got, path) {
				t.Errorf("the table lets %s import %s, and it does not", line.pkg, path)
			}
		}
	}
	for pkg, got := range found {
		t.Errorf("%s is not in the table; it imports %s", pkg, strings.Join(got, " "))
	}
}

// TestNoImportRunsUp holds the table to its order: of this module a line names only what lines above it are about.
// Other modules have no place in the order.
func TestNoImportRunsUp(t *testing.T) {
	place := map[string]int{}
	for i, line := range table {
		place[line.pkg] = i
	}
	for i, line := range table {
		for path := range strings.FieldsSeq(line.imports) {
			if at, own := place[path]; own && at >= i {
				t.Errorf("%s imports %s, whose line in the table is not above its own", line.pkg, path)
			}
		}
	}
}

// imports lists, by package, what its files import besides the standard library: packages of this module by their
// folder without internal/, others by their module. All sorted.
func imports() (map[string][]string, error) {
	required, err := requirements()
	if err != nil {
		return nil, err
	}
	found := map[string][]string{}
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != top && (name == "testdata" || name == "build" || strings.HasPrefix(name, ".")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		dir, err := filepath.Rel(top, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg := short(filepath.ToSlash(dir))
		of, err := importsOf(path, required)
		found[pkg] = append(found[pkg], of...)
		return err
	})
	for pkg := range found {
		slices.Sort(found[pkg])
		found[pkg] = slices.Compact(found[pkg])
	}
	return found, err
}

// importsOf lists what one file imports, as imports does.
func importsOf(path string, required []string) (all []string, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if from := origin(imported, required); from != "" {
			all = append(all, from)
		}
	}
	return all, nil
}

// origin is how the table calls what is imported, "" where it is the standard library's, or C.
func origin(path string, required []string) string {
	if own, ok := strings.CutPrefix(path, module+"/"); ok {
		return short(own)
	}
	for _, m := range required {
		if path == m || strings.HasPrefix(path, m+"/") {
			return m
		}
	}
	return ""
}

// requirements are the modules that go.mod requires, those with longer paths first: one may lie in another's.
func requirements() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		return nil, err
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(words) >= 2 && strings.HasPrefix(words[1], "v") && words[0] != "go" {
			all = append(all, words[0])
		}
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return all, nil
}

// short is how the table calls a package of this module.
func short(dir string) string { return strings.TrimPrefix(dir, "internal/") }
