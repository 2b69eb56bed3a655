// Package cuda is what internal/gpu needs of CUDA, cuBLAS and cuDNN. Contexts, streams, events, copies and launches are
// gorgonia.org/cu's, and gpu calls them there; matrix products and convolutions use the handles and descriptors of its
// packages blas and dnn. What those lack is here, as thin cgo on their handles: pinned memory, streams and workspaces
// of the libraries, math modes, bf16, the choice of an algorithm, capture of graphs, and errors that say what was
// called.
//
// Nothing here knows of nets. The build tag cuda compiles it; without it the package is empty.
package cuda
