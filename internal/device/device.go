// Package device is the contract between the model and the processors that run it.
//
// A net never changes while it runs, so it is compiled once and replayed. The model writes one [Program] per device: a
// flat list of op specs over numbered values, walked forward and then back. A [Device] compiles a Program whole, sees
// every neighbour, chooses its own memory layouts and plans its memory before it takes any. What crosses this border is
// in logical order: NCHW for values, OIHW for convolution kernels, (out, in) for fully connected weights, always
// float32.
//
// The package holds no arithmetic and no cgo. The backends reference, cpu and gpu implement it; devicetest holds them
// to it; model is its only caller besides them.
package device

import (
	"fmt"
	"slices"
	"strings"
)

// Device is one processor with its own memory. It owns its worker threads; callers need none, and call each Device and
// all that comes from it from one goroutine at a time. Its errors begin with its name.
type Device interface {
	// Name is what users and errors call the device: "cpu", "cpu:1", "cuda:0", "reference".
	Name() string
	// NewParams declares the parameters that nets on this device share. It takes no memory: that comes with the first
	// Net.Alloc.
	NewParams([]ParamSpec) (Params, error)
	// Compile settles algorithms, private layouts and workspaces, and takes no memory for tensors. It refuses, with the
	// reason, a Precision or an op that the device cannot do. At most one Train program may be compiled on a Params,
	// before any other.
	Compile(Program) (Net, error)
	// Close ends the worker threads. Nets and Params of the device must be closed before; whatever is called later
	// fails, but another Close, which does nothing.
	Close() error
}

// Observed is a Device (optional) that tells how it gets on, to any goroutine, also while another waits for it.
type Observed interface {
	// Progress counts the ops that are over, and names the one that is under way; empty: none.
	Progress() (done uint64, at string)
}

// Net is a compiled Program. Calls enqueue in order and return; only a Ticket, Sync, Await, Begin (while the batch of
// the second Begin before it is not read) and Close wait. The first failure turns later calls into no-ops and is
// reported, with op and device, by every later wait.
type Net interface {
	// Memory tells what Alloc is going to take, by purpose.
	Memory() MemoryPlan
	// Alloc takes all the memory the net will ever use, and that of its Params if no net did so before.
	Alloc() error
	// Begin starts a pass over the batch: upload, crop, flip, colour, mean, scale, into the program's input value.
	// The batch may lie anywhere in the host's memory, and several nets may read it at once; nobody may write to it
	// before each of them was awaited. Rows at and beyond pass.Rows take no part: whatever they compute is never read,
	// and they add nothing to gradients. pass.LR and pass.Decay are read before the call returns.
	Begin(b *Batch, pass Pass)
	// Await returns as soon as the device has read the batch, for every Begin so far: at once where there was none.
	Await(b *Batch)
	// Forward runs op number op of the program.
	Forward(op int)
	// Backward runs its gradient; frozen ops have none. Gradients of parameters and values are written (=), with one
	// exception: the Backward of a Send adds (+=) what came home to the gradient that the value's local consumer, or a
	// later Send, wrote before; where neither is, it writes.
	Backward(op int)
	// Update applies v = momentum v - decay lr w - lr g; w += v to every parameter whose lr is not 0, in one pass,
	// after it checked loss and gradients; where any is not finite it changes nothing and fails with a *NonFiniteError.
	// Weights that become non-finite by the update fail likewise.
	Update()
	// Fetch reads a value, or with grad its gradient, into dst (logical order, pass.Rows rows) as it is at this point
	// of the queue. The value must be the program's input, an op's SoftmaxLoss output, or named in Keep; gradients
	// exist in Train programs. dst must not be touched before the Ticket was waited for.
	Fetch(v Value, grad bool, dst []float32) Ticket
	// Store writes a value or its gradient (same conditions as Fetch); src is read before the call returns.
	Store(v Value, grad bool, src []float32)
	// Sync waits until all that was enqueued is done and reports the first failure.
	Sync() error
	// Close frees the memory, parcels that were sent included: nets on other devices that get them must be done.
	Close() error
}

// Replayer is an optional ability of a Net without Sends and Recvs: to enqueue as a whole what was enqueued op by op
// before.
type Replayer interface {
	// Replay does what enqueue does, which makes the same calls of Forward, Backward and Update, in the same order,
	// each time, and no others.
	Replay(enqueue func())
}

// Ticket is the receipt of a Fetch.
type Ticket interface {
	// Wait returns when the data is there, or the net's first failure. Waiting again is allowed until the second Fetch
	// after it.
	Wait() error
}

// Params are weights, momentum and gradients on one device, shared by every net compiled on them. They are laid out as
// the training net wants them; the packed copies of other nets refresh themselves when the weights changed. Fetch and
// Store wait for what is enqueued on the device, and are legal after the first Alloc.
type Params interface {
	Specs() []ParamSpec
	// Fetch reads a part of parameter p in logical order.
	Fetch(p Param, part Part, dst []float32) error
	// Store writes it. New weights are seen by every net's next pass.
	Store(p Param, part Part, src []float32) error
	Close() error
}

// Param numbers a parameter in Params.
type Param int

// Part says which of a parameter's tensors is meant.
type Part int

// Parts of a parameter. Momentum and Gradient exist once a Train program was compiled on the Params, of
// those that learn in it.
const (
	Weight   Part = iota // the fp32 master weights, or biases
	Momentum             // v of the update rule
	Gradient             // written by the last Backward
)

