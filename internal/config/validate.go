package config

import (
	"cmp"
	"reflect"
	"regexp"
	"slices"
	"time"
)

var layerName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// reserved cannot name a layer: they are keys of model, names of values, or words that YAML reads as something else.
var reserved = []string{
	"columns", "classes", "default_classes", "act", "input", "layers", "stats", "true", "false", "null", "on", "off",
	"yes", "no",
}

// maxRetry is a week: whoever wants to wait for data longer than that has forgotten the run.
const maxRetry = 7 * 24 * time.Hour

// checker keeps the first thing found wrong.
type checker struct{ err *Error }

func (c *checker) need(ok bool, key, format string, args ...any) {
	if !ok && c.err == nil {
		c.err = Errorf(key, format, args...)
	}
}

// validate checks every value on its own, and what can be told without shapes.
func validate(cfg *Config) *Error {
	var c checker
	c.model(&cfg.Model)
	if c.err != nil {
		return c.err // layers have no names by which their keys could be told
	}
	cfg.each(func(key string, v reflect.Value, l *Layer) {
		if s := specOf(key, l); s != nil && !s.open(v) {
			wrong := s.values.check(v)
			c.need(wrong == "", key, "%s", wrong)
		}
	})
	last := LastWeighted(cfg.Model.Layers)
	for i := range cfg.Model.Layers {
		c.layer(&cfg.Model.Layers[i], &cfg.Model, i == last)
	}
	c.schedule(&cfg.Train.Schedule)
	d := &cfg.Data
	c.need(d.Resize == 0 || d.Resize >= cfg.Model.Input.Size, "data.resize",
		"is %d, must be 0 (keep the size) or at least model.input.size, %d", d.Resize, cfg.Model.Input.Size)
	n := len(d.Std)
	c.need(n <= 1 || n == cfg.Model.Input.Channels, "data.std",
		"has %d numbers, must have one, or one for each of the %d channels", n, cfg.Model.Input.Channels)
	return c.err
}

func (c *checker) model(m *Model) {
	c.need(len(m.Layers) > 0, "model.layers", "is empty")
	if c.need(len(m.Layers) <= MaxLayers, "model.layers", "has %d layers, must have at most %d", len(m.Layers),
		MaxLayers); c.err != nil {
		return // what follows compares each layer with all others
	}
	for i := range m.Layers {
		l, key := &m.Layers[i], "model."+m.Layers[i].Name
		if len(l.Name) > maxName {
			key = "model.layers"
			c.need(false, key, "has a layer whose name is longer than %d letters: %s", maxName, brief(l.Name, 20))
		}
		c.need(layerName.MatchString(l.Name), key,
			"is not a name for a layer: lower-case letters, digits and _, a letter first")
		c.need(!slices.Contains(reserved, l.Name), key, "is not a name for a layer: the word has another meaning")
		c.need(!slices.Contains(layerNames(m.Layers[:i]), l.Name), key, "is there twice")
		c.need(l.Name != "prob" || l.Kind == Softmax, key,
			"is not a name for a layer of kind %s: it is the softmax layer's", l.Kind)
		c.need((l.Kind == Softmax) == (i == len(m.Layers)-1), key,
			"is of kind %s: the last layer, and no other, must be softmax", l.Kind)
	}
	c.need(LastWeighted(m.Layers) >= 0, "model.layers", "has no layer of kind conv or fc")
}

// layer checks what values have to do with others.
func (c *checker) layer(l *Layer, m *Model, last bool) {
	key := "model." + l.Name
	switch l.Kind { //nolint:exhaustive // the others have no such values
	case FC:
		c.need(last || l.Units != 0, key+".units", "must be given: only the last layer with weights can omit it")
		c.need(!last || l.Units == 0 || m.Classes == 0 || l.Units == m.Classes, key+".units",
			"is %d, must be model.classes, %d, or absent", l.Units, m.Classes)
	case Pool:
		c.need(2*l.Pad <= l.Size, key+".pad", "is %d, must be at most half of the size, %d", l.Pad, l.Size)
	case Activation:
		c.need(cmp.Or(l.Act, m.Act) != Linear, key+".act", "is %q%s", Linear, oneOf(Linear, []Act{ReLU, Tanh}))
	}
}

func (c *checker) schedule(s *Schedule) {
	const key = "train.schedule.epochs"
	c.need(s.Kind != Steps || len(s.Epochs) > 0, key,
		"is empty: kind steps needs the epochs of the drops, as in [30, 60, 80]")
	c.need(len(s.Epochs) <= maxDrops, key, "has %d drops, must have at most %d", len(s.Epochs), maxDrops)
	for i, e := range s.Epochs {
		c.need(i == 0 || e > s.Epochs[i-1], key, "has %d after %d, must rise", e, s.Epochs[max(i-1, 0)])
	}
}
