package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Entry is one key of a configuration, its value, and where that comes from.
type Entry struct {
	Key string // "train.lr", "model.conv1.kernels"
	// Value is an int, uint64, float64, bool, string (a duration too), or a list of numbers; nil: nobody gave one, and
	// to have none has a meaning of its own.
	Value any
	// Source is the page, or the override, as "train.lr=0.1"; "": nobody gave the value, and it is the default, or what
	// Follows has.
	Source   string
	Override bool // Source is an override
	Line     int  // in the page
	// Follows is the key that this one takes its value from, having none of its own: a layer's weight_decay is
	// train.weight_decay.
	Follows string
}

// Text is the value as a page would hold it; of a key that no page has to have, that it is not set.
func (e *Entry) Text() string {
	if e.Value == nil {
		return "not set"
	}
	return flow(reflect.ValueOf(e.Value))
}

// Explain is Load, and says for every key, in the order of the page, where its value comes from.
func Explain(nameOrPath string, sets []string) (*Config, []Entry, error) {
	file, page, err := read(nameOrPath)
	if err != nil {
		return nil, nil, err
	}
	d := newDecoder(file)
	c, err := d.config(defaults(), page, sets)
	if err != nil {
		return nil, nil, err
	}
	entries := d.explain(c)
	for i := range entries {
		entries[i].follow(c)
	}
	return c, entries, nil
}

// Differ are the keys of which two configurations have different values, in their order; of a layer that only one has,
// or that is of another kind, its name ("model.conv4"). Where nothing differs but the order of the layers it is
// model.layers.
func Differ(a, b *Config) (keys []string) {
	x, y := valuesOf(a), valuesOf(b)
	for _, page := range [][]Entry{x.entries, y.entries} {
		for i := range page {
			key := page[i].Key
			same := reflect.DeepEqual(x.of[key], y.of[key])
			if parts := strings.Split(key, "."); len(parts) > 2 && parts[0] == "model" && parts[1] != "input" {
				if layer := "model." + parts[1]; x.of[layer+".kind"] != y.of[layer+".kind"] {
					key = layer
				}
			}
			if !same && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	if len(keys) == 0 && !reflect.DeepEqual(a, b) {
		keys = []string{"model.layers"}
	}
	return keys
}

// Reading are the keys that change nothing but how pictures are read, which shapes no run.
var Reading = []string{"data.workers", "data.retry", "data.cache", "data.bad_share"}

// OneRun tells whether configurations that differ in these keys may be of one run: whether they are only such as may
// change when it goes on, train.epochs and Reading.
func OneRun(keys []string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool {
		return key != "train.epochs" && !slices.Contains(Reading, key)
	})
}

// pageValues are the keys of a configuration and what each has.
type pageValues struct {
	entries []Entry
	of      map[string]any
}

func valuesOf(c *Config) pageValues {
	v := pageValues{entries: newDecoder("").explain(c), of: map[string]any{}}
	for i := range v.entries {
		v.of[v.entries[i].Key] = v.entries[i].Value
	}
	return v
}

// explain lists the keys, those that are left open without the value that they have then.
func (d *decoder) explain(c *Config) (entries []Entry) {
	c.each(func(key string, v reflect.Value, l *Layer) {
		at := d.at[key]
		e := Entry{Key: key, Value: valueOf(v), Source: at.Source, Override: at.Override, Line: at.Line}
		if s := specOf(key, l); s != nil && s.open(v) {
			e.Follows = s.follows
		}
		entries = append(entries, e)
	})
	return entries
}

// valueOf is a field's value: no pointers (nil where there is none), lists never nil.
func valueOf(f reflect.Value) any {
	switch {
	case f.Kind() == reflect.Pointer && f.IsNil():
		return nil
	case f.Kind() == reflect.Pointer:
		return f.Elem().Interface()
	case f.Kind() == reflect.Slice && f.IsNil():
		return reflect.MakeSlice(f.Type(), 0, 0).Interface()
	case f.Kind() == reflect.Int64:
		return flow(f)
	case f.Kind() == reflect.String: // whatever kind of word it is
		return f.String()
	}
	return f.Interface()
}

// follow gives a key of a layer that is left open the value that it has then.
func (e *Entry) follow(c *Config) {
	switch e.Follows {
	case "": // it is not
	case "model.act":
		e.Value = string(c.Model.Act)
	case "model.classes":
		e.Value = c.Model.Classes
	case "train.bias_lr":
		e.Value = c.Train.BiasLR
	case "train.weight_decay":
		e.Value = c.Train.WeightDecay
	case "1": // of lr: a value, and not a key
		e.Value, e.Follows = 1., ""
	}
}

// From is where the value comes from, in a word or two: "alexnet.yaml:31", "train.weight_decay", "default"; of
// an override all of it, "train.lr=0.1".
func (e *Entry) From() string {
	switch {
	case e.Line > 0:
		return fmt.Sprintf("%s:%d", e.Source, e.Line)
	case e.Source != "":
		return e.Source
	case e.Follows != "":
		return e.Follows
	}
	return "default"
}

// Keys are all that an override can give a value in a page, those left out that no layer follows, and the layers that
// it can switch off: not the softmax, and not the last with weights, which gives a number a class.
func Keys(nameOrPath string, sets []string) (keys, layers []string, err error) {
	c, entries, err := Explain(nameOrPath, sets)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if parent, name := splitKey(e.Key); name == "kind" && parent != "train.schedule" {
			continue // of a layer: fixed
		}
		if unfollowed(c, e.Key) != nil {
			continue
		}
		keys = append(keys, e.Key)
	}
	all := c.Model.Layers
	last := LastWeighted(all)
	for i := range all {
		if i != last && all[i].Kind != Softmax {
			layers = append(layers, all[i].Name)
		}
	}
	return keys, layers, nil
}
