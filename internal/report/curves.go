package report

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	stdfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
)

// Sizes. With all four panels the picture has 1200 x 1590 dots.
const (
	pictureWidth = 8 * vg.Inch
	resolution   = 150 // dots an inch
	margin       = 12  // points; around the picture and between panels
	keyHeight    = 20  // points; of the row of keys above a plot
	titleHeight  = 24  // points
	rightWidth   = 46  // points; of the scale on the right, where a panel has one
)

// Colours that stay apart for the colour-blind too (Okabe and Ito, 2008).
var (
	blue       = color.RGBA{0, 114, 178, 255}
	paleBlue   = color.RGBA{150, 196, 224, 255}
	vermillion = color.RGBA{213, 94, 0, 255}
	green      = color.RGBA{0, 110, 80, 255} // darker than theirs, for grey printers
	ink        = color.RGBA{40, 40, 40, 255}
	gridGrey   = color.RGBA{228, 228, 228, 255}
)

// Draw draws a run over its steps into a PNG at path, written whole or not at all: the loss, the errors, the learning
// rate on a logarithmic panel, and how fast it went: images a second, and the data stall as a share of the time by a
// scale on the right. A panel without numbers is left out; without any the error says so.
func (c *Curves) Draw(fsys files.FS, path, title string) error {
	panels, err := c.panels()
	if err != nil {
		return err
	}
	if len(panels) == 0 {
		return errors.New("there are no numbers to draw curves of")
	}
	height := vg.Length(titleHeight + margin)
	for _, p := range panels {
		height += p.full() + margin
	}
	img := vgimg.NewWith(vgimg.UseWH(pictureWidth, height), vgimg.UseDPI(resolution))
	drawPanels(draw.New(img), title, panels)
	return atomicfile.Write(fsys, path, func(f atomicfile.File) error {
		_, err := vgimg.PngCanvas{Canvas: img}.WriteTo(f)
		return err
	})
}

// panel is one plot with a row of keys above it.
type panel struct {
	*plot.Plot
	height vg.Length // without the keys
	keys   []key
	right  string // what the scale on the right, of 0 to 100%, is of; empty: there is none
}

func (p *panel) full() vg.Length {
	if len(p.keys) == 0 {
		return p.height
	}
	return p.height + keyHeight
}

// key explains a curve.
type key struct {
	text   string
	thumbs []plot.Thumbnailer
}

func (c *Curves) panels() ([]*panel, error) {
	end := max(float64(c.end), 1)
	var panels []*panel
	for _, build := range []func() (*panel, error){c.lossPanel, c.errorPanel, c.ratePanel, c.speedPanel} {
		p, err := build()
		if err != nil {
			return nil, err
		}
		if p != nil {
			p.X.Min, p.X.Max = 0, end
			p.X.Tick.Marker = plot.TickerFunc(stepTicks)
			panels = append(panels, p)
		}
	}
	if n := len(panels); n > 0 {
		panels[n-1].X.Label.Text = "training steps"
	}
	return panels, nil
}

func (c *Curves) lossPanel() (*panel, error) {
	train, val := c.loss.all(), c.valLoss.all()
	if len(train)+len(val) == 0 {
		return nil, nil
	}
	train, each := thin(train)
	each *= c.loss.each
	p := newPanel("cross-entropy (nats)", 2.6*vg.Inch)
	p.Y.Max = niceMax(max(tallest(train), highest(val)))
	return p, errors.Join(
		p.noisy("training", train, smooth(train), each),
		p.marked("validation", val, vermillion, draw.CircleGlyph{}, nil),
	)
}

func (c *Curves) errorPanel() (*panel, error) {
	train, top1, top5 := c.top1.all(), c.valTop1.all(), c.valTop5.all()
	if c.OnlyTop1 {
		top5 = nil
	}
	if len(train)+len(top1)+len(top5) == 0 {
		return nil, nil
	}
	train, each := thin(train)
	each *= c.top1.each
	p := newPanel("error (%)", 2.6*vg.Inch)
	p.Y.Max = min(niceMax(max(tallest(train), highest(top1), highest(top5))), 100)
	return p, errors.Join(
		p.noisy("training top-1", train, smooth(train), each),
		p.marked("validation top-1", top1, vermillion, draw.CircleGlyph{}, nil),
		p.marked("validation top-5", top5, green, draw.PyramidGlyph{}, []vg.Length{vg.Points(5), vg.Points(2.5)}),
	)
}

