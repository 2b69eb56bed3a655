package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/builtin"
	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/cpu"
	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/gpu"
	"alexnet/internal/model"
	"alexnet/internal/run"
	"alexnet/internal/safetensors"
	"alexnet/internal/step"
	"alexnet/internal/text"
	"alexnet/internal/train"
	"alexnet/internal/ui"
)

// trainOptions are what train was asked to do.
type trainOptions struct {
	net           netOptions
	device        deviceOptions
	data          string
	epochs, steps int
	init, out     string
	resume        string
	strict        bool
}

// trainResult is the document of train --json.
type trainResult struct {
	Run                  string         `json:"run"`
	Steps                uint64         `json:"steps"`
	Epochs               int            `json:"epochs"`
	Loss                 *float64       `json:"loss"` // null: no step was taken
	ValTop1Error         *float64       `json:"val_top1_error"`
	ValTop5Error         *float64       `json:"val_top5_error"`
	BestTop1Error        *float64       `json:"best_val_top1_error"`
	BestTop5Error        *float64       `json:"best_val_top5_error"`
	Last                 string         `json:"last"`
	Best                 string         `json:"best"`
	Unreadable           int            `json:"unreadable"`
	Warnings             []string       `json:"warnings"`
	ExchangeBytesPerStep float64        `json:"exchange_bytes_per_step"`
	Devices              []deviceMemory `json:"devices"`
}

func newTrainCommand(t *ui.Terminal) *cobra.Command {
	var o trainOptions
	c := &cobra.Command{
		Use:   "train",
		Short: "Train a net, or go on with a run",
		Long: `Train a net. Without arguments: the small two-column demo net on pictures that the program draws
itself. --data without --config trains the paper's net. --data is a folder or tar of class folders,
or of train/ and val/ with class folders in them.

--init starts from another net's weights, of the same layers and the same number of classes: to
train on with other pictures of as many classes, or with another rate.

A run is a numbered folder (runs/train, runs/train2, ...; --out names another): config.yaml,
metrics.jsonl, curves.png, a TensorBoard event file and checkpoints/{last,best}.safetensors. Ctrl-C
writes a checkpoint and ends; a second one ends at once. --resume goes on to the very weights that
the undisturbed run would have had, on the device that the run began on; of the flags that shape a
run only --epochs and --steps go with it, --data where the same pictures have moved, and --device or
--gpus where the last bits do not matter.`,
		Example: `  alexnet train
  alexnet train --data photos --epochs 30 --device cpu,cpu
  alexnet train --config fig1 --data cifar10 --set train.lr=0.001 --set model.classes=10
  alexnet train --data photos --init runs/train --set train.lr=0.001 --out runs/tuned
  alexnet train --resume last --epochs 40`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return runTrain(c.Context(), o, t)
		},
	}
	o.net.addFlags(c)
	o.net.addBatch(c)
	o.net.addSeed(c)
	o.device.addFlags(c)
	o.device.addPrecision(c)
	o.device.addChoices(c)
	f := c.Flags()
	f.StringVar(&o.data, "data", "", "`PATH` of a folder or tar of pictures (default: generated pictures)")
	f.IntVar(&o.epochs, "epochs", 0, "`N` passes over the data, in all (train.epochs)")
	f.IntVar(&o.steps, "steps", 0, "stop after `N` steps, in all")
	f.StringVar(&o.init, "init", "",
		"start from the weights and the preprocessing of this checkpoint `FILE`, of a run folder, or of "+builtin.Name)
	f.StringVar(&o.out, "out", "", "run folder `DIR`, new or empty (default: runs/train, runs/train2, ...)")
	f.StringVar(&o.resume, "resume", "", "go on with this `RUN`: its folder, or last")
	f.BoolVar(&o.strict, "strict", false,
		"stop at the first picture that cannot be read, and refuse another JPEG decoder than the net was trained with")
	return c
}

