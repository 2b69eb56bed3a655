// Package devicetest is the suite that every backend must pass. It writes programs by hand, runs them on the backend's
// devices and, beside them, in an oracle of plain float64 loops of its own, and compares values, gradients, parameters,
// counts and failures.
//
// A backend's test calls Run with a function that opens fresh devices:
//
//	func TestDevice(t *testing.T) {
//		devicetest.Run(t, func(t *testing.T, n int) []device.Device { ... })
//	}
//
// Every case avoids the places where two correct implementations may differ: inputs of ReLU next to zero, maxima next
// to equal (exact ties are a rule, first index, and have cases of their own).
package devicetest

import (
	"testing"

	"alexnet/internal/device"
)

// Tolerances are relative norms, |got - want| / |want| over a whole tensor, against float64. PyTorch's fp32 was
// measured at 2.8e-7 forward, per layer, and 9.4e-7 for the worst gradient of the paper's net: 1e-5 and 1e-4 leave room
// for Winograd's and other rearrangements of sums, and none for a wrong formula: the smallest of those (LRN across the
// border of two columns, a bias left out of one kernel) is above 1e-3.
const (
	forwardTolerance  = 1e-5
	gradientTolerance = 1e-4
)

// halfTolerance is for one op of bf16 on equal inputs: a number of 8 bits is off by up to 2^-9 = 2e-3, its rms error is
// about 1.1e-3, and an op rounds its weights, what it writes, and little else. PyTorch's bf16 was measured at 3.3e-3.
const halfTolerance = 2e-2

// tieTolerance is for gradients that pass through maxima of rounded bf16 which nobody sees: ties are frequent among
// numbers of 8 bits, and the oracle, which has the numbers before rounding, may choose otherwise. That happens where
// normalisation and pooling are not fused (columns of few channels); 0.06 was seen. Where they are, nothing is rounded
// between them and halfTolerance holds.
const tieTolerance = .15

// looseTieTolerance is the same for devices that never fuse the two, whatever the columns: 0.17 was seen, with 486
// numbers.
const looseTieTolerance = .25

// Run runs the whole suite on devices that open gives: n of them, of equal kind, which can be linked. open closes them
// through t.Cleanup; by then the suite has closed all nets and parameters.
func Run(t *testing.T, open func(t *testing.T, n int) []device.Device) {
	t.Run("Golden", func(t *testing.T) { RunGolden(t, open) })
	t.Run("Ops", func(t *testing.T) { testOps(t, whole(open)) })
	t.Run("Chains", func(t *testing.T) { testChains(t, whole(open)) })
	t.Run("Exact", func(t *testing.T) { testExact(t, open) })
	t.Run("Columns", func(t *testing.T) { testColumns(t, open) })
	t.Run("Training", func(t *testing.T) { testTraining(t, open) })
	t.Run("Failures", func(t *testing.T) { testFailures(t, open) })
	t.Run("Misuse", func(t *testing.T) { testMisuse(t, open) })
}

// RunHalf holds every op to the oracle in bf16, one op at a time: each on what the device itself made so far, for a
// chain of them parts from its oracle at the first ReLU or maximum that rounding decides. fuses tells that the device
// does not round between normalisation and pooling.
func RunHalf(t *testing.T, open func(t *testing.T, n int) []device.Device, fuses bool) {
	run := stepwise(open, fuses)
	t.Run("Ops", func(t *testing.T) { testOps(t, run) })
	t.Run("Chains", func(t *testing.T) { testChains(t, run) })
	t.Run("Columns", func(t *testing.T) { run(t, columnCases()) })
}

// RunPairs runs the part of the suite that is about two devices: for pairs of unlike devices, each of which has passed
// Run with its own kind. open gives two devices that can be linked, or for comparison one.
func RunPairs(t *testing.T, open func(t *testing.T, n int) []device.Device) {
	t.Run("Columns", func(t *testing.T) { testColumns(t, open) })
	t.Run("repeated", func(t *testing.T) { testRepeated(t, open, trainingPair) })
	t.Run("one device of two fails", func(t *testing.T) { testPeer(t, open) })
	t.Run("parameters", func(t *testing.T) { testForeignParams(t, open) })
}

// CloseLater closes devices when the test ends, which fails where that does.
func CloseLater(t testing.TB, devs []device.Device) []device.Device {
	t.Cleanup(func() {
		for _, d := range devs {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return devs
}
