package config

import (
	"reflect"
	"slices"
	"strings"
)

// layerKeys are the keys that a kind of layer has besides name and kind, in the order in which they are written out.
var layerKeys = map[Kind][]string{
	Conv: {
		"inputs", "kernels", "size", "stride", "pad", "round", "groups", "act", "init", "lr", "bias_lr", "weight_decay",
	},
	FC:         {"inputs", "units", "act", "init", "lr", "bias_lr", "weight_decay"},
	LRN:        {"size", "alpha", "beta", "k"},
	Pool:       {"pool", "size", "stride", "pad", "round"},
	Dropout:    {"rate"},
	Activation: {"act"},
	Softmax:    {},
}

// keysOf are the keys of a struct, in order.
func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return keys
}

// fieldOf is the field with a key.
func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	i := slices.Index(keysOf(v.Type()), key)
	if i < 0 {
		return reflect.Value{}, false
	}
	return v.Field(i), true
}

// unknown words the complaint about a key that is not among the valid ones.
func unknown(path string, valid []string) *Error {
	parent, key := splitKey(path)
	msg := "is not a key"
	if n := Nearest(key, valid); n != "" {
		msg += "; nearest: " + joinKey(parent, n)
	} else if len(valid) > 0 {
		msg += "; there are " + strings.Join(valid, ", ")
	}
	return Errorf(path, "%s", msg)
}

func joinKey(parent, key string) string {
	if parent == "" {
		return key
	}
	return parent + "." + key
}

func splitKey(path string) (parent, key string) {
	i := strings.LastIndexByte(path, '.')
	return path[:max(i, 0)], path[i+1:]
}

// Nearest is the name with the fewest edits from s, "" where none comes near: within a third of its letters, or two. A
// name that goes on where s ends, or the other way round, is one edit away.
func Nearest(s string, names []string) string {
	best, bestDist := "", max(2, len(s)/3)+1
	for _, n := range names {
		d := distance(strings.ToLower(s), strings.ToLower(n))
		if len(s) > 2 && (strings.HasPrefix(s, n) || strings.HasPrefix(n, s)) {
			d = min(d, 1)
		}
		if d < bestDist {
			best, bestDist = n, d
		}
	}
	return best
}

// distance counts the insertions, deletions, substitutions and swaps of neighbours that lead from a to b (optimal
// string alignment).
func distance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
