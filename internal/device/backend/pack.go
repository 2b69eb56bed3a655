package backend

import (
	"cmp"
	"slices"
)

// Piece is memory to be found a place for.
type Piece struct {
	Bytes  int64
	Life   Life
	Offset int64 // in the arena; Pack says
}

// Pack gives each piece, the largest first, the lowest place that is free all the time that it is in use, and returns
// the bytes that they take together. align is what a piece of so many bytes begins at a multiple of.
func Pack(pieces []Piece, align func(bytes int64) int64) (bytes int64) {
	largest := make([]*Piece, len(pieces))
	for i := range pieces {
		largest[i] = &pieces[i]
	}
	slices.SortStableFunc(largest, func(a, b *Piece) int { return cmp.Compare(b.Bytes, a.Bytes) })
	var placed []*Piece // by offset
	for _, p := range largest {
		p.Offset = 0
		for _, q := range placed {
			if !p.Life.Meets(q.Life) {
				continue
			}
			if p.Offset+p.Bytes <= q.Offset {
				break
			}
			p.Offset = max(p.Offset, RoundUp(q.Offset+q.Bytes, align(p.Bytes)))
		}
		at, _ := slices.BinarySearchFunc(placed, p.Offset, func(q *Piece, offset int64) int {
			return cmp.Compare(q.Offset, offset)
		})
		placed = slices.Insert(placed, at, p)
		bytes = max(bytes, p.Offset+p.Bytes)
	}
	return bytes
}

// RoundUp is the least multiple of a number that is not below n.
func RoundUp(n, to int64) int64 { return (n + to - 1) / to * to }
