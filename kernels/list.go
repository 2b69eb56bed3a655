package kernels

import "strings"

// Kernel is an entry of the module.
type Kernel struct {
	Name  string
	Args  string // names of the arguments, as in the .cu file, 8 bytes each
	Items int64  // that a block takes at a time; what an item is stands in List
}

// Count is the number of arguments.
func (k Kernel) Count() int { return len(strings.Fields(k.Args)) }

// Blocks is the grid for so many items.
func (k Kernel) Blocks(items int64) int { return int(min(max(ceil(items, k.Items), 1), maxBlocks)) }

// Items of kernels whose threads take one element, or up to two vectors of 16 bytes.
const (
	one  = Threads
	wide = 8 * Threads
)

// List is every kernel of the module. n counts elements, rows pictures, plane the pixels of a map.
var List = []Kernel{
	// convert.cu: dst = src in another type. Items: elements.
	{"convert_f32_bf16", "src dst n", wide},
	{"convert_bf16_f32", "src dst n", wide},

	// copy.cu: a block of numbers d0 x d1 x d2 x d3 between two layouts: dst[i0 t0 + i1 t1 + i2 t2 + i3 t3] = src[i0
	// s0 + i1 s1 + i2 s2 + i3 s3], strides in elements; for margins. Fast where s3 and t3 are 1. Items: elements.
	{"copy_f32", "src dst d0 d1 d2 d3 s0 s1 s2 s3 t0 t1 t2 t3", 4 * one},
	{"copy_bf16", "src dst d0 d1 d2 d3 s0 s1 s2 s3 t0 t1 t2 t3", 4 * one},

	// activate.cu: y = act(x + bias[channel]) over (outer, channels, inner). NCHW: rows, C, H W; NHWC: rows H W, C, 1;
	// FC: rows, units, 1. bias is fp32, or 0: none. f32_bf16 takes fp32 sums of a matrix product to bf16. Items:
	// elements.
	{"activate_f32", "x bias y outer channels inner act", wide},
	{"activate_bf16", "x bias y outer channels inner act", wide},
	{"activate_f32_bf16", "x bias y outer channels inner act", wide},

	// dx = dy act'(y), where y is what activate gave. Items: elements.
	{"activate_backward_f32", "y dy dx n act", wide},
	{"activate_backward_bf16", "y dy dx n act", wide},

	// bias.cu: the same over (outer, channels, inner), and in the same pass the bias gradient: partial (splits,
	// channels), fp32, gets sums of dx. For Linear, y is not read and dx not written: dy is the gradient. With splits =
	// 1, partial may be the bias gradient itself, else bias_sum adds up. Items: BiasTiles; of bias_sum: channels.
	{"bias_backward_f32", "y dy dx partial outer channels inner act splits", 1},
	{"bias_backward_bf16", "y dy dx partial outer channels inner act splits", 1},
	{"bias_sum", "partial db channels splits", 32},

	// lrn.cu: y of x (rows, channels, plane), and dx of x and dy. Nothing is kept between: backward computes the scale
	// anew. channels is a multiple of groups, size is odd and at most MaxLRN. y is not x, dx neither x nor dy. Items:
	// LRNTiles.
	{"lrn_nchw_f32", "x y rows channels plane groups size alpha beta k", 1},
	{"lrn_nchw_bf16", "x y rows channels plane groups size alpha beta k", 1},
	{"lrn_nhwc_f32", "x y rows channels plane groups size alpha beta k", 1},
	{"lrn_nhwc_bf16", "x y rows channels plane groups size alpha beta k", 1},
	{"lrn_backward_nchw_f32", "x dy dx rows channels plane groups size alpha beta k", 1},
	{"lrn_backward_nchw_bf16", "x dy dx rows channels plane groups size alpha beta k", 1},
	{"lrn_backward_nhwc_f32", "x dy dx rows channels plane groups size alpha beta k", 1},
	{"lrn_backward_nhwc_bf16", "x dy dx rows channels plane groups size alpha beta k", 1},

	// pool.cu: y (rows, channels, oh, ow) of x (rows, channels, h, w). best (uint16, of y's shape and layout; 0: not
	// wanted) gets the place of each maximum in its window, row by row, the margin's pixels counted; the window is at
	// most MaxWindow. Items: elements of y.
	{"pool_max_nchw_f32", "x y best rows channels h w oh ow window stride pad", one},
	{"pool_max_nchw_bf16", "x y best rows channels h w oh ow window stride pad", one},
	{"pool_max_nhwc_f32", "x y best rows channels h w oh ow window stride pad", 4 * one},
	{"pool_max_nhwc_bf16", "x y best rows channels h w oh ow window stride pad", 4 * one},
	{"pool_avg_nchw_f32", "x y rows channels h w oh ow window stride pad", one},
	{"pool_avg_nchw_bf16", "x y rows channels h w oh ow window stride pad", one},
	{"pool_avg_nhwc_f32", "x y rows channels h w oh ow window stride pad", 4 * one},
	{"pool_avg_nhwc_bf16", "x y rows channels h w oh ow window stride pad", 4 * one},

	// pool_backward.cu: dx of dy; each element of dx gathers from the windows that it lies in, in their order. Items:
	// elements of dx.
	{"pool_max_backward_nchw_f32", "best dy dx rows channels h w oh ow window stride pad", one},
	{"pool_max_backward_nchw_bf16", "best dy dx rows channels h w oh ow window stride pad", one},
	{"pool_max_backward_nhwc_f32", "best dy dx rows channels h w oh ow window stride pad", 4 * one},
	{"pool_max_backward_nhwc_bf16", "best dy dx rows channels h w oh ow window stride pad", 4 * one},
	{"pool_avg_backward_nchw_f32", "dy dx rows channels h w oh ow window stride pad", one},
	{"pool_avg_backward_nchw_bf16", "dy dx rows channels h w oh ow window stride pad", one},
	{"pool_avg_backward_nhwc_f32", "dy dx rows channels h w oh ow window stride pad", 4 * one},
	{"pool_avg_backward_nhwc_bf16", "dy dx rows channels h w oh ow window stride pad", 4 * one},

	// dropout.cu: y = x, or 0 where philox.Dropout(seed, step, stream, First+row, first+unit) < below (philox.Threshold
	// of the rate); the gradient goes the same way. Units are counted C, H, W in either layout; without a map plane is
	// 1 and both are the same. Items: elements.
	{"dropout_nchw_f32", "x y rows channels plane stream first below pass", wide},
	{"dropout_nchw_bf16", "x y rows channels plane stream first below pass", wide},
	{"dropout_nhwc_f32", "x y rows channels plane stream first below pass", wide},
	{"dropout_nhwc_bf16", "x y rows channels plane stream first below pass", wide},

	// In inference: y = factor x, factor = 1 - rate.
	{"scale_f32", "x y n factor", wide},
	{"scale_bf16", "x y n factor", wide},

	// home.cu: a gradient that came home, of (rows, row): in the rows in use dst = src, or with add dst += src; in the
	// others dst is 0, or with add stays. Items: elements.
	{"home_f32", "dst src rows row add pass", wide},
	{"home_bf16", "dst src rows row add pass", wide},

	// softmax.cu: probabilities p (rows, classes) and stats (rows, 3) of the logits x; p and stats are fp32 whatever x
	// is. labels (int32) are below classes, which the host checks; below 0: none. Items: rows.
	{"softmax_f32", "x labels p stats rows classes pass", 1},
	{"softmax_bf16", "x labels p stats rows classes pass", 1},
	// dx = (p - onehot) / Divisor. Items: rows.
	{"softmax_backward_f32", "p labels dx rows classes pass", 1},
	{"softmax_backward_bf16", "p labels dx rows classes pass", 1},

	// input.cu: the net's input x of pictures: pixels (uint8: rows, height, width, channels), crop (int32: rows, 2),
	// flip (uint8: rows), color (fp32: rows, 3); mean is fp32 of means numbers (0, channels, or channels x height x
	// width), scale fp32 of channels, or 0. x is (rows, depth, oh, ow), at least as large as the crop of channels x h x
	// w: what is beyond is 0 (a first convolution that rounds up; channels that fill a vector). Items: pixels of x.
	{
		"input_nchw_f32", "pixels crop flip color mean means scale x rows channels height width h w depth oh ow pass",
		one,
	},
	{
		"input_nchw_bf16", "pixels crop flip color mean means scale x rows channels height width h w depth oh ow pass",
		one,
	},
	{
		"input_nhwc_f32", "pixels crop flip color mean means scale x rows channels height width h w depth oh ow pass",
		one,
	},
	{
		"input_nhwc_bf16", "pixels crop flip color mean means scale x rows channels height width h w depth oh ow pass",
		one,
	},

	// update.cu, in this order: check_loss and check set flags, update changes weights and momentum unless FlagStop is
	// set. check_loss: is anything in stats not finite? One block.
	{"check_loss", "stats n flags", 1 << 62},
	// check: gradients of all tensors (Tensor). Items: chunks of all.
	{"check", "tensors count chunks flags", 1},
	// update: v = Momentum v - decay lr w - lr g; w += v; half = w, for tensors whose lr is not 0; lr and decay are
	// fp32, by tensor. Items: chunks of all.
	{"update", "tensors count chunks lr decay pass flags", 1},
}

// Find is the kernel of a name, which must be in List.
func Find(name string) Kernel {
	for _, k := range List {
		if k.Name == name {
			return k
		}
	}
	panic("kernels: there is no kernel " + name)
}
