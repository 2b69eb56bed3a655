package main

import (
	"errors"
	"fmt"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/run"
	"alexnet/internal/weights"
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

func exitCode(err error) int {
	var own *commandError
	var usage *config.Error
	var damaged *weights.BadFile
	var other *weights.Mismatch
	var locked *run.LockedError
	var picture *data.BadPicture
	switch {
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, data.ErrNoData), errors.Is(err, run.ErrNoRun):
		return exitNoData
	case errors.As(err, &damaged), errors.As(err, &other):
		return exitCheckpoint
	case errors.As(err, &locked):
		return exitLocked
	case errors.As(err, &picture):
		return exitUnreadable
	}
	return exitFailed
}

// nextStep is the command or deed to try after err, where the message itself does not say.
func nextStep(err error) string {
	var own *commandError
	if errors.As(err, &own) {
		return own.next
	}
	return ""
}

// unreadable is the outcome of work that went past n pictures that could not be read.
func unreadable(n int) error {
	if n == 0 {
		return nil
	}
	return advise(exitUnreadable, "repair or remove them", fmt.Errorf("%s could not be read", counted(n, "picture")))
}

// stopAtBad is the outcome of --strict.
func stopAtBad(err error) error {
	return advise(exitUnreadable, "repair or remove the picture, or leave --strict away to go past it", err)
}
