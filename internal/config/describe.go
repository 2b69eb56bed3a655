package config

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"alexnet/internal/text"
)

// Described is what is to be known of a key before one writes it into a page.
type Described struct {
	Key     string // "train.lr"; of layers "model.*.lr"
	Kinds   []Kind // of layers that have it, where it is a layer's
	Meaning string // sentences
	Unit    string // "": none, or the meaning says it
	Values  string // "1 to 65536", "relu, tanh, none"
	// Default is the value that a page has which lacks the key, a key whose value holds then, or "" where a page must
	// give it.
	Default string
}

// Describe lists the keys that begin with prefix, in the order of a page: all for "", some for "train." or "data",
// those of layers for "model.*."; a layer's own name may stand for *. Where there is none, nearest is a prefix that may
// have been meant, or "".
func Describe(prefix string) (found []Described, nearest string) {
	asked := anyLayer(prefix)
	for i := range specs {
		if s := &specs[i]; strings.HasPrefix(s.name, asked) {
			found = append(found, s.describe())
		}
	}
	if len(found) == 0 {
		nearest = nearestPrefix(asked)
	}
	return found, nearest
}

// anyLayer writes * for the layer's name in a prefix.
func anyLayer(prefix string) string {
	parts := strings.SplitN(prefix, ".", 3)
	if len(parts) == 3 && parts[0] == "model" && parts[1] != "input" {
		parts[1] = everyLayer
	}
	return strings.Join(parts, ".")
}

// nearestPrefix is a key, or a group of keys, that may have been meant.
func nearestPrefix(asked string) string {
	var all, groups, ends []string
	for i := range specs {
		name := specs[i].name
		parent, end := splitKey(name)
		all, ends = append(all, name), append(ends, end)
		for ; parent != ""; parent, _ = splitKey(parent) {
			groups = append(groups, parent+".")
		}
	}
	if i := slices.Index(ends, asked); i >= 0 { // lr: train.lr rather than a layer's
		for k := i; k < len(ends); k++ {
			if ends[k] == asked && specs[k].kinds == nil {
				i = k
			}
		}
		return specs[i].name
	}
	if near := cmp.Or(text.Nearest(asked, all), text.Nearest(asked, groups)); near != "" {
		return near
	}
	if near := text.Nearest(asked, ends); near != "" {
		return specs[slices.Index(ends, near)].name
	}
	return ""
}

// describe puts a key into words.
func (s *spec) describe() Described {
	v := s.initial()
	d := Described{Key: s.name, Kinds: s.kinds, Meaning: s.meaning, Unit: s.unit, Values: s.values.text(v.Type())}
	d.Values = strings.TrimPrefix(d.Values, "one of ")
	switch {
	case s.follows != "":
		d.Default = s.follows
	case v.Kind() == reflect.Pointer && v.IsNil():
		d.Default = "not set"
	case v.Kind() == reflect.String && v.String() == "", s.name == "model.layers", s.values.check(v) != "":
	default:
		d.Default = flow(v)
	}
	if s.name == "model.layers" {
		d.Values = "a list"
	}
	return d
}

// initial is the value that a key has which is not given.
func (s *spec) initial() reflect.Value {
	v, path := reflect.ValueOf(defaults()).Elem(), s.name
	if s.kinds != nil {
		l := layerDefaults(s.kinds[0])
		if s.name == "model.*.kind" {
			l.Kind = ""
		}
		v, path = reflect.ValueOf(&l).Elem(), strings.TrimPrefix(path, "model.*.")
	}
	for _, key := range strings.Split(path, ".") {
		v, _ = fieldOf(v, key)
	}
	return v
}
