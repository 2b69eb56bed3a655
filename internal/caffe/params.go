package caffe

import (
	"google.golang.org/protobuf/encoding/protowire"

	"alexnet/internal/tensor"
	"alexnet/internal/wire"
)

// firstParameter is the least of the numbers of parameters; none is 64 more.
const firstParameter = 100

// parameters reads those messages of LayerParameter that tell nets apart, by their fields' numbers. What a message
// leaves out has caffe.proto's default.
var parameters = map[protowire.Number]func(*reader, *Layer, wire.Range) error{
	firstParameter: (*reader).transform,
	106:            (*reader).convolution,
	117:            (*reader).innerProduct,
	118:            (*reader).lrn,
	121:            (*reader).pooling,
	123:            (*reader).relu,
	143:            (*reader).inputLayer,
}

// pair is a size in two directions, which a file gives once for both, or twice, or as one of each name.
type pair struct {
	list []int64 // kernel_size
	h, w int64   // kernel_h, kernel_w
}

// repeated reads the field that gives one or two.
func (r *reader) repeated(p *pair, f wire.Field) (err error) {
	p.list, err = r.Ints(p.list, f, 2)
	return err
}

// single reads the field of one direction.
func single(to *int64, f wire.Field) error {
	n, err := f.Int(maxSize)
	*to = int64(n)
	return err
}

// set stores the pair, or what it is where the file is silent.
func (p *pair) set(to *[2]int, otherwise int) error {
	h, w := p.h, p.w
	switch len(p.list) {
	case 1:
		h, w = p.list[0], p.list[0]
	case 2:
		h, w = p.list[0], p.list[1]
	}
	if h < 0 || h > maxSize || w < 0 || w > maxSize {
		return tensor.Damaged("a kernel, stride or pad of %d by %d", h, w)
	}
	if h == 0 && w == 0 {
		h, w = int64(otherwise), int64(otherwise)
	}
	*to = [2]int{int(h), int(w)}
	return nil
}

// setAll stores the pairs of a kernel.
func setAll(kernel, stride, pad *pair, k, s, p *[2]int) error {
	if err := kernel.set(k, 0); err != nil {
		return err
	}
	if err := stride.set(s, 1); err != nil {
		return err
	}
	return pad.set(p, 0)
}

func (r *reader) convolution(l *Layer, in wire.Range) error {
	c := &Convolution{Group: 1}
	var kernel, stride, pad, dilation pair
	err := r.Fields(in, func(f wire.Field) (err error) {
		switch f.Num {
		case 3:
			err = r.repeated(&pad, f)
		case 4:
			err = r.repeated(&kernel, f)
		case 5:
			c.Group, err = f.Int(maxSize)
		case 6:
			err = r.repeated(&stride, f)
		case 9:
			err = single(&pad.h, f)
		case 10:
			err = single(&pad.w, f)
		case 11:
			err = single(&kernel.h, f)
		case 12:
			err = single(&kernel.w, f)
		case 13:
			err = single(&stride.h, f)
		case 14:
			err = single(&stride.w, f)
		case 18:
			err = r.repeated(&dilation, f)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := setAll(&kernel, &stride, &pad, &c.Kernel, &c.Stride, &c.Pad); err != nil {
		return err
	}
	l.Convolution = c
	return dilation.set(&c.Dilation, 1)
}

func (r *reader) innerProduct(l *Layer, in wire.Range) error {
	p := &InnerProduct{}
	l.InnerProduct = p
	return r.Fields(in, func(f wire.Field) (err error) {
		if f.Num == 6 {
			p.Transpose, err = f.Bool()
		}
		return err
	})
}

// methods are PoolingParameter's, by number.
var methods = [...]string{"max", "average", "stochastic"}

func (r *reader) pooling(l *Layer, in wire.Range) error {
	p := &Pooling{Method: methods[0]}
	var kernel, stride, pad pair
	err := r.Fields(in, func(f wire.Field) (err error) {
		switch f.Num {
		case 1:
			var n int
			n, err = f.Int(len(methods) - 1)
			p.Method = methods[min(n, len(methods)-1)]
		case 2:
			err = r.repeated(&kernel, f)
		case 3:
			err = r.repeated(&stride, f)
		case 4:
			err = r.repeated(&pad, f)
		case 5:
			err = single(&kernel.h, f)
		case 6:
			err = single(&kernel.w, f)
		case 7:
			err = single(&stride.h, f)
		case 8:
			err = single(&stride.w, f)
		case 9:
			err = single(&pad.h, f)
		case 10:
			err = single(&pad.w, f)
		case 12:
			p.Global, err = f.Bool()
		}
		return err
	})
	if err != nil {
		return err
	}
	l.Pooling = p
	return setAll(&kernel, &stride, &pad, &p.Kernel, &p.Stride, &p.Pad)
}

func (r *reader) lrn(l *Layer, in wire.Range) error {
	n := &LRN{Size: 5, Alpha: 1, Beta: 0.75, K: 1}
	l.LRN = n
	return r.Fields(in, func(f wire.Field) (err error) {
		switch f.Num {
		case 1:
			n.Size, err = f.Int(maxSize)
		case 2:
			n.Alpha, err = f.Float()
		case 3:
			n.Beta, err = f.Float()
		case 4:
			n.Within, err = f.Bool()
		case 5:
			n.K, err = f.Float()
		}
		return err
	})
}

func (r *reader) relu(l *Layer, in wire.Range) error {
	a := &ReLU{}
	l.ReLU = a
	return r.Fields(in, func(f wire.Field) (err error) {
		if f.Num == 1 {
			a.Slope, err = f.Float()
		}
		return err
	})
}

// inputLayer reads an InputParameter: what a net of V2 is given.
func (r *reader) inputLayer(_ *Layer, in wire.Range) error {
	return r.Fields(in, func(f wire.Field) error {
		if f.Num != 1 {
			return nil
		}
		return r.inputShape(f)
	})
}

// maxChannels are those for which a file may give means.
const maxChannels = 16

func (r *reader) transform(l *Layer, in wire.Range) error {
	t := &Transform{Scale: 1}
	l.Transform = t
	return r.Fields(in, func(f wire.Field) (err error) {
		switch f.Num {
		case 1:
			t.Scale, err = f.Float()
		case 3:
			t.Crop, err = f.Int(maxSize)
		case 4:
			t.MeanFile, err = r.Text(f, maxName)
		case 5:
			var v float32
			if v, err = f.Float(); len(t.Mean) == maxChannels {
				err = tensor.Damaged("byte %d: means of more than %d channels", f.At, maxChannels)
			}
			t.Mean = append(t.Mean, v)
		}
		return err
	})
}
