package picture

import (
	"encoding/binary"
	"fmt"
)

// unreadBMP names what x/image/bmp does not read.
func unreadBMP(raw []byte) string {
	if len(raw) < 34 {
		return ""
	}
	head, bits, packing := raw[14], binary.LittleEndian.Uint16(raw[28:]), binary.LittleEndian.Uint32(raw[30:])
	switch {
	case head == 12:
		return "BMP of OS/2"
	case packing == 1 || packing == 2:
		return fmt.Sprintf("run-length-coded BMP (RLE%d)", 12-4*packing)
	case packing == 4 || packing == 5:
		return "BMP with a JPEG or PNG in it"
	case bits == 16:
		return "BMP of 16 bits a pixel"
	}
	return ""
}
