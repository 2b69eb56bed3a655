package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"go.uber.org/goleak"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
)

const child = "ALEXNET_TEST_S3_CHILD"

// TestMain is also what a second process does: it reads objects, named by what it is given, and tells their hash.
func TestMain(m *testing.M) {
	if name := os.Getenv(child); name != "" {
		r, err := New(context.Background(), Options{FS: files.OS, Dir: os.Getenv(child + "_CACHE"), Bytes: small})
		if err != nil {
			panic(err)
		}
		r.block = testBlock
		fmt.Println(hashOf(r, name, 5))
		r.settle()
		return
	}
	goleak.VerifyTestMain(m)
}

// hashOf reads an object some times, blocks in another order each time.
func hashOf(r *Reader, name string, times int) string {
	f, err := r.Open(name)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err.Error()
	}
	raw := make([]byte, info.Size())
	for range times {
		clear(raw)
		for _, n := range rand.Perm(int(info.Size()/1000) + 1) {
			part := raw[n*1000 : min(n*1000+1000, len(raw))]
			if _, err := f.ReadAt(part, int64(n*1000)); err != nil {
				return err.Error()
			}
		}
	}
	return fmt.Sprintf("%x", sha256.Sum256(raw))
}

const (
	testBlock = 10_000
	small     = 50_000 // bytes of a cache: not quite 5 blocks
)

// store is a server that may be in a bad mood.
type store struct {
	memory *s3mem.Backend
	server *httptest.Server
	gets   atomic.Int64 // of objects

	mu   sync.Mutex
	mood func(w http.ResponseWriter, r *http.Request) bool // has answered
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.Method == http.MethodGet && r.Header.Get("Range") != "" {
		s.gets.Add(1)
	}
	s.mu.Lock()
	mood := s.mood
	s.mu.Unlock()
	if mood == nil || !mood(w, r) {
		next.ServeHTTP(w, r)
	}
}

func (s *store) feel(mood func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mood = mood
}

func (s *store) put(t testing.TB, key string, raw []byte) {
	t.Helper()
	meta := map[string]string{"Last-Modified": "Mon, 30 Nov 2026 12:00:00 GMT"}
	if _, err := s.memory.PutObject("pictures", key, meta, bytes.NewReader(raw), int64(len(raw)), nil); err != nil {
		t.Fatal(err)
	}
}

// newStore starts a server with a bucket, and makes the environment name it.
func newStore(t testing.TB) *store {
	t.Helper()
	s := &store{memory: s3mem.New()}
	if err := s.memory.CreateBucket("pictures"); err != nil {
		t.Fatal(err)
	}
	next := gofakes3.New(s.memory).Server()
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r, next)
	}))
	t.Cleanup(s.server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": s.server.URL, "AWS_ENDPOINT_URL_S3": "", "AWS_ACCESS_KEY_ID": "me",
		"AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		if t, ok := t.(*testing.T); ok {
			t.Setenv(name, value)
		}
	}
	return s
}

// open makes a reader with a cache of so many bytes.
func newReader(t testing.TB, dir string, size int64) *Reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := New(ctx, Options{FS: files.OS, Dir: dir, Bytes: size})
	if err != nil {
		t.Fatal(err)
	}
	r.block, r.first = testBlock, time.Millisecond
	t.Cleanup(func() {
		cancel()
		r.settle()
	})
	return r
}

// settle waits until nothing is fetched or saved that nobody waits for.
func (r *Reader) settle() {
	for r.busy() {
		time.Sleep(time.Millisecond)
	}
}

func (r *Reader) busy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fetches > 0 || len(r.saving) > 0
}

func noise(n int) []byte {
	raw := make([]byte, n)
	src := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range raw {
		raw[i] = byte(src.Uint32())
	}
	return raw
}

func read(t testing.TB, r files.Reader, name string) []byte {
	t.Helper()
	raw, err := files.ReadFile(r, name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Folders are what lies before a slash; names may be joined as paths are.
func TestFolders(t *testing.T) {
	s := newStore(t)
	r := newReader(t, t.TempDir(), 1<<20)
	for _, key := range []string{
		"set/index", "set/a.tar", "set/deep/x", "set/deep/", "setting", "set/../odd", "set//y",
	} {
		s.put(t, key, []byte(key))
	}
	entries, err := r.ReadDir("s3://pictures/set")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprint(e.Name(), e.IsDir()))
	}
	if want := "a.tarfalse deeptrue indexfalse"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	for _, name := range []string{
		"s3://pictures", "s3://pictures/set", "s3://pictures/set/", "s3:/pictures/set/deep", "S3://pictures/set",
	} {
		if info, err := r.Stat(name); err != nil || !info.IsDir() {
			t.Errorf("%s: %v (%v)", name, info, err)
		}
	}
	if got := read(t, r, filepath.Join("s3://pictures/set", "index")); string(got) != "set/index" {
		t.Errorf("read %q", got)
	}
	for _, name := range []string{"s3://pictures/se", "s3://pictures/set/index/x", "s3://nobody/set"} {
		_, err := r.Stat(name)
		if _, failed := r.Open(name); !errors.Is(err, fs.ErrNotExist) || !errors.Is(failed, fs.ErrNotExist) {
			t.Errorf("%s: %v, %v", name, err, failed)
		}
	}
	if _, err := r.Open("s3://pictures/set"); err == nil {
		t.Error("a folder can be opened")
	}
}

