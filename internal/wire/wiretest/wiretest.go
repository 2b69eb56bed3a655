// Package wiretest writes protobuf messages that no sound program would, for the tests of what reads them, and measures
// what reading takes. It imports protowire and nothing of the program.
package wiretest

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// Message is a field that holds bytes: those of a message, which are the parts.
func Message(num protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), bytes.Join(parts, nil))
}

// Text is a field that holds a text.
func Text(num protowire.Number, s string) []byte { return Message(num, []byte(s)) }

// Number is a field that holds a varint.
func Number(num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), uint64(v))
}

// Float is a field that holds a number of 32 bits.
func Float(num protowire.Number, v float32) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(nil, num, protowire.Fixed32Type), math.Float32bits(v))
}

// Floats is a field that holds numbers of 32 bits, packed.
func Floats(num protowire.Number, v ...float32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return Message(num, b)
}

// Varints is a field that holds varints, packed.
func Varints(num protowire.Number, v ...int64) []byte {
	var b []byte
	for _, d := range v {
		b = protowire.AppendVarint(b, uint64(d))
	}
	return Message(num, b)
}

// Long is a field that says that so many bytes follow, whatever does.
func Long(num protowire.Number, size uint64, follows ...byte) []byte {
	return append(protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.BytesType), size), follows...)
}

// Nested is a message of a field that holds such a message, and so on.
func Nested(num protowire.Number, depth int) []byte {
	b := []byte{}
	for range depth {
		b = Message(num, b)
	}
	return b
}

// Little sees that reading a file takes at most twice its size and 16 MB, whatever comes of it.
func Little(t *testing.T, name string, file []byte, read func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(2*len(file)+16<<20) {
		t.Errorf("%s: %d bytes were taken for a file of %d", name, got, len(file))
	}
}
