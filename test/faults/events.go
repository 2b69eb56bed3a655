package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// pointsOf lists what TensorBoard shows of a run, without what a clock measured: "tag step bits", sorted. It reads the
// event files as TensorBoard does: in the order of their names, and at a session's start it forgets the points of that
// step and later. It knows only the format, not the code that writes it, and no checksums.
func pointsOf(run string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(run, "events.out.tfevents.*"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var points []point
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if points, err = readEvents(points, text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	var all []string
	for _, p := range points {
		if !strings.HasPrefix(p.tag, "speed/") && p.tag != "exchange/seconds" {
			all = append(all, fmt.Sprintf("%s %d %08x", p.tag, p.step, p.bits))
		}
	}
	slices.Sort(all)
	return all, nil
}

// point is one number of a curve.
type point struct {
	tag  string
	step uint64
	bits uint32 // of a float32
}

var errTorn = errors.New("not an event file to its end")

// readEvents adds the points of a file of TFRecords: a length, its checksum, an event, its checksum.
func readEvents(points []point, text []byte) ([]point, error) {
	const head, foot = 8 + 4, 4
	for len(text) > 0 {
		if len(text) < head {
			return nil, errTorn
		}
		n := binary.LittleEndian.Uint64(text)
		if n > math.MaxInt32 || len(text) < head+int(n)+foot {
			return nil, errTorn
		}
		step, started, values, err := readEvent(text[head : head+int(n)])
		if err != nil {
			return nil, err
		}
		if started {
			points = slices.DeleteFunc(points, func(p point) bool { return p.step >= step })
		}
		for _, p := range values {
			p.step = step
			points = append(points, p)
		}
		text = text[head+int(n)+foot:]
	}
	return points, nil
}

// readEvent reads the fields of a tensorflow.Event that matter: 2 the step, 5 a summary, 7 the session's log.
func readEvent(event []byte) (step uint64, started bool, values []point, err error) {
	err = fields(event, func(field protowire.Number, number uint64, inner []byte) error {
		switch field {
		case 2:
			step = number
		case 5:
			return fields(inner, func(field protowire.Number, _ uint64, inner []byte) error {
				if field != 1 {
					return nil
				}
				var p point
				err := fields(inner, func(field protowire.Number, number uint64, inner []byte) error {
					switch field {
					case 1:
						p.tag = string(inner)
					case 2:
						p.bits = uint32(number)
					}
					return nil
				})
				values = append(values, p)
				return err
			})
		case 7:
			return fields(inner, func(field protowire.Number, number uint64, _ []byte) error {
				started = started || field == 1 && number == 1
				return nil
			})
		}
		return nil
	})
	return step, started, values, err
}

// fields hands on each field of a message: numbers, or the bytes of what is inside.
func fields(message []byte, each func(field protowire.Number, number uint64, inner []byte) error) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var number uint64
		var inner []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(message)
			number = uint64(v)
		case protowire.Fixed64Type:
			number, n = protowire.ConsumeFixed64(message)
		case protowire.BytesType:
			inner, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if err := each(field, number, inner); err != nil {
			return err
		}
	}
	return nil
}