// A read is right at any place, kept or not, and asks for whole blocks once.
func TestReadAt(t *testing.T) {
	s := newStore(t)
	raw := noise(35_001)
	s.put(t, "a", raw)
	dir := t.TempDir()
	for _, c := range []struct {
		what string
		size int64
		gets int64
	}{{"empty", 1 << 20, 4}, {"full", 1 << 20, 0}, {"none", 0, 6}, {"tiny", testBlock, 6}} {
		r := newReader(t, dir, c.size)
		f, err := r.Open("s3://pictures/a")
		if err != nil {
			t.Fatal(err)
		}
		s.gets.Store(0)
		for _, at := range [][2]int{{0, 1}, {9_990, 20}, {0, 35_001}, {35_000, 1}, {30_000, 5_001}, {1, 2}, {3, 0}} {
			got := make([]byte, at[1])
			if n, err := f.ReadAt(got, int64(at[0])); err != nil || n != at[1] || !bytes.Equal(got, raw[at[0]:][:n]) {
				t.Errorf("%s: %d bytes at %d: %d (%v)", c.what, at[1], at[0], n, err)
			}
		}
		if n, err := f.ReadAt(make([]byte, 9), 35_000); n != 1 || !errors.Is(err, io.EOF) {
			t.Errorf("%s: at the end: %d (%v)", c.what, n, err)
		}
		if got := s.gets.Load(); got > c.gets+4 || got < c.gets {
			t.Errorf("%s: %d requests, want about %d", c.what, got, c.gets)
		}
		if at, err := f.Seek(-1, io.SeekEnd); at != 35_000 || err != nil {
			t.Errorf("%s: at %d (%v)", c.what, at, err)
		}
		if rest, err := io.ReadAll(f); err != nil || !bytes.Equal(rest, raw[35_000:]) {
			t.Errorf("%s: the rest is %d bytes (%v)", c.what, len(rest), err)
		}
		r.settle()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// times is a mood that lasts for so many requests of objects.
func times(n int64, mood http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	var seen atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") == "" || seen.Add(1) > n {
			return false
		}
		mood(w, r)
		return true
	}
}

func refuse(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>not \u202e now</Message></Error>", code)
	}
}

// short is an answer of the first bytes, which says that it is whole, or is cut off.
func short(s *store, t *testing.T, cut bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		o, err := s.memory.HeadObject("pictures", "a")
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, o.Hash))
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		if cut {
			w.Header().Set("Content-Length", "10000")
		} else {
			w.Header().Set("Content-Length", "100")
		}
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(make([]byte, 100))
		if cut {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}
}

// Whatever passes is tried again; what stays is told, and is neither the picture's own fault nor a change.
func TestBadServer(t *testing.T) {
	s := newStore(t)
	raw := noise(12_000)
	s.put(t, "a", raw)
	for _, c := range []struct {
		what  string
		mood  http.HandlerFunc
		tried int64
		says  string
	}{
		{"503", refuse(503, "SlowDown"), tries, "503 SlowDown"},
		{"500", refuse(500, "InternalError"), tries, "500 InternalError"},
		{"403", refuse(403, "AccessDenied"), 1, `the server answers 403 AccessDenied: not \u202e now`},
		{"short", short(s, t, false), tries, "ends after 100 of 10000 bytes"},
		{"cut", short(s, t, true), tries, "ends after 100 of 10000 bytes"},
		{"aborted", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, tries, "onnection"},
	} {
		for _, size := range []int64{1 << 20, 0} {
			r := newReader(t, t.TempDir(), size)
			f, err := r.Open("s3://pictures/a")
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 10_000)
			if c.tried > 1 {
				s.feel(times(tries-1, c.mood))
				if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, raw[:10_000]) {
					t.Errorf("%s: not read in %d tries: %v", c.what, tries, err)
				}
				f, r = nil, newReader(t, t.TempDir(), size)
				if f, err = r.Open("s3://pictures/a"); err != nil {
					t.Fatal(err)
				}
			}
			s.gets.Store(0)
			s.feel(times(1000, c.mood))
			_, err = f.ReadAt(got, 0)
			var of *fs.PathError
			if !errors.As(err, &of) || !strings.Contains(err.Error(), c.says) || errors.Is(err, fs.ErrPermission) ||
				errors.Is(err, fs.ErrNotExist) || errors.Is(err, files.ErrChanged) {
				t.Errorf("%s: error %v", c.what, err)
			}
			// Go's client asks once more where a connection that it used before was cut
			if n := s.gets.Load(); n != c.tried && (c.what != "aborted" || n != c.tried+1) {
				t.Errorf("%s: tried %d times, want %d", c.what, n, c.tried)
			}
			s.feel(nil)
			if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, raw[:10_000]) {
				t.Errorf("%s: not read when it was over: %v", c.what, err)
			}
		}
	}
}

