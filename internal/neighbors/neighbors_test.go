package neighbors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/text"
)

// write makes an index of rows, named by their numbers.
func write(ctx context.Context, fsys files.FS, path string, rows [][]float32) error {
	_, err := atomicfile.Put(ctx, fsys, path, func(f atomicfile.File) error {
		w, err := NewWriter(f, sample, len(rows[0]))
		if err != nil {
			return err
		}
		for i, r := range rows {
			if err := w.Add(fmt.Sprint(i), int32(i%2), r); err != nil {
				return err
			}
		}
		return w.Close()
	})
	return err
}

// sample has names that no JSON holds as they are.
var sample = Of{
	Net: "1f", Layer: "fc7",
	Data: Data{
		Paths: []text.Raw{"a\xff", "s3://b"}, Labels: "index", Part: "train", Fingerprint: "2e", Set: "3d",
	},
	Names: []string{"</script>\n", "\xfe\\"},
}

// indexOf writes and opens an index.
func indexOf(t testing.TB, rows [][]float32) *Index {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.index")
	if err := write(t.Context(), files.OS, path, rows); err != nil {
		t.Fatal(err)
	}
	x, err := Open(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// brute is the search as one would write it down.
func brute(rows [][]float32, q []float32, k int) []Neighbor {
	all := make([]near, len(rows))
	for i, r := range rows {
		all[i] = near{i, Squared(r, q)}
	}
	slices.SortStableFunc(all, func(a, b near) int { return cmp.Compare(a.squared, b.squared) })
	var best []Neighbor
	for _, n := range all[:min(k, len(all))] {
		best = append(best, Neighbor{n.row, math.Sqrt(n.squared)})
	}
	return best
}

// inMemory is an index that was loaded, with so many rows a block.
func inMemory(rows [][]float32, per int) *Index {
	x := &Index{rows: len(rows), dim: len(rows[0])}
	for i, r := range rows {
		if i%per == 0 {
			x.loaded = append(x.loaded, block{first: i})
		}
		b := &x.loaded[len(x.loaded)-1]
		b.values, b.norms = append(b.values, r...), append(b.norms, norm(r))
	}
	return x
}

// matches holds a search, of each query alone and of all together, to brute's.
func matches(t interface {
	Helper()
	Fatalf(string, ...any)
	Context() context.Context
}, x *Index, rows, queries [][]float32, k int,
) {
	t.Helper()
	together, err := x.Nearest(t.Context(), queries, k)
	if err != nil {
		t.Fatalf("%v", err)
	}
	s := NewSearch(queries, k)
	for _, r := range rows {
		s.Add(r)
	}
	added := s.Found()
	for j, q := range queries {
		alone, err := x.Nearest(t.Context(), queries[j:j+1], k)
		want := brute(rows, q, k)
		if err != nil || !slices.Equal(alone[0], want) || !slices.Equal(together[j], want) ||
			!slices.Equal(added[j], want) {
			t.Fatalf("query %d (%v):\ngot  %v, %v, %v\nwant %v", j, err, alone[0], together[j], added[j], want)
		}
	}
}

// TestNearest: the order is that of brute force in float64, in rows that float32 cannot tell apart: such as are one
// unit of the last place from each other far away from zero, copies, sums that cancel or overflow, the smallest
// numbers.
func TestNearest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const count, dim = 200, 500
	for name, number := range map[string]func(row, i int) float32{
		"normal":    func(int, int) float32 { return float32(random.NormFloat64()) },
		"far away":  func(int, int) float32 { return math.Nextafter32(1000, float32(random.IntN(3)-1)*2000) },
		"all alike": func(int, int) float32 { return 3 },
		"copies":    func(row, i int) float32 { return float32((row % 3) * (i % 5)) },
		"overflow":  func(row, i int) float32 { return float32(1-i%2*2) * 3e38 * float32(random.IntN(2)) },
		"cancels":   func(row, i int) float32 { return float32(1-i%2*2)*1e10 + float32(random.IntN(1e5)) },
		"tiny":      func(int, int) float32 { return float32(random.IntN(3)) * 1.4e-45 },
		"falling":   func(row, i int) float32 { return float32(count-row) + float32(random.Float64())*1e-4 },
	} {
		t.Run(name, func(t *testing.T) {
			rows := make([][]float32, count)
			for r := range rows {
				rows[r] = make([]float32, dim)
				for i := range rows[r] {
					rows[r][i] = number(r, i)
				}
			}
			queries := [][]float32{make([]float32, dim), rows[count-1], slices.Clone(rows[7])}
			for i := range 100 {
				queries[2][i] = math.Nextafter32(queries[2][i], 1)
			}
			matches(t, inMemory(rows, 17), rows, queries, 6)
		})
	}
}

// TestNearestInFile: the same of rows in a file, in several blocks, the last of which is not full, and of those that
// were loaded from it.
func TestNearestInFile(t *testing.T) {
	const count, dim = 9, blockFloats / 4
	rows := make([][]float32, count)
	for r := range rows {
		rows[r] = make([]float32, dim)
		rows[r][r] = float32(r*5%count) + 1
	}
	x := indexOf(t, rows)
	queries := [][]float32{make([]float32, dim), rows[5]}
	matches(t, x, rows, queries, 6)
	if err := x.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	matches(t, x, rows, queries, 6)
}

// TestNearestAnyhow is TestNearest of few numbers of whatever size, so that most rows are near ties.
func TestNearestAnyhow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dim := rapid.IntRange(1, 9).Draw(t, "dim")
		number := rapid.SampledFrom([]float32{0, 1, -1, 1 + 1./(1<<23), 16777216, 16777218, -3e38, 1e-45, 1e19, 0.1})
		rows := rapid.SliceOfN(rapid.SliceOfN(number, dim, dim), 1, 40).Draw(t, "rows")
		queries := rapid.SliceOfN(rapid.SliceOfN(number, dim, dim), 1, 3).Draw(t, "queries")
		x := inMemory(rows, rapid.IntRange(1, 40).Draw(t, "per"))
		matches(t, x, rows, queries, rapid.IntRange(0, 45).Draw(t, "k"))
	})
}

