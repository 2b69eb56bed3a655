package train

import (
	"context"

	"alexnet/internal/infer"
	"alexnet/internal/model"
	"alexnet/internal/step"
)

// lookedAt is how many of the training pictures Look reads at most: enough to find data that is bad throughout, and
// seconds where going over all of ImageNet takes hours.
const lookedAt = 256

// Outlook is what a run would be.
type Outlook struct {
	Start    Start
	Finished *Result // of a run to resume that has nothing left to do: the rest is empty then
	Arch     *model.Arch
	Memory   []step.Memory // of the nets, by device
	Exchange []model.Traffic
	Head     *Head // of a run that starts from a file; nil otherwise
	Looked   int   // training pictures that were read; 0: a checkpoint says all there is to know of them
	Bad      int   // of them that cannot be read
}

// Look is Run up to its first step, with nothing written and no memory taken for the net: it finds out what lies ahead,
// or fails as Run would before it takes a step. Where Run would go over all training pictures it reads at most 256 of
// them, so that bad ones may go unseen. Options.Dir need not be held: see run.WouldCreate.
func Look(ctx context.Context, o Options) (*Outlook, error) {
	o.Steps = o.limit()
	if r, err := finishedBefore(&o); r != nil || err != nil {
		return &Outlook{Finished: r}, err
	}
	t := bareTrainer(ctx, o)
	t.looking = true
	for _, prepare := range []func(context.Context) error{
		t.configure, t.chooseRecipe, t.build, t.room, t.checkSpace, t.readAll,
	} {
		err := prepare(ctx)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, t.abandon(ctx, err)
		}
	}
	if o.Resume != nil && o.Dir != nil {
		if e, _ := o.edited(); e != nil {
			t.warn(e)
		}
	}
	t.foretell()
	look := &Outlook{
		Start: t.start(), Arch: t.arch, Memory: t.memory, Exchange: t.net.Exchange(), Head: t.head, Looked: t.looked,
		Bad: t.bad,
	}
	return look, t.close()
}

// room asks the devices what alloc would.
func (t *trainer) room(context.Context) error {
	for _, n := range t.nets() {
		if err := n.Room(); err != nil {
			return err
		}
	}
	return nil
}

// readAll reads the tensors that the run would begin with, each of which is checked, and keeps none.
func (t *trainer) readAll(ctx context.Context) error {
	slots := infer.SlotsOf(t.arch)
	for i := range slots {
		slots[i].Store = func([]float32) error { return ctx.Err() }
	}
	switch {
	case t.o.Resume != nil:
		t.firstStep = t.o.Resume.Step
		momentum := infer.MomentumOf(t.arch)
		for i := range momentum {
			momentum[i].Store = slots[0].Store
		}
		return t.o.Resume.Restore(slots, momentum)
	case t.o.Init != nil:
		return t.head.restore(t.o.Init, slots)
	}
	return nil
}
