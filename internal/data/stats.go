package data

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/mat"

	"alexnet/internal/philox"
	"alexnet/internal/recipe"
)

// Sums are what the mean and the colours are made of, of some pictures of one size. They are whole numbers, so that
// neither the number of workers nor their order can change the result by a bit.
type Sums struct {
	pictures int
	bad      []int        // numbers of those that cannot be read
	image    []uint64     // (H, W, C): at most 255 a picture
	product  [3][3]uint64 // over all pixels: at most 255^2 each, so 2.8e14 pixels fit
	lanes    []uint64     // of the last pictures, inLanes of them, which are not in image yet
	inLanes  int
}

// NewSums are those of no pictures, for pictures of so many values each.
func NewSums(pixels int) *Sums { return &Sums{image: make([]uint64, pixels)} }

// MeasureOptions say what Measure goes over, and how.
type MeasureOptions struct {
	Workers int // goroutines that decode; 0: GOMAXPROCS
	// Sample is how many pictures are looked at, of each class its share, drawn by Seed; 0, or as many as there are:
	// all.
	Sample int
	Seed   uint64
	// OnBad is told of pictures that cannot be read, from one goroutine at a time, once for each picture of a Set in a
	// run; or nil.
	OnBad func(*BadPicture)
	// Progress is told from 0 on, now and then, from one goroutine at a time, how many pictures were looked at; or nil.
	Progress func(done, total int)
	Keep     *StatsFolder // where statistics are looked for and kept; nil: nowhere
}

// Stats are what Measure found out.
type Stats struct {
	recipe.Recipe       // with the size of the pictures, the mean and the colours
	Pictures      int   // that could be read, of which they are
	Kept          bool  // they were kept by an earlier run, and no picture was looked at
	Unkept        error // why they could not be kept for the next run
	// Beside is the file in a prepared set that they come from; then, too, no picture was looked at.
	Beside string
}

// Measure goes over the training set, or a sample of it, once and completes a recipe: with the size of the pictures,
// the mean of its kind and the colours. Pictures that cannot be read are left out. Where a folder keeps the very same
// statistics, of these pictures as they are now, they are taken from there, and are the same bits. Fails when ctx ends,
// with a *SourceFault, or when no picture can be read. Pictures are kept in memory for the Loader where the whole set
// fits, as LoaderOptions has it.
func Measure(ctx context.Context, set *Set, by recipe.Recipe, o MeasureOptions) (*Stats, error) {
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	pictures := set.sample(o.Sample, o.Seed)
	o.Progress(0, len(pictures))
	var err error
	if by.Height, by.Width, err = set.PictureSize(ctx, &by); err != nil {
		return nil, err
	}
	if set.Len() == 0 {
		return nil, unreadable(set, nil)
	}
	v, err := set.view(&by, false)
	if err != nil {
		return nil, err
	}
	if beside, able := set.store.(accounted); able && len(pictures) == set.Len() {
		if s := beside.statistics(set.records, by); s != nil {
			set.jpeg.Store(true)
			return s, nil
		}
	}
	key := ""
	if o.Keep != nil {
		if key, err = set.identity(ctx, &by, pictures, o.Workers); err != nil {
			return nil, err
		}
	}
	if key != "" {
		s, err := o.Keep.load(ctx, key, v, by, &o)
		if s != nil || err != nil {
			return s, err
		}
	}
	total, err := v.sum(ctx, pictures, &o)
	if err != nil {
		return nil, err
	}
	s := &Stats{Recipe: by, Pictures: total.pictures}
	switch {
	case total.pictures == 0 && len(pictures) < set.Len():
		return nil, fmt.Errorf("%w: none of the %d pictures of a sample can be read: %w", ErrNoData, len(pictures),
			set.Bad()[0])
	case total.pictures == 0:
		return nil, unreadable(set, set.Bad()[0])
	}
	if err := total.complete(&s.Recipe); err != nil {
		return nil, err
	}
	if key != "" {
		s.Unkept = o.Keep.save(key, set, s, total.bad)
	}
	return s, nil
}

