// Package neighbors finds the pictures of a set that a net sees as most alike: those nearest to a picture by the
// Euclidean distance between what one of its layers makes of them, as in the paper's figure 4, right. What the layer
// says of each picture of the set is kept in a file, the index: [Writer] makes one as the pictures go through the net,
// [Open] reads it.
//
// The search is exact. It goes over the index once, a block at a time, for all queries together. A matrix product in
// float32 tells of each row how near it can be at most, and only where that is nearer than what was found so far the
// distance is computed, in float64. So the order is that of distances in float64, and rows at the same distance come by
// their numbers.
//
// The package knows neither nets nor pictures: rows are numbers with a name and a label. It imports atomicfile, files,
// tensor and text, and gonum for the product.
package neighbors

import (
	"context"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Neighbor is a row of an index near a query.
type Neighbor struct {
	Row      int
	Distance float64 // Euclidean
}

// Squared is the square of the Euclidean distance between two rows of the same length, added up in float64 from the
// first number to the last: the distance that the order of neighbours goes by.
func Squared(a, b []float32) float64 {
	sum := 0.
	for i, x := range a {
		d := float64(x) - float64(b[i])
		sum += d * d
	}
	return sum
}

// Nearest gives the k rows nearest to each query, of Dim numbers: the nearest first, of equally near ones the first;
// fewer where the index has fewer. It reads the file once, unless it is loaded. A block that is damaged is a *BadIndex;
// else errors are the file's, and ctx's.
func (x *Index) Nearest(ctx context.Context, queries [][]float32, k int) ([][]Neighbor, error) {
	s := NewSearch(queries, k)
	if err := x.each(ctx, s.block); err != nil {
		return nil, err
	}
	return s.Found(), nil
}

// Bounds of rounding errors (N. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1): a
// sum of n products, added up in whatever order, is wrong by at most gamma times the sum of their absolute values,
// gamma = n u / (1 - n u), and by what is lost below the smallest numbers. By Cauchy and Schwarz that sum is at most
// |x| |q|.
const (
	unit32 = 1. / (1 << 24)
	unit64 = 1. / (1 << 53)
	least  = 1e-44 // more than half of the smallest float32, 1.4e-45: what a product may lose below it
)

// Search is a search under way, in rows that are added one after the other.
type Search struct {
	k       int
	queries blas32.General // (queries, dim)
	norms   []float64      // (queries): squares
	best    [][]near       // by query: up to k, the nearest first
	added   block          // rows that were not looked at yet
	scores  []float32      // (rows of a block, queries)

	gamma float64 // of float32
	wide  float64 // of float64, times the sum of both squared norms
}

// near is a row, and the square of its distance.
type near struct {
	row     int
	squared float64
}

// NewSearch begins a search for the k rows nearest to each query; these are all of one length.
func NewSearch(queries [][]float32, k int) *Search {
	s := &Search{k: k, best: make([][]near, len(queries)), norms: make([]float64, len(queries))}
	for i, q := range queries {
		s.queries.Data = append(s.queries.Data, q...)
		s.norms[i] = norm(q)
		s.queries.Cols = len(q)
	}
	s.queries.Rows, s.queries.Stride = len(queries), s.queries.Cols
	n := float64(s.queries.Cols + 8) // some roundings more than there are numbers
	s.gamma = n * unit32 / (1 - n*unit32)
	// Squared is wrong by n + 2 roundings of at most twice the sum of the norms, these by n, their sum by a few.
	s.wide = 8 * n * unit64
	return s
}

// Add looks at one more row, of finite numbers: the first is number 0.
func (s *Search) Add(values []float32) {
	b := &s.added
	b.values, b.norms = append(b.values, values...), append(b.norms, norm(values))
	if len(b.norms) >= blockRows(len(values)) {
		s.flush()
	}
}

func (s *Search) flush() {
	b := &s.added
	if len(b.norms) == 0 {
		return
	}
	s.block(*b)
	b.first += len(b.norms)
	b.values, b.norms = b.values[:0], b.norms[:0]
}

// Found is what was found by query, as [Index.Nearest] gives it.
func (s *Search) Found() [][]Neighbor {
	s.flush()
	all := make([][]Neighbor, len(s.best))
	for j, best := range s.best {
		all[j] = make([]Neighbor, len(best))
		for i, n := range best {
			all[j][i] = Neighbor{n.row, math.Sqrt(n.squared)}
		}
	}
	return all
}

// norm is the square of the Euclidean norm.
func norm(v []float32) float64 {
	var sum [4]float64 // four sums, which do not wait for each other
	for ; len(v) >= 4; v = v[4:] {
		for i, x := range v[:4] {
			sum[i] += float64(x) * float64(x)
		}
	}
	for _, x := range v {
		sum[0] += float64(x) * float64(x)
	}
	return sum[0] + sum[1] + sum[2] + sum[3]
}

// block looks at rows of the index, of which b has the squares of the norms.
func (s *Search) block(b block) {
	n, dim := len(b.norms), s.queries.Cols
	if s.k < 1 || s.queries.Rows == 0 {
		return
	}
	if cap(s.scores) < n*s.queries.Rows {
		s.scores = make([]float32, n*s.queries.Rows)
	}
	rows := blas32.General{Rows: n, Cols: dim, Stride: dim, Data: b.values}
	scores := blas32.General{Rows: n, Cols: s.queries.Rows, Stride: s.queries.Rows, Data: s.scores}
	if s.queries.Rows == 1 {
		blas32.Gemv(blas.NoTrans, 1, rows, blas32.Vector{N: dim, Inc: 1, Data: s.queries.Data}, 0,
			blas32.Vector{N: n, Inc: 1, Data: s.scores})
	} else {
		blas32.Gemm(blas.NoTrans, blas.Trans, 1, rows, s.queries, 0, scores)
	}
	for i, norm := range b.norms {
		row := b.values[i*dim:][:dim]
		for j, score := range s.scores[i*s.queries.Rows:][:s.queries.Rows] {
			if s.near(j, norm, float64(score)) {
				s.add(j, near{b.first + i, Squared(row, s.queries.Data[j*dim:][:dim])})
			}
		}
	}
}

// near tells whether a row, by the square of its norm and its product with query j, may be nearer than the last of the
// best so far. Only a row that is nearer counts, for what is there has a lower number. A product that overflowed tells
// nothing, and the row may be.
func (s *Search) near(j int, norm, score float64) bool {
	best := s.best[j]
	if len(best) < s.k || math.IsInf(score, 0) || math.IsNaN(score) {
		return true
	}
	both := norm + s.norms[j]
	slack := 2*(s.gamma*math.Sqrt(norm*s.norms[j])+float64(s.queries.Cols)*least) + s.wide*both
	return both-2*score-slack < best[s.k-1].squared
}

// add takes a row among the best of query j, if it is one of them.
func (s *Search) add(j int, n near) {
	best := s.best[j]
	at := len(best)
	for at > 0 && n.squared < best[at-1].squared {
		at--
	}
	if at == s.k {
		return
	}
	if len(best) < s.k {
		best = append(best, near{})
	}
	copy(best[at+1:], best[at:])
	best[at] = n
	s.best[j] = best
}
