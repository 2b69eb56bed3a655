package infer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/imagenet"
	"alexnet/internal/model"
	"alexnet/internal/stats"
	"alexnet/internal/step"
	"alexnet/internal/text"
)

// EvalOptions say what Evaluate scores.
type EvalOptions struct {
	Checkpoint *checkpoint.Checkpoint // brings its own configuration, recipe and class names
	// More are nets that answer together with it, with recipes of their own and the same classes in whatever order: the
	// probabilities of all are averaged.
	More    []*checkpoint.Checkpoint
	Against *checkpoint.Checkpoint // a net of the same classes, to compare these with; nil: none
	Devices []device.Device
	Set     *data.Set
	Classes []string // of the set, to be found among those of the checkpoint

	Crops    int  // 1 (or 0): the centre; 10: corners and centre, each mirrored too, softmax outputs averaged
	Int8     bool // weights of fully connected layers, as device.FC says
	Batch    int  // rows of the net; 0: the configuration's, at most evalRows
	Workers  int
	Strict   bool
	OnBad    func(*data.BadPicture)
	Each     func(Answer) error    // told what is answered, a picture at a time, in order; an error is the end; or nil
	AllPairs bool                  // an Outcome has all confusions, of however many classes
	Progress func(done, total int) // pictures: from 0, when the net is there
}

// evalRows is the largest batch taken unasked: no faster beyond, only larger.
const evalRows = 128

// tenViews is how many views of a picture the paper averages.
const tenViews = 10

// Evaluation is what Evaluate found. The errors of its Score are over all outputs of the net. Intervals are Wilson's,
// of 95%.
type Evaluation struct {
	step.Score
	Intervals
	// Present is how many of the net's classes the pictures are of, those that cannot be read included. Where that is
	// not all of them, the errors below are what the net would have if it had no other outputs.
	Present                  int             `json:"present_classes"`
	PresentTop1Error         float64         `json:"present_top1_error"`
	PresentTop1ErrorInterval stats.Interval  `json:"present_top1_error_interval"`
	PresentTop5Error         *float64        `json:"present_top5_error,omitempty"` // of at most 5 it would say nothing
	PresentTop5ErrorInterval *stats.Interval `json:"present_top5_error_interval,omitempty"`
	// LeftOut are the classes that the net lacks; no figure is of their pictures.
	LeftOut []LeftOut   `json:"left_out,omitempty"`
	Nets    []NetScore  `json:"nets,omitempty"` // where several answer together: each alone, in the order given
	Against *Comparison `json:"against,omitempty"`
}

// Intervals are where the errors of a score lie.
type Intervals struct {
	Top1ErrorInterval stats.Interval `json:"top1_error_interval"`
	Top5ErrorInterval stats.Interval `json:"top5_error_interval"`
}

// intervalsOf are those of a score.
func intervalsOf(s step.Score) Intervals {
	return Intervals{intervalOf(s.Top1Error, s.Images), intervalOf(s.Top5Error, s.Images)}
}

// intervalOf is that of an error of so many pictures.
func intervalOf(rate float64, pictures int) stats.Interval {
	return stats.Wilson(int(math.Round(rate*float64(pictures))), pictures)
}

// NetScore is one net alone.
type NetScore struct {
	Weights    text.Raw `json:"weights"`    // its checkpoint
	Checkpoint string   `json:"checkpoint"` // the Sum of that
	step.Score
	Intervals
}

// Comparison is the other net alone, and whether the two differ. A difference above 0 says that the other is better.
type Comparison struct {
	NetScore
	Top1 Difference  `json:"top1"`
	Top5 *Difference `json:"top5,omitempty"` // of at most 5 classes it would say nothing
}

// Difference is that of two errors on the same pictures: McNemar's test, exact and mid-p.
type Difference struct {
	stats.Paired
	ExactP     float64        `json:"exact_p"`
	MidP       float64        `json:"mid_p"`
	Difference float64        `json:"difference"`
	Interval   stats.Interval `json:"difference_interval"` // of 95%
}

