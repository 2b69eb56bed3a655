package report

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"alexnet/internal/files"
)

var moment = time.Unix(1354528800, 500_000_000)

// testdata/golden.py wrote the file with TensorBoard's own writer.
func TestGoldenEvents(t *testing.T) {
	want, err := os.ReadFile("testdata/golden.tfevents")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	e, err := newEvents(files.OS, dir, 7, moment)
	if err != nil {
		t.Fatal(err)
	}
	m := Metrics{Step: 300, Loss: new(6.5), LR: new(0.01), ValTop1Error: new(0.0), ExchangeBytes: new(60030976.0)}
	if err := e.scalars(m, moment); err != nil {
		t.Fatal(err)
	}
	if err := e.scalars(Metrics{Step: 301, Epoch: 1}, moment); err != nil { // nothing to say: no event
		t.Fatal(err)
	}
	if err := e.close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(e.file.Name())
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("bytes differ (%v):\ngot  %q\nwant %q", err, got, want)
	}
}

// checksum is CRC-32C bit by bit, masked: nothing of the code under test.
func checksum(data []byte) uint32 {
	crc := ^uint32(0)
	for _, b := range data {
		crc ^= uint32(b)
		for range 8 {
			crc = crc>>1 ^ -(crc&1)&0x82f63b78
		}
	}
	crc = ^crc
	return (crc>>15 | crc<<17) + 0xa282ead8
}

// decode reads an event file into lines "step tag=value".
func decode(t *testing.T, b []byte) (out []string) {
	t.Helper()
	for len(b) > 0 {
		n := binary.LittleEndian.Uint64(b)
		data, rest := b[12:12+n], b[12+n:]
		if binary.LittleEndian.Uint32(b[8:]) != checksum(b[:8]) || binary.LittleEndian.Uint32(rest) != checksum(data) {
			t.Fatal("checksum is wrong")
		}
		b = rest[4:]
		step := uint64(0)
		fields(t, data, func(num protowire.Number, v []byte, x uint64) {
			switch num {
			case eventStep:
				step = x
			case eventFileVersion:
				out = append(out, string(v))
			case eventSessionLog:
				out = append(out, fmt.Sprintf("start at %d", step))
			case eventSummary:
				fields(t, v, func(_ protowire.Number, value []byte, _ uint64) {
					line := fmt.Sprint(step)
					fields(t, value, func(num protowire.Number, v []byte, x uint64) {
						if num == valueTag {
							line += " " + string(v)
						}
					})
					out = append(out, line)
				})
			}
		})
	}
	return out
}

func fields(t *testing.T, b []byte, each func(num protowire.Number, v []byte, x uint64)) {
	t.Helper()
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		switch typ {
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			each(num, v, 0)
			b = b[n:]
		case protowire.VarintType:
			x, n := protowire.ConsumeVarint(b)
			each(num, nil, x)
			b = b[n:]
		default:
			b = b[protowire.ConsumeFieldValue(num, typ, b):]
		}
	}
}

// Each resumption has a file of its own, even within a second, which begins by taking back what came after the
// checkpoint.
func TestEventsOfAResumedRun(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 0, undisturbed()...)
	write(t, dir, 4, step(5))
	names, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(names) != 2 {
		t.Fatalf("files %v, %v", names, err)
	}
	sort.Strings(names)
	var all [][]string
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, decode(t, b))
	}
	first := all[0]
	if len(first) != 1+6*4+2*3 || first[0] != "brain.Event:2" || first[1] != "1 train/loss" ||
		first[len(first)-1] != "6 val/top5_error" {
		t.Errorf("first file: %q", first)
	}
	want := "[brain.Event:2 start at 5 5 train/loss 5 train/lr 5 speed/images_per_second 5 speed/data_stall]"
	if got := fmt.Sprint(all[1]); got != want {
		t.Errorf("second file: %s, want %s", got, want)
	}
}
