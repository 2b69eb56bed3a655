package train

import (
	"fmt"
	"strings"

	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/text"
)

// Note is something that a run tells people besides its numbers: a [Remark], [*Head], [NoValidation], [LeftOut],
// [NoPictures], [NoCurves], [Restored], [Gone], [*Edited], [LostLines], [NotSaved], [NotRecorded], [Weak],
// [*DeadStart], [HighLoss], or a [data.Outage]. Its text holds facts; what could be done, and how, is for whoever began
// the run to say.
type Note interface{ String() string }

// Remark is a note that says all there is to say: memory, a lowered rate, what differs from the file that a run starts
// from.
type Remark string

func (r Remark) String() string { return string(r) }

func remark(format string, args ...any) Remark { return Remark(fmt.Sprintf(format, args...)) }

// NoValidation says that the run has no pictures to validate on.
type NoValidation struct {
	Resumed bool    // the run goes on with the data and the configuration that it has
	Share   float64 // as data.val_share it would hold some out; 0: no class has a picture to spare
}

func (NoValidation) String() string {
	return "there are no validation pictures: no errors are measured, and no best checkpoint is chosen"
}

// LeftOut is a picture that cannot be read.
type LeftOut struct{ Picture *data.BadPicture }

func (l LeftOut) String() string { return fmt.Sprintf("warning: %v; left out", l.Picture) }

// NoPictures is a batch of which no picture can be read. The run has passed over it: no step was taken.
type NoPictures struct {
	Epoch, Rows int
}

func (n NoPictures) String() string {
	return fmt.Sprintf("warning: none of the %s of a batch in epoch %d can be read: no step is taken",
		text.Count(n.Rows, "picture"), n.Epoch)
}

// NoCurves says that the run's curves could not be drawn.
type NoCurves struct{ Err error }

func (c NoCurves) String() string { return fmt.Sprintf("warning: no curves are drawn: %v", c.Err) }

// Restored are files and folders of the run that somebody removed, or put others in the place of, while it wrote to
// them. They are there again, and nothing is missing in them.
type Restored struct{ Paths []string }

func (r Restored) String() string {
	return fmt.Sprintf("warning: removed or replaced while the run went on, and made again: %s",
		strings.Join(text.Names(r.Paths), ", "))
}

// Gone is a file of the run that somebody removed and that cannot be made again.
type Gone struct{ Path string }

func (g Gone) String() string {
	return fmt.Sprintf("warning: %s was removed while the run went on, and cannot be made again", text.Name(g.Path))
}

// Edited says that the page in the folder of a run that goes on is another than the run's, which is in its checkpoint.
type Edited struct {
	Path       string
	Kept       string     // where it is now; empty: it was left where it is, for the run had nothing left to do
	Keys       []string   // in which it differs; none: only in how it is written
	Err        error      // why it is not a page
	Checkpoint string     // of the run
	Data       data.Place // where its pictures are; empty: nowhere, they were drawn
}

func (e *Edited) String() string {
	how := "differs from it in " + strings.Join(text.Names(e.Keys), ", ")
	switch {
	case e.Err != nil:
		how = fmt.Sprintf("is not a page (%v)", e.Err)
	case len(e.Keys) == 0:
		how = "says the same in other words"
	}
	kept := ""
	if e.Kept != "" {
		kept = "; it is kept as " + text.Name(e.Kept)
	}
	return fmt.Sprintf("warning: the run goes on with the configuration in its checkpoint; %s %s and is not used%s",
		text.Name(e.Path), how, kept)
}

// LostLines says that metrics lack the lines of steps that a resumed run had taken before.
type LostLines struct {
	Path     string
	From, To uint64 // the first and the last of the steps
}

func (l LostLines) String() string {
	return fmt.Sprintf("warning: %s has no lines of steps %d to %d: somebody removed them", text.Name(l.Path), l.From,
		l.To)
}

