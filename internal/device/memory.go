package device

// MemoryPlan lists what a net takes, in bytes, by purpose.
type MemoryPlan []MemoryItem

// MemoryItem is one purpose.
type MemoryItem struct {
	Purpose string // one of the Purpose constants
	Bytes   int64
}

// Purposes. Parameters, momentum and gradients belong to the Params and are taken once, however many nets share them:
// they stand in the plan of the net compiled first.
const (
	PurposeWeights     = "weights"
	PurposeMomentum    = "momentum"
	PurposeGradients   = "weight gradients"
	PurposePacked      = "packed weights" // copies in the layout an op wants
	PurposeActivations = "activations"    // values kept or reused
	PurposeBackward    = "activation gradients"
	PurposeWorkspace   = "workspace"
	PurposeStaging     = "staging"  // pictures on their way into the net, and the mean
	PurposeExchange    = "exchange" // what crosses between devices
	// what libraries take of a GPU by themselves; in no net's plan, but in what is refused
	PurposeReserve = "reserve"
	// of a device that has a memory of its own: what it reads and writes by itself
	PurposePinned = "pinned host memory"
)

// Add is the plan with an item more; what is for the same purpose is one item.
func (m MemoryPlan) Add(item MemoryItem) MemoryPlan {
	for i := range m {
		if m[i].Purpose == item.Purpose {
			m[i].Bytes += item.Bytes
			return m
		}
	}
	return append(m, item)
}

// Total is the sum in bytes.
func (m MemoryPlan) Total() int64 {
	var n int64
	for _, i := range m {
		n += i.Bytes
	}
	return n
}
