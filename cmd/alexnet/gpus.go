package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/device"
	"alexnet/internal/gpu"
	"alexnet/internal/selftest"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// allGPUs is --gpus all.
const allGPUs = "all"

// gpuNumbers reads --gpus; nil for all, and where it is not given.
func gpuNumbers(typed string) ([]int, error) {
	if typed == "" || typed == allGPUs {
		return nil, nil
	}
	var numbers []int
	for _, word := range strings.Split(typed, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("--gpus %s: %q is not a GPU number; want numbers from 0 on, as in 0,1, or all",
				typed, word)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// gpuNames is what a checkpoint calls GPUs: cuda:0,cuda:1. gpusOf is the way back, to what --gpus takes.
func gpuNames(numbers []int) string {
	names := make([]string, len(numbers))
	for i, n := range numbers {
		names[i] = fmt.Sprintf("cuda:%d", n)
	}
	return strings.Join(names, ",")
}

func gpusOf(names string) (numbers string, ok bool) {
	var all []string
	for _, name := range strings.Split(names, ",") {
		n, cuda := strings.CutPrefix(name, "cuda:")
		if !cuda {
			return "", false
		}
		all = append(all, n)
	}
	return strings.Join(all, ","), true
}

// openGPUs opens what --gpus names.
func (o *deviceOptions) openGPUs(t *ui.Terminal) ([]device.Device, string, error) {
	numbers, err := gpuNumbers(o.gpus)
	if err != nil {
		return nil, "", usageError("", "%v", err)
	}
	if err := gpu.Available(); err != nil {
		return nil, "", &noGPU{o.gpus, err}
	}
	if numbers, err = chooseGPUs(numbers, gpu.Count(), t.Note); err != nil {
		return nil, "", advise(exitNoGPU, "alexnet doctor shows the GPUs", fmt.Errorf("--gpus %s: %w", o.gpus, err))
	}
	if o.choice.Graphs && len(numbers) > 1 {
		return nil, "", usageError("omit --graphs, or --gpus 0",
			"--gpus %s --graphs: a CUDA graph holds the step of one device, these are two", o.gpus)
	}
	choice := o.choice
	choice.Note = func(line string) { t.Warn("%s", line) }
	devices, err := gpu.Open(numbers, choice)
	if err != nil {
		return nil, "", &noGPU{o.gpus, err}
	}
	return devices, gpuNames(numbers), nil
}

// noGPU is that what --gpus names cannot be opened.
type noGPU struct {
	named string
	err   error
}

func (e *noGPU) Error() string { return "--gpus " + e.named + ": " + e.err.Error() }
func (e *noGPU) Unwrap() error { return e.err }

// chooseGPUs settles which of the GPUs present are used; nil names all.
func chooseGPUs(numbers []int, present int, note func(string, ...any)) ([]int, error) {
	if numbers == nil {
		for n := range min(present, 2) {
			numbers = append(numbers, n)
		}
		if present > 2 {
			note("%d GPUs are present; a net has two columns, so it trains on 0 and 1", present)
		}
	}
	if present == 1 && len(numbers) == 2 && numbers[0] == 0 && numbers[1] == 1 {
		note("one GPU is present: both columns are on it")
		return numbers[:1], nil
	}
	if len(numbers) > 2 {
		return nil, tooMany(numbers)
	}
	for _, n := range numbers {
		if n >= present {
			have := fmt.Sprintf("there are %d, numbers 0 to %d", present, present-1)
			if present == 1 {
				have = "there is one, number 0"
			}
			return nil, fmt.Errorf("no GPU has number %d: %s (CUDA_VISIBLE_DEVICES may hide others)", n, have)
		}
	}
	return numbers, nil
}

// tooMany says what more than two GPUs would be for.
func tooMany(numbers []int) error {
	times := map[int]int{}
	for _, n := range numbers {
		if times[n]++; times[n] > 2 {
			return fmt.Errorf("GPU %d is named %d times: a net has two columns, so a GPU holds two devices at most", n,
				times[n])
		}
	}
	return fmt.Errorf("%d GPUs are named: a net has two columns, so it trains on one GPU or on two; "+
		"further pairs would train replicas of it side by side on parts of each batch, which this version does not do",
		len(numbers))
}

// lookAtGPUs notes what GPUs there are, or why there are none.
func (r *doctorResult) lookAtGPUs() {
	facts, err := gpu.Look()
	if err != nil {
		r.GPU = "none: " + withNext(gpu.Reason(err), err)
		return
	}
	for i, g := range facts.GPUs {
		facts.GPUs[i].Missing = withNext(g.Missing, g.Err)
	}
	r.GPUs, r.GPU = facts, r.gpuLine(facts)
}

func (r *doctorResult) gpuLine(f *gpu.Facts) string {
	return listed(text.Count(len(f.GPUs), "GPU"), "driver"+labelled("", r.Machine.NVIDIA)+" for CUDA "+f.Driver,
		"cuDNN "+f.CUDNN, labelled("cuBLAS", f.CUBLAS), labelled("kernels as", f.Kernels))
}

// gpuLines tell of each GPU, and of the ways between them.
func gpuLines(f *gpu.Facts) (lines [][2]string) {
	if f == nil {
		return nil
	}
	for _, g := range f.GPUs {
		free, missing := text.Bytes(g.Free)+" free", ""
		if g.Missing != "" {
			free, missing = "", "cannot be used: "+g.Missing
		}
		lines = append(lines, [2]string{fmt.Sprintf("cuda:%d", g.Ordinal), listed(g.Name, text.Bytes(g.Memory), free,
			"compute capability "+g.Capability, text.Count(g.Processors, "multiprocessor"), "PCI "+g.PCI, missing)})
	}
	for _, p := range f.Paths {
		how := "peer to peer"
		if !p.Peer {
			how = "through the host"
		}
		lines = append(lines, [2]string{
			fmt.Sprintf("cuda:%d to cuda:%d", p.From, p.To), listed(how, text.Bytes(int64(p.BytesPerSecond))+"/s",
				p.Note),
		})
	}
	return lines
}

// gpuBackends are the GPUs to check: those that --gpus names, without it and --device all that can be used. Two devices
// are a GPU and the next, or two on one.
func gpuBackends(o *deviceOptions, f *gpu.Facts) (all []selftest.Backend) {
	if f == nil || o.device != "" {
		return nil
	}
	named, _ := gpuNumbers(o.gpus) // check has seen to errors
	if named == nil {
		for _, g := range f.GPUs {
			if g.Missing == "" {
				named = append(named, g.Ordinal)
			}
		}
	}
	for i, n := range named {
		if slices.Contains(named[:i], n) || n >= len(f.GPUs) {
			continue
		}
		pair := []int{n, named[(i+1)%len(named)]}
		all = append(all, selftest.Backend{
			Name: gpuNames(pair[:1]), Pair: gpuNames(pair),
			Open: func(count int) ([]device.Device, error) { return gpu.Open(pair[:count], o.choice) },
		})
	}
	return all
}
