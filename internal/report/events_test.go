package report

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
)

var moment = time.Unix(1354528800, 500_000_000)

// testdata/golden.py wrote the file with TensorBoard's own writer.
func TestGoldenEvents(t *testing.T) {
	want, err := os.ReadFile("testdata/golden.tfevents")
	if err != nil {
		t.Fatal(err)
	}
	m := Metrics{Step: 300, Loss: new(6.5), LR: new(0.01), ValTop1Error: new(0.0), ExchangeBytes: new(60030976.0)}
	img := Image{Tag: "filters/conv1", Width: 200, Height: 3, PNG: []byte("a PNG")}
	histogram := Histogram{
		Tag: "weights/conv1.bias", N: 4, Min: -1, Max: 0.5, Squares: 1.5, Limits: []float64{-0.5, 0, 0.5},
		Counts: []float64{1, 0, 3},
	}
	got := slices.Concat(preamble(moment), start(7, moment), scalars(m, []byte("a line\n"), moment),
		showing(300, img.value(), moment), showing(300, histogram.value(), moment))
	if !bytes.Equal(got, want) {
		t.Errorf("bytes differ:\ngot  %q\nwant %q", got, want)
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
func decode(t testing.TB, b []byte) (out []string) {
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

func fields(t testing.TB, b []byte, each func(num protowire.Number, v []byte, x uint64)) {
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

// eventFiles are the run's event files in the order of their names, in which readers take them.
func eventFiles(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(names)
	return names
}

// Each resumption has a file of its own, even within a second. It says again what there is of its checkpoint's step,
// and the earlier file ends before that.
func TestEventsOfAResumedRun(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 0, undisturbed()...)
	write(t, dir, 4, step(5))
	names := eventFiles(t, dir)
	if len(names) != 2 {
		t.Fatalf("files %v", names)
	}
	var all [][]string
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, decode(t, b))
	}
	first := all[0]
	if len(first) != 1+3*4+2+3 || first[0] != "brain.Event:2" || first[1] != "1 train/loss" ||
		first[13] != "3 filters/conv1" || first[14] != "3 weights/conv1.weight" ||
		first[len(first)-1] != "3 val/top5_error" {
		t.Errorf("first file: %q", first)
	}
	want := "[brain.Event:2 start at 4" +
		" 4 train/loss 4 train/lr 4 speed/images_per_second 4 speed/data_stall" +
		" 5 train/loss 5 train/lr 5 speed/images_per_second 5 speed/data_stall]"
	if got := fmt.Sprint(all[1]); got != want {
		t.Errorf("second file: %s, want %s", got, want)
	}
}

// points are the numbers in all event files of a folder: "step tag" and how often each is there. They are read by
// decode, which is not the reader under test.
func points(t testing.TB, dir string) map[string]int {
	t.Helper()
	all := map[string]int{}
	for _, name := range eventFiles(t, dir) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range decode(t, b) {
			if strings.Contains(s, "/") {
				all[s]++
			}
		}
	}
	return all
}

// unsynced is the disk without the wait for it, for tests of very many writers.
type unsynced struct{ files.FS }

type unsyncedFile struct{ files.File }

func (unsyncedFile) Sync() error                        { return nil }
func (unsynced) SyncDir(string) error                   { return nil }
func (u unsynced) Open(name string) (files.File, error) { return u.OpenFile(name, os.O_RDONLY, 0) }

func (u unsynced) OpenFile(name string, flag int, perm os.FileMode) (files.File, error) {
	f, err := u.FS.OpenFile(name, flag, perm)
	return unsyncedFile{f}, err
}

// TestEachPointOnce: a run killed between any two calls of the file system, or in the midst of a write, and gone on
// with from its checkpoint, has each number once. The checkpoint may be of before or after an epoch's end that is of
// the same step.
func TestEachPointOnce(t *testing.T) {
	ms := undisturbed()
	clean := t.TempDir()
	write(t, clean, 0, ms...)
	want := points(t, clean)
	fast := unsynced{files.OS}
	for done := range len(ms) {
		for n := 0; ; n++ {
			dir := t.TempDir()
			writeTo(t, fast, dir, 0, ms[:min(done+2, len(ms))]...) // some lines more than the checkpoint has
			if !killedAt(t, dir, n, stepOf(ms, done), ms[done:]) {
				break
			}
			writeTo(t, fast, dir, stepOf(ms, done), ms[done:]...)
			if got := points(t, dir); !maps.Equal(got, want) {
				t.Fatalf("checkpoint after %d lines, killed at call %d: points\n%v\nwant\n%v", done, n, got, want)
			}
			if got, want := content(t, dir), content(t, clean); got != want {
				t.Fatalf("checkpoint after %d lines, killed at call %d: metrics\n%s\nwant\n%s", done, n, got, want)
			}
		}
	}
}

