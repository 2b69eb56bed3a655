// Package safetensors reads and writes the format of that name: named tensors and a few words of metadata in one file.
//
// A safetensors file is eight bytes of header length (little endian), a JSON header that gives each tensor's type,
// shape and place, and then the tensors' bytes (https://github.com/huggingface/safetensors, "Format"). Any reader of
// the format can open ours, and any file of the format can be opened here. What ours have besides is a CRC32C of each
// tensor and one of the header, in the header's metadata, so that no damaged file is ever taken for a sound one: on
// reading, every flipped bit and every missing byte is found, and is a [*tensor.BadFile].
//
// A file is written whole or not at all, as package atomicfile has it. It grows under a temporary name tensor by
// tensor, through one buffer: whatever kills the writer, the name holds the old file or the new one.
//
// Tensors come from and go to callbacks, in row-major order, fp32; files of half the size, F16, can be written and
// read. What the tensors and the metadata mean is the caller's business: of the program the package imports tensor,
// atomicfile, files and text.
package safetensors
