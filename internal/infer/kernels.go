package infer

import (
	"math"
	"slices"
	"strings"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/model"
	"alexnet/internal/stats"
	"alexnet/internal/text"
)

// Kernels are the weights of a convolution in a checkpoint.
type Kernels struct {
	Layer   string
	Shape   [4]int    // (kernels, channels that a kernel reads, height, width)
	Weights []float32 // of that shape
	Columns int       // that the kernels lie in, as many in each, one column's after the other's
	Color   bool      // the channels are red, green and blue of the picture
}

// KernelsOf reads the weights of a convolution. They are the file's; the net is not opened. A layer that the net does
// not have, or one without kernels, is a *config.Error with the names of those that have some.
func KernelsOf(c *checkpoint.Checkpoint, layer string) (*Kernels, error) {
	a, err := archOf(c)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(a.Layers, func(l model.Layer) bool { return l.Name == layer })
	if at < 0 || a.Layers[at].Kind != config.Conv {
		return nil, noKernels(a, layer, at >= 0)
	}
	l := &a.Layers[at]
	param := a.Params[l.Params[0]]
	k := &Kernels{
		Layer: layer, Shape: [4]int(param.Shape), Columns: a.Shares(l),
		Color: a.Input.C == 3 && param.Shape[1] == 3 &&
			!slices.ContainsFunc(a.Layers[:at], func(l model.Layer) bool { return l.Kind.Weighted() }),
	}
	for _, t := range c.Params { // which Fits has compared
		if t.Name == param.Name {
			k.Weights, err = t.Values()
		}
	}
	return k, err
}

// archOf is a checkpoint's net, on no device, once it is known that the weights in the file are its.
func archOf(c *checkpoint.Checkpoint) (*model.Arch, error) {
	cfg, err := c.Page(nil)
	if err != nil {
		return nil, err
	}
	a, err := model.Of(cfg, len(c.Classes))
	if err != nil {
		return nil, &checkpoint.BadPage{Path: c.Path, Err: err}
	}
	return a, c.Fits(SlotsOf(a))
}

// noKernels is the error of a layer that has none; there tells whether the net has it at all.
func noKernels(a *model.Arch, layer string, there bool) error {
	var all []string
	for i := range a.Layers {
		if a.Layers[i].Kind == config.Conv {
			all = append(all, a.Layers[i].Name)
		}
	}
	said := "the net has no layer " + text.Name(layer)
	if there {
		said = "layer " + text.Name(layer) + " has no kernels"
	}
	if near := text.Nearest(layer, all); near != "" {
		said += "; nearest: " + near
	}
	if len(all) == 0 {
		return config.Errorf("", "%s; no layer of the net has kernels", said)
	}
	return config.Errorf("", "%s; %s have kernels", said, strings.Join(all, ", "))
}

// Parts are the kernels of each column, as lists of their weights.
func (k *Kernels) Parts() [][][]float32 {
	n := k.Shape[1] * k.Shape[2] * k.Shape[3]
	all := slices.Collect(slices.Chunk(k.Weights, n))
	return slices.Collect(slices.Chunk(all, len(all)/k.Columns))
}

// ColorShare is how much of a kernel that reads red, green and blue, (3, height, width), depends on colour: the sum of
// (w - grey)^2 over the sum of w^2, where grey is the mean of the three weights at the same place. A kernel that sees
// only brightness has 0, one that sees none of it 1. Of a kernel of zeros, or one with what is no finite number, it is
// NaN.
func ColorShare(kernel []float32) float64 {
	n, off, sum := len(kernel)/3, 0.0, 0.0
	for i := range n {
		r, g, b := float64(kernel[i]), float64(kernel[n+i]), float64(kernel[2*n+i])
		grey := (r + g + b) / 3
		off += (r-grey)*(r-grey) + (g-grey)*(g-grey) + (b-grey)*(b-grey)
		sum += r*r + g*g + b*b
	}
	return off / sum
}

// ColorReport tells how far the kernels that see the picture depend on colour, column by column, and whether the
// columns differ in that. The paper found one column without colour and one with, in every run.
type ColorReport struct {
	Columns []ColorColumn `json:"columns"`
	// AUC is the probability that a kernel of the first column depends on colour more than one of the second; null
	// where there are not two columns with kernels to compare.
	AUC *float64 `json:"auc"`
	// P is how often columns that were dealt by chance from the same kernels are as far apart; null with AUC.
	P      *float64 `json:"p"`
	Rounds int      `json:"permutations"` // that P is of
}

// ColorColumn is one column's part of a ColorReport.
type ColorColumn struct {
	Kernels   int        `json:"kernels"`
	Median    *float64   `json:"median"` // of the colour shares; null: there are none
	Histogram []int      `json:"histogram"`
	Shares    []*float64 `json:"color_shares"` // by kernel, see ColorShare; null: it has none
}

// Of a ColorReport.
const (
	colorParts  = 20 // of a histogram, from 0 to 1
	colorRounds = 9999
)

// ColorReport is that of kernels that see colours; nil of others.
func (k *Kernels) ColorReport() *ColorReport {
	if !k.Color {
		return nil
	}
	r, all := &ColorReport{}, [][]float64(nil)
	for _, part := range k.Parts() {
		c := ColorColumn{Kernels: len(part), Histogram: make([]int, colorParts)}
		var known []float64
		for _, kernel := range part {
			share := ColorShare(kernel)
			if math.IsNaN(share) || math.IsInf(share, 0) {
				c.Shares = append(c.Shares, nil)
				continue
			}
			c.Shares = append(c.Shares, &share)
			c.Histogram[min(int(share*colorParts), colorParts-1)]++
			known = append(known, share)
		}
		if len(known) > 0 {
			m := median(known)
			c.Median = &m
		}
		r.Columns, all = append(r.Columns, c), append(all, known)
	}
	if len(all) == 2 && len(all[0]) > 0 && len(all[1]) > 0 {
		area, p := stats.Permutation(all[0], all[1], colorRounds, 1)
		r.AUC, r.P, r.Rounds = &area, &p, colorRounds
	}
	return r
}

// median is the middle of numbers, or the mean of the two in the middle.
func median(of []float64) float64 {
	s := slices.Sorted(slices.Values(of))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}
