// Package dynlib stands between this program and NVIDIA's libraries. A build with the tag cuda is linked with
// trampolines in their place: an entry for every function of the driver, cuBLAS, cuBLASLt and cuDNN that NVIDIA's
// headers declare, which opens its library when it is first called. So one program starts on machines with and without
// a GPU, needs only libc, and can say what is missing instead of not starting.
//
// gorgonia.org/cu, cu/blas and cu/dnn are built unmodified on top: compat/ holds headers that stand before NVIDIA's
// where those packages are older than them, trampoline/ the C and assembly, scripts/cuda.sh puts it together. Calls of
// a missing function return a status like any other failure, so whoever gets one asks the library's MissingSymbol what
// it was. Before the first call Init must have succeeded: package cu's own call of cuInit, when the program starts,
// does nothing.
//
// Libraries are searched where dlopen searches: LD_LIBRARY_PATH, then the system's folders.
package dynlib

// Error is a library of NVIDIA's that cannot be used.
type Error struct {
	What   string // "no CUDA driver"
	Err    error  // what the system or the library said
	Advice string // what to install or to do
}

func (e *Error) Error() string { return e.What + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Next is what to do about it.
func (e *Error) Next() string { return e.Advice }