func (c *Curves) ratePanel() (*panel, error) {
	rates := c.rates.all()
	if len(rates) == 0 {
		return nil, nil
	}
	p := newPanel("learning rate", 1.6*vg.Inch)
	p.Y.Scale = plot.LogScale{}
	p.Y.Min, p.Y.Max = lowest(rates)/2, highest(rates)*2
	p.Y.Tick.Marker = plot.TickerFunc(rateTicks)
	_, err := p.line(stairs(rates), ink, vg.Points(1.5), nil)
	return p, err
}

// speedPanel has two scales: the stall is drawn as that share of the panel's height, and only smoothed. The mean speed
// of steps is that of their pictures over their time, so what is averaged is the time of a picture. A few short steps,
// after which others waited, may leave the picture.
func (c *Curves) speedPanel() (*panel, error) {
	time, stall := c.pace.all(), c.stall.all()
	if len(time) == 0 {
		return nil, nil
	}
	time, each := thin(time)
	each *= c.pace.each
	speed, mean := inverse(time), inverse(smooth(time))
	p := newPanel("images a second", 1.8*vg.Inch)
	p.Y.Max = niceMax(min(highest(speed), 1.3*highest(mean)))
	err := p.noisy("images a second", speed, mean, each)
	if len(stall) == 0 || err != nil {
		return p, err
	}
	p.right = "data stall (%)"
	stall, _ = thin(stall)
	stall = smooth(stall)
	for i := range stall {
		stall[i].Y *= p.Y.Max / 100
	}
	line, err := p.line(stall, vermillion, vg.Points(1.5), nil)
	p.keys = append(p.keys, key{"data stall, smoothed (right)", []plot.Thumbnailer{line}})
	return p, err
}

// inverse has one over each height.
func inverse(xys plotter.XYs) plotter.XYs {
	out := slices.Clone(xys)
	for i := range out {
		out[i].Y = 1 / out[i].Y
	}
	return out
}

func newPanel(label string, height vg.Length) *panel {
	p := &panel{Plot: plot.New(), height: height}
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Padding = 0
		a.Color, a.Tick.Color = ink, ink
		a.Tick.Length = vg.Points(4)
		a.Tick.Label.Font, a.Tick.Label.Color = sans(9.5), ink
		a.Label.TextStyle.Font, a.Label.TextStyle.Color = sans(11), ink
		a.Label.Padding = vg.Points(4)
	}
	p.Y.Label.Text = label
	p.Y.Min = 0
	p.Y.Tick.Marker = plot.TickerFunc(niceTicks)
	grid := plotter.NewGrid()
	grid.Vertical.Color = nil
	grid.Horizontal = draw.LineStyle{Color: gridGrey, Width: vg.Points(0.7)}
	p.Add(grid)
	return p
}

func sans(size float64) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(size)}
}

// noisy draws a curve that has a point for each step: pale as it is, and smoothed on top.
// A point is the mean of each steps.
func (p *panel) noisy(name string, xys, smoothed plotter.XYs, each int) error {
	if len(xys) < 20 { // too few to smooth
		return p.marked(name, xys, blue, draw.CircleGlyph{}, nil)
	}
	raw, err := p.line(xys, paleBlue, vg.Points(1), nil)
	if err != nil {
		return err
	}
	mean, err := p.line(smoothed, blue, vg.Points(1.7), nil)
	if err != nil {
		return err
	}
	per := "each step"
	if each > 1 {
		per = fmt.Sprintf("mean of %d steps", each)
	}
	p.keys = append(p.keys, key{name + ", " + per, []plot.Thumbnailer{raw}}, key{"smoothed", []plot.Thumbnailer{mean}})
	return nil
}

// marked draws a curve with a point for each epoch.
func (p *panel) marked(name string, xys plotter.XYs, c color.Color, shape draw.GlyphDrawer, dashes []vg.Length) error {
	if len(xys) == 0 {
		return nil
	}
	line, err := p.line(xys, c, vg.Points(1.5), dashes)
	if err != nil {
		return err
	}
	points, err := plotter.NewScatter(xys)
	if err != nil {
		return err
	}
	radius := 2.6
	if len(xys) > 60 {
		radius = 1.6
	}
	points.GlyphStyle = draw.GlyphStyle{Color: c, Radius: vg.Points(radius), Shape: shape}
	p.Add(points)
	p.keys = append(p.keys, key{name, []plot.Thumbnailer{line, points}})
	return nil
}

