package pickle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"alexnet/internal/crafted"
	"alexnet/internal/tensor"
)

// anything is a machine for which every name is a function that returns its arguments.
func anything(size int) *Machine {
	return &Machine{
		Global: func(string, string, []any) (any, error) {
			return Func(func(args Tuple) (any, error) { return args, nil }), nil
		},
		Persistent: func(id any) (any, error) { return Tuple{"persistent", id}, nil },
		Left:       Room(int64(size)),
	}
}

// read loads a pickle and walks it, and tells how much memory was asked for.
func read(b []byte) (v any, asked uint64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m := anything(len(b))
	v, next, err := m.Load(bytes.NewReader(b), 0, int64(len(b)))
	if err == nil {
		err = m.Walk(v, func(string, any) error { return nil })
	}
	if err == nil && next > int64(len(b)) {
		err = fmt.Errorf("it ends at byte %d of %d", next, len(b))
	}
	runtime.ReadMemStats(&after)
	return v, after.TotalAlloc - before.TotalAlloc, err
}

// mayAsk is how much memory a file of so many bytes may ask for in all.
func mayAsk(size int) uint64 { return 2*uint64(size) + 16<<20 }

// What Python 3.11 makes of some values, by protocol; and Python 2.7's strings.
func TestValues(t *testing.T) {
	million := new(big.Int).Lsh(big.NewInt(1), 80)
	for _, c := range []struct {
		pickle string
		want   any
	}{
		{"\x80\x02N.", nil},
		{"\x80\x02\x88\x89\x86.", Tuple{true, false}},
		{
			"\x80\x02(K\xffM\xff\xffJ\xff\xff\xff\xffJ\x00\x00\x00\x80t.",
			Tuple{int64(255), int64(65535), int64(-1), int64(-1 << 31)},
		},
		{"\x80\x02\x8a\x05\x00\x00\x00\x00\x01.", int64(1 << 32)},
		{"\x80\x02\x8a\x05\x00\x00\x00\x00\xff.", int64(-1 << 32)},
		{"\x80\x02\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", int64(-1 << 63)},
		{"\x80\x02\x8a\x00.", int64(0)},
		{"\x80\x02\x8a\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01.", million},
		{"\x80\x02\x8a\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff.", new(big.Int).Neg(million)},
		{"\x80\x02G?\xb9\x99\x99\x99\x99\x99\x9a.", 0.1},
		{"\x80\x02X\x03\x00\x00\x00\xc3\xa9xq\x00.", "éx"},
		{"\x80\x02U\x02\xe9xq\x00.", "\xe9x"},
		{"\x80\x02T\x02\x00\x00\x00\xe9x.", "\xe9x"},
		{"\x80\x03C\x02\xe9xq\x00.", "\xe9x"},
		{"\x80\x03B\x02\x00\x00\x00\xe9x.", "\xe9x"},
		{"\x80\x04\x95\x06\x00\x00\x00\x00\x00\x00\x00\x8c\x02ab\x94.", "ab"},
		{"\x80\x04\x8d\x02\x00\x00\x00\x00\x00\x00\x00ab\x94.", "ab"},
		{"\x80\x04\x8e\x02\x00\x00\x00\x00\x00\x00\x00ab\x94.", "ab"},
		{"\x80\x02]q\x00(K\x01K\x02]q\x01K\x03ae.", &List{[]any{int64(1), int64(2), &List{[]any{int64(3)}}}}},
		{
			"\x80\x02)K\x01\x85\x86K\x01K\x02K\x03\x87\x86.",
			Tuple{Tuple{Tuple{}, Tuple{int64(1)}}, Tuple{int64(1), int64(2), int64(3)}},
		},
		{"\x80\x02}q\x00(U\x01aK\x01K\x02Nu.", &Dict{[]Item{{"a", int64(1)}, {int64(2), nil}}}},
		{"\x80\x02}U\x01a]r\x07\x01\x00\x00sU\x01bj\x07\x01\x00\x00s.", &Dict{[]Item{{"a", &List{}}, {"b", &List{}}}}},
		{"\x80\x04(]\x94K\x07\x94h\x00h\x01t.", Tuple{&List{}, int64(7), &List{}, int64(7)}},
		{"\x80\x02cm\nf\nK\x07\x85R.", Tuple{int64(7)}},
		{"\x80\x04\x8c\x01m\x8c\x01f\x93K\x07\x85R.", Tuple{int64(7)}},
		{"\x80\x02K\x07Q.", Tuple{"persistent", int64(7)}},
		{"\x80\x02}}X\x01\x00\x00\x00aNsb.", &Dict{}},
		{"\x80\x02X\x88\x13\x00\x00" + strings.Repeat("x", 5000) + ".", &Raw{7, 5000}},
	} {
		b := []byte(c.pickle)
		m := anything(len(b))
		got, next, err := m.Load(bytes.NewReader(b), 0, int64(len(b)))
		if err != nil || !reflect.DeepEqual(got, c.want) || next != int64(len(b)) {
			t.Errorf("%.60q: %#v to %d, %v; want %#v", c.pickle, got, next, err, c.want)
		}
	}
}

