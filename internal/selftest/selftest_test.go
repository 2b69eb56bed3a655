package selftest

import (
	"testing"

	"alexnet/internal/cpu"
	"alexnet/internal/device"
	"alexnet/internal/reference"
)

func referenceBackend() Backend {
	return Backend{
		Name: "reference", Int8: true, Open: func(n int) ([]device.Device, error) { return reference.Open(n), nil },
	}
}

func TestOps(t *testing.T) {
	backends := []Backend{referenceBackend()}
	if cpu.Available() == nil {
		backends = append(backends, Backend{Name: "cpu", Int8: true, Open: cpu.Open})
	}
	for _, b := range backends {
		checks, err := Ops(b, device.FP32, reference.Open64())
		if err != nil {
			t.Fatal(err)
		}
		if len(checks) != len(opCases) {
			t.Errorf("%d checks of %d cases", len(checks), len(opCases))
		}
		for _, c := range checks {
			if !c.Pass {
				t.Errorf("%s: %s: forward %+v, gradient %+v, %s", c.Device, c.Op, c.Forward, c.Gradient, c.Error)
			} else if c.Forward.Relative == 0 && (c.Op == "conv" || c.Op == "fc") {
				t.Errorf("%s: %s is exact: compared with itself?", c.Device, c.Op)
			}
		}
	}
}

// wrong is a device that gives false numbers: values, or gradients, off by a thousandth.
type wrong struct {
	device.Device
	gradients bool
}

func (w *wrong) Compile(p device.Program) (device.Net, error) {
	n, err := w.Device.Compile(p)
	return &wrongNet{n, w.gradients}, err
}

type wrongNet struct {
	device.Net
	gradients bool
}

func (n *wrongNet) Fetch(v device.Value, grad bool, dst []float32) device.Ticket {
	t := n.Net.Fetch(v, grad, dst)
	if grad == n.gradients {
		for i := range dst {
			dst[i] *= 1.001
		}
	}
	return t
}

func TestWrongDevice(t *testing.T) {
	for _, gradients := range []bool{false, true} {
		b := Backend{Name: "wrong", Int8: true, Open: func(n int) ([]device.Device, error) {
			devs := reference.Open(n)
			for i := range devs {
				devs[i] = &wrong{devs[i], gradients}
			}
			return devs, nil
		}}
		checks, err := Ops(b, device.FP32, reference.Open64())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range checks {
			if gradients && c.Gradient == nil { // the update and the input have none
				continue
			}
			if c.Op != "update" && (c.Pass || c.Error != "" || c.Gradient.ok() == gradients ||
				c.Forward.ok() != gradients) {
				t.Errorf("gradients %v: %s: %+v", gradients, c.Op, c)
			}
		}
	}
}
