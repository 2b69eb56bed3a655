package main

import (
	"fmt"
	"os"
	"slices"

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
