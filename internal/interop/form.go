package interop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"alexnet/internal/files"
	"alexnet/internal/npy"
	"alexnet/internal/tensor"
)

// Form is what kind of file holds weights, as its first bytes tell; what it is called does not matter.
type Form string

// The forms that Open reads.
const (
	Safetensors Form = "safetensors"
	Caffe       Form = "Caffe"
	ONNX        Form = "ONNX"
	PyTorch     Form = "PyTorch"
	NPZ         Form = "NumPy's npz"
	NPY         Form = "NumPy's npy" // a dict of arrays, as kaffe makes them; or one array, which is no net
)

// The forms that are known and not read.
const (
	HDF5       Form = "HDF5 (Keras, or Caffe's .h5)"
	Matlab     Form = "MATLAB (MatConvNet)"
	Darknet    Form = "darknet's weights"
	Prototxt   Form = "a description in text, without weights"
	CaffeV0    Form = "a net of Caffe's first format (V0, 2013)"
	Packed     Form = "a compressed file"
	Archive    Form = "a tar"
	NotFile    Form = "not a regular file"
	NoForm     Form = "not a file of weights in a form that is known"
	sniffBytes      = 512
)

// OtherForm is a file whose weights cannot be read, because of what kind of file it is.
type OtherForm struct {
	Path string
	Form Form
	// Reason is what shows only in the file that it is not of the form that it begins as, which Form then is.
	Reason string
}

func (e *OtherForm) Error() string {
	switch {
	case e.Reason != "":
		return e.Path + ": " + e.Reason
	case e.Form == NoForm, e.Form == NotFile:
		return e.Path + ": " + string(e.Form)
	}
	return fmt.Sprintf("%s: %s, which is not read", e.Path, e.Form)
}

// FormOf tells what kind of file it is. A path that is not a regular file is never opened, for a FIFO would wait.
func FormOf(fsys files.Reader, path string) (form Form, err error) {
	info, err := fsys.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return NotFile, nil
	}
	f, size, err := tensor.Open(fsys, path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	head := make([]byte, sniffBytes)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return sniff(head[:n], size), nil
}

// sniff is the form of a file of size bytes that begins so.
func sniff(head []byte, size int64) Form {
	begins := func(s string) bool { return bytes.HasPrefix(head, []byte(s)) }
	switch {
	// First of all, for the length that it begins with may be any, such as the first bytes of a pickle. No other form
	// has a length that fits the file there, and a brace after it.
	case len(head) > 9 && binary.LittleEndian.Uint64(head) < uint64(size) && head[8] == '{':
		return Safetensors
	case begins("\x89HDF\r\n\x1a\n"):
		return HDF5
	case begins("MATLAB "):
		return Matlab
	case begins("\x93NUMPY"):
		return NPY
	case begins("PK\x03\x04"):
		return zipOf(head)
	case begins("\x80") && len(head) > 1 && head[1] >= 2 && head[1] <= 5: // a pickle
		return PyTorch
	case begins("\x1f\x8b"), begins("BZh"), begins("\xfd7zXZ\x00"), begins("\x28\xb5\x2f\xfd"):
		return Packed
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return Archive
	case darknet(head):
		return Darknet
	case begins("name:"), begins("layer"), begins("input"):
		return Prototxt
	// Messages of protobuf have no mark. ONNX begins with its version, field 1; Caffe with a name, field 1,
	// where it has one, else with an input, 3, its shape, 8, or layers, 2 or 100.
	case begins("\x08"):
		return ONNX
	case begins("\x0a"), begins("\x12"), begins("\x1a"), begins("\x42"), begins("\xa2\x06"):
		return Caffe
	}
	return NoForm
}

// darknet is a header of three int32, version 0.1 or 0.2 and a revision of 0, before counts and numbers.
func darknet(head []byte) bool {
	if len(head) < 20 {
		return false
	}
	minor := binary.LittleEndian.Uint32(head[4:])
	return strings.Trim(string(head[:4])+string(head[8:12]), "\x00") == "" && (minor == 1 || minor == 2)
}

// zipOf tells the two kinds of zips by the name of what is first in one: NumPy's arrays are not in a folder.
func zipOf(head []byte) Form {
	if len(head) < 30 {
		return PyTorch
	}
	name := head[30:min(len(head), 30+int(binary.LittleEndian.Uint16(head[26:])))]
	if bytes.HasSuffix(name, []byte(".npy")) || string(name) == npy.Metadata {
		return NPZ
	}
	return PyTorch
}
