package data

import (
	"errors"
	"slices"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/philox"
	"alexnet/internal/recipe"
)

// shardStore is pictures in memory, dealt out to shards as a hash of their names would.
type shardStore struct {
	Memory
	of []int32
}

func (s shardStore) shard(i int) int32 { return s.of[i] }

// inShards is numbered in shards; their numbers have gaps, as where a shard holds only pictures of another part.
func inShards(t testing.TB, pictures, shards int) *Set {
	t.Helper()
	s := numbered(t, pictures)
	store := shardStore{Memory: s.store.(Memory)}
	for i := range pictures {
		word := philox.Block(philox.Key(3, philox.PurposeTest), [4]uint32{uint32(i)})[0]
		store.of = append(store.of, int32(word%uint32(shards))*3)
	}
	s.store = store
	return s
}

func windows(seed uint64, window int) *LoaderOptions {
	return &LoaderOptions{Train: true, Seed: seed, Shuffle: config.WindowShuffle, Window: window}
}

// An epoch has each picture once; a window holds all pictures of some shards and no others; each epoch and each seed
// puts shards and pictures into another order.
func TestWindowOrder(t *testing.T) {
	const pictures, shards, window = 200, 10, 4
	set := inShards(t, pictures, shards)
	where := set.store.(shardStore).of
	var seen [][]int32
	for _, seed := range []uint64{1, 2} {
		o, err := newOrders(set, windows(seed, window))
		if err != nil {
			t.Fatal(err)
		}
		for epoch := range uint64(3) {
			order := make([]int32, pictures)
			ends := o.fill(order, epoch)
			if len(ends) != 3 || ends[2] != pictures {
				t.Fatalf("windows end at %v", ends)
			}
			begin, total := 0, 0
			for _, end := range ends {
				in := map[int32]bool{}
				for _, i := range order[begin:end] {
					in[where[i]] = true
				}
				inside := 0
				for _, w := range where {
					if in[w] {
						inside++
					}
				}
				if inside != end-begin {
					t.Errorf("a window of %d pictures is of shards that have %d", end-begin, inside)
				}
				if slices.IsSorted(order[begin:end]) {
					t.Error("a window in order")
				}
				begin, total = end, total+len(in)
			}
			if total != shards {
				t.Errorf("%d shards in windows, want %d", total, shards)
			}
			again := make([]int32, pictures)
			o.fill(again, epoch)
			if !slices.Equal(order, again) {
				t.Error("the same epoch in another order")
			}
			all := slices.Sorted(slices.Values(order))
			for i, got := range all {
				if int(got) != i {
					t.Fatalf("picture %d is missing, or there twice", i)
				}
			}
			for _, other := range seen {
				if slices.Equal(order, other) {
					t.Error("two epochs in the same order")
				}
			}
			seen = append(seen, order)
		}
	}
}

// As many shards as there are, or more, are one window.
func TestWideWindow(t *testing.T) {
	o, err := newOrders(inShards(t, 50, 5), windows(1, 16))
	if err != nil {
		t.Fatal(err)
	}
	if ends := o.fill(make([]int32, 50), 0); !slices.Equal(ends, []int{50}) {
		t.Errorf("windows end at %v", ends)
	}
}

// What the order is must never change: runs are resumed by it.
func TestOrdersStay(t *testing.T) {
	full, err := newOrders(inShards(t, 12, 4), &LoaderOptions{Train: true, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	some, err := newOrders(inShards(t, 12, 4), windows(7, 2))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		o    orders
		want []int32
	}{
		{"full", full, []int32{8, 7, 2, 9, 10, 5, 1, 0, 11, 6, 4, 3}},
		{"window", some, []int32{4, 10, 8, 9, 2, 0, 6, 1, 7, 3, 11, 5}},
	} {
		order := make([]int32, 12)
		c.o.fill(order, 3)
		if !slices.Equal(order, c.want) {
			t.Errorf("%s: %v, want %v", c.what, order, c.want)
		}
	}
}

// The number of workers changes nothing, nor does the sample that a run is resumed at.
func TestWindowsByAnyWorkers(t *testing.T) {
	options := func(workers int) LoaderOptions {
		o := trainOptions(4)
		o.Shuffle, o.Window, o.Workers = config.WindowShuffle, 2, workers
		return o
	}
	read := func(workers, from int) (values []uint8) {
		l := newLoader(t, inShards(t, 30, 6), options(workers))
		l.Seek(uint64(from))
		for len(values) < 90-from {
			for _, r := range take(t, l) {
				values = append(values, r.Value)
			}
		}
		return values[:90-from]
	}
	one := read(1, 0)
	for _, c := range []struct{ workers, from int }{{5, 0}, {3, 37}, {1, 60}} {
		if got := read(c.workers, c.from); !slices.Equal(got, one[c.from:]) {
			t.Errorf("%d workers from sample %d read %v, want %v", c.workers, c.from, got, one[c.from:])
		}
	}
}

// Where there are no shards nothing is mixed by them.
func TestNoShards(t *testing.T) {
	set := numbered(t, 6)
	set.outages.path = "photos"
	_, err := NewLoader(t.Context(), set, LoaderOptions{
		Batch: 2, Train: true, Shuffle: config.WindowShuffle, Window: 2,
		Recipe: recipe.Recipe{Height: 5, Width: 6, Channels: 3, Crop: 3},
	})
	var none *SourceError
	if !errors.As(err, &none) || none.Problem != NoShards || none.Path != "photos" {
		t.Errorf("error %v", err)
	}
	if err := inShards(t, 6, 2).Sharded(); err != nil {
		t.Error(err)
	}
}

// Several stores as one keep the shards of each apart; one that has none leaves the whole without.
func TestShardsOfStores(t *testing.T) {
	var all stores
	for _, store := range []Store{
		shardStore{Memory{nil, nil}, []int32{0, 1}}, shardStore{Memory{nil, nil}, []int32{0, 0}}, Memory{nil},
	} {
		n := len(all.all)
		all.add(&listing{store: store, files: []Record{{Number: 0}, {Number: int32(1 - n/2)}}})
	}
	var got []int32
	for i := range 5 {
		got = append(got, all.shard(i))
	}
	a, b := got[0], got[1]
	if a == b || got[2] != got[3] || got[2] == a || got[2] == b || got[4] >= 0 {
		t.Errorf("shards %v", got)
	}
}

func BenchmarkOrder(b *testing.B) {
	const pictures, shards = 1_281_167, 320
	o := orders{seed: 1, window: 16, shards: make([][]int32, shards)}
	for i := range int32(pictures) {
		o.shards[i%shards] = append(o.shards[i%shards], i)
	}
	order := make([]int32, pictures)
	for _, c := range []struct {
		name string
		o    orders
	}{{"window", o}, {"full", orders{seed: 1}}} {
		b.Run(c.name, func(b *testing.B) {
			for i := range b.N {
				c.o.fill(order, uint64(i))
			}
		})
	}
}
