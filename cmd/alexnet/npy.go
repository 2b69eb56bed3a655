package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"codeberg.org/sbinet/npyio"
)

// writeNPY writes data as an array of the given shape, (N, C) or (N, C, H, W), in C order. The file appears whole or not at all.
func writeNPY(path string, data []float32, shape []int) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".alexnet-*.npy")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	b := bufio.NewWriter(f)
	if err = npyio.Write(b, nested(data, shape)); err != nil {
		return err
	}
	if err = b.Flush(); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// nested gives npyio, which takes the shape from the value's type, slices of slices over the same numbers.
func nested(data []float32, shape []int) any {
	if len(shape) == 2 {
		return cut(data, shape[1])
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
