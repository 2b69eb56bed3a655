package infer

import (
	"cmp"
	"context"
	"slices"

	"alexnet/internal/data"
	"alexnet/internal/imagenet"
	"alexnet/internal/stats"
	"alexnet/internal/step"
	"alexnet/internal/text"
)

// Answer is what a net says of one picture.
type Answer struct {
	Number           int     // of the picture in the set that was asked for
	Label            int     // the number of its class among the checkpoint's
	Answer           int     // that of the most probable class; never Label where Rank is above 0
	Rank             int     // how many classes the net finds more probable than Label: 0 is right
	Probability      float64 // of Answer
	LabelProbability float64
}

// Outcome is what a net answers on the pictures of a set: small enough to be kept beside it, and complete enough to be
// shown without net or data. In JSON it can be read back. The numbers of classes are the checkpoint's.
type Outcome struct {
	Checkpoint string `json:"checkpoint"` // its Sum; where several nets answered together, the first's
	Data       string `json:"data"`       // the set's Fingerprint
	Crops      int    `json:"crops"`
	Evaluation
	Classes []ClassOutcome `json:"classes"` // all that the net has, in its order
	// Confusions are the pairs of classes that were confused, most often first; where the net has more than
	// WholeMatrix classes, the first MostConfused of them, unless all were asked for.
	Confusions []Confusion `json:"confusions"`
	Pairs      int         `json:"confused_pairs"` // how many there are in all
	// Mistakes are the MostConfident wrong answers, most probable first.
	Mistakes []Mistake `json:"mistakes"`
}

// How much an Outcome holds.
const (
	WholeMatrix   = 100
	MostConfused  = 1000
	MostConfident = 25
)

// ClassOutcome is what became of the pictures of one class.
type ClassOutcome struct {
	Class             text.Raw       `json:"class"`
	Name              string         `json:"name,omitempty"` // of a class of ILSVRC2012, whose Class is its WNID
	Images            int            `json:"images"`
	Top1Errors        int            `json:"top1_errors"`
	Top5Errors        int            `json:"top5_errors"`
	Answered          int            `json:"answered"` // pictures, of whatever class, that were taken for it
	Top1Error         float64        `json:"top1_error"`
	Top1ErrorInterval stats.Interval `json:"top1_error_interval"` // Wilson's, of 95%; without pictures 0 to 1
}

// Confusion is how many pictures of one class were taken for another.
type Confusion struct {
	Label    int `json:"label"`
	Answer   int `json:"answer"`
	Pictures int `json:"pictures"`
}

// Mistake is a picture that was taken for another class.
type Mistake struct {
	Number           int      `json:"number"` // in the set
	File             text.Raw `json:"file"`   // where it lies in the source: data.Set.File
	Label            int      `json:"label"`
	Answer           int      `json:"answer"`
	Probability      float64  `json:"probability"` // of the answer
	LabelProbability float64  `json:"label_probability"`
}

// Examine is Evaluate, and gives all that an Outcome holds. The memory that it takes grows with the number of classes,
// and of pairs of them that are confused, not with that of pictures.
func Examine(ctx context.Context, o EvalOptions) (*Outcome, error) {
	t := newTabulation(o.Set, len(o.Checkpoint.Classes))
	each := o.Each
	o.Each = func(a Answer) error {
		t.add(a)
		if each != nil {
			return each(a)
		}
		return nil
	}
	e, err := Evaluate(ctx, o)
	if err != nil {
		return nil, err
	}
	out := t.outcome(o.Checkpoint.Classes, o.AllPairs)
	out.Checkpoint, out.Data = o.Checkpoint.Sum(), o.Set.Fingerprint(o.Classes)
	out.Crops, out.Evaluation = max(o.Crops, 1), *e
	return out, nil
}

// tabulation counts answers.
type tabulation struct {
	set      *data.Set
	classes  []ClassOutcome
	confused map[[2]int]int // by label and answer, which differ
	worst    worst
}

func newTabulation(set *data.Set, classes int) *tabulation {
	return &tabulation{set: set, classes: make([]ClassOutcome, classes), confused: map[[2]int]int{}}
}

func (t *tabulation) add(a Answer) {
	c := &t.classes[a.Label]
	c.Images++
	t.classes[a.Answer].Answered++
	if a.Rank >= step.TopK {
		c.Top5Errors++
	}
	if a.Rank == 0 {
		return
	}
	c.Top1Errors++
	t.confused[[2]int{a.Label, a.Answer}]++
	t.worst.add(Mistake{
		Number: a.Number, Label: a.Label, Answer: a.Answer, Probability: a.Probability,
		LabelProbability: a.LabelProbability,
	})
}

// outcome is what was counted so far, with all pairs or the most confused ones; names are those of the classes.
func (t *tabulation) outcome(names []string, all bool) *Outcome {
	o := &Outcome{
		Classes: t.classes, Pairs: len(t.confused), Confusions: t.pairs(), Mistakes: append([]Mistake{}, t.worst...),
	}
	for i := range o.Classes {
		c := &o.Classes[i]
		c.Class = text.Raw(names[i])
		if short := imagenet.Name(names[i]); short != names[i] {
			c.Name = short
		}
		c.Top1Error = float64(c.Top1Errors) / float64(max(c.Images, 1))
		c.Top1ErrorInterval = stats.Wilson(c.Top1Errors, c.Images)
	}
	if len(names) > WholeMatrix && !all {
		o.Confusions = o.Confusions[:min(len(o.Confusions), MostConfused)]
	}
	for i := range o.Mistakes {
		o.Mistakes[i].File = text.Raw(t.set.File(o.Mistakes[i].Number))
	}
	return o
}

// pairs are all that were confused, most often first, then by number.
func (t *tabulation) pairs() []Confusion {
	all := make([]Confusion, 0, len(t.confused))
	for pair, n := range t.confused {
		all = append(all, Confusion{pair[0], pair[1], n})
	}
	slices.SortFunc(all, func(a, b Confusion) int {
		return cmp.Or(-cmp.Compare(a.Pictures, b.Pictures), cmp.Compare(a.Label, b.Label),
			cmp.Compare(a.Answer, b.Answer))
	})
	return all
}

// worst are the MostConfident mistakes so far, in order.
type worst []Mistake

func (w *worst) add(m Mistake) {
	if at, _ := slices.BinarySearchFunc(*w, m, compareMistakes); at < MostConfident {
		*w = slices.Insert(*w, at, m)
		*w = (*w)[:min(len(*w), MostConfident)]
	}
}

// compareMistakes orders them: the more confident first, of equally confident ones the earlier.
func compareMistakes(a, b Mistake) int {
	return cmp.Or(-cmp.Compare(a.Probability, b.Probability), cmp.Compare(a.Number, b.Number))
}
