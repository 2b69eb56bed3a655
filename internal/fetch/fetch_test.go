package fetch

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
)

// entry is one of an archive made for a test.
type entry struct {
	name, content string
	kind          byte // of a tar; 0: a file
}

// noise are n bytes that do not shrink.
func noise(n int) string {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return string(b)
}

var pictures = []entry{
	{"set/train/", "", tar.TypeDir},
	{"set/train/n01440764/1.JPEG", noise(70_000), 0},
	{"set/train/n02102040/2.JPEG", noise(50_001), 0},
	{"./set/val/n01440764/3.JPEG", "three", 0},
	{"set/empty/", "", tar.TypeDir},
}

func tarball(t *testing.T, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Size: int64(len(e.content)), Mode: 0o644}
		switch e.kind {
		case 0:
			h.Typeflag = tar.TypeReg
		case tar.TypeSymlink, tar.TypeLink:
			h.Linkname, h.Size = e.content, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte(e.content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t *testing.T, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(0o644)
		if e.kind == tar.TypeSymlink {
			h.SetMode(0o777 | fs.ModeSymlink)
		}
		if e.kind == tar.TypeDir {
			h.SetMode(0o755 | fs.ModeDir)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// server serves an archive as told.
type server struct {
	*httptest.Server
	archive  []byte
	etag     string
	requests atomic.Int64
	sent     atomic.Int64
	// answer takes a request over: false leaves it to the file server.
	answer func(n int64, w http.ResponseWriter, r *http.Request) bool
}

func serve(t *testing.T, archive []byte) *server {
	t.Helper()
	s := &server{archive: archive, etag: `"one"`}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := s.requests.Add(1)
		if s.answer != nil && s.answer(n, w, r) {
			return
		}
		w.Header().Set("ETag", s.etag)
		http.ServeContent(&counting{w, &s.sent}, r, "", time.Time{}, bytes.NewReader(s.archive))
	}))
	t.Cleanup(s.Close)
	return s
}

// counting counts the bytes sent.
type counting struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// cut sends the head of an answer and some of its bytes, and cuts the connection.
func (s *server) cut(w http.ResponseWriter, from, n int) {
	w.Header().Set("ETag", s.etag)
	w.Header().Set("Content-Length", fmt.Sprint(len(s.archive)-from))
	if from > 0 {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(s.archive)-1, len(s.archive)))
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = w.Write(s.archive[from : from+n])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func (s *server) options(t *testing.T) Options {
	t.Helper()
	return Options{
		Files: files.OS, Client: s.Client(), Dir: filepath.Join(t.TempDir(), "data", "set"),
		pauses: []time.Duration{0, 0, 0},
	}
}

func (s *server) set() Set {
	sum := sha256.Sum256(s.archive)
	return Set{"set", s.URL + "/set.tgz", int64(len(s.archive)), hex.EncodeToString(sum[:]), "the test"}
}

// holds compares what was unpacked with the entries.
func holds(t *testing.T, dir string, entries []entry) {
	t.Helper()
	want := 0
	for _, e := range entries {
		path := filepath.Join(dir, filepath.FromSlash(e.name))
		if e.kind == tar.TypeDir {
			if info, err := os.Stat(path); err != nil || !info.IsDir() {
				t.Errorf("%s is not a folder: %v", e.name, err)
			}
			continue
		}
		want++
		if got, err := os.ReadFile(path); err != nil || string(got) != e.content {
			t.Errorf("%s: %d bytes, %v, want %d", e.name, len(got), err, len(e.content))
		}
	}
	got := 0
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got++
		}
		return err
	})
	if err != nil || got != want {
		t.Errorf("%d files, %v, want %d", got, err, want)
	}
	if _, err := os.Stat(files.Partial(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", files.Partial(dir), err)
	}
}

