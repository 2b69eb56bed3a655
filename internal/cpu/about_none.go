//go:build !cgo || !dnnl || !linux

package cpu

// Headers is empty: the program was compiled without oneDNN's.
func Headers() string { return "" }

// ISA is empty: there is no oneDNN.
func ISA(string) string { return "" }