func differenceOf(p stats.Paired) Difference {
	d := Difference{Paired: p, ExactP: p.Exact(), MidP: p.MidP()}
	d.Difference, d.Interval = p.Difference()
	return d
}

// LeftOut is a class of the data that the net lacks.
type LeftOut struct {
	Class    text.Raw `json:"class"`
	Name     string   `json:"name,omitempty"` // of a class of ILSVRC2012, whose Class is its WNID
	Pictures int      `json:"pictures"`
}

// Evaluate scores a checkpoint on pictures. Pictures that cannot be read are left out (Score.Images counts the others)
// and told to OnBad, or with Strict end it with a *data.BadPicture. Where the source fails, longer than its patience,
// it ends with a *data.SourceFault: what could not be read then counts as nothing.
//
// Classes are found in the checkpoint by their keys. Pictures of classes that it lacks are not read; where there are no
// others, the error is an *OtherClasses.
//
// With 10 crops a picture's probabilities are the mean of the softmax outputs over its ten views, as in the paper;
// errors and loss (-log of the label's mean probability) are taken from these means, and so they are where several nets
// answer together. All nets are open at once, and a picture is decoded once for all that prepare it alike. Nets of
// other classes than the first are an *UnlikeNets.
func Evaluate(ctx context.Context, o EvalOptions) (*Evaluation, error) {
	m, err := matchClasses(o.Checkpoint, o.Classes, o.Set)
	if err != nil {
		return nil, err
	}
	if o.Crops = max(o.Crops, 1); o.Crops != 1 && o.Crops != tenViews {
		return nil, fmt.Errorf("%d crops: evaluation takes 1 or %d", o.Crops, tenViews)
	}
	alone := len(o.More) == 0 && o.Against == nil && o.Each == nil
	if alone && o.Crops == 1 && len(m.present) == len(o.Checkpoint.Classes) {
		return m.plain(ctx, o)
	}
	return m.byPanel(ctx, o)
}

// plain scores single views by one net's own statistics.
func (m *matched) plain(ctx context.Context, o EvalOptions) (result *Evaluation, err error) {
	n, err := open(o.Checkpoint, o.Devices, o.rows, false, model.Options{Int8: o.Int8, Slots: data.SlotCount})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	loader, err := data.NewLoader(ctx, m.set, o.loading(n, n.rows))
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	s := Scorer{Net: n.net, Feed: relabel{loader, m.labels}, Pictures: m.set.Len(), Progress: o.Progress}
	score, err := s.Centre(ctx)
	if err != nil {
		return nil, err
	}
	return m.evaluation(score, score)
}

// rows are those of a net whose page has a batch of so many.
func (o *EvalOptions) rows(configured int) int { return max(evalBatch(o.Batch, configured), o.Crops) }

// loading is how pictures are read for a net, a batch of so many rows.
func (o *EvalOptions) loading(n *inference, rows int) data.LoaderOptions {
	return data.LoaderOptions{
		Batch: rows, Recipe: n.recipe, Workers: o.Workers, Slots: step.Slots{Net: n.net}, Views: o.Crops,
		Strict: o.Strict, OnBad: o.OnBad,
	}
}

// evaluation is a score with that among the classes that are present.
func (m *matched) evaluation(score, within step.Score) (*Evaluation, error) {
	if score.Images == 0 {
		return nil, fmt.Errorf("%w: none of %d pictures can be read", data.ErrNoData, m.set.Len())
	}
	e := &Evaluation{
		Score: score, Intervals: intervalsOf(score), Present: len(m.present), PresentTop1Error: within.Top1Error,
		LeftOut: m.leftOut,
	}
	in := intervalsOf(within)
	e.PresentTop1ErrorInterval = in.Top1ErrorInterval
	if len(m.present) > step.TopK {
		e.PresentTop5Error, e.PresentTop5ErrorInterval = &within.Top5Error, &in.Top5ErrorInterval
	}
	return e, nil
}

func evalBatch(asked, configured int) int {
	if asked > 0 {
		return asked
	}
	return min(configured, evalRows)
}

