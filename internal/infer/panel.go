package infer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
	"alexnet/internal/stats"
	"alexnet/internal/step"
	"alexnet/internal/text"
)

// UnlikeNets is a net whose classes are not those of the net that it is to be compared or averaged with.
type UnlikeNets struct {
	Path, First string   // of the checkpoints
	Lacks, Has  []string // classes of the first that it lacks, and those that the first lacks
}

func (e *UnlikeNets) Error() string {
	s := fmt.Sprintf("%s: a net of other classes than %s", text.Name(e.Path), text.Name(e.First))
	if len(e.Lacks) > 0 {
		s += ": it lacks " + text.Examples(e.Lacks)
	}
	if len(e.Has) > 0 {
		s += "; it knows " + text.Examples(e.Has) + " besides"
	}
	return s
}

// outputsOf gives, by class of the first net, the output of another that is the same class.
func outputsOf(c, first *checkpoint.Checkpoint) ([]int32, error) {
	e := &UnlikeNets{Path: c.Path, First: first.Path}
	outputs := data.Places(c.Classes, first.Classes)
	for i, o := range outputs {
		if o < 0 {
			e.Lacks = append(e.Lacks, first.Classes[i])
		}
	}
	for i, o := range data.Places(first.Classes, c.Classes) {
		if o < 0 {
			e.Has = append(e.Has, c.Classes[i])
		}
	}
	if len(e.Lacks)+len(e.Has) > 0 || len(c.Classes) != len(first.Classes) {
		return nil, e
	}
	return outputs, nil
}

// panel are nets that look at the same pictures at once.
type panel struct {
	jurors []*juror
	feeds  []*feed
	views  int // of a picture
}

// juror is a net, and what it makes of pictures.
type juror struct {
	*inference
	weights string // its checkpoint
	checked string // the Sum of that
	from    *feed
	outputs []int32   // by class of the first net
	stats   []float32 // (rows, 3)
	prob    []float32 // (rows, classes), in its own order
	mean    []float64 // (classes) of a picture, over its views, in the order of the first net
	sum     step.Tally
}

// feed brings pictures to the nets that prepare them alike: into the slots of the first of these.
type feed struct {
	recipe recipe.Recipe
	owner  *juror
	loader *data.Loader
	info   data.Info
}

// byPanel scores what needs the probabilities of every picture. The next batch is decoded meanwhile, but not enqueued:
// a device has room for two results.
func (m *matched) byPanel(ctx context.Context, o EvalOptions) (result *Evaluation, err error) {
	p := &panel{views: o.Crops}
	defer func() { err = errors.Join(err, p.close()) }()
	all := append([]*checkpoint.Checkpoint{o.Checkpoint}, o.More...)
	if o.Against != nil {
		all = append(all, o.Against)
	}
	for _, c := range all {
		if err := p.seat(c, &o); err != nil {
			return nil, err
		}
	}
	if err := p.read(ctx, m.set, &o); err != nil {
		return nil, err
	}
	v := &verdict{matched: m, of: o, nets: p.jurors, mean: make([]float64, len(o.Checkpoint.Classes))}
	if o.Against != nil {
		v.nets, v.other = v.nets[:len(v.nets)-1], v.nets[len(v.nets)-1]
	}
	v.picked = make([]float64, len(m.present))
	if err := p.run(ctx, m, &o, v.take); err != nil {
		return nil, err
	}
	return v.evaluation()
}

// seat opens a net and finds it a feed.
func (p *panel) seat(c *checkpoint.Checkpoint, o *EvalOptions) error {
	outputs, err := outputsOf(c, o.Checkpoint)
	if err != nil {
		return err
	}
	cfg, err := c.Page(nil)
	if err != nil {
		return err
	}
	by, err := c.Recipe.For(cfg.Model.Input)
	if err != nil {
		return &checkpoint.BadPage{Path: c.Path, Err: err}
	}
	j := &juror{weights: c.Path, checked: c.Sum(), outputs: outputs, mean: make([]float64, len(outputs))}
	i := slices.IndexFunc(p.feeds, func(f *feed) bool { return f.recipe.Alike(&by) })
	use := model.Options{Int8: o.Int8}
	if i < 0 && p.views == 1 { // else the loader copies
		use.Slots = data.SlotCount
	}
	if j.inference, err = open(c, o.Devices, o.rows, false, use); err != nil {
		return err
	}
	p.jurors = append(p.jurors, j)
	if i < 0 {
		i = len(p.feeds)
		p.feeds = append(p.feeds, &feed{recipe: by, owner: j})
	}
	j.from = p.feeds[i]
	return nil
}

