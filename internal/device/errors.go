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

// NonFiniteError names the tensors that held NaN or Inf at a step: "loss", "gradient of conv1.weight", "conv1.weight".
type NonFiniteError struct {
	Device  string
	Step    uint64
	Tensors []string
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("%s: not finite at step %d: %s", e.Device, e.Step, strings.Join(e.Tensors, ", "))
}