// OtherClasses is data all of whose pictures are of classes that a checkpoint does not have.
type OtherClasses struct {
	Path      string   // of the checkpoint
	Own, Data []string // the classes of both
}

func (e *OtherClasses) Error() string {
	return fmt.Sprintf("%s: knows none of the classes that the pictures are of (%s); its own are %s", text.Name(e.Path),
		text.Examples(e.Data), text.Examples(e.Own))
}

// matched are the classes of data among those of a checkpoint.
type matched struct {
	labels  []int32   // by class of the data: the checkpoint's label; -1: it lacks the class
	set     *data.Set // without pictures of these
	present []int32   // the checkpoint's labels that the set has, ascending
	leftOut []LeftOut
}

// matchClasses finds the data's classes among those of a checkpoint by their keys. The set need not have pictures of
// all classes, nor the checkpoint all classes of the set; where no picture is left it is an *OtherClasses.
func matchClasses(c *checkpoint.Checkpoint, classes []string, set *data.Set) (*matched, error) {
	m := &matched{labels: data.Places(c.Classes, classes)}
	counts := set.Counts(len(classes))
	var unknown []string
	for i, name := range classes {
		switch n := m.labels[i]; {
		case counts[i] == 0:
		case n < 0:
			unknown = append(unknown, name)
			left := LeftOut{Class: text.Raw(name), Pictures: counts[i]}
			if short := imagenet.Name(name); short != name {
				left.Name = short
			}
			m.leftOut = append(m.leftOut, left)
		default:
			m.present = append(m.present, n)
		}
	}
	slices.Sort(m.present)
	m.present = slices.Compact(m.present) // folders of one name in two normal forms
	if len(m.present) == 0 && len(unknown) > 0 {
		return nil, &OtherClasses{Path: c.Path, Own: c.Classes, Data: unknown}
	}
	m.set = set
	if len(unknown) > 0 {
		m.set = set.Only(func(label int32) bool { return m.labels[label] >= 0 })
	}
	return m, nil
}

// relabel gives the data's pictures the checkpoint's labels.
type relabel struct {
	from   step.Feeder
	labels []int32
}

func (r relabel) Next() (data.Info, error) {
	info, err := r.from.Next()
	labels := info.Batch.Labels[:info.Rows]
	for i, l := range labels {
		if l >= 0 {
			labels[i] = r.labels[l]
		}
	}
	return info, err
}

// Scorer runs an inference net over all pictures of a feed, one batch in flight while the next is filled.
type Scorer struct {
	Net      *model.Net
	Feed     step.Feeder
	Pictures int
	Step     uint64 // the training step before, for the failures of devices
	Progress func(done, total int)
}

// Centre scores single views by the net's own statistics.
func (s Scorer) Centre(ctx context.Context) (step.Score, error) {
	var sum step.Tally
	var buf [2][]float32
	var ticket device.Ticket // of the batch in flight; nil: none is
	good := 0                // rows of it
	land := func(turn int) error {
		if ticket == nil {
			return nil
		}
		if err := ticket.Wait(); err != nil {
			return err
		}
		sum.Add(buf[turn], good)
		return nil
	}
	if s.Progress != nil {
		s.Progress(0, s.Pictures)
	}
	turn := 0
	for done := 0; done < s.Pictures; {
		if err := ctx.Err(); err != nil {
			return step.Score{}, err
		}
		info, err := s.Feed.Next()
		if err != nil {
			return step.Score{}, err
		}
		s.Net.Forward(s.Net.Slot(info.Slot), model.Pass{Step: s.Step, Rows: info.Rows, Divisor: 1})
		turn = 1 - turn
		buf[turn] = grow(buf[turn], 3*info.Rows)
		next := s.Net.Stats(buf[turn])
		if err := land(1 - turn); err != nil {
			return step.Score{}, err
		}
		ticket, good = next, info.Good
		if done += info.Rows; s.Progress != nil {
			s.Progress(done, s.Pictures)
		}
	}
	if err := land(turn); err != nil {
		return step.Score{}, err
	}
	return sum.Score(), s.Net.Sync()
}

func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
