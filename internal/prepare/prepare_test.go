package prepare

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/recipe"
	"alexnet/internal/shards"
)

const side = 16 // of the pictures that keep their bytes

// drawn is a picture of some noise on a slope.
func drawn(r *rand.Rand, w, h int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, color.RGBA{uint8(8*x + r.IntN(9)), uint8(5*y + r.IntN(30)), uint8(x * y), 255})
		}
	}
	return m
}

// source writes pictures of two classes into a folder: count to train on, some for validation and test, most of them
// JPEGs of side, others larger, smaller, PNGs, with dots and equal stems in their names, and two that are none.
func source(t *testing.T, count int) string {
	t.Helper()
	dir, r := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	put := func(name string, w, h int) {
		var b bytes.Buffer
		m := drawn(r, w, h)
		if strings.HasSuffix(name, ".png") {
			if err := png.Encode(&b, m); err != nil {
				t.Fatal(err)
			}
		} else if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), b.Bytes())
	}
	for i := range count {
		put(fmt.Sprintf("train/%s/%03d.JPEG", []string{"cat", "dog"}[i%2], i), side, side)
	}
	put("train/cat/a.b.jpg", side, side)
	put("train/cat/a.b.png", 40, 25)
	put("train/cat/tall name.jpg", 20, 61)
	put("train/dog/small.jpg", 9, 30)
	put("train/dog/000.png", 16, 16)
	for i := range 9 {
		put(fmt.Sprintf("val/dog/v%d.jpg", i), side, side)
	}
	put("test/cat/t.jpg", 33, 20)
	write(t, filepath.Join(dir, "train/cat/bad.jpg"), []byte("\xff\xd8\xff no"))
	write(t, filepath.Join(dir, "val/dog/empty.jpg"), nil)
	return dir
}

