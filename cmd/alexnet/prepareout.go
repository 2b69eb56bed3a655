package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/shards"
	"alexnet/internal/text"
)

// checkOut refuses what can be no new folder for a prepared set, before anything is read. What it cannot tell, and a
// set that is there already, is for prepare.Run to say. command is what pictures and out were given to.
func checkOut(command string, at data.Place, out string) error {
	refuse := func(paths []string, format string, args ...any) error {
		return usageError(withOut(command, data.Place{Paths: paths, Labels: at.Labels}), format, args...)
	}
	all := append(slices.Clone(at.Paths), out) // where OUT was forgotten
	if slices.ContainsFunc(at.Paths, func(path string) bool { return filepath.Clean(path) == filepath.Clean(out) }) {
		all = at.Paths
	}
	info, err := os.Stat(out)
	base := filepath.Base(filepath.Clean(out))
	switch {
	case base == "." || base == ".." || base == string(filepath.Separator):
		return refuse(at.Paths, "%s: OUT is a new folder, and this one is there already", text.Name(out))
	case madeUp(out) && !strings.HasPrefix(filepath.Clean(out), "/dev/shm/"):
		return refuse(at.Paths, "%s: is not a place for pictures", text.Name(out))
	case err == nil && !info.IsDir():
		return refuse(all, "%s is a file: OUT, a new folder, comes last", text.Name(out))
	case err == nil && holdsOther(out):
		return refuse(all, "%s is a folder that holds something: OUT, a new folder, comes last", text.Name(out))
	}
	partial := files.Partial(out)
	if info, err := os.Stat(partial); err == nil && !info.IsDir() {
		return advise(exitFailed, "move "+text.ShellPath(partial)+" away, then the same command again",
			fmt.Errorf("%s is a file, and the name of the folder in which the set is made", text.Name(partial)))
	}
	return nil
}

// holdsOther tells whether a folder holds anything but a prepared set, such as pictures.
func holdsOther(dir string) bool {
	items, err := os.ReadDir(dir)
	if err != nil || len(items) == 0 {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, shards.IndexName))
	return errors.Is(err, fs.ErrNotExist)
}

// withOut is the command with a name for the set that nothing has.
func withOut(command string, at data.Place) string {
	first := filepath.Base(filepath.Clean(at.Paths[0]))
	stem := strings.TrimSuffix(first, filepath.Ext(first))
	if stem == "" || stem == "." || stem == ".." || stem == string(filepath.Separator) {
		stem = "pictures"
	}
	out := stem + ".set"
	for n := 2; isThere(out); n++ {
		out = fmt.Sprintf("%s%d.set", stem, n)
	}
	return command + " " + dataArgs(at) + " " + text.ShellPath(out)
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// prepareFailed adds what goes on with a set, or begins it anew: that of pictures that have changed since is of others.
func prepareFailed(err error, out string) error {
	again := "the same command again"
	if fault := (*data.SourceFault)(nil); errors.As(err, &fault) && fault.Changed {
		if partial := files.Partial(out); holdsOther(partial) {
			again = "rm -r " + text.ShellPath(partial) + ", then " + again
		}
		return advise(exitNoData, again, err)
	}
	return &unfinished{err, again}
}