// sample chooses so many pictures, of each class its share, and gives their numbers, ascending; all where n is 0 or
// there are no more.
func (s *Set) sample(n int, seed uint64) []int {
	all := s.Len()
	if n <= 0 || n > all {
		n = all
	}
	chosen := make([]int, 0, n)
	key := philox.Key(seed, philox.PurposeMean)
	for first := 0; first < all; {
		end := first + 1
		for end < all && s.records[end].Label == s.records[first].Label {
			end++
		}
		// up to the class's end it is as many as its pictures' share of n, rounded down: in the end n
		k := int(int64(n)*int64(end)/int64(all)) - len(chosen)
		for i, is := range drawn(s.records[first:end], k, key) {
			if is {
				chosen = append(chosen, first+i)
			}
		}
		first = end
	}
	return chosen
}

// sum adds up pictures.
func (v *view) sum(ctx context.Context, pictures []int, o *MeasureOptions) (*Sums, error) {
	total := NewSums(v.size())
	var (
		mu   sync.Mutex // guards total, done, OnBad and Progress
		done int
		next atomic.Int64
	)
	c := newCrew(ctx, v.set.outages)
	c.work(min(WorkerCount(o.Workers), len(pictures)), func(r *reader) {
		own := NewSums(v.size())
		own.sum(r, v, func() (int, bool) {
			k := int(next.Add(1)) - 1
			if k >= len(pictures) {
				return 0, false
			}
			return pictures[k], true
		}, func(i int, b *BadPicture) {
			mu.Lock()
			defer mu.Unlock()
			if b != nil {
				total.bad = append(total.bad, i)
				v.set.report(i, b, o.OnBad)
			}
			if done++; done%100 == 0 || done == len(pictures) {
				o.Progress(done, len(pictures))
			}
		})
		mu.Lock()
		defer mu.Unlock()
		total.Merge(own)
	})
	return total, c.wait()
}

// WorkerCount is n, or for 0 as many as run at a time: GOMAXPROCS, which Go takes from the affinity and the quota of
// the process, where NumCPU knows only the affinity.
func WorkerCount(n int) int {
	if n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}

// sum adds up pictures, taking the next free one, until none is left, the source fails, or the crew's ctx ends. It
// tells of each that it is seen, and of one that cannot be read why.
func (t *Sums) sum(r *reader, v *view, next func() (int, bool), seen func(int, *BadPicture)) {
	pixels := make([]uint8, v.size())
	for i, more := next(); more; i, more = next() {
		err := v.load(i, pixels, r)
		if r.crew.ended(err) {
			return
		}
		var b *BadPicture
		if !errors.As(err, &b) {
			t.Add(pixels, v.Channels)
		}
		seen(i, b)
	}
}

// Add takes one picture (H, W, C).
func (t *Sums) Add(pixels []uint8, channels int) {
	t.pictures++
	t.addImage(pixels)
	if channels != 3 {
		return
	}
	for ; len(pixels) > 3*colorChunk; pixels = pixels[3*colorChunk:] {
		t.addColors(pixels[:3*colorChunk])
	}
	t.addColors(pixels)
}

// evenBytes are every second of eight bytes, each with room for 16 bits.
const evenBytes = 0x00ff00ff00ff00ff

// lanesFull is how many pictures' bytes fit into 16 bits: 65535 = 257 255.
const lanesFull = 257

