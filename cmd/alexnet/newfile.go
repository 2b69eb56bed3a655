package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"alexnet/internal/text"
)

// newFile refuses a file that could not be written, or is there and not to be overwritten.
func newFile(path string, force bool) error {
	if err := writable(path); err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil && !force {
		return advise(exitFailed, "another name for --out, or --force to overwrite it",
			fmt.Errorf("%s is there already", path))
	}
	return nil
}

// writable refuses, before anything is computed, a file that could not be written afterwards.
func writable(path string) error {
	if path == "-" {
		return usageError("name a file: --out FILE", "--out -: standard output takes text and JSON alone")
	}
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return advise(exitFailed, "mkdir -p "+text.ShellWord(dir),
			fmt.Errorf("cannot write %s: there is no folder %s", path, dir))
	case err != nil:
		return fmt.Errorf("cannot write %s: %w", path, err)
	case !info.IsDir():
		return advise(exitFailed, "name another file with --out", fmt.Errorf("cannot write %s: %s is no folder", path,
			dir))
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return advise(exitFailed, "name a file in it: --out "+text.ShellWord(filepath.Join(path, "NAME")),
			fmt.Errorf("cannot write %s: it is a folder", path))
	}
	return nil
}
