// Package infer uses nets that were trained: it opens the net of a checkpoint on devices and scores pictures with it,
// names what they show, or reads what a layer makes of them.
//
// Pictures are prepared as the checkpoint says, whatever else stands in a configuration. A run validates with the same
// [Scorer], so what it says of its held-out pictures is what [Evaluate] says of its checkpoint.
//
// It joins model and checkpoints, and knows devices only through their contract: it imports no backend, and not the
// training loop.
package infer

import (
	"errors"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
	"alexnet/internal/step"
)

// inference is a net opened from a checkpoint, not to be trained.
type inference struct {
	arch    *model.Arch
	model   *model.Model
	net     *model.Net
	recipe  recipe.Recipe
	classes []string
	rows    int
}

// open makes the checkpoint's net on the devices, with its weights, for a use that has its Keep, Int8 and Slots. rows
// chooses the batch, given the configuration's; where the process may not use so much memory, the batch is the largest
// that fits, if rows would choose that of a smaller configuration. With full it computes in fp32, else in the
// configuration's precision.
func open(
	c *checkpoint.Checkpoint, devs []device.Device, rows func(int) int, full bool, use model.Options,
) (*inference, error) {
	cfg, err := c.Page(nil)
	if err != nil {
		return nil, err
	}
	if full {
		cfg.Train.Precision = device.FP32.String()
	}
	if err := c.CheckDropout(); err != nil {
		return nil, err
	}
	if cfg.Model, err = cfg.Model.ForClasses(len(c.Classes)); err != nil {
		return nil, &checkpoint.BadPage{Path: c.Path, Err: err}
	}
	n := &inference{classes: c.Classes, rows: rows(cfg.Train.Batch)}
	err = n.build(cfg, c, devs, use)
	var short *device.MemoryError
	if errors.As(err, &short) && short.Limit != "" && short.Fits >= rows(1) && n.close() == nil {
		n = &inference{classes: c.Classes, rows: short.Fits}
		err = n.build(cfg, c, devs, use)
	}
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func (n *inference) build(cfg *config.Config, c *checkpoint.Checkpoint, devs []device.Device,
	use model.Options,
) (err error) {
	if n.recipe, err = c.Recipe.For(cfg.Model.Input); err != nil {
		return &checkpoint.BadPage{Path: c.Path, Err: err}
	}
	if n.arch, err = model.New(cfg.Model, cfg.Train.Dropout); err != nil {
		return &checkpoint.BadPage{Path: c.Path, Err: err}
	}
	if err := c.Fits(SlotsOf(n.arch)); err != nil { // before memory is taken for what a page says
		return err
	}
	use.Rows, use.Input = n.rows, n.recipe
	if use.Precision, _, err = step.Precision(cfg, devs); err != nil {
		return err
	}
	if n.model, err = model.Open(n.arch, devs); err != nil {
		return err
	}
	if n.net, err = n.model.Compile(use); err != nil {
		return err
	}
	if _, err := step.CheckRoom(n.arch, devs, []*model.Net{n.net}, []model.Options{use}); err != nil {
		return err
	}
	if err := n.net.Alloc(); err != nil {
		return err
	}
	return c.Restore(Slots(n.model, device.Weight), nil)
}

func (n *inference) close() (err error) {
	if n.net != nil {
		err = errors.Join(err, n.net.Close())
	}
	if n.model != nil {
		err = errors.Join(err, n.model.Close())
	}
	return err
}
