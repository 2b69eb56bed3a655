package config

import (
	"regexp"
	"slices"

	"alexnet/internal/device"
)

var layerName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// reserved cannot name a layer: they are keys of model, names of values, or words that YAML reads as something else.
var reserved = []string{
	"columns", "classes", "default_classes", "act", "input", "layers", "stats", "true", "false", "null", "on", "off",
	"yes", "no",
}

// checker keeps the first thing found wrong.
type checker struct{ err *Error }

func (c *checker) need(ok bool, key, format string, args ...any) {
	if !ok && c.err == nil {
		c.err = Errorf(key, format, args...)
	}
}

func (c *checker) atLeast(key string, v, low int) {
	c.need(v >= low, key, "is %d, must be at least %d", v, low)
}

func (c *checker) within(key string, v, low, high int) {
	c.need(v >= low && v <= high, key, "is %d, must be %d to %d", v, low, high)
}

func (c *checker) notNegative(key string, v float64) {
	c.need(v >= 0, key, "is %g, must not be negative", v)
}

func (c *checker) fraction(key string, v float64) {
	c.need(v >= 0 && v < 1, key, "is %g, must be at least 0 and below 1", v)
}

func word[T ~string](c *checker, key string, v T, valid ...T) {
	c.need(slices.Contains(valid, v), key, "is %q%s", v, oneOf(v, valid))
}

// validate checks every value on its own, and what can be told without shapes.
func validate(cfg *Config) *Error {
	var c checker
	c.model(&cfg.Model)
	c.train(&cfg.Train)
	d := &cfg.Data
	c.fraction("data.val_share", d.ValShare)
	c.need(d.Resize == 0 || d.Resize >= cfg.Model.Input.Size, "data.resize",
		"is %d, must be 0 (keep the size) or at least model.input.size, %d", d.Resize, cfg.Model.Input.Size)
	word(&c, "data.mean", d.Mean, MeanImage, MeanChannel)
	n := len(d.Std)
	c.need(n <= 1 || n == cfg.Model.Input.Channels, "data.std",
		"has %d numbers, must have one, or one for each of the %d channels", n, cfg.Model.Input.Channels)
	for _, s := range d.Std {
		c.need(s > 0, "data.std", "has %g, must be above 0", s)
	}
	c.within("data.workers", d.Workers, 0, 1024)
	return c.err
}

func (c *checker) model(m *Model) {
	c.within("model.columns", m.Columns, 1, 64)
	c.need(m.Classes == 0 || m.Classes >= 2, "model.classes", "is %d, must be 0 (follow the data) or at least 2",
		m.Classes)
	c.need(m.DefaultClasses >= 2, "model.default_classes", "is %d, must be at least 2", m.DefaultClasses)
	word(c, "model.act", m.Act, ReLU, Tanh, Linear)
	c.need(m.Input.Channels == 1 || m.Input.Channels == 3, "model.input.channels", "is %d, must be 1 or 3",
		m.Input.Channels)
	c.within("model.input.size", m.Input.Size, 1, 4096)
	c.need(len(m.Layers) > 0, "model.layers", "is empty")
	last := LastWeighted(m.Layers)
	for i := range m.Layers {
		l, key := &m.Layers[i], "model."+m.Layers[i].Name
		c.need(layerName.MatchString(l.Name), key,
			"is not a name for a layer: lower-case letters, digits and _, a letter first")
		c.need(!slices.Contains(reserved, l.Name), key, "is not a name for a layer: the word has another meaning")
		c.need(!slices.Contains(layerNames(m.Layers[:i]), l.Name), key, "is there twice")
		c.need(l.Name != "prob" || l.Kind == Softmax, key,
			"is not a name for a layer of kind %s: it is the softmax layer's", l.Kind)
		c.need((l.Kind == Softmax) == (i == len(m.Layers)-1), key,
			"is of kind %s: the last layer, and no other, must be softmax", l.Kind)
		c.layer(l, key, m, i == last)
	}
	c.need(last >= 0, "model.layers", "has no layer of kind conv or fc")
}

