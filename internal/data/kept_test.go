package data

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alexnet/internal/config"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/recipe"
)

// old is when the pictures of these tests were written: long enough ago.
var old = time.Now().Add(-time.Hour).Truncate(time.Second)

// oldFolder is a folder of two classes with six pictures, one of which cannot be read.
func oldFolder(t testing.TB) string {
	t.Helper()
	dir := folder(t, map[string][]byte{
		"a/1.png": pngOf(t, 6, 5, 1), "a/2.png": pngOf(t, 6, 5, 20), "a/3.png": []byte("no picture"),
		"b/1.png": pngOf(t, 6, 5, 3), "b/2.png": pngOf(t, 6, 5, 40), "b/3.jpg": testFile(t, "grey.jpg"),
	})
	age(t, dir)
	return dir
}

// age makes all files below dir old.
func age(t testing.TB, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return os.Chtimes(path, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
}

var byImage = recipe.Recipe{Resize: 4, Channels: 3, MeanKind: config.MeanImage}

// measured opens path and measures it.
func measured(t testing.TB, path string, by recipe.Recipe, o MeasureOptions) *Stats {
	t.Helper()
	s, err := Measure(t.Context(), open(t, path, 0, 0).Train, by, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestKeptStatistics: what is kept is what was computed, to the bit, and what cannot be read is told of all the same.
func TestKeptStatistics(t *testing.T) {
	dir, keep := oldFolder(t), &StatsFolder{files.OS, filepath.Join(t.TempDir(), "new", "folder")}
	for _, by := range []recipe.Recipe{byImage, {Resize: 4, Channels: 1, MeanKind: config.MeanChannel}} {
		want := measured(t, dir, by, MeasureOptions{})
		for _, kept := range []bool{false, true} {
			disk := filestest.New(files.OS)
			src, err := Open(t.Context(), disk, At(dir), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			var bad []string
			got, err := Measure(t.Context(), src.Train, by, MeasureOptions{
				Keep: keep, OnBad: func(b *BadPicture) { bad = append(bad, b.Name) },
			})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want.Recipe, got.Recipe); d != "" || got.Pictures != 5 || got.Unkept != nil {
				t.Errorf("kept %t: %d pictures (%v); %s", kept, got.Pictures, got.Unkept, d)
			}
			if got.Kept != kept || !slices.Equal(bad, []string{"a/3.png"}) || !src.Train.MetJPEG() {
				t.Errorf("kept %t, want %t; bad %q; JPEG %t", got.Kept, kept, bad, src.Train.MetJPEG())
			}
			opened := 0
			for _, c := range disk.Calls() {
				if c.Op == "open" {
					opened++
				}
			}
			if kept && opened != 1 {
				t.Errorf("%d files were opened, want only the one that cannot be read", opened)
			}
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	// neither the crop nor what follows the mean matters
	by := byImage
	by.Crop, by.Scale = 3, []float32{1, 2, 3}
	if got := measured(t, dir, by, MeasureOptions{Keep: keep}); !got.Kept || got.Crop != 3 || got.Scale[1] != 2 {
		t.Errorf("kept %t, %+v", got.Kept, got.Recipe)
	}
}

// TestKeptOfOtherPictures: whatever changes makes the statistics others.
func TestKeptOfOtherPictures(t *testing.T) {
	touch := func(name string, of time.Duration) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Chtimes(filepath.Join(dir, name), old, old.Add(of)); err != nil {
				t.Fatal(err)
			}
		}
	}
	put := func(name string, value uint8) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), pngOf(t, 60, 50, value), 0o666); err != nil {
				t.Fatal(err)
			}
			touch(name, 0)(t, dir)
		}
	}
	for name, change := range map[string]func(*testing.T, string){
		"another time":  touch("a/1.png", time.Nanosecond*1000),
		"another size":  put("a/1.png", 1),
		"one more":      put("b/9.png", 9),
		"one less":      func(_ *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, "a/1.png")) },
		"another name":  func(_ *testing.T, dir string) { _ = os.Rename(dir+"/a/1.png", dir+"/a/7.png") },
		"another class": func(_ *testing.T, dir string) { _ = os.Rename(dir+"/a/1.png", dir+"/b/7.png") },
		"a mended one":  put("a/3.png", 5),
		"just written": func(t *testing.T, dir string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, "a/1.png"), pngOf(t, 6, 5, 1), 0o666); err != nil {
				t.Fatal(err)
			}
		},
	} {
		dir, o := oldFolder(t), MeasureOptions{Keep: &StatsFolder{files.OS, t.TempDir()}}
		measured(t, dir, byImage, o)
		change(t, dir)
		if got, want := measured(t, dir, byImage, o), measured(t, dir, byImage, MeasureOptions{}); got.Kept ||
			!cmp.Equal(got.Recipe, want.Recipe) {
			t.Errorf("%s: kept %t", name, got.Kept)
		}
		if again := measured(t, dir, byImage, o); again.Kept == (name == "just written") {
			t.Errorf("%s: kept afterwards: %t", name, again.Kept)
		}
	}
	dir, o := oldFolder(t), MeasureOptions{Keep: &StatsFolder{files.OS, t.TempDir()}}
	measured(t, dir, byImage, o)
	for _, by := range []recipe.Recipe{
		{Resize: 3, Channels: 3, MeanKind: config.MeanImage},
		{Resize: 4, Channels: 1, MeanKind: config.MeanImage},
		{Resize: 4, Channels: 3, MeanKind: config.MeanChannel},
	} {
		if got := measured(t, dir, by, o); got.Kept {
			t.Errorf("kept for %+v", by)
		}
	}
	sample := o
	sample.Sample = 4
	if got := measured(t, dir, byImage, sample); got.Kept {
		t.Error("kept for a sample")
	}
	s, err := Measure(t.Context(), open(t, dir, .4, 1).Train, byImage, o)
	if err != nil || s.Kept {
		t.Errorf("kept for another split (%v)", err)
	}
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	age(t, copied)
	if got := measured(t, copied, byImage, o); got.Kept {
		t.Error("kept for another folder")
	}
}

