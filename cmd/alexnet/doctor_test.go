package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/reference"
	"alexnet/internal/selftest"
)

// offByAThousandth is a device whose values are.
type offByAThousandth struct{ device.Device }

func (d offByAThousandth) Compile(p device.Program) (device.Net, error) {
	n, err := d.Device.Compile(p)
	return offNet{n}, err
}

type offNet struct{ device.Net }

func (n offNet) Fetch(v device.Value, grad bool, dst []float32) device.Ticket {
	t := n.Net.Fetch(v, grad, dst)
	for i := range dst {
		dst[i] *= 1.001
	}
	return t
}

// TestDoctorFindsWrongDevice: what computes wrong fails the command, and the table says where.
func TestDoctorFindsWrongDevice(t *testing.T) {
	b := selftest.Backend{Name: "off", Open: func(n int) ([]device.Device, error) {
		devices := reference.Open(n)
		for i := range devices {
			devices[i] = offByAThousandth{devices[i]}
		}
		return devices, nil
	}}
	r := &doctorResult{}
	if err := r.selfTest(context.Background(), []selftest.Backend{b}); err != nil {
		t.Fatal(err)
	}
	if err := r.verdict(); err == nil || exitCode(err) != exitFailed || r.Failed < 10 {
		t.Errorf("%d failed, %v", r.Failed, err)
	}
	var w bytes.Buffer
	printChecks(&w, r.Checks, 0)
	if !strings.Contains(w.String(), "1.0e-03  1e-05   1.0e-03  1e-04  FAILED") {
		t.Error(w.String())
	}
}

// TestDoctorDeviceThatFails: a device that cannot run an op fails the check with its reason.
func TestDoctorDeviceThatFails(t *testing.T) {
	broken := errors.New("no such op")
	b := selftest.Backend{Name: "broken", Open: func(n int) ([]device.Device, error) {
		devices := reference.Open(n)
		for i := range devices {
			devices[i] = &failsLater{Device: devices[i], err: broken}
		}
		return devices, nil
	}}
	r := &doctorResult{}
	if err := r.selfTest(context.Background(), []selftest.Backend{b}); err != nil {
		t.Fatal(err)
	}
	if r.Failed == 0 || r.Checks[len(r.Checks)-1].Error != broken.Error() {
		t.Errorf("%d failed, %+v", r.Failed, r.Checks)
	}
}

// failsLater compiles one net, that of the question whether it has the precision, and no more.
type failsLater struct {
	device.Device
	err error
}

func (d *failsLater) Compile(p device.Program) (device.Net, error) {
	if len(p.Ops) > 5 || p.Precision != device.FP32 {
		return nil, d.err
	}
	return d.Device.Compile(p)
}

// TestDoctorAdvice: what failed decides what to do without.
func TestDoctorAdvice(t *testing.T) {
	for _, c := range []struct {
		devices   []string
		with, not string
	}{
		{[]string{"cuda:0", "cuda:0,cuda:1"}, "without --gpus", "oneDNN"},
		{[]string{"cpu"}, "without oneDNN", "--gpus"},
	} {
		r := &doctorResult{Failed: len(c.devices)}
		for _, d := range c.devices {
			r.Checks = append(r.Checks, selftest.Check{Device: d})
		}
		if next := nextStep(r.verdict()); !strings.Contains(next, c.with) || strings.Contains(next, c.not) {
			t.Errorf("%v fail: next: %s", c.devices, next)
		}
	}
}
