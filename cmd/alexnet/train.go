package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/builtin"
	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/cpu"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/gpu"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
	"alexnet/internal/run"
	"alexnet/internal/safetensors"
	"alexnet/internal/serve"
	"alexnet/internal/step"
	"alexnet/internal/text"
	"alexnet/internal/train"
	"alexnet/internal/ui"
)

// trainOptions are what train was asked to do.
type trainOptions struct {
	net           netOptions
	device        deviceOptions
	data          dataOption
	epochs, steps int
	lr            float64
	workers       int
	init, out     string
	freeze        string
	name          string
	resume        string
	strict        bool
	dry           bool
	live          liveOption
}

// trainResult is the document of train --json.
type trainResult struct {
	Run                  text.Raw       `json:"run"`
	Steps                uint64         `json:"steps"`
	Epochs               int            `json:"epochs"`
	Loss                 *float64       `json:"loss"` // null: no step was taken
	ValTop1Error         *float64       `json:"val_top1_error"`
	ValTop5Error         *float64       `json:"val_top5_error"`
	BestTop1Error        *float64       `json:"best_val_top1_error"`
	BestTop5Error        *float64       `json:"best_val_top5_error"`
	Last                 text.Raw       `json:"last"`
	Best                 text.Raw       `json:"best"`
	Unreadable           int            `json:"unreadable"`
	Warnings             []string       `json:"warnings"`
	ExchangeBytesPerStep float64        `json:"exchange_bytes_per_step"`
	Devices              []deviceMemory `json:"devices"`
	Frozen               []string       `json:"frozen,omitempty"` // layers with weights that stay as they are
	Init                 *initResult    `json:"init,omitempty"`
}

// initResult is what became of a file that a run starts from.
type initResult struct {
	File      text.Raw        `json:"file"`
	LastLayer string          `json:"last_layer"`
	Start     train.HeadStart `json:"start"` // of that layer; the others start with the file's weights
}

func initOf(c *checkpoint.Checkpoint, h *train.Head) *initResult {
	if c == nil || h == nil {
		return nil
	}
	return &initResult{File: text.Raw(c.Path), LastLayer: h.Layer, Start: h.Start}
}