// check refuses numbers and combinations that make no sense.
func (o *trainOptions) check(c *cobra.Command) error {
	help := c.CommandPath() + " --help"
	for _, f := range []struct {
		name string
		n    int
	}{{"epochs", o.epochs}, {"steps", o.steps}} {
		if c.Flags().Changed(f.name) && f.n < 1 {
			return usageError(help, "--%s %d: want at least 1", f.name, f.n)
		}
	}
	if err := o.device.check(c); err != nil {
		return err
	}
	if o.out == "-" {
		return usageError(help, "--out -: a run is a folder")
	}
	if c.Flags().Changed("resume") {
		if o.resume == "" {
			return usageError(help, "--resume needs a run folder, or last")
		}
		for _, name := range []string{"config", "set", "batch", "seed", "precision", "init", "out"} {
			if c.Flags().Changed(name) {
				return usageError("leave --"+name+" away to go on with the run as it is, or start a new run "+
					"without --resume",
					"--resume goes on with a run's own configuration and weights; --%s would make it another run", name)
			}
		}
	}
	if c.Flags().Changed("epochs") {
		o.net.addShorthand("epochs", "train.epochs", o.epochs)
	}
	return o.net.check(c, &o.device)
}

func runTrain(ctx context.Context, o trainOptions, t *ui.Terminal) error {
	outliveReaders()
	to := train.Options{Steps: o.steps, Strict: o.strict}
	var err error
	if o.resume != "" {
		err = o.prepareResumed(ctx, &to, t)
	} else {
		err = o.prepareNew(ctx, &to, t)
	}
	defer release(&to)
	if err != nil {
		return err
	}
	progress := newTrainProgress(t, to.Dir.Path(), len(to.Source.Classes))
	to.Progress = progress
	stop := context.AfterFunc(ctx, progress.noteStopping)
	defer stop()
	t.AtQuit(func() string { return lastCheckpoint(to.Dir) })
	defer t.AtQuit(nil)
	result, err := train.Run(ctx, to)
	progress.bar.Clear()
	if err != nil {
		return o.adviseFailure(err, to.Dir)
	}
	return reportTraining(result, &to, t)
}

// lastCheckpoint says what a run can go on from.
func lastCheckpoint(dir *run.Dir) string {
	r, err := safetensors.Open(dir.FS(), dir.Checkpoint(run.Last))
	if err != nil {
		return "no checkpoint yet"
	}
	defer closeQuietly(r)
	return "last checkpoint: step " + r.Meta["step"]
}

// release gives back what fresh or resumed took, the lock of the run folder last.
func release(to *train.Options) {
	for _, c := range []*checkpoint.Checkpoint{to.Init, to.Resume} {
		if c != nil {
			closeQuietly(c)
		}
	}
	if to.Source != nil {
		closeQuietly(to.Source)
	}
	if to.Dir != nil {
		closeQuietly(to.Dir)
	}
	closeDevices(to.Devices)
}

// prepareNew prepares a new run: configuration, pictures, weights to start from, and last of all the folder.
func (o *trainOptions) prepareNew(ctx context.Context, to *train.Options, t *ui.Terminal) (err error) {
	fallback := "demo"
	if o.data != "" {
		fallback = "alexnet"
	}
	if to.Config, err = o.net.load(fallback); err != nil {
		return err
	}
	if o.device.device == "" && o.device.gpus == "" && gpu.Count() > 0 {
		t.Note("training on the CPU, though a GPU is here: --gpus 0 takes it")
	}
	if err := o.openDevices(to, t); err != nil {
		return err
	}
	if to.Source, err = openData(ctx, o.data, to.Config); err != nil {
		return err
	}
	if o.init != "" {
		if to.Init, err = loadCheckpoint(findCheckpoint(o.init, t)); err != nil {
			return err
		}
		to.OwnRecipe = setsRecipe(o.net.set) || to.Init.Recipe.MeanKind == "" // weights init computes none
	}
	to.Dir, err = run.Create(files.OS, o.out)
	return err
}

