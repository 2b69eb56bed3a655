package device

import (
	"fmt"
	"strings"
)

// OpError is a failure inside a net: where it happened.
type OpError struct {
	Device, Op string
	Err        error
}

func (e *OpError) Error() string { return fmt.Sprintf("%s: %s: %v", e.Device, e.Op, e.Err) }
func (e *OpError) Unwrap() error { return e.Err }

// PrecisionError is a Compile that was asked for a precision in which the device does not compute.
type PrecisionError struct {
	Precision Precision
	Reason    string // "the processor lacks ..."
}

func (e *PrecisionError) Error() string {
	return fmt.Sprintf("%v is not available: %s", e.Precision, e.Reason)
}

// Int8Error is a Compile that was asked for int8 weights where the device has none.
type Int8Error struct{ Devices string } // "GPUs"

func (e *Int8Error) Error() string { return e.Devices + " have no int8 weights" }

// BatchError is a Compile for more rows than the device can count.
type BatchError struct {
	Rows, Largest int
	Reason        string // "has 2^31 numbers in one tensor"
}

func (e *BatchError) Error() string { return fmt.Sprintf("a batch of %d %s", e.Rows, e.Reason) }

// NonFiniteError names the tensors that held NaN or Inf at a step: "loss", "gradient of conv1.weight", "conv1.weight".
type NonFiniteError struct {
	Device  string
	Step    uint64
	Tensors []string
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("%s: not finite at step %d: %s", e.Device, e.Step, strings.Join(e.Tensors, ", "))
}

// MemoryError is an Alloc that would not fit, told before anything was taken.
type MemoryError struct {
	Plan       MemoryPlan // of all nets that wait for memory
	Free       int64      // bytes
	Rows, Fits int        // the batch, or 0: there is no room for any net; and the largest that would fit, 0: none
	// Of the computer's own memory: what limits it ("memory.max of the control group /job"), and to how many bytes.
	Limit string
	Of    int64
}

func (e *MemoryError) Error() string {
	if e.Rows == 0 {
		return fmt.Sprintf("%s are left of the %s that %s allows: too little to begin",
			mebibytes(e.Free), mebibytes(e.Of), e.Limit)
	}
	parts := make([]string, len(e.Plan))
	for i, item := range e.Plan {
		parts[i] = item.Purpose + " " + mebibytes(item.Bytes)
	}
	fits := "not even one picture fits"
	if e.Fits > 0 {
		fits = fmt.Sprintf("a batch of %d fits", e.Fits)
	}
	free := mebibytes(e.Free) + " are free"
	if e.Limit != "" {
		free += fmt.Sprintf(" of the %s that %s allows", mebibytes(e.Of), e.Limit)
	}
	return fmt.Sprintf("batches of %d need %s, %s: %s; %s", e.Rows, mebibytes(e.Plan.Total()), free,
		strings.Join(parts, ", "), fits)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
