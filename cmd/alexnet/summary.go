package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/bench"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// summaryOptions are what summary was asked to do.
type summaryOptions struct {
	net     netOptions
	device  deviceOptions
	measure bool
}

// summaryResult is the document of summary --json: the net on the chosen devices, and where that is one device but the
// net has several columns, what would cross between devices if each column had its own.
type summaryResult struct {
	Config text.Raw `json:"config"`
	model.Summary
	Split    *splitResult    `json:"one_column_a_device,omitempty"`
	Way      string          `json:"exchange_way,omitempty"` // between GPUs: see report.Metrics
	Measured *measuredResult `json:"measured,omitempty"`
}

// measuredResult is the speed of training, and what follows from it for the paper's training; that is left out for nets
// that see pictures of another size, which ImageNet's would have to be cut to.
type measuredResult struct {
	ImagesPerSecond float64 `json:"images_per_second"`
	ExchangeMS      float64 `json:"exchange_milliseconds_per_step,omitempty"`
	Steps           int     `json:"steps"`
	Epochs          int     `json:"imagenet_epochs,omitempty"`
	Pictures        int     `json:"imagenet_pictures,omitempty"`
	Days            float64 `json:"imagenet_days,omitempty"`
}

// The paper trained for roughly 90 cycles; ILSVRC-2012 has 1,281,167 training pictures.
const (
	imagenetEpochs   = 90
	imagenetPictures = 1281167
)

type splitResult struct {
	Devices      int                 `json:"devices"`
	Exchange     []model.ExchangeRow `json:"exchange"`
	BytesPerStep int64               `json:"exchange_bytes_per_step"`
}

func newSummaryCommand(t *ui.Terminal) *cobra.Command {
	var o summaryOptions
	c := &cobra.Command{
		Use:   "summary",
		Short: "Show a net's layers, parameters, memory and exchange",
		Long: `Show a net's layers with shapes, parameters and forward multiply-adds a picture, the memory that
training takes on each device, and what crosses between devices when each column has its own.
Nothing is allocated, nothing is read. A net whose classes follow the data is shown with 1000.

--measure takes four training steps on the chosen devices, as alexnet bench does, with all the
memory and time that they want, and reports how long the paper's training would last at that speed,
for nets that see as much of a picture as the paper's (224 or 227 pixels).`,
		Example: `  alexnet summary
  alexnet summary --config alexnet-merged
  alexnet summary --device cpu,cpu --batch 64
  alexnet summary --measure
  alexnet summary --set model.conv4=off --json | jq .parameters`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.device.check(c); err != nil {
				return err
			}
			if err := o.net.check(c, &o.device); err != nil {
				return err
			}
			return runSummary(c.Context(), o, t)
		},
	}
	o.net.addFlags(c)
	o.net.addBatch(c)
	o.device.addFlags(c)
	c.Flags().BoolVar(&o.measure, "measure", false,
		"take some training steps and report how long the paper's training would last")
	return c
}

func runSummary(ctx context.Context, o summaryOptions, t *ui.Terminal) error {
	cfg, err := o.net.load(ctx, "alexnet")
	if err != nil {
		return err
	}
	devices, err := o.device.open(t)
	if err != nil {
		return err
	}
	defer closeDevices(devices)
	if err := checkPrecision(devices, cfg); err != nil {
		return err
	}
	r, err := summaryOf(cfg, devices)
	if err != nil {
		return err
	}
	if r.Config = text.Raw(o.net.config); r.Config == "" {
		r.Config = "alexnet"
	}
	if o.measure {
		if r.Measured, err = measure(ctx, cfg, devices, t); err != nil {
			return err
		}
	}
	return t.Result(r, func(w *bytes.Buffer) { printSummary(w, r, t.OutWidth) })
}

// measure takes training steps.
func measure(
	ctx context.Context, cfg *config.Config, devices []device.Device, t *ui.Terminal,
) (*measuredResult, error) {
	bar := ui.NewProgress(t)
	b, err := bench.Run(ctx, bench.Options{
		Config: cfg, Devices: devices, Mode: bench.Train, Steps: 3, Warmup: 1, Progress: bar.Counter("measuring"),
	})
	bar.Clear()
	if err != nil {
		return nil, err
	}
	m := &measuredResult{ImagesPerSecond: b.ImagesPerSecond, ExchangeMS: b.ExchangeMS, Steps: b.Steps}
	if size := cfg.Model.Input.Size; size == 224 || size == 227 {
		m.Epochs, m.Pictures = imagenetEpochs, imagenetPictures
		m.Days = imagenetEpochs * imagenetPictures / b.ImagesPerSecond / (24 * 60 * 60)
	}
	return m, nil
}

