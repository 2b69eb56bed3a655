package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// codec is parquet.thrift's CompressionCodec.
type codec int64

const (
	uncompressed codec = 0
	snappyCodec  codec = 1
	gzipCodec    codec = 2
	zstdCodec    codec = 6
)

func (c codec) known() bool {
	return c == uncompressed || c == snappyCodec || c == gzipCodec || c == zstdCodec
}

func (c codec) String() string {
	names := map[codec]string{
		uncompressed: "none", snappyCodec: "Snappy", gzipCodec: "gzip", 3: "LZO", 4: "Brotli", 5: "LZ4",
		zstdCodec: "Zstandard", 7: "LZ4 (raw)",
	}
	if name, ok := names[c]; ok {
		return name
	}
	return fmt.Sprintf("number %d", int64(c))
}

// unpackers are kept for the pages of a reading.
type unpackers struct {
	zstd *zstd.Decoder
	gzip *gzip.Reader
}

func (u *unpackers) close() {
	if u.zstd != nil {
		u.zstd.Close()
	}
}

// errLength is of packed bytes that do not fill their page, or do not fit.
var errLength = errors.New("it does not unpack to the length that it states")

// unpack fills page with what was packed.
func (u *unpackers) unpack(c codec, page, packed []byte) error {
	switch c {
	case snappyCodec:
		if n, err := snappy.DecodedLen(packed); err != nil || n != len(page) {
			return errors.Join(errLength, err)
		}
		_, err := snappy.Decode(page, packed)
		return err
	case gzipCodec:
		return u.ungzip(page, packed)
	case zstdCodec:
		return u.unzstd(page, packed)
	default:
		panic(fmt.Sprintf("parquet: codec %v was let through", c))
	}
}

func (u *unpackers) ungzip(page, packed []byte) (err error) {
	if u.gzip == nil {
		u.gzip = new(gzip.Reader)
	}
	if err := u.gzip.Reset(bytes.NewReader(packed)); err != nil {
		return err
	}
	if _, err := io.ReadFull(u.gzip, page); err != nil {
		return err
	}
	var more [1]byte
	if n, err := io.ReadFull(u.gzip, more[:]); n > 0 {
		return errLength
	} else if err != io.EOF {
		return err // the checksum is compared at the end
	}
	return nil
}

func (u *unpackers) unzstd(page, packed []byte) error {
	if u.zstd == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecodeAllCapLimit(true)) // it writes no further than page
		if err != nil {
			return err
		}
		u.zstd = d
	}
	got, err := u.zstd.DecodeAll(packed, page[:0:len(page)])
	if err == nil && len(got) != len(page) {
		err = errLength
	}
	return err
}
