package caffe

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"alexnet/internal/tensor"
	"alexnet/internal/wire"
)

// What a net may have; the largest of Caffe's have a tenth. What is kept of a layer or a blob takes more memory than
// the file needs for an empty one.
const (
	maxLayers = 5_000
	maxBlobs  = 5_000
	maxName   = 1024    // bytes
	maxSize   = 1 << 30 // of a kernel, a stride, a number of outputs
)

// reader reads a net. Blobs are counted over all layers; seen is which parameters a layer has, a bit for each.
type reader struct {
	*wire.Walker
	net   *Net
	input []int64
	blobs int
	seen  uint64
}

// read reads the net that the whole file is.
func read(f *wire.File) (*Net, error) {
	r := &reader{Walker: f.Walk(), net: &Net{file: f}}
	if err := r.Fields(f.All(), r.field); err != nil {
		var bad *tensor.BadFile
		if len(r.net.Layers) == 0 && errors.As(err, &bad) && bad.Fault == tensor.Corrupt {
			bad.Fault, bad.Reason = tensor.OtherFormat, "not a .caffemodel: "+bad.Reason
		}
		return nil, err
	}
	if len(r.net.Layers) == 0 {
		return nil, &tensor.BadFile{Fault: tensor.OtherFormat, Reason: "not a .caffemodel: there is no layer in it"}
	}
	if r.input != nil {
		shape, err := wire.Shape(r.input)
		if err != nil {
			return nil, tensor.Damaged("the net's input: %v", err)
		}
		r.net.Input = shape
	}
	return r.net, nil
}

// field reads a field of NetParameter.
func (r *reader) field(f wire.Field) (err error) {
	switch f.Num {
	case 1:
		if f.Type == protowire.VarintType { // num of a BlobProto, iter of a SolverState
			return &tensor.BadFile{
				Fault:  tensor.OtherFormat,
				Reason: "not a .caffemodel: it begins as a mean image (.binaryproto) or a .solverstate does",
			}
		}
		r.net.Name, err = r.Text(f, maxName)
		return err
	case 4: // input_dim, four for each input: the first counts
		return r.Varints(f, func(d uint64) error {
			if len(r.input) < 4 {
				r.input = append(r.input, int64(d))
			}
			return nil
		})
	case 8: // input_shape, one for each input
		return r.inputShape(f)
	case 2, 100: // layers of V1, of V2
		return r.layer(f, f.Num == 2)
	}
	return nil
}

// inputShape reads the shape of an input: the first counts.
func (r *reader) inputShape(f wire.Field) (err error) {
	if r.input == nil {
		r.input, err = r.shape(nil, f)
	}
	return err
}

// shape reads the BlobShape that a field holds, and appends its dimensions.
func (r *reader) shape(dims []int64, f wire.Field) ([]int64, error) {
	in, err := f.Message()
	if err != nil {
		return nil, err
	}
	err = r.Fields(in, func(f wire.Field) (err error) {
		if f.Num == 1 {
			dims, err = r.Ints(dims, f, tensor.MaxDims)
		}
		return err
	})
	return dims, err
}

// layer reads a layer.
func (r *reader) layer(f wire.Field, v1 bool) error {
	in, err := f.Message()
	switch {
	case err != nil:
		return err
	case len(r.net.Layers) == maxLayers:
		return tensor.Damaged("byte %d: more than %d layers", f.At, maxLayers)
	case len(r.net.Layers) > 0 && r.net.V1 != v1:
		return tensor.Damaged("byte %d: layers of V1 and of V2 in one file", f.At)
	}
	r.net.V1, r.seen = v1, 0
	var l Layer
	var blobs []wire.Range
	err = r.Fields(in, func(f wire.Field) error {
		num, err := f.Num, error(nil)
		if v1 {
			if num, err = r.v1Field(&l, f); err != nil {
				return err
			}
		}
		return r.layerField(&l, &blobs, num, f)
	})
	if err == nil {
		err = r.addBlobs(&l, blobs)
	}
	if err != nil {
		return tensor.In(fmt.Sprintf("layer %d, %.64q", len(r.net.Layers)+1, l.Name), err)
	}
	r.net.Layers = append(r.net.Layers, l)
	return nil
}

// layerField reads a field of LayerParameter, of V2. blobs is where its blobs lie.
func (r *reader) layerField(l *Layer, blobs *[]wire.Range, num protowire.Number, f wire.Field) (err error) {
	switch num {
	case 1:
		l.Name, err = r.Text(f, maxName)
	case 2:
		l.Type, err = r.Text(f, maxName)
	case 7:
		if r.blobs++; r.blobs > maxBlobs {
			return tensor.Damaged("byte %d: more than %d blobs", f.At, maxBlobs)
		}
		var in wire.Range
		in, err = f.Message()
		*blobs = append(*blobs, in)
	default:
		read, known := parameters[num]
		if !known {
			return nil
		}
		in, err := f.Message()
		if err != nil {
			return err
		}
		bit := uint64(1) << (num - firstParameter)
		if r.seen&bit != 0 {
			return tensor.Damaged("byte %d: the same parameters twice", f.At)
		}
		r.seen |= bit
		return read(r, l, in)
	}
	return err
}
