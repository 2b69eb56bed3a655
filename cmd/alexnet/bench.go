package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/data"
	"alexnet/internal/train"
)

// benchOptions are what bench was asked to do.
type benchOptions struct {
	net           netOptions
	device        deviceOptions
	data, mode    string
	steps, warmup int
	layers        bool
}

// benchResult is the document of bench --json.
type benchResult struct {
	Config string `json:"config"`
	*train.BenchResult
	Memory []deviceMemory `json:"memory,omitempty"`
}

var benchModes = []string{train.BenchTrain, train.BenchInfer, train.BenchData}

func newBenchCommand(t *terminal) *cobra.Command {
	var o benchOptions
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure images per second",
		Long: `Measure speed: of training (the very step of alexnet train: dropout, checks, update and all), of inference, or of reading pictures alone.
Without --data pictures are made up in memory, so that only the net counts; --mode data then reads the generated pictures. Numbers
are medians over the steps; of reading alone, means, for there batches become ready in bursts.

--layers measures as many steps again, layer by layer, with a wait behind each: waiting adds to every row, so their sum is larger than the
step. On two devices a row lasts until both are done. What a device does as one stands in one row of the two, as normalisation does with the
pooling behind it on the CPU. A multiply-add counts as two operations; backward is the gradient of the data and that of the weights, and in
the first layer that of the weights alone.`,
		Example: `  alexnet bench
  alexnet bench --mode infer --batch 1 --steps 50
  alexnet bench --layers --steps 5
  alexnet bench --mode data --data imagenet --config alexnet
  alexnet bench --config demo --device cpu,cpu --json | jq .images_per_second`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			help := c.CommandPath() + " --help"
			if !slices.Contains(benchModes, o.mode) {
				return usageError(help, "--mode %s: want train, infer or data", o.mode)
			}
			if o.layers && o.mode == train.BenchData {
				return usageError(help, "--layers: reading pictures has no layers")
			}
			if o.steps < 1 || o.warmup < 0 {
				return usageError(help, "--steps: want at least 1, --warmup: at least 0")
			}
			if err := o.device.check(c); err != nil {
				return err
			}
			if err := o.net.check(c, &o.device); err != nil {
				return err
			}
			return runBench(c.Context(), o, t)
		},
	}
	o.net.addFlags(c)
	o.net.addBatch(c)
	o.device.addFlags(c)
	o.device.addPrecision(c)
	f := c.Flags()
	f.StringVar(&o.mode, "mode", train.BenchTrain, "what to measure, as `MODE`: train, infer or data")
	f.StringVar(&o.data, "data", "", "`PATH` of a folder or tar of pictures (default: made up in memory)")
	f.IntVar(&o.steps, "steps", 10, "`N` steps to measure")
	f.BoolVar(&o.layers, "layers", false, "time of each layer, forward and back, too")
	f.IntVar(&o.warmup, "warmup", 2, "`N` steps before that")
	return c
}

func runBench(ctx context.Context, o benchOptions, t *terminal) error {
	name := o.net.config
	if name == "" {
		name = "alexnet"
	}
	cfg, err := o.net.load("alexnet")
	if err != nil {
		return err
	}
	bo := train.BenchOptions{Config: cfg, Mode: o.mode, Steps: o.steps, Warmup: o.warmup, Layers: o.layers}
	switch {
	case o.data != "":
		bo.Source, err = scan(ctx, o.data, 0, cfg.Train.Seed)
	case o.mode == train.BenchData:
		cfg.Model.Classes = 0 // any net's pictures can be made from these
		bo.Source, err = data.DemoSource(data.DemoOptions{})
	}
	if err != nil {
		return err
	}
	if bo.Source != nil {
		defer done(bo.Source)
	}
	if o.mode != train.BenchData {
		if bo.Devices, err = o.device.open(t); err != nil {
			return err
		}
		defer closeDevices(bo.Devices)
		if err := computes(bo.Devices, cfg); err != nil {
			return err
		}
	}
	bar := newProgress(t)
	bo.Progress = func(done, total int) {
		bar.update(status{label: "measuring", done: int64(done), all: int64(total), left: int64(total - done), loss: -1, stall: -1})
	}
	r, err := train.Bench(ctx, bo)
	bar.clear()
	if err != nil {
		return err
	}
	out := benchResult{name, r, memoryOf(r.Memory)}
	return t.result(out, func(w *bytes.Buffer) { printBench(w, out, t.outWidth) })
}

func printBench(w *bytes.Buffer, r benchResult, width int) {
	where := ""
	if len(r.Devices) > 0 {
		where = fmt.Sprintf(" on %s, %s", strings.Join(r.Devices, " and "), r.Precision)
	}
	kind := "medians"
	if r.Mode == train.BenchData {
		kind = "means"
	}
	fmt.Fprintf(w, "%s %s, batches of %d%s: %s, %.4g ms a step (%s of %s)\n", r.Mode, r.Config, r.Batch, where,
		speed(r.ImagesPerSecond), r.MillisecondsPerStep, kind, counted(r.Steps, "step"))
	if r.Data != "synthetic" {
		fmt.Fprintf(w, "pictures: %s, %s of the time spent waiting for them\n", r.Data, percent(r.DataStall))
	}
	for _, m := range r.Memory {
		fmt.Fprintln(w, memoryLine(m))
	}
	if len(r.Layers) > 0 {
		printLayers(w, r, width)
	}
}

// printLayers writes a row a layer.
func printLayers(w *bytes.Buffer, r benchResult, width int) {
	fmt.Fprintf(w, "\nlayer by layer, %s a step with its waits\n", milliseconds(r.LayersStepMS)+" ms")
	tab := &table{columns: []column{
		{head: "layer"},
		{head: "kind", drop: 3},
		{head: "forward ms", right: true},
		{head: "GFLOP/s", right: true, drop: 2},
		{head: "backward ms", right: true},
		{head: "GFLOP/s", right: true, drop: 1},
		{head: "share", right: true},
	}}
	var forward, backward float64
	for _, l := range r.Layers {
		back := ""
		if l.BackwardMS > 0 {
			back = milliseconds(l.BackwardMS)
		}
		tab.add(l.Name, l.Kind, milliseconds(l.ForwardMS), gflops(l.GFLOPSForward), back, gflops(l.GFLOPSBackward), percent(l.Share))
		forward, backward = forward+l.ForwardMS, backward+l.BackwardMS
	}
	back := ""
	if backward > 0 {
		back = milliseconds(backward)
	}
	tab.add("sum", "", milliseconds(forward), "", back, "", "")
	tab.write(w, width)
}

// milliseconds shows microseconds.
func milliseconds(ms float64) string { return strconv.FormatFloat(ms, 'f', 3, 64) }

func gflops(f float64) string {
	if f == 0 {
		return ""
	}
	return strconv.FormatFloat(f, 'f', 1, 64)
}
