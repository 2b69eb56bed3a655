package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"alexnet/internal/reference"
	"alexnet/internal/selftest"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// gradientsResult is the document of doctor --gradients --json.
type gradientsResult struct {
	Config  text.Raw                 `json:"config"`
	Devices []string                 `json:"devices"`
	Tensors []selftest.GradientCheck `json:"tensors"`
	Failed  int                      `json:"failed"`
	// times that weights were drawn until the device agreed, see selftest.Gradients
	Drawn int `json:"drawn"`
}

func runGradients(ctx context.Context, o doctorOptions, t *ui.Terminal) error {
	o.net.config = o.gradients
	cfg, err := o.net.load(ctx, "")
	if err != nil {
		return err
	}
	devices, err := o.device.open(t)
	if err != nil {
		return err
	}
	defer closeDevices(devices)
	r := &gradientsResult{Config: text.Raw(o.gradients)}
	for _, d := range devices {
		r.Devices = append(r.Devices, d.Name())
	}
	bar := ui.NewProgress(t)
	r.Tensors, r.Drawn, err = selftest.Gradients(ctx, selftest.GradientOptions{
		Config: cfg, Double: reference.Open64(), Devices: devices, Progress: bar.Counter("differences"),
	})
	bar.Clear()
	if err != nil {
		return err
	}
	for _, c := range r.Tensors {
		if c.Verdict == selftest.Failed {
			r.Failed++
		}
	}
	if err := t.Result(r, func(w *bytes.Buffer) { printGradients(w, r, t.OutWidth) }); err != nil {
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
	tab := &ui.Table{Columns: []ui.Column{
		{Head: "tensor"},
		{Head: "shape", Drop: 2},
		{Head: "checked", Right: true},
		{Head: "skipped", Right: true, Drop: 1},
		{Head: "off differences", Right: true},
		{Head: "fp32 on " + device, Right: true},
		{Head: ""},
	}}
	for _, c := range r.Tensors {
		shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Shape), " ", "x"), "[]")
		tab.Add(c.Name, shape, text.Grouped(int64(c.Checked)), omitZero(int64(c.Skipped)),
			fmt.Sprintf("%.1e", c.Difference.Relative), fmt.Sprintf("%.1e", c.Device.Relative), c.Verdict)
	}
	tab.Write(w, width)
	fmt.Fprintf(w, "\n%s: gradients in float64 against central differences, at most %.0e off in relative norm; fp32 "+
		"against float64, at most %.0e\n", text.Name(r.Config), r.Tensors[0].Difference.Gate, r.Tensors[0].Device.Gate)
	if r.Drawn > 1 {
		fmt.Fprintf(w, "weights were drawn %d times: with the ones before, %s was off, as one ReLU or maximum too "+
			"close to call makes it\n", r.Drawn, device)
	}
}
