package reference

import "alexnet/internal/device"

// conv is the geometry of a convolution. A picture is unrolled so that the sum over channels and kernel becomes a
// matrix product (im2col): column p of col holds the pixels that output pixel p sees.
type conv[T Float] struct {
	*device.Conv
	in  []device.Shape // of the inputs, whose channels follow one another
	out device.Shape
}

// scratch is working memory that belongs to no value: an area for each worker, one for each share, and one for the
// whole op.
type scratch[T Float] struct {
	worker, share [][]T
	whole         []T
}

// channels is the number of input channels that one group sees.
func (c *conv[T]) channels() int {
	n := 0
	for _, s := range c.in {
		n += s.C
	}
	return n / c.Groups
}

// taps is the number of products that an output element sums: channels x Kernel x Kernel.
func (c *conv[T]) taps() int { return c.channels() * c.Kernel * c.Kernel }

// pixels is the size of an output map.
func (c *conv[T]) pixels() int { return c.out.H * c.out.W }

// scratchSizes are the lengths that forward and backward need: a worker has col, its gradient and the gradient ahead of
// the activation; a share has its part of the gradients of weight and bias.
func (c *conv[T]) scratchSizes(backward bool) (worker, share int) {
	col := c.taps() * c.pixels()
	if !backward {
		return col, 0
	}
	return 2*col + c.out.Len(), c.out.C*c.taps() + c.out.C
}

// plane is channel ch of row r, looked up in the inputs in their order; nil where x has nothing for that input.
func (c *conv[T]) plane(x [][]T, r, ch int) []T {
	i := 0
	for ; ch >= c.in[i].C; i++ {
		ch -= c.in[i].C
	}
	if x[i] == nil {
		return nil
	}
	hw := c.in[i].H * c.in[i].W
	at := (r*c.in[i].C + ch) * hw
	return x[i][at : at+hw]
}

// eachTap calls f for every row of col of one group: the input channel, the offset (dy, dx) at which the kernel looks,
// and the number of the row.
func (c *conv[T]) eachTap(group int, f func(ch, dy, dx, row int)) {
	row := 0
	for ch := range c.channels() {
		for ky := range c.Kernel {
			for kx := range c.Kernel {
				f(group*c.channels()+ch, ky-c.Pad, kx-c.Pad, row)
				row++
			}
		}
	}
}

// im2col unrolls the channels of one group of row r: col is (taps, out.H x out.W). Pixels outside of the map are 0.
func (c *conv[T]) im2col(x [][]T, r, group int, col []T) {
	h, w := c.in[0].H, c.in[0].W
	c.eachTap(group, func(ch, dy, dx, row int) {
		plane, dst := c.plane(x, r, ch), col[row*c.pixels():(row+1)*c.pixels()]
		for i := range c.out.H {
			y, line := i*c.Stride+dy, dst[i*c.out.W:(i+1)*c.out.W]
			if y < 0 || y >= h {
				clear(line)
				continue
			}
			for j := range line {
				if px := j*c.Stride + dx; px >= 0 && px < w {
					line[j] = plane[y*w+px]
				} else {
					line[j] = 0
				}
			}
		}
	})
}

// col2im adds col back to where im2col read it, but for inputs without a gradient.
func (c *conv[T]) col2im(col []T, dx [][]T, r, group int) {
	h, w := c.in[0].H, c.in[0].W
	c.eachTap(group, func(ch, dyy, dxx, row int) {
		plane, src := c.plane(dx, r, ch), col[row*c.pixels():(row+1)*c.pixels()]
		if plane == nil {
			return
		}
		for i := range c.out.H {
			y, line := i*c.Stride+dyy, src[i*c.out.W:(i+1)*c.out.W]
			if y < 0 || y >= h {
				continue
			}
			for j, v := range line {
				if px := j*c.Stride + dxx; px >= 0 && px < w {
					plane[y*w+px] += v
				}
			}
		}
	})
}

// forward computes y (rows, kernels, H, W) of x, one tensor an input, the weight w and the bias b.
func (c *conv[T]) forward(rows int, x [][]T, w, b, y []T, s *scratch[T]) {
	kernels, taps, pixels := c.out.C/c.Groups, c.taps(), c.pixels()
	forShares(rows, len(s.worker), func(worker, _, from, to int) {
		col := s.worker[worker][:taps*pixels]
		for r := from; r < to; r++ {
			row := y[r*c.out.Len() : (r+1)*c.out.Len()]
			for k, bias := range b {
				fill(row[k*pixels:(k+1)*pixels], bias)
			}
			for g := range c.Groups {
				c.im2col(x, r, g, col)
				gemm(mat(kernels, taps, w[g*kernels*taps:]), mat(taps, pixels, col), 1,
					mat(kernels, pixels, row[g*kernels*pixels:]))
			}
			activate(c.Act, row, row)
		}
	})
}

// backward writes the gradients of weight and bias (dw nil: not wanted) and of the inputs (dx, or one of them, nil: not
// wanted) from y and its gradient dy.
func (c *conv[T]) backward(rows int, x [][]T, w, y, dy []T, dx [][]T, dw, db []T, s *scratch[T]) {
	kernels, taps, pixels := c.out.C/c.Groups, c.taps(), c.pixels()
	if dw != nil {
		for i := range s.share {
			clear(s.share[i][:len(dw)+len(db)])
		}
	}
	forShares(rows, len(s.worker), func(worker, share, from, to int) {
		area := s.worker[worker]
		col, dcol, dz := area[:taps*pixels], area[taps*pixels:2*taps*pixels], area[2*taps*pixels:][:c.out.Len()]
		for r := from; r < to; r++ {
			activateBackward(c.Act, y[r*c.out.Len():], dy[r*c.out.Len():], dz)
			c.clearRow(dx, r)
			for g := range c.Groups {
				dzg := mat(kernels, pixels, dz[g*kernels*pixels:])
				if dw != nil {
					c.im2col(x, r, g, col)
					gemm(dzg, mat(taps, pixels, col).t(), 1, mat(kernels, taps, s.share[share][g*kernels*taps:]))
				}
				if dx != nil {
					gemm(mat(kernels, taps, w[g*kernels*taps:]).t(), dzg, 0, mat(taps, pixels, dcol))
					c.col2im(dcol, dx, r, g)
				}
			}
			if dw != nil {
				addPlaneSums(dz, s.share[share][len(dw):len(dw)+len(db)])
			}
		}
	})
	if dw != nil {
		sumShares(s.share, 0, dw)
		sumShares(s.share, len(dw), db)
	}
}

// clearRow zeroes row r of every input's gradient, to which col2im adds.
func (c *conv[T]) clearRow(dx [][]T, r int) {
	for i, d := range dx {
		if n := c.in[i].Len(); d != nil {
			clear(d[r*n : (r+1)*n])
		}
	}
}

// addPlaneSums adds the sum of each of len(db) equal planes of dz to db.
func addPlaneSums[T Float](dz, db []T) {
	n := len(dz) / len(db)
	for k := range db {
		sum := 0.
		for _, v := range dz[k*n : (k+1)*n] {
			sum += float64(v)
		}
		db[k] += T(sum)
	}
}

// sumShares writes the sum of what the shares have at an offset, in their order.
func sumShares[T Float](share [][]T, at int, dst []T) {
	copy(dst, share[0][at:])
	for _, s := range share[1:] {
		for i, v := range s[at : at+len(dst)] {
			dst[i] += v
		}
	}
}

func fill[T Float](x []T, v T) {
	for i := range x {
		x[i] = v
	}
}
