package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/bench"
	"alexnet/internal/data/demo"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// benchOptions are what bench was asked to do.
type benchOptions struct {
	net           netOptions
	device        deviceOptions
	data          dataOption
	mode          string
	steps, warmup int
	layers        bool
}

// benchResult is the document of bench --json.
type benchResult struct {
	Config text.Raw `json:"config"`
	*bench.Result
	Memory []deviceMemory `json:"memory,omitempty"`
}

var benchModes = []string{bench.Train, bench.Infer, bench.Data}

func newBenchCommand(t *ui.Terminal) *cobra.Command {
	var o benchOptions
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure images per second",
		Long: `Measure speed: of training (the same step as alexnet train takes: dropout, checks, update and all),
of inference, or of reading pictures without a net. Without --data pictures are made up in memory,
so that only the net counts; --mode data then reads the generated pictures. Numbers are medians over
the steps; for --mode data means, because batches become ready in bursts. Where all pictures are
JPEGs of just the size of data.resize, --mode data also says how fast libjpeg-turbo decodes them from
memory on as many threads, in turn with the loader: no loader does more than that.

--layers measures as many steps again, layer by layer, with a wait after each: waiting adds to every
row, so their sum is larger than the step. On two devices a row lasts until both are done. Layers
that a device computes in one go share a row, as normalisation and the pooling after it do on the
CPU. A multiply-add counts as two operations; backward is the gradient of the data and that of the
weights, in the first layer only that of the weights.

On the CPU it first measures, for about a second, what the cores do at most: multiply-adds in
registers (bf16: dot products of pairs, or products of tiles), and triad, a = b + s c over arrays
larger than the cache, which counts as three arrays. FLOP/B is a layer's operations a byte, each
weight and value read or written once; peak is the share of the measured GFLOP/s, roof that of what
the layer could reach: the peak, or less where its bytes take longer. All convolutions are counted
as the direct algorithm, padding included: they may pass 100% where Winograd's does fewer
multiplications, or where kernels leave out those with the zeros of the padding. On two devices both
are of all cores, also where one of them rests.

With --int8 one picture at a time, or a few, is predicted faster, and from some 8 (bf16) or 16
(fp32) at once slower.`,
		Example: `  alexnet bench
  alexnet bench --mode infer --batch 1 --steps 50
  alexnet bench --mode infer --batch 1 --steps 50 --int8
  alexnet bench --layers --steps 5
  alexnet bench --mode data --data imagenet --config alexnet
  alexnet bench --config demo --device cpu,cpu --json | jq .images_per_second`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			help := c.CommandPath() + " --help"
			if !slices.Contains(benchModes, o.mode) {
				return usageError(help, "--mode %s: want train, infer or data", o.mode)
			}
			if o.layers && o.mode == bench.Data {
				return usageError(help, "--layers: reading pictures has no layers")
			}
			if o.device.int8 && o.mode != bench.Infer {
				return usageError("omit --int8, or measure predicting: --mode infer",
					"--int8 goes with --mode infer: int8 weights are only for predicting")
			}
			if o.mode == bench.Data {
				for _, name := range []string{"device", "gpus", "deterministic", "graphs"} {
					if c.Flags().Changed(name) {
						return usageError("omit --"+name+": only the processor reads pictures",
							"--mode data goes without --%s", name)
					}
				}
			}
			if o.steps < 1 || o.warmup < 0 {
				return usageError(help, "--steps: want at least 1, --warmup: at least 0")
			}
			if err := cmp.Or(o.device.check(c), o.data.check(c)); err != nil {
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
	o.device.addInt8(c)
	o.device.addChoices(c)
	f := c.Flags()
	f.StringVar(&o.mode, "mode", bench.Train, "what to measure, as `MODE`: train, infer or data")
	o.data.addFlag(c, "pictures", "made up in memory")
	f.IntVar(&o.steps, "steps", 10, "`N` steps to measure")
	f.BoolVar(&o.layers, "layers", false, "time of each layer, forward and back, too")
	f.IntVar(&o.warmup, "warmup", 2, "`N` steps before that")
	return c
}

func runBench(ctx context.Context, o benchOptions, t *ui.Terminal) error {
	name := o.net.config
	if name == "" {
		name = "alexnet"
	}
	cfg, err := o.net.load(ctx, "alexnet")
	if err != nil {
		return err
	}
	bo := bench.Options{
		Config: cfg, Mode: o.mode, Steps: o.steps, Warmup: o.warmup, Layers: o.layers, Int8: o.device.int8,
	}
	switch {
	case o.data.given():
		bo.Source, err = listPictures(ctx, o.data.at, 0, cfg.Train.Seed, cfg.Data.Cache, t)
	case o.mode == bench.Data:
		cfg.Model.Classes = 0 // any net's pictures can be made from these
		bo.Source, err = demo.Open(demo.Options{})
	}
	if err != nil {
		return err
	}
	if bo.Source != nil {
		defer closeQuietly(bo.Source)
	}
	if o.mode != bench.Data {
		if bo.Devices, err = o.device.open(t); err != nil {
			return err
		}
		defer closeDevices(bo.Devices)
		if err := checkPrecision(bo.Devices, cfg); err != nil {
			return err
		}
	}
	bar := ui.NewProgress(t)
	bo.Progress = bar.Counter("measuring")
	if bo.Source != nil {
		bo.Source.SetPatience(patience(cfg.Data.Retry, bar))
	}
	r, err := bench.Run(ctx, bo)
	bar.Clear()
	if err != nil {
		return err
	}
	out := benchResult{text.Raw(name), r, memoryOf(r.Memory)}
	return t.Result(out, func(w *bytes.Buffer) { printBench(w, out, t.OutWidth) })
}

func printBench(w *bytes.Buffer, r benchResult, width int) {
	where := ""
	if len(r.Devices) > 0 {
		where = fmt.Sprintf(" on %s, %s", strings.Join(r.Devices, " and "), r.Precision)
		if r.Int8 {
			where += " with int8 weights"
		}
	}
	kind := "medians"
	if r.Mode == bench.Data {
		kind = "means"
	}
	fmt.Fprintf(w, "%s %s, batches of %d%s: %s, %.4g ms a step (%s of %s)\n", r.Mode, text.Name(r.Config), r.Batch,
		where, text.Speed(r.ImagesPerSecond), r.MillisecondsPerStep, kind, text.Count(r.Steps, "step"))
	if r.Data != "synthetic" {
		fmt.Fprintf(w, "pictures: %s, %s of the time spent waiting for them\n", text.Name(r.Data),
			text.Percent(r.DataStall))
	}
	if d := r.Decoding; d != nil {
		fmt.Fprintf(w, "decoding alone, by libjpeg-turbo from memory on %s: %s; the loader does %s of that "+
			"(median of %s in turn, %s to %s)\n", text.Count(d.Threads, "thread"), text.Speed(d.ImagesPerSecond),
			text.Percent(d.Share), text.Count(len(d.Shares), "round"), text.Percent(d.Shares[0]),
			text.Percent(d.Shares[len(d.Shares)-1]))
	}
	for _, m := range r.Memory {
		fmt.Fprintln(w, memoryLine(m))
	}
	if len(r.Layers) > 0 {
		printLayers(w, r, width)
	}
}

// printLayers writes a row a layer, with what it could be at most where that was measured.
func printLayers(w *bytes.Buffer, r benchResult, width int) {
	fmt.Fprintf(w, "\nlayer by layer, %s a step with its waits\n", milliseconds(r.LayersStepMS)+" ms")
	limits := r.Roofline != nil
	tab := &ui.Table{
		Columns: append([]ui.Column{{Head: "layer"}, {Head: "kind", Drop: 5}},
			directionColumns("forward ms", limits, 2)...),
	}
	tab.Columns = append(tab.Columns, directionColumns("backward ms", limits, 1)...)
	tab.Columns = append(tab.Columns, ui.Column{Head: "share", Right: true})
	var forward, backward float64
	for _, l := range r.Layers {
		cells := append([]string{l.Name, l.Kind}, directionCells(l.ForwardMS, l.GFLOPSForward, l.Forward, limits)...)
		cells = append(cells, directionCells(l.BackwardMS, l.GFLOPSBackward, l.Backward, limits)...)
		tab.Add(append(cells, text.Percent(l.Share))...)
		forward, backward = forward+l.ForwardMS, backward+l.BackwardMS
	}
	cells := append([]string{"sum", ""}, directionCells(forward, 0, nil, limits)...)
	tab.Add(append(append(cells, directionCells(backward, 0, nil, limits)...), "")...)
	tab.Write(w, width)
	printRoofline(w, r)
}

// directionColumns are those of forward or backward; the limits go before GFLOP/s where the terminal is narrow,
// operations a byte first.
func directionColumns(head string, limits bool, drop int) []ui.Column {
	c := []ui.Column{{Head: head, Right: true}, {Head: "GFLOP/s", Right: true, Drop: drop + 2}}
	if limits {
		c = append(c, ui.Column{Head: "peak", Right: true, Drop: drop},
			ui.Column{Head: "FLOP/B", Right: true, Drop: drop + 6}, ui.Column{Head: "roof", Right: true, Drop: drop})
	}
	return c
}

func directionCells(ms, rate float64, roof *bench.Roof, limits bool) []string {
	cells := []string{"", gflops(rate)}
	if ms > 0 {
		cells[0] = milliseconds(ms)
	}
	if !limits {
		return cells
	}
	peak, intensity, share := "", "", ""
	if roof != nil {
		share = wholePercent(roof.AttainableShare)
		if rate > 0 {
			peak, intensity = wholePercent(roof.PeakShare), strconv.FormatFloat(roof.Intensity, 'f', 1, 64)
		}
	}
	return append(cells, peak, intensity, share)
}

// printRoofline sums up how near the step comes to what the processor does at most.
func printRoofline(w *bytes.Buffer, r benchResult) {
	if m := r.Moves; m != nil {
		fmt.Fprintf(w, "\na step moves without computing: %.3g copies between layouts, %.3g others; %s between ops, "+
			"%s of packed weights, %s exchanged, %s uploaded\n", m.Reorders, m.Copies, megabytes(m.BetweenOps),
			megabytes(m.PackedWeights), megabytes(m.Exchange), megabytes(m.Upload))
	}
	f := r.Roofline
	if f == nil {
		fmt.Fprintf(w, "\nno roofline: %s cannot be measured\n", strings.Join(r.Devices, " and "))
		return
	}
	fmt.Fprintf(w, "\nmeasured: %.0f GFLOP/s at most (%s, %s), %.1f GB/s (triad); the ridge is at %.1f FLOP a byte\n",
		f.PeakGFLOPS, r.Precision, f.Instructions, f.Bandwidth, f.Ridge)
	fmt.Fprintf(w, "the step: %.4g GFLOP at %.1f GFLOP/s, %s of the peak; with each row that is below its roof at "+
		"it, the sum would be %s ms\n", f.StepGFLOP, f.StepGFLOPS, text.Percent(f.StepPeakShare),
		milliseconds(f.LeastMS))
	if len(f.MemoryBound) > 0 {
		fmt.Fprintf(w, "bound by memory: %s\n", strings.Join(f.MemoryBound, ", "))
	}
	if names := beyondRoof(r.Layers); len(names) > 0 {
		fmt.Fprintf(w, "above 100%%: %s; counted is the direct algorithm with the zeros around a map: Winograd's "+
			"does fewer multiplications,\n"+
			"and kernels leave the zeros out; small values may still be in the cache\n", strings.Join(names, ", "))
	}
}

// beyondRoof names the layers that pass their roof.
func beyondRoof(rows []bench.LayerTime) []string {
	var names []string
	for _, l := range rows {
		for _, roof := range []*bench.Roof{l.Forward, l.Backward} {
			if roof != nil && roof.AttainableShare > 1 && !slices.Contains(names, l.Name) {
				names = append(names, l.Name)
			}
		}
	}
	return names
}

func wholePercent(f float64) string { return strconv.FormatFloat(100*f, 'f', 0, 64) + "%" }

func megabytes(n int64) string { return strconv.FormatFloat(1e-6*float64(n), 'f', 1, 64) + " MB" }

// milliseconds shows microseconds.
func milliseconds(ms float64) string { return strconv.FormatFloat(ms, 'f', 3, 64) }

func gflops(f float64) string {
	if f == 0 {
		return ""
	}
	return strconv.FormatFloat(f, 'f', 1, 64)
}
