package zipped

import (
	"archive/zip"
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"alexnet/internal/tensor"
)

// entry is a file as it is written into a zip, whatever is true of it.
type entry struct {
	header zip.FileHeader
	raw    string
}

func stored(name, content string) entry {
	return entry{zip.FileHeader{
		Name: name, CRC32: crc32.ChecksumIEEE([]byte(content)), CompressedSize64: uint64(len(content)),
		UncompressedSize64: uint64(len(content)),
	}, content}
}

func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.CreateRaw(&e.header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, e.raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(b []byte) (*Archive, error) { return Open(bytes.NewReader(b), int64(len(b))) }

// TestRead: whole and in parts, stored and compressed, folders left out.
func TestRead(t *testing.T) {
	content := strings.Repeat("weights ", 100_000)
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, method := range map[string]uint16{"a/stored": zip.Store, "a/deflated": zip.Deflate} {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, content); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Create("a/"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := open(b.Bytes())
	if err != nil || len(a.Members) != 2 || a.Unchecked || a.Member("a/none") != nil {
		t.Fatalf("%+v, %v", a, err)
	}
	for _, m := range a.Members {
		got, err := m.Bytes(1 << 20)
		if err != nil || string(got) != content || m.Size != int64(len(content)) {
			t.Errorf("%s: %d bytes, %v", m.Name, len(got), err)
		}
		if m.Stored != (m.Name == "a/stored") {
			t.Errorf("%s: stored %v", m.Name, m.Stored)
		}
		if err := m.Verify(); err != nil {
			t.Error(err)
		}
		head := make([]byte, 3)
		if err := m.Begin(func(r io.Reader) error { _, err := io.ReadFull(r, head); return err }); err != nil {
			t.Error(err)
		}
		if string(head) != "wei" {
			t.Errorf("%s begins %q", m.Name, head)
		}
		if _, err := m.Bytes(10); err == nil {
			t.Errorf("%s: all of it are 10 bytes", m.Name)
		}
	}
}

// TestRefuses: what is not as the list says.
func TestRefuses(t *testing.T) {
	changed := func(change func(h *zip.FileHeader)) entry {
		e := stored("a", "content")
		change(&e.header)
		return e
	}
	for name, c := range map[string]struct {
		entries []entry
		want    string
	}{
		"another checksum": {[]entry{changed(func(h *zip.FileHeader) { h.CRC32++ })}, "its CRC-32 is"},
		"no checksum beside others": {
			[]entry{changed(func(h *zip.FileHeader) { h.CRC32 = 0 }), stored("b", "b")}, "its CRC-32 is",
		},
		"encrypted":      {[]entry{changed(func(h *zip.FileHeader) { h.Flags = 1 })}, "is encrypted"},
		"another method": {[]entry{changed(func(h *zip.FileHeader) { h.Method = 12 })}, "by method 12"},
		"no deflate":     {[]entry{changed(func(h *zip.FileHeader) { h.Method = zip.Deflate })}, "a is damaged"},
		"another size": {
			[]entry{changed(func(h *zip.FileHeader) { h.UncompressedSize64 = 6 })}, "a of 6 bytes, packed 7",
		},
		"more than deflate can": {
			[]entry{changed(func(h *zip.FileHeader) { h.Method, h.UncompressedSize64 = zip.Deflate, 9000 })},
			"packed 7",
		},
		"longer than the zip": {
			[]entry{changed(func(h *zip.FileHeader) { h.UncompressedSize64, h.CompressedSize64 = 1<<40, 1<<40 })},
			"in a zip of",
		},
		"twice": {[]entry{stored("a", "1"), stored("a", "2")}, "twice"},
	} {
		a, err := open(archive(t, c.entries...))
		if err == nil {
			err = a.Members[0].Verify()
		}
		if !errors.As(err, new(*tensor.BadFile)) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, b := range []string{"", "PK\x05\x06", "PK\x03\x04" + strings.Repeat("x", 100)} {
		if _, err := open([]byte(b)); !errors.As(err, new(*tensor.BadFile)) {
			t.Errorf("%q: %v", b, err)
		}
	}
}

// TestNamed: a name in the zip's list, which no checksum covers, is held to the one before the file; so is a list that
// somebody wiped.
func TestNamed(t *testing.T) {
	b := archive(t, stored("conv1.weight.npy", "content"))
	at := bytes.LastIndex(b, []byte("conv1.weight.npy"))
	b[at+4] ^= 1
	a, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	err = a.Members[0].Verify()
	if !errors.As(err, new(*tensor.BadFile)) || !strings.Contains(err.Error(), "another name") {
		t.Errorf("conv0.weight for conv1.weight: %v", err)
	}
	b = archive(t)
	if _, err := open(b); !errors.As(err, new(*tensor.BadFile)) {
		t.Errorf("an empty list: %v", err)
	}
}

// TestUnchecked: where all checksums are 0, as PyTorch writes them on demand, none is looked at.
func TestUnchecked(t *testing.T) {
	var entries []entry
	for _, name := range []string{"a", "b"} {
		e := stored(name, "content")
		e.header.CRC32 = 0
		entries = append(entries, e)
	}
	a, err := open(archive(t, entries...))
	if err != nil || !a.Unchecked {
		t.Fatalf("%+v, %v", a, err)
	}
	if b, err := a.Members[1].Bytes(100); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
}
