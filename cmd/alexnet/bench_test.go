package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"alexnet/internal/bench"
)

// In a narrow terminal operations a byte go first, the shares of peak and roof last, and no line of the table is too
// long.
func TestPrintLayersFits(t *testing.T) {
	roof := &bench.Roof{Bytes: 1e9, Intensity: 1234.5, PeakShare: 1.83, AttainableShare: 1.83, Bound: "compute"}
	r := benchResult{Result: &bench.Result{Roofline: &bench.Roofline{}, Layers: []bench.LayerTime{{
		Name: "conv1", Kind: "exchange", ForwardMS: 1234.567, BackwardMS: 2345.678, GFLOPSForward: 1234.5,
		GFLOPSBackward: 1234.5, Forward: roof, Backward: roof,
	}}}}
	for width, want := range map[int]string{
		0:  "layer kind forward ms GFLOP/s peak FLOP/B roof backward ms GFLOP/s peak FLOP/B roof share",
		95: "layer kind forward ms GFLOP/s peak roof backward ms GFLOP/s peak roof share",
		80: "layer forward ms GFLOP/s peak roof backward ms GFLOP/s peak roof share",
		62: "layer forward ms peak roof backward ms peak roof share",
		40: "layer forward ms backward ms share",
	} {
		var b bytes.Buffer
		printLayers(&b, r, width)
		lines := strings.Split(b.String(), "\n")[2:5]
		if got := strings.Join(strings.Fields(lines[0]), " "); got != want {
			t.Errorf("width %d: %s, want %s", width, got, want)
		}
		for _, l := range lines {
			if n := utf8.RuneCountInString(l); width > 0 && n > width {
				t.Errorf("width %d: a line of %d: %s", width, n, l)
			}
		}
	}
}
