package kernels

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// host is testdata/run.cc with all kernels in it, compiled by g++ and running: it runs one kernel a request.
type host struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

var (
	program  = sync.OnceValues(build) // path of the compiled program
	theHost  *host                    // running; nil at first and after a crash
	buildDir string
)

func TestMain(m *testing.M) {
	code := m.Run()
	if theHost != nil {
		theHost.in.Close()
		_ = theHost.cmd.Wait()
	}
	os.RemoveAll(buildDir)
	os.Exit(code)
}

// start gives the running host, the same to all tests.
func start(t *testing.T) *host {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("host.h is for Linux")
	}
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("no g++, which compiles the kernels for the host")
	}
	path, err := program()
	if err == nil && theHost == nil {
		theHost, err = launch(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return theHost
}

func build() (path string, err error) {
	if buildDir, err = os.MkdirTemp("", "kernels"); err != nil {
		return "", err
	}
	var list strings.Builder
	for _, name := range append(names(), extra...) {
		fmt.Fprintf(&list, "HOST_KERNEL(%s),\n", name)
	}
	if err := os.WriteFile(filepath.Join(buildDir, "list.inc"), []byte(list.String()), 0o644); err != nil {
		return "", err
	}
	path = filepath.Join(buildDir, "run")
	// Undefined behaviour, out of an array's bounds for one, is an illegal instruction.
	out, err := exec.Command("g++", "-O1", "-g", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas",
		"-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", "-I.", "-I"+buildDir, "testdata/run.cc", "-o",
		path).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("g++ on the kernels: %w\n%s", err, out)
	}
	return path, nil
}

func names() []string {
	var all []string
	for _, k := range List {
		all = append(all, k.Name)
	}
	return all
}

func launch(path string) (*host, error) {
	h := &host{cmd: exec.Command(path)}
	h.cmd.Stderr = &h.stderr
	var err error
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	h.out = bufio.NewReader(out)
	return h, h.cmd.Start()
}

// buf is device memory: a kernel gets its address, and what it wrote is in data after the call. An address in it, to
// another buffer, stands at the key's place.
type buf struct {
	data      []byte
	addresses map[int]*buf
}

// at is an address within a buffer, in bytes from its start.
type at struct {
	*buf
	offset int
}

// request writes what testdata/run.cc reads.
func request(name string, blocks int, backwards bool, args []any) (msg []byte, bufs []*buf, err error) {
	number := func(ns ...int64) {
		for _, n := range ns {
			msg = binary.LittleEndian.AppendUint64(msg, uint64(n))
		}
	}
	index := map[*buf]int64{}
	var add func(b *buf)
	add = func(b *buf) {
		if _, known := index[b]; known || b == nil {
			return
		}
		index[b] = int64(len(bufs))
		bufs = append(bufs, b)
		for _, to := range b.addresses {
			add(to)
		}
	}
	for _, a := range args {
		switch a := a.(type) {
		case *buf:
			add(a)
		case at:
			add(a.buf)
		}
	}
	number(int64(len(name)))
	msg = append(msg, name...)
	number(int64(blocks))
	if backwards {
		number(1)
	} else {
		number(0)
	}
	number(int64(len(bufs)))
	addresses := 0
	for _, b := range bufs {
		number(int64(len(b.data)))
		msg = append(msg, b.data...)
		addresses += len(b.addresses)
	}
	number(int64(addresses))
	for _, b := range bufs {
		for place, to := range b.addresses {
			number(index[b], int64(place), index[to])
		}
	}
	number(int64(len(args)))
	for _, a := range args {
		switch a := a.(type) {
		case int:
			number(0, int64(a))
		case float64:
			number(0, int64(math.Float64bits(a)))
		case *buf:
			if a == nil {
				number(0, 0)
			} else {
				number(1, index[a], 0)
			}
		case at:
			number(1, index[a.buf], int64(a.offset))
		default:
			return nil, nil, fmt.Errorf("argument of type %T", a)
		}
	}
	return msg, bufs, nil
}

// call runs a kernel once and leaves what it wrote in the buffers.
func (h *host) call(name string, blocks int, backwards bool, args ...any) error {
	msg, bufs, err := request(name, blocks, backwards, args)
	if err != nil {
		return err
	}
	if _, err := h.in.Write(msg); err != nil {
		return h.died(err)
	}
	answer := func(n int) []byte {
		p := make([]byte, n)
		if err == nil {
			_, err = io.ReadFull(h.out, p)
		}
		return p
	}
	wrong := string(answer(int(binary.LittleEndian.Uint64(answer(8)))))
	for _, b := range bufs {
		data := answer(len(b.data))
		for place := range b.addresses {
			copy(data[place:place+8], b.data[place:place+8])
		}
		b.data = data
	}
	switch {
	case err != nil:
		return h.died(err)
	case wrong != "":
		return errors.New(wrong)
	}
	return nil
}

// died is for a host that crashed; the next call of start starts another.
func (h *host) died(err error) error {
	h.in.Close()
	status := h.cmd.Wait()
	theHost = nil
	return fmt.Errorf("the kernel crashed, by memory that is not its own or undefined behaviour: %w, %w\n%s", err,
		status, h.stderr.String())
}

