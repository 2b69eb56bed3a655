package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/cpu"
	"alexnet/internal/device"
	"alexnet/internal/gpu"
	"alexnet/internal/reference"
	"alexnet/internal/step"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// deviceOptions are the flags that choose where to compute.
type deviceOptions struct {
	device, gpus, precision string
	int8                    bool
	choice                  gpu.Options // among algorithms of GPUs
}

func (o *deviceOptions) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.device, "device", "",
		"`NAMES`: cpu (default) or reference; two of them, as in cpu,cpu, hold a column each")
	f.StringVar(&o.gpus, "gpus", "", gpusHelp())
}

func gpusHelp() string {
	help := "`NUMBERS` of GPUs, as in 0,1, or all; two hold a column each, 0,0 both columns as two devices on one"
	if !gpu.Built {
		help += " (this build has no CUDA)"
	}
	return help
}

// addPrecision adds the flag of the commands that train; the others compute as the checkpoint's configuration says.
func (o *deviceOptions) addPrecision(c *cobra.Command) {
	c.Flags().StringVar(&o.precision, "precision", "",
		"`TYPE` that ops compute in: fp32, or bf16 where the processor has it, and on GPUs tf32 (train.precision)")
}

// addInt8 adds the flag of eval and bench. predict reads a checkpoint's weights once and uses them once, so it has
// nothing to gain.
func (o *deviceOptions) addInt8(c *cobra.Command) {
	c.Flags().BoolVar(&o.int8, "int8", false,
		"weights of fully connected layers as int8 with a scale a unit, on the CPU")
}

// addChoices adds the flags of training and measuring that choose among ways to the same result.
func (o *deviceOptions) addChoices(c *cobra.Command) {
	c.Flags().BoolVar(&o.choice.Deterministic, "deterministic", false,
		"on GPUs, take only algorithms that give the same bits from run to run (the other devices always do)")
	c.Flags().BoolVar(&o.choice.Graphs, "graphs", false, "on one GPU, capture a step as a CUDA graph and replay it")
}

