//go:build !linux

package main

import "context"

func haveTool(string) error { return skip("needs Linux") }

func tool(context.Context, ...string) error { return skip("needs Linux") }

func isMounted(string) bool { return false }

func cutPower(string) error { return skip("needs Linux") }

func makeFIFO(string) error { return skip("needs Linux") }

func leave(context.Context, string, room, int) error { return skip("needs Linux") }
