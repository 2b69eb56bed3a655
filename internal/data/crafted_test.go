package data

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/crafted"
	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/sharedtest"
)

// A tar that is made to hurt is refused in a moment and little memory.
func TestCraftedTars(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crafted.tar")
	for _, f := range crafted.Tars() {
		b := f.Bytes()
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		source, err := Open(t.Context(), files.OS, At(path), 0.1, 1)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		var bad *SourceError
		if !errors.As(err, &bad) || bad.Path != path {
			t.Errorf("%s: %v, error %v", f.Name, source, err)
		}
		if asked := after.TotalAlloc - before.TotalAlloc; took > 5*time.Second || asked > 32<<20 {
			t.Errorf("%s: %v and %d MB", f.Name, took, asked>>20)
		}
	}
}

// What is neither folder nor regular file is not opened: a FIFO would wait for a writer.
func TestSpecialSource(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe.tar")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skip("no FIFOs here: ", err)
	}
	for _, path := range []string{pipe, os.DevNull} {
		done := make(chan error, 1)
		go func() {
			_, err := Open(t.Context(), files.OS, At(path), 0, 1)
			done <- err
		}()
		select {
		case err := <-done:
			var bad *SourceError
			if !errors.As(err, &bad) || bad.Problem != Special {
				t.Errorf("%s: error %v", path, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s is still being opened", path)
		}
	}
}

// seed adds the small ones of crafted files.
func seed(f *testing.F, all []crafted.File) {
	f.Helper()
	for _, c := range all {
		if b := c.Bytes(); len(b) < 10_000 {
			f.Add(b)
		}
	}
}

// Whatever the bytes of a tar: a *SourceError, or places that lie in the file.
func FuzzTar(f *testing.F) {
	seed(f, crafted.Tars())
	f.Add(tarOf(f, []tarFile{
		{name: "a/1.png", raw: anyFile},
		{name: "a/2.png", sym: "../b/1.png"},
		{name: "b", sym: "a"},
		{name: "a/up", sym: ".."},
		{name: "c/1.png", link: "a/2.png"},
	}))
	f.Add(tarOf(f, []tarFile{
		{name: "a.cls", raw: []byte("7")},
		{name: "a.jpg", raw: anyFile},
		{name: "a.json", raw: []byte(`{"class": "cat"}`)},
		{name: "b/c.png", raw: anyFile},
		{name: "b/c.cls", raw: []byte("11")},
	}))
	path := filepath.Join(f.TempDir(), "fuzz.tar")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		source, err := Open(t.Context(), files.OS, At(path), 0.1, 1)
		if err != nil {
			if !errors.As(err, new(*SourceError)) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		defer source.Close()
		store, ok := source.store.(*tarStore)
		if !ok { // it was a list
			return
		}
		for _, span := range store.spans {
			if span.off < 0 || span.size < 0 || span.size > int64(len(b))-span.off {
				t.Errorf("a picture of %d bytes at %d of %d", span.size, span.off, len(b))
			}
		}
	})
}

