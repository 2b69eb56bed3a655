//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"sync"

	"gorgonia.org/cu"

	"alexnet/internal/device"
	"alexnet/internal/gpu/cuda"
	"alexnet/internal/gpu/dynlib"
	"alexnet/kernels"
)

// Built tells that this build has the device; whether it runs, Available says.
const Built = true

// oldestMajor and oldestMinor are the least compute capability that the kernels are compiled for.
const oldestMajor, oldestMinor = 7, 5

// Available tells why no GPU can be used, or nil. The error is or holds a *dynlib.Error where it says what to do.
func Available() error {
	for _, check := range []func() error{dynlib.Init, dynlib.CheckCUBLAS, dynlib.CheckCUDNN} {
		if err := check(); err != nil {
			return &Unavailable{err}
		}
	}
	n, err := cuda.Count()
	if err != nil {
		return &Unavailable{err}
	}
	if n == 0 {
		return &Unavailable{errors.New("the driver sees none (CUDA_VISIBLE_DEVICES may hide them)")}
	}
	return nil
}

// Count is the number of GPUs that can be used; CUDA_VISIBLE_DEVICES hides others, and numbers those that are left
// anew.
func Count() int {
	if Available() != nil {
		return 0
	}
	n, _ := cuda.Count()
	return n
}

// Version is that of the libraries where GPUs can be used.
func Version() string {
	if Available() != nil {
		return ""
	}
	return fmt.Sprintf("CUDA %s, cuDNN %s", dynlib.Version(dynlib.DriverVersion()), cudnnVersion())
}

// card is one GPU, shared by the logical devices on it.
type card struct {
	*cuda.Context
	info    cuda.Info
	module  cu.Module
	image   string // which of the kernels' images it runs
	functs  map[string]cu.Function
	users   int
	waiting []*Net // compiled and not allocated yet
	peers   map[*card]access
}

// cards are those in use, by their number.
var (
	cardsLock sync.Mutex
	cards     = map[int]*card{}
)

// use opens a GPU, or shares it where it is open.
func use(ordinal int) (*card, error) {
	cardsLock.Lock()
	defer cardsLock.Unlock()
	if c := cards[ordinal]; c != nil {
		c.users++
		return c, nil
	}
	info, err := cuda.Describe(ordinal)
	if err != nil {
		return nil, err
	}
	if info.Major*10+info.Minor < oldestMajor*10+oldestMinor {
		return nil, &Unavailable{fmt.Errorf(
			"%s (number %d) has compute capability %d.%d, the program's kernels want %d.%d",
			info.Name, ordinal, info.Major, info.Minor, oldestMajor, oldestMinor)}
	}
	ctx, err := cuda.OpenContext(ordinal)
	if err != nil {
		return nil, err
	}
	c := &card{Context: ctx, info: info, users: 1, peers: map[*card]access{}}
	if err := c.do(c.load); err != nil {
		return nil, errors.Join(err, ctx.Close())
	}
	cards[ordinal] = c
	return c, nil
}

// load finds the kernels in the image that fits the GPU.
func (c *card) load() (err error) {
	if c.module, c.image, err = loadImage(c.info); err != nil {
		return err
	}
	c.functs = map[string]cu.Function{}
	for _, k := range kernels.List {
		if c.functs[k.Name], err = c.module.Function(k.Name); err != nil {
			return cuda.Wrap("cuModuleGetFunction("+k.Name+")", err)
		}
	}
	return nil
}

func (c *card) release() error {
	cardsLock.Lock()
	defer cardsLock.Unlock()
	if c.users--; c.users > 0 {
		return nil
	}
	delete(cards, c.Ordinal)
	err := c.Enter()
	if err == nil {
		err = cuda.Wrap("cuModuleUnload", c.module.Unload())
	}
	c.Leave()
	return errors.Join(err, c.Close())
}

// Device is a GPU, or one of several logical devices on one.
type Device struct {
	*card
	name        string
	place       int // among the devices that were opened together
	options     Options
	chosen      map[string]int
	main        cu.Stream // computes
	upload      cu.Stream // pictures
	exchange    cu.Stream // what comes from another device
	outgoing    cu.Stream // what leaves for another device through the host's memory
	blas        *cuda.BLAS
	dnn         *cuda.DNN
	blasWork    cu.DevicePtr
	blasPlanned bool // stands in the plan of a net
	closed      bool
}

