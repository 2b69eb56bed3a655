package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/atomicfile"
	"alexnet/internal/builtin"
	"alexnet/internal/checkpoint"
	"alexnet/internal/files"
	"alexnet/internal/interop"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

func newWeightsCommand(t *ui.Terminal) *cobra.Command {
	return newGroup("weights", "Make, inspect, import and export files of weights",
		`Make, inspect, import and export checkpoints. A checkpoint is one safetensors file: weights under the
paper's names (conv1.weight .. fc8.bias), and in its metadata the configuration, the class names and
how pictures are prepared, with a CRC32C of each tensor.`,
		newWeightsInitCommand(t), newWeightsShowCommand(t), newWeightsImportCommand(t),
		newWeightsExportCommand(t))
}

// weightsInitOptions are what weights init was asked to do.
type weightsInitOptions struct {
	net   netOptions
	out   string
	force bool
}

// weightsInitResult is the document of weights init --json.
type weightsInitResult struct {
	Out        text.Raw `json:"out"`
	Parameters int64    `json:"parameters"`
	Seed       uint64   `json:"seed"`
}

func newWeightsInitCommand(t *ui.Terminal) *cobra.Command {
	var o weightsInitOptions
	c := &cobra.Command{
		Use:   "init --config NAME --out FILE",
		Short: "Write the weights that a net starts from",
		Long: `Write a checkpoint with the weights that training starts from. Each depends only on the seed and the
weight's place, so that the file is the same whatever the devices. A net whose number of
classes follows the data gets 1000; --set model.classes=10 says otherwise.

` + outHelp,
		Example: `  alexnet weights init --config alexnet --out start.safetensors
  alexnet weights init --config demo --set model.classes=10 --seed 7 --out small.safetensors
  alexnet train --config demo --init small.safetensors`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.net.config == "" || o.out == "" {
				return usageError("alexnet weights init --config alexnet --out start.safetensors",
					"weights init needs --config and --out")
			}
			if err := errors.Join(promised(o.out, ".safetensors"), o.net.check(c, nil)); err != nil {
				return err
			}
			return runWeightsInit(c.Context(), o, t)
		},
	}
	o.net.addFlags(c)
	o.net.addSeed(c)
	c.Flags().StringVar(&o.out, "out", "", "the `FILE` to write, new")
	c.Flags().BoolVar(&o.force, "force", false, "overwrite FILE")
	return c
}

// numberClasses are class names where there is no data to name them.
func numberClasses(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

func runWeightsInit(ctx context.Context, o weightsInitOptions, t *ui.Terminal) error {
	if _, err := newFile(o.out, o.force, t); err != nil {
		return err
	}
	cfg, err := o.net.load(ctx, "")
	if err != nil {
		return err
	}
	if cfg.Model, err = cfg.Model.ForClasses(0); err != nil {
		return err
	}
	arch, err := model.New(cfg.Model, cfg.Train.Dropout)
	if err != nil {
		return err
	}
	page, err := cfg.YAML()
	if err != nil {
		return err
	}
	c := &checkpoint.Checkpoint{
		Seed: cfg.Train.Seed, Config: page, Dropout: checkpoint.DropoutPaper, Classes: numberClasses(cfg.Model.Classes),
	}
	c.Recipe = recipe.New(cfg).Sized()
	c.Recipe.MeanKind = "" // no pictures were looked at, so there is no mean
	r := weightsInitResult{Out: text.Raw(o.out), Seed: cfg.Train.Seed}
	for i := range arch.Params {
		p := &arch.Params[i]
		c.Params = append(c.Params, tensor.Tensor{Name: p.Name, Shape: p.Shape, Fill: func(dst []float32) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			p.Initial(cfg.Train.Seed, dst)
			return nil
		}})
		r.Parameters += int64(p.Len())
	}
	_, err = atomicfile.Put(ctx, disk(t), o.out, func(f atomicfile.File) error { return checkpoint.Encode(f, c) })
	if err != nil {
		return err
	}
	return t.Result(r, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s parameters of %s, seed %d\n", text.Name(r.Out), text.Grouped(r.Parameters),
			text.Name(o.net.config), r.Seed)
	})
}

// weightsShowResult is the document of weights show --json.
type weightsShowResult struct {
	File       text.Raw       `json:"file"`
	Form       string         `json:"form,omitempty"` // of another program's file; none: safetensors
	Parameters int64          `json:"parameters"`     // numbers in them; those of momentum and mean are not counted
	Tensors    []tensorResult `json:"tensors"`
	Metadata   map[string]any `json:"metadata"`
	Checksums  bool           `json:"checksums"` // the file has some, and every one agrees
}

type tensorResult struct {
	Name  text.Raw `json:"name"`
	DType string   `json:"dtype"`
	Shape []int    `json:"shape"`
}

