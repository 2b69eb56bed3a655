// Package shards is the form of a prepared set: a folder of WebDataset tars, which other programs read in order, with
// an index beside them that says where in them each picture lies, so that any can be read at once.
//
//	train-00000.tar ..  validation-00000.tar ..  test-00000.tar ..
//	_info.json               what timm reads of the parts: shards and how many pictures are in each
//	classes.json             the names of the classes, by label
//	index                    of all pictures: shard, offset, length, label, CRC32C, name
//	statistics.safetensors   mean and colours of the training pictures
//	report.jsonl             what could not be read of the source, and why
//
// In a tar a picture is three files, KEY.jpg, KEY.cls (its label in digits) and KEY.json (where it came from), in the
// form ustar, with no times and no owners, so that the same pictures are the same bytes. Which shard of its part a
// picture is in follows from a hash of KEY: each shard is a fair sample, in the source's order.
//
// The package knows the bytes and nothing of what they show; package data reads such a set, package prepare makes one.
// It imports files, of which it opens the shards.
package shards

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Names in the folder of a set.
const (
	IndexName   = "index"
	InfoName    = "_info.json"
	ClassesName = "classes.json"
	StatsName   = "statistics.safetensors"
	ReportName  = "report.jsonl"
)

// While a set is made it lies as UnfinishedName in its files.Partial, beside a file StateName.
const (
	UnfinishedName = "set"
	StateName      = "state"
)

// Parts are the names of the parts in their order, as in the names of shards and in _info.json: timm's.
var Parts = [...]string{"train", "validation", "test"}

// Name is the file of a shard of a part.
func Name(part, shard int) string { return fmt.Sprintf("%s-%05d.tar", Parts[part], shard) }

// Choose is the shard, of count, in which a picture is that has key. FNV-1a of 64 bits.
func Choose(key string, count int) int { return int(Hash(key) % uint64(count)) }

// castagnoli is the polynomial of every checksum here.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC32C of b.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// How long a key may be, its last part and its folders: ustar has 100 bytes for the last part of a name and 155 for its
// folders, and the longest ending is .json.
const (
	maxBase   = 95
	maxFolder = 150
)

// Keys gives pictures their keys: what a tar calls them, without the ending. A key is the picture's name without its
// own ending. Readers of such tars take all up to the first dot of the last part for the key, so dots in there are
// written %2e; so are percent signs, blanks and what is not printable ASCII. Where that would give two pictures one
// key, or a key that is too long, the key ends in a tilde and a hash of the name.
type Keys struct {
	seen   map[uint64]struct{}
	shared map[uint64]struct{}
}

// NewKeys takes all names, each of one picture, in any order. It remembers 64 bits of each.
func NewKeys(names func(yield func(string) bool)) *Keys {
	k := &Keys{seen: map[uint64]struct{}{}, shared: map[uint64]struct{}{}}
	for name := range names {
		h := Hash(stem(name))
		if _, twice := k.seen[h]; twice {
			k.shared[h] = struct{}{}
		}
		k.seen[h] = struct{}{}
	}
	k.seen = nil
	return k
}

// Of is the key of one of the names.
func (k *Keys) Of(name string) string {
	key := stem(name)
	folder, base := path.Split(key)
	if _, shared := k.shared[Hash(key)]; !shared && len(base) <= maxBase && len(folder) <= maxFolder {
		return key
	}
	const digits = 16
	if len(folder) > maxFolder {
		folder = "long/"
	}
	return fmt.Sprintf("%s%s~%0*x", folder, base[:min(len(base), maxBase-digits-1)], digits, Hash(name))
}

// Hash is FNV-1a of 64 bits.
func Hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // never fails
	return h.Sum64()
}

// stem is a name without its ending, as a key may have it.
func stem(name string) string {
	folder, base := path.Split(name)
	if cut := strings.LastIndexByte(base, '.'); cut > 0 {
		base = base[:cut]
	}
	return escape(folder, false) + escape(base, true)
}

// escape writes what a key must not have as % and two hexadecimal digits.
func escape(s string, dots bool) string {
	plain := func(c byte) bool { return c > ' ' && c < 0x7f && c != '%' && c != '~' && (c != '.' || !dots) }
	if !slices.ContainsFunc([]byte(s), func(c byte) bool { return !plain(c) }) {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		if plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

// End is what ends a tar: two empty blocks.
var End = make([]byte, 2*block)

const block = 512

// Append writes a picture's three files to buf and tells where in it the picture's own bytes begin. origin is what its
// JSON says of where it came from.
func Append(buf *bytes.Buffer, key string, label int, origin any, picture []byte) (off int, err error) {
	note, err := json.Marshal(origin)
	if err != nil {
		return 0, err
	}
	w := tar.NewWriter(buf)
	for i, file := range []struct {
		ending  string
		content []byte
	}{{".jpg", picture}, {".cls", []byte(strconv.Itoa(label))}, {".json", note}} {
		h := &tar.Header{
			Typeflag: tar.TypeReg, Name: key + file.ending, Size: int64(len(file.content)), Mode: 0o644,
			Format: tar.FormatUSTAR,
		}
		if err := w.WriteHeader(h); err != nil {
			return 0, err
		}
		if i == 0 {
			off = buf.Len()
		}
		if _, err := w.Write(file.content); err != nil {
			return 0, err
		}
	}
	return off, w.Flush() // not Close, which would end the tar
}

// Taken is about how many bytes a picture of so many takes in a tar: three headers, two small files, whole blocks.
func Taken(picture int64) int64 { return 5*block + (picture+block-1)/block*block }

// Info is _info.json.
func Info(pictures [len(Parts)][]int) ([]byte, error) {
	type split struct {
		Name      string   `json:"name"`
		Samples   int      `json:"num_samples"`
		Filenames []string `json:"filenames"`
		Lengths   []int    `json:"shard_lengths"`
	}
	splits := map[string]split{}
	for part, lengths := range pictures {
		s := split{Name: Parts[part], Lengths: lengths}
		for i, n := range lengths {
			s.Filenames = append(s.Filenames, Name(part, i))
			s.Samples += n
		}
		if len(lengths) > 0 {
			splits[s.Name] = s
		}
	}
	text, err := json.MarshalIndent(map[string]any{"splits": splits}, "", " ")
	return append(text, '\n'), err
}