// read begins to read the pictures, in batches that all nets take.
func (p *panel) read(ctx context.Context, set *data.Set, o *EvalOptions) (err error) {
	rows := p.jurors[0].rows
	for _, j := range p.jurors {
		rows = min(rows, j.rows)
	}
	for _, j := range p.jurors {
		j.stats, j.prob = make([]float32, 3*rows), make([]float32, rows*len(j.outputs))
	}
	for _, f := range p.feeds {
		if f.loader, err = data.NewLoader(ctx, set, o.loading(f.owner.inference, rows)); err != nil {
			return err
		}
	}
	return nil
}

func (p *panel) close() (err error) {
	for _, f := range p.feeds {
		if f.loader != nil {
			f.loader.Close()
		}
	}
	for _, j := range p.jurors {
		err = errors.Join(err, j.close())
	}
	return err
}

// run shows all pictures to the nets. take is told of each that can be read: its number in the set that is read, its
// label, and the row in which its views begin.
func (p *panel) run(ctx context.Context, m *matched, o *EvalOptions, take func(number, label, row int) error) error {
	pictures := m.set.Len()
	if o.Progress != nil {
		o.Progress(0, pictures)
	}
	var labels []int32 // (rows) the first net's; -1: no picture
	for done := 0; done < pictures; {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows := 0
		for k, f := range p.feeds {
			var err error
			if f.info, err = f.loader.Next(); err != nil {
				return err
			}
			if k == 0 {
				rows = f.info.Rows
				labels = slices.Repeat([]int32{0}, rows)
			}
			for r, l := range f.info.Batch.Labels[:rows] {
				if l < 0 || labels[r] < 0 {
					labels[r] = -1
				} else {
					labels[r] = m.labels[l]
				}
			}
		}
		if err := p.answer(rows, labels); err != nil {
			return err
		}
		for r := 0; r < rows; r += p.views {
			if labels[r] < 0 {
				continue
			}
			if err := take(done+r/p.views, int(labels[r]), r); err != nil {
				return err
			}
		}
		if done += rows / p.views; o.Progress != nil {
			o.Progress(done, pictures)
		}
	}
	var failed []error
	for _, j := range p.jurors {
		failed = append(failed, j.net.Sync())
	}
	return errors.Join(failed...)
}

// answer has every net compute a batch, and waits.
func (p *panel) answer(rows int, labels []int32) error {
	for _, j := range p.jurors {
		b := j.batch(rows)
		for r, l := range labels {
			if b.Labels[r] = l; l >= 0 {
				b.Labels[r] = j.outputs[l]
			}
		}
		j.net.Forward(b, model.Pass{Rows: rows, Divisor: 1})
	}
	for _, j := range p.jurors {
		statistics := j.net.Stats(j.stats[:3*rows])
		err := j.net.Probabilities(j.prob[:rows*len(j.outputs)]).Wait()
		if err := errors.Join(err, statistics.Wait()); err != nil {
			return err
		}
	}
	return nil
}

// batch is the pictures of a batch where the net reads them.
func (j *juror) batch(rows int) *device.Batch {
	from := &j.from.info.Batch
	if j.from.owner == j {
		return j.net.Slot(j.from.info.Slot)
	}
	b := j.net.Stage()
	copy(b.Pixels, from.Pixels[:rows*j.recipe.Pixels()])
	copy(b.Crop, from.Crop[:rows])
	copy(b.Flip, from.Flip[:rows])
	copy(b.Color, from.Color[:rows])
	return b
}

// look averages the views of a picture, which begin at row, and scores that. Single views count as the net's own
// statistics have it, which know the outputs before fp32 rounded them to probabilities.
func (j *juror) look(label, row, views int) (rank int) {
	clear(j.mean)
	classes := len(j.outputs)
	for r := row; r < row+views; r++ {
		for i, o := range j.outputs {
			j.mean[i] += float64(j.prob[r*classes+int(o)]) / float64(views)
		}
	}
	if views > 1 {
		return j.sum.AddPicture(j.mean, label)
	}
	own := j.stats[3*row:][:3]
	j.sum.Add(own, 1)
	rank = step.Rank(j.mean, label)
	if own[1] == 0 {
		return 0
	}
	if own[2] == 0 {
		return min(max(rank, 1), step.TopK-1)
	}
	return max(rank, step.TopK)
}

