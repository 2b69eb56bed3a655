package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// placeOf is where an override stands: nowhere but in itself.
func placeOf(override string) Error { return Error{Source: brief(override, 80), Override: true} }

// set applies one override: "train.lr=0.001", "model.conv3.kernels=256", "model.conv4=off" (the layer is removed).
func (d *decoder) set(c *Config, override string) error {
	o := &decoder{source: placeOf(override), at: d.at}
	path, text, ok := strings.Cut(override, "=")
	if !ok || path == "" || strings.TrimSpace(text) == "" {
		return &Error{Source: o.source.Source, Override: true, Msg: "must be key=value"}
	}
	n, err := o.parse([]byte(text))
	if err == nil {
		err = o.assign(c, path, n)
	}
	if e, isOurs := err.(*Error); isOurs { //nolint:errorlint // made here, never wrapped
		e.Line, e.Column = 0, 0 // an override has neither
	}
	if err != nil {
		return err
	}
	d.at[path] = o.source
	return nil
}

func (d *decoder) assign(c *Config, path string, n ast.Node) error {
	parts := strings.Split(path, ".")
	if parts[0] == "model" && len(parts) > 1 {
		if i := slices.IndexFunc(c.Model.Layers, func(l Layer) bool { return l.Name == parts[1] }); i >= 0 {
			return d.assignLayer(&c.Model, i, parts[2:], path, n)
		}
		if parts[1] == "layers" {
			return d.fail(n, Errorf(path, "cannot be set; name the layer, as in model.%s.act=tanh",
				firstName(c.Model.Layers)))
		}
	}
	v := reflect.ValueOf(c).Elem()
	for i, p := range parts {
		key := strings.Join(parts[:i+1], ".")
		if v.Kind() != reflect.Struct {
			return d.fail(n, Errorf(key, "is not a key; %s has no keys", strings.Join(parts[:i], ".")))
		}
		f, ok := fieldOf(v, p)
		if !ok {
			valid := keysOf(v.Type())
			if key != p && parts[0] == "model" && i == 1 {
				valid = append(valid, layerNames(c.Model.Layers)...)
			}
			return d.fail(n, unknown(key, valid))
		}
		v = f
	}
	return d.value(n, v, path)
}

// assignLayer sets a key of a layer, or removes the layer.
func (d *decoder) assignLayer(m *Model, i int, keys []string, path string, n ast.Node) error {
	l := &m.Layers[i]
	valid := layerKeys[l.Kind]
	if len(keys) == 0 {
		if n.GetToken().Value != "off" {
			return d.fail(n, Errorf(path, "is %s, can only be off, which removes the layer; its keys: %s", show(n),
				strings.Join(valid, ", ")))
		}
		m.Layers = slices.Delete(slices.Clone(m.Layers), i, i+1)
		return nil
	}
	if !slices.Contains(valid, keys[0]) {
		return d.fail(n, unknown("model."+l.Name+"."+keys[0], valid))
	}
	v, _ := fieldOf(reflect.ValueOf(l).Elem(), keys[0])
	for _, k := range keys[1:] {
		if v.Kind() != reflect.Struct {
			return d.fail(n, unknown(path, nil))
		}
		f, ok := fieldOf(v, k)
		if !ok {
			return d.fail(n, unknown(path, keysOf(v.Type())))
		}
		v = f
	}
	return d.value(n, v, path)
}

func layerNames(layers []Layer) []string {
	names := make([]string, len(layers))
	for i, l := range layers {
		names[i] = l.Name
	}
	return names
}

func firstName(layers []Layer) string {
	if len(layers) == 0 {
		return "conv1"
	}
	return layers[0].Name
}
