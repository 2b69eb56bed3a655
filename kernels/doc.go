// Package kernels holds the CUDA kernels of the program, and what the host must know to launch them. cuDNN does the
// convolutions and cuBLAS the matrix products; everything else a step needs is here, one op a file.
//
// All .cu files together, by all.cu, are one module. scripts/kernels.sh compiles it into built/, as PTX for every GPU
// from compute capability 7.5 on and as cubins, machine code, of the usual ones; programs with the build tag cuda embed
// that folder ([Images]). The same files compile with g++: host.h stands in for CUDA, with a fiber a thread, so that
// tests and the emulated driver run what the GPU will run. Hence the .cu files include nothing of CUDA's, and use
// neither warp shuffles nor atomics; what is summed is summed in an order that the shapes alone decide.
//
// # Arguments
//
// Every argument takes 8 bytes: device pointers, integers as int64, floats as float64. Blocks are [Threads] x 1 x 1,
// grids are blocks x 1 x 1; no kernel takes dynamic shared memory. Kernels loop over what there is to do, so any grid
// gives the same result; [Kernel.Blocks] gives a good one. [List] has every kernel with its arguments; their meaning
// stands at the head of each file.
//
// Values are fp32 or bf16 (suffix _f32, _bf16), dense, NCHW or, where the order matters, NHWC (infix _nchw, _nhwc).
// Arithmetic is fp32; what is bf16 is rounded once, to nearest even, when it is stored. Elementwise kernels may write
// over what they read. A tensor has fewer than 2^31 elements, as cuDNN demands, too. Pointers are aligned to their
// type; where they are aligned to 16 bytes loads and stores are wider.
//
// Rows: a kernel runs over the rows that its arguments say, which may be more than are in use ([Pass].Rows, in device
// memory). Then input and softmax_backward write zeros to the rows beyond, and softmax's statistics are 0, so that
// whatever is computed between adds nothing to any gradient.
package kernels

import "unsafe"

// Threads is the size of every block.
const Threads = 256

// maxBlocks bounds grids: four times what the largest GPU holds at a time (132 multiprocessors of 8 blocks), so that
// the last wave is short.
const maxBlocks = 4096

// Chunk is the number of elements of a parameter that a block of check and update takes at a time.
const Chunk = 4096

// MaxLRN is the largest size of window that the kernels of normalisation take: their shared memory holds a margin of
// half of it.
const MaxLRN = 17

// MaxWindow is the largest side of a window of max pooling: the place of a maximum in its window is kept in 16 bits.
const MaxWindow = 256

// Activations, as the kernels number them: the numbers of device.Activation.
const (
	Linear = iota
	ReLU
	Tanh
)

// Pass is device.Pass as the kernels read it from device memory.
type Pass struct {
	Seed, Step, First uint64
	Rows              int64
	Divisor, Momentum float32
}

// Tensor is a parameter in the table that check and update walk. Fields but the last two are device pointers.
type Tensor struct {
	Weight, Momentum, Gradient uint64 // fp32
	Half                       uint64 // bf16 copy of the weight, which update keeps up to date; 0: none
	Len                        int64
	FirstChunk                 int64 // chunks of the tensors before this one
}

// Sizes of the structs above in C, which every .cu file takes for granted.
const (
	PassSize   = int(unsafe.Sizeof(Pass{}))
	TensorSize = int(unsafe.Sizeof(Tensor{}))
)

// Chunks is the number of chunks of a parameter of n elements.
func Chunks(n int) int64 { return ceil(int64(n), Chunk) }

// Flags of check, check_loss and update: int32 numbers, 0 until something is not finite. They are never cleared by a
// kernel, and while FlagStop is set update changes nothing.
const (
	FlagStop  = 0 // loss or a gradient, or a weight a step ago
	FlagLoss  = 1
	FlagFirst = 2 // the gradients of all tensors from here on, then the weights of all
)

// FlagCount is the number of flags for a table of so many tensors.
func FlagCount(tensors int) int { return FlagFirst + 2*tensors }

// LRNTiles is the number of items of an lrn kernel: tiles of 32 pixels and 32 channels of a group.
func LRNTiles(rows, channels, plane, groups int) int64 {
	return int64(rows) * ceil(int64(plane), 32) * int64(groups) * ceil(int64(channels/groups), 32)
}

// BiasSplits is a good number of parts for the sums of a bias gradient: such that some hundred blocks are at work, and
// none has little to do.
func BiasSplits(outer, channels, inner int) int {
	const enough, least = 1024, 8192
	return int(min(max(enough/biasTiles(channels, inner), 1),
		max(ceil(int64(outer)*int64(inner), least/biasWidth(inner)), 1)))
}

// BiasTiles is the number of items of a bias_backward kernel.
func BiasTiles(channels, inner, splits int) int64 { return biasTiles(channels, inner) * int64(splits) }

// biasWidth is the number of channels in a tile: where channels lie side by side a block takes 32 of them, else one.
func biasWidth(inner int) int64 {
	if inner == 1 {
		return 32
	}
	return 1
}

func biasTiles(channels, inner int) int64 { return ceil(int64(channels), biasWidth(inner)) }

func ceil(n, d int64) int64 { return (n + d - 1) / d }
