package picture

import "math"

// fitter makes pictures square: shorter side to a given length, bilinear, then the centre. Only the part that is kept
// is computed. The filter with antialiasing is Pillow's (a triangle as wide as the scale, first along rows, then along
// columns, rounded to 8 bits after each) and agrees with it and with x/image/draw.BiLinear to one unit of 255; it takes
// a fifth of the latter's time because the three channels of a pixel share one 64-bit word, and so every
// multiplication.
type fitter struct {
	px   []uint64 // one source row, a pixel a word
	mid  []uint64 // rows that were scaled along x
	sum  []uint64 // one row while it is scaled along y
	h, v taps
}

// A word holds three lanes of 21 bits: 8 bits of a sample, 13 bits of weight. The weights of a pixel sum to 2^13, so
// 255 2^13 + 2^12 (for rounding) < 2^21 never reaches the next lane.
const (
	laneBits   = 21
	weightBits = 13
	weightOne  = 1 << weightBits
	laneHalf   = (weightOne / 2) * (1 | 1<<laneBits | 1<<(2*laneBits))
	laneMask   = 0xff * (1 | 1<<laneBits | 1<<(2*laneBits))
)

// taps are the source positions and weights of a run of output positions along one axis.
type taps struct {
	first  []int    // (outputs) first source position
	begin  []int    // (outputs+1) where its weights begin
	weight []uint64 // out of weightOne
}

// layOut computes the taps of count outputs from position off, when in positions become out.
func (t *taps) layOut(in, out, off, count int) {
	t.first, t.begin, t.weight = t.first[:0], t.begin[:0], t.weight[:0]
	scale := float64(in) / float64(out)
	support := max(scale, 1) // half the triangle's width: one source pixel at least
	for i := off; i < off+count; i++ {
		centre := (float64(i) + .5) * scale
		lo, hi := max(int(centre-support+.5), 0), min(int(centre+support+.5), in)
		t.first = append(t.first, lo)
		t.begin = append(t.begin, len(t.weight))
		total := 0.
		for x := lo; x < hi; x++ {
			total += triangle((float64(x) + .5 - centre) / support)
		}
		// Rounding the running sum, not each weight, makes the total exact however many there are.
		run, before := 0., 0.
		for x := lo; x < hi; x++ {
			run += triangle((float64(x) + .5 - centre) / support)
			now := math.Round(run / total * weightOne)
			t.weight = append(t.weight, uint64(now-before))
			before = now
		}
	}
	t.begin = append(t.begin, len(t.weight))
}

// layOutLinear is layOut without antialiasing: an output lies between the two source pixels whose centres are nearest.
// It is OpenCV's INTER_LINEAR but for the rounding of rows to 8 bits: a test holds it to one unit of 255.
func (t *taps) layOutLinear(in, out, off, count int) {
	t.first, t.begin, t.weight = t.first[:0], t.begin[:0], t.weight[:0]
	scale := float64(in) / float64(out)
	for i := off; i < off+count; i++ {
		at := min(max((float64(i)+.5)*scale-.5, 0), float64(in-1))
		lo := int(at)
		right := uint64(math.Round((at - float64(lo)) * weightOne))
		t.first, t.begin = append(t.first, lo), append(t.begin, len(t.weight))
		if t.weight = append(t.weight, weightOne-right); lo+1 < in {
			t.weight = append(t.weight, right)
		}
	}
	t.begin = append(t.begin, len(t.weight))
}

func triangle(x float64) float64 { return max(1-math.Abs(x), 0) }

// last is one past the last source position that any output needs.
func (t *taps) last() int {
	k := len(t.first) - 1
	return t.first[k] + t.begin[k+1] - t.begin[k]
}

// square writes the centre of a plane, scaled so that its shorter side is size, to dst (size, size, channels).
// The longer side is rounded down and the margin to the left or top likewise, as torchvision does. With squash both
// sides are scaled to size.
func (f *fitter) square(p *plane, dst []uint8, size int, want Want) {
	h, w, channels := p.height, p.width, want.Channels
	short := min(h, w)
	sh, sw := scaled(h, short, size), scaled(w, short, size)
	if want.Squash {
		sh, sw = size, size
	}
	y, x := (sh-size)/2, (sw-size)/2
	if sh == h && sw == w {
		for i := range size {
			p.copyRow(dst[i*size*channels:][:size*channels], y+i, x, channels)
		}
		return
	}
	layOut := (*taps).layOut
	if want.Linear {
		layOut = (*taps).layOutLinear
	}
	layOut(&f.h, w, sw, x, size)
	layOut(&f.v, h, sh, y, size)
	f.rows(p, size)
	f.sum = sized(f.sum, size)
	for i := range size {
		f.column(i, size)
		unlane(dst[i*size*channels:][:size*channels], f.sum, channels)
	}
}

// scaled is side * size / short, rounded down, in 64 bits.
func scaled(side, short, size int) int { return int(int64(side) * int64(size) / int64(short)) }

// rows scales the source rows that the vertical taps need along x: f.mid (rows, size).
func (f *fitter) rows(p *plane, size int) {
	y0, y1 := f.v.first[0], f.v.last()
	x0, x1 := f.h.first[0], f.h.last()
	f.mid = sized(f.mid, (y1-y0)*size)
	f.px = sized(f.px, x1-x0)
	for y := y0; y < y1; y++ {
		p.lane(f.px, p.from(y, x0))
		out := f.mid[(y-y0)*size:][:size]
		for i := range out {
			weights := f.h.weight[f.h.begin[i]:f.h.begin[i+1]]
			px := f.px[f.h.first[i]-x0:][:len(weights)]
			sum := uint64(laneHalf)
			for k, weight := range weights {
				sum += px[k] * weight
			}
			out[i] = sum >> weightBits & laneMask
		}
	}
}

// column scales along y: row i of the output into f.sum (size), not yet shifted.
func (f *fitter) column(i, size int) {
	sum := f.sum
	for x := range sum {
		sum[x] = laneHalf
	}
	for k, weight := range f.v.weight[f.v.begin[i]:f.v.begin[i+1]] {
		row := f.mid[(f.v.first[i]-f.v.first[0]+k)*size:][:len(sum)]
		for x, p := range row {
			sum[x] += p * weight
		}
	}
}

// lane packs a row's pixels into words, beginning at the sample at.
func (p *plane) lane(px []uint64, at int) {
	if p.straight() {
		rgb := p.rgb[at:][:3*len(px)]
		for i := range px {
			c := rgb[3*i : 3*i+3 : 3*i+3]
			px[i] = uint64(c[0]) | uint64(c[1])<<laneBits | uint64(c[2])<<(2*laneBits)
		}
		return
	}
	for i := range px {
		c := p.rgb[at : at+3 : at+3]
		px[i] = uint64(c[0]) | uint64(c[1])<<laneBits | uint64(c[2])<<(2*laneBits)
		at += p.right
	}
}

// unlane shifts sums down to samples and writes them, as RGB or luma.
func unlane(dst []uint8, sum []uint64, channels int) {
	const g, b = laneBits + weightBits, 2*laneBits + weightBits
	if channels == 1 {
		for i, s := range sum {
			dst[i] = luma(uint8(s>>weightBits), uint8(s>>g), uint8(s>>b))
		}
		return
	}
	for i, s := range sum {
		p := dst[3*i : 3*i+3 : 3*i+3]
		p[0], p[1], p[2] = uint8(s>>weightBits), uint8(s>>g), uint8(s>>b)
	}
}
