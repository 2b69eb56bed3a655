package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/cpu"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/infer"
	"alexnet/internal/interop"
	"alexnet/internal/model"
	"alexnet/internal/report"
	"alexnet/internal/run"
	"alexnet/internal/safetensors"
	"alexnet/internal/text"
	"alexnet/internal/train"
	"alexnet/internal/ui"
)

// rules say what the errors of the packages below mean to whoever typed a command: the exit code and what to do next.
// The first rule that knows an error holds; an error that none knows has failed the command, and nothing can be said.
// What this package finds wrong itself is a commandError, which brings both along.
var rules = []rule{
	on(exitUsage, func(e *config.Error, _ string) string { return correction(e) }),
	say[*config.ClassesError](exitUsage, "--set model.classes=0 lets it follow the data"),
	on(exitUsage, adviseDevices),
	say[*device.PrecisionError](exitUsage, "leave --precision (train.precision) away: every device computes in fp32"),
	on(exitFailed, func(e *device.MemoryError, _ string) string {
		if e.Fits > 0 {
			return fmt.Sprintf("--batch %d (train.batch), or other GPUs: alexnet doctor shows what is free", e.Fits)
		}
		return "other GPUs: alexnet doctor shows what is free; or a smaller net, or --device cpu"
	}),
	on(exitFailed, func(e *device.BatchError, _ string) string {
		return fmt.Sprintf("--batch %d (train.batch) is the largest", e.Largest)
	}),
	say[*device.Int8Error](exitFailed, "leave --int8 away, or --device cpu"),
	on(exitNoData, adviseSource),
	is(run.ErrNoRun, exitNoData, "ls runs shows the runs; alexnet train begins one"),
	is(data.ErrNoData, exitNoData, ""),
	on(exitCheckpoint, adviseBadFile),
	on(exitCheckpoint, adviseForeign),
	say[*checkpoint.DropoutError](exitCheckpoint, "use the program that wrote it, or another checkpoint"),
	on(exitCheckpoint, adviseExported),
	on(exitCheckpoint, adviseMismatch),
	on(exitCheckpoint, adviseRefused),
	say[*infer.OtherClasses](exitCheckpoint, "give the data it was trained on, or another checkpoint"),
	say[*train.OtherClasses](exitCheckpoint, "give data with the classes of the file, or begin without --init"),
	on(exitFailed, adviseNotEmpty),
	on(exitFailed, adviseFolder),
	on(exitFailed, func(e *report.BrokenError, _ string) string {
		return "move " + text.ShellWord(e.Path) + " away to go on without the lines so far"
	}),
	say[*run.LockedError](exitLocked, "wait until it ends, or train elsewhere with --out"),
	on(exitFailed, func(e *cpu.Unavailable, _ string) string { return e.Next() }),
	on(exitNoGPU, adviseNoGPU),
	on(exitNoGPU, func(e adviser, _ string) string { return e.Next() }),
	on(exitUnreadable, adviseSize),
	// Elsewhere than with --strict commands go past such a picture.
	say[*data.BadPicture](exitUnreadable, "repair or remove the picture, or leave --strict away to go past it"),
	on(exitFailed, func(e *train.OtherData, _ string) string { return fromWeights(e) }),
	on(exitFailed, adviseStopped),
	on(exitFailed, func(_ *train.Interrupted, again string) string { return again }),
	{is: isFull, code: exitFailed, next: func(_ error, again string) string {
		if again == "" {
			return "free some space, or write to another disk"
		}
		return "free some space, then " + again
	}},
	is(fs.ErrPermission, exitFailed, notWritable),
	is(syscall.EROFS, exitFailed, notWritable),
}

const notWritable = "name a place that you can write to, or ask for the permission"

// adviser is an error that knows what to do where that is not a command of ours: that of a library that is missing or
// lacks something, whenever that shows.
type adviser interface {
	error
	Next() string
}

// withNext is what is said about err in a line of its own, and what to do about it where err knows.
func withNext(said string, err error) string {
	if e := adviser(nil); errors.As(err, &e) {
		said += "; " + e.Next()
	}
	return said
}

// rule is what some errors mean.
type rule struct {
	is   func(error) bool
	code int
	next func(err error, again string) string // again is the command that goes on, where there is one
}

// on is the rule of the errors of one type.
func on[E error](code int, next func(e E, again string) string) rule {
	return rule{
		is:   func(err error) bool { return errors.As(err, new(E)) },
		code: code,
		next: func(err error, again string) string {
			var e E
			errors.As(err, &e)
			return next(e, again)
		},
	}
}

