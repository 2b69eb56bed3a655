package main

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"codeberg.org/sbinet/npyio"
	"github.com/rogpeppe/go-internal/testscript"

	"alexnet/internal/files"
	"alexnet/internal/safetensors"
)

// near wants two checkpoints or two arrays (.npy) to hold the same but for rounding: every tensor, momentum too, within
// a relative norm of 1e-4.
func near(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: near FILE FILE")
	}
	got, want := numbers(ts, args[0]), numbers(ts, args[1])
	names := slices.Sorted(maps.Keys(want))
	if !slices.Equal(slices.Sorted(maps.Keys(got)), names) {
		ts.Fatalf("%s and %s hold other tensors", args[0], args[1])
	}
	worst, where := 0., ""
	for _, name := range names {
		if len(got[name]) != len(want[name]) {
			ts.Fatalf("%s: %d numbers and %d", name, len(got[name]), len(want[name]))
		}
		var diff, norm float64
		for i, w := range want[name] {
			d := float64(got[name][i]) - float64(w)
			diff, norm = diff+d*d, norm+float64(w)*float64(w)
		}
		if d := math.Sqrt(diff / norm); !(d <= worst) {
			worst, where = d, name
		}
	}
	ts.Logf("%d tensors, largest relative norm of a difference: %.2g (%s)", len(names), worst, where)
	if (worst <= 1e-4) == neg {
		ts.Fatalf("%s and %s are %.2g apart (%s)", args[0], args[1], worst, where)
	}
}

// same wants tensors to be the same in two files, bit for bit; with !, each of them to be another.
func same(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: same FILE FILE TENSOR...")
	}
	a, b := numbers(ts, args[0]), numbers(ts, args[1])
	for _, name := range args[2:] {
		if a[name] == nil || b[name] == nil {
			ts.Fatalf("%s is not in both files", name)
		}
		if slices.Equal(a[name], b[name]) == neg {
			ts.Fatalf("%s is the same in %s and %s: %v", name, args[0], args[1], neg)
		}
	}
}

// numbers are a file's tensors.
func numbers(ts *testscript.TestScript, name string) map[string][]float32 {
	path := ts.MkAbs(name)
	all := map[string][]float32{}
	if filepath.Ext(path) == ".npy" {
		f, err := os.Open(path)
		ts.Check(err)
		defer f.Close()
		var x []float32
		ts.Check(npyio.Read(f, &x))
		all["the array"] = x
		return all
	}
	r, err := safetensors.Open(files.OS, path)
	ts.Check(err)
	defer r.Close()
	for i := range r.Tensors {
		x, err := r.Tensor(i).Values()
		ts.Check(err)
		all[r.Tensors[i].Name] = x
	}
	return all
}
