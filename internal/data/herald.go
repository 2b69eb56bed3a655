package data

import (
	"slices"
	"sort"
)

// forewarned is a store that makes use of being told what is read soon.
type forewarned interface {
	// soon says that picture i will be read. It may take as long as a system call, and never fails.
	soon(i int)
}

// herald tells a store what is read soon: the pictures after those that are being decoded, or, where some shards are
// mixed at a time, all of these and of those that come next, in the order in which they lie there.
type herald struct {
	l       *Loader
	store   forewarned
	order   []int32 // of epoch ordered
	ends    []int   // of its windows, if there are any
	ordered uint64
	told    uint64 // the sample after the last that was told of

	since, until uint64 // a sample and the end of its window
	after        uint64 // the end of the window after that, perhaps in another epoch
}

// newHerald is nil where nobody listens.
func newHerald(l *Loader) *herald {
	store, able := l.set.store.(forewarned)
	if !able {
		return nil
	}
	return &herald{l: l, store: store, order: make([]int32, l.set.Len()), ordered: ^uint64(0)}
}

// run tells of what comes after each sample that it hears of.
func (h *herald) run(r *reader) {
	for first := range h.l.heard {
		from, limit := first, first+uint64(h.l.ahead*h.l.batch)
		if h.l.orders.shards != nil {
			limit = h.nextEnd(first)
		}
		if n := uint64(len(h.order)); !h.l.o.Train { // the next epoch may never come
			limit = min(limit, (first-1)/n*n+n)
		}
		if h.told > from && h.told <= limit {
			from = h.told
		}
		for from < limit {
			to := limit
			if h.l.orders.shards != nil {
				to = h.end(from)
			}
			if !h.tell(r, from, to) {
				return
			}
			from, h.told = to, to
		}
	}
}

// of puts the epoch of a sample into order, and gives its first sample.
func (h *herald) of(sample uint64) (begin uint64) {
	n := uint64(len(h.order))
	epoch := sample / n
	if epoch != h.ordered {
		h.ends, h.ordered = h.l.orders.fill(h.order, epoch), epoch
	}
	return epoch * n
}

// end is the end of the window of a sample.
func (h *herald) end(sample uint64) uint64 {
	begin := h.of(sample)
	k := sort.SearchInts(h.ends, int(sample-begin)+1)
	return begin + uint64(h.ends[k])
}

// nextEnd is the end of the window after that of a sample. It is found once a window: in the last of an epoch, the one
// after it is drawn with another epoch's order.
func (h *herald) nextEnd(sample uint64) uint64 {
	if sample < h.since || sample >= h.until {
		h.since, h.until = sample, h.end(sample)
		h.after = h.end(h.until)
	}
	return h.after
}

// tell tells of samples, and whether there is anybody left to be told.
func (h *herald) tell(r *reader, from, to uint64) bool {
	numbers := make([]int, 0, to-from)
	for sample := from; sample < to; sample++ {
		begin := h.of(sample)
		if i := h.order[sample-begin]; h.l.view.state[i].Load() == unknown {
			numbers = append(numbers, int(h.l.set.records[i].Number))
		}
	}
	if h.l.orders.shards != nil {
		slices.Sort(numbers)
	}
	// once for all: workers ask for the crew's lock at each picture, and should not find it held
	if !r.crew.enter(r, &trial{endless: true}) {
		return false
	}
	for _, n := range numbers {
		if r.crew.ctx.Err() != nil {
			break
		}
		h.store.soon(n)
	}
	return r.crew.leave(r)
}
