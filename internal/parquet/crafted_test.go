package parquet

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"

	"alexnet/internal/crafted"
)

// readAsked reads a file whole, and tells the rows, the bytes of memory that were asked for, and the error.
func readAsked(t testing.TB, b []byte) (rows []row, asked uint64, err error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, err := Open(bytes.NewReader(b), int64(len(b)))
	if err == nil {
		err = f.Each(t.Context(), func(_ int64, path string, label int64, picture []byte) error {
			rows = append(rows, rowOf(path, label, picture))
			return nil
		})
	}
	runtime.ReadMemStats(&after)
	return rows, after.TotalAlloc - before.TotalAlloc, err
}

// mayAsk is how much memory reading a file of so many bytes may ask for in all.
func mayAsk(size int) uint64 { return 4*uint64(size) + 64<<20 }

// A page at a time is held, however large the row group is.
func TestPageAtATime(t *testing.T) {
	const pictures, size = 64, 1 << 20
	b := crafted.SoundParquet(pictures, size)
	rows, asked, err := readAsked(t, b)
	if err != nil || len(rows) != pictures || rows[pictures-1].Length != size {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	if asked > 2*size {
		t.Errorf("%d bytes asked for, with pages of %d", asked, size)
	}
}

// A file that is made to hurt is refused, in little memory.
func TestCrafted(t *testing.T) {
	for _, c := range crafted.Parquets() {
		b := c.Bytes()
		_, asked, err := readAsked(t, b)
		if !errors.As(err, new(*Error)) || !strings.Contains(err.Error(), c.Want) {
			t.Errorf("%s: %.300v, want %q", c.Name, err, c.Want)
		}
		if asked > mayAsk(len(b)) {
			t.Errorf("%s: %d MB for %d bytes", c.Name, asked>>20, len(b))
		}
		if testing.Verbose() {
			t.Logf("%s: %d bytes, %d KB asked for: %.200v", c.Name, len(b), asked>>10, err)
		}
	}
}