// killedAt writes lines until call n, at which the process ends; false: there is no such call.
func killedAt(t *testing.T, dir string, n int, from uint64, ms []Metrics) bool {
	t.Helper()
	fsys := filestest.New(unsynced{files.OS})
	fsys.Kill(n)
	w, err := NewWriter(fsys, dir, from, true)
	for i := 0; err == nil && i < len(ms); i++ {
		err = tell(w, ms[i])
	}
	if err == nil {
		_, err = w.Sync()
	}
	if (err != nil) != (fsys.Fault() != nil) {
		t.Fatalf("call %d: error %v, fault %v", n, err, fsys.Fault())
	}
	return err != nil
}

// TestPowerCut: whatever of what was written after the last Sync a power cut leaves, and whether it leaves zeros
// instead, each number is there once after the resume, all up to the checkpoint.
func TestPowerCut(t *testing.T) {
	ms := undisturbed()
	clean := t.TempDir()
	write(t, clean, 0, ms...)
	const done = 5 // lines that the checkpoint covers
	before := t.TempDir()
	w, err := NewWriter(files.OS, before, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	synced := map[string]int64{}
	for i, m := range ms {
		if err := tell(w, m); err != nil {
			t.Fatal(err)
		}
		if i+1 == done {
			if _, err := w.Sync(); err != nil {
				t.Fatal(err)
			}
			synced[w.file.Name()], synced[w.events.Name()] = w.file.size, w.events.size
		}
	}
	for name, size := range synced {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for cut := size; cut <= int64(len(whole)); cut++ {
			for _, zeros := range []int{0, len(whole) - int(cut)} {
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(before)); err != nil {
					t.Fatal(err)
				}
				left := slices.Concat(whole[:cut], make([]byte, zeros))
				if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), left, 0o666); err != nil {
					t.Fatal(err)
				}
				writeTo(t, unsynced{files.OS}, dir, stepOf(ms, done), ms[done:]...)
				if got, want := points(t, dir), points(t, clean); !maps.Equal(got, want) {
					t.Fatalf("%s cut at byte %d: points %v, want %v", filepath.Base(name), cut, got, want)
				}
				if got, want := content(t, dir), content(t, clean); got != want {
					t.Fatalf("%s cut at byte %d: metrics\n%s\nwant\n%s", filepath.Base(name), cut, got, want)
				}
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// Event files that this program did not write stay as they are, and so do those that it wrote before it signed them:
// TensorBoard is told to forget what they have of later steps.
func TestForeignEventFilesStay(t *testing.T) {
	dir := t.TempDir()
	old := event(moment, 0)
	old = protowire.AppendTag(old, eventFileVersion, protowire.BytesType)
	old = slices.Concat(record(protowire.AppendString(old, version)), scalars(step(9), nil, moment))
	later := slices.Concat(preamble(moment), scalars(step(9), nil, moment))
	foreign := map[string][]byte{
		"events.out.tfevents.1354528800.elsewhere.12.0":                  old,
		"events.out.tfevents.1354528801.elsewhere.12.0":                  []byte("not an event file"),
		"events.out.tfevents.1354528802.elsewhere.12.0":                  {},
		"events.out.tfevents.1354528803.elsewhere.12.0.profile-empty":    later,
		"notes.events.out.tfevents.1354528804.elsewhere.12.0":            later,
		"events.out.tfevents.1354528805.another-machine-of-ours.12.0.v2": {0},
	}
	for name, b := range foreign {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	ours := filepath.Join(dir, "events.out.tfevents.1354528806.another-machine.12.0")
	if err := os.WriteFile(ours, later, 0o666); err != nil {
		t.Fatal(err)
	}
	write(t, dir, 0, step(1), step(2))
	if exists(ours) {
		t.Error("a run that begins anew left its events")
	}
	write(t, dir, 2, step(3))
	after := contents(t, dir)
	for name, b := range foreign {
		if after[name] != string(b) {
			t.Errorf("%s became %q", name, after[name])
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Readers take files by their names: that of a resumed run comes after the others, though the clock was set back.
func TestEventFilesInOrder(t *testing.T) {
	dir := t.TempDir()
	later := filepath.Join(dir, fmt.Sprintf("events.out.tfevents.%010d.a.1.0", time.Now().Unix()+5000))
	if err := os.WriteFile(later, slices.Concat(preamble(moment), scalars(step(1), nil, moment)), 0o666); err != nil {
		t.Fatal(err)
	}
	write(t, dir, 2, step(3), step(4))
	write(t, dir, 4, step(5))
	names := eventFiles(t, dir)
	if len(names) != 3 || names[0] != later {
		t.Fatalf("files %v", names)
	}
	b, err := os.ReadFile(names[2])
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(t, b); got[len(got)-1] != "5 speed/data_stall" {
		t.Errorf("the last file holds %q", got)
	}
}

// What somebody removes, or puts another file in the place of, is written again whole.
func TestRemovedFilesAreRestored(t *testing.T) {
	ms := undisturbed()
	clean := t.TempDir()
	write(t, clean, 0, ms...)
	for what, tamper := range map[string]func(name string) error{
		"removed": os.Remove,
		"renamed": func(name string) error { return os.Rename(name, filepath.Join(filepath.Dir(name), "kept")) },
		"replaced": func(name string) error {
			return errors.Join(os.Remove(name), os.WriteFile(name, []byte("another"), 0o666))
		},
	} {
		dir := t.TempDir()
		w, err := NewWriter(files.OS, dir, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range ms {
			if err := tell(w, m); err != nil {
				t.Fatal(err)
			}
			if i != 3 {
				continue
			}
			for _, name := range []string{w.file.Name(), w.events.Name()} {
				if err := tamper(name); err != nil {
					t.Fatal(err)
				}
				if restored, err := w.Sync(); err != nil || fmt.Sprint(restored) != fmt.Sprint([]string{name}) {
					t.Errorf("%s %s: restored %v, %v", name, what, restored, err)
				}
				if b, err := os.ReadFile(name + ".1"); what == "replaced" && (err != nil || string(b) != "another") {
					t.Errorf("what took %s's place: %q, %v", name, b, err)
				}
			}
		}
		name := w.events.Name()
		if restored, err := w.Sync(); err != nil || restored != nil {
			t.Errorf("%s: restored again %v, %v", what, restored, err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, want := len(decode(t, b)), len(points(t, clean))+1
		if got != want || content(t, dir) != content(t, clean) {
			t.Errorf("%s: %d events, want %d; metrics\n%s", what, got, want, content(t, dir))
		}
	}
}

// A file that cannot be restored fails the Sync, and with it the checkpoint.
func TestRestoreFails(t *testing.T) {
	for _, op := range []string{"stat", "openfile", "write", "rename"} {
		fsys := filestest.New(files.OS)
		w, err := NewWriter(fsys, t.TempDir(), 0, true)
		if err == nil {
			err = errors.Join(w.Append(step(1)), os.Remove(w.file.Name()))
		}
		if err != nil {
			t.Fatal(err)
		}
		fsys.Fail(op, 0, syscall.EIO)
		if _, err := w.Sync(); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s fails: %v", op, err)
		}
		if restored, err := w.Sync(); err != nil || len(restored) != 1 {
			t.Errorf("after %s failed: restored %v, %v", op, restored, err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Whichever call fails, the file holds what it held before, and can be gone on with. What readers would pass over is
// refused.
func TestShowFails(t *testing.T) {
	show := func(w *Writer, size int) error {
		return w.Show(3, []Image{{Tag: "filters/conv1", Width: 9, Height: 9, PNG: make([]byte, size)}},
			[]Histogram{Count("weights/conv1.weight", []float32{1, 2})})
	}
	for n := 0; ; n++ {
		dir := t.TempDir()
		fsys := filestest.New(files.OS)
		w, err := NewWriter(fsys, dir, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Append(step(3)); err != nil {
			t.Fatal(err)
		}
		before := contents(t, dir)
		if err := show(w, parsed); err == nil || !strings.Contains(err.Error(), "filters/conv1 of step 3 has 1048") {
			t.Errorf("a large picture: %v", err)
		}
		fsys.Fail("", n, syscall.ENOSPC)
		err = show(w, 1000)
		fault := fsys.Fault()
		if same := maps.Equal(contents(t, dir), before); (err != nil) != (fault != nil) || same != (fault != nil) {
			t.Errorf("%v fails: error %v; nothing was written: %t", fault, err, same)
		}
		if fault == nil {
			fsys.Fail("", 1<<20, syscall.ENOSPC) // no call any more
		} else if err := show(w, 900); err != nil {
			t.Error(err)
		}
		if err := errors.Join(w.Append(epochEnd(3)), w.Close()); err != nil {
			t.Error(err)
		}
		f, err := os.Open(eventFiles(t, dir)[0])
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		err = ReadEvents(f, func(e Event) error {
			got = append(got, fmt.Sprint(e.Step, e.Shown, len(e.Scalars)))
			return nil
		})
		want := "[0 [] 0 3 [] 4 3 [filters/conv1] 0 3 [weights/conv1.weight] 0 3 [] 3]"
		if fmt.Sprint(got) != want || err != nil {
			t.Errorf("%v fails: events %v, %v, want %s", fault, got, err, want)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if fault == nil {
			if n < 1 {
				t.Error("no call was tried")
			}
			return
		}
	}
}
