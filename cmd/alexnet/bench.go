package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
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
are medians over the steps; of reading alone, means, for there batches become ready in bursts.`,
		Example: `  alexnet bench
  alexnet bench --mode infer --batch 1 --steps 50
  alexnet bench --mode data --data imagenet --config alexnet
  alexnet bench --config demo --device cpu,cpu --json | jq .images_per_second`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			help := c.CommandPath() + " --help"
			if !slices.Contains(benchModes, o.mode) {
				return usageError(help, "--mode %s: want train, infer or data", o.mode)
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
	bo := train.BenchOptions{Config: cfg, Mode: o.mode, Steps: o.steps, Warmup: o.warmup}
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
	return t.result(out, func(w *bytes.Buffer) { printBench(w, out) })
}

func printBench(w *bytes.Buffer, r benchResult) {
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
}
