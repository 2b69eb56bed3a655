package interop

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"alexnet/internal/files"
)

// Published are weights that somebody published with their accuracy on the 50,000 validation pictures of ILSVRC2012.
type Published struct {
	Name string // of the file, as it is published
	Net  string // the page
	// Top1Error and Top5Error are the shares of pictures that it gets wrong.
	Top1Error, Top5Error float64
	How                  string // they were measured
	Source               string // who says so

	sha1   string // of the file, in hexadecimal
	sha256 string // the same, or its beginning, where no more is published
}

// published are the files whose checksums are known. The figures are those of their makers.
var published = []Published{
	{
		Name: "alexnet-owt-7be5be79.pth", Net: "torchvision", Top1Error: .43478, Top5Error: .20934,
		How:    "shorter side to 256, centre crop of 224",
		Source: "torchvision, AlexNet_Weights.IMAGENET1K_V1", sha256: "7be5be79",
	},
	{
		Name: "alexnet-owt-4df8aa71.pth", Net: "torchvision", Top1Error: .43478, Top5Error: .20934,
		How:    "shorter side to 256, centre crop of 224",
		Source: "torchvision, AlexNet_Weights.IMAGENET1K_V1, before it was saved anew", sha256: "4df8aa71",
	},
	{
		Name: "bvlc_alexnet.caffemodel", Net: "bvlc-alexnet", Top1Error: .429, Top5Error: .198,
		How:    "squashed to 256x256, the mean image subtracted, centre crop of 227",
		Source: "Caffe, models/bvlc_alexnet/readme.md", sha1: "9116a64c0fbe4459d18f4bb6b56d647b63920377",
	},
	{
		Name: "bvlc_reference_caffenet.caffemodel", Net: "caffenet", Top1Error: .426, Top5Error: .196,
		How:    "squashed to 256x256, the mean image subtracted, centre crop of 227",
		Source: "Caffe, models/bvlc_reference_caffenet/readme.md", sha1: "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
	},
	{
		Name: "bvlcalexnet-12.onnx", Net: "bvlc-alexnet", Top1Error: .4520, Top5Error: .2177,
		How:    "centre crop of 224, without padding",
		Source: "ONNX model zoo, vision/classification/alexnet", sha256: "6b0da951",
	},
}

// checksums are those of a file, in hexadecimal.
type checksums struct{ SHA1, SHA256 string }

// sumsOf reads a file once.
func sumsOf(ctx context.Context, fsys files.Reader, path string) (sums checksums, err error) {
	f, err := fsys.Open(path)
	if err != nil {
		return checksums{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return checksums{}, err
	}
	one, two := sha1.New(), sha256.New()
	in := io.NewSectionReader(f, 0, info.Size())
	for {
		if err := context.Cause(ctx); err != nil {
			return checksums{}, err
		}
		if _, err := io.CopyN(io.MultiWriter(one, two), in, 1<<20); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return checksums{}, err
		}
	}
	return checksums{hex.EncodeToString(one.Sum(nil)), hex.EncodeToString(two.Sum(nil))}, nil
}

// publishedAs is the published file with these checksums, nil where there is none.
func publishedAs(sums checksums) *Published {
	for i := range published {
		p := &published[i]
		if p.sha1 != "" && p.sha1 == sums.SHA1 || p.sha256 != "" && strings.HasPrefix(sums.SHA256, p.sha256) {
			return p
		}
	}
	return nil
}