// Another version of an object, of the same length too, is never read as part of the one that was opened, and is found
// out by its ETag where the server does not know If-Match.
func TestChanged(t *testing.T) {
	s := newStore(t)
	s.put(t, "a", noise(30_000))
	for _, size := range []int64{1 << 20, 0} {
		f, err := newReader(t, t.TempDir(), size).Open("s3://pictures/a")
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5_000)
		if _, err := f.ReadAt(got, 0); err != nil {
			t.Fatal(err)
		}
		other := noise(30_000)
		other[29_999]++
		s.put(t, "a", other)
		if _, err := f.ReadAt(got, 20_000); !errors.Is(err, files.ErrChanged) {
			t.Errorf("error %v", err)
		}
		s.put(t, "a", noise(30_001))
		if info, err := f.Stat(); err != nil || info.Size() != 30_001 {
			t.Errorf("after a failure it is %v (%v)", info, err)
		}
		s.put(t, "a", noise(30_000))
	}
	f, err := newReader(t, t.TempDir(), 0).Open("s3://pictures/a")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.deleted("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(make([]byte, 10), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of an object that is gone: %v", err)
	}
}

func (s *store) deleted(key string) error {
	_, err := s.memory.DeleteObject("pictures", key)
	return err
}

// folderSize is what the files in a cache take.
func folderSize(t testing.TB, dir string) (size int64, names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // another process removed it
		}
		size, names = size+info.Size(), append(names, e.Name())
	}
	return size, names
}