// alternatives is "fp32, tf32 or bf16".
func alternatives(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// check refuses values that no machine understands.
func (o *deviceOptions) check(c *cobra.Command) error {
	help := c.CommandPath() + " --help"
	if _, err := device.ParsePrecision(o.precision); o.precision != "" && err != nil {
		return usageError(help, "--precision %s: want %s", o.precision, alternatives(device.PrecisionNames()))
	}
	if o.device != "" && o.gpus != "" {
		return usageError(help, "--device and --gpus exclude each other")
	}
	if _, _, err := o.kind(); err != nil {
		return usageError(help, "%v", err)
	}
	if o.int8 && o.gpus != "" {
		return usageError("omit --int8, or compute on the CPU: --device cpu", "--int8: GPUs have no int8 weights")
	}
	if resume := c.Flags().Lookup("resume"); resume == nil || !resume.Changed { // there the checkpoint may name GPUs
		if err := o.checkChoices(); err != nil {
			return err
		}
	}
	if _, err := gpuNumbers(o.gpus); err != nil {
		return usageError(help, "%v", err)
	}
	return nil
}

// checkChoices refuses choices among the ways of GPUs where there are none.
func (o *deviceOptions) checkChoices() error {
	switch {
	case o.gpus != "":
	case o.choice.Deterministic:
		return usageError("omit --deterministic: these devices give the same bits anyway",
			"--deterministic goes with --gpus")
	case o.choice.Graphs:
		return usageError("omit --graphs, or name a GPU: --gpus 0", "--graphs goes with --gpus")
	}
	return nil
}

// kind is what --device names, and how many of it.
func (o *deviceOptions) kind() (kind string, n int, err error) {
	if o.device == "" {
		return "cpu", 1, nil
	}
	if numbers, ok := gpusOf(o.device); ok { // as a checkpoint names them
		o.device, o.gpus = "", numbers
		return "", 0, nil
	}
	names := strings.Split(o.device, ",")
	for _, name := range names {
		if name != "cpu" && name != "reference" {
			message := fmt.Sprintf("--device %s: no device is called %q; there are cpu and reference", o.device, name)
			if looksLikeGPU(name) {
				return "", 0, errors.New(message + ", and GPUs by --gpus 0")
			}
			if near := text.Nearest(name, []string{"cpu", "reference"}); near != "" {
				message += fmt.Sprintf(" (did you mean %s?)", near)
			}
			return "", 0, errors.New(message)
		}
		if name != names[0] {
			return "", 0, fmt.Errorf("--device %s: devices of one kind only", o.device)
		}
	}
	if len(names) > 2 {
		return "", 0, fmt.Errorf("--device %s: one device or two, the net has two columns", o.device)
	}
	return names[0], len(names), nil
}

// looksLikeGPU tells how other programs name GPUs: gpu, cuda, cuda:1, 0.
func looksLikeGPU(name string) bool {
	name = strings.ToLower(name)
	_, err := strconv.Atoi(name)
	return err == nil || strings.HasPrefix(name, "gpu") || strings.HasPrefix(name, "cuda")
}

// open starts the devices; closeDevices ends them. Where oneDNN is missing, cpu is the reference backend, and a note on
// standard error says so.
func (o *deviceOptions) open(t *ui.Terminal) ([]device.Device, error) {
	devices, _, err := o.openNamed(t)
	return devices, err
}

// openNamed is open, and gives what --device would have to be to name these devices.
func (o *deviceOptions) openNamed(t *ui.Terminal) (devices []device.Device, name string, err error) {
	defer t.Phase("opening the devices").Clear()
	kind, n, err := o.kind()
	if err != nil {
		return nil, "", err
	}
	if err := step.CheckStart(0); err != nil {
		return nil, "", err
	}
	if o.gpus != "" {
		return o.openGPUs(t)
	}
	if err := o.checkChoices(); err != nil {
		return nil, "", err
	}
	if kind == "cpu" {
		missing := cpu.Available()
		if missing == nil {
			if fewer := cpu.FewerThreads(); fewer != nil {
				t.Note("%v", fewer)
			}
			if devices, err = cpu.Open(n); err == nil {
				err = step.CheckStart(0) // oneDNN has taken its part, and its compiler would crash for want of more
			}
			if err != nil {
				closeDevices(devices)
				devices = nil
			}
			return devices, deviceNames(kind, n), err
		}
		if !cpu.Built {
			t.Note("this program was built without oneDNN and computes with the slower reference backend; make build " +
				"says what it needs")
		} else {
			t.Note("%s; computing with the slower reference backend", withNext(missing.Error(), missing))
		}
		kind = "reference"
	}
	return reference.Open(n), deviceNames(kind, n), nil
}

// checkPrecision refuses a precision in which the devices do not compute.
func checkPrecision(devices []device.Device, cfg *config.Config) error {
	_, lacking, err := step.Precision(cfg, devices)
	return cmp.Or(err, lacking)
}

// notePrecision says where a trained net computes in fp32 because the devices lack the precision that it was trained
// in.
func notePrecision(devices []device.Device, c *checkpoint.Checkpoint, t *ui.Terminal) {
	if cfg, err := config.Parse(c.Config, nil); err == nil {
		if _, lacking, _ := step.Precision(cfg, devices); lacking != nil {
			t.Note("computing in fp32: %v", lacking)
		}
	}
}

// deviceNames is cpu, or cpu,cpu.
func deviceNames(kind string, n int) string {
	return strings.TrimSuffix(strings.Repeat(kind+",", n), ",")
}

// closeQuietly closes what was only read or is of no further use: that it fails to close changes nothing.
func closeQuietly(c io.Closer) { _ = c.Close() }

func closeDevices(devices []device.Device) {
	for _, d := range devices {
		closeQuietly(d) // nothing is enqueued any more, and all results are out
	}
}