// say is on for a type of which always the same is to be said.
func say[E error](code int, next string) rule {
	return on(code, func(E, string) string { return next })
}

// is is the rule of errors that wrap target.
func is(target error, code int, next string) rule {
	return rule{
		is:   func(err error) bool { return errors.Is(err, target) },
		code: code, next: func(error, string) string { return next },
	}
}

// ruleOf is the rule that holds for err, or nil.
func ruleOf(err error) *rule {
	for i := range rules {
		if rules[i].is(err) {
			return &rules[i]
		}
	}
	return nil
}

// unfinished is the error of a command that can be gone on with, by the command again.
type unfinished struct {
	err   error
	again string
}

func (e *unfinished) Error() string { return e.err.Error() }
func (e *unfinished) Unwrap() error { return e.err }

func exitCode(err error) int {
	var own *commandError
	if errors.As(err, &own) {
		return own.code
	}
	if r := ruleOf(err); r != nil {
		return r.code
	}
	return exitFailed
}

// nextStep is the command or deed to try after err, "" where none is known.
func nextStep(err error) string {
	var own *commandError
	if errors.As(err, &own) && own.next != "" {
		return own.next
	}
	r := ruleOf(err)
	if r == nil {
		return ""
	}
	again := ""
	if begun := (*unfinished)(nil); errors.As(err, &begun) {
		again = begun.again
	}
	return r.next(err, again)
}

// showError prints err and the next step.
func showError(t *ui.Terminal, err error) { t.Fail(err.Error(), nextStep(err)) }

// correction is what to do about a mistake in a configuration.
func correction(e *config.Error) string {
	switch {
	case e.Override:
		return "correct " + e.Source + ", or leave it away"
	case e.Line > 0:
		return fmt.Sprintf("correct line %d of %s", e.Line, e.Source)
	case e.Source == "":
		return "alexnet summary shows a net's layers, alexnet train --help flags and names"
	}
	return "correct " + e.Source + ", or name another: " + strings.Join(config.Names(), ", ")
}

func adviseDevices(e *model.DevicesError, _ string) string {
	switch e.Columns {
	case 1:
		return fmt.Sprintf("give one device, or a net of %d columns (alexnet, cifar10, demo)", e.Devices)
	case e.Devices:
		return "give one device"
	default:
		return fmt.Sprintf("give one device or %d", e.Columns)
	}
}

func adviseNoGPU(e *noGPU, _ string) string {
	if lacks := adviser(nil); errors.As(e.err, &lacks) {
		return lacks.Next() + "; or leave --gpus away: --device cpu,cpu shows the two columns on two devices"
	}
	return "leave --gpus away, or use --device cpu,cpu to see the two columns on two devices"
}

func adviseSource(e *data.SourceError, _ string) string {
	switch e.Problem {
	case data.NotFound:
		return "check the path, or make generated pictures there with: alexnet data demo --out " +
			text.ShellWord(e.Path)
	case data.NotOpened:
		return "check the path and its permissions"
	case data.NotListed:
		return "check its permissions"
	case data.NoPictures:
		return "put pictures into class folders (" + path.Join(e.Path, "cat/1.jpg") +
			"), or make some: alexnet data demo --out " + text.ShellWord(e.Path)
	case data.NoClassFolders:
		return "move each picture into a folder named after its class, such as " + path.Join(e.Path, "cat/1.jpg")
	case data.EmptyClass:
		return "put pictures into it or remove it"
	case data.UnknownClass:
		return "remove it, or add the class to train/"
	default:
		return adviseTar(e)
	}
}

// adviseTar is what to do about a file that cannot be read as a tar.
func adviseTar(e *data.SourceError) string {
	switch e.Problem {
	case data.Compressed:
		return "unpack it and give the folder: pictures are read from where they lie in a tar, which compression " +
			"prevents"
	case data.OnePicture:
		return "give a folder of class folders, such as one with cat/1.jpg in it, or an uncompressed .tar"
	case data.CutOff:
		return "copy or download it again; check it with: tar tf " + text.ShellWord(e.Path)
	case data.Sparse:
		return "make it again without tar's --sparse"
	case data.NotRead:
		return "check it with: tar tf " + text.ShellWord(e.Path)
	default:
		return "give a folder of class folders or an uncompressed .tar"
	}
}

func adviseSize(e *data.SizeError, _ string) string {
	mend := "let data.resize make all pictures one size"
	if e.Alone {
		mend = fmt.Sprintf("give a picture of %dx%d, for this net was trained without resizing", e.WantWidth,
			e.WantHeight)
	}
	return mend + ", or leave --strict away to go past this one"
}

