package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image/png"
	"io"
	"math"
	"path/filepath"
	"strings"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/model"
	"alexnet/internal/neighbors"
	"alexnet/internal/npy"
	"alexnet/internal/report"
	"alexnet/internal/safetensors"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
)

// facts are what a run's files are held to each other by.
type facts struct {
	weights *checkpoint.Checkpoint // without its tensors, which are closed; nil: it is none that can be read
	lines   []oneLine              // of the metrics, in their order
	last    uint64                 // the step of the last of them
	saved   bool                   // they go on after an epoch, at whose end a checkpoint is written
	damaged bool                   // some of them could not be taken
	torn    bool                   // the file ends in the midst of a record
	events  []oneLine              // those that name a line
	page    []byte
}

// oneLine is a line of the metrics, or a record of the events that was written with one.
type oneLine struct {
	step   uint64
	sum    uint32 // the line's CRC-32C
	number int32  // of the line or record in its file, from 1
}

// kinds are tried in this order. Another format adds its line here.
var kinds = []kind{
	{"weights", ending(".safetensors"), beginsWeights, weights},
	{"metrics", ending(".jsonl"), begins(`{"step":`), metrics},
	{"events", func(base string) bool { return strings.Contains(base, ".tfevents.") }, beginsEvents, events},
	{"picture", ending(".png"), begins(pngHead), picture},
	{"array", ending(".npy"), begins(npy.Magic), array},
	{"index", ending(".index"), begins(neighbors.Magic), index},
	{"page", ending(".yaml", ".yml"), begins("model:", "train:", "data:"), page},
}

func ending(endings ...string) func(string) bool {
	return func(base string) bool {
		for _, e := range endings {
			if strings.EqualFold(filepath.Ext(base), e) {
				return true
			}
		}
		return false
	}
}

func begins(heads ...string) func([]byte) bool {
	return func(head []byte) bool {
		for _, h := range heads {
			if bytes.HasPrefix(head, []byte(h)) {
				return true
			}
		}
		return false
	}
}

// beginsWeights: a header of JSON after its length.
func beginsWeights(head []byte) bool {
	return len(head) > 10 && bytes.HasPrefix(head[8:], []byte(`{"`))
}

// beginsEvents: a record whose length has the right checksum.
func beginsEvents(head []byte) bool {
	var bad *report.EventError
	err := report.ReadEvents(bytes.NewReader(head), func(report.Event) error { return nil })
	return len(head) > 16 && (err == nil || errors.As(err, &bad) && (bad.Torn || bad.Number > 1))
}

// infinite are the bits that are all set in what is infinite or NaN.
const infinite = 0x7f800000

// weights verifies a safetensors file: header, each tensor, and of a checkpoint what it says and whether its tensors
// are those of its net.
func weights(c *checker, f *opened, into *facts) error {
	r, err := safetensors.NewReader(c.path, f.file, f.size)
	var bad *tensor.BadFile
	if errors.As(err, &bad) {
		c.damaged("header", "%s", bad.Reason)
		return nil
	}
	if err != nil {
		return err
	}
	seen, done := map[string]bool{}, int64(0)
	odd := 0 // tensors with numbers that are none
	for i, t := range r.Tensors {
		finite := true
		err := r.Blocks(c.ctx, i, func(n int, v []float32) {
			for _, x := range v {
				finite = finite && math.Float32bits(x)&infinite != infinite
			}
			done += int64(n)
			c.tell(done, f.size)
		})
		switch {
		case errors.As(err, &bad):
			seen[bad.Reason] = true
			c.damaged("tensor "+t.Name, "%s", bad.Reason)
		case err != nil:
			return err
		case !finite:
			odd++
			c.add("tensor "+t.Name, Remark, "its checksum agrees, but some of its numbers are infinite or none (NaN)")
		}
	}
	n := text.Count(len(r.Tensors), "tensor")
	if !r.Checked() {
		c.add("", Remark, "%s; the file is another program's and has no checksums: only its form was verified", n)
		return nil
	}
	what, err := ownWeights(c, r, seen, into)
	if err != nil {
		return err
	}
	c.sound("%s%s, every checksum agrees", what, n)
	return nil
}

