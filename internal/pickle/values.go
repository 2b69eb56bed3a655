package pickle

import (
	"math/big"
	"slices"
	"strconv"

	"alexnet/internal/tensor"
	"alexnet/internal/text"
)

// What Load makes of a pickle, besides nil (None), bool, int64, *big.Int, float64, string, and what the caller's
// functions return. A string is text, or the bytes of Python 2's.
type (
	// Tuple is Python's.
	Tuple []any

	// List is Python's.
	List struct{ Items []any }

	// Dict is Python's, in the order in which it was filled. A key may come twice.
	Dict struct{ Items []Item }

	// Item is one of a Dict.
	Item struct{ Key, Value any }

	// Raw is a string or bytes that are too long to be kept: where they lie.
	Raw struct{ Off, Len int64 }

	// Row stands in a walk for a list or tuple of plain values, more than LongestRow: how many.
	Row int

	// Func is a function that a pickle may call.
	Func func(args Tuple) (any, error)

	// Builder is a value that takes a state after it was made.
	Builder interface{ Build(state any) error }
)

// Build takes the attributes of a dict, and does nothing with them: PyTorch's _metadata is one.
func (*Dict) Build(any) error { return nil }

// What a value may be when it is walked.
const (
	maxDepth = 64   // lists in lists
	maxKey   = 1024 // bytes
	perNode  = 250  // bytes that a visit is reckoned at, with what the caller makes of a plain value

	// LongestRow is how many plain values in a list are visited: a history of losses is of no use here.
	LongestRow = 100
)

// Walk gives every value that holds no others to visit, with the way to it: keys and indices with dots between. A value
// that holds itself is refused; one that is held twice is visited twice.
func (m *Machine) Walk(v any, visit func(path string, leaf any) error) error {
	return m.walk(nil, "", v, visit)
}

func (m *Machine) walk(above []any, path string, v any, visit func(string, any) error) error {
	if !m.take(int64(len(path)) + perNode) {
		return tensor.Damaged("pickle: %s: more values than a file of its size has", shorten(path))
	}
	if len(above) >= maxDepth {
		return tensor.Damaged("pickle: %s: more than %d values in each other", shorten(path), maxDepth)
	}
	var items []any
	switch v := v.(type) {
	case *Dict:
		return m.walkDict(above, path, v, visit)
	case *List:
		if slices.Contains(above, any(v)) {
			return tensor.Damaged("pickle: %s: a list that holds itself", shorten(path))
		}
		above, items = append(above, v), v.Items
	case Tuple:
		above, items = append(above, nil), v // whatever makes it hold itself is no tuple
	default:
		return visit(path, v)
	}
	if m.take(int64(len(items))); len(items) > LongestRow && !slices.ContainsFunc(items, holds) {
		return visit(path, Row(len(items)))
	}
	for i, v := range items {
		if err := m.walk(above, join(path, strconv.Itoa(i)), v, visit); err != nil {
			return err
		}
	}
	return nil
}

// holds tells whether a value is more than a plain one.
func holds(v any) bool {
	switch v.(type) {
	case nil, bool, int64, float64, string, *big.Int, *Raw:
		return false
	}
	return true
}

func (m *Machine) walkDict(above []any, path string, d *Dict, visit func(string, any) error) error {
	if slices.Contains(above, any(d)) {
		return tensor.Damaged("pickle: %s: a dict that holds itself", shorten(path))
	}
	above = append(above, d)
	for _, item := range d.Items {
		var key string
		switch k := item.Key.(type) {
		case string:
			key = k
		case int64:
			key = strconv.FormatInt(k, 10)
		default:
			return tensor.Damaged("pickle: %s: a dict with a key that is neither a name nor a number", shorten(path))
		}
		if len(key) > maxKey {
			return tensor.Damaged("pickle: %s: a key of %d bytes", shorten(path), len(key))
		}
		if err := m.walk(above, join(path, key), item.Value, visit); err != nil {
			return err
		}
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// shorten keeps an error short.
func shorten(path string) string {
	if path == "" {
		return "the whole"
	}
	return text.Shorten(path, 100)
}
