package demo

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
)

var smallDemo = Options{Train: 3, Val: 2, Size: 16, Seed: 9}

// decodeAll gives the pixels of every picture of a set.
func decodeAll(t testing.TB, set *data.Set) [][]uint8 {
	t.Helper()
	all := make([][]uint8, set.Len())
	d := picture.NewDecoder()
	defer d.Close()
	for i := range all {
		raw, err := set.Read(t.Context(), i, nil)
		if err != nil {
			t.Fatal(err)
		}
		pic, err := d.Decode(t.Context(), raw, picture.Want{Channels: 3}, nil)
		if err != nil {
			t.Fatal(set.Name(i), err)
		}
		all[i] = pic.Pixels
	}
	return all
}

func TestDemoFolderEqualsMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "demo")
	if err := Write(t.Context(), files.OS, dir, smallDemo); err != nil {
		t.Fatal(err)
	}
	disk, err := data.Open(t.Context(), files.OS, data.At(dir), .5, 1)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := Open(smallDemo)
	if err != nil {
		t.Fatal(err)
	}
	if disk.Fingerprint != memory.Fingerprint || !slices.Equal(disk.Classes, memory.Classes) || disk.Split ||
		memory.Split {
		t.Errorf("%+v\n%+v", disk, memory)
	}
	for _, sets := range [][2]*data.Set{{disk.Train, memory.Train}, {disk.Val, memory.Val}} {
		if d := cmp.Diff(decodeAll(t, sets[0]), decodeAll(t, sets[1])); d != "" {
			t.Errorf("pictures differ between folder and memory:\n%s", d)
		}
	}
	if len(disk.Classes) != 10 || disk.Train.Len() != 30 || disk.Val.Len() != 20 {
		t.Errorf("%d classes, %d and %d pictures", len(disk.Classes), disk.Train.Len(), disk.Val.Len())
	}
	if err := Write(t.Context(), files.OS, dir, smallDemo); !errors.Is(err, fs.ErrExist) {
		t.Errorf("written over a folder that is not empty: error %v", err)
	}
	if err := Write(t.Context(), files.OS, filepath.Join(dir, "train", "disc", "0001.png"), smallDemo); err == nil {
		t.Error("written into a file")
	}
}

// TestWriteTells: whatever fails while the pictures are written ends Write with that error.
func TestWriteTells(t *testing.T) {
	for _, op := range []string{"readdir", "mkdir", "openfile", "write", "close"} {
		f := filestest.New(files.OS)
		f.Fail(op, 0, syscall.EIO)
		if err := Write(t.Context(), f, filepath.Join(t.TempDir(), "demo"), smallDemo); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s failed: error %v", op, err)
		}
	}
}

func TestDemoSeeds(t *testing.T) {
	pixels := func(o Options) [][]uint8 {
		src, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		return append(decodeAll(t, src.Train), decodeAll(t, src.Val)...)
	}
	one, again := pixels(smallDemo), pixels(smallDemo)
	if d := cmp.Diff(one, again); d != "" {
		t.Error("the same options gave other pictures")
	}
	other := smallDemo
	other.Seed++
	two := pixels(other)
	for i := range one {
		for k := range one {
			if i != k && slices.Equal(one[i], one[k]) || slices.Equal(one[i], two[k]) {
				t.Fatalf("pictures %d and %d are the same", i, k)
			}
		}
	}
	// More pictures leave the first ones as they are.
	more := smallDemo
	more.Train++
	if m := pixels(more); !slices.Equal(m[4], one[3]) {
		t.Error("the number of pictures changed a picture")
	}
}

