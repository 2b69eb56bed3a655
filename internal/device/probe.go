package device

// Prober is an optional ability of a Device: to be measured. The error is that of Supports, or of memory.
type Prober interface {
	Probe(Precision) (Probe, error)
}

// Probe is work of a known amount, for measuring what a device does at most. Its calls return when the work is done,
// some hundredths of a second later; whoever calls holds the clock, because devices that share a memory must be
// measured at the same time.
type Probe interface {
	// Instructions names those that Multiply uses: "AVX-512".
	Instructions() string
	// Multiply does multiply-adds on numbers in registers, on all of the device's threads, and returns the operations:
	// two each.
	Multiply() (operations float64)
	// Triad computes a = b + s c over arrays that no cache holds, on all of the device's threads, and returns the bytes
	// of the three arrays: b and c are read once, a is written once, past the cache where the processor can.
	Triad() (bytes float64)
	Close()
}

// Accountant is an optional ability of a Net: to tell what its passes consist of.
type Accountant interface {
	// Idle tells that op has nothing to do forward, or backward: a neighbour does its work in the same pass over
	// memory, or nobody wants it.
	Idle(op int, backward bool) bool
	// Moves tells what was moved between ops since Alloc. It waits for what is enqueued.
	Moves() Moves
}

// Moves counts what a net moved without computing anything: copies of values and gradients, and of weights.
type Moves struct {
	Reorders int // copies between layouts, and packed copies of weights
	Copies   int // that keep the layout: joining, splitting
	// Bytes read and written, by what for. Upload is the input: a byte a pixel is read, a number written.
	BetweenOps, PackedWeights, Exchange, Upload int64
}

// Sub is what came since before.
func (m Moves) Sub(before Moves) Moves {
	return Moves{
		m.Reorders - before.Reorders, m.Copies - before.Copies, m.BetweenOps - before.BetweenOps,
		m.PackedWeights - before.PackedWeights, m.Exchange - before.Exchange, m.Upload - before.Upload,
	}
}

// Add is both together.
func (m Moves) Add(o Moves) Moves {
	return Moves{
		m.Reorders + o.Reorders, m.Copies + o.Copies, m.BetweenOps + o.BetweenOps,
		m.PackedWeights + o.PackedWeights, m.Exchange + o.Exchange, m.Upload + o.Upload,
	}
}

// Bytes is the sum.
func (m Moves) Bytes() int64 { return m.BetweenOps + m.PackedWeights + m.Exchange + m.Upload }