func summaryOf(cfg *config.Config, devices []device.Device) (*summaryResult, error) {
	arch, err := model.Of(cfg, 0)
	if err != nil {
		return nil, err
	}
	if err := arch.CheckDevices(len(devices)); err != nil {
		return nil, err
	}
	memory, way, err := planMemory(arch, cfg, devices)
	if err != nil {
		return nil, err
	}
	return summaryWith(arch, cfg, devices, memory, way)
}

// summaryWith is the summary of a net whose memory is known, and how what crosses between devices gets there.
func summaryWith(
	arch *model.Arch, cfg *config.Config, devices []device.Device, memory []device.MemoryPlan, way string,
) (*summaryResult, error) {
	s, err := arch.Summary(len(devices), cfg.Train.Batch)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(devices))
	for i, d := range devices {
		names[i] = d.Name()
	}
	s.Opened(names, memory)
	r := &summaryResult{Summary: s, Way: way}
	if len(devices) == 1 && arch.Columns > 1 {
		split, err := arch.Summary(arch.Columns, cfg.Train.Batch)
		if err != nil {
			return nil, err
		}
		r.Split = &splitResult{arch.Columns, split.Exchange, split.BytesPerStep}
	}
	return r, nil
}

// planMemory compiles the training net, which allocates nothing, and asks it what memory it takes and how what crosses
// gets there.
func planMemory(arch *model.Arch, cfg *config.Config, devices []device.Device) (memory []device.MemoryPlan, way string,
	err error,
) {
	m, err := model.Open(arch, devices)
	if err != nil {
		return nil, "", err
	}
	defer closeQuietly(m)
	r := recipe.New(cfg).Sized()
	r.Mean = make([]float32, r.Pixels()) // as large as it can be
	precision, err := device.ParsePrecision(cfg.Train.Precision)
	if err != nil {
		return nil, "", err
	}
	net, err := m.Compile(model.Options{
		Rows: cfg.Train.Batch, Train: true, Precision: precision, Input: r, Slots: data.SlotCount,
	})
	if err != nil {
		return nil, "", err
	}
	defer closeQuietly(net)
	for _, x := range net.Exchange() {
		way = x.Way
	}
	return net.Memory(), way, nil
}

func printSummary(w *bytes.Buffer, r *summaryResult, width int) {
	fmt.Fprintf(w, "%s: %s, %s\n\n", text.Name(r.Config), text.Count(r.Columns, "column"), text.Classes(r.Classes))
	layers := &ui.Table{Columns: []ui.Column{
		{Head: "layer"},
		{Head: "kind", Drop: 3},
		{Head: "inputs", Drop: 2},
		{Head: "output"},
		{Head: "parameters", Right: true},
		{Head: "multiply-adds", Right: true, Drop: 1},
	}}
	for i, l := range r.Layers {
		layers.Add(l.Name, l.Kind, inputsOf(r, i), fmt.Sprintf("%dx%dx%d", l.Output[0], l.Output[1], l.Output[2]),
			omitZero(l.Parameters), omitZero(l.MultiplyAdds))
	}
	layers.Add("total", "", "", "", text.Grouped(r.Parameters), text.Grouped(r.MultiplyAdds))
	layers.Write(w, width)
	fmt.Fprintf(w,
		"\n%s parameters, %.3f G multiply-adds a picture (forward), %s neurons (outputs of conv and fc layers)\n",
		text.Grouped(r.Parameters), float64(r.MultiplyAdds)/1e9, text.Grouped(r.Neurons))
	printMeasured(w, r)
	printMemory(w, r, width)
	if r.Split != nil {
		printExchange(w, r.Split.Exchange, r.Batch, width,
			fmt.Sprintf("between devices, if each of the %d columns had its own (here both are on %s: nothing crosses)",
				r.Columns, r.Devices[0].Name))
	} else if len(r.Devices) > 1 {
		printExchange(w, r.Exchange, r.Batch, width, "between devices"+ways[r.Way])
		if m := r.Measured; m != nil {
			fmt.Fprintf(w, "copying them took %.2f ms a step\n", m.ExchangeMS)
		}
	}
}