// ownWeights verifies what a file with checksums says of itself. seen is the damage that was told.
func ownWeights(c *checker, r *safetensors.Reader, seen map[string]bool, into *facts) (what string, err error) {
	ck, err := checkpoint.LoadFrom(r)
	var bad *tensor.BadFile
	var foreign *checkpoint.Foreign
	switch {
	case errors.As(err, &foreign):
		return "weights: ", nil
	case errors.As(err, &bad):
		if !seen[bad.Reason] {
			c.damaged("metadata", "%s", bad.Reason)
		}
		return "", nil
	case err != nil:
		return "", err
	}
	into.weights = ck
	if err := fits(ck); err != nil {
		c.damaged("metadata", "%v", err)
	}
	return fmt.Sprintf("checkpoint of step %d: ", ck.Step), nil
}

// fits holds the tensors to the net of the page.
func fits(ck *checkpoint.Checkpoint) error {
	cfg, err := config.Parse(ck.Config, nil)
	if err != nil {
		return fmt.Errorf("its configuration: %w", err)
	}
	arch, err := model.Of(cfg, len(ck.Classes))
	if err != nil {
		return fmt.Errorf("its configuration: %w", err)
	}
	var slots, momentum []checkpoint.Slot
	for i, p := range arch.Params {
		slots = append(slots, checkpoint.Slot{Name: p.Name, Shape: p.Shape})
		if arch.Learns(i) {
			momentum = append(momentum, slots[i])
		}
	}
	if err := ck.Fits(slots); err != nil {
		return err
	}
	if len(ck.Momentum) == 0 {
		return nil
	}
	return ck.FitsMomentum(momentum)
}

// unfinished is what is said of a line or a record in which the file ends.
const unfinished = "it is torn: its writer was killed, or is writing it; a run that goes on writes it again"

// metrics verifies each line, and that their steps follow each other.
func metrics(c *checker, f *opened, into *facts) error {
	var before *report.Metrics // the last line that is whole
	ended := 0                 // the epoch whose line was seen last
	first, lines := uint64(0), 0
	err := report.ReadLines(f, func(l report.Line) error {
		part := fmt.Sprintf("line %d", l.Number)
		switch {
		case l.Torn:
			c.add(part, Remark, unfinished)
			return nil
		case l.Err != nil:
			c.damaged(part, "%v", l.Err)
			before, into.damaged = nil, true
			return nil
		}
		if lines++; l.Number == 1 {
			first = l.M.Step
		}
		if why := follows(before, &l.M, ended); why != "" {
			c.damaged(part, "%s", why)
			into.damaged = true
		}
		if before = &l.M; l.M.LR == nil {
			ended = l.M.Epoch
		} else if ended > 0 {
			into.saved = true
		}
		into.lines = append(into.lines, oneLine{l.M.Step, l.Sum, int32(l.Number)})
		into.last = l.M.Step
		return nil
	})
	if err != nil {
		return err
	}
	if first > 1 {
		c.add("line 1", Remark, "it is of step %d: the lines before were moved away", first)
	}
	c.sound("%s, up to step %d; they have no checksums of their own", text.Count(lines, "line"), into.last)
	return nil
}

// follows tells why m cannot come after before; "": it can. ended is the epoch that ended last.
func follows(before, m *report.Metrics, ended int) string {
	if before == nil {
		return ""
	}
	step, epoch := before.Step+1, before.Epoch
	if m.LR == nil { // an epoch's end
		step = before.Step
	}
	switch {
	case m.Step != step:
		return fmt.Sprintf("it is of step %d, after step %d", m.Step, before.Step)
	case m.Epoch != epoch && (m.Epoch != epoch+1 || ended != epoch):
		return fmt.Sprintf("it is of epoch %d, after epoch %d", m.Epoch, epoch)
	}
	return ""
}

// events verifies the checksums of each record.
func events(c *checker, f *opened, into *facts) error {
	n, ours, last := 0, false, uint64(0)
	err := report.ReadEvents(f, func(e report.Event) error {
		n++
		if n == 1 {
			ours = e.Ours()
			if !strings.HasPrefix(e.Version, "brain.Event:") {
				c.damaged("record 1", "it does not say the version of the format")
			}
		}
		if e.Line != nil {
			into.events = append(into.events, oneLine{e.Step, *e.Line, int32(e.Number)})
		}
		last = max(last, e.Step)
		return nil
	})
	var bad *report.EventError
	switch {
	case errors.As(err, &bad) && bad.Torn:
		into.torn = true
		c.add(fmt.Sprintf("record %d", bad.Number), Remark,
			unfinished)
	case errors.As(err, &bad):
		c.damaged(fmt.Sprintf("record %d", bad.Number), "%s, at byte %d; what follows cannot be read", bad.Reason,
			bad.At)
	case err != nil:
		return err
	}
	if n == 0 && bad == nil {
		c.add("", Remark, "it is empty")
		return nil
	}
	of := ""
	if !ours {
		of = "; it was not written by this version of the program"
	}
	c.sound("%s, up to step %d, every checksum agrees%s", text.Count(n, "record"), last, of)
	return nil
}