func (c *checker) layer(l *Layer, key string, m *Model, last bool) {
	switch l.Kind {
	case Conv:
		c.within(key+".kernels", l.Kernels, 1, 1<<20)
		c.window(l, key)
		c.atLeast(key+".groups", l.Groups, 1)
	case FC:
		if !last || l.Units != 0 { // absent in the last layer: model.classes
			c.within(key+".units", l.Units, 1, 1<<24)
		}
		c.need(!last || l.Units == 0 || m.Classes == 0 || l.Units == m.Classes, key+".units",
			"is %d, must be model.classes, %d, or absent", l.Units, m.Classes)
	case LRN:
		c.need(l.Size >= 1 && l.Size%2 == 1, key+".size", "is %d, must be odd and at least 1", l.Size)
		c.notNegative(key+".alpha", l.Alpha)
		c.notNegative(key+".beta", l.Beta)
		c.need(l.K > 0, key+".k", "is %g, must be above 0", l.K)
	case Pool:
		word(c, key+".pool", l.Pool, Max, Average)
		c.window(l, key)
		c.need(2*l.Pad <= l.Size, key+".pad", "is %d, must be at most half of the size, %d", l.Pad, l.Size)
	case Dropout:
		c.fraction(key+".rate", l.Rate)
	case Activation:
		act := l.Act
		if act == "" {
			act = m.Act
		}
		word(c, key+".act", act, ReLU, Tanh)
	}
	if l.Kind.Weighted() {
		c.weights(l, key)
	}
}

func (c *checker) window(l *Layer, key string) {
	c.within(key+".size", l.Size, 1, 4096)
	c.within(key+".stride", l.Stride, 1, 4096)
	c.within(key+".pad", l.Pad, 0, 4096)
	word(c, key+".round", l.Round, Down, Up)
}

func (c *checker) weights(l *Layer, key string) {
	word(c, key+".inputs", l.Inputs, Own, Both)
	if l.Act != "" {
		word(c, key+".act", l.Act, ReLU, Tanh, Linear)
	}
	c.notNegative(key+".init.std", l.Init.Std)
	if l.LR != nil {
		c.notNegative(key+".lr", *l.LR)
	}
	if l.BiasLR != nil {
		c.notNegative(key+".bias_lr", *l.BiasLR)
	}
	if l.WeightDecay != nil {
		c.notNegative(key+".weight_decay", *l.WeightDecay)
	}
}

func (c *checker) train(t *Train) {
	c.atLeast("train.epochs", t.Epochs, 1)
	c.within("train.batch", t.Batch, 1, 1<<16)
	c.need(t.LR > 0, "train.lr", "is %g, must be above 0", t.LR)
	c.fraction("train.momentum", t.Momentum)
	c.notNegative("train.weight_decay", t.WeightDecay)
	c.notNegative("train.bias_lr", t.BiasLR)
	c.notNegative("train.bias_decay", t.BiasDecay)
	word(c, "train.precision", t.Precision, device.PrecisionNames()...)
	c.atLeast("train.checkpoint_steps", t.CheckpointSteps, 0)
	c.schedule(&t.Schedule)
	word(c, "train.augment.crop", t.Augment.Crop, RandomCrop, CenterCrop)
	c.notNegative("train.augment.color", t.Augment.Color)
}

func (c *checker) schedule(s *Schedule) {
	const key = "train.schedule"
	word(c, key+".kind", s.Kind, Constant, Steps, Plateau, Authors2012)
	c.need(s.Factor > 0 && s.Factor < 1, key+".factor", "is %g, must be above 0 and below 1", s.Factor)
	c.atLeast(key+".patience", s.Patience, 1)
	c.atLeast(key+".drops", s.Drops, 0)
	c.need(s.Kind != Steps || len(s.Epochs) > 0, key+".epochs",
		"is empty: kind steps needs the epochs of the drops, as in [30, 60, 80]")
	for i, e := range s.Epochs {
		c.atLeast(key+".epochs", e, 1)
		c.need(i == 0 || e > s.Epochs[i-1], key+".epochs", "has %d after %d, must rise", e, s.Epochs[max(i-1, 0)])
	}
}
