package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"alexnet/internal/checkpoint"
	"alexnet/internal/safetensors"
	"alexnet/internal/tensor"
)

var flips = row{
	name: "flips", short: 3_000, long: 10_000,
	fault: "a checkpoint with bits flipped, bytes or pages exchanged, zeroed, missing, or from another checkpoint",
	how: "each is read whole, one in 250 by weights show; survived: it is refused as damaged (exit 12), whatever was " +
		"hit",
	open: openFlips,
}

// damages are the ways to spoil a file. One may change nothing; then another place is tried.
var damages = []func(r *rand.Rand, file, other []byte) []byte{
	flipBits, flipBits, flipBits, flipBits, flipBits, flipBits, // most often, as on real disks
	cutOff, grow, swapPages, zeroPage, foreignPage, foreignBytes,
}

func openFlips(_ context.Context, s *setup) (caseFunc, error) {
	b, err := newBed(filepath.Join(s.dir, "bed"), "model.fc2.units=256")
	if err != nil {
		return nil, err
	}
	whole, err := os.ReadFile(b.last(wholeSteps))
	if err != nil {
		return nil, err
	}
	other, err := os.ReadFile(b.last(halfSteps))
	if err != nil {
		return nil, err
	}
	if err := readWhole(whole); err != nil {
		return nil, fmt.Errorf("undamaged: %w", err)
	}
	return func(ctx context.Context, c *testCase) error {
		damage := damages[c.rand.IntN(len(damages))]
		spoilt := whole
		for bytes.Equal(spoilt, whole) {
			spoilt = damage(c.rand, slices.Clone(whole), other)
		}
		err := readWhole(spoilt)
		var bad *tensor.BadFile
		switch {
		case errors.As(err, &bad):
			if c.number%250 == 0 {
				return refusedByProgram(ctx, s, c, spoilt)
			}
			return nil
		case err == nil:
			err = errors.New("nobody noticed")
		default:
			err = fmt.Errorf("it is not said to be a bad file: %w", err)
		}
		return errors.Join(err, c.note("spoilt.safetensors", spoilt))
	}, nil
}

// readWhole opens a checkpoint that lies in memory and reads every tensor.
func readWhole(file []byte) error {
	r, err := safetensors.NewReader("spoilt.safetensors", bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return err
	}
	c, err := checkpoint.LoadFrom(r)
	if err != nil {
		return err
	}
	for _, t := range slices.Concat(c.Params, c.Momentum) {
		if _, err := t.Values(); err != nil {
			return err
		}
	}
	return nil
}

// refusedByProgram gives the file to the program.
func refusedByProgram(ctx context.Context, s *setup, c *testCase, file []byte) error {
	if err := c.note("spoilt.safetensors", file); err != nil {
		return err
	}
	o, err := limited(ctx, limits{memory: 1 << 30, time: 20 * time.Second}, c.dir,
		s.alexnet, "weights", "show", "spoilt.safetensors")
	if err != nil {
		return err
	}
	if err := o.civil(); err != nil {
		return err
	}
	if o.code != exitCheckpoint || !strings.Contains(o.stderr, "spoilt.safetensors") {
		return fmt.Errorf("weights show: exit %d: %s", o.code, o.tail())
	}
	return nil
}

const exitCheckpoint = 12 // of the program: a file that is none, or damaged

const page = 4096

func flipBits(r *rand.Rand, file, _ []byte) []byte {
	for n := 1 << r.IntN(4); n > 0; n-- { // 1, 2, 4 or 8
		file[place(r, file, 0)] ^= 1 << r.IntN(8)
	}
	return file
}

// place is a byte of the file for something of a length, every other time in the header and around its end, which is a
// small part of a real file.
func place(r *rand.Rand, file []byte, length int) int {
	n := len(file)
	if r.IntN(2) == 0 {
		n = min(n, int(binary.LittleEndian.Uint64(file))+64)
	}
	return r.IntN(max(1, n-length))
}

func cutOff(r *rand.Rand, file, _ []byte) []byte { return file[:place(r, file, 0)] }

func grow(r *rand.Rand, file, other []byte) []byte {
	return append(file, other[:1+r.IntN(2*page)]...)
}

func swapPages(r *rand.Rand, file, _ []byte) []byte {
	pages := len(file) / page
	i, j := r.IntN(pages), r.IntN(pages)
	a, b := slices.Clone(file[i*page:][:page]), slices.Clone(file[j*page:][:page])
	copy(file[i*page:], b)
	copy(file[j*page:], a)
	return file
}

// zeroPage leaves zeros where a page or a sector was never written.
func zeroPage(r *rand.Rand, file, _ []byte) []byte {
	size := []int{512, page}[r.IntN(2)]
	clear(file[r.IntN(len(file)/size)*size:][:size])
	return file
}

// foreignPage takes a page from another checkpoint of the run, as after a write that did not arrive.
func foreignPage(r *rand.Rand, file, other []byte) []byte {
	size := []int{512, page}[r.IntN(2)]
	at := r.IntN(min(len(file), len(other))/size) * size
	copy(file[at:at+size], other[at:at+size])
	return file
}

// foreignBytes takes bytes of another checkpoint from anywhere.
func foreignBytes(r *rand.Rand, file, other []byte) []byte {
	n := 1 + r.IntN(64)
	copy(file[place(r, file, n):], other[r.IntN(len(other)-n):][:n])
	return file
}
