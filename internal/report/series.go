package report

import (
	"slices"

	"gonum.org/v1/plot/plotter"
)

// Curves are what curves.png shows of a run, gathered line by line, in the order of metrics.jsonl. However long the run
// becomes they take a few MiB. The zero value is that of a run without lines.
type Curves struct {
	OnlyTop1 bool // the net has so few classes that a top-5 error says nothing: it is not drawn

	end uint64 // the last line's step

	loss, valLoss          series // of training and validation
	top1, valTop1, valTop5 series // errors in percent
	rates                  rates
	pace, stall            series // seconds an image took, and percent of them that went by waiting for pictures
}

// Add takes the numbers of a line.
func (c *Curves) Add(m Metrics) {
	c.end = max(c.end, m.Step)
	add := func(s *series, y *float64, unit float64) {
		if y != nil {
			s.add(plotter.XY{X: float64(m.Step), Y: *y * unit})
		}
	}
	add(&c.loss, m.Loss, 1)
	add(&c.valLoss, m.ValLoss, 1)
	add(&c.top1, m.Top1Error, 100)
	add(&c.valTop1, m.ValTop1Error, 100)
	add(&c.valTop5, m.ValTop5Error, 100)
	if v := m.ImagesPerSecond; v != nil && *v > 0 {
		c.pace.add(plotter.XY{X: float64(m.Step), Y: 1 / *v})
	}
	add(&c.stall, m.DataStall, 100)
	if m.LR != nil && *m.LR > 0 { // others have no place on a logarithmic axis
		c.rates.add(plotter.XY{X: float64(m.Step), Y: *m.LR})
	}
}

// clone is a copy that shares nothing.
func (c *Curves) clone() *Curves {
	d := *c
	for _, s := range []*series{&d.loss, &d.top1, &d.valLoss, &d.valTop1, &d.valTop5, &d.pace, &d.stall} {
		s.points = slices.Clone(s.points)
	}
	d.rates.changes = slices.Clone(d.rates.changes)
	return &d
}

// kept is how many points of a curve are kept at most: many more than can be seen (see thin), so that runs of fewer
// steps are drawn from every one of them.
const kept = 1 << 16

// series are the points of a curve over the steps. When they become too many, each two are replaced by their mean.
type series struct {
	points plotter.XYs
	each   int        // numbers that a point is the mean of; 0 as long as there is no point
	part   plotter.XY // sum of the numbers of the next point
	n      int        // how many these are so far
}

func (s *series) add(xy plotter.XY) {
	s.each = max(s.each, 1)
	s.part.X, s.part.Y, s.n = s.part.X+xy.X, s.part.Y+xy.Y, s.n+1
	if s.n < s.each {
		return
	}
	s.points = append(s.points, s.partial())
	s.part, s.n = plotter.XY{}, 0
	if len(s.points) < kept {
		return
	}
	half := s.points[:0]
	for two := range slices.Chunk(s.points, 2) {
		half = append(half, mean(two))
	}
	s.points, s.each = half, 2*s.each
}

// partial is the mean of the numbers that are not a point yet.
func (s *series) partial() plotter.XY {
	return plotter.XY{X: s.part.X / float64(s.n), Y: s.part.Y / float64(s.n)}
}

// all are the points, with what came after the last of them.
func (s *series) all() plotter.XYs {
	if s.n == 0 {
		return s.points
	}
	return append(slices.Clone(s.points), s.partial())
}

// rates are the learning rate over the steps: of those that have the same in turn, the first.
type rates struct {
	changes plotter.XYs
	last    plotter.XY
}

func (r *rates) add(xy plotter.XY) {
	r.last = xy
	if n := len(r.changes); n > 0 && r.changes[n-1].Y == xy.Y {
		return
	}
	r.changes = append(r.changes, xy)
	if len(r.changes) < kept { // only a rate that changes with each step gets there
		return
	}
	half := r.changes[:0]
	for two := range slices.Chunk(r.changes, 2) {
		half = append(half, two[0])
	}
	r.changes = half
}

// all are the changes and the end.
func (r *rates) all() plotter.XYs {
	if len(r.changes) == 0 {
		return nil
	}
	return append(slices.Clone(r.changes), r.last)
}