func TestFetch(t *testing.T) {
	for name, archive := range map[string]func(*testing.T, []entry) []byte{"tgz": tarball, "zip": zipped} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, archive(t, pictures))
			o, set := s.options(t), s.set()
			r, err := Fetch(t.Context(), set, o)
			if err != nil {
				t.Fatal(err)
			}
			holds(t, o.Dir, pictures)
			if !r.Verified || r.SHA256 != set.SHA256 || r.Bytes != set.Size || r.Files != 3 {
				t.Errorf("%+v", r)
			}
			// what is there is not touched
			if _, err = Fetch(t.Context(), set, o); !errors.As(err, new(*NotEmpty)) {
				t.Errorf("once more: %v", err)
			}
			// an empty folder is as good as none; without a checksum nothing is verified
			o.Dir += "2"
			if err := os.MkdirAll(o.Dir, 0o777); err != nil {
				t.Fatal(err)
			}
			r, err = Fetch(t.Context(), Set{URL: set.URL}, o)
			if err != nil || r.Verified || r.SHA256 != set.SHA256 {
				t.Errorf("%+v, %v", r, err)
			}
			holds(t, o.Dir, pictures)
		})
	}
}

// nothingLeft looks for what a failed attempt made: the folder, that beside it, that above them.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	for _, path := range []string{dir, files.Partial(dir), filepath.Dir(dir)} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", path, err)
		}
	}
}

// TestGoesOn cuts the connection, refuses for a while, and is asked for the rest only.
func TestGoesOn(t *testing.T) {
	s := serve(t, tarball(t, pictures))
	half := len(s.archive) / 2
	s.answer = func(n int64, w http.ResponseWriter, r *http.Request) bool {
		switch n {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			s.cut(w, 0, half)
		case 3:
			w.WriteHeader(http.StatusTooManyRequests)
		case 4:
			if got, want := r.Header.Get("Range"), fmt.Sprintf("bytes=%d-", half); got != want {
				t.Errorf("asked for %q, want %q", got, want)
			}
			if got := r.Header.Get("If-Range"); got != s.etag {
				t.Errorf("If-Range %q, want %q", got, s.etag)
			}
			s.cut(w, half, 1000)
		default:
			return false
		}
		return true
	}
	o := s.options(t)
	if _, err := Fetch(t.Context(), s.set(), o); err != nil {
		t.Fatal(err)
	}
	holds(t, o.Dir, pictures)
	if got, want := s.sent.Load(), int64(len(s.archive)-half-1000); got != want {
		t.Errorf("the last answer sent %d bytes, want the remaining %d", got, want)
	}
}

