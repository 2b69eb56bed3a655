// Package cpu is the device that trains and predicts on the processor's cores, through oneDNN.
//
// A program is compiled once. The convolutions choose their memory layouts (sixteen channels side by side on AVX-512,
// eight on AVX2, all of them for bf16 with AMX), and everything between them, normalisation, pooling, activations,
// works on that layout as it is, so that values are copied only where two neighbours really disagree. oneDNN does the
// matrix products and the convolutions for which Winograd's algorithm (winograd.c) is not available or does not pay,
// but for their weights' gradients with AMX (tiles.c); the rest are this package's own loops, one op a file, because
// that is where passes over memory can be saved: normalisation and pooling run row by row as one op, the mask of
// ReLU's gradient is applied by whoever writes the gradient, dropout draws its masks again instead of storing them.
// Weights, momentum and gradients live in the layout that the gradient of the weights is written in; where an op wants
// the weights differently it gets a packed copy, made again when they have changed.
//
// Each device owns one worker: a goroutine locked to its thread, the only caller of oneDNN for that device, fed by a
// queue. With several devices the cores are shared equally and each worker, with its team of OpenMP threads, stays on
// its share.
//
// All memory is planned by Compile and taken by Alloc, in one arena per purpose; a step allocates nothing.
//
// oneDNN is opened when the first device is, not linked: the program starts where it is not installed. The build tag
// dnnl, to be set where oneDNN's headers are found, compiles the package; without it [Open] and [Available] give the
// reason.
package cpu

import "fmt"

// Unavailable is what Open and Available fail with where there is no cpu device.
type Unavailable struct {
	Reason string // what is missing
	Advice string // what to install or to do
}

func (e *Unavailable) Error() string { return "device cpu is not available: " + e.Reason }

// Next is what to do about it.
func (e *Unavailable) Next() string { return e.Advice }

// Fewer tells that devices have fewer threads than cores that they may use. Results have the bits of a run with that
// many.
type Fewer struct {
	Cores   int    // that the process may use, by affinity, OMP_NUM_THREADS and GOMAXPROCS
	Threads int    // that can be had
	Reason  string // "OMP_THREAD_LIMIT=1"
}

func (f *Fewer) Error() string {
	return fmt.Sprintf("device cpu has %d of %d threads: %s", f.Threads, f.Cores, f.Reason)
}