// TestSparesWork: of rows in whatever order few distances are computed in float64.
func TestSparesWork(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const count, dim, k = 5000, 64, 6
	s := NewSearch([][]float32{make([]float32, dim)}, k)
	looked := 0
	for i := range count {
		row := make([]float32, dim)
		for j := range row {
			row[j] = float32(random.NormFloat64())
		}
		var score float64
		if s.near(0, norm(row), score) {
			looked++
			s.add(0, near{i, norm(row)})
		}
	}
	// k (1 + ln(count/k)) = 46 are nearer than the k-th so far where every order is as likely.
	if looked < k || looked > 100 {
		t.Errorf("%d of %d rows were looked at", looked, count)
	}
}

// TestRoundTrip: what is known of the rows comes back, names of any bytes included.
func TestRoundTrip(t *testing.T) {
	rows := [][]float32{{1, 2}, {-0.5, 3e-30}, {0, 9}}
	x := indexOf(t, rows)
	if x.Net != sample.Net || x.Layer != sample.Layer || !slices.Equal(x.Names, sample.Names) ||
		!slices.Equal(x.Data.Paths, sample.Data.Paths) || x.Data.Part != "train" || x.Data.Fingerprint != "2e" ||
		x.Data.Labels != "index" || x.Data.Set != "3d" || x.Len() != 3 || x.Dim() != 2 || x.Name(2) != "2" ||
		x.Label(1) != 1 {
		t.Errorf("%+v, %d rows of %d", x.Of, x.Len(), x.Dim())
	}
}

