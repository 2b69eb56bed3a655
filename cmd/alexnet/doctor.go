package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/cpu"
	"alexnet/internal/data/picture"
	"alexnet/internal/device"
	"alexnet/internal/gpu"
	"alexnet/internal/machine"
	"alexnet/internal/reference"
	"alexnet/internal/selftest"
	"alexnet/internal/step"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// doctorOptions are what doctor was asked to look at.
type doctorOptions struct {
	device    deviceOptions
	net       netOptions // with --gradients
	gradients string
}

// doctorResult is the document of doctor --json.
type doctorResult struct {
	Program    programFacts     `json:"program"`
	Machine    machine.Facts    `json:"machine"`
	OneDNN     oneDNNFacts      `json:"onednn"`
	Threads    *threadFacts     `json:"cpu_threads,omitempty"` // of device cpu
	JPEG       string           `json:"jpeg"`
	GPU        string           `json:"gpu"` // what there is, or why none can be used
	GPUs       *gpu.Facts       `json:"gpus,omitempty"`
	Precisions []precisionFacts `json:"precisions"`
	Checks     []selftest.Check `json:"checks"`
	Failed     int              `json:"failed"`
}

type programFacts struct {
	versionResult
	Tags string `json:"tags,omitempty"` // build tags
	CGO  bool   `json:"cgo"`
}

type oneDNNFacts struct {
	Found   bool   `json:"found"`
	Missing string `json:"missing,omitempty"` // why not
	Version string `json:"version,omitempty"` // as loaded
	File    string `json:"file,omitempty"`
	Headers string `json:"headers,omitempty"` // what the program was compiled for
	ISA     string `json:"isa,omitempty"`     // the most that it uses
}

// threadFacts tell how many threads device cpu has, and why not one for each core.
type threadFacts struct {
	Threads int    `json:"threads"`
	Cores   int    `json:"cores"` // that it may use
	Reason  string `json:"reason,omitempty"`
}

func threads() *threadFacts {
	n := cpu.Threads()
	if n == 0 {
		return nil
	}
	if fewer := cpu.FewerThreads(); fewer != nil {
		return &threadFacts{fewer.Threads, fewer.Cores, fewer.Reason}
	}
	return &threadFacts{Threads: n, Cores: n}
}

// precisionFacts tell whether a device computes in a precision.
type precisionFacts struct {
	Device    string `json:"device"`
	Precision string `json:"precision"`
	Missing   string `json:"missing,omitempty"` // why not; empty: it does
}

func newDoctorCommand(t *ui.Terminal) *cobra.Command {
	var o doctorOptions
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Report what this machine offers, and check that it computes right",
		Long: `Report what this machine offers: processor, libraries, memory. Then check each op, forward and back,
of each device and precision against the reference in float64: how far it is off (relative norm over
the whole tensor) beside what it may be off. The output is made for pasting into a report.

With --gradients it checks a net's gradients instead: the reference's backpropagation in float64
against central differences of the loss (h = 2^-17), for a sample of each tensor's numbers, and the
device's fp32 gradients against the float64 ones. The net trains on two pictures of noise, dropout
at work with a fixed mask. Its weights are not the page's but drawn so that every layer's output is
about as large as its input: small weights let gradients vanish below what differences can tell. A
number whose step switches a ReLU or the winner of a pooling window is passed over. The paper's net
takes a minute or two and 2.4 GiB, the small ones seconds.

Any failure: exit code 1.`,
		Example: `  alexnet doctor
  alexnet doctor --json > doctor.json
  alexnet doctor --gradients demo
  alexnet doctor --gradients alexnet --set model.conv4=off`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.device.check(c); err != nil {
				return err
			}
			switch {
			case o.gradients == "" && len(o.net.set) > 0:
				return usageError("alexnet doctor --gradients demo --set "+text.ShellWord(o.net.set[0]),
					"--set goes with --gradients")
			case o.gradients != "":
				return runGradients(c.Context(), o, t)
			}
			return runDoctor(c.Context(), o, t)
		},
	}
	o.device.addFlags(c)
	c.Flags().StringVar(&o.gradients, "gradients", "",
		"check the gradients of the net of this configuration, by `NAME` or file")
	c.Flags().StringArrayVar(&o.net.set, "set", nil, "override `KEY=VALUE` of that configuration (may be repeated)")
	return c
}

// selfTestMemory is what the checks of the ops map beyond what any command does: each opens devices of its own. With
// 280 MiB oneDNN crashed, 376 were enough.
const selfTestMemory = 352 << 20

