package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"codeberg.org/sbinet/npyio"

	"alexnet/internal/atomicfile"
	"alexnet/internal/text"
)

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

// writeNPY writes data as an array of the given shape, (N, C), (C, H, W) or (N, C, H, W), in C order. The file appears
// whole or not at all.
func writeNPY(path string, data []float32, shape []int) error {
	return atomicfile.Write(path, func(f atomicfile.File) error {
		b := bufio.NewWriter(f)
		if err := npyio.Write(b, nested(data, shape)); err != nil {
			return err
		}
		return b.Flush()
	})
}

// nested gives npyio, which takes the shape from the value's type, slices of slices over the same numbers.
func nested(data []float32, shape []int) any {
	switch len(shape) {
	case 2:
		return cut(data, shape[1])
	case 3:
		rows := cut(data, shape[2])
		return slices.Collect(slices.Chunk(rows, shape[1]))
	}
	planes := make([][][][]float32, shape[0])
	for n, picture := range cut(data, shape[1]*shape[2]*shape[3]) { // (C, H, W)
		for _, plane := range cut(picture, shape[2]*shape[3]) {
			planes[n] = append(planes[n], cut(plane, shape[3]))
		}
	}
	return planes
}

func cut(data []float32, n int) [][]float32 { return slices.Collect(slices.Chunk(data, n)) }
