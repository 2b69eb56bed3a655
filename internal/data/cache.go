package data

import (
	"cmp"
	"slices"
	"sync"

	"alexnet/internal/machine"
)

// cache decides which sets of a source stay in memory once they are decoded: whole ones, as far as one budget for all
// of them goes. A process works on one source at a time, so it belongs to the source, and closing that gives it back.
type cache struct {
	sets []*Set // the training set first

	mu   sync.Mutex
	left int64              // bytes
	kept map[viewKey][]*Set // by what pictures are made into
}

func newCache() *cache { return &cache{left: budget(machine.MemoryNow()), kept: map[viewKey][]*Set{}} }

// keeps tells whether a set stays in memory, whose pictures take size bytes each. The first that is asked for a key
// settles it for all sets, so that it does not depend on which of them is read first: training reads the validation set
// first where it is resumed, and the training set where it begins. A set that nobody reads takes its share all the
// same.
func (c *cache) keeps(s *Set, key viewKey, size int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, settled := c.kept[key]
	if !settled {
		for _, other := range c.sets {
			if need := size * int64(other.Len()); need <= c.left {
				c.left -= need
				kept = append(kept, other)
			}
		}
		c.kept[key] = kept
	}
	return slices.Contains(kept, s)
}

// limit bounds what is left.
func (c *cache) limit(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = min(c.left, bytes)
}

// maxCache bounds the budget, so that the first command on a large machine does not fill it.
const maxCache = 2 << 30

// assumedMemory is taken for granted where the system does not say.
const assumedMemory = 4 << 30

// budget is a quarter of what the process may use, in bytes, at most maxCache.
func budget(m machine.Memory) int64 { return min(maxCache, cmp.Or(m.Usable(), assumedMemory)/4) }
