package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/builtin"
	"alexnet/internal/ui"
)

// What was asked to stop leaves nothing behind.
func TestExportInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, to := range targetNames() {
		if to == "torchvision" {
			continue // the net is another
		}
		out := filepath.Join(t.TempDir(), "net.safetensors")
		err := runWeightsExport(ctx, exportOptions{to: to, dtype: "f32", out: out}, builtin.Name, &ui.Terminal{})
		if left, _ := os.ReadDir(filepath.Dir(out)); !errors.Is(err, context.Canceled) || len(left) > 0 {
			t.Errorf("%s: error %v, left behind %v", to, err, left)
		}
	}
}

// Files of other programs, without checksums, are listed too, and nothing is claimed of them.
func TestShowForeign(t *testing.T) {
	header := `{"__metadata__":{"format":"pt"},"features.0.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	path := filepath.Join(t.TempDir(), "foreign.safetensors")
	file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))),
		header+"\x00\x00\x80\x3f\x00\x00\x00\x00"...)
	if err := os.WriteFile(path, file, 0o666); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := runWeightsShow(context.Background(), path, &ui.Terminal{Out: &text, Err: &text}); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); !strings.Contains(got, "features.0.bias") ||
		!strings.Contains(got, "2 parameters; it has no checksums: another program wrote it\n") ||
		!strings.Contains(got, "format: pt\n") {
		t.Errorf("shows\n%s", got)
	}
}