// TestDamage: no damaged index is taken for a sound one.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.index")
	rows := [][]float32{{1, 2}, {-0.5, 3e-30}, {0, 9}}
	if err := write(t.Context(), files.OS, path, rows); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wantBad := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		x, err := Open(files.OS, path)
		if err == nil {
			_, err = x.Nearest(t.Context(), rows[:1], 2)
			x.Close()
		}
		var e *BadIndex
		if !errors.As(err, &e) || e.Path != path || e.Reason == "" {
			t.Errorf("%s: error %v", what, err)
		}
	}
	for i := range whole {
		for bit := range 8 {
			if i >= headSize && bit != i%8 { // of what CRC-32C covers one is enough
				continue
			}
			b := slices.Clone(whole)
			b[i] ^= 1 << bit
			wantBad(fmt.Sprintf("bit %d of byte %d flipped", bit, i), b)
		}
		wantBad(fmt.Sprintf("cut to %d bytes", i), whole[:i])
	}
	wantBad("a byte more", append(slices.Clone(whole), 0))
	wantBad("without a head", slices.Concat(make([]byte, headSize), whole[headSize:]))
	for _, h := range []head{
		{rows: 1 << 40, dim: 1 << 40}, {rows: 1, dim: 0}, {dim: 1 << 23}, {dim: 1, tail: 1 << 40},
	} {
		wantBad(fmt.Sprintf("a head of %+v", h), h.bytes())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	var e *BadIndex
	if _, err := Open(files.OS, path); !errors.As(err, &e) || !e.Other {
		t.Errorf("a pipe: %v", err)
	}
	if _, err := Open(files.OS, path+"x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestFullDisk: whichever call fails, there is the whole index or none.
func TestFullDisk(t *testing.T) {
	filestest.EachCall(t, syscall.ENOSPC, func(t *testing.T, fsys *filestest.FS) {
		path := filepath.Join(t.TempDir(), "f.index")
		err := write(t.Context(), fsys, path, [][]float32{{1, 2}, {3, 4}})
		x, opened := Open(files.OS, path)
		switch {
		case opened == nil:
			x.Close()
		case !errors.Is(opened, os.ErrNotExist) || err == nil || !errors.Is(err, syscall.ENOSPC):
			t.Errorf("written: %v; opened: %v", err, opened)
		}
	})
}

// TestWriterRefuses what no search could use.
func TestWriterRefuses(t *testing.T) {
	var none *NotFinite
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		err := write(t.Context(), files.OS, filepath.Join(t.TempDir(), "f"), [][]float32{{1}, {float32(x)}})
		if !errors.As(err, &none) || none.Picture != "1" || none.Layer != "fc7" {
			t.Errorf("%g: %v", x, err)
		}
	}
	if err := write(t.Context(), files.OS, filepath.Join(t.TempDir(), "f"), [][]float32{{1}, {1, 2}}); err == nil {
		t.Error("rows of two lengths are no error")
	}
	if err := write(t.Context(), files.OS, filepath.Join(t.TempDir(), "f"), [][]float32{{}}); err == nil {
		t.Error("rows without numbers are no error")
	}
}

// TestEnds: the end of ctx ends a search.
func TestEnds(t *testing.T) {
	x := indexOf(t, [][]float32{{1}, {2}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Nearest(ctx, [][]float32{{1}}, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// BenchmarkNearest searches 50,000 rows of 4096 numbers, 819 MB, in memory, for 1 and 8 queries at a time.
func BenchmarkNearest(b *testing.B) {
	const count, dim = 50_000, 4096
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() []float32 {
		row := make([]float32, dim)
		for i := range row {
			row[i] = max(0, float32(random.NormFloat64())) // as after ReLU
		}
		return row
	}
	x := &Index{rows: count, dim: dim}
	for first := 0; first < count; first += blockRows(dim) {
		part := block{first: first}
		for range min(blockRows(dim), count-first) {
			row := draw()
			part.values, part.norms = append(part.values, row...), append(part.norms, norm(row))
		}
		x.loaded = append(x.loaded, part)
	}
	for _, n := range []int{1, 8} {
		queries := make([][]float32, n)
		for j := range queries {
			queries[j] = draw()
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := x.Nearest(b.Context(), queries, 6); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
