package main

import (
	"bytes"
	"strings"
	"testing"

	"alexnet/internal/interop"
	"alexnet/internal/text"
)

// What was taken is printed, in numbers.
func TestPrintImport(t *testing.T) {
	for name, c := range map[string]struct {
		r    importResult
		want []string
	}{
		"nothing is known": {
			importResult{Preprocess: interop.PrepUnknown, Classes: 10, ClassesFrom: interop.ClassesUnnamed},
			[]string{
				"  mean: none; std: none\n", "nothing divided\n",
				"classes: 10, without names: --classes FILE gives some\n",
			},
		},
		"a page's": {
			importResult{
				NotUsed: []text.Raw{"ema.a", "b"}, Preprocess: interop.PrepPage, Mean: []float32{3, 2.5, 2.5},
				Std: []float32{64, 64, 64},
			},
			[]string{
				"  mean: 3, 2.5, 2.5; std: 64\n", "  as the page says",
				"beside the weights: ema.a and 1 other tensor\n",
			},
		},
		"an image that is not used": {
			importResult{MeanImage: "m.npy", ClassesFrom: interop.ClassesGiven, classesIn: "c.txt", BGR: true},
			[]string{
				"another file, m.npy; nothing is subtracted; --mean", "as c.txt names them",
				"converted to RGB\n",
			},
		},
	} {
		var w bytes.Buffer
		printImport(&w, &c.r, 100)
		for _, want := range c.want {
			if !strings.Contains(w.String(), want) {
				t.Errorf("%s: no %q in\n%s", name, want, w.String())
			}
		}
	}
}
