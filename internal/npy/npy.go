// Package npy writes arrays as NumPy keeps them (numpy.lib.format): a header with type and shape, and the numbers. The
// bytes are a library's, npyio; the file appears as package atomicfile has it. Of the program it imports atomicfile and
// files.
package npy

import (
	"bufio"
	"slices"

	"codeberg.org/sbinet/npyio"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
)

// Write writes data as an array of the given shape, (N, C), (C, H, W) or (N, C, H, W), in C order. The file appears
// whole or not at all.
func Write(fsys files.FS, path string, data []float32, shape []int) error {
	return atomicfile.Write(fsys, path, func(f atomicfile.File) error {
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
