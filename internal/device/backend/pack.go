package backend

import (
	"cmp"
	"slices"
)

// Buffer is memory that is in use from one time of a program's walk to another. A backend embeds it in what knows where
// the memory is.
type Buffer struct {
	Purpose string // one of device's Purpose constants
	Bytes   int64
	Life    Life
	Offset  int64 // in the arena; Pack says
}

func (b *Buffer) planned() *Buffer { return b }

// Arena is the memory for one purpose. Buffers that are never in use at the same time share it.
type Arena[B any] struct {
	Purpose string
	Bytes   int64
	Buffers []B
}

// Arenas packs buffers, which embed Buffer, into an arena for each purpose, in the order in which the purposes first
// appear. A buffer without bytes is in none. align is Pack's.
func Arenas[B interface{ planned() *Buffer }](buffers []B, align func(bytes int64) int64) []Arena[B] {
	var all []Arena[B]
	var planned [][]*Buffer // of each arena
	for _, own := range buffers {
		b := own.planned()
		if b.Bytes == 0 {
			continue
		}
		i := slices.IndexFunc(all, func(a Arena[B]) bool { return a.Purpose == b.Purpose })
		if i < 0 {
			i = len(all)
			all, planned = append(all, Arena[B]{Purpose: b.Purpose}), append(planned, nil)
		}
		all[i].Buffers, planned[i] = append(all[i].Buffers, own), append(planned[i], b)
	}
	for i := range all {
		all[i].Bytes = Pack(planned[i], align)
	}
	return all
}

// Pack gives each buffer, the largest first, the lowest place that is free all the time that it is in use, and returns
// the bytes that they take together. align is what a buffer of so many bytes begins at a multiple of.
func Pack(buffers []*Buffer, align func(bytes int64) int64) (bytes int64) {
	largest := slices.Clone(buffers)
	slices.SortStableFunc(largest, func(a, b *Buffer) int { return cmp.Compare(b.Bytes, a.Bytes) })
	var placed []*Buffer // by offset
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
		at, _ := slices.BinarySearchFunc(placed, p.Offset, func(q *Buffer, offset int64) int {
			return cmp.Compare(q.Offset, offset)
		})
		placed = slices.Insert(placed, at, p)
		bytes = max(bytes, p.Offset+p.Bytes)
	}
	return bytes
}

// RoundUp is the least multiple of a number that is not below n.
func RoundUp(n, to int64) int64 { return (n + to - 1) / to * to }
