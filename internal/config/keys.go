package config

import (
	"reflect"
	"slices"
	"strings"

	"alexnet/internal/text"
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
	if n := text.Nearest(key, valid); n != "" {
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