// TestKeptOfTars: a tar is known by its name, size and time.
func TestKeptOfTars(t *testing.T) {
	path := write(t, "a.tar", tarOf(t, []tarFile{
		{name: "a/1.png", raw: pngOf(t, 6, 5, 1)}, {name: "b/1.png", raw: pngOf(t, 6, 5, 9)},
	}))
	age(t, path)
	o := MeasureOptions{Keep: &StatsFolder{files.OS, t.TempDir()}}
	first := measured(t, path, byImage, o)
	if again := measured(t, path, byImage, o); first.Kept || !again.Kept || !cmp.Equal(first.Recipe, again.Recipe) {
		t.Errorf("kept %t and %t", first.Kept, again.Kept)
	}
	if err := os.Chtimes(path, old, old.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if again := measured(t, path, byImage, o); again.Kept {
		t.Error("kept for a tar of another time")
	}
}

// keptFile is the only file of a folder.
func keptFile(t testing.TB, keep *StatsFolder) string {
	t.Helper()
	entries, err := os.ReadDir(keep.Path)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d files (%v)", len(entries), err)
	}
	return filepath.Join(keep.Path, entries[0].Name())
}

// TestDamagedStatistics: whatever lies in the place of the file, the right numbers come out; a file is replaced.
func TestDamagedStatistics(t *testing.T) {
	dir, keep := oldFolder(t), &StatsFolder{files.OS, t.TempDir()}
	o := MeasureOptions{Keep: keep}
	want := measured(t, dir, byImage, o)
	path := keptFile(t, keep)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, replaced bool) {
		t.Helper()
		got := measured(t, dir, byImage, o)
		if got.Kept || !cmp.Equal(got.Recipe, want.Recipe) || (got.Unkept == nil) != replaced {
			t.Errorf("%s: kept %t (%v)", what, got.Kept, got.Unkept)
		}
		if !replaced {
			return
		}
		if again, err := os.ReadFile(path); !bytes.Equal(again, sound) {
			t.Errorf("%s: not replaced (%v)", what, err)
		}
	}
	for i := 0; i < len(sound); i += 7 {
		damaged := bytes.Clone(sound)
		damaged[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprintf("bit of byte %d", i), true)
	}
	for _, n := range []int{0, 1, 8, len(sound) / 2, len(sound) - 1} {
		if err := os.WriteFile(path, sound[:n], 0o666); err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprintf("the first %d bytes", n), true)
	}
	for what, put := range map[string]func() error{
		"a folder": func() error { return os.Mkdir(path, 0o777) },
		"a pipe":   func() error { return syscall.Mkfifo(path, 0o666) },
		"a link":   func() error { return os.Symlink(filepath.Join(dir, "a", "1.png"), path) },
	} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := put(); err != nil {
			t.Fatal(err)
		}
		check(what, false)
	}
	// sound, but of something else
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other := &StatsFolder{files.OS, t.TempDir()}
	measured(t, dir, recipe.Recipe{Resize: 3, Channels: 3, MeanKind: config.MeanImage}, MeasureOptions{Keep: other})
	if err := os.Rename(keptFile(t, other), path); err != nil {
		t.Fatal(err)
	}
	check("another's", true)
}