func (p Part) String() string { return [...]string{"weight", "momentum", "gradient"}[p] }

// ParamSpec describes one parameter as one device holds it.
type ParamSpec struct {
	Name  string // "conv1.weight", the paper's names
	Shape []int  // own share: conv (kernels, channels/groups, height, width), fc (units, inputs), bias (n)
}

// Len is the number of elements.
func (s ParamSpec) Len() int {
	n := 1
	for _, d := range s.Shape {
		n *= d
	}
	return n
}

// Precision is how ops compute. Masters, momentum, loss and the update stay fp32.
type Precision int

// Precisions.
const (
	FP32 Precision = iota
	TF32
	BF16
)

// Precisions is an optional ability of a Device: to tell before Compile whether it computes in a precision. The error
// is a *PrecisionError.
type Precisions interface {
	Supports(Precision) error
}

// Supports tells why the device does not compute in a precision, or nil: where it cannot tell, Compile will.
func Supports(d Device, p Precision) error {
	if able, ok := d.(Precisions); ok {
		return able.Supports(p)
	}
	return nil
}

// Chooser is an optional ability of a Device: to choose among algorithms that give the same result but for the last
// bits. A run that is to go on as it began needs the same hardware, and tells it the same algorithms when it opens it.
type Chooser interface {
	Identified
	// Algorithms are those that training programs compiled so far run, by names that tell devices opened together
	// apart.
	Algorithms() map[string]int
}

// Meter is an optional ability of a Device that has memory of its own: to tell how much of it is free, in bytes.
type Meter interface{ FreeMemory() (int64, error) }

// Fitter is an optional ability of a Net on such a Device.
type Fitter interface {
	// Room fails where Alloc would for want of memory, with the *MemoryError that tells what would fit. It takes none.
	Room() error
}

// Identified is an optional ability of a Device: to say on what it computes. On something else the last bits of a
// result may be others.
type Identified interface {
	// Hardware is processor and library: "NVIDIA H100 80GB HBM3, cuDNN 9.27.0".
	Hardware() string
}

// HardwareOf is that of the first of the devices; empty where it does not say.
func HardwareOf(devs []Device) string {
	if able, ok := devs[0].(Identified); ok {
		return able.Hardware()
	}
	return ""
}

// precisionNames are those of the precisions, by number.
var precisionNames = [...]string{FP32: "fp32", TF32: "tf32", BF16: "bf16"}

func (p Precision) String() string { return precisionNames[p] }

// PrecisionNames are all that ParsePrecision knows.
func PrecisionNames() []string { return slices.Clone(precisionNames[:]) }

// ParsePrecision is the precision of a name, as train.precision and --precision give it.
func ParsePrecision(name string) (Precision, error) {
	if i := slices.Index(precisionNames[:], name); i >= 0 {
		return Precision(i), nil
	}
	return 0, fmt.Errorf("precision %q is not one of %s", name, strings.Join(precisionNames[:], ", "))
}

// Pinner is an optional ability of a Device: memory of the host that it, and the devices opened together with it, read
// by themselves, beside other work. A Batch goes up faster from there than from elsewhere.
type Pinner interface {
	// Pin takes memory, of any content. free gives it back; nothing may read it any more by then, and the device must
	// still be open.
	Pin(bytes int64) (memory []byte, free func() error, err error)
}

// Batch is rows of decoded pictures of one size in the host's memory, with the draws of augmentation already made.
type Batch struct {
	Pixels []uint8      // (Rows, Height, Width, Channels) as the program's Input says, 0..255, RGB
	Labels []int32      // (Rows); -1: no label, the row adds nothing to loss, errors or gradients
	Crop   [][2]int32   // (Rows) y, x of the crop's upper left corner in the picture
	Flip   []bool       // (Rows) mirror left and right after the crop
	Color  [][3]float32 // (Rows) added to each channel, in units of 0..255
}

// NewBatch makes a batch of so many rows over memory for their pixels.
func NewBatch(rows int, pixels []uint8) *Batch {
	return &Batch{
		Pixels: pixels, Labels: make([]int32, rows), Crop: make([][2]int32, rows),
		Flip: make([]bool, rows), Color: make([][3]float32, rows),
	}
}

// drawnBytes are what a row has besides pixels: label, crop, flip and colour.
const drawnBytes = 4 + 8 + 1 + 12

// BatchBytes is what a batch of so many rows takes.
func BatchBytes(rows int, in Input) int64 { return int64(rows) * int64(in.PictureBytes()+drawnBytes) }

// Pass is what changes from step to step. Devices keep it in their own memory, so that a captured step can be replayed.
type Pass struct {
	Seed     uint64    // of the run
	Step     uint64    // number of the step, from 0
	First    uint64    // number, within the run, of the sample in row 0 (row r holds sample First+r)
	Rows     int       // rows in use, 1..Program.Rows
	Divisor  float32   // the loss gradient is divided by it: the rows of the whole batch, over all replicas
	Momentum float32   // .9
	LR       []float32 // by Param; 0: frozen, neither weight nor momentum changes
	Decay    []float32 // by Param
}

// Precise is what a Net can do besides where it computes in float64.
type Precise interface {
	// Fetch64 is Net.Fetch without rounding to float32. It waits.
	Fetch64(v Value, grad bool, dst []float64) error
	// Choices is a fingerprint of what the last Forward of every op decided: which ReLUs let through, which pixel of
	// each window was the maximum. Between two passes with the same choices the net is smooth.
	Choices() uint64
}