func runDoctor(ctx context.Context, o doctorOptions, t *ui.Terminal) error {
	if o.device.gpus != "" { // --gpus is never ignored: it says what is missing
		devices, err := o.device.open(t)
		if err != nil {
			return err
		}
		closeDevices(devices)
	}
	r := &doctorResult{
		Program: program(), Machine: machine.Look(), OneDNN: oneDNN(), JPEG: picture.JPEGLibrary(),
	}
	r.lookAtGPUs()
	short := step.CheckStart(selfTestMemory) // then it tells the limits, and computes nothing
	if short == nil {
		r.Threads = threads()
		if err := r.selfTest(ctx, append(backendsOf(&o.device), gpuBackends(&o.device, r.GPUs)...)); err != nil {
			return err
		}
	}
	if err := t.Result(r, func(w *bytes.Buffer) { printDoctor(w, r, t.OutWidth) }); err != nil {
		return err
	}
	return cmp.Or(short, r.verdict())
}

func (r *doctorResult) verdict() error {
	if r.Failed == 0 {
		return nil
	}
	var next []string
	for _, c := range r.Checks {
		without := "--device reference computes without oneDNN"
		if strings.HasPrefix(c.Device, "cuda:") {
			without = "without --gpus the program computes on the CPU"
		}
		if !c.Pass && !slices.Contains(next, without) {
			next = append(next, without)
		}
	}
	return advise(exitFailed, "report it with this output; "+strings.Join(next, "; "),
		fmt.Errorf("%s failed", text.Count(r.Failed, "check")))
}

func program() programFacts {
	p := programFacts{versionResult: versionFacts()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "-tags":
				p.Tags = s.Value
			case "CGO_ENABLED":
				p.CGO = s.Value == "1"
			}
		}
	}
	return p
}

func oneDNN() oneDNNFacts {
	f := oneDNNFacts{Headers: cpu.Headers()}
	if missing := cpu.Available(); missing != nil {
		f.Missing = withNext(missing.Error(), missing)
		return f
	}
	f.Found, f.Version, f.File = true, cpu.Version(), machine.Loaded("libdnnl")
	f.ISA = cpu.ISA()
	return f
}

// backendsOf are those that --device names; without it all there are.
func backendsOf(o *deviceOptions) []selftest.Backend {
	kind, _, _ := o.kind() // check has seen to errors
	var all []selftest.Backend
	if o.gpus != "" {
		return nil
	}
	if cpu.Available() == nil && (o.device == "" || kind == "cpu") {
		all = append(all, selftest.Backend{Name: "cpu", Int8: true, Open: cpu.Open})
	}
	if o.device == "" || kind == "reference" || len(all) == 0 {
		all = append(all, selftest.Backend{
			Name: "reference", Int8: true, Open: func(n int) ([]device.Device, error) { return reference.Open(n), nil },
		})
	}
	return all
}

// selfTest checks every backend in every precision that it computes in.
func (r *doctorResult) selfTest(ctx context.Context, backends []selftest.Backend) error {
	for _, b := range backends {
		for _, p := range []device.Precision{device.FP32, device.TF32, device.BF16} {
			if err := ctx.Err(); err != nil {
				return err
			}
			missing, err := supports(b, p)
			if err != nil {
				return err
			}
			fact := precisionFacts{Device: b.Name, Precision: p.String()}
			if missing != nil {
				fact.Missing = strings.TrimPrefix(missing.Error(), b.Name+": ")
			}
			r.Precisions = append(r.Precisions, fact)
			if missing != nil {
				continue
			}
			checks, err := selftest.Ops(b, p, reference.Open64())
			if err != nil {
				return err
			}
			r.Checks = append(r.Checks, checks...)
		}
	}
	for _, c := range r.Checks {
		if !c.Pass {
			r.Failed++
		}
	}
	return nil
}

// supports gives why a backend lacks a precision.
func supports(b selftest.Backend, p device.Precision) (missing, err error) {
	devices, err := b.Open(1)
	if err != nil {
		return nil, err
	}
	defer closeDevices(devices)
	return device.Supports(devices[0], p), nil
}

func printDoctor(w *bytes.Buffer, r *doctorResult, width int) {
	facts := &ui.Table{Columns: []ui.Column{{}, {}}}
	for _, f := range r.facts() {
		facts.Add(f[0], f[1])
	}
	facts.Write(w, 0) // never shortened: it is to be pasted
	if len(r.Checks) == 0 {
		return
	}
	w.WriteString("\n")
	printChecks(w, r.Checks, width)
	fmt.Fprintf(w, "\n%s of one op each, on equal inputs, against the reference in float64: %d failed\n",
		text.Count(len(r.Checks), "check"), r.Failed)
}