// Open makes a device of each GPU named; a GPU named twice holds two logical devices. Devices opened together can be
// linked.
func Open(ordinals []int, o Options) ([]device.Device, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	times := map[int]int{}
	for _, n := range ordinals {
		times[n]++
	}
	seen := map[int]int{}
	var all []device.Device
	for i, n := range ordinals {
		name := fmt.Sprintf("cuda:%d", n)
		if times[n] > 1 {
			name = fmt.Sprintf("cuda:%d/%d", n, seen[n])
			seen[n]++
		}
		d, err := open(n, name, i, o)
		if err != nil {
			for _, opened := range all {
				err = errors.Join(err, opened.Close())
			}
			return nil, err
		}
		all = append(all, d)
		if first := all[0].(*Device); first.card != d.card {
			d.note(first.reaches(d.card).told(first.card, d.card))
		}
	}
	return all, nil
}

// note tells what the user may want to know.
func (d *Device) note(text string) {
	if d.options.Note != nil && text != "" {
		d.options.Note(text)
	}
}

func open(ordinal int, name string, place int, o Options) (*Device, error) {
	c, err := use(ordinal)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d := &Device{card: c, name: name, place: place, options: o, chosen: map[string]int{}}
	if err := d.do(d.start); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), d.Close())
	}
	return d, nil
}

func (d *Device) start() (err error) {
	for _, s := range d.streams() {
		if *s, err = cu.MakeStream(cu.NonBlocking); err != nil {
			return cuda.Wrap("cuStreamCreate", err)
		}
	}
	if d.blas, err = cuda.NewBLAS(d.main); err != nil {
		return err
	}
	d.dnn, err = cuda.NewDNN(d.main)
	return err
}

func (d *Device) streams() []*cu.Stream {
	return []*cu.Stream{&d.main, &d.upload, &d.outgoing, &d.exchange}
}

// Name is "cuda:0", or "cuda:0/1" of two on one GPU.
func (d *Device) Name() string { return d.name }

// Supports refuses bf16 and tf32 on GPUs whose tensor cores do not have them.
func (d *Device) Supports(p device.Precision) error {
	if p == device.FP32 || d.info.Major >= 8 {
		return nil
	}
	return &device.PrecisionError{
		Precision: p,
		Reason: fmt.Sprintf("%s has compute capability %d.%d, its tensor cores know it from 8.0 on", d.info.Name,
			d.info.Major, d.info.Minor),
	}
}

// FreeMemory is what is free of the GPU's memory.
func (d *Device) FreeMemory() (free int64, err error) {
	err = d.do(func() (err error) { free, _, err = cu.MemInfo(); return cuda.Wrap("cuMemGetInfo", err) })
	return free, err
}

// Algorithms are those that training nets compiled so far chose, of each direction of each convolution, as cuDNN
// numbers them.
func (d *Device) Algorithms() map[string]int { return d.chosen }

// Hardware is the GPU and the cuDNN that chose.
func (d *Device) Hardware() string {
	return fmt.Sprintf("%s, cuDNN %s", d.info.Name, cudnnVersion())
}

// cudnnVersion is 9.27.0 for 92700.
func cudnnVersion() string {
	v := dynlib.CUDNNVersion()
	return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100)
}

// blasBytes is the workspace that NVIDIA recommends for cuBLAS: 32 MiB from compute capability 9.0 on, 4 MiB before.
func (d *Device) blasBytes() int64 {
	if d.info.Major >= 9 {
		return 32 << 20
	}
	return 4 << 20
}

// Close ends the device.
func (d *Device) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	err := d.Enter()
	if d.dnn != nil {
		err = errors.Join(err, d.dnn.Close())
	}
	if d.blas != nil {
		err = errors.Join(err, d.blas.Close())
	}
	err = errors.Join(err, cuda.Free(d.blasWork))
	for _, s := range d.streams() {
		if *s != cu.NoStream {
			err = errors.Join(err, cuda.Wrap("cuStreamDestroy", s.Destroy()))
		}
	}
	d.Leave()
	if err = errors.Join(err, d.release()); err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	return nil
}

// do runs f with the GPU's context current.
func (c *card) do(f func() error) error {
	if err := c.Enter(); err != nil {
		return err
	}
	defer c.Leave()
	return f()
}
