package report

import (
	"math"
	"runtime"
	"sync"
)

// Histogram is how numbers are distributed, as TensorBoard's HistogramProto has it: bucket i counts those from
// Limits[i-1] (the first: Min) to Limits[i].
type Histogram struct {
	Tag            string // "weights/conv1.weight"
	N              float64
	Min, Max       float64
	Sum, Squares   float64 // of the numbers, and of their squares
	Limits, Counts []float64
}

// Numbers are first counted by sign, exponent and the first four bits of the fraction, in one pass and without a
// logarithm: 16 buckets to each power of two.
const (
	fineBits  = 13
	fineShift = 32 - fineBits
	infinite  = 0xff << 4 // the first bucket, without the sign, of what is not finite
)

// coarse is how many parts of the range, and of the numbers, a histogram tells apart: a bucket ends where it would be
// wider than such a part, or holds so many. So both the shape between Min and Max, which TensorBoard draws in 30 bars,
// and the percentiles, which it draws as well, are right to a part, of numbers that lie in a few wide tails too.
const coarse = 64

// Count makes the histogram of some numbers. Those that are not finite are left out. It takes all cores for a moment,
// and the result does not depend on how many these are.
func Count(tag string, xs []float32) Histogram {
	const chunk = 1 << 18
	parts := make([]moments, (len(xs)+chunk-1)/chunk)
	workers := min(runtime.GOMAXPROCS(0), len(parts))
	fine := make([][1 << fineBits]uint64, max(workers, 1))
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			for i := k; i < len(parts); i += workers {
				parts[i] = countInto(&fine[k], xs[i*chunk:min((i+1)*chunk, len(xs))])
			}
		})
	}
	wg.Wait()
	for _, more := range fine[1:] {
		for k, n := range more {
			fine[0][k] += n
		}
	}
	h := Histogram{Tag: tag, Min: math.Inf(1), Max: math.Inf(-1)}
	for _, p := range parts {
		h.N, h.Sum, h.Squares = h.N+float64(p.n), h.Sum+p.sum, h.Squares+p.squares
		h.Min, h.Max = min(h.Min, float64(p.low)), max(h.Max, float64(p.high))
	}
	if h.N == 0 {
		return Histogram{Tag: tag}
	}
	h.merge(&fine[0])
	return h
}

// moments are what a histogram says of some numbers besides their buckets.
type moments struct {
	n            int
	low, high    float32
	sum, squares float64
}

func countInto(fine *[1 << fineBits]uint64, xs []float32) moments {
	n, low, high := 0, float32(math.Inf(1)), float32(math.Inf(-1))
	var sum, squares float64
	for _, x := range xs {
		bits := math.Float32bits(x)
		if bits>>fineShift&^(1<<(fineBits-1)) >= infinite {
			continue
		}
		fine[bits>>fineShift]++
		n++
		if x < low {
			low = x
		}
		if x > high {
			high = x
		}
		wide := float64(x)
		sum += wide
		squares += wide * wide
	}
	return moments{n, low, high, sum, squares}
}

// merge makes the buckets of fine ones.
func (h *Histogram) merge(fine *[1 << fineBits]uint64) {
	width, full := (h.Max-h.Min)/coarse, h.N/coarse
	left, right, n := h.Min, h.Min, 0.0 // the bucket under way
	end := func(limit float64) {
		h.Limits, h.Counts = append(h.Limits, limit), append(h.Counts, n)
		left, right, n = limit, limit, 0
	}
	for i := range 2 * infinite {
		low, high, count := fineBucket(fine, i)
		if count == 0 {
			continue
		}
		low, high = max(low, h.Min), min(high, h.Max)
		if n > 0 && (n >= full || high-left > width) {
			end(right)
		}
		if low-right > width { // nothing lies between
			end(low)
		}
		right, n = high, n+count
	}
	end(h.Max)
}

// fineBucket is the i-th by what is in it, from the most negative numbers on.
func fineBucket(fine *[1 << fineBits]uint64, i int) (low, high, count float64) {
	const negative = 1 << (fineBits - 1)
	edge := func(k int) float64 {
		if k == infinite {
			return 2 * (1 << 127)
		}
		return float64(math.Float32frombits(uint32(k) << fineShift))
	}
	if k := i - infinite; k >= 0 {
		return edge(k), edge(k + 1), float64(fine[k])
	}
	k := infinite - 1 - i
	return -edge(k + 1), -edge(k), float64(fine[negative|k])
}