func adviseBadFile(e *safetensors.BadFile, _ string) string {
	switch e.Fault {
	case safetensors.OtherFormat:
		return "a safetensors file is needed, such as checkpoints/best.safetensors in a run folder"
	case safetensors.OtherType:
		return "floating-point tensors are needed: F32, F64, F16 or BF16"
	default:
		return "take another copy of it, or the run's other checkpoint"
	}
}

func adviseForeign(e *checkpoint.Foreign, _ string) string {
	if e.Version == "" {
		return "files of other programs have to be imported first"
	}
	return "use the version of alexnet that wrote it, or a newer one"
}

func adviseExported(e *interop.Exported, _ string) string {
	if e.Source == "" {
		return "use the checkpoint that it was made from"
	}
	return "use the checkpoint that it was made from: " + e.Source
}

func adviseMismatch(e *checkpoint.Mismatch, _ string) string {
	switch e.Kind {
	case checkpoint.NoMomentum:
		return "resume from checkpoints/last.safetensors, or begin a new run from these weights with --init"
	case checkpoint.OtherClasses:
		return "give data with the classes of the file, or begin without it (no --init)"
	default:
		return "use the configuration that the file carries (alexnet weights show " + text.ShellWord(e.Path) +
			"), or another file"
	}
}

func adviseRefused(e *interop.Refused, _ string) string {
	if e.Dropout != "" {
		return "train without that dropout layer: --set model." + e.Dropout + "=off"
	}
	return "export it under its own names: --to plain; the net that torchvision has is trained by " +
		"alexnet train --config torchvision"
}

func adviseNotEmpty(e *run.NotEmptyError, _ string) string {
	if e.Run {
		return "go on with it by --resume " + text.ShellWord(e.Path) + ", or name a new one with --out"
	}
	return "name a new one with --out"
}

func adviseFolder(e *run.FolderError, _ string) string {
	switch {
	case !e.There:
		return "name one that can be written with --out"
	case isFull(e.Err):
		return "free some space, then try again"
	case errors.Is(e.Err, syscall.EROFS):
		return "copy the run to where it can be written, and go on with the copy, then try again"
	default:
		return "make it writable for this user, then try again"
	}
}

// fromWeights is the command that begins a new run with other pictures from where this one is.
func fromWeights(e *train.OtherData) string {
	next := "alexnet train --config " + text.ShellWord(e.Config)
	if !e.Generated {
		next += " --data " + text.ShellWord(e.Path)
	}
	if !e.Fits {
		return next
	}
	return next + " --init " + text.ShellWord(e.Checkpoint)
}

func adviseStopped(e *train.Stopped, _ string) string {
	lower := "--set " + train.Change{Key: "train.lr", Value: e.LR / 10}.String()
	if e.Checkpoint == "" {
		return "a lower rate (" + lower + ") or smaller initial weights (--set model.LAYER.init.std=0.005)"
	}
	next := "a new run from there with a lower rate: alexnet train"
	for _, arg := range [][2]string{{"--config", e.Config}, {"--data", e.Data}, {"--init", e.Checkpoint}} {
		if arg[1] != "" {
			next += " " + arg[0] + " " + text.ShellWord(arg[1])
		}
	}
	return next + " " + lower
}

// wordNote is a note of a run with what could be done.
func wordNote(n train.Note) string {
	const parts = "give data with folders train/ and val/"
	switch n := n.(type) {
	case train.NoValidation:
		switch {
		case n.Resumed:
			return n.String()
		case n.Share == 0:
			return n.String() + "; no class has a picture to spare: " + parts
		}
		return fmt.Sprintf("%v; --set data.val_share=%g would hold some out, or %s", n, n.Share, parts)
	case *train.DeadStart:
		var tries []string
		for _, changes := range n.Try {
			var sets []string
			for _, c := range changes {
				sets = append(sets, "--set "+c.String())
			}
			tries = append(tries, strings.Join(sets, " "))
		}
		return fmt.Sprintf("%v Try a new run with %s, or from weights that have learned something: --init FILE.", n,
			strings.Join(tries, ", or with "))
	case train.LeftOut:
		return n.String() + hintOf(n.Picture)
	}
	return n.String()
}

// hintOf is what could be done about a picture that is left out, or why it could not be taken, to follow what is said
// about it.
func hintOf(err error) string {
	var size *data.SizeError
	switch {
	case !errors.As(err, &size):
		return ""
	case size.Alone:
		return "; this net was trained on pictures of that size, without resizing"
	}
	return "; data.resize makes all pictures one size"
}

// isFull tells whether there was no room for a file: the disk, a quota, a limit.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
