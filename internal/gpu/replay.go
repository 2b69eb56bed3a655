//go:build cuda

package gpu

import (
	"cmp"
	"errors"
	"fmt"

	"alexnet/internal/gpu/cuda"
)

// replay is a step as a CUDA graph: one call enqueues it. Its launches have the same arguments each time, for what
// changes lies in device memory.
type replay struct {
	seen      int // calls
	capturing bool
	reports   bool // the step ends with a check, whose flags are to be sent
	graph     *cuda.Graph
	refused   bool // a capture failed: no other is tried
}

// Replay does what enqueue does. The first time it does just that, for libraries load what they need when they are
// first called, which they must not during a capture; the second time it captures, and from then on it launches what
// was captured. Where that fails it goes on as it began.
func (n *Net) Replay(enqueue func()) {
	r := &n.replay
	r.seen++
	if !n.dev.options.Graphs || r.seen == 1 || r.refused || len(n.ports) > 0 || !n.guard.Usable("replay") {
		enqueue()
		return
	}
	if r.graph == nil {
		if err := n.capture(enqueue); err != nil {
			r.refused = true
			n.dev.note(fmt.Sprintf("no CUDA graph, steps are enqueued op by op: %v", err))
			enqueue()
			return
		}
	}
	n.guard.Fail("replay", n.dev.do(func() error {
		if err := r.graph.Launch(n.dev.main); err != nil || !r.reports {
			return err
		}
		return n.sendFlags()
	}))
}

// capture makes the graph. Nothing runs meanwhile, so what fails leaves no trace. The goroutine stays on its thread:
// captures belong to threads.
func (n *Net) capture(enqueue func()) error {
	r := &n.replay
	return n.dev.do(func() error {
		if err := cuda.BeginCapture(n.dev.main); err != nil {
			return err
		}
		r.capturing = true
		enqueue()
		r.capturing = false
		graph, err := cuda.EndCapture(n.dev.main)
		if err = cmp.Or(n.guard.Forget(), err); err != nil {
			if graph != nil {
				return errors.Join(err, graph.Close())
			}
			return err
		}
		r.graph = graph
		return nil
	})
}
