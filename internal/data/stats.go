package data

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/mat"

	"alexnet/internal/recipe"
)

// sums is one worker's share of the sums. They are whole numbers, so that neither the number of workers nor their
// order can change the result by a bit.
type sums struct {
	pictures int
	image    []uint64     // (H, W, C): at most 255 a picture
	product  [3][3]uint64 // over all pixels: at most 255^2 each, so 2.8e14 pixels fit
}

// Measure goes over the training set once, with workers goroutines (0: GOMAXPROCS), and completes a recipe: with the
// size of the pictures, the mean of its kind and the colours. Pictures that cannot be read are told to onBad (may be
// nil; called from one goroutine at a time, once for each picture of a Set in a run) and left out. Fails when ctx ends
// or no picture can be read. Pictures are kept in memory for the Loader where the whole set fits, as LoaderOptions has
// it.
func Measure(
	ctx context.Context, set *Set, by recipe.Recipe, workers int, onBad func(*BadPicture),
) (recipe.Recipe, error) {
	var err error
	if by.Height, by.Width, err = set.PictureSize(ctx, &by); err != nil {
		return by, err
	}
	if set.Len() == 0 {
		return by, unreadable(set, nil)
	}
	v, err := set.view(&by, false)
	if err != nil {
		return by, err
	}
	total := &sums{image: make([]uint64, v.size())}
	var (
		mu   sync.Mutex // guards total and onBad
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for range min(workerCount(workers), set.Len()) {
		wg.Go(func() {
			own := &sums{image: make([]uint64, v.size())}
			own.sum(ctx, v, &next, func(i int, b *BadPicture) {
				mu.Lock()
				defer mu.Unlock()
				set.report(i, b, onBad)
			})
			mu.Lock()
			defer mu.Unlock()
			total.merge(own)
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return by, err
	}
	if total.pictures == 0 {
		return by, unreadable(set, set.Bad()[0])
	}
	return by, total.complete(&by)
}

// workerCount is n, or for 0 as many as run at a time: GOMAXPROCS, which Go takes from the affinity and the quota of
// the process, where NumCPU knows only the affinity.
func workerCount(n int) int {
	if n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}

// sum adds up pictures, taking the next free one, until none is left.
func (t *sums) sum(ctx context.Context, v *view, next *atomic.Int64, bad func(int, *BadPicture)) {
	r := newReader()
	defer r.close()
	pixels := make([]uint8, v.size())
	for ctx.Err() == nil {
		i := int(next.Add(1)) - 1
		if i >= v.set.Len() {
			return
		}
		b := v.load(ctx, i, pixels, r)
		if ctx.Err() != nil {
			return
		}
		if b != nil {
			bad(i, b)
			continue
		}
		t.add(pixels, v.channels)
	}
}

// add takes one picture (H, W, C).
func (t *sums) add(pixels []uint8, channels int) {
	t.pictures++
	image := t.image[:len(pixels)]
	for i, p := range pixels {
		image[i] += uint64(p)
	}
	if channels != 3 {
		return
	}
	var rr, rg, rb, gg, gb, bb uint64
	for i := 0; i+2 < len(pixels); i += 3 {
		r, g, b := uint64(pixels[i]), uint64(pixels[i+1]), uint64(pixels[i+2])
		rr, rg, rb, gg, gb, bb = rr+r*r, rg+r*g, rb+r*b, gg+g*g, gb+g*b, bb+b*b
	}
	for i, row := range [3][3]uint64{{rr, rg, rb}, {rg, gg, gb}, {rb, gb, bb}} {
		for k, x := range row {
			t.product[i][k] += x
		}
	}
}

func (t *sums) merge(o *sums) {
	t.pictures += o.pictures
	for i, x := range o.image {
		t.image[i] += x
	}
	for i := range t.product {
		for k := range t.product[i] {
			t.product[i][k] += o.product[i][k]
		}
	}
}

// complete writes the mean and the colours.
func (t *sums) complete(r *recipe.Recipe) error {
	channels, area := r.Channels, r.Height*r.Width
	image := make([]float32, channels*area)
	color := make([]float32, channels)
	mean := make([]float64, channels)
	for c := range channels {
		sum := uint64(0)
		for i := range area {
			x := t.image[i*channels+c]
			sum += x
			image[c*area+i] = float32(float64(x) / float64(t.pictures))
		}
		mean[c] = float64(sum) / float64(t.pictures*area)
		color[c] = float32(mean[c])
	}
	r.Mean, r.MeanShape = image, r.ShapeOfMean()
	if !r.HasMeanImage() {
		r.Mean = color
	}
	if channels != 3 {
		return nil
	}
	cov := mat.NewSymDense(3, nil)
	for i := range 3 {
		for k := i; k < 3; k++ {
			cov.SetSym(i, k, float64(t.product[i][k])/float64(t.pictures*area)-mean[i]*mean[k])
		}
	}
	return principal(cov, &r.Colors)
}

// principal fills the colours from their covariance. Eigenvectors are unique up to their sign, which is settled here.
func principal(cov *mat.SymDense, colors *recipe.Colors) error {
	var eigen mat.EigenSym
	if !eigen.Factorize(cov, true) {
		return errors.New("principal components of colour: the eigenvalues did not converge")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	for k, value := range eigen.Values(nil) { // ascending
		largest := 0
		for c := 1; c < 3; c++ {
			if math.Abs(vectors.At(c, k)) > math.Abs(vectors.At(largest, k)) {
				largest = c
			}
		}
		sign := math.Copysign(1, vectors.At(largest, k))
		for c := range 3 {
			colors.Eigvec[c][k] = sign * vectors.At(c, k)
		}
		colors.Stdev[k] = math.Sqrt(max(value, 0)) // rounding may leave -1e-13 where all pixels are grey
	}
	return nil
}
