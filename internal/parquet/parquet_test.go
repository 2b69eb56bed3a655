package parquet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// row is a row as want.json has it: path, label, and the picture's length, -1 of none, and CRC-32.
type row struct {
	Path   string
	Label  int64
	Length int
	Sum    uint32
}

func rowOf(path string, label int64, picture []byte) row {
	r := row{path, label, len(picture), crc32.ChecksumIEEE(picture)}
	if picture == nil {
		r.Length = -1
	}
	return r
}

func (r *row) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&r.Path, &r.Label, &r.Length, &r.Sum})
}

// wanted is what pyarrow finds in a file of testdata.
type wanted struct {
	Names []string `json:"names"`
	Rows  []row    `json:"rows"`
}

// readWanted gives what is wanted of each file of testdata; nil where it is to be refused.
func readWanted(t testing.TB) map[string]*wanted {
	t.Helper()
	b, err := os.ReadFile("testdata/want.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]*wanted
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// readTestdata gives a file of testdata.
func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readRows opens a file and gives what Each finds.
func readRows(t testing.TB, b []byte) (f *File, rows []row, err error) {
	t.Helper()
	if f, err = Open(bytes.NewReader(b), int64(len(b))); err != nil {
		return nil, nil, err
	}
	err = f.Each(t.Context(), func(i int64, path string, label int64, picture []byte) error {
		if i != int64(len(rows)) {
			t.Errorf("row %d after %d", i, len(rows))
		}
		rows = append(rows, rowOf(path, label, picture))
		return nil
	})
	return f, rows, err
}

// Every file has the rows that pyarrow finds in it.
func TestFiles(t *testing.T) {
	for name, want := range readWanted(t) {
		if want == nil {
			continue
		}
		f, rows, err := readRows(t, readTestdata(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Rows() != int64(len(want.Rows)) {
			t.Errorf("%s: %d rows, want %d", name, f.Rows(), len(want.Rows))
		}
		if d := cmp.Diff(want.Names, f.Names()); d != "" {
			t.Errorf("%s: names %s", name, d)
		}
		if len(rows) != len(want.Rows) {
			t.Errorf("%s: %d rows were given, want %d", name, len(rows), len(want.Rows))
			continue
		}
		for i := range rows {
			if rows[i] != want.Rows[i] {
				t.Errorf("%s: row %d is %v, want %v", name, i, rows[i], want.Rows[i])
			}
		}
		n := 0
		err = f.Labels(t.Context(), func(i int64, path string, label int64) error {
			if r := want.Rows[n]; i != int64(n) || path != r.Path || label != r.Label {
				t.Errorf("%s: row %d is %d, %q, %d, want %v", name, n, i, path, label, r)
			}
			n++
			return nil
		})
		if err != nil || n != len(want.Rows) {
			t.Errorf("%s: %d labels, %v", name, n, err)
		}
	}
}

// What is not read is named.
func TestRefused(t *testing.T) {
	for name, want := range map[string]struct {
		problem Problem
		words   string
	}{
		"lz4.parquet":      {Unsupported, "the codec LZ4 (raw), in column image.bytes"},
		"brotli.parquet":   {Unsupported, "the codec Brotli, in column image.bytes"},
		"delta.parquet":    {Unsupported, "column image.bytes, row group 0, at byte 4: of a form that is not read"},
		"no-label.parquet": {NoPictures, "no column label or fine_label of whole numbers among image, target"},
		"words.parquet":    {NoPictures, "no column label or fine_label"},
		"no-image.parquet": {NoPictures, "no column of {bytes, path} among text, label"},
		"lists.parquet":    {NoPictures, "no column of {bytes, path}"},
	} {
		_, _, err := readRows(t, readTestdata(t, name))
		var bad *Error
		if !errors.As(err, &bad) || bad.Problem != want.problem || !strings.Contains(err.Error(), want.words) {
			t.Errorf("%s: %v, want %q", name, err, want.words)
		}
	}
	for content, problem := range map[string]Problem{
		"": NotParquet, "PAR1PAR1": NotParquet,
		"PAR1\x00\x00\x00\x00PAR1": Damaged, "PAR1\x09\x00\x00\x00PAR1": Damaged,
		"PAR1\xff\xff\xff\xffPAR1": Damaged, "PK\x03\x04\x00\x00\x00\x00PAR1": NotParquet,
		"PAR1\x00\x00\x00\x00PARE": Unsupported, "PAR1\x00\x00\x00\x00\x00\x00\x00\x00": Damaged,
	} {
		_, err := Open(strings.NewReader(content), int64(len(content)))
		var bad *Error
		if !errors.As(err, &bad) || bad.Problem != problem {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// A file that is cut anywhere is refused, and so is one that ends while it is read.
func TestCut(t *testing.T) {
	whole := readTestdata(t, "push_to_hub.parquet")
	for n := range whole {
		if _, err := Open(bytes.NewReader(whole[:n]), int64(n)); !errors.As(err, new(*Error)) {
			t.Errorf("cut at byte %d: %v", n, err)
		}
	}
	f, err := Open(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	f.r = bytes.NewReader(whole[:1000])
	err = f.Each(t.Context(), func(int64, string, int64, []byte) error { return nil })
	var bad *Error
	if !errors.As(err, &bad) || bad.Problem != NotRead || bad.At != 1000 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ended early: %v", err)
	}
}

// What each returns ends the reading, and so does the context.
func TestEnds(t *testing.T) {
	b := readTestdata(t, "push_to_hub.parquet")
	f, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	n := 0
	err = f.Labels(t.Context(), func(int64, string, int64) error {
		if n++; n == 7 {
			return enough
		}
		return nil
	})
	if err != enough || n != 7 { //nolint:errorlint // the very same
		t.Errorf("%v after %d rows", err, n)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	err = f.Each(ctx, func(i int64, _ string, _ int64, _ []byte) error {
		if i == 3 {
			cancel(enough)
		}
		if i > 3 {
			t.Errorf("row %d after the end", i)
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("cancelled: %v", err)
	}
}
