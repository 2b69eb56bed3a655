package infer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/imagenet"
	"alexnet/internal/model"
	"alexnet/internal/step"
	"alexnet/internal/text"
)

// EvalOptions say what Evaluate scores.
type EvalOptions struct {
	Checkpoint *checkpoint.Checkpoint // brings its own configuration, recipe and class names
	Devices    []device.Device
	Set        *data.Set
	Classes    []string // of the set, to be found among those of the checkpoint

	Crops    int  // 1 (or 0): the centre; 10: corners and centre, each mirrored too, softmax outputs averaged
	Int8     bool // weights of fully connected layers, as device.FC says
	Batch    int  // rows of the net; 0: the configuration's, at most evalRows
	Workers  int
	Strict   bool
	OnBad    func(*data.BadPicture)
	Progress func(done, total int) // pictures: from 0, when the net is there
}

// evalRows is the largest batch taken unasked: no faster beyond, only larger.
const evalRows = 128

// tenViews is how many views of a picture the paper averages.
const tenViews = 10

// Evaluation is what Evaluate found. The errors of its Score are over all outputs of the net.
type Evaluation struct {
	step.Score
	// Present is how many of the net's classes the pictures are of, those that cannot be read included. Where that is
	// not all of them, the errors below are what the net would have if it had no other outputs.
	Present          int      `json:"present_classes"`
	PresentTop1Error float64  `json:"present_top1_error"`
	PresentTop5Error *float64 `json:"present_top5_error,omitempty"` // of no more classes than 5 it would say nothing
	// LeftOut are the classes that the net lacks; no figure is of their pictures.
	LeftOut []LeftOut `json:"left_out,omitempty"`
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
// errors and loss (-log of the label's mean probability) are taken from these means.
func Evaluate(ctx context.Context, o EvalOptions) (result *Evaluation, err error) {
	m, err := matchClasses(o.Checkpoint, o.Classes, o.Set)
	if err != nil {
		return nil, err
	}
	views := max(o.Crops, 1)
	if views != 1 && views != tenViews {
		return nil, fmt.Errorf("%d crops: evaluation takes 1 or %d", views, tenViews)
	}
	use := model.Options{Int8: o.Int8}
	if views == 1 { // else the loader copies
		use.Slots = data.SlotCount
	}
	n, err := open(o.Checkpoint, o.Devices, func(rows int) int { return max(evalBatch(o.Batch, rows), views) },
		false, use)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	lo := data.LoaderOptions{Batch: n.rows, Recipe: n.recipe, Workers: o.Workers, Slots: step.Slots{Net: n.net}}
	lo.Views, lo.Strict, lo.OnBad = views, o.Strict, o.OnBad
	loader, err := data.NewLoader(ctx, m.set, lo)
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	s := Scorer{Net: n.net, Feed: relabel{loader, m.labels}, Pictures: m.set.Len(), Progress: o.Progress}
	if len(m.present) < n.arch.Classes {
		s.among = newAmong(m.present, n.arch.Classes)
	}
	var score step.Score
	if views == 1 {
		score, err = s.Centre(ctx)
	} else {
		score, err = s.averaged(ctx, views, n.arch.Classes, n.rows)
	}
	if err != nil {
		return nil, err
	}
	if score.Images == 0 {
		return nil, fmt.Errorf("%w: none of %d pictures can be read", data.ErrNoData, m.set.Len())
	}
	return m.evaluation(score, s.among), nil
}

// evaluation completes a score with that among the classes that are present; nil: all are.
func (m *matched) evaluation(score step.Score, a *among) *Evaluation {
	within := score
	if a != nil {
		within = a.sum.Score()
	}
	e := &Evaluation{
		Score: score, Present: len(m.present), PresentTop1Error: within.Top1Error, LeftOut: m.leftOut,
	}
	if len(m.present) > step.TopK {
		e.PresentTop5Error = &within.Top5Error
	}
	return e
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

	among *among // nil: only errors over all outputs are wanted
}

// Centre scores single views by the net's own statistics.
func (s Scorer) Centre(ctx context.Context) (step.Score, error) {
	var sum step.Tally
	var buf [2][]float32
	err := s.each(ctx, 1, func(turn int, info data.Info) (device.Ticket, func()) {
		buf[turn] = grow(buf[turn], 3*info.Rows)
		add := func() { sum.Add(buf[turn], info.Good) }
		stats := s.Net.Stats(buf[turn])
		if s.among == nil {
			return stats, add
		}
		// A device has room for two results, and the next batch's would be the third: so these are waited for.
		return s.among.read(s.Net, info, stats), add
	})
	return sum.Score(), err
}

// averaged scores the mean probabilities of several views; the rows of a picture follow each other.
func (s Scorer) averaged(ctx context.Context, views, classes, rows int) (step.Score, error) {
	var sum step.Tally
	var buf [2][]float32
	mean := make([]float64, classes)
	err := s.each(ctx, views, func(turn int, info data.Info) (device.Ticket, func()) {
		buf[turn] = grow(buf[turn], info.Rows*classes)
		// the slot is filled anew before the probabilities are there
		labels := append(make([]int32, 0, rows), info.Batch.Labels[:info.Rows]...)
		return s.Net.Probabilities(buf[turn]), func() {
			for r := 0; r < info.Rows; r += views {
				if labels[r] >= 0 {
					average(mean, buf[turn][r*classes:][:views*classes])
					sum.AddPicture(mean, int(labels[r]))
					if s.among != nil {
						s.among.add(mean, labels[r])
					}
				}
			}
		}
	})
	return sum.Score(), err
}

// among scores pictures by some of a net's outputs only, as if it had no others. Probabilities tell which of two
// outputs is the larger one: only what fp32 rounds to the same number, far below the most probable class, is a tie.
type among struct {
	present []int32 // labels, ascending
	place   []int   // by label: where it is in present, -1: not
	sum     step.Tally
	picked  []float64 // (present)
	prob    []float32 // (rows, classes)
	mean    []float64 // (classes)
}

func newAmong(present []int32, classes int) *among {
	a := &among{
		present: present, place: slices.Repeat([]int{-1}, classes), picked: make([]float64, len(present)),
		mean: make([]float64, classes),
	}
	for i, label := range present {
		a.place[label] = i
	}
	return a
}

// add scores a picture by its probabilities (classes).
func (a *among) add(prob []float64, label int32) {
	for i, l := range a.present {
		a.picked[i] = prob[l]
	}
	a.sum.AddPicture(a.picked, a.place[label])
}

// read waits for a batch of single views and for stats, which were asked for before, and scores the batch.
func (a *among) read(net *model.Net, info data.Info, stats device.Ticket) device.Ticket {
	a.prob = grow(a.prob, info.Rows*len(a.place))
	if err := net.Probabilities(a.prob).Wait(); err != nil {
		return waited{err}
	}
	for r, label := range info.Batch.Labels[:info.Rows] {
		if label >= 0 {
			average(a.mean, a.prob[r*len(a.place):][:len(a.place)])
			a.add(a.mean, label)
		}
	}
	return waited{stats.Wait()}
}

// waited is the receipt of what is there.
type waited struct{ err error }

func (w waited) Wait() error { return w.err }

// each runs all pictures through the net. enqueue asks for what it wants of a batch, turn 0 and 1 alternating, and
// returns what to do when that is there.
func (s Scorer) each(ctx context.Context, views int,
	enqueue func(turn int, info data.Info) (device.Ticket, func()),
) error {
	var ticket device.Ticket
	var use func()
	land := func() error {
		if ticket == nil {
			return nil
		}
		if err := ticket.Wait(); err != nil {
			return err
		}
		use()
		return nil
	}
	if s.Progress != nil {
		s.Progress(0, s.Pictures)
	}
	for done, turn := 0, 0; done < s.Pictures; turn = 1 - turn {
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := s.Feed.Next()
		if err != nil {
			return err
		}
		s.Net.Forward(s.Net.Slot(info.Slot), model.Pass{Step: s.Step, Rows: info.Rows, Divisor: 1})
		next, then := enqueue(turn, info)
		if err := land(); err != nil {
			return err
		}
		ticket, use = next, then
		if done += info.Rows / views; s.Progress != nil {
			s.Progress(done, s.Pictures)
		}
	}
	if err := land(); err != nil {
		return err
	}
	return s.Net.Sync()
}

func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}

// average writes the mean of the views' probabilities, (views, classes).
func average(mean []float64, prob []float32) {
	clear(mean)
	views := float64(len(prob) / len(mean))
	for i, p := range prob {
		mean[i%len(mean)] += float64(p) / views
	}
}
