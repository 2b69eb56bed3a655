//go:build cgo && dnnl && linux

package cpu

// #cgo CFLAGS: -std=gnu11 -O3
// #cgo LDFLAGS: -ldl -lm
// #include "cpu.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
	"alexnet/internal/machine"
)

// Built tells that this build has the device; whether it runs, Available says.
const Built = true

// load opens oneDNN once.
var load = sync.OnceValue(func() error {
	if reason := C.cpu_load(); reason != nil {
		return &Unavailable{
			Reason: "oneDNN does not load (" + C.GoString(reason) + ")",
			Advice: "Debian and Ubuntu have it in libdnnl-dev",
		}
	}
	return nil
})

// Available tells why there is no cpu device, or nil.
func Available() error { return load() }

// Version names the library: "oneDNN 2.6.3"; empty if it does not load.
func Version() string {
	if load() != nil {
		return ""
	}
	var major, minor, patch C.int
	C.cpu_version(&major, &minor, &patch)
	return fmt.Sprintf("oneDNN %d.%d.%d", major, minor, patch)
}

// Headers is the version of oneDNN that the program was compiled for: "2.6.3".
func Headers() string {
	return fmt.Sprintf("%d.%d.%d", C.DNNL_VERSION_MAJOR, C.DNNL_VERSION_MINOR, C.DNNL_VERSION_PATCH)
}

// ISA names the instructions that oneDNN uses at most, "avx512_core_bf16" (DNNL_MAX_CPU_ISA limits them); empty where
// it does not tell.
func ISA() string {
	if load() != nil {
		return ""
	}
	return C.GoString(C.cpu_isa())
}

// options are what a device is opened with. With none it decides by itself; tests ask for what a processor or a small
// net would pass over.
type options struct {
	// Winograd's algorithm wherever it can be, also where it does not pay.
	winograd bool
	// Convolutions take channels last on any processor, as oneDNN wants them of bf16 with AMX, and tiles.c runs in
	// plain C where there are no tiles.
	channelsLast bool
	// In place of tileBytes.
	tileBytes int
}

// Open makes devices "cpu", or "cpu:0", "cpu:1", .. that share the process's cores equally, each on its own part of
// them. The number of cores is that of the process's affinity, of OMP_NUM_THREADS and of GOMAXPROCS, whichever is
// least, or less where no more threads can be had: see [Fewer].
func Open(devices int) ([]device.Device, error) { return openAll(devices, options{}) }

