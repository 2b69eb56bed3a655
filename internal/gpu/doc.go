// Package gpu is the device that trains and predicts on NVIDIA's GPUs, through CUDA, cuBLAS and cuDNN.
//
// A program is compiled once, into launches whose arguments never change: what changes from step to step lies in device
// memory. cuDNN does the convolutions by algorithms that its heuristics name, within a budget of workspace, cuBLAS the
// matrix products, the kernels of alexnet/kernels everything else. Values lie in NCHW where convolutions compute in
// fp32, and in NHWC where tensor cores do (tf32, bf16). Weights, momentum and gradients lie as the training net's
// convolutions want them: the channels of each input of a layer together, so that a layer of two inputs runs as two
// convolutions whose results add up, and nothing is copied; the update does not care.
//
// Every call enqueues and returns, from the goroutine that makes it, which for the time of the call stays on its thread
// with the GPU's context current. Each device has four streams: one computes, one uploads pictures, one fetches what
// comes from the other device, one puts into the host's memory what leaves where the GPUs do not reach each other.
// Between them and the other device's stand events, so the GPUs wait for each other and the host waits for nobody: the
// half of a layer that reads a device's own column runs while the other half is under way.
//
// The build tag cuda compiles the package; without it [Open] and [Available] give the reason.
package gpu

import "errors"

// Unavailable is what Open and Available fail with where no GPU can be used. Err says what is missing; it is or holds a
// *dynlib.Error where something can be done about it.
type Unavailable struct{ Err error }

func (e *Unavailable) Error() string { return "no GPU can be used: " + e.Err.Error() }
func (e *Unavailable) Unwrap() error { return e.Err }

// Reason is why no GPU, or this one, can be used, for a line that says already that it cannot.
func Reason(err error) string {
	if e := (*Unavailable)(nil); errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}

// Options are how nets on GPUs choose among algorithms that give the same result but for the last bits.
type Options struct {
	Deterministic bool           // only algorithms that give the same bits from run to run
	Graphs        bool           // a net that is alone captures a step as a CUDA graph, and replays it
	Algorithms    map[string]int // by what Algorithms calls them: these, where cuDNN offers them
	Note          func(string)   // is told what the user should look at; nil: nobody is
}

// Fact is what is known about a GPU, for doctor.
type Fact struct {
	Ordinal    int    `json:"ordinal"`
	Name       string `json:"name"`
	Memory     int64  `json:"memory"`
	Free       int64  `json:"free"`
	Capability string `json:"compute_capability"`
	PCI        string `json:"pci"`
	Processors int    `json:"multiprocessors"`
	Missing    string `json:"missing,omitempty"` // why the program cannot use it
	Err        error  `json:"-"`                 // the error that Missing is the text of
}

// Path is the way between two GPUs.
type Path struct {
	From           int     `json:"from"`
	To             int     `json:"to"`
	Peer           bool    `json:"peer"`             // copies go from memory to memory; else through the host
	Note           string  `json:"note,omitempty"`   // why not, although the driver says that they can
	BytesPerSecond float64 `json:"bytes_per_second"` // measured
}

// Facts are what is known about GPUs and their libraries.
type Facts struct {
	Driver  string `json:"driver"` // the CUDA that it is for
	CUDNN   string `json:"cudnn"`
	CUBLAS  string `json:"cublas"`
	Kernels string `json:"kernels"` // the code that the first usable GPU runs: "PTX", "machine code for 9.0"
	GPUs    []Fact `json:"gpus"`
	Paths   []Path `json:"paths"`
}
