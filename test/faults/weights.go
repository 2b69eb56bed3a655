package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"alexnet/internal/checkpoint"
	"alexnet/internal/crafted"
	"alexnet/internal/files"
	"alexnet/internal/interop"
	"alexnet/internal/pth"
	"alexnet/internal/tensor"
)

// weightsAtOnce is how many spoilt files a case reads.
const weightsAtOnce = 20

var spoiltZips = row{
	name: "zips", short: 100, long: 2000,
	fault: "a zip of PyTorch's or NumPy's with bits flipped, bytes exchanged, zeroed, missing, or from another one",
	how: "files that these programs wrote; twenty a case are read whole, one of each case by weights show, which has " +
		"1 GB; survived: it is refused as damaged, or every name, shape and number is what it was: checksums do not " +
		"cover dates and other words about a file",
	open: func(ctx context.Context, s *setup) (caseFunc, error) {
		return openSpoilt(ctx, s, func(path string, was []kept) error {
			now, err := readKept(path)
			if err == nil && !slices.EqualFunc(was, now, kept.same) {
				return errors.New("nobody noticed")
			}
			return refusal(err)
		}, "show", nil, "internal/interop/testdata/zip.pth", "internal/interop/testdata/float16.pth",
			"internal/pth/testdata/ints.pth", "internal/npy/testdata/stored.npz", "internal/npy/testdata/deflated.npz")
	},
}

var spoiltWeights = row{
	name: "weights", short: 100, long: 2000,
	fault: "a .caffemodel, .npy, .onnx, older .pth or another program's safetensors, spoilt in the same ways",
	how: "files that these programs wrote; twenty a case are read whole, one of each case by weights import, which " +
		"has 1 GB; survived: no crash, no hang, and no number that is infinite or not a number in what is imported. " +
		"These forms have no checksums: a changed number is another number",
	open: func(ctx context.Context, s *setup) (caseFunc, error) {
		own := filepath.Join(s.dir, "other.safetensors")
		if err := asOthers(own, "internal/interop/testdata/zip.pth"); err != nil {
			return nil, err
		}
		return openSpoilt(ctx, s, func(path string, _ []kept) error {
			_, err := readKept(path)
			return refusal(err)
		}, "import", []string{"alexnet", "alexnet", "alexnet", "torchvision", "torchvision", "torchvision"},
			"internal/caffe/testdata/alexnet-v1-old.caffemodel", "internal/caffe/testdata/alexnet-v2.caffemodel",
			"internal/interop/testdata/kaffe.npy", "internal/onnx/testdata/torch.onnx",
			"internal/interop/testdata/model_best.pth.tar", own)
	},
}

// kept is what a file says of a tensor.
type kept struct {
	name   string
	shape  []int
	values []float32
}

func (k kept) same(other kept) bool {
	return k.name == other.name && slices.Equal(k.shape, other.shape) && slices.EqualFunc(k.values, other.values,
		func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })
}

// readKept reads a file whole: every number that can be, and where there are checksums all else.
func readKept(path string) (all []kept, err error) {
	s, err := interop.Open(files.OS, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Verify(context.Background()); err != nil { // whole numbers are in no tensor's Values
		return nil, err
	}
	for _, t := range s.Tensors {
		v, err := t.Values()
		var bad *tensor.BadFile
		if errors.As(err, &bad) && bad.Fault == tensor.OtherType { // whole numbers are not read
			v, err = nil, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, kept{t.Name, t.Shape, v})
	}
	return all, nil
}

// refusal is nil for an error that says what is wrong with the file, and for none.
func refusal(err error) error {
	if err == nil || errors.As(err, new(*tensor.BadFile)) || errors.As(err, new(*pth.Refused)) ||
		errors.As(err, new(*interop.OtherForm)) {
		return nil
	}
	return fmt.Errorf("%T: %w", err, err)
}

// asOthers writes the tensors of a file as safetensors without checksums.
func asOthers(path, from string) error {
	all, err := readKept(from)
	if err != nil {
		return skip("no files here: it is to be started in the repository")
	}
	header, data := map[string]any{}, []byte(nil)
	for _, k := range all {
		from := len(data)
		for _, v := range k.values {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		header[k.name] = map[string]any{"dtype": "F32", "shape": k.shape, "data_offsets": []int{from, len(data)}}
	}
	document, err := json.Marshal(header)
	if err != nil {
		return err
	}
	return os.WriteFile(path, crafted.Header(string(document), data...), 0o666)
}

// openSpoilt reads files and gives spoilt ones to check, with what was in them; and one a case to a command of weights:
// show, or import with the page of each (internal/interop/testdata), which takes it where it is whole.
func openSpoilt(
	ctx context.Context, s *setup, check func(path string, was []kept) error, command string, pages []string,
	names ...string,
) (caseFunc, error) {
	var whole [][]byte
	var was [][]kept
	var words [][]string // of the command
	for i, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, skip("no files here: it is to be started in the repository")
		}
		all, err := readKept(name)
		if err != nil {
			return nil, fmt.Errorf("undamaged: %w", err)
		}
		args := []string{s.alexnet, "weights", command, "spoilt"}
		if command == "import" {
			page, err := filepath.Abs(filepath.Join("internal/interop/testdata", pages[i]+".yaml"))
			if err != nil {
				return nil, err
			}
			args = append(args, "--config", page, "--out", "own.safetensors")
		}
		whole, was, words = append(whole, b), append(was, all), append(words, args)
		if err := undamaged(ctx, s, b, args); err != nil {
			return nil, fmt.Errorf("undamaged: %s: %w", name, err)
		}
	}
	return func(ctx context.Context, c *testCase) error {
		c.counts(weightsAtOnce)
		path, at := filepath.Join(c.dir, "spoilt"), 0
		for range weightsAtOnce {
			at = c.rand.IntN(len(whole))
			spoilt := spoil(c.rand, whole[at], whole[c.rand.IntN(len(whole))])
			if err := c.note("spoilt", spoilt); err != nil {
				return err
			}
			if err := check(path, was[at]); err != nil {
				return fmt.Errorf("%s: %w", names[at], err)
			}
		}
		end, err := limited(ctx, weightsLimit, c.dir, words[at]...)
		if err == nil {
			err = end.civil()
		}
		if err == nil && command == "import" && end.code == 0 {
			err = finiteIn(filepath.Join(c.dir, "own.safetensors"))
		}
		return err
	}, nil
}

// undamaged tells whether a command takes a file as it is: else it would look at no number of a spoilt one.
func undamaged(ctx context.Context, s *setup, file []byte, args []string) error {
	dir, err := os.MkdirTemp(s.dir, "undamaged")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "spoilt"), file, 0o666); err != nil {
		return err
	}
	end, err := limited(ctx, weightsLimit, dir, args...)
	if err == nil && end.code != 0 {
		err = fmt.Errorf("exit %d: %s", end.code, end.stderr)
	}
	return err
}

// weightsLimit is what a command on a spoilt file may take.
var weightsLimit = limits{memory: 1 << 30, time: 20 * time.Second}

// finiteIn tells of a number in a checkpoint that is infinite or not a number.
func finiteIn(path string) error {
	c, err := checkpoint.Load(files.OS, path)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // only read
	for _, t := range c.Params {
		v, err := t.Values()
		if err != nil {
			return err
		}
		if slices.ContainsFunc(v, func(x float32) bool { return math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) }) {
			return fmt.Errorf("%s: %s holds what is not a number", path, t.Name)
		}
	}
	return nil
}