func (p *panel) line(xys plotter.XYs, c color.Color, width vg.Length, dashes []vg.Length) (*plotter.Line, error) {
	l, err := plotter.NewLine(xys)
	if err != nil {
		return nil, err
	}
	l.LineStyle = draw.LineStyle{Color: c, Width: width, Dashes: dashes}
	min, max := p.Y.Min, p.Y.Max
	p.Add(l)
	p.Y.Min, p.Y.Max = min, max // Add widens the axis to the data; ours ends at a tick
	return l, nil
}

// drawPanels puts the panels below each other, their axes in line.
func drawPanels(c draw.Canvas, title string, panels []*panel) {
	c.SetColor(color.White)
	c.Fill(c.Path())
	c = draw.Crop(c, margin, -margin-6, margin, -margin)
	style := text.Style{
		Color: ink, Font: sans(13), XAlign: draw.XLeft, YAlign: draw.YTop, Handler: plot.DefaultTextHandler,
	}
	style.Font.Weight = stdfont.WeightBold
	parts := make([]draw.Canvas, len(panels))
	top := c.Max.Y - titleHeight
	left, right := vg.Length(0), c.Max.X
	for i, p := range panels {
		parts[i] = draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: c.Min.X, Y: top - p.full()},
			Max: vg.Point{X: c.Max.X, Y: top - p.full() + p.height},
		}}
		top -= p.full() + margin
		inner := p.DataCanvas(parts[i])
		left, right = max(left, inner.Min.X), min(right, inner.Max.X)
		if p.right != "" {
			right = min(right, c.Max.X-rightWidth)
		}
	}
	c.FillText(style, vg.Point{X: left, Y: c.Max.Y}, title)
	for i, p := range panels {
		inner := p.DataCanvas(parts[i])
		parts[i].Min.X += left - inner.Min.X
		parts[i].Max.X -= inner.Max.X - right
		p.Draw(parts[i])
		p.drawKeys(parts[i], left)
		p.drawRight(parts[i])
	}
}

// drawRight draws the scale on the right.
func (p *panel) drawRight(c draw.Canvas) {
	if p.right == "" {
		return
	}
	inner := p.DataCanvas(c)
	tick := draw.LineStyle{Color: ink, Width: vg.Points(0.5)}
	style := text.Style{
		Color: ink, Font: sans(9.5), XAlign: draw.XLeft, YAlign: draw.YCenter, Handler: plot.DefaultTextHandler,
	}
	x, height := inner.Max.X, inner.Max.Y-inner.Min.Y
	c.StrokeLine2(tick, x, inner.Min.Y, x, inner.Max.Y)
	for _, percent := range []int{0, 50, 100} {
		y := inner.Min.Y + height*vg.Length(percent)/100
		c.StrokeLine2(tick, x, y, x+4, y)
		c.FillText(style, vg.Point{X: x + 7, Y: y}, strconv.Itoa(percent))
	}
	style.Font, style.Rotation, style.XAlign, style.YAlign = sans(11), math.Pi/2, draw.XCenter, draw.YTop
	c.FillText(style, vg.Point{X: x + 30, Y: inner.Min.Y + height/2}, p.right)
}

// drawKeys writes the keys in a row above the panel, from left on.
func (p *panel) drawKeys(c draw.Canvas, left vg.Length) {
	const thumb, gap, between = 20, 5, 16 // points
	style := text.Style{
		Color: ink, Font: sans(10), XAlign: draw.XLeft, YAlign: draw.YCenter, Handler: plot.DefaultTextHandler,
	}
	x, y := left, c.Max.Y+keyHeight*0.45
	for _, k := range p.keys {
		icon := draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: x, Y: y - 5}, Max: vg.Point{X: x + thumb, Y: y + 5},
		}}
		for _, t := range k.thumbs {
			t.Thumbnail(&icon)
		}
		c.FillText(style, vg.Point{X: x + thumb + gap, Y: y}, k.text)
		x += thumb + gap + style.Width(k.text) + between
	}
}

// thin replaces each few points by their mean, so that no more are left than can be seen; each says how many.
func thin(xys plotter.XYs) (_ plotter.XYs, each int) {
	const enough = 1000
	each = (len(xys) + enough - 1) / enough
	if each <= 1 {
		return xys, 1
	}
	var out plotter.XYs
	for part := range slices.Chunk(xys, each) {
		out = append(out, mean(part))
	}
	return out, each
}

