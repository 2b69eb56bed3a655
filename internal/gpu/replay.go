//go:build cuda

package gpu

import (
	"errors"

	"alexnet/internal/gpu/cuda"
)

// replay is a step as a CUDA graph: one call enqueues it. Its launches have the same arguments each time, for what changes lies in device memory.
type replay struct {
	seen      int // calls
	capturing bool
	reports   bool // the step ends with a check, whose flags are to be sent
	graph     *cuda.Graph
}

// Replay does what enqueue does. The first time it does just that, for libraries load what they need when they are first called, which they must not during
// a capture; the second time it captures, and from then on it launches what was captured.
func (n *Net) Replay(enqueue func()) {
	r := &n.replay
	r.seen++
	if !n.dev.options.Graphs || r.seen == 1 || len(n.ports) > 0 || !n.usable("replay") {
		enqueue()
		return
	}
	if r.graph == nil && !n.capture(enqueue) {
		return
	}
	n.fail("replay", n.dev.do(func() error {
		if err := r.graph.Launch(n.dev.main); err != nil || !r.reports {
			return err
		}
		return n.sendFlags()
	}))
}

// capture makes the graph. The goroutine stays on its thread meanwhile: captures belong to threads.
func (n *Net) capture(enqueue func()) bool {
	r := &n.replay
	err := n.dev.do(func() error {
		if err := cuda.BeginCapture(n.dev.main); err != nil {
			return err
		}
		r.capturing = true
		enqueue()
		r.capturing = false
		var err error
		r.graph, err = cuda.EndCapture(n.dev.main)
		return errors.Join(n.err, err)
	})
	n.fail("capture", err)
	return n.err == nil
}
