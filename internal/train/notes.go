package train

import (
	"fmt"
	"strings"

	"alexnet/internal/data"
	"alexnet/internal/text"
)

// Note is something that a run tells people besides its numbers: a [Remark], [NoValidation], [LeftOut], [NoCurves] or
// [*DeadStart]. Its text holds facts; what could be done, and how, is for whoever began the run to say.
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

// NoCurves says that the run's curves could not be drawn.
type NoCurves struct{ Err error }

func (c NoCurves) String() string { return fmt.Sprintf("warning: no curves are drawn: %v", c.Err) }

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