// Whatever the bytes of a list: a *SourceError, or pictures of classes that are folders' names.
func FuzzList(f *testing.F) {
	for _, seed := range []string{
		"a.png 0\nb.png 1\n", "path,label\na.png,cat\n\"b.png\",\"big dog\"\n", "label\tsplit\tfile\n3\tval\ta.png\n",
		"a.png,0\r\nn01440764_1.JPEG,0\r\n", "\ufeffa.png\tx\n", "a.png 0", "path,label\n\"a.png,0\n",
		"a.png 0\n../a.png 1\n/x/a.png 2\nval/ILSVRC2012_val_00000001.JPEG 65\n", "path,label\n",
	} {
		f.Add([]byte(seed), "", []byte("1\n"))
		f.Add([]byte(seed), LabelsIndex, []byte{})
	}
	f.Add([]byte("a.png 0\n"), "truth", []byte("a.png n01440764\n"))
	dir := f.TempDir()
	writeTo(f, filepath.Join(dir, "a.png"), anyFile)
	f.Fuzz(func(t *testing.T, list []byte, labels string, truth []byte) {
		at := At(filepath.Join(dir, "list"))
		writeTo(t, at.Paths[0], list)
		if at.Labels = labels; at.LabelsFile() {
			at.Labels = filepath.Join(dir, "truth")
			writeTo(t, at.Labels, truth)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		source, err := Open(t.Context(), files.OS, at, 0.1, 1)
		runtime.ReadMemStats(&after)
		if asked := after.TotalAlloc - before.TotalAlloc; asked > uint64(2*(len(list)+len(truth))+16<<20+
			1<<10*bytes.Count(list, []byte("\n"))) {
			t.Errorf("%d MB", asked>>20)
		}
		if err != nil {
			if !errors.As(err, new(*SourceError)) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		defer source.Close()
		for _, class := range source.Classes {
			if !isClass(class) {
				t.Errorf("a class %q", class)
			}
		}
	})
}

// TestListsThatHurt: no list takes more memory than twice its size and 16 MB, and what the pictures in it take.
func TestListsThatHurt(t *testing.T) {
	const a, each = "a.png x\n", 1 << 10 // of a picture: names, record, and tables of these
	dir := folder(t, map[string][]byte{"a.png": anyFile})
	list := filepath.Join(dir, "list")
	many := []byte("a.png x\n")
	for i := range 20_000 {
		many = fmt.Appendf(many, "%d y\n", i)
	}
	for name, c := range map[string]struct {
		raw      []byte
		pictures int
	}{
		"an open quote":  {append([]byte("path,label\n\""), bytes.Repeat([]byte("x,"), 4<<20)...), 0},
		"quoted lines":   {append([]byte("path,label\n\""), bytes.Repeat([]byte("x,\n"), 3<<20)...), 0},
		"one line":       {append([]byte(a), bytes.Repeat([]byte("x"), 8<<20)...), 0},
		"blanks":         {append([]byte(a), bytes.Repeat([]byte(" "), 8<<20)...), 1},
		"ends of lines":  {append([]byte(a), bytes.Repeat([]byte("\n"), 8<<20)...), 1},
		"many columns":   {append([]byte("path,label"), bytes.Repeat([]byte(","), 8<<20)...), 0},
		"many pictures":  {many, 20_001},
		"the same again": {bytes.Repeat([]byte(a), 1<<20), 1 << 10},
	} {
		writeTo(t, list, c.raw)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		source, err := Open(t.Context(), files.OS, At(list), 0, 1)
		runtime.ReadMemStats(&after)
		if source != nil {
			if source.Train.Len() != c.pictures {
				t.Errorf("%s: %d pictures", name, source.Train.Len())
			}
			_ = source.Close()
		} else if !errors.As(err, new(*SourceError)) {
			t.Errorf("%s: %v", name, err)
		}
		asked := after.TotalAlloc - before.TotalAlloc
		if most := uint64(2*len(c.raw) + 16<<20 + each*c.pictures); asked > most {
			t.Errorf("%s: %d MB of %d MB", name, asked>>20, most>>20)
		}
	}
}

// TestPhotos holds shards and a list of photographs to class folders of them.
func TestPhotos(t *testing.T) {
	photos := sharedtest.Data(t, "photos.tar")
	want := open(t, photos, 0.1, 1)
	pictures := content(t, want)
	var shard []tarFile
	var list strings.Builder
	dir := t.TempDir()
	for _, set := range []*Set{want.Train, want.Val} {
		for i := range set.Len() {
			raw, err := set.Read(t.Context(), i, nil)
			if err != nil {
				t.Fatal(err)
			}
			wnid, base, _ := strings.Cut(set.Name(i), "/")
			place, ok := imagenet.Place(wnid)
			if !ok {
				t.Fatal(wnid)
			}
			key := strings.TrimSuffix(base, ".JPEG")
			shard = append(shard, tarFile{name: key + ".cls", raw: []byte(strconv.Itoa(place))},
				tarFile{name: base, raw: raw})
			fmt.Fprintf(&list, "%s,%d\n", base, place)
			writeTo(t, filepath.Join(dir, base), raw)
		}
	}
	writeTo(t, filepath.Join(dir, "list.csv"), []byte("path,label\n"+list.String()))
	for _, path := range []string{filepath.Join(dir, "list.csv"), write(t, "x.tar", tarOf(t, shard))} {
		src, err := Open(t.Context(), files.OS, Place{Paths: []string{path}, Labels: LabelsIndex}, 0.1, 1)
		if err != nil {
			t.Fatal(err)
		}
		if src.Fingerprint != want.Fingerprint || !maps.Equal(content(t, src), pictures) || want.Train.Len() < 50 {
			t.Errorf("%s: %v", path, names(src.Train))
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
}