// TestTakenUp gives up, and the next call goes on: with the rest where the server still has the same, with everything
// where it has something else by now.
func TestTakenUp(t *testing.T) {
	for _, changed := range []bool{false, true} {
		s := serve(t, tarball(t, pictures))
		half := len(s.archive) / 2
		broken := func(n int64, w http.ResponseWriter, _ *http.Request) bool {
			if n == 1 {
				s.cut(w, 0, half)
			}
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		s.answer = broken
		o := s.options(t)
		set := s.set()
		set.SHA256, set.Size = "", 0
		_, err := Fetch(t.Context(), set, o)
		var network *Unreachable
		if !errors.As(err, &network) || network.Have != int64(half) || !strings.Contains(err.Error(), "502") {
			t.Fatalf("%v", err)
		}
		if _, err := os.Stat(o.Dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", o.Dir, err)
		}
		want := pictures
		s.answer = nil
		if changed {
			want = append([]entry{{"set/new", noise(3), 0}}, pictures...)
			s.archive, s.etag = tarball(t, want), `"two"`
		}
		if _, err := Fetch(t.Context(), set, o); err != nil {
			t.Fatal(err)
		}
		holds(t, o.Dir, want)
		rest := len(s.archive) - half
		if changed {
			rest = len(s.archive)
		}
		if got := s.sent.Load(); got != int64(rest) {
			t.Errorf("changed %t: %d bytes sent, want %d", changed, got, rest)
		}
	}
}

// TestServers that have no ranges, that answer with another part, that have nothing more to send, that stall.
func TestServers(t *testing.T) {
	archive := tarball(t, pictures)
	for _, c := range []struct {
		name   string
		answer func(s *server, n int64, w http.ResponseWriter, r *http.Request) bool
		fails  any
	}{
		{"no ranges", func(s *server, n int64, w http.ResponseWriter, _ *http.Request) bool {
			if n == 1 {
				s.cut(w, 0, 5000)
			}
			_, _ = w.Write(s.archive)
			return true
		}, nil},
		{"another part", func(s *server, n int64, w http.ResponseWriter, _ *http.Request) bool {
			switch n {
			case 1:
				s.cut(w, 0, 5000)
			case 2:
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 1-2/%d", len(s.archive)))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write([]byte("ab"))
			default:
				return false
			}
			return true
		}, nil},
		{"no end announced", func(s *server, _ int64, w http.ResponseWriter, _ *http.Request) bool {
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(s.archive)
			return true
		}, nil},
		{"not found", func(_ *server, _ int64, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusNotFound)
			return true
		}, new(*Refused)},
		{"another size", func(_ *server, _ int64, w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte("<html>sign in first</html>"))
			return true
		}, new(*Refused)},
		{"silence", func(s *server, n int64, w http.ResponseWriter, r *http.Request) bool {
			if n > 2 {
				return false
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(s.archive)))
			_, _ = w.Write(s.archive[:100])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return true
		}, nil},
		{"silence for ever", func(_ *server, _ int64, _ http.ResponseWriter, r *http.Request) bool {
			<-r.Context().Done()
			return true
		}, new(*Unreachable)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, archive)
			s.answer = func(n int64, w http.ResponseWriter, r *http.Request) bool { return c.answer(s, n, w, r) }
			o := s.options(t)
			if strings.HasPrefix(c.name, "silence") {
				o.stall = 50 * time.Millisecond
			}
			_, err := Fetch(t.Context(), s.set(), o)
			if c.fails != nil {
				if !errors.As(err, c.fails) {
					t.Fatalf("%v", err)
				}
				nothingLeft(t, o.Dir)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			holds(t, o.Dir, pictures)
		})
	}
}

// TestAllThere takes up an archive that had arrived whole, of a size that nobody published: the server says so.
func TestAllThere(t *testing.T) {
	s := serve(t, tarball(t, pictures))
	o, set := s.options(t), s.set()
	set.Size, set.SHA256 = 0, ""
	full := errors.New("full")
	disk := filestest.New(files.OS)
	disk.Break(full, func(c filestest.Call) bool { return c.Op == "mkdir" && strings.HasSuffix(c.Name, treeName) })
	o.Files = disk
	if _, err := Fetch(t.Context(), set, o); !errors.Is(err, full) {
		t.Fatalf("%v", err)
	}
	disk.Mend()
	before := s.sent.Load()
	if _, err := Fetch(t.Context(), set, o); err != nil {
		t.Fatal(err)
	}
	holds(t, o.Dir, pictures)
	if got := s.sent.Load() - before; got > 100 { // the words of the refusal
		t.Errorf("%d bytes were sent again", got)
	}
}

func TestMismatch(t *testing.T) {
	s := serve(t, tarball(t, pictures))
	o, set := s.options(t), s.set()
	set.SHA256 = strings.Repeat("0", 64)
	var bad *Mismatch
	if _, err := Fetch(t.Context(), set, o); !errors.As(err, &bad) || bad.Source != "the test" {
		t.Fatalf("%v", err)
	}
	nothingLeft(t, o.Dir)
	if _, err := Fetch(t.Context(), s.set(), o); err != nil { // and nothing is in the way
		t.Fatal(err)
	}
	holds(t, o.Dir, pictures)
}

