package report

import (
	"bytes"
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
	eventWallTime    = 1  // double, seconds since 1970
	eventStep        = 2  // int64
	eventFileVersion = 3  // string, only in the first event
	eventSummary     = 5  // Summary
	eventSessionLog  = 7  // SessionLog
	eventSource      = 10 // SourceMetadata, only in the first event
	// Ours, which readers that do not know it pass over: fixed32, the CRC-32C of the line of metrics.jsonl that has
	// the same numbers. So a flipped bit in that file, which has no checksums, can be found.
	eventLine = 1001

	summaryValue = 1 // repeated Value
	valueTag     = 1 // string
	valueSimple  = 2 // float
	valueImage   = 4 // Image
	valueHisto   = 5 // HistogramProto

	imageHeight  = 1 // int32
	imageWidth   = 2 // int32
	imageSpace   = 3 // int32, colorspace: the number of channels
	imageEncoded = 4 // bytes, a PNG

	histoMin     = 1 // double, as all that follow
	histoMax     = 2
	histoNum     = 3
	histoSum     = 4
	histoSquares = 5
	histoLimit   = 6 // repeated, packed
	histoBucket  = 7 // repeated, packed

	sessionStatus = 1 // enum
	sessionStart  = 1 // START: TensorBoard drops events of this step and later ones from earlier files

	sourceWriter = 1 // string

	version = "brain.Event:2"
	writer  = "alexnet" // by which we know our own files
)

// newEvents begins the event file of a run that goes on after step, whose metrics hold the lines again of that step. It
// is durable, and says what these lines say and what earlier files show of the step, before those lose their events of
// it: a run that is killed between the two has some twice, until the next resume cuts them.
func (w *Writer) newEvents(dir string, step uint64, again []line, keepShown bool, now time.Time) error {
	paths, stamp, err := ownEvents(w.fsys, dir)
	if err != nil {
		return err
	}
	from := step // the first step whose events are to go
	if step > 0 && len(again) == 0 {
		from++ // the metrics were lost; what the events have is kept
	}
	older := make([]cuts, len(paths))
	shown := shownAgain{step: step, wanted: keepShown && len(again) > 0}
	for i, path := range paths {
		if older[i], err = lookForCuts(w.fsys, path, from, &shown); err != nil {
			return err
		}
	}
	// Readers take files by their names: a clock that was set back, or a second run within a second, changes no order.
	made := max(now.Unix(), stamp)
	var name string
	var f files.File
	for n := 0; f == nil; n++ {
		name = filepath.Join(dir, eventsName(made, n))
		f, err = files.OpenOwn(w.fsys, name, os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o666)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	w.events = &log{File: f}
	if err = w.begin(step > 0 || len(older) > 0, from, shown.records, again, now); err == nil {
		err = w.fsys.SyncDir(dir)
	}
	for i := 0; err == nil && i < len(older); i++ {
		err = older[i].cut(w.fsys)
	}
	if err != nil {
		return errors.Join(err, f.Close(), w.fsys.Remove(name))
	}
	return nil
}

// eventsName is as TensorBoard's own writers make it. n tells files of a second apart.
func eventsName(made int64, n int) string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost" // the name only tells files apart
	}
	return fmt.Sprintf("events.out.tfevents.%010d.%s.%d.%d", made, host, os.Getpid(), n)
}

// begin writes what an event file begins with. shown are records; what may be written again must be the last.
func (w *Writer) begin(resumed bool, from uint64, shown []byte, again []line, now time.Time) error {
	first := preamble(now)
	if resumed {
		first = append(first, start(from, now)...)
	}
	first = append(first, shown...)
	for i := range again {
		event := scalars(again[i].m, again[i].text, now)
		if w.redo != nil && i == len(again)-1 {
			w.redo.event = spot{int64(len(first)), event}
		}
		first = append(first, event...)
	}
	if err := w.events.append(first); err != nil {
		return err
	}
	return w.events.Sync()
}

// preamble is the version, which must come first, and who writes.
func preamble(now time.Time) []byte {
	b := event(now, 0)
	b = protowire.AppendTag(b, eventFileVersion, protowire.BytesType)
	b = protowire.AppendString(b, version)
	source := protowire.AppendTag(nil, sourceWriter, protowire.BytesType)
	source = protowire.AppendString(source, writer)
	b = protowire.AppendTag(b, eventSource, protowire.BytesType)
	return record(protowire.AppendBytes(b, source))
}

// start is the order to forget what earlier files have of step and later ones.
func start(step uint64, now time.Time) []byte {
	log := protowire.AppendTag(nil, sessionStatus, protowire.VarintType)
	log = protowire.AppendVarint(log, sessionStart)
	b := event(now, step)
	b = protowire.AppendTag(b, eventSessionLog, protowire.BytesType)
	return record(protowire.AppendBytes(b, log))
}