func newTrainCommand(t *ui.Terminal) *cobra.Command {
	var o trainOptions
	c := &cobra.Command{
		Use:   "train",
		Short: "Train a net, or go on with a run",
		Long: `Train a net. Without arguments: the small two-column demo net on pictures that the program draws
itself. --data without --config trains the paper's net. --data is a folder or tar of class folders,
or another form that alexnet data --help lists.

--dry-run shows what the run would be, and finds what would keep it from its first step; of the
training pictures it reads 256 at most, and it writes nothing.

--init starts from another net's weights: to train on with other pictures, or with another rate.
Only the last layer may differ: it starts anew where the classes are others than the file's, and
goes on where they are the same, in whatever order. Without --config the new run takes the
configuration that these weights were trained with, but for what was frozen; --set changes it.

--freeze conv1-conv5,fc6 keeps layers as they are: the run's page says freeze: true of them, so that
--resume keeps them too; a new run with --init freezes only what it is told to. No gradient is
computed below the lowest layer that learns, which makes steps shorter: measured for the paper's net
on a CPU with only fc8 learning, 2.9 times as many pictures a second (median of seven rounds; 1.9 to
11.1).

A run is a numbered folder (runs/train, runs/train2, ...; --out names another): config.yaml,
metrics.jsonl, curves.png, a TensorBoard event file and checkpoints/{last,best}.safetensors. Ctrl-C
writes a checkpoint and ends; a second one ends at once. --resume reaches exactly the weights of
an undisturbed run, on the device that the run began on, and goes on to the --steps or --epochs that
it was to take; --steps or --epochs with it give it another end. Of the other flags that shape a run
it takes only --set of how pictures are read (data.workers, data.retry, data.cache, data.bad_share),
--data where the same pictures have moved, and --device or --gpus where the last bits do not matter.

An epoch's line ends with stall: the share of the time in which the device waited for pictures.

--live shows the run in a browser while it trains: the page that alexnet report writes, at an
address of this machine that it prints. --live=ADDR chooses it: a port, or HOST:PORT. Where others
can reach it (--live=:6160 is all of the machine's addresses) the page needs the token that is
printed with it; what is sent is not encrypted.`,
		Example: `  alexnet train
  alexnet train --data photos --epochs 30 --device cpu,cpu
  alexnet train --data train.tar --data val.tar
  alexnet train --config fig1 --data cifar10 --set train.lr=0.001 --set model.classes=10
  alexnet train --data photos --init runs/train --set train.lr=0.001 --out runs/tuned
  alexnet train --data photos --init runs/train --freeze conv1-fc7 --lr 0.001
  alexnet train --data photos --dry-run
  alexnet train --live
  alexnet train --resume last --epochs 40`,
		Args: func(c *cobra.Command, args []string) error {
			if o.live.asked() && len(args) == 1 && serve.Check(args[0]) == nil {
				return usageError("--live="+args[0], "--live takes its address after a =")
			}
			return noArgs(c, args)
		},
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
	o.data.addFlag(c, "pictures", "generated pictures")
	f.IntVar(&o.epochs, "epochs", 0, "`N` passes over the data, in all (train.epochs)")
	f.IntVar(&o.steps, "steps", 0, "stop after `N` steps, in all, where the epochs are more")
	f.Float64Var(&o.lr, "lr", 0, "learning `RATE` to begin with (train.lr)")
	f.IntVar(&o.workers, "workers", 0, "`N` goroutines that decode pictures, 0 for one a core (data.workers)")
	f.StringVar(&o.init, "init", "",
		"start from the weights and the preprocessing of this checkpoint `FILE`, of a run folder, or of "+builtin.Name)
	f.StringVar(&o.freeze, "freeze", "",
		"keep these `LAYERS` with weights as they are, ranges in the page's order: conv1-conv5,fc6")
	f.StringVar(&o.out, "out", "", "run folder `DIR`, new or empty (default: runs/train, runs/train2, ...)")
	f.StringVar(&o.name, "name", "", "`NAME` of the run: its folder is runs/NAME, new or empty")
	f.StringVar(&o.resume, "resume", "", "go on with this `RUN`: its folder, or last")
	f.BoolVar(&o.dry, "dry-run", false,
		"show what the run would be: data, net, memory, steps and folder; write nothing, train nothing")
	o.live.addFlag(c)
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
	if err := cmp.Or(o.device.check(c), o.data.check(c), o.live.check()); err != nil {
		return err
	}
	if o.out == "-" {
		return usageError(help, "--out -: a run is a folder")
	}
	if c.Flags().Changed("name") {
		if c.Flags().Changed("out") {
			return usageError(help, "--out and --name exclude each other: both name the run folder")
		}
		if o.name == "." || o.name == ".." || strings.ContainsAny(o.name, "/\\") {
			return usageError("--out takes a path", "--name %s: want the name of a folder in runs", o.name)
		}
		o.out = run.Named(o.name)
	}
	if c.Flags().Changed("resume") {
		for _, name := range []string{
			"config", "set", "batch", "seed", "precision", "init", "out", "name", "lr", "freeze",
		} {
			if c.Flags().Changed(name) && (name != "set" || !onlyReading(o.net.set)) {
				return usageError("omit --"+name+" to go on with the run as it is, or start a new run "+
					"without --resume",
					"--resume goes on with a run's own configuration and weights; --%s would make it another run", name)
			}
		}
	}
	if c.Flags().Changed("epochs") {
		o.net.addShorthand("epochs", "train.epochs", o.epochs)
	}
	if c.Flags().Changed("lr") {
		o.net.addShorthand("lr", "train.lr", o.lr)
	}
	if c.Flags().Changed("workers") {
		o.net.addShorthand("workers", "data.workers", o.workers)
	}
	return o.net.check(c, &o.device)
}

func runTrain(ctx context.Context, o trainOptions, t *ui.Terminal) error {
	outliveReaders()
	to := train.Options{Steps: o.steps, Strict: o.strict, Keep: keptStats()}
	server, err := o.live.listen()
	if err != nil {
		return err
	}
	shown := &liveProgress{server: server, t: t}
	defer func() { shown.close(ctx, err) }()
	if o.resume != "" {
		err = o.prepareResumed(ctx, &to, t)
	} else {
		err = o.prepareNew(ctx, &to, t)
	}
	hung := false
	defer func() {
		if !hung { // else nothing of the devices' can be closed, and the lock goes with the process
			release(&to)
		}
	}()
	if err != nil {
		return err
	}
	if !o.dry {
		t.Note("%s", dataLine(to.Source, to.Config.Data.ValShare))
	}
	noteRest(to.Source, t)
	by := recipe.New(to.Config)
	if c := cmp.Or(to.Resume, to.Init); c != nil && !to.OwnRecipe {
		by = c.Recipe
	}
	noteFit(to.Source, &by, t)
	if u := unsuitedTo(ctx, to.Config, to.Source); u != nil && to.Init == nil {
		to.Suits = smallPage
		if to.Resume == nil {
			t.Note("%v", u)
		}
	}
	o.noteIdle(&to, t)
	if o.dry {
		return o.dryRun(ctx, &to, t)
	}
	progress := newTrainProgress(t, to.Dir.Path(), len(to.Source.Classes))
	to.Progress = progress
	if server != nil {
		shown.Progress, shown.to = progress, &to
		to.Progress = shown
	}
	stop := context.AfterFunc(ctx, progress.noteStopping)
	defer stop()
	t.AtQuit(func() string { return lastCheckpoint(to.Dir) })
	defer t.AtQuit(nil)
	result, err := train.Run(ctx, to)
	progress.bar.Clear()
	shown.close(ctx, err)
	if err != nil {
		hung = errors.As(err, new(*train.Hung))
		return o.adviseFailure(err, to.Dir)
	}
	return reportTraining(result, &to, t)
}

// noteIdle names what was typed and means nothing in this run.
func (o *trainOptions) noteIdle(to *train.Options, t *ui.Terminal) {
	_, sets := o.net.page("")
	for _, s := range config.WithoutEffect(to.Config, sets) {
		t.Note("%s has no effect here", o.net.typedAs(s))
	}
	for _, s := range sets {
		if strings.HasPrefix(s, "data.val_share=") && to.Source.Val.Len() > 0 && !to.Source.Split {
			t.Note("%s has no effect here: the data has pictures for validation", o.net.typedAs(s))
		}
	}
	if all := to.EpochSteps(); uint64(o.steps) > all && all > 0 {
		are := "are"
		if to.Config.Train.Epochs == 1 {
			are = "is"
		}
		t.Note("--steps %d has no effect here: %s %s %s", o.steps, text.Count(to.Config.Train.Epochs, "epoch"), are,
			text.Count(int(all), "step"))
	}
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

// prepareNew prepares a new run: weights to start from, configuration, pictures, and last of all the folder.
func (o *trainOptions) prepareNew(ctx context.Context, to *train.Options, t *ui.Terminal) (err error) {
	if o.init != "" {
		if to.Init, err = loadCheckpoint(findCheckpoint(o.init, t), t); err != nil {
			return err
		}
		to.OwnRecipe = setsRecipe(o.net.set) || to.Init.Recipe.MeanKind == "" // weights init computes none
	}
	if to.Config, err = o.newConfig(ctx, to.Init, t); err != nil {
		return err
	}
	if err = o.freezeLayers(to.Config, t); err != nil {
		return err
	}
	if o.device.device == "" && o.device.gpus == "" && gpu.Count() > 0 {
		t.Note("training on the CPU, though a GPU is here: --gpus 0 takes it")
	}
	if err := o.openDevices(to, t); err != nil {
		return err
	}
	if to.Source, err = openData(ctx, o.data.at, to.Config, t); err != nil {
		return err
	}
	create := run.Create
	if o.dry {
		create = run.WouldCreate
	}
	to.Dir, err = create(files.OS, o.out)
	return err
}

// newConfig is the configuration of a new run: the one that was named, else that of the weights to start from, else
// the paper's for pictures and the demo net's for generated ones.
func (o *trainOptions) newConfig(ctx context.Context, init *checkpoint.Checkpoint, t *ui.Terminal) (
	*config.Config, error,
) {
	if o.net.config != "" || init == nil || len(init.Config) == 0 {
		if !o.data.given() {
			return o.net.load(ctx, "demo")
		}
		return o.net.load(ctx, "alexnet")
	}
	_, sets := o.net.page("")
	cfg, err := init.Page(append([]string{thaw}, sets...))
	if err != nil {
		return nil, o.net.nameFlag(err)
	}
	// The net gets the classes of the data, and train.Run says whether its last layer goes on or starts anew. A number
	// that was typed stays, and has to be the data's.
	if cfg.Model.Classes == len(init.Classes) && !setsAny(sets, "model.classes") {
		cfg.Model.Classes = 0
	}
	t.Note("configuration: that of %s; --config names another", text.Name(init.Path))
	return cfg, nil
}

// prepareResumed opens the run folder, its last checkpoint, and the devices and pictures that this names.
func (o *trainOptions) prepareResumed(ctx context.Context, to *train.Options, t *ui.Terminal) (err error) {
	open := run.Open
	if o.dry {
		open = run.WouldOpen
	}
	if to.Dir, err = open(files.OS, o.resume); err != nil {
		return err
	}
	c, err := lastOf(to.Dir, t)
	if err != nil {
		return err
	}
	if to.Resume = c; o.steps > 0 && uint64(o.steps) < c.Step {
		return usageError(fmt.Sprintf("more steps than %d, or omit --steps", c.Step),
			"--steps %d: %s has taken %d already, and --steps counts all of them", o.steps, to.Dir.Path(), c.Step)
	}
	if to.Config, err = c.Page(slices.Concat(o.net.typed, o.net.set)); err != nil {
		return o.net.nameFlag(err)
	}
	goal, err := train.GoalOf(c, to.Config.Train.Epochs)
	if err != nil {
		return err
	}
	if o.steps == 0 && o.epochs == 0 {
		to.Steps = goal.Steps
	}
	if err := checkDecoder(c, o.strict, t); err != nil {
		return err
	}
	if err := o.openDevices(to, t); err != nil {
		return err
	}
	if o.data.given() {
		to.Source, _, err = asTrained(o.data.at, c, func(at data.Place) (*data.Source, error) {
			return openData(ctx, at, to.Config, t)
		})
	} else {
		source := "alexnet train --resume " + text.ShellPath(o.resume)
		to.Source, err = reopenData(ctx, c, to.Config, source, t)
	}
	if err == nil {
		noteMade(to.Source, c, t)
	}
	return err
}

// lastOf opens the checkpoint that a run goes on from.
func lastOf(dir *run.Dir, t *ui.Terminal) (*checkpoint.Checkpoint, error) {
	defer t.Phase("opening the checkpoint").Clear()
	r, err := safetensors.Open(dir.FS(), dir.Checkpoint(run.Last))
	if err != nil {
		return nil, err
	}
	return readCheckpoint(r)
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
		return advise(exitUsage, "alexnet train --init "+text.ShellPath(to.Dir.Path())+
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
	case c.Hardware != "" && c.Hardware != device.HardwareOf(devices): // older files do not say
		t.Warn("the run so far was computed on %s, from here on it is on %s: perhaps not bit for bit what it would "+
			"have been", text.Name(c.Hardware), device.HardwareOf(devices))
	}
	return nil
}

// onlyReading tells whether --set changes nothing but how pictures are read.
func onlyReading(sets []string) bool {
	for _, s := range sets {
		key, _, _ := strings.Cut(s, "=")
		if !slices.Contains(config.Reading, key) {
			return false
		}
	}
	return true
}

// recipeKeys are how pictures are prepared; each is in docs/data.md.
var recipeKeys = []string{
	"data.exif", "data.resize", "data.fit", "data.interpolation", "data.mean", "data.mean_pictures", "data.std",
}

// setsRecipe tells whether --set chose how pictures are prepared; otherwise --init keeps the file's way.
func setsRecipe(sets []string) bool { return setsAny(sets, recipeKeys...) }

// setsAny tells whether any of the keys is overridden.
func setsAny(sets []string, keys ...string) bool {
	return slices.ContainsFunc(sets, func(s string) bool {
		key, _, _ := strings.Cut(s, "=")
		return slices.Contains(keys, key)
	})
}

// weightsFlag is what a command needs to find the run's net: nothing if it will by itself. eval takes the newest run;
// predict passes over those on generated pictures.
func weightsFlag(r *train.Result, dir *run.Dir, passGenerated bool) string {
	newest, _, err := newestWeights(passGenerated)
	switch {
	case err == nil && newest == dir.Checkpoint(run.Best):
		return ""
	case r.BestPath != "":
		return " --weights " + text.ShellPath(r.BestPath)
	}
	return " --weights " + text.ShellPath(r.LastPath)
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
	var misfit *checkpoint.Mismatch
	if errors.As(err, &misfit) && misfit.Kind != checkpoint.NoMomentum && o.init != "" && o.net.config == "" {
		return advise(exitCheckpoint, o.adviseMisfit(misfit), err)
	}
	again := "alexnet train --resume " + text.ShellPath(dir.Path())
	switch {
	case o.device.gpus != "":
		again += " --gpus " + o.device.gpus
	case o.device.device != "":
		again += " --device " + o.device.device
	}
	if o.resume != "" {
		again += dataFlags(o.data.at)
	}
	if o.resume != "" && o.epochs > 0 {
		again += fmt.Sprintf(" --epochs %d", o.epochs)
	}
	if o.resume != "" {
		for _, s := range o.net.set {
			again += " --set " + text.ShellWord(s)
		}
	}
	if o.resume != "" && o.steps > 0 { // a new run's checkpoints know
		again += fmt.Sprintf(" --steps %d", o.steps)
	}
	if o.strict {
		again += " --strict"
	}
	if _, missing := os.Stat(dir.Checkpoint(run.Last)); missing != nil {
		again = "the same command again"
		if _, begun := os.Stat(dir.Config()); o.out != "" && begun == nil { // else the folder goes
			again = "rm -r " + text.ShellPath(dir.Path()) + ", then the same command again"
		}
	}
	return &unfinished{err, again}
}

// adviseMisfit is what to do about weights that do not fit though no configuration was named: what was typed of the net
// makes it another one, or the file does not say which net it is of.
func (o *trainOptions) adviseMisfit(e *checkpoint.Mismatch) string {
	_, sets := o.net.page("")
	var typed []string
	for _, s := range sets {
		if strings.HasPrefix(s, "model.") {
			typed = append(typed, "--set "+text.ShellWord(s))
		}
	}
	if len(typed) == 0 {
		return "name the configuration of these weights with --config, or take another file"
	}
	return "omit " + strings.Join(typed, " ") + ": --init takes the net that the file carries (alexnet weights show " +
		text.ShellPath(e.Path) + " prints it); or take another file"
}

func reportTraining(r *train.Result, to *train.Options, t *ui.Terminal) error {
	dir := to.Dir
	folder := dir.Path()
	out := trainResult{
		Run: text.Raw(folder), Steps: r.Steps, Epochs: r.Epochs, Loss: r.Loss,
		Last: text.Raw(r.LastPath), Best: text.Raw(r.BestPath), Unreadable: r.Bad, Warnings: []string{},
		ExchangeBytesPerStep: r.ExchangeBytesPerStep, Devices: memoryOf(r.Memory), Init: initOf(to.Init, r.Head),
		Frozen: to.Config.Model.Still(),
	}
	for _, n := range r.Warnings {
		out.Warnings = append(out.Warnings, text.Escape(wordNote(n)))
	}
	if r.Last != nil {
		out.ValTop1Error, out.ValTop5Error = &r.Last.Top1Error, &r.Last.Top5Error
	}
	if r.Best != nil {
		out.BestTop1Error, out.BestTop5Error = &r.Best.Top1Error, &r.Best.Top5Error
	}
	err := t.Result(out, func(w *bytes.Buffer) {
		if r.Finished {
			fmt.Fprintf(w, "%s is finished: %d of %s, %d of %s; nothing was done\n", text.Name(folder), r.Steps,
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
		fmt.Fprintf(w, "run folder: %s\n", text.Name(folder))
	})
	if err != nil {
		return err
	}
	if r.Finished {
		next := "next: alexnet train --resume " + text.ShellPath(folder)
		if r.Epochs < r.PlannedEpochs {
			t.Note("%s --steps %d, or with --epochs %d to go on to its last epoch", next, 2*r.Steps, r.PlannedEpochs)
		} else {
			t.Note("%s --epochs %d", next, 2*max(r.PlannedEpochs, r.Epochs, 1))
		}
		return nil
	}
	curves := ""
	if r.CurvesPath != "" {
		curves = "; the curves are in " + text.Name(r.CurvesPath)
	}
	t.Note("next: alexnet eval%s; alexnet predict PICTURE%s%s", weightsFlag(r, dir, false), weightsFlag(r, dir, true),
		curves)
	return unreadableError(r.Bad)
}
