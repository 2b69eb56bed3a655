package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"alexnet/internal/reference"
	"alexnet/internal/selftest"
	"alexnet/internal/text"
)

// gradientsResult is the document of doctor --gradients --json.
type gradientsResult struct {
	Config  string                   `json:"config"`
	Devices []string                 `json:"devices"`
	Tensors []selftest.GradientCheck `json:"tensors"`
	Failed  int                      `json:"failed"`
	// times that weights were drawn until the device agreed, see selftest.Gradients
	Drawn int `json:"drawn"`
}

func runGradients(ctx context.Context, o doctorOptions, t *terminal) error {
	o.net.config = o.gradients
	cfg, err := o.net.load("")
	if err != nil {
		return err
	}
	devices, err := o.device.open(t)
	if err != nil {
		return err
	}
	defer closeDevices(devices)
	r := &gradientsResult{Config: o.gradients}
	for _, d := range devices {
		r.Devices = append(r.Devices, d.Name())
	}
	bar := newProgress(t)
	r.Tensors, r.Drawn, err = selftest.Gradients(ctx, selftest.GradientOptions{
		Config: cfg, Double: reference.Open64(), Devices: devices, Progress: func(done, total int) {
			bar.update(status{
				label: "differences", done: int64(done), all: int64(total), left: int64(total - done), loss: -1,
				stall: -1,
			})
		},
	})
	bar.clear()
	if err != nil {
		return err
	}
	for _, c := range r.Tensors {
		if c.Verdict == selftest.Failed {
			r.Failed++
		}
	}
	if err := t.result(r, func(w *bytes.Buffer) { printGradients(w, r, t.outWidth) }); err != nil {
		return err
	}
	if r.Failed > 0 {
		return advise(exitFailed, "report it with this output and that of alexnet doctor",
			fmt.Errorf("gradients of %s are wrong", text.Count(r.Failed, "tensor")))
	}
	return nil
}

func printGradients(w *bytes.Buffer, r *gradientsResult, width int) {
	device := strings.Join(r.Devices, " and ")
	tab := &table{columns: []column{
		{head: "tensor"},
		{head: "shape", drop: 2},
		{head: "checked", right: true},
		{head: "skipped", right: true, drop: 1},
		{head: "off differences", right: true},
		{head: "fp32 on " + device, right: true},
		{head: ""},
	}}
	for _, c := range r.Tensors {
		shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Shape), " ", "x"), "[]")
		tab.add(c.Name, shape, text.Grouped(int64(c.Checked)), some(int64(c.Skipped)),
			fmt.Sprintf("%.1e", c.Difference.Relative), fmt.Sprintf("%.1e", c.Device.Relative), c.Verdict)
	}
	tab.write(w, width)
	fmt.Fprintf(w, "\n%s: gradients in float64 against central differences, at most %.0e off in relative norm; fp32 "+
		"against float64, at most %.0e\n", r.Config, r.Tensors[0].Difference.Gate, r.Tensors[0].Device.Gate)
	if r.Drawn > 1 {
		fmt.Fprintf(w, "weights were drawn %d times: with the ones before, %s was off, as one ReLU or maximum too "+
			"close to call makes it\n", r.Drawn, device)
	}
}
