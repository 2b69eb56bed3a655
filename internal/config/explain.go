package config

import (
	"fmt"
	"reflect"
)

// Entry is one key of a configuration, its value, and where that comes from.
type Entry struct {
	Key   string // "train.lr", "model.conv1.kernels"
	Value any    // int, uint64, float64, bool, string, or a list of numbers
	// Source is the page, or the override, as "train.lr=0.1"; "": nobody gave the value, and it is the default, or what
	// Follows has.
	Source   string
	Override bool // Source is an override
	Line     int  // in the page
	// Follows is the key that this one takes its value from, having none of its own: a layer's weight_decay is
	// train.weight_decay.
	Follows string
}

// Text is the value as a page would hold it.
func (e *Entry) Text() string { return flow(reflect.ValueOf(e.Value)) }

// Explain is Load, and tells of every key where its value comes from, in the order of the page.
func Explain(nameOrPath string, sets []string) (*Config, []Entry, error) {
	file, page, err := read(nameOrPath)
	if err != nil {
		return nil, nil, err
	}
	d := newDecoder(file)
	c, err := d.config(page, sets)
	if err != nil {
		return nil, nil, err
	}
	var entries []Entry
	d.explain(reflect.ValueOf(c).Elem(), "", nil, &entries)
	for i := range entries {
		entries[i].follow(c)
	}
	return c, entries, nil
}

// explain lists the keys of a struct; valid restricts them (nil: all).
func (d *decoder) explain(v reflect.Value, path string, valid []string, to *[]Entry) {
	if valid == nil {
		valid = keysOf(v.Type())
	}
	for _, name := range valid {
		f, _ := fieldOf(v, name)
		key := joinKey(path, name)
		if layers, ok := f.Interface().([]Layer); ok {
			for i := range layers {
				l := &layers[i]
				d.explain(reflect.ValueOf(l).Elem(), "model."+l.Name, append([]string{"kind"}, layerKeys[l.Kind]...),
					to)
			}
			continue
		}
		if f.Kind() == reflect.Struct {
			d.explain(f, key, nil, to)
			continue
		}
		at := d.at[key]
		*to = append(*to, Entry{
			Key: key, Value: valueOf(f), Source: at.Source, Override: at.Override, Line: at.Line,
		})
	}
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
	case f.Kind() == reflect.String: // whatever kind of word it is
		return f.String()
	}
	return f.Interface()
}

// follow gives keys of layers that are left open the value that they have then.
func (e *Entry) follow(c *Config) {
	_, name := splitKey(e.Key)
	switch {
	case name == "act" && e.Value == "":
		e.Value, e.Follows = string(c.Model.Act), "model.act"
	case name == "units" && e.Value == 0: // the last layer
		e.Value, e.Follows = c.Model.Classes, "model.classes"
	case name == "lr" && e.Value == nil:
		e.Value = 1.
	case name == "bias_lr" && e.Value == nil:
		e.Value, e.Follows = c.Train.BiasLR, "train.bias_lr"
	case name == "weight_decay" && e.Value == nil:
		e.Value, e.Follows = c.Train.WeightDecay, "train.weight_decay"
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

// Keys are all that an override can give a value in a page, and the layers that it can switch off: not the softmax, and
// not the last with weights, which gives a number a class.
func Keys(nameOrPath string, sets []string) (keys, layers []string, err error) {
	c, entries, err := Explain(nameOrPath, sets)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if parent, name := splitKey(e.Key); name == "kind" && parent != "train.schedule" {
			continue // of a layer: fixed
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
