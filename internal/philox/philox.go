// Package philox holds the program's only source of randomness: Philox4x32-10, a counter-based generator (Salmon,
// Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A draw depends on nothing but its key
// and counter, so it can be made anywhere, in any order, again: a resumed run draws what the undisturbed one drew, and
// two devices draw what one would.
//
// Every use of randomness has its own Purpose, mixed into the key, so that no two uses ever share a number. The C and
// CUDA backends repeat this arithmetic; devicetest holds them to it.
package philox

import (
	"hash/fnv"
	"math"
)

// Purpose separates the uses of randomness of one seed.
type Purpose uint32

// Purposes. Their numbers are part of the file format: a resumed run depends on them.
const (
	PurposeDropout Purpose = 1 + iota
	PurposeInit
	PurposeShuffle
	PurposeAugment
	PurposeSplit
	PurposeDemo
	PurposeTest
	PurposeMean
	PurposePermutation
	PurposeShown
)

// Key makes a key of a seed and a purpose.
func Key(seed uint64, purpose Purpose) [2]uint32 {
	return [2]uint32{uint32(seed), uint32(seed>>32) ^ uint32(purpose)<<24}
}

// Stream numbers a layer by its name (FNV-1a), so that removing one layer leaves the draws of the others alone.
func Stream(name string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum32()
}

// Block is Philox4x32-10: four random words from a key and a counter.
func Block(key [2]uint32, c [4]uint32) [4]uint32 {
	const m0, m1 = 0xD2511F53, 0xCD9E8D57 // multipliers
	const w0, w1 = 0x9E3779B9, 0xBB67AE85 // Weyl increments of the key: golden ratio, sqrt(3)-1
	k0, k1 := key[0], key[1]
	for range 10 {
		p0, p1 := uint64(m0)*uint64(c[0]), uint64(m1)*uint64(c[2])
		c = [4]uint32{uint32(p1>>32) ^ c[1] ^ k0, uint32(p1), uint32(p0>>32) ^ c[3] ^ k1, uint32(p0)}
		k0, k1 = k0+w0, k1+w1
	}
	return c
}

// Dropout is the word that decides on one unit: the layer's stream, the sample's and the unit's logical number.
// Counter: (unit/4, stream, sample, step), word unit%4.
func Dropout(seed, step uint64, stream uint32, sample, unit uint64) uint32 {
	return Block(Key(seed, PurposeDropout), [4]uint32{uint32(unit >> 2), stream, uint32(sample), uint32(step)})[unit&3]
}

// Threshold is the number below which a word drops a unit: rate * 2^32.
func Threshold(rate float32) uint32 { return uint32(float64(rate) * (1 << 32)) }

// Float makes a word a number in [0, 1).
func Float(w uint32) float64 { return float64(w) / (1 << 32) }

// Normals makes four words two pairs of standard normal numbers (Box, Muller 1958).
func Normals(w [4]uint32) [4]float64 {
	var n [4]float64
	for i := 0; i < 4; i += 2 {
		r := math.Sqrt(-2 * math.Log((float64(w[i])+0.5)/(1<<32)))
		s, c := math.Sincos(2 * math.Pi * Float(w[i+1]))
		n[i], n[i+1] = r*c, r*s
	}
	return n
}

// Source draws words in sequence from one key and the upper half of a counter, for uses that are sequential anyway (a
// shuffle).
type Source struct {
	key  [2]uint32
	ctr  [4]uint32
	buf  [4]uint32
	used int
}

// NewSource starts a sequence; a and b tell it from the others of the same purpose (an epoch, a sample).
func NewSource(seed uint64, purpose Purpose, a, b uint32) *Source {
	return &Source{key: Key(seed, purpose), ctr: [4]uint32{0, 0, a, b}, used: 4}
}

// Uint32 is the next word.
func (s *Source) Uint32() uint32 {
	if s.used == 4 {
		s.buf = Block(s.key, s.ctr)
		s.used = 0
		if s.ctr[0]++; s.ctr[0] == 0 {
			s.ctr[1]++
		}
	}
	s.used++
	return s.buf[s.used-1]
}

// Intn is uniform in [0, n), without bias (Lemire 2019), for 0 < n < 2^32.
func (s *Source) Intn(n int) int {
	m := uint32(n)
	p := uint64(s.Uint32()) * uint64(m)
	if uint32(p) < m {
		for t := -m % m; uint32(p) < t; {
			p = uint64(s.Uint32()) * uint64(m)
		}
	}
	return int(p >> 32)
}

// Float64 is uniform in [0, 1).
func (s *Source) Float64() float64 { return Float(s.Uint32()) }

// Normals are four standard normal numbers.
func (s *Source) Normals() [4]float64 {
	return Normals([4]uint32{s.Uint32(), s.Uint32(), s.Uint32(), s.Uint32()})
}