// The cache stays within its bound, removes the oldest, and gives nothing that was damaged.
func TestCacheBound(t *testing.T) {
	s := newStore(t)
	raw := noise(200_000)
	s.put(t, "a", raw)
	dir := filepath.Join(t.TempDir(), "made", "when needed")
	r := newReader(t, dir, small)
	f, err := r.Open("s3://pictures/a")
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	for block := range 20 {
		at := block*testBlock + 50
		if _, err := f.ReadAt(got, int64(at)); err != nil || !bytes.Equal(got, raw[at:][:100]) {
			t.Fatalf("block %d: %v", block, err)
		}
		r.settle()
		if size, names := folderSize(t, dir); size > small {
			t.Fatalf("%d bytes in %v", size, names)
		}
	}
	s.gets.Store(0)
	if _, err := f.ReadAt(got, 19*testBlock); err != nil || s.gets.Load() != 0 {
		t.Errorf("the newest block is not kept: %v", err)
	}
	_, names := folderSize(t, dir)
	for i, name := range names {
		path := filepath.Join(dir, name)
		kept, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		switch kept[5000] ^= 1; i % 3 {
		case 1:
			kept = kept[:7000]
		case 2:
			kept = nil
		}
		if err := os.WriteFile(path, kept, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if f, err = newReader(t, dir, small).Open("s3://pictures/a"); err != nil {
		t.Fatal(err)
	}
	all := make([]byte, len(raw))
	if _, err := f.ReadAt(all, 0); err != nil || !bytes.Equal(all, raw) {
		t.Errorf("what was damaged was read (%v)", err)
	}
}

// What killed writers left counts, and goes first, whether files could be locked or not.
func TestCacheBoundOfLeftovers(t *testing.T) {
	s := newStore(t)
	s.put(t, "a", noise(20_000))
	dir := t.TempDir()
	left := []string{".0a.block.tmp", ".0b.block.77.0.tmp"}
	for _, name := range left {
		path := filepath.Join(dir, name)
		err := os.WriteFile(path, make([]byte, 24_000), 0o666)
		if err := errors.Join(err, os.Chtimes(path, time.Time{}, time.Unix(1, 0))); err != nil {
			t.Fatal(err)
		}
	}
	r := newReader(t, dir, small)
	f, err := r.Open("s3://pictures/a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(make([]byte, 20_000), 0); err != nil {
		t.Fatal(err)
	}
	r.settle()
	size, names := folderSize(t, dir)
	if size > small || len(names) < 2 {
		t.Errorf("%d bytes in %v", size, names)
	}
}

// Where nothing can be written all is read all the same, and it is told once.
func TestNoRoom(t *testing.T) {
	s := newStore(t)
	raw := noise(50_000)
	s.put(t, "a", raw)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	r := newReader(t, filepath.Join(file, "in"), 1<<20)
	told := 0
	r.keep.warn = func(error) { told++ }
	for range 2 {
		if got := read(t, r, "s3://pictures/a"); !bytes.Equal(got, raw) {
			t.Error("read something else")
		}
		r.settle()
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

// Processes that share a cache, which is too small for them, read what is there.
func TestTwoProcesses(t *testing.T) {
	s := newStore(t)
	raw := noise(120_000)
	s.put(t, "a", raw)
	dir := t.TempDir()
	var all [3]*exec.Cmd
	var said [3]bytes.Buffer
	for i := range all {
		all[i] = exec.Command(os.Args[0])
		all[i].Env = append(os.Environ(), child+"=s3://pictures/a", child+"_CACHE="+dir)
		all[i].Stdout, all[i].Stderr = &said[i], &said[i]
		if err := all[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	want := fmt.Sprintf("%x\n", sha256.Sum256(raw))
	for i, c := range all {
		if err := c.Wait(); err != nil || said[i].String() != want {
			t.Errorf("process %d: %s (%v)", i, said[i].String(), err)
		}
	}
	if size, names := folderSize(t, dir); size > small+3*small/looks+testBlock {
		t.Errorf("%d bytes in %v", size, names)
	}
}

// What is needed soon is fetched before it is read, whole blocks, once; closing ends that.
func TestWillNeed(t *testing.T) {
	s := newStore(t)
	raw := noise(95_000)
	s.put(t, "a", raw)
	r := newReader(t, t.TempDir(), 1<<20)
	f, err := r.Open("s3://pictures/a")
	if err != nil {
		t.Fatal(err)
	}
	soon := f.(files.Foreteller)
	for _, at := range [][2]int64{{15_000, 10_000}, {15_000, 1}, {94_999, 50}, {-1, 5}, {95_000, 1}, {1, 0}} {
		soon.WillNeed(at[0], at[1])
	}
	r.settle()
	if n := s.gets.Load(); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	got := make([]byte, 3_000)
	_, err = f.ReadAt(got, 18_000)
	if err != nil || !bytes.Equal(got, raw[18_000:][:3_000]) || s.gets.Load() != 3 {
		t.Errorf("not from what was fetched: %v", err)
	}
	release := make(chan struct{})
	s.feel(times(1000, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		w.WriteHeader(403)
	}))
	soon.WillNeed(30_000, 60_000)
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	close(release)
	r.settle()
	if n := s.gets.Load(); n > 3+fetchers {
		t.Errorf("%d requests though the file was closed", n)
	}
}

// The end of ctx ends what is waited for, of a server that never answers and of one that refuses for ever.
func TestContextEnds(t *testing.T) {
	s := newStore(t)
	s.put(t, "a", noise(1_000))
	release := make(chan struct{})
	defer close(release)
	for _, mood := range []http.HandlerFunc{
		func(http.ResponseWriter, *http.Request) { <-release }, refuse(503, "SlowDown"),
	} {
		s.feel(nil)
		ctx, cancel := context.WithCancel(t.Context())
		r, err := New(ctx, Options{})
		if err != nil {
			t.Fatal(err)
		}
		r.first = time.Hour
		f, err := r.Open("s3://pictures/a")
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan struct{}, 10)
		s.feel(times(1000, func(w http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			mood(w, r)
		}))
		failed := make(chan error)
		go func() {
			_, err := f.ReadAt(make([]byte, 10), 0)
			failed <- err
		}()
		<-asked
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
}

// Nothing is sent anywhere by an environment that makes no sense, and without keys nothing is signed.
func TestEnvironment(t *testing.T) {
	s := newStore(t)
	s.put(t, "a", []byte("open to all"))
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "")
	for _, c := range []struct {
		id   string
		want bool
	}{{"me", true}, {"", false}} {
		t.Setenv("AWS_ACCESS_KEY_ID", c.id)
		var signed atomic.Bool
		s.feel(func(_ http.ResponseWriter, r *http.Request) bool {
			signed.Store(strings.Contains(r.Header.Get("Authorization"), "Credential=me/"))
			return false
		})
		if got := read(t, newReader(t, t.TempDir(), 1<<20), "s3://pictures/a"); string(got) != "open to all" {
			t.Errorf("read %q", got)
		}
		if signed.Load() != c.want {
			t.Errorf("with the key %q: signed %v", c.id, signed.Load())
		}
	}
	for _, at := range []string{"localhost:9000", "ftp://x", "://"} {
		t.Setenv("AWS_ENDPOINT_URL", at)
		if _, err := New(t.Context(), Options{}); err == nil {
			t.Errorf("%s is taken for a URL", at)
		}
	}
}

// patience is how long a test waits for what takes milliseconds, before it says that it never comes.
const patience = time.Minute

// within waits for what a goroutine does, and gives its error.
func within(t *testing.T, what string, do func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(patience):
		t.Fatalf("%s: it waits", what)
	}
}

// Who reads does not wait until what was fetched is durable, as long as not too much of it waits for the disk.
func TestReadBeforeSaved(t *testing.T) {
	s := newStore(t)
	raw := noise(testBlock * (savers + 2))
	s.put(t, "a", raw)
	disk := filestest.New(files.OS)
	release := disk.Hang(func(c filestest.Call) bool { return c.Op == "sync" })
	r := newReader(t, t.TempDir(), 1<<20)
	t.Cleanup(release) // before the reader waits for the disk
	r.keep.fsys = disk
	f, err := r.Open("s3://pictures/a")
	if err != nil {
		t.Fatal(err)
	}
	block := func(n int) func() error {
		return func() error {
			got := make([]byte, testBlock)
			if _, err := f.ReadAt(got, int64(n*testBlock)); err != nil {
				return err
			}
			if !bytes.Equal(got, raw[n*testBlock:][:testBlock]) {
				return errors.New("other bytes")
			}
			return nil
		}
	}
	for n := range savers {
		within(t, fmt.Sprint("block ", n), block(n))
	}
	for n := range savers { // not on the disk yet
		within(t, fmt.Sprint("again block ", n), block(n))
	}
	if n := s.gets.Load(); n != savers {
		t.Errorf("%d requests, want %d", n, savers)
	}
	waits := make(chan error, 1)
	go func() { waits <- block(savers)() }()
	syncs := func() (n int) {
		for _, c := range disk.Calls() {
			if c.Op == "sync" {
				n++
			}
		}
		return n
	}
	for syncs() <= savers {
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-waits:
		t.Errorf("there is no end to what waits for the disk (%v)", err)
	default:
	}
	release()
	within(t, "when the disk answers", func() error { return <-waits })
	r.settle()
	s.gets.Store(0)
	for n := range savers + 1 {
		within(t, fmt.Sprint("kept block ", n), block(n))
	}
	if n := s.gets.Load(); n != 0 {
		t.Errorf("%d requests for what is kept", n)
	}
}

// Whatever is asked for, a server that says nothing, or no more, is given up, again and again, and said to be silent.
func TestSilence(t *testing.T) {
	s := newStore(t)
	s.put(t, "a/b", noise(5_000))
	release := make(chan struct{})
	defer close(release)
	hang := func(w http.ResponseWriter, r *http.Request) bool {
		<-release
		return true
	}
	stops := func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", "100000")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte("<"))
		_ = http.NewResponseController(w).Flush()
		<-release
		return true
	}
	for what, mood := range map[string]func(http.ResponseWriter, *http.Request) bool{"nothing": hang, "a byte": stops} {
		s.feel(nil)
		r := newReader(t, "", 0)
		f, err := r.Open("s3://pictures/a/b")
		if err != nil {
			t.Fatal(err)
		}
		r.silence = 20 * time.Millisecond
		s.feel(mood)
		for name, ask := range map[string]func() error{
			"read": func() error { _, err := f.ReadAt(make([]byte, 100), 0); return err },
			"head": func() error { _, err := r.head("stat", "s3://pictures/a/b"); return err },
			"list": func() error { _, err := r.ReadDir("s3://pictures/a"); return err },
		} {
			if what == "a byte" && name == "head" {
				continue // it has no more than headers
			}
			within(t, what+" of "+name, func() error {
				if err := ask(); !errors.Is(err, errSilent) || !errors.As(err, new(*fs.PathError)) {
					return fmt.Errorf("error %w", err)
				}
				return nil
			})
		}
	}
}