// prepareResumed opens the run folder, its last checkpoint, and the devices and pictures that this names.
func (o *trainOptions) prepareResumed(ctx context.Context, to *train.Options, t *ui.Terminal) (err error) {
	if to.Dir, err = run.Open(files.OS, o.resume); err != nil {
		return err
	}
	r, err := safetensors.Open(to.Dir.FS(), to.Dir.Checkpoint(run.Last))
	if err != nil {
		return err
	}
	c, err := readCheckpoint(r)
	if err != nil {
		return err
	}
	if to.Resume = c; o.steps > 0 && uint64(o.steps) < c.Step {
		return usageError(fmt.Sprintf("more steps than %d, or leave --steps away", c.Step),
			"--steps %d: %s has taken %d already, and --steps counts all of them", o.steps, to.Dir.Path(), c.Step)
	}
	if to.Config, err = config.Parse(c.Config, o.net.typed); err != nil {
		return o.net.nameFlag(err)
	}
	if err := checkDecoder(c, o.strict, t); err != nil {
		return err
	}
	if err := o.openDevices(to, t); err != nil {
		return err
	}
	if o.data != "" {
		to.Source, err = openData(ctx, o.data, to.Config)
	} else {
		to.Source, err = reopenData(ctx, c, to.Config, "alexnet train --resume "+text.ShellWord(o.resume))
	}
	return err
}

// openDevices takes the devices that the run began on, unless others were named, and warns where these will not give
// the same bits.
func (o *trainOptions) openDevices(to *train.Options, t *ui.Terminal) error {
	c := to.Resume
	if c != nil && o.device.device == "" && o.device.gpus == "" {
		o.device.device = c.Device
	}
	if c != nil {
		o.device.choice.Algorithms = c.Algorithms
	}
	devices, name, err := o.device.openNamed(t)
	if err != nil {
		return err
	}
	to.Devices, to.Device = devices, name
	if err := checkPrecision(devices, to.Config); err != nil && c != nil {
		return advise(exitUsage, "alexnet train --init "+text.ShellWord(to.Dir.Path())+
			" --precision fp32 begins a new run from its weights", err)
	} else if err != nil {
		return err
	}
	if strings.HasPrefix(devices[0].Name(), "cpu") { // the reference backend gives the same bits on any number of cores
		to.Threads = cpu.Threads()
	}
	switch {
	case c == nil || c.Device == "":
	case c.Device != name:
		t.Warn("the run so far was computed on %s, from here on it is on %s: not bit for bit what it would have been",
			c.Device, name)
	case c.Threads != to.Threads:
		t.Warn("the run so far was computed on %s, now there are %d: not bit for bit what it would have been",
			text.Count(c.Threads, "core"), to.Threads)
	case c.Hardware != hardware(devices):
		t.Warn("the run so far was computed on %s, from here on it is on %s: not bit for bit what it would have been",
			c.Hardware, hardware(devices))
	}
	return nil
}

// hardware is what the first device is, where its name does not say it; empty elsewhere.
func hardware(devices []device.Device) string {
	if able, ok := devices[0].(device.Chooser); ok {
		return able.Hardware()
	}
	return ""
}

// setsRecipe tells whether --set chose how pictures are prepared; otherwise --init keeps the file's way.
func setsRecipe(sets []string) bool {
	for _, s := range sets {
		for _, key := range []string{"data.mean=", "data.std=", "data.resize="} {
			if strings.HasPrefix(s, key) {
				return true
			}
		}
	}
	return false
}

// weightsFlag is what eval and predict need to find the run's net: nothing if they will by themselves.
func weightsFlag(r *train.Result, dir *run.Dir) string {
	newest, err := run.Newest(files.OS)
	switch {
	case err == nil && newest == dir.Checkpoint(run.Best):
		return ""
	case r.BestPath != "":
		return " --weights " + text.ShellWord(r.BestPath)
	}
	return " --weights " + text.ShellWord(r.LastPath)
}

