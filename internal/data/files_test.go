package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/recipe"
)

// decodeFile is DecodeFiles of one file.
func decodeFile(t *testing.T, path string, by recipe.Recipe) (pic picture.Picture, err error) {
	t.Helper()
	for pic, err = range DecodeFiles(t.Context(), files.OS, []string{path}, &by, 1) {
		break
	}
	return pic, err
}

// A FIFO is refused before it is opened: that would wait for somebody to write into it.
func TestDecodeFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	_, err := decodeFile(t, path, recipe.Recipe{Height: 6, Width: 7, Channels: 3})
	if err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("error %v", err)
	}
}

func TestDecodeFile(t *testing.T) {
	pic, err := decodeFile(t, "picture/testdata/one.png", recipe.Recipe{Resize: 7, Height: 7, Width: 7, Channels: 1})
	if err != nil || pic.Height != 7 || pic.Width != 7 || pic.Channels != 1 || len(pic.Pixels) != 49 {
		t.Errorf("a picture of one pixel: %dx%dx%d, %v", pic.Height, pic.Width, pic.Channels, err)
	}
	for path, says := range map[string]string{
		"picture/testdata/gone.jpg": "no such file", "picture/testdata": "is not a file",
		"picture/testdata/truncated.jpg": "cut off",
		"picture/testdata/one.png":       "is 1x1, want 7x6",
	} {
		_, err := decodeFile(t, path, recipe.Recipe{Height: 6, Width: 7, Channels: 3})
		var bad *BadPicture
		if !errors.As(err, &bad) || bad.Name != path || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v", path, err)
		}
		if size := (*SizeError)(nil); errors.As(err, &size) != strings.HasSuffix(path, "one.png") ||
			size != nil && *size != (SizeError{1, 1, 6, 7, true}) {
			t.Errorf("%s: %#v is not a matter of size", path, err)
		}
	}
}

// TestDecodeFilesMemory: a worker decodes all its pictures with what the first took, and each picture lies where one
// before it lay. A decoder of its own for each takes width x height x 3 each time, 480,000 bytes here.
func TestDecodeFilesMemory(t *testing.T) {
	const side, count = 400, 60
	var raw bytes.Buffer
	if err := jpeg.Encode(&raw, image.NewGray(image.Rect(0, 0, side, side)), nil); err != nil {
		t.Fatal(err)
	}
	path := write(t, "grey.jpg", raw.Bytes())
	paths := make([]string, count)
	for i := range paths {
		paths[i] = path
	}
	by := recipe.Recipe{Resize: side, Height: side, Width: side, Channels: 3}
	took := func(paths []string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, err := range DecodeFiles(t.Context(), files.OS, paths, &by, 2) {
			if err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	few := 2 * runtime.GOMAXPROCS(0) // the workers' own
	if first, all := took(paths[:few]), took(append(paths, paths[:few]...)); all > first+count*side*side*2 {
		t.Errorf("%d pictures took %d bytes, %d more another %d each", few, first, count, (all-first)/count)
	}
}

// TestDecodeFilesAhead: no more files are opened than were asked for to be decoded ahead, and nothing after the end of
// the loop.
func TestDecodeFilesAhead(t *testing.T) {
	fsys := filestest.New(files.OS)
	lookedAt := func() (n int) {
		for _, c := range fsys.Calls() {
			if c.Op == "stat" { // none is there, so none is opened
				n++
			}
		}
		return n
	}
	paths := make([]string, 200)
	for i := range paths {
		paths[i] = fmt.Sprintf("picture/testdata/missing-%03d.png", i)
	}
	ahead, next := runtime.GOMAXPROCS(0)+3, 0
	by := recipe.Recipe{Resize: 8, Height: 8, Width: 8, Channels: 3}
	for _, err := range DecodeFiles(t.Context(), fsys, paths, &by, ahead) {
		var bad *BadPicture
		if !errors.As(err, &bad) || bad.Name != paths[next] || !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("picture %d: %v", next, err)
		}
		if n := lookedAt(); n > next+ahead {
			t.Fatalf("%d files looked at where picture %d is used and %d may be ahead", n, next, ahead)
		}
		if next++; next == 100 {
			break
		}
	}
	if n, m := lookedAt(), 99+ahead; n < 100 || n > m {
		t.Errorf("%d files looked at for 100 pictures, want at most %d", n, m)
	}
}