func mean(xys plotter.XYs) plotter.XY {
	var m plotter.XY
	for _, xy := range xys {
		m.X += xy.X / float64(len(xys))
		m.Y += xy.Y / float64(len(xys))
	}
	return m
}

// smooth is a moving average, centred, so that it does not lag behind; at the ends over what there is.
func smooth(xys plotter.XYs) plotter.XYs {
	half := min(max(len(xys)/50, 2), 8)
	out := make(plotter.XYs, len(xys))
	for i := range xys {
		around := xys[max(i-half, 0):min(i+half+1, len(xys))]
		out[i] = plotter.XY{X: xys[i].X, Y: mean(around).Y}
	}
	return out
}

// stairs keeps the points where the height changes, and makes the changes upright.
func stairs(xys plotter.XYs) plotter.XYs {
	out := plotter.XYs{xys[0]}
	for i, xy := range xys[1:] {
		if y := xys[i].Y; xy.Y != y {
			out = append(out, plotter.XY{X: xy.X, Y: y}, xy)
		}
	}
	return append(out, xys[len(xys)-1])
}

// niceStep is 1, 2 or 5 times a power of ten, so that about n of them fit into the range.
func niceStep(size float64, n int) float64 {
	power := math.Pow(10, math.Floor(math.Log10(size/float64(n))))
	for _, f := range []float64{1, 2, 5} {
		if size <= f*power*float64(n) {
			return f * power
		}
	}
	return 10 * power
}

// highest is the largest value, or 0.
func highest(xys plotter.XYs) float64 {
	top := 0.0
	for _, xy := range xys {
		top = max(top, xy.Y)
	}
	return top
}

func lowest(xys plotter.XYs) float64 {
	low := math.Inf(1)
	for _, xy := range xys {
		low = min(low, xy.Y)
	}
	return low
}

// tallest is as high as an axis must reach for a noisy curve: a few wild steps, such as the first ones, may leave the
// picture rather than press all the others flat.
func tallest(xys plotter.XYs) float64 {
	if len(xys) == 0 {
		return 0
	}
	ys := make([]float64, len(xys))
	for i, xy := range xys {
		ys[i] = xy.Y
	}
	slices.Sort(ys)
	return min(ys[len(ys)-1], 1.1*ys[len(ys)*99/100])
}

// niceMax is the first tick at or above top.
func niceMax(top float64) float64 {
	if top <= 0 {
		return 1
	}
	step := niceStep(top, 5)
	return math.Ceil(top/step) * step
}

func niceTicks(_, end float64) []plot.Tick {
	step := niceStep(end, 5)
	format, digits := byte('f'), max(0, -int(math.Floor(math.Log10(step))))
	if digits > 4 {
		format, digits = 'g', 3
	}
	var ticks []plot.Tick
	for i := 0.0; i*step <= end*(1+1e-9); i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: strconv.FormatFloat(i*step, format, digits, 64)})
	}
	return ticks
}

// stepTicks are whole numbers, from ten thousand on in thousands, from ten million on in millions.
func stepTicks(_, end float64) []plot.Tick {
	unit, suffix := 1.0, ""
	switch {
	case end >= 1e7:
		unit, suffix = 1e6, "M"
	case end >= 1e4:
		unit, suffix = 1e3, "k"
	}
	step := max(niceStep(end, 10), 1)
	var ticks []plot.Tick
	for x := 0.0; x <= end; x += step {
		label := strconv.FormatFloat(x/unit, 'g', 6, 64)
		if x > 0 {
			label += suffix
		}
		ticks = append(ticks, plot.Tick{Value: x, Label: label})
	}
	return ticks
}

// rateTicks are powers of ten; where the range is so narrow that fewer than two of them fall into it, also twice and
// five times these.
func rateTicks(low, high float64) []plot.Tick {
	first, last := int(math.Ceil(math.Log10(low))), int(math.Floor(math.Log10(high)))
	factors, every := []float64{1}, max(1, (last-first+4)/4) // at most four powers
	if last-first < 1 {
		factors = []float64{1, 2, 5}
		first--
	}
	var ticks []plot.Tick
	for e := first; e <= last; e += every {
		for _, f := range factors {
			if x := f * math.Pow(10, float64(e)); x >= low && x <= high {
				ticks = append(ticks, plot.Tick{Value: x, Label: strconv.FormatFloat(x, 'g', 3, 64)})
			}
		}
	}
	return ticks
}
