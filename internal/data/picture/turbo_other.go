//go:build !linux || !cgo

package picture

// turboPath is "": this build has no way to libjpeg-turbo.
func turboPath() string { return "" }

// turbo stands for libjpeg-turbo, which this build cannot use: it is always nil.
type turbo struct{}

func openTurbo() *turbo { return nil }

func (*turbo) close() {}

func (*turbo) header([]byte) (height, width int, kind string, ok bool) { return 0, 0, "", false }

func (*turbo) decode([]byte, []uint8, int, int) bool { return false }
