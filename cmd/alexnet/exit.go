package main

import (
	"errors"
	"fmt"

	"alexnet/internal/text"
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

// unreadableError is the error of work that went past n pictures that could not be read.
func unreadableError(n int) error {
	switch n {
	case 0:
		return nil
	case 1:
		return advise(exitUnreadable, "repair or remove it", errors.New("1 picture could not be read"))
	}
	return advise(exitUnreadable, "repair or remove them", fmt.Errorf("%s could not be read", text.Count(n, "picture")))
}