// scalar is a number in an event.
type scalar struct {
	tag   string
	value *float64 // nil: the line has none
}

// scalarsOf are the numbers of a line under TensorBoard's tags.
func scalarsOf(m *Metrics) []scalar {
	return []scalar{
		{"train/loss", m.Loss},
		{"train/top1_error", m.Top1Error},
		{"train/top5_error", m.Top5Error},
		{"train/lr", m.LR},
		{"train/epoch_loss", m.TrainLoss},
		{"val/loss", m.ValLoss},
		{"val/top1_error", m.ValTop1Error},
		{"val/top5_error", m.ValTop5Error},
		{"speed/images_per_second", m.ImagesPerSecond},
		{"speed/data_stall", m.DataStall},
		{"exchange/bytes", m.ExchangeBytes},
		{"exchange/seconds", m.ExchangeSeconds},
	}
}

// scalars is one event with all the numbers of a line, and the line's checksum.
func scalars(m Metrics, line []byte, now time.Time) []byte {
	var values []byte
	for _, s := range scalarsOf(&m) {
		if s.value == nil {
			continue
		}
		v := protowire.AppendTag(nil, valueTag, protowire.BytesType)
		v = protowire.AppendString(v, s.tag)
		v = protowire.AppendTag(v, valueSimple, protowire.Fixed32Type)
		v = protowire.AppendFixed32(v, math.Float32bits(float32(*s.value)))
		values = protowire.AppendTag(values, summaryValue, protowire.BytesType)
		values = protowire.AppendBytes(values, v)
	}
	b := event(now, m.Step)
	if values != nil {
		b = protowire.AppendTag(b, eventSummary, protowire.BytesType)
		b = protowire.AppendBytes(b, values)
	}
	b = protowire.AppendTag(b, eventLine, protowire.Fixed32Type)
	return record(protowire.AppendFixed32(b, lineSum(line)))
}

// Image is a picture for TensorBoard.
type Image struct {
	Tag           string // "filters/conv1"
	Width, Height int
	PNG           []byte // RGB or grey
}

// value is the picture as a value of a summary. TensorBoard asks only for the PNG; the colour space is that of RGB.
func (i *Image) value() []byte {
	b := appendNumber(nil, imageHeight, uint64(i.Height))
	b = appendNumber(b, imageWidth, uint64(i.Width))
	b = appendNumber(b, imageSpace, 3)
	b = appendBytes(b, imageEncoded, i.PNG)
	return appendBytes(appendBytes(nil, valueTag, []byte(i.Tag)), valueImage, b)
}

// value is the histogram as a value of a summary.
func (h *Histogram) value() []byte {
	var b []byte
	for _, x := range []struct {
		num   protowire.Number
		value float64
	}{{histoMin, h.Min}, {histoMax, h.Max}, {histoNum, h.N}, {histoSum, h.Sum}, {histoSquares, h.Squares}} {
		if x.value != 0 { // proto3 leaves zeros out
			b = protowire.AppendTag(b, x.num, protowire.Fixed64Type)
			b = protowire.AppendFixed64(b, math.Float64bits(x.value))
		}
	}
	for _, xs := range []struct {
		num    protowire.Number
		values []float64
	}{{histoLimit, h.Limits}, {histoBucket, h.Counts}} {
		var packed []byte
		for _, x := range xs.values {
			packed = protowire.AppendFixed64(packed, math.Float64bits(x))
		}
		b = appendBytes(b, xs.num, packed)
	}
	return appendBytes(appendBytes(nil, valueTag, []byte(h.Tag)), valueHisto, b)
}

// showing is a record of one value of a step that is not a number.
func showing(step uint64, value []byte, now time.Time) []byte {
	return record(appendBytes(event(now, step), eventSummary, appendBytes(nil, summaryValue, value)))
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendNumber(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

// lineSum is the checksum of a line, without its end.
func lineSum(line []byte) uint32 {
	return crc32.Checksum(bytes.TrimSuffix(line, []byte("\n")), castagnoli)
}

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
	b = binary.LittleEndian.AppendUint32(b, masked(crc32.Checksum(b, castagnoli)))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, masked(crc32.Checksum(data, castagnoli)))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is TFRecord's checksum of a CRC-32C: rotated right by 15 bits, plus a constant, so that checksums of data with
// checksums in them do not degenerate (tensorflow/core/lib/hash/crc32c.h).
func masked(crc uint32) uint32 { return (crc>>15 | crc<<17) + 0xa282ead8 }
