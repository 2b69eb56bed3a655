package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/shards"
)

// writeSet makes a prepared set of pictures that are no pictures: picture i of a part has i bytes and some.
func writeSet(t *testing.T, dir string, perPart [3]int) [][]byte {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	return writeSetOf(t, dir, perPart, func(_, i int) []byte {
		raw := make([]byte, 20+i)
		for k := range raw {
			raw[k] = byte(r.Uint32())
		}
		return raw
	})
}

// writeSetOf makes a prepared set of these files, and gives them.
func writeSetOf(t *testing.T, dir string, perPart [3]int, file func(part, i int) []byte) [][]byte {
	t.Helper()
	const count = 2 // shards of a part
	x := &shards.Index{Classes: []string{"cat", "dog"}, Pictures: perPart}
	var raws [][]byte
	var all []shards.Picture
	var pictures [3][]int
	for part, n := range perPart {
		if n == 0 {
			continue
		}
		var bufs [count]bytes.Buffer
		x.Shards[part], pictures[part] = count, make([]int, count)
		for i := range n {
			raw := file(part, i)
			raws = append(raws, raw)
			label := int32(2 * i / n)
			name := fmt.Sprintf("%s/%s/%03d.jpg", shards.Parts[part], x.Classes[label], i)
			shard := shards.Choose(name, count)
			off, err := shards.Append(&bufs[shard], name[:len(name)-4], int(label), name, raw)
			if err != nil {
				t.Fatal(err)
			}
			pictures[part][shard]++
			all = append(all, shards.Picture{
				Name: name, Label: label, Shard: len(x.Lengths) + shard, Off: int64(off), Length: uint32(len(raw)),
				Sum: shards.Checksum(raw),
			})
		}
		for shard := range bufs {
			bufs[shard].Write(shards.End)
			x.Lengths = append(x.Lengths, int64(bufs[shard].Len()))
			put(t, filepath.Join(dir, shards.Name(part, shard)), bufs[shard].Bytes())
		}
	}
	writeBeside(t, dir, x, pictures, all)
	return raws
}

// writeIndex makes a prepared set of pictures of one byte to train on, in one shard, by their names: CLASS/KEY.jpg.
func writeIndex(t *testing.T, dir string, classes, names []string) {
	t.Helper()
	x := &shards.Index{Classes: classes, Pictures: [3]int{len(names)}, Shards: [3]int{1}}
	var b bytes.Buffer
	all := make([]shards.Picture, len(names))
	for i, name := range names {
		class, _, _ := strings.Cut(name, "/")
		label := slices.Index(classes, class)
		off, err := shards.Append(&b, strings.TrimSuffix(name, ".jpg"), label, name, []byte{byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		all[i] = shards.Picture{
			Name: name, Label: int32(label), Off: int64(off), Length: 1, Sum: shards.Checksum([]byte{byte(i)}),
		}
	}
	b.Write(shards.End)
	x.Lengths = []int64{int64(b.Len())}
	put(t, filepath.Join(dir, shards.Name(0, 0)), b.Bytes())
	writeBeside(t, dir, x, [3][]int{{len(names)}}, all)
}

// writeBeside writes what lies beside the shards of a set.
func writeBeside(t *testing.T, dir string, x *shards.Index, pictures [3][]int, all []shards.Picture) {
	t.Helper()
	info, err := shards.Info(pictures)
	if err != nil {
		t.Fatal(err)
	}
	classes, err := json.Marshal(x.Classes)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range []struct {
		name string
		raw  []byte
	}{{shards.ClassesName, classes}, {shards.InfoName, info}} {
		x.Sums[i] = shards.Checksum(f.raw)
		put(t, filepath.Join(dir, f.name), f.raw)
	}
	var b bytes.Buffer
	if err := x.Write(&b, func(i int) shards.Picture { return all[i] }); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, shards.IndexName), b.Bytes())
}