// memoryOf turns the memory plans of a run into its document.
func memoryOf(plans []step.Memory) []deviceMemory {
	out := make([]deviceMemory, len(plans))
	for i, p := range plans {
		out[i] = deviceMemory{Name: p.Device, Total: p.Plan.Total()}
		for _, item := range p.Plan {
			out[i].Memory = append(out[i].Memory, model.MemorySummary{Purpose: item.Purpose, Bytes: item.Bytes})
		}
	}
	return out
}

// adviseFailure adds the command that goes on with the run.
func (o *trainOptions) adviseFailure(err error, dir *run.Dir) error {
	again := "alexnet train --resume " + text.ShellWord(dir.Path())
	switch {
	case o.device.gpus != "":
		again += " --gpus " + o.device.gpus
	case o.device.device != "":
		again += " --device " + o.device.device
	}
	if o.resume != "" && o.data != "" {
		again += " --data " + text.ShellWord(o.data)
	}
	if o.resume != "" && o.epochs > 0 {
		again += fmt.Sprintf(" --epochs %d", o.epochs)
	}
	if o.steps > 0 {
		again += fmt.Sprintf(" --steps %d", o.steps)
	}
	if o.strict {
		again += " --strict"
	}
	if _, missing := os.Stat(dir.Checkpoint(run.Last)); missing != nil {
		again = "the same command again"
		if o.out != "" {
			again = "rm -r " + text.ShellWord(dir.Path()) + ", then the same command again"
		}
	}
	return &unfinished{err, again}
}

func reportTraining(r *train.Result, to *train.Options, t *ui.Terminal) error {
	dir := to.Dir
	folder, curves := dir.Path(), dir.Curves()
	out := trainResult{
		Run: folder, Steps: r.Steps, Epochs: r.Epochs, Loss: r.Loss, Last: r.LastPath, Best: r.BestPath,
		Unreadable: r.Bad, Warnings: []string{},
		ExchangeBytesPerStep: r.ExchangeBytesPerStep, Devices: memoryOf(r.Memory),
	}
	for _, n := range r.Warnings {
		out.Warnings = append(out.Warnings, wordNote(n))
	}
	if r.Last != nil {
		out.ValTop1Error, out.ValTop5Error = &r.Last.Top1Error, &r.Last.Top5Error
	}
	if r.Best != nil {
		out.BestTop1Error, out.BestTop5Error = &r.Best.Top1Error, &r.Best.Top5Error
	}
	err := t.Result(out, func(w *bytes.Buffer) {
		if r.Finished {
			fmt.Fprintf(w, "%s is finished: %d of %s, %d of %s; nothing was done\n", folder, r.Steps,
				text.Count(int(max(r.PlannedSteps, r.Steps)), "step"), r.Epochs,
				text.Count(max(r.PlannedEpochs, r.Epochs), "epoch"))
			return
		}
		fmt.Fprintf(w, "trained %s, %s", text.Count(int(r.Steps), "step"), text.Count(r.Epochs, "epoch"))
		if r.Loss != nil {
			fmt.Fprintf(w, "; loss of the last step %.4f", *r.Loss)
		}
		fmt.Fprintln(w)
		if r.Best != nil {
			fmt.Fprintf(w, "best validation error: %s\n", errorsOf(r.Best, len(to.Source.Classes)))
		}
		fmt.Fprintf(w, "run folder: %s\n", folder)
	})
	if err != nil {
		return err
	}
	if r.Finished {
		flag := fmt.Sprintf("--epochs %d", 2*max(r.PlannedEpochs, r.Epochs, 1))
		if r.Epochs < r.PlannedEpochs {
			flag = fmt.Sprintf("--steps %d", 2*r.Steps)
		}
		t.Note("next: alexnet train --resume %s %s", text.ShellWord(folder), flag)
		return nil
	}
	t.Note("next: alexnet eval%s; alexnet predict PICTURE%[1]s; the curves are in %s", weightsFlag(r, dir), curves)
	return unreadableError(r.Bad)
}
