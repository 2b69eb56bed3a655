package selftest

import (
	"fmt"
	"strings"

	"alexnet/internal/recipe"
)

// The nets' size: maps of 12x12 have fewer pixels than numbers has different numbers.
const (
	rows   = 3
	side   = 12
	border = 4 // what is cropped of a picture
)

// opCase is one op: what is between two values of a net.
type opCase struct {
	name    string
	layers  []string // of the page, in front of an fc layer and softmax
	in, out string   // the values: the first is stored, the second compared
	devices int      // 0: one
	use     bool     // a net for use, not for training
	int8    bool     // with int8 weights and without gradients; for use
	update  bool     // not an op but the update of all parameters
	picture bool     // not an op but the input made of pictures
	apart   bool     // biases keep every unit away from 0
	exact   bool     // not for bf16: rounding in the middle decides what comes out
}

// front gives an op 16 channels in two columns; what it computes is not looked at. wide gives it 64: whole vectors of
// channels in each column, as the nets have, for which backends have other code.
const (
	front = "{name: front, kind: conv, kernels: 16, size: 1}"
	wide  = "{name: front, kind: conv, kernels: 64, size: 1}"
)

var opCases = []opCase{
	{
		name: "conv", layers: []string{front, "{name: op, kind: conv, inputs: both, kernels: 24, size: 3, pad: 1}"},
		in: "front", out: "op",
	},
	{name: "conv, ReLU", layers: []string{
		front, "{name: op, kind: conv, inputs: both, kernels: 24, size: 3, pad: 1, act: relu}",
	}, in: "front", out: "op", apart: true},
	{
		name: "grouped conv", layers: []string{front, "{name: op, kind: conv, kernels: 32, size: 5, pad: 2}"},
		in: "front", out: "op",
	},
	{name: "conv of the picture, rounded up", layers: []string{"{name: op, kind: conv, kernels: 16, size: 11, " +
		"stride: 4, round: up}"}, in: "input", out: "op"},
	{name: "conv of two inputs", layers: []string{
		front, "{name: op, kind: conv, inputs: both, kernels: 32, size: 3, pad: 1}",
	}, in: "front", out: "op", devices: 2},
	{name: "fc", layers: []string{front, "{name: op, kind: fc, inputs: both, units: 40}"}, in: "front", out: "op"},
	{
		name: "fc of two inputs", layers: []string{front, "{name: op, kind: fc, inputs: both, units: 40}"}, in: "front",
		out: "op", devices: 2,
	},
	{
		name: "fc, int8 weights", layers: []string{front, "{name: op, kind: fc, inputs: both, units: 40}"}, in: "front",
		out: "op", use: true, int8: true,
	},
	{
		name: "fc of two inputs, int8 weights", layers: []string{
			front, "{name: op, kind: fc, inputs: both, units: 40}",
		},
		in: "front", out: "op", devices: 2, use: true, int8: true,
	},
	{
		name: "LRN inside columns", layers: []string{
			front, "{name: op, kind: lrn, size: 5, alpha: 1, beta: 0.75, k: 2}",
		},
		in: "front", out: "op",
	},
	{name: "LRN inside wide columns", layers: []string{
		wide, "{name: op, kind: lrn, size: 5, alpha: 1, beta: 0.75, k: 2}",
	}, in: "front", out: "op"},
	{
		name: "max pool, overlapping", layers: []string{front, "{name: op, kind: pool, size: 3, stride: 2, round: up}"},
		in: "front", out: "op",
	},
	{name: "avg pool, overlapping", layers: []string{
		front, "{name: op, kind: pool, pool: avg, size: 3, stride: 2, round: up}",
	}, in: "front", out: "op"},
	{name: "LRN and max pool", layers: []string{
		front, "{name: lrn, kind: lrn, size: 5, alpha: 1, beta: 0.75, k: 2}",
		"{name: op, kind: pool, size: 3, stride: 3}",
	}, in: "front", out: "op", exact: true},
	{name: "LRN and max pool, wide", layers: []string{
		wide, "{name: lrn, kind: lrn, size: 5, alpha: 1, beta: 0.75, k: 2}",
		"{name: op, kind: pool, size: 3, stride: 3}",
	}, in: "front", out: "op"},
	{
		name: "conv of 3x3, wide", layers: []string{wide, "{name: op, kind: conv, kernels: 64, size: 3, pad: 2}"},
		in: "front", out: "op",
	},
	// cpu: Winograd's
	{
		name: "conv of 5x5, wide", layers: []string{wide, "{name: op, kind: conv, kernels: 64, size: 5, pad: 2}"},
		in: "front", out: "op",
	},
	{name: "tanh", layers: []string{front, "{name: op, kind: activation, act: tanh}"}, in: "front", out: "op"},
	{name: "ReLU", layers: []string{front, "{name: op, kind: activation, act: relu}"}, in: "front", out: "op"},
	{
		name: "dropout in training", layers: []string{front, "{name: op, kind: dropout, rate: 0.5}"}, in: "front",
		out: "op",
	},
	{
		name: "dropout when predicting", layers: []string{front, "{name: op, kind: dropout, rate: 0.5}"}, in: "front",
		out: "op", use: true,
	},
	{name: "softmax and loss", layers: []string{front}, in: "fc", out: "prob"},
	{name: "crop, flip, colour, mean", layers: []string{front}, in: "input", out: "input", picture: true},
	{name: "update", layers: []string{front}, in: "front", out: "fc", update: true},
}

// page is the case's net.
func (c *opCase) page() string {
	layers := append(append([]string{}, c.layers...), "{name: fc, kind: fc, inputs: both}",
		"{name: prob, kind: softmax}")
	return fmt.Sprintf("model:\n  columns: 2\n  classes: 10\n  input: {channels: 3, size: %d}\n  layers:\n    - %s\n",
		side, strings.Join(layers, "\n    - "))
}

// recipe is how the case's pictures become its input: where they count they are larger than it, with a mean image
// and a scale for each colour.
func (c *opCase) recipe() recipe.Recipe {
	if !c.picture {
		return recipe.Recipe{Height: side, Width: side}
	}
	const large = side + border
	return recipe.Recipe{
		Height: large, Width: large, Mean: numbers(4, 3*large*large, .93), Scale: []float32{1. / 64, .03, 1. / 32},
	}
}
