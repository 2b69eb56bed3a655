package machine

import "math"

// Limit is a bound on the memory of this process, or of it and others, that nobody can exceed: where it is met a
// process is killed, or gets no more.
type Limit struct {
	Of    Bound  `json:"of"`
	From  string `json:"from"` // "memory.max of the control group /job"
	Bytes int64  `json:"bytes"`
	Used  int64  `json:"used"` // of it, now; what the system would take back when it is needed does not count
}

// Left is what may still be taken.
func (l Limit) Left() int64 { return max(0, l.Bytes-l.Used) }

// Bound says what a Limit counts.
type Bound string

// Bounds.
const (
	Resident Bound = "memory"        // pages that were touched
	Writable Bound = "data"          // what may be written, touched or not
	Mapped   Bound = "address space" // all that is mapped, also what nobody will ever touch
)

// allowance is what the process takes besides what is planned: Go's heap, stacks of threads, libraries' own memory.
// Measured with the paper's net and fig1 in bench: the whole process had 27 and 48 MiB touched besides the plan, and
// 166 and 195 MiB that may be written, since each thread has a stack of 8 MiB. Of address space Go takes 64 MiB at a
// time, and the C library as much for a thread's small pieces, but does without where it must.
var allowance = map[Bound]int64{Resident: 64 << 20, Writable: 192 << 20, Mapped: 256 << 20}

// Spare is what may still be taken besides what the process takes anyway.
func (l Limit) Spare() int64 { return max(0, l.Left()-allowance[l.Of]) }

// Tightest is the limit that leaves least to be planned with; nil: none is known.
func (m Memory) Tightest() *Limit {
	var least *Limit
	for i := range m.Limits {
		if least == nil || m.Limits[i].Spare() < least.Spare() {
			least = &m.Limits[i]
		}
	}
	return least
}

// unlimited is the least number that means no limit: version 1 of control groups gives 2^63 less a page, a resource
// limit 2^64 - 1.
const unlimited = math.MaxInt64 >> 1
