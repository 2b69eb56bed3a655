package data

import (
	"slices"
	"sync"
	"testing"

	"alexnet/internal/config"
)

// listener is a store that notes what it is told.
type listener struct {
	shardStore
	mu   sync.Mutex
	told []int
	news chan struct{}
}

func (l *listener) soon(i int) {
	l.mu.Lock()
	l.told = append(l.told, i)
	l.mu.Unlock()
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// until waits until so many pictures were told of.
func (l *listener) until(n int) []int {
	for {
		l.mu.Lock()
		told := slices.Clone(l.told)
		l.mu.Unlock()
		if len(told) >= n {
			return told
		}
		<-l.news
	}
}

func listening(t *testing.T, pictures, shards int) (*Set, *listener) {
	set := inShards(t, pictures, shards)
	l := &listener{shardStore: set.store.(shardStore), news: make(chan struct{}, 1)}
	set.store = l
	return set, l
}

// Told of are the pictures that follow those under way, in the order of the epochs, each once an epoch.
func TestHerald(t *testing.T) {
	set, store := listening(t, 40, 5)
	o := trainOptions(4)
	o.NoCache = true
	l := newLoader(t, set, o)
	for range 30 {
		take(t, l)
	}
	var want []int
	for epoch := range uint64(5) {
		order := make([]int32, 40)
		permutation(order, o.Seed, epoch)
		for _, i := range order {
			want = append(want, int(i))
		}
	}
	at := ahead * 4 // these are under way at once
	got := store.until(50)
	for _, i := range got { // what was under way before it was told of is left out
		k := slices.Index(want[min(at, len(want)):], i)
		if k < 0 {
			t.Fatalf("told of %v, want of %v", got, want)
		}
		at += k + 1
	}
}

// With windows it is told of all pictures of this one and of the next, in the order in which they lie there.
func TestHeraldOfWindows(t *testing.T) {
	set, store := listening(t, 60, 9)
	o := trainOptions(4)
	o.NoCache, o.Shuffle, o.Window = true, config.WindowShuffle, 3
	l := newLoader(t, set, o)
	order := make([]int32, 60)
	ends := l.orders.fill(order, 0)
	sorted := func(from, to int) (all []int) {
		for _, i := range order[from:to] {
			all = append(all, int(i))
		}
		slices.Sort(all)
		return all
	}
	// resumed in the middle of the first window
	l.Seek(2)
	first := 2 + 4*l.ahead
	if first >= ends[0] {
		t.Fatalf("the window ends at %d", ends[0])
	}
	want := append(sorted(first, ends[0]), sorted(ends[0], ends[1])...)
	if got := store.until(len(want)); !slices.Equal(got, want) {
		t.Errorf("told of %v, want %v", got, want)
	}
	for range (ends[0]-first)/4 + 1 { // until the next window is under way
		take(t, l)
	}
	last := len(want) + 60 - ends[1]
	if got := store.until(last)[len(want):last]; !slices.Equal(got, sorted(ends[1], 60)) {
		t.Errorf("then told of %v, want %v", got, sorted(ends[1], 60))
	}
}

// In the last window of an epoch the next epoch's order is drawn once, and not this one's and that with each batch.
func TestHeraldDrawsOnce(t *testing.T) {
	set, _ := listening(t, 60, 9)
	o := trainOptions(4)
	o.NoCache, o.Shuffle, o.Window = true, config.WindowShuffle, 3
	h := newHerald(newLoader(t, set, o))
	ends := h.l.orders.fill(make([]int32, 60), 0)
	last := uint64(ends[len(ends)-2])
	next := h.l.orders.fill(make([]int32, 60), 1)
	for first := last; first < 60; first++ {
		if got := h.nextEnd(first); got != 60+uint64(next[0]) {
			t.Errorf("from %d on told of up to %d", first, got)
		}
		if first > last && h.order[0] != -1 {
			t.Fatalf("an order was drawn again at %d", first)
		}
		h.order[0] = -1 // what another order would be written over
	}
	if got := h.nextEnd(60); got != 60+uint64(next[1]) {
		t.Errorf("in the next epoch told of up to %d", got)
	}
	if got := h.nextEnd(1); got != uint64(ends[1]) { // back
		t.Errorf("from 1 on told of up to %d, want %d", got, ends[1])
	}
}

// Nobody is told of pictures that are in memory.
func TestHeraldIsSilent(t *testing.T) {
	set, store := listening(t, 20, 2)
	l := newLoader(t, set, LoaderOptions{Batch: 4, Recipe: cropped(3)})
	for range 5 {
		take(t, l)
	}
	l.Close()
	for i, told := range store.told {
		if told != ahead*4+i {
			t.Fatalf("told of %v", store.told)
		}
	}
	before := len(store.told)
	again := newLoader(t, set, trainOptions(4))
	for range 5 {
		take(t, again)
	}
	again.Close()
	if got := store.told[before:]; len(got) > 0 {
		t.Errorf("told of %v, which are in memory", got)
	}
}