// A pickle that is made to hurt is refused, in little memory; and what is merely long is read in little memory.
func TestCrafted(t *testing.T) {
	for _, c := range crafted.Pickles() {
		b := c.Bytes()
		_, asked, err := read(b)
		var bad *tensor.BadFile
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.Want) {
			t.Errorf("%s: %.300v, want %q", c.Name, err, c.Want)
		}
		if asked > mayAsk(len(b)) {
			t.Errorf("%s: %d MB for %d bytes", c.Name, asked>>20, len(b))
		}
	}
}

// sound is a pickle of much that there is.
const sound = "\x80\x02}q\x00(X\x01\x00\x00\x00acm\nf\nK\x07\x85RU\x01b]q\x01(K\x01M\x02\x03" +
	"J\x04\x05\x06\x07G12345678eu."

// Every pickle that was cut is found out.
func TestCut(t *testing.T) {
	for n := range len(sound) {
		if _, _, err := read([]byte(sound[:n])); !errors.As(err, new(*tensor.BadFile)) {
			t.Errorf("cut at byte %d: %v", n, err)
		}
	}
	if _, _, err := read([]byte(sound)); err != nil {
		t.Error(err)
	}
}

// A file that turns out shorter than it was said to be is an error of reading.
func TestShort(t *testing.T) {
	m := anything(10)
	_, _, err := m.Load(strings.NewReader("\x80\x02X\x05\x00\x00\x00a"), 0, 20)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

// The errors of the caller's functions come back as they are.
func TestRefusals(t *testing.T) {
	want := errors.New("not this")
	m := anything(100)
	m.Global = func(module, name string, below []any) (any, error) {
		if module != "os" || name != "system" || len(below) != 1 {
			t.Errorf("%s %s over %v", module, name, below)
		}
		return nil, want
	}
	b := "\x80\x02]cos\nsystem\n"
	if _, _, err := m.Load(strings.NewReader(b), 0, int64(len(b))); !errors.Is(err, want) {
		t.Errorf("%v", err)
	}
	m.Persistent = nil
	_, _, err := m.Load(strings.NewReader("NQ."), 0, 3)
	if err == nil || !strings.Contains(err.Error(), "kept elsewhere") {
		t.Errorf("%v", err)
	}
}

// Long lists of plain values are told by their length, others are walked.
func TestWalk(t *testing.T) {
	long := make([]any, LongestRow+1)
	v := &Dict{[]Item{
		{"epoch", int64(3)},
		{"losses", &List{long}},
		{"state", &Dict{[]Item{{int64(0), Tuple{"a", &List{[]any{0.5}}}}}}},
		{"empty", &List{}},
	}}
	var got []string
	err := anything(0).Walk(v, func(path string, leaf any) error {
		got = append(got, fmt.Sprint(path, " ", leaf))
		return nil
	})
	want := []string{"epoch 3", "losses 101", "state.0.0 a", "state.0.1.0 0.5"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// FuzzPickle: whatever the bytes are, there is an error or values, in little memory.
func FuzzPickle(f *testing.F) {
	for _, c := range crafted.Pickles() {
		if b := c.Bytes(); len(b) < 1000 {
			f.Add(b)
		}
	}
	f.Add([]byte(sound))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, asked, err := read(b)
		if err != nil && !errors.As(err, new(*tensor.BadFile)) {
			t.Fatalf("%T: %v", err, err)
		}
		if asked > mayAsk(len(b)) {
			t.Fatalf("%d MB for %d bytes", asked>>20, len(b))
		}
	})
}