// addImage adds eight values at a time: the even ones and the odd ones of each eight to words of four lanes, which are
// emptied before they overflow.
func (t *Sums) addImage(pixels []uint8) {
	if t.lanes == nil {
		t.lanes = make([]uint64, len(t.image)/8*2)
	}
	if t.inLanes == lanesFull {
		t.emptyLanes()
	}
	t.inLanes++
	lanes := t.lanes
	whole := len(pixels) / 8
	for i := range whole {
		x := binary.LittleEndian.Uint64(pixels[8*i:])
		pair := lanes[2*i : 2*i+2 : 2*i+2]
		pair[0] += x & evenBytes
		pair[1] += x >> 8 & evenBytes
	}
	for i := 8 * whole; i < len(pixels); i++ {
		t.image[i] += uint64(pixels[i])
	}
}

// emptyLanes brings what lies in lanes to where it belongs.
func (t *Sums) emptyLanes() {
	for i, word := range t.lanes {
		at := i/2*8 + i%2
		for k := range 4 {
			t.image[at+2*k] += word >> (16 * k) & 0xffff
		}
	}
	clear(t.lanes)
	t.inLanes = 0
}

// colorChunk is how many pixels' products fit into 32 bits: 255^2 65536 < 2^32.
const colorChunk = 1 << 16

// addColors multiplies a colour by itself and by the next in one step, in the halves of a word.
func (t *Sums) addColors(pixels []uint8) {
	var byRed, byGreen, byBlue uint64 // rr and rg; gg and gb; bb and rb
	for len(pixels) >= 6 {            // two at a time: the loop itself takes as long as a multiplication
		p := pixels[:6:6]
		r, g, b := uint64(p[0]), uint64(p[1]), uint64(p[2])
		byRed, byGreen, byBlue = byRed+(r|g<<32)*r, byGreen+(g|b<<32)*g, byBlue+(b|r<<32)*b
		r, g, b = uint64(p[3]), uint64(p[4]), uint64(p[5])
		byRed, byGreen, byBlue = byRed+(r|g<<32)*r, byGreen+(g|b<<32)*g, byBlue+(b|r<<32)*b
		pixels = pixels[6:]
	}
	if len(pixels) >= 3 {
		r, g, b := uint64(pixels[0]), uint64(pixels[1]), uint64(pixels[2])
		byRed, byGreen, byBlue = byRed+(r|g<<32)*r, byGreen+(g|b<<32)*g, byBlue+(b|r<<32)*b
	}
	const half = 1<<32 - 1
	rr, rg, gg, gb, bb, rb := byRed&half, byRed>>32, byGreen&half, byGreen>>32, byBlue&half, byBlue>>32
	for i, row := range [3][3]uint64{{rr, rg, rb}, {rg, gg, gb}, {rb, gb, bb}} {
		for k, x := range row {
			t.product[i][k] += x
		}
	}
}

// Merge takes what was added to others of pictures of the same size.
func (t *Sums) Merge(o *Sums) {
	t.pictures += o.pictures
	o.emptyLanes()
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
func (t *Sums) complete(r *recipe.Recipe) error {
	t.emptyLanes()
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

// AppendBinary writes the sums at the end of b.
func (t *Sums) AppendBinary(b []byte) []byte {
	t.emptyLanes()
	le := binary.LittleEndian
	b = le.AppendUint64(b, uint64(t.pictures))
	for _, row := range t.product {
		for _, x := range row {
			b = le.AppendUint64(b, x)
		}
	}
	for _, x := range t.image {
		b = le.AppendUint64(b, x)
	}
	return b
}

// SetBinary takes what AppendBinary wrote of sums of as many values.
func (t *Sums) SetBinary(b []byte) error {
	if len(b) != 8*(10+len(t.image)) {
		return fmt.Errorf("sums of %d bytes, want %d", len(b), 8*(10+len(t.image)))
	}
	next := func() (x uint64) {
		x, b = binary.LittleEndian.Uint64(b), b[8:]
		return x
	}
	t.pictures = int(next())
	for i := range t.product {
		for k := range t.product[i] {
			t.product[i][k] = next()
		}
	}
	for i := range t.image {
		t.image[i] = next()
	}
	return nil
}