const (
	pngHead   = "\x89PNG\r\n\x1a\n"
	pngPixels = 1 << 26 // those that are decoded at most
)

// picture verifies a PNG: the checksum of each chunk, and that it can be decoded.
func picture(c *checker, f *opened, _ *facts) error {
	part, err := pngChunks(f)
	var bad pngError
	if errors.As(err, &bad) {
		c.damaged(part, "%s", string(bad))
		return nil
	}
	if err != nil {
		return err
	}
	size, err := png.DecodeConfig(io.NewSectionReader(f.file, 0, f.size))
	if err == nil && int64(size.Width)*int64(size.Height) <= pngPixels {
		_, err = png.Decode(io.NewSectionReader(f.file, 0, f.size))
	}
	if err != nil {
		c.damaged("", "%v", err)
	}
	c.sound("%dx%d pixels, every checksum agrees", size.Width, size.Height)
	return nil
}

// pngError is what is wrong with a chunk.
type pngError string

func (e pngError) Error() string { return string(e) }

// pngChunks goes over the chunks, each with length, name, data and CRC-32, and tells where something is wrong.
func pngChunks(r io.Reader) (part string, err error) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(r, head); err != nil {
		return "", cutPNG(err)
	}
	if string(head) != pngHead {
		return "", pngError("it does not begin as a PNG")
	}
	for n := 1; ; n++ {
		part = fmt.Sprintf("chunk %d", n)
		if _, err := io.ReadFull(r, head); err != nil {
			return part, cutPNG(err)
		}
		sum := crc32.NewIEEE()
		sum.Write(head[4:])
		if _, err := io.CopyN(sum, r, int64(binary.BigEndian.Uint32(head))); err != nil {
			return part, cutPNG(err)
		}
		name := string(head[4:])
		if _, err := io.ReadFull(r, head[:4]); err != nil {
			return part, cutPNG(err)
		}
		if binary.BigEndian.Uint32(head) != sum.Sum32() {
			return part, pngError("its checksum does not agree")
		}
		if name == "IEND" {
			break
		}
	}
	if n, err := io.Copy(io.Discard, r); err != nil || n > 0 {
		return "", errors.Join(err, pngError(fmt.Sprintf("%d bytes follow its end", n)))
	}
	return "", nil
}

func cutPNG(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return pngError("the file ends in it")
	}
	return err
}

// array verifies the form of a NumPy array.
func array(c *checker, f *opened, _ *facts) error {
	shape, err := npy.Check(f, f.size)
	if bad := (*tensor.BadFile)(nil); errors.As(err, &bad) {
		c.damaged("header", "%s", bad.Reason)
		return nil
	}
	if err != nil {
		return err
	}
	c.sound("an array of shape %v; the format has no checksums: only its form was verified", shape)
	return nil
}

// index verifies the checksums of an index of pictures.
func index(c *checker, f *opened, _ *facts) error {
	x, err := neighbors.Open(c.fsys, c.path)
	if err == nil {
		defer x.Close() //nolint:errcheck // only read
		err = x.Verify(c.ctx, func(rows int) { c.tell(4*int64(rows)*int64(x.Dim()), f.size) })
	}
	if bad := (*neighbors.BadIndex)(nil); errors.As(err, &bad) {
		c.damaged("", "%s", bad.Reason)
		return nil
	}
	if err != nil {
		return err
	}
	c.sound("an index of %s, %s of each, every checksum agrees", text.Count(x.Len(), "picture"),
		text.Count(x.Dim(), "number"))
	return nil
}

// page verifies that a page can be read.
func page(c *checker, f *opened, into *facts) error {
	text, err := io.ReadAll(io.LimitReader(f, config.MaxPage+1))
	if err != nil {
		return err
	}
	if len(text) > config.MaxPage {
		c.damaged("", "it is longer than a page can be")
		return nil
	}
	into.page = text
	if _, err := config.Parse(text, nil); err != nil {
		c.damaged("", "%v", err)
	}
	c.sound("a page that can be read; it has no checksum")
	return nil
}
