package checkpoint

import (
	"fmt"

	"alexnet/internal/config"
	"alexnet/internal/tensor"
)

// What the metadata of a checkpoint may say. Steps, samples and the seed are any number of 64 bits: what a run makes of
// them is held to its own pictures when it is resumed.
const (
	maxPart       = 1 << 20 // bytes of what is kept as JSON, the classes apart
	maxText       = 4096    // of a name or another word
	maxPath       = 32 << 10
	maxThreads    = 1 << 16
	maxAlgorithms = 10_000
)

// BadPage is a sound checkpoint whose configuration does not make a net: it does not parse, or its layers, classes or
// pictures do not fit each other.
type BadPage struct {
	Path string
	Err  error // a *config.Error, as a rule; it is not unwrapped, for the mistake is not one of whoever uses the file
}

func (e *BadPage) Error() string { return fmt.Sprintf("%s: its configuration: %v", e.Path, e.Err) }

// Page is the configuration in the checkpoint with overrides ("train.batch=32"). An error is a *BadPage, or a
// *config.Error about an override.
func (c *Checkpoint) Page(sets []string) (*config.Config, error) {
	page, err := config.Parse(c.Config, nil)
	if err != nil {
		return nil, &BadPage{c.Path, err}
	}
	if len(sets) > 0 {
		return config.Parse(c.Config, sets)
	}
	return page, nil
}

// Damaged is the error of something in the file that a sound checkpoint cannot have.
func (c *Checkpoint) Damaged(format string, a ...any) error {
	bad := tensor.Damaged(format, a...)
	bad.Path = c.Path
	return bad
}

// outside is what is wrong with a value of the metadata.
func outside(key string, value any, want string, a ...any) error {
	return fmt.Errorf("metadata %s is %v, want %s", key, value, fmt.Sprintf(want, a...))
}

// checkMeta holds what the metadata say, or are to say, to its ranges.
func (c *Checkpoint) checkMeta() error {
	switch {
	case c.Sample < c.Step:
		return outside("sample", c.Sample, "at least the %d steps, each of which took one", c.Step)
	case c.Epoch < 0 || c.Epoch > config.MaxEpochs:
		return outside("epoch", c.Epoch, "0 to %d", config.MaxEpochs)
	case c.Threads < 0 || c.Threads > maxThreads:
		return outside("threads", c.Threads, "0 to %d", maxThreads)
	case len(c.Classes) > config.MaxClasses:
		return outside("classes", fmt.Sprintf("%d names", len(c.Classes)), "at most %d", config.MaxClasses)
	case len(c.Algorithms) > maxAlgorithms:
		return outside("algorithms", fmt.Sprintf("%d numbers", len(c.Algorithms)), "at most %d", maxAlgorithms)
	}
	type limit struct {
		key, value string
		most       int
	}
	limits := []limit{
		{"device", c.Device, maxText},
		{"hardware", c.Hardware, maxText},
		{"dropout", c.Dropout, maxText},
		{"data.path", c.Data.Path, maxPath},
		{"data.labels", c.Data.Labels, maxPath},
		{"data.fingerprint", c.Data.Fingerprint, maxText},
		{"data.set", c.Data.Set, maxText},
	}
	for i, path := range c.Data.More {
		limits = append(limits, limit{fmt.Sprintf("data.more[%d]", i), path, maxPath})
	}
	for _, text := range limits {
		if len(text.value) > text.most {
			return outside(text.key, fmt.Sprintf("%d bytes", len(text.value)), "at most %d", text.most)
		}
	}
	for i, name := range c.Classes {
		if len(name) > maxText {
			return outside(fmt.Sprintf("classes[%d]", i), fmt.Sprintf("%d bytes", len(name)), "at most %d", maxText)
		}
	}
	if c.Best != nil {
		return c.Best.check()
	}
	return nil
}

func (b *Best) check() error {
	switch {
	case b.Epoch < 0 || b.Epoch > config.MaxEpochs:
		return outside("best.epoch", b.Epoch, "0 to %d", config.MaxEpochs)
	case b.Top1Error < 0 || b.Top1Error > 1:
		return outside("best.top1_error", b.Top1Error, "0 to 1")
	case b.Top5Error < 0 || b.Top5Error > 1:
		return outside("best.top5_error", b.Top5Error, "0 to 1")
	case b.Loss < 0:
		return outside("best.loss", b.Loss, "at least 0")
	}
	return nil
}
