package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/recipe"
)

// decodeFile is decodeFiles of one file.
func decodeFile(t *testing.T, path string, by recipe.Recipe) (pic picture.Picture, err error) {
	t.Helper()
	for pic, err = range decodeFiles(t.Context(), files.OS, []string{path}, &by, 1, Patience{}) {
		break
	}
	return pic, err
}

// fifo makes a pipe that has a name.
func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	return path
}

// TestDecodePipe: a picture may come out of a pipe, in pieces; what is no picture there is so like a file; others are
// decoded meanwhile, and all in their order.
func TestDecodePipe(t *testing.T) {
	raw, by := pngOf(t, 7, 6, 99), recipe.Recipe{Height: 6, Width: 7, Channels: 3}
	path := fifo(t)
	paths := []string{write(t, "first.png", raw), path, write(t, "last.png", raw)}
	for _, c := range []struct {
		content []byte
		says    string
	}{{raw, ""}, {raw[:len(raw)/2], "cut off"}, {nil, "empty"}} {
		wrote := make(chan error, 1)
		go func() {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				wrote <- err
				return
			}
			_, err = f.Write(c.content[:len(c.content)/3])
			time.Sleep(10 * time.Millisecond)
			_, more := f.Write(c.content[len(c.content)/3:])
			wrote <- errors.Join(err, more, f.Close())
		}()
		i := 0
		for pic, err := range decodeFiles(t.Context(), files.OS, paths, &by, 2, Patience{}) {
			switch bad := (*BadPicture)(nil); {
			case i == 1 && c.says != "":
				if !errors.As(err, &bad) || bad.Name != path || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%d bytes: %v, want %q", len(c.content), err, c.says)
				}
			case err != nil || pic.Pixels[0] != 99:
				t.Errorf("picture %d beside %d bytes: %v, %v", i, len(c.content), pic, err)
			}
			i++
		}
		if err := <-wrote; err != nil || i != len(paths) {
			t.Errorf("%d pictures; writing: %v", i, err)
		}
	}
}

// TestPipeTooLong: what never ends is not read for ever. The limit is that of files.
func TestPipeTooLong(t *testing.T) {
	path := fifo(t)
	wrote := make(chan error, 1)
	go func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		for block := make([]byte, 1<<20); err == nil; {
			_, err = f.Write(block)
		}
		wrote <- errors.Join(err, f.Close())
	}()
	if _, err := readPipe(files.OS, path, nil); err == nil || err.Error() != "file of more than 256 MB" {
		t.Errorf("error %v", err)
	}
	if err := <-wrote; !errors.Is(err, syscall.EPIPE) {
		t.Errorf("writing: %v", err)
	}
}

// TestPipeInterrupted: what waits for a pipe, for somebody to open it or to write, ends with ctx.
func TestPipeInterrupted(t *testing.T) {
	for _, opened := range []bool{false, true} {
		path := fifo(t)
		var writer *os.File
		if opened {
			var err error
			if writer, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, stop)
		by := recipe.Recipe{Height: 6, Width: 7, Channels: 3}
		for _, err := range decodeFiles(ctx, files.OS, []string{path, path}, &by, 1, Patience{}) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("opened %v: error %v", opened, err)
			}
		}
		// what was left behind ends: TestMain looks for it
		for end := time.Now().Add(time.Second); !opened && time.Now().Before(end); {
			if f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
				_ = f.Close()
			}
			time.Sleep(time.Millisecond)
		}
		if opened {
			_ = writer.Close()
		}
	}
}

// TestPipeIsNoOutage: a pipe that nobody writes into is no source that fails, however long that takes.
func TestPipeIsNoOutage(t *testing.T) {
	c := newCrew(t.Context(), &outages{
		look:     time.Millisecond,
		patience: Patience{Tell: func(o Outage) { t.Errorf("told of %v", o) }},
	})
	var raw []byte
	var err error
	c.work(1, func(r *reader) {
		raw, err = r.stream(func([]byte) ([]byte, error) {
			time.Sleep(20 * patientLooks * time.Millisecond)
			return []byte("late"), nil
		})
	})
	if failed := c.wait(); failed != nil || err != nil || string(raw) != "late" {
		t.Errorf("%v; %q, %v", failed, raw, err)
	}
}

// TestNotFile: what is no file is named; a pipe among data is none either.
func TestNotFile(t *testing.T) {
	for path, want := range map[string]string{
		t.TempDir(): "is a folder", fifo(t): "is a pipe", os.DevNull: "is a device",
	} {
		_, err := readFile(files.OS, path, nil)
		if err == nil || err.Error() != want || !ownFault(err) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	dir := folder(t, map[string][]byte{"a/1.png": pngOf(t, 7, 6, 1)})
	if err := syscall.Mkfifo(filepath.Join(dir, "a/2.png"), 0o600); err != nil {
		t.Skip(err)
	}
	s, err := Open(t.Context(), files.OS, At(dir), 0, 1)
	if err != nil || s.Train.Len() != 1 {
		t.Fatalf("%v, %v; want the picture that is a file", s, err)
	}
	defer s.Close()
	if paths, err := PicturesIn(t.Context(), files.OS, dir); err != nil || len(paths) != 1 {
		t.Errorf("%q, %v", paths, err)
	}
}

// TestPicturesIn: files come by name with the folder before it, without what is hidden or no picture.
func TestPicturesIn(t *testing.T) {
	x := []byte("x")
	dir := folder(t, map[string][]byte{
		"b/2.png": x, "b/1.png": x, "c.jpg": x, "a/d/x.jpeg": x, ".hidden/1.png": x, "notes.txt": x, "@eaDir/1.png": x,
	})
	got, err := PicturesIn(t.Context(), files.OS, dir)
	var want []string
	for _, name := range []string{"a/d/x.jpeg", "b/1.png", "b/2.png", "c.jpg"} {
		want = append(want, filepath.Join(dir, filepath.FromSlash(name)))
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	t.Chdir(dir)
	want = []string{"b/1.png", "b/2.png"}
	if got, err = PicturesIn(t.Context(), files.OS, "b"); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err = PicturesIn(t.Context(), files.OS, "nowhere"); !errors.As(err, new(*SourceError)) {
		t.Errorf("no folder: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err = PicturesIn(ctx, files.OS, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestDecodeFile(t *testing.T) {
	pic, err := decodeFile(t, "picture/testdata/one.png", recipe.Recipe{Resize: 7, Height: 7, Width: 7, Channels: 1})
	if err != nil || pic.Height != 7 || pic.Width != 7 || pic.Channels != 1 || len(pic.Pixels) != 49 {
		t.Errorf("a picture of one pixel: %dx%dx%d, %v", pic.Height, pic.Width, pic.Channels, err)
	}
	for path, says := range map[string]string{
		"picture/testdata/gone.jpg": "no such file", "picture/testdata": "is a folder",
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
		for _, err := range decodeFiles(t.Context(), files.OS, paths, &by, 2, Patience{}) {
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
	for _, err := range decodeFiles(t.Context(), fsys, paths, &by, ahead, Patience{}) {
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
