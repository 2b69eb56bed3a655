package data

import (
	"cmp"
	"slices"

	"alexnet/internal/config"
	"alexnet/internal/philox"
)

// sharded is a store whose pictures lie in shards, each of them a fair sample of all.
type sharded interface {
	// shard is the number of the shard that a picture lies in, from 0; negative: it lies in none.
	shard(number int) int32
}

// orders puts the pictures of a set into an order for each epoch, a function of seed and epoch and of nothing else.
type orders struct {
	plain  bool // the order of the set, in each epoch
	seed   uint64
	shards [][]int32 // where they are mixed some at a time: the pictures of each, by index; else nil
	window int       // shards that are mixed at a time
}

// Sharded tells whether the pictures can be mixed some shards at a time: where they lie in none it is a *SourceError.
func (s *Set) Sharded() error {
	return s.eachShard(func(int, int32) {})
}

// eachShard gives the number of the shard that each picture lies in.
func (s *Set) eachShard(do func(i int, shard int32)) error {
	by, able := s.store.(sharded)
	for i, r := range s.records {
		shard := int32(-1)
		if able {
			shard = by.shard(int(r.Number))
		}
		if shard < 0 {
			return &SourceError{Path: s.outages.path, Problem: NoShards, Paths: s.outages.paths}
		}
		do(i, shard)
	}
	return nil
}

// newOrders refuses windows where there are no shards, as Sharded does.
func newOrders(s *Set, o *LoaderOptions) (orders, error) {
	all := orders{plain: !o.Train, seed: o.Seed, window: o.Window}
	if !o.Train || o.Shuffle != config.WindowShuffle {
		return all, nil
	}
	where := make([]int32, s.Len())
	if err := s.eachShard(func(i int, shard int32) { where[i] = shard }); err != nil {
		return all, err
	}
	sorted := make([]int32, s.Len())
	for i := range sorted {
		sorted[i] = int32(i)
	}
	slices.SortStableFunc(sorted, func(a, b int32) int { return cmp.Compare(where[a], where[b]) })
	for len(sorted) > 0 {
		n := 1
		for n < len(sorted) && where[sorted[n]] == where[sorted[0]] {
			n++
		}
		all.shards, sorted = append(all.shards, sorted[:n:n]), sorted[n:]
	}
	return all, nil
}

// fill writes the order of an epoch. With windows it draws the order of the shards, then, from one window after the
// other, that of its pictures; ends are where the windows end.
func (o *orders) fill(order []int32, epoch uint64) (ends []int) {
	switch {
	case o.plain:
		for i := range order {
			order[i] = int32(i)
		}
		return nil
	case o.shards == nil:
		permutation(order, o.seed, epoch)
		return nil
	}
	src := philox.NewSource(o.seed, philox.PurposeShuffle, uint32(epoch), uint32(epoch>>32))
	turns := make([]int32, len(o.shards))
	for i := range turns {
		turns[i] = int32(i)
	}
	shuffle(turns, src)
	at := 0
	for some := range slices.Chunk(turns, o.window) {
		begin := at
		for _, shard := range some {
			at += copy(order[at:], o.shards[shard])
		}
		shuffle(order[begin:at], src)
		ends = append(ends, at)
	}
	return ends
}

// permutation fills order with the order of an epoch.
func permutation(order []int32, seed, epoch uint64) {
	for i := range order {
		order[i] = int32(i)
	}
	shuffle(order, philox.NewSource(seed, philox.PurposeShuffle, uint32(epoch), uint32(epoch>>32)))
}

// shuffle is that of Fisher and Yates, in Durstenfeld's form.
func shuffle(order []int32, src *philox.Source) {
	for i := len(order) - 1; i > 0; i-- {
		k := src.Intn(i + 1)
		order[i], order[k] = order[k], order[i]
	}
}