func newWeightsShowCommand(t *ui.Terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "show FILE|RUN",
		Short: "List a file's tensors and metadata, and verify its checksums",
		Long: `List what is in a file of weights: names, types and shapes of its tensors, and what else it says. Where
it has checksums, all of it is read and held to them. Of other programs' files the forms are shown
that alexnet weights import reads: ` + importForms + `.`,
		Example: `  alexnet weights show runs/train/checkpoints/best.safetensors
  alexnet weights show alexnet.pth
  alexnet weights show alexnet.safetensors --json | jq .metadata`,
		Args: wantArgs("a file of weights", 1),
		RunE: func(c *cobra.Command, args []string) error { return runWeightsShow(c.Context(), args[0], t) },
	}
}

func runWeightsShow(ctx context.Context, path string, t *ui.Terminal) error {
	path = findCheckpoint(path, t)
	if form, err := interop.FormOf(files.OS, path); path != builtin.Name && err == nil &&
		form != interop.Safetensors && form != interop.NoForm && form != interop.NotFile {
		return showForeign(ctx, path, t)
	}
	r, err := openWeights(path)
	if err != nil {
		return err
	}
	defer closeQuietly(r)
	out := weightsShowResult{
		File: text.Raw(path), Tensors: []tensorResult{}, Metadata: map[string]any{}, Checksums: r.Checked(),
	}
	for i, info := range r.Tensors {
		if r.Checked() { // without a checksum there is nothing that reading could tell
			if err := r.Verify(ctx, i); err != nil {
				return err
			}
		}
		shape := append([]int{}, info.Shape...)
		out.Tensors = append(out.Tensors, tensorResult{text.Raw(info.Name), info.DType, shape})
		if checkpoint.IsParameter(info.Name) {
			out.Parameters += int64(info.Len())
		}
	}
	return showWeights(&out, r.Meta, t)
}

func showWeights(out *weightsShowResult, meta map[string]string, t *ui.Terminal) error {
	left := decodedMeta
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		out.Metadata[k] = decodeMeta(meta[k], left)
		left -= len(meta[k])
	}
	return t.Result(out, func(w *bytes.Buffer) { printWeights(w, *out, meta, t.OutWidth) })
}

// showForeign lists a file of another form than ours.
func showForeign(ctx context.Context, path string, t *ui.Terminal) error {
	s, err := interop.Open(files.OS, path)
	if err != nil {
		return err
	}
	defer closeQuietly(s)
	warnUnchecked(s, t)
	out := &weightsShowResult{
		File: text.Raw(path), Form: string(s.Form), Tensors: []tensorResult{}, Metadata: map[string]any{},
		Checksums: s.Checked,
	}
	if err := s.Verify(ctx); err != nil {
		return err
	}
	for _, tensor := range s.Tensors {
		shape := append([]int{}, tensor.Shape...)
		out.Tensors = append(out.Tensors, tensorResult{text.Raw(tensor.Name), tensor.DType, shape})
		if !strings.HasPrefix(tensor.Name, "optimizer.") {
			out.Parameters += int64(tensor.Len())
		}
	}
	meta := map[string]string{} // of any bytes
	for key, value := range s.Meta {
		meta[text.UTF8(key)] = text.UTF8(value)
	}
	return showWeights(out, meta, t)
}

// decodedMeta is how many bytes of metadata are decoded: as values they take fifty times as much memory.
const decodedMeta = 1 << 20

// decodeMeta is a metadata value as JSON where it is such, else as the text it is. Of JSON only so much is decoded;
// what is longer is written as it stands, its keys in their order.
func decodeMeta(value string, most int) any {
	if !strings.HasPrefix(value, "{") && !strings.HasPrefix(value, "[") {
		return value
	}
	if raw := json.RawMessage(value); len(value) > most && json.Valid(raw) {
		return raw
	}
	var v any
	if len(value) > most || json.Unmarshal([]byte(value), &v) != nil {
		return value
	}
	return v
}

func printWeights(w *bytes.Buffer, r weightsShowResult, meta map[string]string, width int) {
	tab := &ui.Table{Columns: []ui.Column{
		{Head: "tensor"}, {Head: "type", Drop: 1}, {Head: "shape"}, {Head: "values", Right: true, Drop: 2},
	}}
	for _, tensor := range r.Tensors {
		values := int64(1)
		for _, d := range tensor.Shape {
			values *= int64(d)
		}
		shape := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(tensor.Shape)), "x"), "[]")
		tab.Add(string(tensor.Name), tensor.DType, shape, text.Grouped(values))
	}
	tab.Write(w, width)
	sums := "every checksum agrees"
	if !r.Checksums {
		sums = "it has no checksums: another program wrote it"
	}
	fmt.Fprintf(w, "\n%s parameters; %s\n\n", text.Grouped(r.Parameters), sums)
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		value := strings.TrimRight(meta[key], "\n")
		if strings.Contains(value, "\n") {
			value = "\n    " + strings.ReplaceAll(value, "\n", "\n    ")
		}
		fmt.Fprintln(w, text.Name(key)+": "+value)
	}
}