func write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, content, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func opened(t testing.TB, path string) *data.Source {
	t.Helper()
	src, err := data.Open(t.Context(), files.OS, data.At(path), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

func options(out string) Options {
	return Options{Making: Making{Resize: side, Fit: Crop, Shards: 3}, Files: files.OS, Out: out, Workers: 2}
}

// prepared makes a set.
func prepared(t *testing.T, from string, o Options) *Result {
	t.Helper()
	r, err := Run(t.Context(), opened(t, from), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// contents are the files of a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(name)
		all[strings.TrimPrefix(name, dir)] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sameFiles(t *testing.T, what string, want, got map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s: %s differs (%d bytes, %d)", what, name, len(got[name]), len(want[name]))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: files %v, want %v", what, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

// TestPrepared: what is in the set is what the source has, whoever reads it: archive/tar here.
func TestPrepared(t *testing.T) {
	from, out := source(t, 30), filepath.Join(t.TempDir(), "out")
	var bad []string
	o := options(out)
	o.OnBad = func(b *data.BadPicture) { bad = append(bad, b.Name) }
	r := prepared(t, from, o)
	if r.Pictures != [3]int{35, 9, 1} || r.Kept != 40 || r.Encoded != 5 || r.Unreadable != 2 || r.Classes != 2 {
		t.Errorf("made %+v", r)
	}
	if want := []string{"train/cat/bad.jpg", "val/dog/empty.jpg"}; !slices.Equal(bad, want) {
		t.Errorf("told of %v", bad)
	}
	lines := strings.Split(strings.TrimSpace(contents(t, out)["/report.jsonl"]), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[1], `{"name":"val/dog/empty.jpg","reason":"empty file"`) {
		t.Errorf("report: %q", lines)
	}
	found := map[string]int{} // by the path in the JSON
	for name, raw := range contents(t, out) {
		if path.Ext(name) != ".tar" {
			continue
		}
		tr := tar.NewReader(strings.NewReader(raw))
		for {
			var group [3][]byte
			key := ""
			for i, ending := range []string{".jpg", ".cls", ".json"} {
				h, err := tr.Next()
				if errors.Is(err, io.EOF) && i == 0 {
					break
				}
				if err != nil {
					t.Fatal(name, err)
				}
				if h.ModTime.Unix() != 0 || h.Uid != 0 || h.Format != tar.FormatUSTAR ||
					!strings.HasSuffix(h.Name, ending) {
					t.Errorf("%s: %+v", name, h)
				}
				stem := strings.TrimSuffix(h.Name, ending)
				if strings.Contains(path.Base(stem), ".") || i > 0 && stem != key {
					t.Errorf("%s: key %q of %q", name, key, h.Name)
				}
				key = stem
				group[i], _ = io.ReadAll(tr)
			}
			if group[0] == nil {
				break
			}
			var note struct{ Path string }
			if err := json.Unmarshal(group[2], &note); err != nil {
				t.Fatal(err)
			}
			found[note.Path]++
			class := strings.Split(note.Path, "/")[1]
			if want := map[string]string{"cat": "0", "dog": "1"}[class]; want != string(group[1]) {
				t.Errorf("%s has label %s", note.Path, group[1])
			}
			own, err := os.ReadFile(filepath.Join(from, note.Path))
			if err != nil {
				t.Fatal(err)
			}
			same := path.Ext(note.Path) == ".JPEG" || strings.HasPrefix(note.Path, "val/") ||
				note.Path == "train/cat/a.b.jpg"
			if kept := bytes.Equal(own, group[0]); kept != same {
				t.Errorf("%s kept its bytes: %t", note.Path, kept)
			}
			c, err := jpeg.DecodeConfig(bytes.NewReader(group[0]))
			want := side
			if strings.Contains(note.Path, "small") {
				want = 9
			}
			if err != nil || c.Width != want || c.Height != want {
				t.Errorf("%s is %dx%d (%v)", note.Path, c.Width, c.Height, err)
			}
		}
	}
	if len(found) != 45 {
		t.Errorf("%d pictures in the tars: %v", len(found), found)
	}
	if _, err := os.Stat(files.Partial(out)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

// epoch is the first epoch of a loader on the training part: all that a step sees.
func epoch(t *testing.T, src *data.Source, by recipe.Recipe) (all []string) {
	t.Helper()
	l, err := data.NewLoader(t.Context(), src.Train, data.LoaderOptions{
		Batch: 8, Recipe: by, Train: true, Seed: 5, Workers: 2,
		Augment: config.Augment{Crop: config.RandomCrop, Flip: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for n := 0; n < src.Train.Len(); {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		for r := range b.Rows {
			all = append(all, fmt.Sprint(b.Batch.Labels[r], b.Batch.Crop[r], b.Batch.Flip[r],
				string(b.Batch.Pixels[r*by.Pixels():][:by.Pixels()])))
		}
		n += b.Rows
	}
	return all
}

// TestSameFromSet: where every picture keeps its bytes, one seed gives the same split, pixels and order from the source
// and from the set; and the fingerprint is the same.
func TestSameFromSet(t *testing.T) {
	from := t.TempDir()
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 40 {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, drawn(r, side, side), nil); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(from, fmt.Sprintf("%s/%d.jpg", []string{"a", "b", "c"}[i%3], i)), b.Bytes())
	}
	out := filepath.Join(t.TempDir(), "out")
	prepared(t, from, options(out))
	by := recipe.Recipe{Resize: side, Height: side, Width: side, Crop: 12, Channels: 3, Exif: config.ApplyExif}
	var sources [2]*data.Source
	for i, path := range []string{from, out} {
		src, err := data.Open(t.Context(), files.OS, data.At(path), .2, 9)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		sources[i] = src
	}
	if sources[0].Fingerprint != sources[1].Fingerprint || !sources[1].Split {
		t.Errorf("fingerprints %s, %s", sources[0].Fingerprint, sources[1].Fingerprint)
	}
	want, got := epoch(t, sources[0], by), epoch(t, sources[1], by)
	if !slices.Equal(want, got) || len(want) != 31 {
		t.Errorf("other pixels or another order: %d rows, %d", len(want), len(got))
	}
}

// TestStatistics: those of the set are bit for bit what training computes from it, and count only for its very
// pictures, prepared alike.
func TestStatistics(t *testing.T) {
	for _, keep := range []bool{false, true} {
		from, out := source(t, 30), filepath.Join(t.TempDir(), "out")
		o := options(out)
		o.Keep = keep
		prepared(t, from, o)
		by := recipe.Recipe{
			Resize: side, Height: side, Width: side, Crop: 12, Channels: 3, Exif: config.ApplyExif,
			MeanKind: config.MeanImage,
		}
		measure := func(share float64, by recipe.Recipe) *data.Stats {
			src, err := data.Open(t.Context(), files.OS, data.At(out), share, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			s, err := data.Measure(t.Context(), src.Train, by, data.MeasureOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		stored := measure(.1, by)
		other := by
		other.Resize, other.Height, other.Width = side-2, side-2, side-2
		channel := by
		channel.MeanKind = config.MeanChannel
		if stored.Beside == "" || measure(0, other).Beside != "" || measure(0, channel).Beside != "" {
			t.Errorf("from %q, of another size %q, of a colour %q", stored.Beside, measure(0, other).Beside,
				measure(0, channel).Beside)
		}
		if err := os.Remove(filepath.Join(out, shards.StatsName)); err != nil {
			t.Fatal(err)
		}
		computed := measure(.1, by)
		if computed.Beside != "" || !slices.Equal(stored.Mean, computed.Mean) || stored.Colors != computed.Colors ||
			stored.Pictures != computed.Pictures || stored.Pictures != 35 {
			t.Errorf("keep %t: stored %d pictures %v, computed %d %v", keep, stored.Pictures, stored.Colors,
				computed.Pictures, computed.Colors)
		}
	}
}

// TestWorkers: the bytes do not depend on their number.
func TestWorkers(t *testing.T) {
	from := source(t, 70)
	var want map[string]string
	for _, workers := range []int{1, 3, 16} {
		out := filepath.Join(t.TempDir(), "out")
		o := options(out)
		o.Workers = workers
		prepared(t, from, o)
		if got := contents(t, out); want == nil {
			want = got
		} else {
			sameFiles(t, fmt.Sprint(workers, " workers"), want, got)
		}
	}
}

// TestKilled kills the making at some calls of the file system, at writes in the middle, and wants the rerun to come to
// the bytes of an undisturbed one. A full disk and a failure of it are the same but for what is said.
func TestKilled(t *testing.T) {
	from := source(t, 130) // noted after 64 and 128
	src := opened(t, from)
	whole := filepath.Join(t.TempDir(), "out")
	counting := filestest.New(files.OS)
	o := options(whole)
	o.Files = counting
	if _, err := Run(t.Context(), src, o); err != nil {
		t.Fatal(err)
	}
	want, calls := contents(t, whole), counting.Calls()
	var points []int
	const each = 10 // the campaign of test/faults has more
	for i := range each {
		points = append(points, i*len(calls)/each)
	}
	writes := []int{}
	for i, c := range calls {
		if strings.HasPrefix(c.Op, "write") {
			writes = append(writes, i)
		}
	}
	for i := range each {
		points = append(points, writes[i*len(writes)/each])
	}
	points = append(points, len(calls)-1)
	resumed := 0
	for i, at := range points {
		dir := t.TempDir()
		o := options(filepath.Join(dir, "out"))
		f := filestest.New(files.OS)
		o.Files = f
		switch i % 3 {
		case 0, 1:
			f.Kill(at)
		default:
			f.Fail("", at, syscall.ENOSPC)
		}
		_, err := Run(t.Context(), src, o)
		o.Files = files.OS
		r, again := Run(t.Context(), src, o)
		if errors.As(again, new(*Exists)) && err == nil { // what failed did not matter
			again, r = nil, &Result{}
		}
		if again != nil {
			t.Errorf("killed at call %d, %v (%v): %v", at, calls[at], err, again)
			continue
		}
		if r.Resumed > 0 {
			resumed++
		}
		sameFiles(t, fmt.Sprintf("killed at call %d, %v", at, calls[at]), want, contents(t, o.Out))
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("killed at call %d, %v: left %v", at, calls[at], left)
		}
	}
	if resumed < each/2 {
		t.Errorf("only %d of %d reruns went on where it was", resumed, len(points))
	}
}

// TestRefused: what is in the way, begun otherwise, or changed is said before anything is lost.
func TestRefused(t *testing.T) {
	from := source(t, 70)
	src := opened(t, from)
	dir := t.TempDir()
	begin := func(change func(*Options)) error {
		o := options(filepath.Join(dir, "out"))
		change(&o)
		_, err := Run(t.Context(), src, o)
		return err
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	o := options(filepath.Join(dir, "out"))
	o.Progress = func(done, _ int) {
		if done > 0 {
			cancel(syscall.EINTR)
		}
	}
	o.Workers = 1
	_, err := Run(ctx, src, o)
	var stopped *Interrupted
	if !errors.As(err, &stopped) || !errors.Is(err, syscall.EINTR) || stopped.All != 87 {
		t.Errorf("interrupted: %v %+v", err, stopped)
	}
	if _, err := os.Stat(filepath.Join(dir, "out")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("half a set is there")
	}
	// a state of 64 pictures, killed after it was written
	f := filestest.New(files.OS)
	for n := 60; ; n += 5 {
		f.Kill(n)
		if err := begin(func(o *Options) { o.Files = f }); err == nil {
			t.Fatal("never killed after a note")
		}
		if _, err := os.Stat(filepath.Join(dir, "out.partial/state")); err == nil {
			break
		}
	}
	for what, change := range map[string]func(*Options){
		"pictures of 16, not 17":                            func(o *Options) { o.Resize = 17 },
		"by crop, not squash":                               func(o *Options) { o.Fit = Squash },
		"with keep false, not true":                         func(o *Options) { o.Keep = true },
		"in 3 shards, not as many shards as suit the bytes": func(o *Options) { o.Shards = 0 },
	} {
		var differs *Differs
		if err := begin(change); !errors.As(err, &differs) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	before := src
	write(t, filepath.Join(from, "train/cat/new.jpg"), []byte("x"))
	src = opened(t, from)
	var differs *Differs
	if err := begin(func(*Options) {}); !errors.As(err, &differs) || !differs.Source {
		t.Errorf("another source: %v", err)
	}
	if err := os.Remove(filepath.Join(from, "train/cat/new.jpg")); err != nil {
		t.Fatal(err)
	}
	// one that changes meanwhile
	src = before
	var fault *data.SourceFault
	err = begin(func(o *Options) {
		o.Progress = func(done, all int) {
			if done == all {
				_ = os.WriteFile(filepath.Join(from, "train/cat/000.JPEG"), []byte("changed"), 0o600)
			}
		}
	})
	if !errors.As(err, &fault) || !fault.Changed {
		t.Errorf("changed meanwhile: %v", err)
	}
	src = opened(t, from)
	var inside *Inside
	if err := begin(func(o *Options) { o.Out = filepath.Join(from, "a/b") }); !errors.As(err, &inside) {
		t.Errorf("inside: %v", err)
	}
	var exists *Exists
	if err := begin(func(o *Options) { o.Out = from }); !errors.As(err, &exists) {
		t.Errorf("in the way: %v", err)
	}
}

// TestShardCounts: one for each 128 MB, of all parts alike, never more than pictures.
func TestShardCounts(t *testing.T) {
	for _, c := range []struct {
		asked    int
		pictures [3]int
		bytes    [3]int64
		want     [3]int
	}{
		{0, [3]int{1281167, 50000, 0}, [3]int64{147_000_000_000, 6_700_000_000, 0}, [3]int{320, 50, 0}},
		{0, [3]int{10, 5, 1}, [3]int64{1, 1, 1}, [3]int{1, 1, 1}},
		{100, [3]int{1000, 100, 0}, [3]int64{10000, 1000, 0}, [3]int{100, 10, 0}},
		{100, [3]int{50, 100, 0}, [3]int64{500, 1000, 0}, [3]int{50, 100, 0}},
		{4, [3]int{0, 100, 50}, [3]int64{0, 1000, 500}, [3]int{0, 4, 2}},
	} {
		if got := shardCounts(c.asked, c.pictures, c.bytes); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