// verdict is what becomes of all answers.
type verdict struct {
	*matched
	of     EvalOptions
	nets   []*juror  // which answer together
	other  *juror    // to compare them with; nil: none
	mean   []float64 // (classes) of a picture, over the nets
	picked []float64 // (present) of it, the classes that the pictures are of

	sum, within step.Tally
	top1, top5  stats.Paired
	number      int // in the set that was asked for, of the next picture
	read        int // in the set that is read
}

// take scores a picture.
func (v *verdict) take(number, label, row int) error {
	rank, mean := v.nets[0].look(label, row, v.of.Crops), v.nets[0].mean
	if len(v.nets) > 1 {
		copy(v.mean, mean)
		for _, j := range v.nets[1:] {
			j.look(label, row, v.of.Crops)
			for i, p := range j.mean {
				v.mean[i] += p
			}
		}
		for i := range v.mean {
			v.mean[i] /= float64(len(v.nets))
		}
		mean = v.mean
		rank = v.sum.AddPicture(mean, label)
	}
	if v.other != nil {
		other := v.other.look(label, row, v.of.Crops)
		count(&v.top1, rank >= 1, other >= 1)
		count(&v.top5, rank >= step.TopK, other >= step.TopK)
	}
	v.among(mean, label)
	if v.of.Each == nil {
		return nil
	}
	return v.of.Each(answerOf(mean, label, rank, v.asked(number)))
}

// among scores a picture by the outputs only that the pictures are of, as if the net had no others. Probabilities tell
// which of two outputs is the larger one: only what fp32 rounds to the same number, far below the most probable class,
// is a tie.
func (v *verdict) among(mean []float64, label int) {
	place := 0
	for i, l := range v.present {
		if v.picked[i] = mean[l]; int(l) == label {
			place = i
		}
	}
	v.within.AddPicture(v.picked, place)
}

// count counts a picture that one of two got wrong, or both, or none.
func count(p *stats.Paired, first, second bool) {
	p.N++
	switch {
	case first && !second:
		p.FirstOnly++
	case second && !first:
		p.SecondOnly++
	}
}

// asked is the number, in the set that was asked for, of the picture that has another in the set that is read: that
// lacks those of some classes. Numbers come in order.
func (v *verdict) asked(number int) int {
	if v.set == v.of.Set {
		return number
	}
	for ; ; v.number++ {
		if v.labels[v.of.Set.Label(v.number)] < 0 {
			continue
		}
		if v.read == number {
			return v.number
		}
		v.read++
	}
}

// answerOf is the answer where the label has such a rank. Where fp32 has rounded another class to the label's
// probability the rank tells which of them it was.
func answerOf(prob []float64, label, rank, number int) Answer {
	a := Answer{Number: number, Label: label, Answer: label, Rank: rank, LabelProbability: prob[label]}
	if rank > 0 {
		a.Answer = -1
		for i, p := range prob {
			if i != label && (a.Answer < 0 || p > prob[a.Answer]) {
				a.Answer = i
			}
		}
	}
	a.Probability = prob[a.Answer]
	return a
}

// evaluation is what was found.
func (v *verdict) evaluation() (*Evaluation, error) {
	score := v.nets[0].sum.Score()
	if len(v.nets) > 1 {
		score = v.sum.Score()
	}
	within := score
	if len(v.present) < len(v.mean) {
		within = v.within.Score()
	}
	e, err := v.matched.evaluation(score, within)
	if err != nil {
		return nil, err
	}
	if len(v.nets) > 1 {
		for _, j := range v.nets {
			e.Nets = append(e.Nets, j.score())
		}
	}
	if v.other != nil {
		e.Against = &Comparison{NetScore: v.other.score(), Top1: differenceOf(v.top1)}
		if len(v.mean) > step.TopK {
			top5 := differenceOf(v.top5)
			e.Against.Top5 = &top5
		}
	}
	return e, nil
}

// score is the net alone.
func (j *juror) score() NetScore {
	s := j.sum.Score()
	return NetScore{Weights: text.Raw(j.weights), Checkpoint: j.checked, Score: s, Intervals: intervalsOf(s)}
}
