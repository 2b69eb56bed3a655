//go:build !cgo || !dnnl || !linux

package cpu

import "alexnet/internal/device"

// Built tells that this build has the device; whether it runs, Available says.
const Built = false

// Open fails: this build has no oneDNN.
func Open(int) ([]device.Device, error) { return nil, Available() }

// Available tells why there is no cpu device.
func Available() error {
	return &Unavailable{
		Reason: "built without oneDNN", Advice: "build on Linux with cgo, libdnnl-dev and -tags dnnl",
	}
}

// Threads is 0: there is no device.
func Threads() int { return 0 }

// FewerThreads is nil: there is no device.
func FewerThreads() *Fewer { return nil }

// Headers is empty: the program was compiled without oneDNN's.
func Headers() string { return "" }

// ISA is empty: there is no oneDNN.
func ISA() string { return "" }

// Version is empty: there is no oneDNN.
func Version() string { return "" }
