//go:build !linux

package machine

import "runtime"

// On other systems than Linux only what Go itself knows is told.

func system() string { return "" }

func kernelRelease() string { return "" }

// CPU is not known here.
func CPU() string { return "" }

func nvidia() string { return "" }

func flag(string) bool { return false }

func online() int { return runtime.NumCPU() }

// MemoryNow is not known here.
func MemoryNow() Memory { return Memory{} }

// Loaded is not known here.
func Loaded(string) string { return "" }
