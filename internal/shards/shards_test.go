package shards

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// small is an index of some pictures in three parts.
func small() (*Index, []Picture) {
	x := &Index{
		Pictures: [3]int{3, 2, 0}, Shards: [3]int{2, 1, 0}, Lengths: []int64{10_000, 20_000, 30_000},
		Classes: []string{"cat", "d\x00g\xff"}, Sums: [3]uint32{1, 2, 3}, Stats: true, Manifest: []byte(`{"a":1}`),
	}
	return x, []Picture{
		{"train/cat/1.jpg", 0, 1, 512, 100, 7},
		{"train/cat/2.jpg", 0, 0, 512, 9488, 8},
		{"train/dog/1.jpg", 1, 0, 1024, 0, 9},
		{"val/cat/1.jpg", 0, 2, 512, 5, 10},
		{"val/cat/10.jpg", 0, 2, 5120, 5, 11},
	}
}

func encoded(t testing.TB, x *Index, pictures []Picture) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := x.Write(&b, func(i int) Picture { return pictures[i] }); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(raw []byte) (x *Index, pictures []Picture, err error) {
	x, err = ReadIndex(bytes.NewReader(raw), int64(len(raw)), func(x *Index) {
		pictures = make([]Picture, x.All())
	}, func(i int, p Picture) { pictures[i] = p })
	return x, pictures, err
}

// TestIndex: what is written is read, and any flipped bit and any cut is told.
func TestIndex(t *testing.T) {
	x, pictures := small()
	raw := encoded(t, x, pictures)
	got, all, err := read(raw)
	if err != nil || !slices.Equal(all, pictures) || fmt.Sprint(got) != fmt.Sprint(x) {
		t.Fatalf("read %+v %+v (%v)", got, all, err)
	}
	if got.Shard(1) != "train-00001.tar" || got.Shard(2) != "validation-00000.tar" || got.Shard(3) != "" {
		t.Error("shards are called otherwise")
	}
	for bit := range 8 * len(raw) {
		other := slices.Clone(raw)
		other[bit/8] ^= 1 << (bit % 8)
		if _, _, err := read(other); !errors.As(err, new(*BadIndex)) {
			t.Errorf("bit %d flipped: %v", bit, err)
		}
	}
	for n := range raw {
		if _, _, err := read(raw[:n]); !errors.As(err, new(*BadIndex)) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// resealed gives an index the checksum of what it says.
func resealed(raw []byte) []byte {
	if len(raw) < headerSize+sumSize {
		return raw
	}
	raw = slices.Clone(raw)
	binary.LittleEndian.PutUint32(raw[len(raw)-sumSize:], Checksum(raw[:len(raw)-sumSize]))
	return raw
}

// TestIndexOfLies: what cannot be is refused, whatever the checksum.
func TestIndexOfLies(t *testing.T) {
	for what, change := range map[string]func(x *Index, p []Picture){
		"no shard":     func(_ *Index, p []Picture) { p[4].Shard = 3 },
		"of its part":  func(_ *Index, p []Picture) { p[4].Shard = 1 },
		"after its":    func(_ *Index, p []Picture) { p[4].Off = 30_000 },
		"no class":     func(_ *Index, p []Picture) { p[2].Label = 2 },
		"in its place": func(_ *Index, p []Picture) { p[0], p[1] = p[1], p[0] },
		"place":        func(_ *Index, p []Picture) { p[1].Name = p[0].Name },
		"has 0 bytes":  func(_ *Index, p []Picture) { p[1].Name = "" },
		"a name of":    func(x *Index, _ []Picture) { x.Classes[0] = "" },
		"shard 1 has":  func(x *Index, _ []Picture) { x.Lengths[1] = -1 },
	} {
		x, pictures := small()
		change(x, pictures)
		if _, _, err := read(encoded(t, x, pictures)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// FuzzIndex: any bytes are an index or an error, within twice their size and 16 MB of memory.
func FuzzIndex(f *testing.F) {
	x, pictures := small()
	whole := encoded(f, x, pictures)
	f.Add(whole, false)
	f.Add(encoded(f, &Index{}, nil), false)
	huge := slices.Clone(whole)
	binary.LittleEndian.PutUint32(huge[12:], 1<<31)
	f.Add(huge, true)
	f.Add(whole[:100], true)
	f.Fuzz(func(t *testing.T, raw []byte, seal bool) {
		if seal {
			raw = resealed(raw)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		x, all, err := read(raw)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > uint64(2*len(raw)+16<<20) {
			t.Errorf("%d bytes took %d", len(raw), took)
		}
		if err != nil {
			return
		}
		if again := encoded(t, x, all); !bytes.Equal(again, raw) && len(raw) > 48 && raw[44] == 1 {
			t.Error("written again it is another")
		}
	})
}

// TestKeys: keys are such that whoever reads a tar by the first dot of the last part gets all of them, and no two are
// alike.
func TestKeys(t *testing.T) {
	long := strings.Repeat("x", 200)
	names := []string{
		"train/n01440764/n01440764_10026.JPEG", "a.b/c.d.jpg", "a.b/c%2ed.jpg", "cat/1.jpg", "cat/1.png", "cat/1",
		"cat/ü \n.jpg", "cat/~1.jpg", long + ".jpg", long + ".png", "cat/" + long + "/1.jpg", "cat/" + long + "/2.jpg",
		"cat/.jpg",
	}
	cut := long[:maxBase-17] + "~"
	want := []string{
		"train/n01440764/n01440764_10026", "a.b/c%2ed", "a.b/c%252ed", "cat/1~", "cat/1~", "cat/1~",
		"cat/%c3%bc%20%0a", "cat/%7e1", cut, cut, "long/1~", "long/2~", "cat/%2ejpg",
	}
	keys, seen := NewKeys(slices.Values(names)), map[string]string{}
	for i, name := range names {
		key := keys.Of(name)
		if other, twice := seen[key]; twice {
			t.Errorf("%q and %q are both %q", name, other, key)
		}
		seen[key] = name
		hashed := strings.HasSuffix(want[i], "~") && strings.HasPrefix(key, want[i])
		if key != want[i] && !hashed {
			t.Errorf("%q is %q, want %q", name, key, want[i])
		}
		base := key[strings.LastIndexByte(key, '/')+1:]
		if strings.Contains(base, ".") || base == "" {
			t.Errorf("%q is %q", name, key)
		}
		if _, err := Append(&bytes.Buffer{}, key, 3, "x", nil); err != nil {
			t.Errorf("%q cannot be in a tar: %v", key, err)
		}
	}
}
