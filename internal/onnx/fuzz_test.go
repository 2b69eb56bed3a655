package onnx

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"alexnet/internal/tensor"
)

// Whatever a file is: it is refused, or each of its weights is no longer than the file and can be read, and the graph
// is the same after it was written and read again.
func FuzzONNX(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.onnx")
	if err != nil || len(seeds) == 0 {
		f.Fatal(seeds, err)
	}
	for _, path := range seeds {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, c := range hostile {
		if len(c.file) < 1000 {
			f.Add(c.file)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		m, err := open(file)
		if err != nil {
			return
		}
		kept := m.Weights[:0]
		for _, w := range m.Weights {
			if w.Len() > len(file) { // that ConstantOfShape makes
				continue
			}
			var bad *tensor.BadFile
			if _, err := w.Values(); err == nil {
				kept = append(kept, w)
			} else if !errors.As(err, &bad) || bad.Fault != tensor.OtherType {
				t.Errorf("weight %q: %v", w.Name, err)
			}
		}
		m.Weights = kept
		for i, v := range m.Outputs {
			m.Outputs[i].DType = cmp.Or(v.DType, "F32")
		}
		if Encode(&bytes.Buffer{}, &m.Graph) != nil {
			return
		}
		back := again(t, &m.Graph)
		text := func(g *Graph) string { return fmt.Sprintf("%+v %+v %v %v", g.Nodes, g.Outputs, g.Ints, g.Meta) }
		if got, want := text(&back.Graph), text(&m.Graph); got != want {
			t.Errorf("%s became %s", want, got)
		}
		if len(back.Weights) != len(m.Weights) {
			t.Errorf("%d weights became %d", len(m.Weights), len(back.Weights))
		}
	})
}
