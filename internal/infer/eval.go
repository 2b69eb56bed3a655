package infer

import (
	"context"
	"errors"
	"fmt"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/device"
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
	Progress func(done, total int) // pictures
}

// evalRows is the largest batch taken unasked: no faster beyond, only larger.
const evalRows = 128

// tenViews is how many views of a picture the paper averages.
const tenViews = 10

// Evaluate scores a checkpoint on pictures. Pictures that cannot be read are left out (Score.Images counts the others)
// and told to OnBad, or with Strict end it with a *data.BadPicture.
//
// With 10 crops a picture's probabilities are the mean of the softmax outputs over its ten views, as in the paper;
// errors and loss (-log of the label's mean probability) are taken from these means.
func Evaluate(ctx context.Context, o EvalOptions) (result *step.Score, err error) {
	labels, err := matchClasses(o.Checkpoint, o.Classes)
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
	n, err := open(o.Checkpoint, o.Devices, func(rows int) int { return max(evalBatch(o.Batch, rows), views) }, use)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	lo := data.LoaderOptions{Batch: n.rows, Recipe: n.recipe, Workers: o.Workers, Slots: step.Slots{Net: n.net}}
	lo.Views, lo.Strict, lo.OnBad = views, o.Strict, o.OnBad
	loader, err := data.NewLoader(o.Set, lo)
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	s := Scorer{Net: n.net, Feed: relabel{loader, labels}, Pictures: o.Set.Len(), Progress: o.Progress}
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
		return nil, fmt.Errorf("%w: none of %d pictures can be read", data.ErrNoData, o.Set.Len())
	}
	return &score, nil
}

func evalBatch(asked, configured int) int {
	if asked > 0 {
		return asked
	}
	return min(configured, evalRows)
}

// OtherClasses is data of classes that a checkpoint does not have.
type OtherClasses struct {
	Path      string   // of the checkpoint
	Own, Data []string // the classes of both
	Unknown   []string // those of the data that the checkpoint lacks; empty where the numbers differ already
}

func (e *OtherClasses) Error() string {
	if len(e.Own) != len(e.Data) {
		return fmt.Sprintf("%s: is for %d classes (%s), the data has %d (%s)", e.Path, len(e.Own),
			text.Examples(e.Own), len(e.Data), text.Examples(e.Data))
	}
	return fmt.Sprintf("%s: does not know %d of the data's %d classes (%s); its own are %s", e.Path, len(e.Unknown),
		len(e.Data), text.Examples(e.Unknown), text.Examples(e.Own))
}

// matchClasses gives the checkpoint's label for each class of the data, by name. Data of other classes is an
// *OtherClasses.
func matchClasses(c *checkpoint.Checkpoint, classes []string) ([]int32, error) {
	if len(classes) != len(c.Classes) {
		return nil, &OtherClasses{Path: c.Path, Own: c.Classes, Data: classes}
	}
	number := make(map[string]int32, len(c.Classes))
	for i, name := range c.Classes {
		number[name] = int32(i)
	}
	labels := make([]int32, len(classes))
	var missing []string
	for i, name := range classes {
		n, ok := number[name]
		if !ok {
			missing = append(missing, name)
		}
		labels[i] = n
	}
	if len(missing) > 0 {
		return nil, &OtherClasses{Path: c.Path, Own: c.Classes, Data: classes, Unknown: missing}
	}
	return labels, nil
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
	err := s.each(ctx, 1, func(turn int, info data.Info) (device.Ticket, func()) {
		buf[turn] = grow(buf[turn], 3*info.Rows)
		return s.Net.Stats(buf[turn]), func() { sum.Add(buf[turn], info.Good) }
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
				}
			}
		}
	})
	return sum.Score(), err
}

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
