package caffe

import (
	"errors"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
	"alexnet/internal/wire"
)

// Mean is a .binaryproto, open: the mean of pictures, or of their pixels.
type Mean struct {
	// "mean": (3, H, W), or (3) where H and W are 1; planes in the file's order, which Caffe's tools make BGR.
	tensor.Tensor
	file *wire.File
}

// OpenMean opens a .binaryproto. One that is damaged, or another kind of file, is a *tensor.BadFile.
func OpenMean(fsys files.Reader, path string) (*Mean, error) {
	f, err := wire.Open(fsys, path)
	if err != nil {
		return nil, err
	}
	m, err := readMean(f)
	if err != nil {
		return nil, errors.Join(f.At(err), f.Close())
	}
	return m, nil
}

// readMean reads the BlobProto that the whole file is.
func readMean(f *wire.File) (*Mean, error) {
	r := &reader{Walker: f.Walk()}
	b, err := r.blob(f.All())
	if err == nil && !b.isOld && b.dims == nil && b.floats+b.doubles == 0 {
		err = tensor.Damaged("there are no numbers in it")
	}
	var t tensor.Tensor
	if err == nil {
		t, err = b.tensor(f, "mean", 3)
	}
	if err != nil {
		var bad *tensor.BadFile
		if errors.As(err, &bad) {
			bad.Fault, bad.Reason = tensor.OtherFormat, "not a mean image of Caffe: "+bad.Reason
		}
		return nil, err
	}
	switch s := t.Shape; {
	case len(s) == 3 && s[1] == 1 && s[2] == 1:
		t.Shape = s[:1]
	case len(s) != 3 && len(s) != 1:
		return nil, &tensor.BadFile{
			Fault:  tensor.OtherFormat,
			Reason: "not a mean image of Caffe: a blob of shape " + text.Shape(s) + ", not channels x height x width",
		}
	}
	return &Mean{Tensor: t, file: f}, nil
}

// Close closes the file.
func (m *Mean) Close() error { return m.file.Close() }