// ways are how bytes get from GPU to GPU, in words; other devices share a memory.
var ways = map[string]string{
	"peer":     ", from GPU to GPU",
	"staged":   ", through the host's memory",
	"same GPU": ", inside of one GPU",
}

func printMeasured(w *bytes.Buffer, r *summaryResult) {
	m := r.Measured
	if m == nil {
		return
	}
	names := make([]string, len(r.Devices))
	for i, d := range r.Devices {
		names[i] = d.Name
	}
	where := fmt.Sprintf("measured on %s, median of %s of %s", strings.Join(names, " and "),
		text.Count(m.Steps, "step"), text.Count(r.Batch, "picture"))
	if m.Days == 0 {
		fmt.Fprintf(w, "training: %s, %s\n", text.Speed(m.ImagesPerSecond), where)
		return
	}
	fmt.Fprintf(w, "%d epochs of ImageNet (%s pictures, ILSVRC-2012): %s days at %s, %s\n", m.Epochs,
		text.Grouped(int64(m.Pictures)), strconv.FormatFloat(m.Days, 'f', 1, 64), text.Speed(m.ImagesPerSecond), where)
}

// inputsOf shows the exchange in the table: which layers read the other column. The first layer with weights reads the
// picture.
func inputsOf(r *summaryResult, i int) string {
	switch l := r.Layers[i]; {
	case r.Columns == 1 || l.Inputs == "":
		return ""
	case l.Inputs == string(config.Both):
		return "both columns"
	case !slices.ContainsFunc(r.Layers[:i], func(l model.LayerSummary) bool { return l.Inputs != "" }):
		return "picture"
	}
	return "own column"
}

// omitZero is n as tables show it, nothing where it is 0.
func omitZero(n int64) string {
	if n == 0 {
		return ""
	}
	return text.Grouped(n)
}

func printMemory(w *bytes.Buffer, r *summaryResult, width int) {
	fmt.Fprintf(w, "\nmemory for training with batches of %d\n", r.Batch)
	tab := &ui.Table{Columns: []ui.Column{{Head: "purpose"}}}
	var purposes []string
	bytes := map[string][]int64{}
	for d, dev := range r.Devices {
		tab.Columns = append(tab.Columns, ui.Column{Head: dev.Name, Right: true})
		for _, m := range dev.Memory {
			if bytes[m.Purpose] == nil {
				purposes = append(purposes, m.Purpose)
				bytes[m.Purpose] = make([]int64, len(r.Devices))
			}
			bytes[m.Purpose][d] += m.Bytes
		}
	}
	for _, p := range purposes {
		row := []string{p}
		for _, n := range bytes[p] {
			row = append(row, text.Bytes(n))
		}
		tab.Add(row...)
	}
	sum := []string{"total"}
	for _, dev := range r.Devices {
		sum = append(sum, text.Bytes(dev.MemoryTotal))
	}
	tab.Add(sum...)
	tab.Write(w, width)
}

func printExchange(w *bytes.Buffer, rows []model.ExchangeRow, batch, width int, title string) {
	fmt.Fprintf(w, "\nbytes that cross %s\n", title)
	tab := &ui.Table{Columns: []ui.Column{
		{Head: "value"},
		{Head: "read by", Drop: 1},
		{Head: "a picture", Right: true},
		{Head: fmt.Sprintf("a batch of %d", batch), Right: true},
	}}
	var picture, all, pictureBack, allBack int64
	for _, row := range rows {
		tab.Add(row.Value, row.Reader, text.Grouped(row.PerPicture), text.Grouped(row.PerBatch))
		picture, all = picture+row.PerPicture, all+row.PerBatch
		if row.Returns {
			pictureBack, allBack = pictureBack+row.PerPicture, allBack+row.PerBatch
		}
	}
	tab.Add("forward", "", text.Grouped(picture), text.Grouped(all))
	tab.Add("backward", "", text.Grouped(pictureBack), text.Grouped(allBack))
	tab.Add("a step", "", text.Grouped(picture+pictureBack), text.Grouped(all+allBack))
	tab.Write(w, width)
}

// deviceMemory is a device in the documents of train and bench.
type deviceMemory struct {
	Name   string                `json:"name"`
	Memory []model.MemorySummary `json:"memory"`
	Total  int64                 `json:"memory_total"`
}

// memoryLine is one line about a device's memory; summary tells what it is for.
func memoryLine(d deviceMemory) string {
	return fmt.Sprintf("memory on %s: %s", d.Name, text.Bytes(d.Total))
}
