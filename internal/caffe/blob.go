package caffe

import (
	"fmt"

	"alexnet/internal/tensor"
	"alexnet/internal/text"
	"alexnet/internal/wire"
)

// blob is what a BlobProto says of its numbers.
type blob struct {
	in      wire.Range
	old     [4]int64 // num, channels, height, width
	isOld   bool     // one of them is there
	dims    []int64
	floats  int64
	doubles int64
}

// blob reads all of a BlobProto but its numbers, which it counts.
func (r *reader) blob(in wire.Range) (b blob, err error) {
	b.in = in
	return b, r.Fields(in, func(f wire.Field) (err error) {
		n := int64(0)
		switch f.Num {
		case 1, 2, 3, 4:
			b.isOld = true
			b.old[f.Num-1], err = f.Varint()
		case 5:
			n, err = f.Count(4)
			b.floats += n
		case 7:
			b.dims, err = r.shape(b.dims, f)
		case 8:
			n, err = f.Count(8)
			b.doubles += n
		}
		return err
	})
}

// tensor makes a tensor of a blob. Leading ones are dropped while there are more than so many dimensions.
func (b blob) tensor(f *wire.File, name string, dims int) (t tensor.Tensor, err error) {
	list, from := b.dims, wire.Numbers{In: b.in, Num: 5, DType: "F32"}
	if b.isOld { // then Caffe does not look at the shape (Blob::FromProto)
		list = b.old[:]
	}
	shape, err := wire.Shape(list)
	if err != nil {
		return t, tensor.Damaged("%v", err)
	}
	for len(shape) > dims && shape[0] == 1 {
		shape = shape[1:]
	}
	bytes, err := tensor.Size(shape, 8) // doubles are the most there can be
	if err != nil {
		return t, tensor.Damaged("%v", err)
	}
	count := b.floats
	if b.doubles > 0 {
		from.Num, from.DType, count = 8, "F64", b.doubles
	}
	if b.floats > 0 && b.doubles > 0 || count != bytes/8 {
		return t, tensor.Damaged("%d numbers, %d of them doubles, for shape %s", b.floats+b.doubles, b.doubles,
			text.Shape(shape))
	}
	return tensor.Tensor{Name: name, Shape: shape, DType: from.DType, Fill: func(dst []float32) error {
		if len(dst) != int(count) {
			return fmt.Errorf("%s: %d values for shape %s", name, len(dst), text.Shape(shape))
		}
		return f.At(tensor.In(name, f.Fill(dst, from)))
	}}, nil
}

// addBlobs gives a layer the blobs that lie there.
func (r *reader) addBlobs(l *Layer, at []wire.Range) error {
	for i, in := range at {
		name, dims := fmt.Sprintf("%s.%d", l.Name, i), tensor.MaxDims
		switch of := l.Type; {
		case of != "Convolution" && of != "Deconvolution" && of != "InnerProduct":
		case i == 0 && of == "InnerProduct":
			name, dims = l.Name+".weight", 2
		case i == 0:
			name, dims = l.Name+".weight", 4
		case i == 1:
			name, dims = l.Name+".bias", 1
		}
		b, err := r.blob(in)
		if err == nil {
			var t tensor.Tensor
			t, err = b.tensor(r.File, name, dims)
			l.Blobs = append(l.Blobs, t)
		}
		if err != nil {
			return tensor.In(fmt.Sprintf("blob %d", i+1), err)
		}
	}
	return nil
}
