package config

import (
	"cmp"
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
		if parts[1] == everyLayer {
			return d.assignEvery(&c.Model, parts[2:], path, n)
		}
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
			if whole := wholeKey(c, path); i == 0 && whole != "" {
				return d.fail(n, Errorf(path, "is not a key; nearest: %s", whole))
			}
			if key != p && parts[0] == "model" && i == 1 {
				valid = append(valid, layerNames(c.Model.Layers)...)
			}
			return d.fail(n, unknown(key, valid))
		}
		v = f
	}
	return d.value(n, v, path)
}

// wholeKey is the key that ends so: train.lr for lr; "" where there is none, or several.
func wholeKey(c *Config, end string) (whole string) {
	var find func(v reflect.Value, path string) int
	find = func(v reflect.Value, path string) (count int) {
		for _, name := range keysOf(v.Type()) {
			f, _ := fieldOf(v, name)
			key := joinKey(path, name)
			if strings.HasSuffix(key, "."+end) {
				whole, count = key, count+1
			}
			if f.Kind() == reflect.Struct {
				count += find(f, key)
			}
		}
		return count
	}
	if find(reflect.ValueOf(*c), "") != 1 {
		return ""
	}
	return whole
}

// everyLayer stands for the name of each layer that a key makes sense for.
const everyLayer = "*"

// assignEvery sets a key of all layers that have it; an activation only where there is one, so that a last layer that
// has none stays so, and units only where they are not the classes.
func (d *decoder) assignEvery(m *Model, keys []string, path string, n ast.Node) error {
	if len(keys) == 0 {
		return d.fail(n, Errorf(path, "needs a key that layers have, as in model.*.act=tanh"))
	}
	last, reached := LastWeighted(m.Layers), false
	for i := range m.Layers {
		l := &m.Layers[i]
		switch {
		case !slices.Contains(layerKeys[l.Kind], keys[0]),
			keys[0] == "act" && cmp.Or(l.Act, m.Act) == Linear,
			keys[0] == "units" && i == last:
			continue
		}
		reached = true
		own := "model." + l.Name + "." + strings.Join(keys, ".")
		if err := d.assignLayer(m, i, keys, own, n); err != nil {
			return err
		}
		d.at[own] = d.source
	}
	if reached {
		return nil
	}
	valid := []string{}
	for _, l := range m.Layers {
		for _, k := range layerKeys[l.Kind] {
			if !slices.Contains(valid, k) {
				valid = append(valid, k)
			}
		}
	}
	if slices.Contains(valid, keys[0]) {
		return d.fail(n, Errorf(path, "reaches no layer"))
	}
	return d.fail(n, unknown(path, valid))
}

// unfollowed refuses an override of a key that layers follow who name no value of their own, where each names one: it
// would change nothing, and whoever compares the two runs would not know.
func unfollowed(c *Config, override string) *Error {
	key, _, _ := strings.Cut(override, "=")
	has := map[string]func(l *Layer) bool{
		"model.act":          func(l *Layer) bool { return l.Act != "" },
		"train.bias_lr":      func(l *Layer) bool { return l.BiasLR != nil },
		"train.weight_decay": func(l *Layer) bool { return l.WeightDecay != nil },
	}[key]
	if has == nil {
		return nil
	}
	_, name := splitKey(key)
	for i := range c.Model.Layers {
		if l := &c.Model.Layers[i]; slices.Contains(layerKeys[l.Kind], name) && !has(l) {
			return nil
		}
	}
	e := Errorf(key, "changes nothing: each layer names its own; model.*.%s reaches them all", name)
	e.at(placeOf(override))
	return e
}

// WithoutEffect are the overrides whose keys mean nothing beside the others: what only another kind of schedule has, or
// dropout of a net that has none.
func WithoutEffect(c *Config, sets []string) (idle []string) {
	kind := c.Train.Schedule.Kind
	for _, s := range sets {
		key, _, _ := strings.Cut(s, "=")
		var means bool
		switch key {
		case "train.schedule.factor":
			means = kind == Steps || kind == Plateau
		case "train.schedule.patience", "train.schedule.drops":
			means = kind == Plateau
		case "train.schedule.epochs":
			means = kind == Steps
		case "train.dropout":
			means = slices.ContainsFunc(c.Model.Layers, func(l Layer) bool { return l.Kind == Dropout })
		case "data.fit", "data.interpolation":
			means = c.Data.Resize > 0
		case "model.default_classes":
			means = c.Model.Classes == 0
		default:
			means = !ofFrozen(&c.Model, key)
		}
		if !means {
			idle = append(idle, s)
		}
	}
	return idle
}

// ofFrozen tells a rate of a layer that is frozen.
func ofFrozen(m *Model, key string) bool {
	for i := range m.Layers {
		if rate, is := strings.CutPrefix(key, "model."+m.Layers[i].Name+"."); is && m.Layers[i].Freeze {
			return slices.Contains([]string{"lr", "bias_lr", "weight_decay"}, rate)
		}
	}
	return false
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