// facts are the lines about program and machine.
func (r *doctorResult) facts() [][2]string {
	p, m := r.Program, r.Machine
	lines := [][2]string{{"program", p.line()}, {"system", listed(m.Platform, m.System, labelled("kernel", m.Kernel))}}
	if m.CPU != "" {
		lines = append(lines, [2]string{"processor", m.CPU})
	}
	lines = append(lines, [2]string{"cores", coresLine(m.Cores, r.Threads)})
	if len(m.Features) > 0 {
		lines = append(lines, [2]string{"instructions", featuresLine(m.Features)})
	}
	lines = append(lines, [2]string{"oneDNN", r.OneDNN.line()}, [2]string{"JPEG", jpegLine(r.JPEG)},
		[2]string{"GPU", r.GPU})
	lines = append(lines, gpuLines(r.GPUs)...)
	if m.Memory.Total > 0 {
		lines = append(lines, [2]string{"memory", memoryFacts(m.Memory)})
	}
	for _, d := range m.Disks {
		lines = append(lines, [2]string{
			"disk", fmt.Sprintf("%s free for the %s, %s", text.Bytes(d.Free), d.Use, d.Path),
		})
	}
	for _, f := range r.Precisions {
		answer := "yes"
		if f.Missing != "" {
			answer = "no: " + f.Missing
		}
		lines = append(lines, [2]string{f.Precision + " on " + f.Device, answer})
	}
	return lines
}

// jpegLine says what reads the forms that Go's decoder lacks.
func jpegLine(decoder string) string {
	if decoder == picture.Standard {
		return decoder + ", which lacks arithmetic coding and some sampling factors: " + installTurbo
	}
	return decoder
}

func (p *programFacts) line() string {
	tags := "no build tags"
	if p.Tags != "" {
		tags = "build tags " + p.Tags
	}
	cgo := "with cgo"
	if !p.CGO {
		cgo = "without cgo"
	}
	return listed("alexnet "+p.Version, labelled("commit", p.Revision), p.Go, tags, cgo)
}

func (f *oneDNNFacts) line() string {
	if !f.Found {
		return "none: " + f.Missing + "; the reference backend takes its place"
	}
	return listed(strings.TrimPrefix(f.Version, "oneDNN ")+labelled(" from", f.File),
		labelled("compiled for", f.Headers), labelled("uses at most", f.ISA))
}

func coresLine(c machine.Cores, t *threadFacts) string {
	limit := "not set"
	if c.OMPThreads != "" {
		limit = c.OMPThreads
	}
	line := fmt.Sprintf("%d of the machine's %d by affinity, GOMAXPROCS %d, OMP_NUM_THREADS %s", c.Affinity, c.Machine,
		c.GOMAXPROCS, limit)
	if t != nil {
		line += fmt.Sprintf("; device cpu uses %d", t.Threads)
		if t.Reason != "" {
			line += fmt.Sprintf(" of %d: %s", t.Cores, t.Reason)
		}
	}
	return line
}

func featuresLine(features map[string]bool) string {
	var have, lack []string
	for _, name := range slices.Sorted(maps.Keys(features)) {
		if features[name] {
			have = append(have, name)
		} else {
			lack = append(lack, name)
		}
	}
	line := strings.Join(have, ", ")
	if len(lack) > 0 {
		line = listed(line, "without "+strings.Join(lack, ", "))
	}
	return line
}

func memoryFacts(m machine.Memory) string {
	line := fmt.Sprintf("%s, %s available", text.Bytes(m.Total), text.Bytes(m.Available))
	if m.Limit > 0 {
		line += fmt.Sprintf("; this process's group may use %s and uses %s", text.Bytes(m.Limit),
			text.Bytes(m.Used))
	}
	for _, l := range m.Limits {
		if l.Of != machine.Resident {
			line += fmt.Sprintf("; %s allows %s, %s are in use", l.From, text.Bytes(l.Bytes), text.Bytes(l.Used))
		}
	}
	return line
}

// printChecks writes a line an op.
func printChecks(w *bytes.Buffer, checks []selftest.Check, width int) {
	tab := &ui.Table{Columns: []ui.Column{
		{Head: "op"},
		{Head: "device"},
		{Head: "precision"},
		{Head: "forward", Right: true, Drop: 3},
		{Head: "gate", Right: true, Drop: 4},
		{Head: "gradient", Right: true, Drop: 3},
		{Head: "gate", Right: true, Drop: 4},
		{Head: ""},
	}}
	var notes []string
	for _, c := range checks {
		verdict := "ok"
		if !c.Pass {
			verdict = "FAILED"
		}
		f, fg := deviationCells(c.Forward)
		g, gg := deviationCells(c.Gradient)
		tab.Add(c.Op, c.Device, c.Precision, f, fg, g, gg, verdict)
		if c.Error != "" {
			notes = append(notes, fmt.Sprintf("%s on %s, %s: %s", c.Op, c.Device, c.Precision, c.Error))
		}
	}
	tab.Write(w, width)
	for _, n := range notes {
		fmt.Fprintln(w, n)
	}
}

func deviationCells(d *selftest.Deviation) (relative, gate string) {
	if d == nil {
		return "", ""
	}
	return fmt.Sprintf("%.1e", d.Relative), fmt.Sprintf("%.0e", d.Gate)
}

// listed puts commas between the parts that are not empty.
func listed(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// labelled is "kernel 6.1", or nothing.
func labelled(label, value string) string {
	if value == "" {
		return ""
	}
	return label + " " + value
}
