package picturetest

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
)

// Mutate gives another file, of one to four changes to base: bits turned, bytes and numbers replaced, pieces cut,
// doubled, swapped, filled. Those that are not blind know the pieces that files of pictures are made of.
func Mutate(rng *rand.Rand, base []byte) []byte {
	b := bytes.Clone(base)
	for range 1 + rng.IntN(4) {
		if len(b) < 4 {
			return b
		}
		b = mutations[rng.IntN(len(mutations))](rng, b)
	}
	if rng.IntN(4) > 0 {
		mendSums(b)
	}
	return b
}

// mendSums gives a PNG's chunks their checksums, without which nobody looks at what else is wrong with them.
func mendSums(b []byte) {
	for at := 8; b[0] == 0x89 && at+12 <= len(b); {
		n := int(binary.BigEndian.Uint32(b[at:]))
		if n > len(b)-at-12 {
			return
		}
		binary.BigEndian.PutUint32(b[at+8+n:], crc32.ChecksumIEEE(b[at+4:at+8+n]))
		at += 12 + n
	}
}

var mutations = []func(*rand.Rand, []byte) []byte{
	turnBits, turnBits, replaceBytes, replaceNumber, replaceNumber, cut, cutOut, double, swapPieces, swapPieces, fill,
	insert,
}

func turnBits(rng *rand.Rand, b []byte) []byte {
	for range 1 + rng.IntN(8) {
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
	}
	return b
}

func replaceBytes(rng *rand.Rand, b []byte) []byte {
	for range 1 + rng.IntN(4) {
		b[rng.IntN(len(b))] = byte(rng.Uint32())
	}
	return b
}

// replaceNumber puts a number that lengths and sizes should not have in any place, more often near the beginning.
func replaceNumber(rng *rand.Rand, b []byte) []byte {
	numbers := []uint32{
		0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 1<<31 - 1, 1 << 31,
		1<<32 - 1,
	}
	v, at := numbers[rng.IntN(len(numbers))], rng.IntN(len(b)-3)
	if rng.IntN(2) == 0 {
		at = rng.IntN(min(len(b)-3, 64))
	}
	switch rng.IntN(4) {
	case 0:
		binary.BigEndian.PutUint16(b[at:], uint16(v))
	case 1:
		binary.LittleEndian.PutUint16(b[at:], uint16(v))
	case 2:
		binary.BigEndian.PutUint32(b[at:], v)
	default:
		binary.LittleEndian.PutUint32(b[at:], v)
	}
	return b
}

func cut(rng *rand.Rand, b []byte) []byte { return b[:1+rng.IntN(len(b)-1)] }

func cutOut(rng *rand.Rand, b []byte) []byte {
	at := rng.IntN(len(b))
	return append(b[:at], b[min(at+1+rng.IntN(16), len(b)):]...)
}

func insert(rng *rand.Rand, b []byte) []byte {
	at, more := rng.IntN(len(b)), make([]byte, 1+rng.IntN(16))
	for i := range more {
		more[i] = byte(rng.Uint32())
	}
	return append(append(bytes.Clone(b[:at]), more...), b[at:]...)
}

func fill(rng *rand.Rand, b []byte) []byte {
	at, v := rng.IntN(len(b)), []byte{0, 0xff}[rng.IntN(2)]
	for i := at; i < min(at+1+rng.IntN(64), len(b)); i++ {
		b[i] = v
	}
	return b
}

// double writes a piece twice.
func double(rng *rand.Rand, b []byte) []byte {
	p := pieces(b)
	i := rng.IntN(len(p))
	return bytes.Join(append(append(append([][]byte{}, p[:i+1]...), p[i]), p[i+1:]...), nil)
}

func swapPieces(rng *rand.Rand, b []byte) []byte {
	p := pieces(b)
	i, k := rng.IntN(len(p)), rng.IntN(len(p))
	p[i], p[k] = p[k], p[i]
	return bytes.Join(p, nil)
}

// pieces cuts a file before each JPEG marker, or each name of four letters, which is where PNG and WebP have chunks;
// other files into sixteen.
func pieces(b []byte) (all [][]byte) {
	start := 0
	for i := 1; i+4 <= len(b); i++ {
		if marker(b, i) {
			all, start = append(all, b[start:i]), i
		}
	}
	if len(all) < 2 {
		all, start = nil, 0
		for k := range 15 {
			end := (k + 1) * len(b) / 16
			all, start = append(all, b[start:end]), end
		}
	}
	return append(all, b[start:])
}

func marker(b []byte, i int) bool {
	if b[0] == 0xff {
		return b[i] == 0xff && b[i+1] >= 0xc0 && b[i+1] != 0xff
	}
	if b[0] == 0x89 { // a PNG's length stands before the name
		i += 4
	}
	if i+4 > len(b) || b[0] != 0x89 && b[0] != 'R' {
		return false
	}
	for _, c := range b[i : i+4] {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != ' ' && c != '8' {
			return false
		}
	}
	return true
}