// TestStatisticsNotKept: a folder that fails, at whatever call, costs time and nothing else.
func TestStatisticsNotKept(t *testing.T) {
	dir := oldFolder(t)
	want := measured(t, dir, byImage, MeasureOptions{})
	told := false
	filestest.EachCall(t, syscall.EIO, func(t *testing.T, f *filestest.FS) {
		keep := &StatsFolder{f, filepath.Join(t.TempDir(), "kept")}
		for range 2 {
			got := measured(t, dir, byImage, MeasureOptions{Keep: keep})
			if !cmp.Equal(got.Recipe, want.Recipe) {
				t.Error("other numbers")
			}
			told = told || got.Unkept != nil
		}
	})
	if !told {
		t.Error("nothing told of what could not be kept")
	}
	if got := measured(t, dir, byImage, MeasureOptions{
		Keep: &StatsFolder{files.OS, filepath.Join(dir, "a", "1.png", "x")},
	}); got.Unkept == nil || !cmp.Equal(got.Recipe, want.Recipe) {
		t.Errorf("below a file: %v", got.Unkept)
	}
}

// TestKeptFilesAreBounded: the newest stay, and what is somebody else's.
func TestKeptFilesAreBounded(t *testing.T) {
	dir, keep := oldFolder(t), &StatsFolder{files.OS, t.TempDir()}
	names := []string{"notes.txt"}
	for i := range keptFiles + 5 {
		names = append(names, fmt.Sprintf("%064x.safetensors", i), fmt.Sprintf(".%064x.safetensors.tmp", i),
			fmt.Sprintf(".%064x.safetensors.77.%d.tmp", i, i))
	}
	for i, name := range names {
		path := filepath.Join(keep.Path, name)
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	measured(t, dir, byImage, MeasureOptions{Keep: keep})
	entries, err := os.ReadDir(keep.Path)
	if err != nil || len(entries) != keptFiles+1 {
		t.Fatalf("%d files (%v)", len(entries), err)
	}
	if !measured(t, dir, byImage, MeasureOptions{Keep: keep}).Kept {
		t.Error("the newest is gone")
	}
	for _, name := range names[:4] {
		if _, err := os.Stat(filepath.Join(keep.Path, name)); (err == nil) != (name == "notes.txt") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStatisticsStall: while the folder of the pictures does not answer, Ctrl-C ends the look at them.
func TestStatisticsStall(t *testing.T) {
	dir := oldFolder(t)
	disk := filestest.New(files.OS)
	src, err := Open(t.Context(), disk, At(dir), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	ctx, cancel := context.WithCancel(t.Context())
	release := disk.Hang(func(c filestest.Call) bool {
		if c.Op == "stat" && strings.HasSuffix(c.Name, ".png") {
			cancel()
			return true
		}
		return false
	})
	defer release()
	_, err = Measure(ctx, src.Train, byImage, MeasureOptions{Keep: &StatsFolder{files.OS, t.TempDir()}})
	if err == nil || ctx.Err() == nil {
		t.Errorf("error %v", err)
	}
}

// TestSample: a sample has its share of each class, another for another seed, and as many pictures as there are make it
// all of them.
func TestSample(t *testing.T) {
	set := numbered(t, 0)
	for i := range 1000 {
		set.records = append(set.records, Record{Name: fmt.Sprint(i), Label: int32(i / 700)}) // 700 and 300
	}
	for _, n := range []int{1, 3, 10, 99, 500, 999, 1000, 2000, 0} {
		got, want := set.sample(n, 1), n
		if n == 0 || n > 1000 {
			want = 1000
		}
		first := 0
		for _, i := range got {
			if i < 700 {
				first++
			}
		}
		if len(got) != want || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != want ||
			first < want*7/10-1 || first > want*7/10+1 {
			t.Errorf("%d: %d pictures, %d of the first class", n, len(got), first)
		}
		if n > 0 && n < 999 && slices.Equal(got, set.sample(n, 2)) || !slices.Equal(got, set.sample(n, 1)) {
			t.Errorf("%d: not drawn by the seed", n)
		}
	}
	dir := oldFolder(t)
	all := measured(t, dir, byImage, MeasureOptions{})
	for _, n := range []int{6, 7, 1 << 40} {
		if got := measured(t, dir, byImage, MeasureOptions{Sample: n, Seed: 9}); !cmp.Equal(all, got) {
			t.Errorf("%d pictures, of 6: other numbers", n)
		}
	}
	if got := measured(t, dir, byImage, MeasureOptions{Sample: 3}); cmp.Equal(all.Mean, got.Mean) || got.Pictures > 3 {
		t.Errorf("3 pictures: %d", got.Pictures)
	}
}

// TestMeasureCounts: progress begins with nothing done and ends with all.
func TestMeasureCounts(t *testing.T) {
	var seen []int
	_, err := Measure(t.Context(), numbered(t, 250, 3), recipe.Recipe{Channels: 3}, MeasureOptions{
		Workers: 3, Progress: func(done, total int) {
			if total != 250 {
				t.Errorf("of %d", total)
			}
			seen = append(seen, done)
		},
	})
	if err != nil || !slices.Equal(seen, []int{0, 100, 200, 250}) {
		t.Errorf("%v (%v)", seen, err)
	}
}
