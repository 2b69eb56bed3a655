//go:build !linux || !cgo

package picture

// turboPath is "": this build has no way to libjpeg-turbo.
func turboPath() string { return "" }

// turbo stands for libjpeg-turbo, which this build cannot use: it is always nil.
type turbo struct{}

func openTurbo() *turbo { return nil }

func (*turbo) close() {}

func (*turbo) decode([]byte, []uint8, int, int, bool) string { return "no libjpeg-turbo" }

func openTurboEncoder() *turbo { return nil }

func (*turbo) encode([]uint8, int, int, int, []byte) ([]byte, string) { return nil, "no libjpeg-turbo" }
