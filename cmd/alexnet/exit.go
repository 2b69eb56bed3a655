package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/interop"
	"alexnet/internal/run"
	"alexnet/internal/safetensors"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// Exit codes, as in the help text.
const (
	exitOK         = 0
	exitFailed     = 1
	exitUsage      = 2
	exitUnreadable = 3
	exitNoData     = 10
	exitNoGPU      = 11
	exitCheckpoint = 12
	exitLocked     = 13
	exitSignal     = 128 // plus the signal's number
)

// commandError is a failure with its exit code and the next command to try.
type commandError struct {
	code int
	err  error
	next string
}

func (e *commandError) Error() string { return e.err.Error() }
func (e *commandError) Unwrap() error { return e.err }

func usageError(next, format string, args ...any) error {
	return &commandError{exitUsage, fmt.Errorf(format, args...), next}
}

// advise gives err an exit code and a next step.
func advise(code int, next string, err error) error { return &commandError{code, err, next} }

// adviser is an error that knows what to do: package gpu's, of libraries that lack something, whenever that shows.
type adviser interface{ Next() string }

func exitCode(err error) int {
	var own *commandError
	var usage *config.Error
	var damaged *safetensors.BadFile
	var other *checkpoint.Mismatch
	var locked *run.LockedError
	var picture *data.BadPicture
	var foreign *interop.Refused
	var precision *device.PrecisionError
	var missing adviser
	switch {
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &usage), errors.As(err, &precision):
		return exitUsage
	case errors.Is(err, data.ErrNoData), errors.Is(err, run.ErrNoRun):
		return exitNoData
	case errors.As(err, &damaged), errors.As(err, &other), errors.As(err, &foreign):
		return exitCheckpoint
	case errors.As(err, &locked):
		return exitLocked
	case errors.As(err, &missing):
		return exitNoGPU
	case errors.As(err, &picture):
		return exitUnreadable
	}
	return exitFailed
}

// nextStep is the command or deed to try after err.
func nextStep(err error) string {
	var own *commandError
	var usage *config.Error
	var source *data.SourceError
	var damaged *safetensors.BadFile
	var other *checkpoint.Mismatch
	var locked *run.LockedError
	var foreign *interop.Refused
	var precision *device.PrecisionError
	var memory *device.MemoryError
	var missing adviser
	switch {
	case errors.As(err, &own) && own.next != "":
		return own.next
	case errors.As(err, &usage):
		return correction(usage)
	case errors.As(err, &precision):
		return "leave --precision (train.precision) away: every device computes in fp32"
	case errors.As(err, &memory) && memory.Fits > 0:
		return fmt.Sprintf("--batch %d (train.batch), or other GPUs: alexnet doctor shows what is free", memory.Fits)
	case errors.As(err, &memory):
		return "other GPUs: alexnet doctor shows what is free; or a smaller net, or --device cpu"
	case errors.As(err, &missing):
		return missing.Next()
	case errors.As(err, &source):
		return source.Next
	case errors.As(err, &damaged) && damaged.Advice != "":
		return damaged.Advice
	case errors.As(err, &other) && other.Advice != "":
		return other.Advice
	case errors.As(err, &foreign):
		return foreign.Advice
	case errors.As(err, &damaged), errors.As(err, &other):
		return "name another checkpoint: ls runs/*/checkpoints"
	case errors.As(err, &locked):
		return "wait until it ends, or train elsewhere with --out"
	case errors.Is(err, run.ErrNoRun):
		return "ls runs shows the runs; alexnet train begins one"
	case isFull(err):
		return "free some space, or write to another disk"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "name a place that you can write to, or ask for the permission"
	}
	return ""
}

// showError prints err and the next step. Some messages end with their advice: it is said once.
func showError(t *ui.Terminal, err error) {
	next, message := nextStep(err), err.Error()
	if next != "" {
		message = strings.Replace(message, "; "+next, "", 1)
	}
	t.Fail(message, next)
}

// correction is what to do about a mistake in a configuration.
func correction(e *config.Error) string {
	switch {
	case strings.HasPrefix(e.Source, "--"):
		return "correct " + e.Source + ", or leave it away"
	case e.Line > 0:
		return fmt.Sprintf("correct line %d of %s", e.Line, e.Source)
	case e.Source == "":
		return "alexnet summary shows a net's layers, alexnet train --help flags and names"
	}
	return "correct " + e.Source + ", or name another: " + strings.Join(config.Names(), ", ")
}

// isFull tells whether there was no room for a file: the disk, a quota, a limit.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// unreadableError is the error of work that went past n pictures that could not be read; files are their names on the
// command line.
func unreadableError(n int, files ...string) error {
	if n == 0 {
		return nil
	}
	next := "repair or remove it"
	if n > 1 {
		next = "repair or remove them"
	}
	if len(files) > 0 && !slices.ContainsFunc(files, func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && !info.IsDir()
	}) {
		next = "check the names"
	}
	return advise(exitUnreadable, next, fmt.Errorf("%s could not be read", text.Count(n, "picture")))
}

// stopAtBad gives a picture that could not be read the outcome of --strict, and leaves other errors alone.
func stopAtBad(err error) error {
	var bad *data.BadPicture
	if !errors.As(err, &bad) || errors.Is(err, data.ErrNoData) {
		return err
	}
	return advise(exitUnreadable, "repair or remove the picture, or leave --strict away to go past it", err)
}