func put(t *testing.T, name string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPreparedSet: every picture is what was written, with the name, label and part it had.
func TestPreparedSet(t *testing.T) {
	dir := t.TempDir()
	raws := writeSet(t, dir, [3]int{9, 4, 2})
	src := open(t, dir, .3, 1)
	if src.Train.Len() != 9 || src.Val.Len() != 4 || src.Test.Len() != 2 || src.Split || len(src.Classes) != 2 {
		t.Fatalf("parts of %d, %d, %d", src.Train.Len(), src.Val.Len(), src.Test.Len())
	}
	for _, part := range []*Set{src.Train, src.Val, src.Test} {
		for i := range part.Len() {
			raw, err := part.Read(t.Context(), i, nil)
			if err != nil || !bytes.Equal(raw, raws[0]) {
				t.Errorf("%s: %v", part.Name(i), err)
			}
			if want := strings.Contains(part.Name(i), "/dog/"); (part.Label(i) == 1) != want {
				t.Errorf("%s has label %d", part.Name(i), part.Label(i))
			}
			raws = raws[1:]
		}
	}
	if s := src.store.(*preparedStore); s.shard(0) == s.shard(9) {
		t.Error("pictures of two parts in one shard")
	}
}

// TestPreparedOnce: whether a place is a prepared set is asked once; in a store each look is a request.
func TestPreparedOnce(t *testing.T) {
	raw := pngOf(t, 8, 8, 1)
	dir := folder(t, map[string][]byte{"a/1.png": raw, "b/2.png": raw})
	disk := filestest.New(files.OS)
	src, err := Open(t.Context(), disk, At(dir), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for _, name := range []string{shards.IndexName, shards.InfoName, shards.ClassesName, shards.ReportName} {
		look, n := filestest.Call{Op: "stat", Name: filepath.Join(dir, name)}, 0
		for _, c := range disk.Calls() {
			if c == look {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d times %v", n, look)
		}
	}
}

// TestDamagedSet flips and cuts every file of a set: a picture is never another, nor of another class; what is wrong
// with one names the shard and the key.
func TestDamagedSet(t *testing.T) {
	dir := t.TempDir()
	raws := writeSet(t, dir, [3]int{6, 3, 0})
	sound := map[string][]byte{}
	items, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		if sound[item.Name()], err = os.ReadFile(filepath.Join(dir, item.Name())); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(8, 8))
	told := 0
	for name, whole := range sound {
		for n := range 120 {
			bad := slices.Clone(whole)
			if n%6 == 0 {
				bad = bad[:r.IntN(len(bad))]
			} else {
				bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
			}
			put(t, filepath.Join(dir, name), bad)
			src, err := Open(t.Context(), files.OS, At(dir), 0, 0)
			if err != nil {
				var e *SourceError
				if !errors.As(err, &e) {
					t.Errorf("%s: %v", name, err)
				}
				told++
				continue
			}
			for i := range src.Train.Len() + src.Val.Len() {
				set, k := src.at(i)
				raw, err := set.Read(t.Context(), k, nil)
				if err == nil && !bytes.Equal(raw, raws[i]) {
					t.Fatalf("%s damaged, and %s is another picture", name, set.Name(k))
				}
				if err == nil {
					continue
				}
				told++
				var b *BadPicture
				if !errors.As(err, &b) || !strings.Contains(err.Error(), name) ||
					!strings.Contains(err.Error(), strings.TrimSuffix(set.Name(k), ".jpg")) {
					t.Errorf("%s: %v", name, err)
				}
			}
			src.Close()
		}
		put(t, filepath.Join(dir, name), whole)
	}
	if told < 300 {
		t.Errorf("only %d of the damages were told", told)
	}
}

// TestSetGoesAway: what fails for a while is the set's failure, and a shard that was cut meanwhile a change of it.
func TestSetGoesAway(t *testing.T) {
	dir := t.TempDir()
	writeSet(t, dir, [3]int{9, 0, 0})
	disk := filestest.New(files.OS)
	src, err := Open(t.Context(), disk, At(dir), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	gone := errors.New("gone")
	disk.Break(gone, nil)
	var fault *SourceFault
	_, err = src.Train.Read(t.Context(), 0, nil)
	if !errors.As(err, &fault) || !errors.Is(err, gone) || fault.Changed {
		t.Errorf("gone: %v", err)
	}
	disk.Mend()
	if _, err := src.Train.Read(t.Context(), 0, nil); err != nil {
		t.Errorf("back: %v", err)
	}
	for i := range 2 {
		if err := os.Truncate(filepath.Join(dir, shards.Name(0, i)), 600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := src.Train.Read(t.Context(), 8, nil); !errors.As(err, &fault) || !fault.Changed {
		t.Errorf("cut: %v", err)
	}
}

// TestManyPrepared opens a set of as many pictures as ILSVRC2012 has within 128 MB, its shards sparse.
func TestManyPrepared(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 90 MB")
	}
	dir := t.TempDir()
	x := &shards.Index{Pictures: [3]int{1_281_167, 50_000, 0}, Shards: [3]int{320, 50, 0}, Lengths: make([]int64, 370)}
	for i := range x.Lengths {
		x.Lengths[i] = 200 << 20
		f, err := os.Create(filepath.Join(dir, x.Shard(i)))
		if err := errors.Join(err, f.Truncate(x.Lengths[i]), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		x.Classes = append(x.Classes, fmt.Sprintf("n%08d", i))
	}
	for _, name := range []string{shards.ClassesName, shards.InfoName} {
		put(t, filepath.Join(dir, name), nil)
	}
	f, err := os.Create(filepath.Join(dir, shards.IndexName))
	if err != nil {
		t.Fatal(err)
	}
	err = x.Write(f, func(i int) shards.Picture {
		p := shards.Picture{Shard: i % 320, Off: int64(i/320) * 32768, Length: 30_000, Sum: uint32(i)}
		if k := i - x.Pictures[0]; k >= 0 {
			p.Label, p.Shard = int32(k/50), 320+k%50
			p.Name = fmt.Sprintf("val/n%08d/ILSVRC2012_val_%08d.JPEG", p.Label, k)
			return p
		}
		p.Label = int32(min(i/1282, 999))
		p.Name = fmt.Sprintf("train/n%08d/n%08[1]d_%07[2]d.JPEG", p.Label, i)
		return p
	})
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	src := open(t, dir, 0, 0)
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	t.Logf("opened in %v, %.0f MB allocated, %.0f MB in use", took, float64(after.TotalAlloc-before.TotalAlloc)/1e6,
		float64(after.HeapAlloc-before.HeapAlloc)/1e6)
	if src.Train.Len() != x.Pictures[0] || src.Val.Len() != x.Pictures[1] {
		t.Error("other numbers of pictures")
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 128e6 {
		t.Errorf("%d bytes were allocated", got)
	}
}