// NotSaved says that a checkpoint could not be written. The run goes on, and the one before stands.
type NotSaved struct {
	Step    uint64
	Best    bool   // it is the best so far, which is not written again; otherwise the one to go on from
	Written bool   // it is there, but a power failure may take it again
	Before  uint64 // the step of the one that stands; 0: there is none
	Err     error
}

func (n NotSaved) String() string {
	what := "checkpoint"
	if n.Best {
		what = "best checkpoint"
	}
	switch {
	case n.Written:
		return fmt.Sprintf("warning: the %s of step %d: %v", what, n.Step, n.Err)
	case n.Before == 0:
		return fmt.Sprintf("warning: no %s of step %d: %v; there is none before it", what, n.Step, n.Err)
	case n.Before == n.Step:
		return fmt.Sprintf("warning: no %s of step %d, validation included: %v; the one without it stands",
			what, n.Step, n.Err)
	}
	return fmt.Sprintf("warning: no %s of step %d: %v; the one of step %d stands", what, n.Step, n.Err, n.Before)
}

// NotRecorded says that lines of metrics cannot be written for now. They are kept, and written as soon as possible.
type NotRecorded struct {
	Step    uint64 // of the first one; of the last one where they are written
	Written bool   // they are, but a power failure may take them again
	Err     error
}

func (n NotRecorded) String() string {
	if n.Written {
		return fmt.Sprintf("warning: the metrics up to step %d may be lost in a power failure: %v", n.Step, n.Err)
	}
	return fmt.Sprintf("warning: the metrics cannot be written from step %d on: %v; they are kept until they can be",
		n.Step, n.Err)
}

// Weak says what the file system of the run folder cannot do.
type Weak struct{ files.Weakness }

func (w Weak) String() string { return "warning: " + w.Weakness.String() }

// DeadStart says that the net has not begun to learn.
type DeadStart struct {
	Loss, Guessing float64 // the mean over the steps, and what guessing has
	From, To       uint64  // the first and the last of the steps, counted from 1
	Units          []UnitsOff
	// Try are the ways to a run that may learn, the likeliest first, each with the keys to be changed for it.
	Try [][]Change
}

// UnitsOff is the share of a layer's units that were off on all the pictures looked at.
type UnitsOff struct {
	Layer string
	Share float64
}

// Change is a value for a key of the configuration.
type Change struct {
	Key   string
	Value float64
}

func (c Change) String() string { return c.Key + "=" + text.Plain(c.Value, 2) }

func (d *DeadStart) String() string {
	var b strings.Builder
	fmt.Fprintf(&b,
		"warning: the loss was %s over steps %d to %d, no better than guessing (%s): the net has not begun to learn.",
		text.Plain(d.Loss, 4), d.From, d.To, text.Plain(d.Guessing, 4))
	if d.To < deadMin {
		fmt.Fprintf(&b, " (%d steps are few: it may only need more of them.)", d.To)
	}
	var shares []string
	for _, u := range d.Units {
		shares = append(shares, fmt.Sprintf("%s %.0f%%", u.Layer, 100*u.Share))
	}
	if len(shares) > 0 {
		fmt.Fprintf(&b, " Units that were off on all of some training pictures: %s.", strings.Join(shares, ", "))
	}
	return b.String()
}

// HighLoss says that the loss has been far above what guessing has for many steps: they are too long, or the net does
// not suit the pictures.
type HighLoss struct {
	Loss     float64 // of the last of them
	Guessing float64 // ln of the number of classes
	From, To uint64  // the first and the last step, counted from 1
	LR       float64 // a train.lr to try in another run
	Lower    bool    // it is worth a try: the schedule has not come down to it
	Suits    string  // as in Options
}

func (h HighLoss) String() string {
	return fmt.Sprintf("warning: the loss is %s, and was above %s, twice that of guessing, in all of steps %d to %d.",
		text.Plain(h.Loss, 3), text.Plain(highTimes*h.Guessing, 3), h.From, h.To)
}