// TestArchives that are not to be trusted leave nothing in the place of a result.
func TestArchives(t *testing.T) {
	big := strings.Repeat("0", 1<<20)
	var bomb []entry
	for i := range 70 {
		bomb = append(bomb, entry{fmt.Sprint(i), big, 0})
	}
	whole := tarball(t, pictures)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-6] ^= 1 // in gzip's checksum
	for name, c := range map[string]struct {
		archive []byte
		want    string
	}{
		"page":         {[]byte("<html>sign in first</html>"), "the archive is neither a tar, a .tar.gz nor a zip"},
		"empty":        {nil, "the archive is neither a tar, a .tar.gz nor a zip"},
		"no files":     {tarball(t, pictures[:1]), "the archive holds no files"},
		"cut":          {whole[:len(whole)/2], "the archive ends early"},
		"flipped":      {flipped, "the archive is damaged: gzip: invalid checksum"},
		"above":        {tarball(t, []entry{{"../x", "x", 0}}), "not unpacked: ../x would lie outside the folder"},
		"above within": {tarball(t, []entry{{"a/../../x", "x", 0}}), "a/../../x would lie outside the folder"},
		"absolute":     {tarball(t, []entry{{"/tmp/x", "x", 0}}), "/tmp/x would lie outside the folder"},
		"link":         {tarball(t, []entry{{"a", "/etc", tar.TypeSymlink}}), "a is a link or a device"},
		"hard link":    {tarball(t, []entry{{"a", "/etc/passwd", tar.TypeLink}}), "a is a link or a device"},
		"device":       {tarball(t, []entry{{"a", "", tar.TypeChar}}), "a is a link or a device"},
		"twice":        {tarball(t, []entry{{"a", "1", 0}, {"a", "2", 0}}), "a is there twice"},
		"bomb":         {tarball(t, bomb), "the archive grows to more than 20 times its size"},
		"zip above":    {zipped(t, []entry{{"../x", "x", 0}}), "../x would lie outside the folder"},
		"zip link":     {zipped(t, []entry{{"a", "/etc", tar.TypeSymlink}}), "a is a link or a device"},
		"zip cut":      {zipped(t, pictures)[:1000], "the archive is damaged: zip: not a valid zip file"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, c.archive)
			o := s.options(t)
			_, err := Fetch(t.Context(), Set{URL: s.URL}, o)
			if !errors.As(err, new(*BadArchive)) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			nothingLeft(t, o.Dir)
			s.archive = whole // by the same name: nothing of the other is asked for
			if _, err := Fetch(t.Context(), Set{URL: s.URL}, o); err != nil {
				t.Fatal(err)
			}
			holds(t, o.Dir, pictures)
		})
	}
}

// TestEachCallFails lets every call to the file system fail once: the folder is whole or not there, and the next
// attempt goes through.
func TestEachCallFails(t *testing.T) {
	s := serve(t, tarball(t, pictures[:2]))
	filestest.EachCall(t, errors.New("broken"), func(t *testing.T, f *filestest.FS) {
		o := s.options(t)
		o.Files = f
		if _, err := Fetch(t.Context(), s.set(), o); err != nil {
			if _, err := os.Stat(o.Dir); err == nil {
				holdsAll(t, o.Dir)
				return
			}
			o.Files = files.OS
			if _, err := Fetch(t.Context(), s.set(), o); err != nil {
				t.Fatal(err)
			}
		}
		holdsAll(t, o.Dir)
	})
}

// atOnce is a file system that can be synced whole.
type atOnce struct {
	*filestest.FS
	err  error
	dirs []string // that it was asked for
	at   int      // calls before that
}

func (a *atOnce) SyncAll(dir string) error {
	a.dirs, a.at = append(a.dirs, dir), len(a.Calls())
	return a.err
}