func openAll(devices int, o options) ([]device.Device, error) {
	if devices < 1 {
		return nil, fmt.Errorf("%d cpu devices", devices)
	}
	if err := load(); err != nil {
		return nil, err
	}
	cores, _, err := usableCores()
	if err != nil {
		return nil, err
	}
	var all []device.Device
	for i := range devices {
		name, own := "cpu", cores
		if devices > 1 {
			name, own = fmt.Sprintf("cpu:%d", i), shareCores(cores, i, devices)
		}
		d, err := open(name, own, devices > 1, o)
		if err != nil {
			for _, opened := range all {
				err = errors.Join(err, opened.Close())
			}
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// shareCores is part i of n of the cores; with fewer cores than devices, one core that others use as well.
func shareCores(cores []int, i, n int) []int {
	if len(cores) < n {
		return cores[i%len(cores) : i%len(cores)+1]
	}
	return cores[i*len(cores)/n : (i+1)*len(cores)/n]
}

// Device runs programs on some of the cores.
type Device struct {
	backend.Activity
	name    string
	options options
	threads int
	engine  C.dnnl_engine_t
	stream  C.dnnl_stream_t
	queue   *queue
	ended   chan struct{}
}

func open(name string, cores []int, pin bool, o options) (*Device, error) {
	d := &Device{name: name, options: o, threads: len(cores), queue: newQueue(), ended: make(chan struct{})}
	started := make(chan error)
	go d.work(cores, pin, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}

// work is the worker. OpenMP keeps a team of threads for each thread that uses it, so this must stay the only one that
// calls oneDNN for the device. The thread is never unlocked: it ends with the goroutine and takes its team with it.
func (d *Device) work(cores []int, pin bool, started chan<- error) {
	runtime.LockOSThread()
	defer close(d.ended)
	if err := d.start(cores, pin); err != nil {
		started <- err
		return
	}
	started <- nil
	for {
		c, ok := d.queue.take()
		if !ok {
			break
		}
		d.Begin(c.what(), c.kind == backward)
		d.execute(&c)
		d.End()
		d.queue.finish()
	}
	C.cpu_close(d.engine, d.stream)
}

func (d *Device) start(cores []int, pin bool) error {
	if pin { // before the team exists: it inherits the affinity
		var set unix.CPUSet
		for _, c := range cores {
			set.Set(c)
		}
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("keeping the worker on cores %v: %w", cores, err)
		}
	}
	if found := int(C.cpu_team(C.int(len(cores)))); found < len(cores) {
		return &Fewer{Cores: len(cores), Threads: found, Reason: limited()}
	}
	if pin && C.cpu_places(nil, 0) > 0 { // OpenMP bound each device's team to the first places, regardless
		own := make([]C.int, len(cores))
		for i, c := range cores {
			own[i] = C.int(c)
		}
		C.cpu_keep_on(&own[0], C.int(len(own)))
	}
	return status(C.cpu_open(&d.engine, &d.stream))
}

// Hardware is the processor, and oneDNN with the instructions that it uses: by these, and by the caches of the
// processor, it chooses its code, and the loops of this package theirs.
func (d *Device) Hardware() string {
	library := Version()
	if isa := ISA(); isa != "" {
		library += " with " + isa
	}
	if name := machine.CPU(); name != "" {
		return name + ", " + library
	}
	return library
}

func (d *Device) execute(c *command) {
	switch c.kind {
	case call:
		c.call()
	case begin:
		c.net.begin(c.index)
	case forward:
		c.net.run(c.index, false)
	case backward:
		c.net.run(c.index, true)
	case update:
		c.net.update()
	case fetch:
		c.net.fetch(c)
	case store:
		c.net.store(c)
	}
}

// do runs f on the worker, after all that was enqueued before, and waits for it. After Close it fails.
func (d *Device) do(f func()) error {
	number, ok := d.queue.put(command{kind: call, call: f})
	if !ok {
		return backend.ErrDeviceClosed
	}
	d.queue.wait(number)
	return nil
}

// attempt is do for what may fail.
func (d *Device) attempt(f func() error) error {
	var failed error
	if err := d.do(func() { failed = f() }); err != nil {
		return err
	}
	return failed
}

// Name is "cpu" or "cpu:0".
func (d *Device) Name() string { return d.name }

// Supports tells why the device does not compute in a precision, or nil.
func (d *Device) Supports(p device.Precision) error {
	switch p {
	case device.FP32:
		return nil
	case device.BF16:
		if reason := C.cpu_bfloat16(); reason != nil {
			return &device.PrecisionError{Precision: p, Reason: C.GoString(reason)}
		}
		return nil
	}
	return &device.PrecisionError{Precision: p, Reason: "it is a format of CUDA's tensor cores"}
}

// Close ends the worker.
func (d *Device) Close() error {
	d.queue.close()
	<-d.ended
	return nil
}

// status makes an error of oneDNN's.
func status(s C.dnnl_status_t) error {
	switch s {
	case C.dnnl_success:
		return nil
	case C.dnnl_out_of_memory:
		return errors.New("oneDNN: out of memory")
	case C.dnnl_invalid_arguments:
		return errors.New("oneDNN: invalid arguments")
	case C.dnnl_unimplemented:
		return errors.New("oneDNN: not implemented")
	default:
		return fmt.Errorf("oneDNN: status %d", int(s))
	}
}
