// Package pickle reads Python's pickles as far as they are data. A pickle is a program for a machine with a stack; this
// machine knows the opcodes that put data on it, of protocols 2 to 4 and of Python 2, and no others. What a pickle
// names - a class, a function - is looked up in the caller's list and nowhere else, so that nothing is run but what
// the caller wrote for this purpose.
//
// Pickles come from strangers: every stated size is held to the bytes that are left before memory is taken, memory is
// taken from a sum that the caller grants, and no value is followed into itself. Long strings and bytes, as those of
// NumPy's arrays, are not kept; where they lie is told.
//
// The machine is described in Python's Lib/pickletools.py. The package imports tensor, for its errors, and text.
package pickle

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"alexnet/internal/tensor"
)

// Machine loads pickles that are parts of one file.
type Machine struct {
	// Global says what a name stands for: a Func, or a value that means something to the caller. below is what the
	// stack holds under it. Its error is Load's.
	Global func(module, name string, below []any) (any, error)
	// Persistent says what an object is that the pickle has outside of itself. nil: there are none.
	Persistent func(id any) (any, error)
	// Left is how many bytes of memory values may yet take. What is taken in truth is less, and ends with the Machine.
	Left int64
}

// take asks for memory.
func (m *Machine) take(n int64) bool {
	m.Left -= n
	return m.Left >= 0
}

// Room is the memory that values of a file of size bytes may take, in bytes: as much as the file, and 8 MB so that a
// small one may be all values. A training checkpoint of an AlexNet, 17 tensors and 27 plain values, takes 0.2 MB.
func Room(size int64) int64 { return 8<<20 + size }

// PerTensor is what a tensor.Tensor that the caller makes of a value is reckoned at, in bytes, beside the visit. In Go
// 1.26 package pth takes 450 of each of a thousand tensors and 610 of each of a hundred thousand, the visit included.
const PerTensor = 700

// What values are reckoned at, garbage of growing slices and maps included. TestCrafted holds it to what Go takes.
const (
	perPlace  = 48  // of the stack, at its highest
	perPlain  = 16  // value
	perObject = 64  // that holds others
	perItem   = 100 // of a list or tuple
	perPair   = 200 // of a dict
	perMemo   = 160
	perCall   = 1500 // what a function of the caller's makes
)

// Load reads the pickle that begins at off, and tells where it ends. What is wrong with it is a *tensor.BadFile without
// a path, or the error of a function of the caller's.
func (m *Machine) Load(r io.ReaderAt, off, end int64) (v any, next int64, err error) {
	l := &load{Machine: m, r: r, pos: off, end: end, memo: map[uint32]any{}}
	l.buf = bufio.NewReaderSize(io.NewSectionReader(r, off, end-off), int(max(16, min(end-off, 32<<10))))
	for !l.done {
		at, op := l.pos, byte(0)
		if op, err = l.byte(); err == nil {
			if do := ops[op]; do != nil {
				err = do(l)
			} else {
				err = faultf("opcode %#02x, which data do not need", op)
			}
		}
		var f fault
		if errors.As(err, &f) {
			return nil, 0, tensor.Damaged("pickle, byte %d: %s", at-off, string(f))
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return l.stack[0], l.pos, nil
}

// load is a pickle that is being read.
type load struct {
	*Machine
	r        io.ReaderAt
	buf      *bufio.Reader
	pos, end int64 // of what buf gives next

	stack   []any
	highest int   // that the stack was
	marks   []int // how high the stack was at each MARK
	memo    map[uint32]any
	done    bool
}

// fault is what is wrong with an opcode.
type fault string

func (f fault) Error() string { return string(f) }

func faultf(format string, a ...any) error { return fault(fmt.Sprintf(format, a...)) }

const (
	errMemory = fault("more values than a file of its size has")
	errCut    = fault("cut short")
	errEmpty  = fault("nothing is on the stack that it could take")
)

// byte reads one.
func (l *load) byte() (byte, error) {
	b, err := l.bytes(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// bytes reads a few, at most 16, which are good until the next call.
func (l *load) bytes(n int) ([]byte, error) {
	if int64(n) > l.end-l.pos {
		return nil, errCut
	}
	b, err := l.buf.Peek(n)
	if err != nil {
		return nil, err
	}
	if _, err := l.buf.Discard(n); err != nil {
		return nil, err
	}
	l.pos += int64(n)
	return b, nil
}

// uint reads a little-endian number of n bytes.
func (l *load) uint(n int) (x uint64, err error) {
	b, err := l.bytes(n)
	for i := range b {
		x |= uint64(b[i]) << (8 * i)
	}
	return x, err
}

// kept is how long a string is that is kept.
const kept = 4096

// text reads a string: a Raw where it is long.
func (l *load) text(n uint64) (any, error) {
	if n > uint64(l.end-l.pos) {
		return nil, faultf("%d bytes of text, of which %d are there", n, l.end-l.pos)
	}
	if !l.take(2*int64(min(n, kept)) + perObject) {
		return nil, errMemory
	}
	if n > kept {
		v := &Raw{Off: l.pos, Len: int64(n)}
		l.pos += int64(n)
		l.buf.Reset(io.NewSectionReader(l.r, l.pos, l.end-l.pos))
		return v, nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(l.buf, b); err != nil {
		return nil, err
	}
	l.pos += int64(n)
	return string(b), nil
}

// maxStack is how many values are on the stack at most: Python puts a dict or list together from 1000 at a time.
const maxStack = 1 << 16

// push puts a value on the stack.
func (l *load) push(v any) error {
	if len(l.stack) >= maxStack {
		return faultf("more than %d values at once", maxStack)
	}
	cost := int64(perPlain)
	if holds(v) {
		cost = perObject
	}
	l.stack = append(l.stack, v)
	if len(l.stack) > l.highest {
		l.highest, cost = len(l.stack), cost+perPlace
	}
	if !l.take(cost) {
		return errMemory
	}
	return nil
}

// pop takes the top value, not from below the last MARK.
func (l *load) pop() (any, error) {
	floor := 0
	if n := len(l.marks); n > 0 {
		floor = l.marks[n-1]
	}
	n := len(l.stack) - 1
	if n < floor {
		return nil, errEmpty
	}
	v := l.stack[n]
	l.stack = l.stack[:n]
	return v, nil
}

// popMark takes all values down to the last MARK; they are good until the next push.
func (l *load) popMark() ([]any, error) {
	n := len(l.marks) - 1
	if n < 0 {
		return nil, fault("there is no mark")
	}
	floor := l.marks[n]
	values := l.stack[floor:]
	l.marks, l.stack = l.marks[:n], l.stack[:floor]
	return values, nil
}

// top is the value that others are put into.
func (l *load) top() (any, error) {
	v, err := l.pop()
	if err == nil {
		l.stack = l.stack[:len(l.stack)+1]
	}
	return v, err
}