// run runs a kernel of the list on so many items, three times: on the grid that Blocks gives, on two blocks, and with
// threads and blocks in the opposite order on three. Any grid must give the same bits, and where the order matters a
// barrier is missing.
func run(t *testing.T, name string, items int64, args ...any) {
	t.Helper()
	h, k := start(t), Find(name)
	if len(args) != k.Count() {
		t.Fatalf("%s called with %d arguments, has %d", name, len(args), k.Count())
	}
	_, bufs, err := request(name, 1, false, args)
	if err != nil {
		t.Fatal(name, err)
	}
	before, first := make([][]byte, len(bufs)), make([][]byte, len(bufs))
	for i, b := range bufs {
		before[i] = b.data
	}
	for i, c := range []struct {
		blocks    int
		backwards bool
	}{{k.Blocks(items), false}, {2, false}, {3, true}} {
		for j, b := range bufs {
			b.data = before[j]
		}
		if err := h.call(name, c.blocks, c.backwards, args...); err != nil {
			t.Fatalf("%s, blocks and backwards %v: %v", name, c, err)
		}
		for j, b := range bufs {
			if i == 0 {
				first[j] = b.data
			} else if !bytes.Equal(b.data, first[j]) {
				t.Fatalf("%s: buffer %d depends on the order of threads, or on the grid", name, j)
			}
		}
	}
}

// ---- what host.h and the guards notice

// extra are the kernels of testdata/extra.h.
var extra = []string{"good_barriers", "bad_exit", "bad_branch", "bad_race", "bad_write", "bad_narrow", "divide"}

func TestHostNoticesErrors(t *testing.T) {
	for name, want := range map[string]string{
		"bad_exit": "128 of 256 threads wait", "bad_branch": "128 of 256 threads wait", "bad_write": "wrote beside",
		"good_barriers": "",
	} {
		err := start(t).call(name, 2, false, f32(make([]float64, Threads)))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if err := start(t).call("bad_narrow", 1, false, f32(make([]float64, 1)), 1); err == nil ||
		!strings.Contains(err.Error(), "8 bytes") {
		t.Errorf("an argument of 4 bytes: %v", err)
	}
	forward, backward := f32(make([]float64, Threads)), f32(make([]float64, Threads))
	if err := errors.Join(start(t).call("bad_race", 1, false, forward),
		start(t).call("bad_race", 1, true, backward)); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(forward.data, backward.data) {
		t.Error("the opposite order of threads does not show a race")
	}
}

func TestHostGuardsMemory(t *testing.T) {
	x := f32(make([]float64, 8))
	err := start(t).call("home_f32", 1, false, x, x, 1, 5000, 1, pass(Pass{Rows: 1}))
	if err == nil || !strings.Contains(err.Error(), "crashed") {
		t.Errorf("reading and writing 5000 numbers of 8: %v", err)
	}
	if err := start(t).call("home_f32", 1, false, x, x, 1, 8, 1, pass(Pass{Rows: 1})); err != nil {
		t.Errorf("after a crash: %v", err)
	}
}

// ---- numbers in memory

func f32(x []float64) *buf {
	b := &buf{}
	for _, v := range x {
		b.data = binary.LittleEndian.AppendUint32(b.data, math.Float32bits(float32(v)))
	}
	return b
}

func (b *buf) f32() []float64 {
	x := make([]float64, len(b.data)/4)
	for i := range x {
		x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b.data[4*i:])))
	}
	return x
}

func i32[T ~int32 | ~int](x []T) *buf {
	b := &buf{}
	for _, v := range x {
		b.data = binary.LittleEndian.AppendUint32(b.data, uint32(v))
	}
	return b
}

// half rounds to bf16, to nearest even.
func half(x float64) uint16 {
	u := math.Float32bits(float32(x))
	if x != x {
		return 0x7fc0
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

func widen(h uint16) float64 { return float64(math.Float32frombits(uint32(h) << 16)) }

func bf16(x []float64) *buf {
	b := &buf{}
	for _, v := range x {
		b.data = binary.LittleEndian.AppendUint16(b.data, half(v))
	}
	return b
}

func (b *buf) bf16() []float64 {
	x := make([]float64, len(b.data)/2)
	for i := range x {
		x[i] = widen(binary.LittleEndian.Uint16(b.data[2*i:]))
	}
	return x
}

// TestDivider: every divisor's least and largest quotients' borders, up to the largest number it is for.
func TestDivider(t *testing.T) {
	for _, by := range []uint32{
		1, 2, 3, 5, 7, 10, 55 * 55, 641, 65535, 65536, 65537, 9216, 1<<30 - 1, 1 << 30,
		1<<31 - 1,
	} {
		const most = 1<<31 - 1
		last := most / by * by
		n := []uint32{0, 1, by - 1, by, last - 1, last, most - 1, most, most / 2, most/2/by*by - 1}
		b := i32([]int32{})
		for i := range n {
			n[i] &= most
			b.data = binary.LittleEndian.AppendUint32(b.data, n[i])
		}
		if err := start(t).call("divide", 1, false, b, len(n), int(by)); err != nil {
			t.Fatal(err)
		}
		for i, v := range n {
			if got := binary.LittleEndian.Uint32(b.data[4*i:]); got != v/by {
				t.Errorf("%d / %d = %d, got %d", v, by, v/by, got)
			}
		}
	}
}
