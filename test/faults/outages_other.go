//go:build !linux

package main

import "context"

func takenFiles(string, *process) error { return skip("a limit of another process is set as on Linux") }

func givenFiles(string, *process) error { return nil }

func (l *lab) unmounted(context.Context, *testCase, string) error {
	return skip("shares are mounted and unmounted as on Linux")
}