// Shuffled labels: the same training pictures, each class's spread over all classes; the validation part as it was.
func TestDemoShuffledLabels(t *testing.T) {
	o := Options{Train: 30, Val: 5, Size: 16}
	plain, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	o.ShuffledLabels = true
	shuffled, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	label := labelled(t, plain.Train)
	kept := 0
	for i, p := range decodeAll(t, shuffled.Train) {
		was, ok := label[string(p)]
		if !ok {
			t.Fatal("a picture that the plain set does not have")
		}
		if was == shuffled.Train.Label(i) {
			kept++
		}
	}
	if kept > 60 { // 30 of 300 expected, standard deviation 5
		t.Errorf("%d of 300 pictures kept their class", kept)
	}
	if shuffled.Train.Len() != 300 {
		t.Errorf("%d training pictures, want 300", shuffled.Train.Len())
	}
	if d := cmp.Diff(labelled(t, plain.Val), labelled(t, shuffled.Val)); d != "" {
		t.Errorf("the validation part changed:\n%s", d)
	}
}

// labelled gives the label of each picture by its pixels.
func labelled(t *testing.T, set *data.Set) map[string]int32 {
	t.Helper()
	label := map[string]int32{}
	for i, p := range decodeAll(t, set) {
		label[string(p)] = set.Label(i)
	}
	return label
}

func TestDemoStops(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := Write(ctx, files.OS, filepath.Join(t.TempDir(), "demo"), smallDemo); !errors.Is(err, why) {
		t.Errorf("error %v, want the cause of the context's end", err)
	}
}

func TestDemoRefuses(t *testing.T) {
	for _, o := range []Options{{Train: -1}, {Val: -1}, {Size: 8}, {Size: 4096}, {Train: 1<<20 + 1}} {
		if _, err := Open(o); err == nil {
			t.Errorf("%+v: accepted", o)
		}
	}
}

// Flipping must not turn one class into another.
func TestFiguresAreSymmetric(t *testing.T) {
	if !slices.IsSortedFunc(figures, func(a, b figure) int { return cmpString(a.name, b.name) }) {
		t.Error("figures are not sorted by name")
	}
	for _, f := range figures {
		differ := 0
		const n = 200
		for i := range n * n {
			x, y := (float64(i%n)+.5)/n*2-1, (float64(i/n)+.5)/n*2-1
			if f.inside(x, y) != f.inside(-x, y) {
				differ++
			}
		}
		// The checks have an even number of columns: in the mirror they are the other colour, still checks.
		if f.name != "checks" && differ > n {
			t.Errorf("%s differs from its mirror image in %d of %d points", f.name, differ, n*n)
		}
	}
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// The pictures need more than a linear model: softmax regression on all pixels stays near chance on new ones.
func TestDemoIsNotLinear(t *testing.T) {
	src, err := Open(Options{Train: 100, Val: 30})
	if err != nil {
		t.Fatal(err)
	}
	train, val := decodeAll(t, src.Train), decodeAll(t, src.Val)
	const n, classes = 32*32*3 + 1, 10
	w := make([]float64, classes*n)
	input := func(p []uint8) []float64 {
		x := make([]float64, n)
		for i, v := range p {
			x[i] = (float64(v) - 127) / 60
		}
		x[n-1] = 1
		return x
	}
	scores := func(x []float64) (s [classes]float64) {
		for c := range s {
			for i, v := range x {
				s[c] += w[c*n+i] * v
			}
		}
		return s
	}
	for epoch := range uint64(6) {
		for _, k := range rand.New(rand.NewPCG(1, epoch)).Perm(len(train)) {
			x := input(train[k])
			s := scores(x)
			top, sum := slices.Max(s[:]), 0.
			for c := range s {
				s[c] = math.Exp(s[c] - top)
				sum += s[c]
			}
			for c := range s {
				g := s[c] / sum
				if int32(c) == src.Train.Label(k) {
					g--
				}
				for i, v := range x {
					w[c*n+i] -= 1e-4 * g * v
				}
			}
		}
	}
	wrong := 0
	for i, p := range val {
		s := scores(input(p))
		if slices.Index(s[:], slices.Max(s[:])) != int(src.Val.Label(i)) {
			wrong++
		}
	}
	if share := float64(wrong) / float64(len(val)); share < .6 {
		t.Errorf("a linear model has only %.0f%% errors on held-out pictures: they are too easy", 100*share)
	} else {
		t.Logf("linear model: %.0f%% errors", 100*share)
	}
}
