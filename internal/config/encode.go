package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"alexnet/internal/text"
)

// YAML is the page with every default and override filled in: one line a layer. It loads to the same Config. A key that
// nobody gave and that has no default is absent.
func (c *Config) YAML() ([]byte, error) {
	var b bytes.Buffer
	v := reflect.ValueOf(c).Elem()
	for i, section := range keysOf(v.Type()) {
		fmt.Fprintf(&b, "%s:\n", section)
		s := v.Field(i)
		for j, key := range keysOf(s.Type()) {
			if layers, ok := s.Field(j).Interface().([]Layer); ok {
				fmt.Fprintf(&b, "  %s:\n", key)
				for k := range layers {
					fmt.Fprintf(&b, "    - %s\n", flowLayer(&layers[k]))
				}
				continue
			}
			if f := s.Field(j); f.Kind() != reflect.Pointer || !f.IsNil() {
				fmt.Fprintf(&b, "  %s: %s\n", key, flow(f))
			}
		}
	}
	if _, err := Parse(b.Bytes(), nil); err != nil { // a Config made by hand may hold what no page could
		return nil, err
	}
	return b.Bytes(), nil
}

// flow writes a value on one line.
func flow(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Struct:
		return flowKeys(v, keysOf(v.Type()))
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = flow(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Pointer:
		return flow(v.Elem())
	case reflect.Int64:
		return text.Duration(time.Duration(v.Int()))
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	}
	return fmt.Sprint(v.Interface())
}

func flowKeys(v reflect.Value, keys []string) string {
	items := make([]string, 0, len(keys))
	for _, key := range keys {
		f, _ := fieldOf(v, key)
		items = append(items, key+": "+flow(f))
	}
	return "{" + strings.Join(items, ", ") + "}"
}

func flowLayer(l *Layer) string {
	keys := []string{"name", "kind"}
	for _, key := range layerKeys[l.Kind] {
		unset := key == "act" && l.Act == "" || key == "units" && l.Units == 0 ||
			key == "lr" && l.LR == nil || key == "bias_lr" && l.BiasLR == nil || key == "weight_decay" &&
			l.WeightDecay == nil || key == "freeze" && !l.Freeze
		if !unset {
			keys = append(keys, key)
		}
	}
	return flowKeys(reflect.ValueOf(l).Elem(), keys)
}
