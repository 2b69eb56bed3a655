//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"unsafe"

	"gorgonia.org/cu"

	"alexnet/internal/gpu/cuda"
)

// access tells whether copies go from one GPU to another's memory, both ways.
type access struct {
	ok   bool
	note string // why not, although the driver says that they can
}

// told is the note as a sentence.
func (s access) told(a, b *card) string {
	if s.note == "" {
		return ""
	}
	return fmt.Sprintf("what crosses between cuda:%d and cuda:%d goes through the host's memory: %s", a.Ordinal,
		b.Ordinal, s.note)
}

// reaches looks at a pair of GPUs, once. That the driver promises access is not enough: on some machines it cannot be
// enabled, on others copies arrive damaged (pytorch/pytorch#84803, NVIDIA/open-gpu-kernel-modules#1257). So a pattern
// goes both ways first. The context of the first is current then.
func (c *card) reaches(other *card) access {
	if s, known := c.peers[other]; known {
		return s
	}
	var s access
	if can(c, other) && can(other, c) {
		s.ok = true
		if err := connect(c, other); err != nil {
			s = access{note: err.Error()}
			disconnect(c, other)
		}
	}
	c.peers[other], other.peers[c] = s, s
	_ = c.do(func() error { return nil }) // makes the context current again
	return s
}

func can(from, to *card) bool {
	yes, err := cuda.CanAccess(from.Ordinal, to.Ordinal)
	return err == nil && yes
}

// connect enables access both ways, and tries it.
func connect(a, b *card) error {
	if os.Getenv("ALEXNET_PEER") == "0" {
		return errors.New("ALEXNET_PEER=0")
	}
	for _, pair := range [][2]*card{{a, b}, {b, a}} {
		if err := pair[0].do(func() error { return pair[0].Reach(pair[1].Context) }); err != nil {
			return err
		}
	}
	if err := arrives(a, b); err != nil {
		return err
	}
	return arrives(b, a)
}

// disconnect takes access back as far as it was enabled: copies that the driver makes by itself then do without, too.
func disconnect(a, b *card) {
	for _, pair := range [][2]*card{{a, b}, {b, a}} {
		_ = pair[0].do(func() error { return pair[0].Withdraw(pair[1].Context) })
	}
}

// patternBytes is what goes each way to try it.
const patternBytes = 4 << 20

// arrives copies a pattern from one GPU to another, no two words alike and none 0, and looks at what came.
func arrives(from, to *card) (err error) {
	sent, came := make([]uint32, patternBytes/4), make([]uint32, patternBytes/4)
	for i := range sent {
		sent[i] = 2654435761 * uint32(i+1) // odd: no two products are equal
	}
	var ends [2]cu.DevicePtr
	for i, c := range []*card{from, to} {
		words := [][]uint32{sent, came}[i]
		defer func() { err = errors.Join(err, c.do(func() error { return cuda.Free(ends[i]) })) }()
		if err := c.do(func() (err error) { ends[i], err = upload(words); return err }); err != nil {
			return err
		}
	}
	err = to.do(func() error {
		if err := cu.MemcpyPeerAsync(ends[1], to.C(), ends[0], from.C(), patternBytes, cu.NoStream); err != nil {
			return cuda.Wrap("cuMemcpyPeerAsync", err)
		}
		if err := cu.NoStream.Synchronize(); err != nil {
			return cuda.Wrap("cuStreamSynchronize", err)
		}
		return cuda.Wrap("cuMemcpyDtoH", cu.MemcpyDtoH(unsafe.Pointer(&came[0]), ends[1], patternBytes))
	})
	if err == nil && !slices.Equal(sent, came) {
		err = fmt.Errorf("copies from cuda:%d to cuda:%d arrive damaged", from.Ordinal, to.Ordinal)
	}
	return err
}

// upload takes memory for words in the current context, and fills it.
func upload(words []uint32) (p cu.DevicePtr, err error) {
	if p, err = cuda.Alloc(patternBytes); err != nil {
		return 0, err
	}
	return p, cuda.Write(p, unsafe.Pointer(&words[0]), patternBytes, cu.NoStream)
}
