//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"strings"

	"gorgonia.org/cu"

	"alexnet/internal/gpu/cuda"
	"alexnet/internal/gpu/dynlib"
)

// Look finds out about the GPUs and their libraries, and measures how fast they copy to each other.
func Look() (f *Facts, err error) {
	if err := Available(); err != nil {
		return nil, err
	}
	n, err := cuda.Count()
	if err != nil {
		return nil, err
	}
	f = &Facts{Driver: dynlib.Version(dynlib.DriverVersion()), CUDNN: cudnnVersion()}
	var devices []*Device
	defer func() {
		for _, d := range devices {
			err = errors.Join(err, d.Close())
		}
	}()
	for i := range n {
		d, fact, err := lookAt(i)
		if err != nil {
			return nil, err
		}
		if f.GPUs = append(f.GPUs, fact); d != nil {
			devices = append(devices, d)
		}
	}
	if len(devices) == 0 {
		return f, nil
	}
	f.Kernels = devices[0].image
	if err := devices[0].do(func() error { f.CUBLAS, err = devices[0].blasVersion(); return err }); err != nil {
		return nil, err
	}
	f.Paths, err = paths(devices)
	return f, err
}

// lookAt opens a GPU. One that cannot be used, an old one for the screen perhaps, is a fact like any, without a device.
func lookAt(ordinal int) (*Device, Fact, error) {
	i, err := cuda.Describe(ordinal)
	if err != nil {
		return nil, Fact{}, err
	}
	f := Fact{
		Ordinal: i.Ordinal, Name: i.Name, Memory: i.Memory, Capability: fmt.Sprintf("%d.%d", i.Major, i.Minor),
		PCI: i.PCI, Processors: i.Processors,
	}
	d, err := open(ordinal, fmt.Sprintf("cuda:%d", ordinal), 0, Options{})
	if err != nil {
		f.Missing, f.Err = strings.TrimPrefix(Reason(err), fmt.Sprintf("cuda:%d: ", ordinal)), err
		return nil, f, nil
	}
	if err := d.do(func() (err error) { f.Free, _, err = cu.MemInfo(); return cuda.Wrap("cuMemGetInfo", err) }); err !=
		nil {
		return nil, f, errors.Join(err, d.Close())
	}
	return d, f, nil
}

// blasVersion is 12.4.3 for 120403.
func (d *Device) blasVersion() (string, error) {
	v, err := d.blas.Version()
	return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100), err
}

// probeBytes is what paths copies at a time: 16 MiB, a little less than pool2 of a batch of 128.
const probeBytes = 16 << 20

// paths measures every pair, in both directions.
func paths(devices []*Device) (all []Path, err error) {
	at := make([]cu.DevicePtr, len(devices))
	defer func() {
		for i, d := range devices {
			err = errors.Join(err, d.do(func() error { return cuda.Free(at[i]) }))
		}
	}()
	for i, d := range devices {
		if err := d.do(func() (err error) { at[i], err = cuda.Alloc(probeBytes); return err }); err != nil {
			return nil, err
		}
	}
	for i, from := range devices {
		for j, to := range devices {
			if i == j {
				continue
			}
			s := from.reaches(to.card)
			p := Path{From: from.Ordinal, To: to.Ordinal, Peer: s.ok, Note: s.note}
			if p.BytesPerSecond, err = measure(from, to, at[i], at[j]); err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	return all, nil
}

// measure times some copies from GPU to GPU, the first of them apart. Without peer access the driver takes them through
// the host by itself.
func measure(from, to *Device, src, dst cu.DevicePtr) (perSecond float64, err error) {
	const copies = 8
	err = to.do(func() (err error) {
		var k clock
		if err := k.alloc(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, k.close()) }()
		for i := range copies {
			if i == 1 {
				if err := k.start(to.exchange); err != nil {
					return err
				}
			}
			if err := cu.MemcpyPeerAsync(dst, to.C(), src, from.C(), probeBytes, to.exchange); err != nil {
				return cuda.Wrap("cuMemcpyPeerAsync", err)
			}
		}
		if err := k.stop(to.exchange); err != nil {
			return err
		}
		if err := to.exchange.Synchronize(); err != nil {
			return cuda.Wrap("cuStreamSynchronize", err)
		}
		took, err := k.read()
		if err != nil {
			return err
		}
		perSecond = (copies - 1) * probeBytes / max(took.Seconds(), 1e-9)
		return nil
	})
	return perSecond, err
}