// TestSynced holds what was unpacked to be durable, folder by folder, before it gets its name, and its name before the
// archive goes.
func TestSynced(t *testing.T) {
	s := serve(t, tarball(t, pictures))
	for _, whole := range []bool{false, true} {
		o, disk := s.options(t), &atOnce{FS: filestest.New(files.OS)}
		partial, above := files.Partial(o.Dir), filepath.Dir(o.Dir)
		tree := filepath.Join(partial, treeName)
		if o.Files = disk.FS; whole {
			o.Files = disk
		}
		if _, err := Fetch(t.Context(), s.set(), o); err != nil {
			t.Fatal(err)
		}
		holds(t, o.Dir, pictures)
		calls := disk.Calls()
		named := slices.Index(calls, filestest.Call{Op: "rename", Name: tree})
		durable := named + slices.Index(calls[named:], filestest.Call{Op: "syncdir", Name: above})
		gone := slices.Index(calls, filestest.Call{Op: "remove", Name: filepath.Join(partial, archiveName)})
		if named < 0 || durable < named || gone < durable {
			t.Errorf("named in call %d, synced in %d, the archive removed in %d", named, durable, gone)
		}
		for _, dir := range []string{filepath.Dir(above), above} {
			if i := slices.Index(calls, filestest.Call{Op: "syncdir", Name: dir}); i < 0 || i > named {
				t.Errorf("%s, in which a folder was made, is synced in call %d", dir, i)
			}
		}
		if whole {
			written := func(c filestest.Call) bool { return strings.HasPrefix(c.Name, tree) && c.Op == "write" }
			if !slices.Equal(disk.dirs, []string{tree}) || disk.at > named ||
				slices.ContainsFunc(calls[disk.at:], written) || !slices.ContainsFunc(calls[:disk.at], written) {
				t.Errorf("all of %q is synced before call %d of %v", disk.dirs, disk.at, calls)
			}
			continue
		}
		err := filepath.WalkDir(o.Dir, func(path string, d fs.DirEntry, err error) error {
			c := filestest.Call{Op: "sync", Name: tree + strings.TrimPrefix(path, o.Dir)}
			if d.IsDir() {
				c.Op = "syncdir"
			}
			if i := slices.Index(calls, c); i < 0 || i > named {
				t.Errorf("%v is call %d, and the folder is named in %d", c, i, named)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestNotSynced: what may not have reached the disk gets no name, and a name that may not have keeps the archive.
func TestNotSynced(t *testing.T) {
	s := serve(t, tarball(t, pictures))
	o, disk := s.options(t), &atOnce{FS: filestest.New(files.OS), err: syscall.EIO}
	o.Files = disk
	if _, err := Fetch(t.Context(), s.set(), o); !errors.Is(err, syscall.EIO) {
		t.Errorf("%v", err)
	}
	archive := filepath.Join(files.Partial(o.Dir), archiveName)
	for path, there := range map[string]bool{o.Dir: false, archive: true} {
		if _, err := os.Stat(path); (err == nil) != there {
			t.Errorf("%s: %v", path, err)
		}
	}
	disk.err = nil
	above, named := filepath.Dir(o.Dir), func() bool { _, err := os.Stat(o.Dir); return err == nil }
	disk.Break(syscall.EIO, func(c filestest.Call) bool { return c.Op == "syncdir" && c.Name == above && named() })
	_, err := Fetch(t.Context(), s.set(), o)
	want := o.Dir + " is written, but may be lost in a power failure: "
	if !errors.Is(err, syscall.EIO) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	for _, path := range []string{o.Dir, archive} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestNote is written whole or not at all, and nothing of a killed writer stays.
func TestNote(t *testing.T) {
	s := serve(t, tarball(t, pictures))
	o, disk := s.options(t), filestest.New(files.OS)
	o.Files = disk
	partial := files.Partial(o.Dir)
	left := filepath.Join(partial, ".archive.json.77.0.tmp") // where files cannot be locked
	if err := errors.Join(os.MkdirAll(partial, 0o777), os.WriteFile(left, nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if _, err := Fetch(t.Context(), s.set(), o); err != nil {
		t.Fatal(err)
	}
	holds(t, o.Dir, pictures)
	note := filepath.Join(partial, stateName)
	for _, c := range disk.Calls() {
		if c.Name == note && c.Op == "openfile" {
			t.Errorf("%v: it is written in place", c)
		}
	}
}

func holdsAll(t *testing.T, dir string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, "set", "train", "n01440764", "1.JPEG"))
	if err != nil || string(got) != pictures[1].content {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestInterrupted ends the context in each phase: what was downloaded stays.
func TestInterrupted(t *testing.T) {
	s := serve(t, tarball(t, pictures))
	stop := errors.New("stopped")
	for phase := Downloading; phase <= Unpacking; phase++ {
		o := s.options(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		o.Progress = func(p Phase, _, _ int64) {
			if p == phase {
				cancel(stop)
			}
		}
		_, err := Fetch(ctx, s.set(), o)
		var end *Interrupted
		if !errors.As(err, &end) || !errors.Is(err, stop) || end.Have == 0 || err.Error() != "stopped" {
			t.Fatalf("phase %d: %v", phase, err)
		}
		begun := filepath.Join(files.Partial(o.Dir), archiveName)
		if info, err := os.Stat(begun); err != nil || info.Size() != end.Have {
			t.Errorf("phase %d: %+v, %v, want %d bytes", phase, info, err, end.Have)
		}
		if _, err := os.Stat(o.Dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("phase %d: %s is there", phase, o.Dir)
		}
		o.Progress = nil
		if _, err := Fetch(t.Context(), s.set(), o); err != nil {
			t.Fatal(err)
		}
		holds(t, o.Dir, pictures)
	}
}

// TestInterruptedAtOnce leaves nothing where nothing was downloaded.
func TestInterruptedAtOnce(t *testing.T) {
	s := serve(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	s.answer = func(_ int64, _ http.ResponseWriter, r *http.Request) bool {
		cancel(errors.New("stopped"))
		<-r.Context().Done()
		return true
	}
	o := s.options(t)
	var end *Interrupted
	if _, err := Fetch(ctx, Set{URL: s.URL}, o); !errors.As(err, &end) || end.Have != 0 {
		t.Errorf("%+v", end)
	}
	nothingLeft(t, o.Dir)
}

// TestInterruptedAtChecksum ends the context in what follows the last file of a .tar.gz, up to its checksum.
func TestInterruptedAtChecksum(t *testing.T) {
	r, err := gzip.NewReader(bytes.NewReader(tarball(t, pictures[3:4])))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = io.Copy(z, r)
	_, more := z.Write(make([]byte, 10<<20))
	if err := errors.Join(err, more, z.Close()); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(archive, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	stop, calls := errors.New("stopped"), 0
	ctx, cancel := context.WithCancelCause(t.Context())
	o := Options{Files: files.OS, Progress: func(Phase, int64, int64) {
		if calls++; calls == 10 { // the file takes fewer
			cancel(stop)
		}
	}}
	if _, err := unpack(ctx, archive, archive+".tree", o); !errors.Is(err, stop) || calls != 10 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// TestRetry tells of each pause before it begins.
func TestRetry(t *testing.T) {
	s := serve(t, tarball(t, pictures))
	s.answer = func(n int64, w http.ResponseWriter, _ *http.Request) bool {
		if n < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return n < 3
	}
	o := s.options(t)
	o.pauses = []time.Duration{time.Millisecond, 2 * time.Millisecond, time.Hour}
	var told []string
	o.Retry = func(err *Unreachable, pause time.Duration) { told = append(told, fmt.Sprint(err, pause)) }
	if _, err := Fetch(t.Context(), s.set(), o); err != nil {
		t.Fatal(err)
	}
	words := "cannot fetch " + s.URL + "/set.tgz: 503 Service Unavailable "
	if want := []string{words + "1ms", words + "2ms"}; !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
}

// TestPlaces in which no folder can be made are told before anything is asked for.
func TestPlaces(t *testing.T) {
	s := serve(t, tarball(t, pictures))
	t.Chdir(t.TempDir())
	for _, err := range []error{
		os.WriteFile("file", nil, 0o666), os.MkdirAll("full\n/there", 0o777), os.Mkdir("empty", 0o777),
		os.Symlink("empty", "link"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(here, "empty")
	for _, c := range []struct{ dir, want string }{
		{"file", "file is a file, not a folder"},
		{"file/a/b", "file is a file, not a folder"},
		{"link", "link is a link, not a folder"},
		{"full\n", `full\n is not empty`},
		{"..", ".. is not empty"},
		{"/dev/null/x", "/dev/null is a device, not a folder"},
	} {
		o := s.options(t)
		o.Dir = c.dir
		if _, err := Fetch(t.Context(), s.set(), o); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.dir, err, c.want)
		}
	}
	t.Chdir("empty")
	for _, dir := range []string{".", "../empty", "../link/.", empty} {
		o := s.options(t)
		o.Dir = dir
		want := "the folder " + dir + " cannot be replaced: it is the current folder"
		if _, err := Fetch(t.Context(), s.set(), o); !errors.As(err, new(*Fixed)) || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	// a mount point
	t.Chdir(here)
	o, disk := s.options(t), filestest.New(files.OS)
	o.Dir, o.Files = "empty", disk
	disk.Break(syscall.EBUSY, func(c filestest.Call) bool { return c.Op == "remove" && c.Name == "empty" })
	want := "the folder empty cannot be replaced: device or resource busy"
	if _, err := Fetch(t.Context(), s.set(), o); !errors.As(err, new(*Fixed)) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	for _, path := range []string{"file.partial", "link.partial", "empty.partial"} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", path, err)
		}
	}
	if n := s.requests.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestForeign keeps what somebody else put into the folder in which Fetch works.
func TestForeign(t *testing.T) {
	s := serve(t, tarball(t, pictures))
	o := s.options(t)
	mine := filepath.Join(files.Partial(o.Dir), "mine")
	if err := os.MkdirAll(mine, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Fetch(t.Context(), s.set(), o); err != nil {
		t.Fatal(err)
	}
	items, err := os.ReadDir(files.Partial(o.Dir))
	if err != nil || len(items) != 1 || items[0].Name() != "mine" {
		t.Errorf("%v, %v", items, err)
	}
}

// smallDisk has so many bytes free.
type smallDisk struct {
	files.FS
	free atomic.Int64
}

func (d *smallDisk) Space(string) (files.Space, error) {
	return files.Space{Free: d.free.Load(), Total: 1 << 40}, nil
}

// TestNoRoom refuses before the download what does not fit, and less where some of it is there already.
func TestNoRoom(t *testing.T) {
	s := serve(t, make([]byte, 1_000_000))
	o := s.options(t)
	disk := &smallDisk{FS: files.OS}
	disk.free.Store(2_199_999)
	o.Files = disk
	_, err := Fetch(t.Context(), Set{URL: s.URL}, o)
	want := o.Dir + ": downloading and unpacking need 2.1 MiB, 2.1 MiB are free"
	var full *files.NoRoom
	if !errors.As(err, &full) || full.Need != 2_200_000 || full.Free != 2_199_999 || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	nothingLeft(t, o.Dir)
	disk.free.Add(1)
	s.answer = func(n int64, w http.ResponseWriter, _ *http.Request) bool {
		if n == 2 {
			s.cut(w, 0, 400_000)
		}
		disk.free.Store(1_799_999)
		return false
	}
	if _, err := Fetch(t.Context(), Set{URL: s.URL}, o); !errors.As(err, &full) || full.Need != 1_800_000 {
		t.Errorf("%v", err)
	}
	if info, err := os.Stat(filepath.Join(files.Partial(o.Dir), archiveName)); err != nil || info.Size() != 400_000 {
		t.Errorf("%+v, %v", info, err)
	}
	s.answer = nil
	disk.free.Add(1)
	if _, err := Fetch(t.Context(), Set{URL: s.URL}, o); !errors.As(err, new(*BadArchive)) {
		t.Errorf("%v", err)
	}
}

// TestSets holds names, addresses and checksums to their form.
func TestSets(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Sets() {
		if seen[s.Name] || !strings.HasPrefix(s.URL, "http") {
			t.Errorf("%+v", s)
		}
		seen[s.Name] = true
		if _, err := hex.DecodeString(s.SHA256); err != nil || (s.SHA256 != "") != (s.Size > 0 && s.Source != "") {
			t.Errorf("%+v: %v", s, err)
		}
		if n := len(s.SHA256); n != 0 && n != 64 {
			t.Errorf("%s: a checksum of %d letters", s.Name, n)
		}
		if got, ok := Find(s.Name); !ok || got != s {
			t.Errorf("Find(%s) = %+v, %t", s.Name, got, ok)
		}
	}
	if _, ok := Find("imagenet"); ok {
		t.Error("imagenet can be fetched")
	}
}
