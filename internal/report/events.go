package report

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"alexnet/internal/files"
)

// A TensorBoard event file is a sequence of TFRecords, each the bytes of a tensorflow.Event
// (tensorflow/core/util/event.proto). The fields in use, with their numbers:
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string, in the first event alone
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	summaryValue = 1 // repeated Value
	valueTag     = 1 // string
	valueSimple  = 2 // float

	sessionStatus = 1 // enum
	sessionStart  = 1 // START: TensorBoard drops events of this step and later ones from earlier files
)

// events writes one event file.
type events struct{ file *log }

// newEvents begins an event file for the steps after step.
func newEvents(fsys files.FS, dir string, step uint64, now time.Time) (*events, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost" // the name only tells files apart
	}
	for n := 0; ; n++ { // a run resumed within a second by the same process
		name := fmt.Sprintf("events.out.tfevents.%010d.%s.%d.%d", now.Unix(), host, os.Getpid(), n)
		f, err := fsys.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		e := &events{&log{File: f}}
		if err := e.file.append(preamble(step, now)); err != nil {
			return nil, errors.Join(err, f.Close(), fsys.Remove(f.Name()))
		}
		return e, nil
	}
}

// preamble is the version that must come first and, where a run goes on, the order to forget what comes after step.
func preamble(step uint64, now time.Time) []byte {
	b := event(now, 0)
	b = protowire.AppendTag(b, eventFileVersion, protowire.BytesType)
	b = record(protowire.AppendString(b, "brain.Event:2"))
	if step == 0 {
		return b
	}
	log := protowire.AppendTag(nil, sessionStatus, protowire.VarintType)
	log = protowire.AppendVarint(log, sessionStart)
	start := event(now, step+1)
	start = protowire.AppendTag(start, eventSessionLog, protowire.BytesType)
	return append(b, record(protowire.AppendBytes(start, log))...)
}

// scalars writes one event with all the numbers of a line.
func (e *events) scalars(m Metrics, now time.Time) error {
	var values []byte
	add := func(tag string, x *float64) {
		if x == nil {
			return
		}
		v := protowire.AppendTag(nil, valueTag, protowire.BytesType)
		v = protowire.AppendString(v, tag)
		v = protowire.AppendTag(v, valueSimple, protowire.Fixed32Type)
		v = protowire.AppendFixed32(v, math.Float32bits(float32(*x)))
		values = protowire.AppendTag(values, summaryValue, protowire.BytesType)
		values = protowire.AppendBytes(values, v)
	}
	add("train/loss", m.Loss)
	add("train/top1_error", m.Top1Error)
	add("train/top5_error", m.Top5Error)
	add("train/lr", m.LR)
	add("train/epoch_loss", m.TrainLoss)
	add("val/loss", m.ValLoss)
	add("val/top1_error", m.ValTop1Error)
	add("val/top5_error", m.ValTop5Error)
	add("speed/images_per_second", m.ImagesPerSecond)
	add("speed/data_stall", m.DataStall)
	add("exchange/bytes", m.ExchangeBytes)
	add("exchange/seconds", m.ExchangeSeconds)
	if values == nil {
		return nil
	}
	b := event(now, m.Step)
	b = protowire.AppendTag(b, eventSummary, protowire.BytesType)
	return e.file.append(record(protowire.AppendBytes(b, values)))
}

func (e *events) close() error { return errors.Join(e.file.Sync(), e.file.Close()) }

// event begins an Event: time and step.
func event(now time.Time, step uint64) []byte {
	b := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(now.UnixNano())/1e9))
	if step == 0 {
		return b // proto3 leaves zeros out
	}
	b = protowire.AppendTag(b, eventStep, protowire.VarintType)
	return protowire.AppendVarint(b, step)
}

// record frames data as TFRecord: length (8 bytes, little endian), its checksum, data, its checksum.
func record(data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, len(data)+16), uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, masked(data))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is TFRecord's checksum: CRC-32C rotated right by 15 bits, plus a constant, so that checksums of data with
// checksums in them do not degenerate (tensorflow/core/lib/hash/crc32c.h).
func masked(b []byte) uint32 {
	crc := crc32.Checksum(b, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}
