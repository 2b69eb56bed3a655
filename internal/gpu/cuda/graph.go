//go:build cuda

package cuda

// #include <cuda.h>
import "C"

import (
	"unsafe"

	"gorgonia.org/cu"
)

// Graph is work that was captured from streams, to be enqueued again as a whole.
type Graph struct{ exec C.CUgraphExec }

func stream(s cu.Stream) C.CUstream { return C.CUstream(unsafe.Pointer(s.C())) }

// BeginCapture makes s, and every stream that waits for it from here on, collect work instead of running it.
func BeginCapture(s cu.Stream) error {
	return driver("cuStreamBeginCapture", C.cuStreamBeginCapture(stream(s), C.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))
}

// EndCapture makes a graph of what was collected. All streams must have joined s.
func EndCapture(s cu.Stream) (*Graph, error) {
	var g C.CUgraph
	if err := driver("cuStreamEndCapture", C.cuStreamEndCapture(stream(s), &g)); err != nil {
		return nil, err
	}
	defer C.cuGraphDestroy(g)
	var exec C.CUgraphExec
	if err := driver("cuGraphInstantiate", C.cuGraphInstantiateWithFlags(&exec, g, 0)); err != nil {
		return nil, err
	}
	return &Graph{exec}, nil
}

// Launch enqueues the graph.
func (g *Graph) Launch(s cu.Stream) error {
	return driver("cuGraphLaunch", C.cuGraphLaunch(g.exec, stream(s)))
}

// Close destroys it.
func (g *Graph) Close() error { return driver("cuGraphExecDestroy", C.cuGraphExecDestroy(g.exec)) }
