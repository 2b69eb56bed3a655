// Package page writes a report of runs as one HTML file that needs nothing else: no network, no other file. Curves are
// drawn in the browser by uPlot (MIT, under assets with its licence), everything else stands in the page as it is; a
// policy in it forbids the browser to load or run anything that the file does not hold.
//
// It is given what it shows: numbers by package report, what a net answers and its kernels by package infer, which
// figure draws, and words, which it makes fit to be shown with package text. It opens no file and no net.
package page

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // the assets
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"alexnet/internal/figure"
	"alexnet/internal/infer"
	"alexnet/internal/report"
	"alexnet/internal/text"
)

// Page is what a report shows. Names may be anything.
type Page struct {
	Written time.Time
	Program string // that wrote it
	Runs    []Run
	Live    string // of a page that a server gives and sends updates of its one run to: which server; else empty
}

// Run is what is shown of a run. What is not there is left out, and Missing says why.
type Run struct {
	Name     string
	Facts    []Fact    // in the table of all runs
	Settings []Setting // in the page's order
	Net      string    // the page that Settings are compared with; "": it is none of the program's
	Overview *report.Overview
	OnlyTop1 bool // a top-5 error says nothing

	Weights   string // the checkpoint that the rest is about
	Kernels   *infer.Kernels
	Dead      []infer.DeadUnits
	DeadOf    int // pictures that these were looked at on
	Outcome   *infer.Outcome
	OutcomeOf string        // the pictures that it is of
	Pictures  []image.Image // of the Outcome's Mistakes; nil: it could not be read
	Missing   []string
}

// Fact is a word or two about a run.
type Fact struct{ Name, Value string }

// Setting is a key of a run's configuration.
type Setting struct {
	Key, Value string
	Page       string // what the page of the net has; "": it has no such key
	Differs    bool
}

// How much is shown.
const (
	MostPairs  = 50 // pairs of classes that were confused
	worstShown = 15 // classes
)

var (
	//go:embed assets/page.html
	pageHTML string
	//go:embed assets/page.js
	pageJS string
	//go:embed assets/page.css
	pageCSS string
	//go:embed assets/uPlot.iife.min.js
	uplotJS string
	//go:embed assets/uPlot.min.css
	uplotCSS string
	//go:embed assets/LICENSE
	uplotLicence string
)

var layout = template.Must(template.New("page").Parse(pageHTML))

// Policy lets the browser use what is in the file, by its hash, and nothing else; a page with updates may ask its
// server for them.
func Policy(live bool) string {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	connect := ""
	if live {
		connect = "connect-src 'self'; "
	}
	return "default-src 'none'; " + connect + "img-src data:; script-src " + hash(uplotJS) + " " + hash(pageJS) +
		"; style-src " + hash(uplotCSS) + " " + hash(pageCSS) + "; base-uri 'none'; form-action 'none'"
}

// content is what the layout is given.
type content struct {
	Policy            string
	Live              string
	UplotJS, PageJS   template.JS
	UplotCSS, PageCSS template.CSS
	Licence           string
	Kind, Title       string
	Written, Program  string
	Runs              []shownRun
	Facts             []string // names of the columns of the table of runs
	Differing, Same   []settingRow
	Curves            curves
	Drawn             bool // there are some
}

// settingRow is a key, and a cell for each run.
type settingRow struct {
	Key   string
	Cells []Setting
}

// shownRun is a run in words and pictures.
type shownRun struct {
	Name, ID string
	Facts    []string
	Net      string
	Weights  string
	Missing  []string
	Time     []timeShare
	Took     string
	Exchange string
	Kernels  *kernelsShown
	Dead     []deadShown
	DeadOf   string
	Outcome  *outcomeShown
}

// timeShare is a part of a run's time.
type timeShare struct {
	Name, Took, Percent string
	Wide                float64 // of 100
	At                  float64
	Class               string
}

type kernelsShown struct {
	Layer, Words string
	Picture      template.URL
	Wide, High   int
}

type deadShown struct {
	Layer       string
	Dead, Units int
	Percent     string
}

// Write writes the page. Pictures are encoded one after the other; all else is in memory at once.
func Write(w io.Writer, p *Page) error {
	c := content{
		Policy: Policy(p.Live != ""), Kind: "Report",
		UplotJS: template.JS(uplotJS), PageJS: template.JS(pageJS), //nolint:gosec // ours
		UplotCSS: template.CSS(uplotCSS), PageCSS: template.CSS(pageCSS), Licence: uplotLicence,
		Title: titleOf(p.Runs), Written: p.Written.Format("2006-01-02 15:04"), Program: p.Program,
	}
	c.Facts = factNames(p.Runs)
	c.Differing, c.Same = settingRows(p.Runs)
	for i := range p.Runs {
		s, err := show(&p.Runs[i], c.Facts)
		if err != nil {
			return fmt.Errorf("%s: %w", text.Name(p.Runs[i].Name), err)
		}
		s.ID = "run" + strconv.Itoa(i+1)
		c.Runs = append(c.Runs, *s)
		c.Curves.Runs = append(c.Curves.Runs, curvesOf(&p.Runs[i], Mark{}))
		c.Drawn = c.Drawn || len(c.Curves.Runs[i].Curves) > 0
	}
	if p.Live != "" {
		c.Kind, c.Drawn = "Live", true
		c.Live = p.Live + ":" + MarkOf(p.Runs[0].Overview).String()
	}
	return layout.Execute(w, &c)
}

func titleOf(runs []Run) string {
	if len(runs) == 1 {
		return text.Name(runs[0].Name)
	}
	return text.Count(len(runs), "run")
}

// factNames are all that any run has, in the order in which they come.
func factNames(runs []Run) (names []string) {
	for i := range runs {
		for _, f := range runs[i].Facts {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// settingRows are the keys in which a run differs from its page, or from another run, and the others.
func settingRows(runs []Run) (differing, same []settingRow) {
	var keys []string
	at := map[string][]Setting{}
	for i := range runs {
		for _, s := range runs[i].Settings {
			cells, known := at[s.Key]
			if !known {
				keys, cells = append(keys, s.Key), make([]Setting, len(runs))
				at[s.Key] = cells
			}
			cells[i] = Setting{text.Name(s.Key), text.Escape(s.Value), text.Escape(s.Page), s.Differs}
		}
	}
	for _, key := range keys {
		cells := at[key]
		differs := slices.ContainsFunc(cells, func(s Setting) bool {
			return s.Differs || s.Key != "" && cells[0].Key != "" && s.Value != cells[0].Value
		})
		if row := (settingRow{text.Name(key), cells}); differs {
			differing = append(differing, row)
		} else {
			same = append(same, row)
		}
	}
	return differing, same
}

func show(r *Run, facts []string) (*shownRun, error) {
	s := &shownRun{
		Name: text.Name(r.Name), Net: text.Name(r.Net), Weights: text.Name(r.Weights),
		Facts: make([]string, len(facts)),
	}
	for _, f := range r.Facts {
		s.Facts[slices.Index(facts, f.Name)] = text.Escape(f.Value)
	}
	for _, m := range r.Missing {
		s.Missing = append(s.Missing, text.Escape(m))
	}
	if r.Overview != nil {
		s.time(r.Overview)
	}
	var err error
	if r.Kernels != nil {
		if s.Kernels, err = showKernels(r.Kernels); err != nil {
			return nil, err
		}
	}
	for _, d := range r.Dead {
		s.Dead = append(s.Dead, deadShown{
			text.Name(d.Layer), d.Dead, d.Units, text.Percent(float64(d.Dead) / float64(max(d.Units, 1))),
		})
	}
	s.DeadOf = text.Count(r.DeadOf, "picture")
	if r.Outcome != nil {
		s.Outcome, err = showOutcome(r)
	}
	return s, err
}

// time splits the time of a run's steps.
func (s *shownRun) time(o *report.Overview) {
	if o.ExchangedBytes > 0 {
		s.Exchange = text.Bytes(int64(o.ExchangedBytes)) + " in all"
		if steps := float64(o.Step); steps > 0 {
			s.Exchange += ", " + text.Bytes(int64(o.ExchangedBytes/steps)) + " a step"
		}
		if o.ExchangeWay != "" {
			s.Exchange += " (" + text.Name(o.ExchangeWay) + ")"
		}
	}
	if !(o.Seconds > 0) || math.IsInf(o.Seconds, 0) {
		return
	}
	exchanged := min(max(o.Exchanged, 0), o.Seconds)
	stalled := min(max(o.Stalled, 0), o.Seconds-exchanged)
	at := 0.0
	for _, part := range []struct {
		name, class string
		seconds     float64
	}{
		{"compute", "compute", o.Seconds - exchanged - stalled},
		{"exchange", "exchange", exchanged},
		{"data stall", "stall", stalled},
	} {
		share := part.seconds / o.Seconds
		s.Time = append(s.Time, timeShare{
			part.name, Duration(part.seconds), text.Percent(share), 100 * share, at, part.class,
		})
		at += 100 * share
	}
	s.Took = Duration(o.Seconds)
}

// Duration is text.Duration of seconds, to the second or, of few, to the tenth, however many there are.
func Duration(seconds float64) string {
	d, to := time.Duration(min(seconds, math.MaxInt64/1e9/2)*float64(time.Second)), time.Second
	if d < time.Minute {
		to = 100 * time.Millisecond
	}
	return text.Duration(d.Round(to))
}

func showKernels(k *infer.Kernels) (*kernelsShown, error) {
	f := figure.Kernels{
		Weights: k.Weights, Count: k.Shape[0], Channels: k.Shape[1], Size: k.Shape[2], Columns: k.Columns,
		Color: k.Color,
	}
	m, scale := f.Mosaic(), f.Scale()
	s := &kernelsShown{Layer: text.Name(k.Layer), Wide: m.Rect.Dx(), High: m.Rect.Dy()}
	s.Words = fmt.Sprintf("%d kernels of %dx%d", k.Shape[0], k.Shape[2], k.Shape[3])
	if k.Columns > 1 {
		s.Words += fmt.Sprintf(" in %d columns, each below the one before it", k.Columns)
	}
	if shown := f.Shown() * k.Columns; shown < k.Shape[0] {
		s.Words += fmt.Sprintf("; %d are shown", shown)
	}
	s.Words += fmt.Sprintf(". One scale for all: black is a weight of %s, white %s, mid-grey 0.",
		figure.Number(scale.Low), figure.Number(scale.High))
	var err error
	s.Picture, err = pictureURL(m.RGBA)
	return s, err
}

// photoSide is from which side on pictures are encoded as JPEG.
const photoSide = 96

// pictureURL is a drawing as a data URI.
func pictureURL(m image.Image) (template.URL, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		return "", err
	}
	return dataURL("png", b.Bytes()), nil
}

// photoURL is a picture that somebody took, as a data URI.
func photoURL(m image.Image) (template.URL, error) {
	if m.Bounds().Dx() < photoSide {
		return pictureURL(m)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 85}); err != nil {
		return "", err
	}
	return dataURL("jpeg", b.Bytes()), nil
}

func dataURL(kind string, b []byte) template.URL {
	return template.URL("data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(b)) //nolint:gosec // ours
}

// outcomeShown is what a net gets right and wrong.
type outcomeShown struct {
	Of         string
	Errors     []errorShown
	Matrix     template.URL
	Wide, High int
	Pairs      []pairShown
	AllPairs   string
	Worst      []classShown
	Mistakes   []mistakeShown
}

type errorShown struct{ Name, Error, From, To string }

type pairShown struct {
	Label, Answer string
	Pictures      int
	Share         string // of the label's pictures
}

type classShown struct {
	Class, Error, From, To string
	Images, Errors         int
	Low, Wide, At          float64 // of 100, to draw the interval
}

type mistakeShown struct {
	File, Label, Answer, Probability, LabelProbability string
	Picture                                            template.URL
}

// longName is how many characters of a name are shown.
const longName = 120

func className(c *infer.ClassOutcome) string {
	return text.Shorten(text.Name(cmp.Or(c.Name, string(c.Class))), longName)
}

func showOutcome(r *Run) (*outcomeShown, error) {
	o := r.Outcome
	s := &outcomeShown{Of: fmt.Sprintf("%s, %s", text.Name(r.OutcomeOf), text.Count(o.Images, "picture"))}
	s.Errors = append(s.Errors, errorShown{
		"top-1 error", text.Percent(o.Top1Error), text.Percent(o.Top1ErrorInterval.Low),
		text.Percent(o.Top1ErrorInterval.High),
	})
	if !r.OnlyTop1 {
		s.Errors = append(s.Errors, errorShown{
			"top-5 error", text.Percent(o.Top5Error), text.Percent(o.Top5ErrorInterval.Low),
			text.Percent(o.Top5ErrorInterval.High),
		})
	}
	for _, c := range o.Confusions[:min(len(o.Confusions), MostPairs)] {
		label := &o.Classes[c.Label]
		s.Pairs = append(s.Pairs, pairShown{
			className(label), className(&o.Classes[c.Answer]), c.Pictures,
			text.Percent(float64(c.Pictures) / float64(max(label.Images, 1))),
		})
	}
	s.AllPairs = text.Grouped(int64(o.Pairs))
	s.worst(o)
	if len(o.Classes) <= infer.WholeMatrix {
		drawn := Confusion(o).Draw()
		s.Wide, s.High = drawn.Rect.Dx(), drawn.Rect.Dy()
		var err error
		if s.Matrix, err = pictureURL(drawn.RGBA); err != nil {
			return nil, err
		}
	}
	for i, m := range o.Mistakes {
		shown := mistakeShown{
			File: text.Name(m.File), Label: className(&o.Classes[m.Label]), Answer: className(&o.Classes[m.Answer]),
			Probability: text.Percent(m.Probability), LabelProbability: text.Percent(m.LabelProbability),
		}
		if i < len(r.Pictures) && r.Pictures[i] != nil {
			var err error
			if shown.Picture, err = photoURL(r.Pictures[i]); err != nil {
				return nil, err
			}
		}
		s.Mistakes = append(s.Mistakes, shown)
	}
	return s, nil
}

// worst are the classes with the highest errors, of those the ones that are surer first.
func (s *outcomeShown) worst(o *infer.Outcome) {
	var order []int
	for i := range o.Classes {
		if o.Classes[i].Images > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &o.Classes[a], &o.Classes[b]
		return cmp.Or(cmp.Compare(y.Top1Error, x.Top1Error), cmp.Compare(y.Images, x.Images))
	})
	for _, i := range order[:min(len(order), worstShown)] {
		c := &o.Classes[i]
		in := c.Top1ErrorInterval
		s.Worst = append(s.Worst, classShown{
			Class: className(c), Error: text.Percent(c.Top1Error), From: text.Percent(in.Low),
			To:     text.Percent(in.High),
			Images: c.Images, Errors: c.Top1Errors, Low: 100 * in.Low, Wide: 100 * (in.High - in.Low),
			At: 100 * c.Top1Error,
		})
	}
}

// Confusion is an outcome's confusion matrix, of all its classes.
func Confusion(o *infer.Outcome) *figure.Confusion {
	m := &figure.Confusion{}
	for i := range o.Classes {
		c := &o.Classes[i]
		m.Names, m.Totals = append(m.Names, className(c)), append(m.Totals, c.Images)
		if right := c.Images - c.Top1Errors; right > 0 {
			m.Cells = append(m.Cells, figure.Cell{Row: i, Column: i, Count: right})
		}
	}
	for _, c := range o.Confusions {
		m.Cells = append(m.Cells, figure.Cell{Row: c.Label, Column: c.Answer, Count: c.Pictures})
	}
	return m
}

// Sound tells whether an outcome that was read from a file is one that can be shown: the numbers of its classes are
// those of classes, and counts count.
func Sound(o *infer.Outcome) bool {
	n := len(o.Classes)
	class := func(i int) bool { return i >= 0 && i < n }
	for i := range o.Classes {
		c := &o.Classes[i]
		if c.Images < 0 || c.Top1Errors < 0 || c.Top1Errors > c.Images {
			return false
		}
	}
	for _, c := range o.Confusions {
		if !class(c.Label) || !class(c.Answer) || c.Pictures < 1 {
			return false
		}
	}
	for _, m := range o.Mistakes {
		if !class(m.Label) || !class(m.Answer) || m.Number < 0 {
			return false
		}
	}
	return n > 0 && len(o.Mistakes) <= infer.MostConfident
}

// curves are what the browser draws.
type curves struct {
	Runs []runCurves `json:"runs"`
}

type runCurves struct {
	Name   string           `json:"name"`
	X      []axis           `json:"x"`
	Curves map[string]curve `json:"curves"`
	// After, in an update, is the step after which points of the curves in it are replaced; none: all of them, and of
	// all curves.
	After places `json:"after,omitempty"`
}

// axis is where the points of some curves lie: after so many steps, epochs and hours of training; nil: nobody knows.
type axis struct {
	Step  places  `json:"step"`
	Epoch numbers `json:"epoch"`
	Hour  numbers `json:"hour"`
}

// curve is a quantity over an axis of its run, by number. Where every point is of one line, min and max are nil.
type curve struct {
	X    int     `json:"x"`
	Min  numbers `json:"min"`
	Mean numbers `json:"mean"`
	Max  numbers `json:"max"`
}

// places are steps, or means of some, written to the tenth.
type places []float64

// MarshalJSON is that.
func (p places) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, 8*len(p)+2)
	out = append(out, '[')
	for i, v := range p {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendFloat(out, tenth(v), 'f', -1, 64)
	}
	return append(out, ']'), nil
}

func tenth(v float64) float64 { return math.Round(10*v) / 10 }

// numbers are written with five digits, or as many as whole ones have; what is not finite is null.
type numbers []float64

// MarshalJSON is that.
func (n numbers) MarshalJSON() ([]byte, error) {
	if n == nil {
		return []byte("null"), nil
	}
	out := make([]byte, 0, 8*len(n)+2)
	out = append(out, '[')
	for i, v := range n {
		if i > 0 {
			out = append(out, ',')
		}
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			out = append(out, "null"...)
		case v == math.Trunc(v) && math.Abs(v) < 1e15:
			out = strconv.AppendFloat(out, v, 'f', -1, 64)
		default:
			out = strconv.AppendFloat(out, v, 'g', 5, 64)
		}
	}
	return append(out, ']'), nil
}

// plotted are the quantities that are drawn, under the names that page.js has for them, and their units there.
var plotted = []struct {
	name  string
	of    report.Quantity
	times float64
	ends  bool // of epochs' ends
}{
	{"loss", report.Loss, 1, false},
	{"val_loss", report.ValLoss, 1, true},
	{"top1", report.Top1Error, 100, false},
	{"val_top1", report.ValTop1Error, 100, true},
	{"val_top5", report.ValTop5Error, 100, true},
	{"lr", report.LearningRate, 1, false},
	{"rate", report.ImagesPerSecond, 1, false},
	{"stall", report.DataStall, 100, false},
}

// curvesOf are those of a run; after a mark only what changed, where that is less than everything.
func curvesOf(r *Run, told Mark) runCurves {
	out := runCurves{Name: text.Shorten(text.Name(r.Name), 60), X: []axis{}, Curves: map[string]curve{}}
	o := r.Overview
	if o == nil {
		return out
	}
	step, end := told.from(o), 0 // the first bins
	if step > 0 {
		after := tenth(o.Steps.At(step - 1))
		out.After, end = places{after}, o.Epochs.After(after)
	}
	for _, p := range plotted {
		bins, from := &o.Steps, step
		if p.ends {
			bins, from = &o.Epochs, end
		}
		c := bins.CurveFrom(p.of, from)
		if len(c.Mean) == 0 || r.OnlyTop1 && p.of == report.ValTop5Error {
			continue
		}
		for _, all := range [][]float64{c.Min, c.Mean, c.Max} {
			for i := range all {
				all[i] *= p.times
			}
		}
		drawn := curve{X: out.axis(o, &c), Mean: c.Mean}
		if bins.Each() > 1 {
			drawn.Min, drawn.Max = c.Min, c.Max
		}
		out.Curves[p.name] = drawn
	}
	return out
}

// axis is the number of a curve's axis, which is added where no curve before had it.
func (r *runCurves) axis(o *report.Overview, c *report.Curve) int {
	at := slices.IndexFunc(r.X, func(a axis) bool { return slices.Equal(a.Step, c.Step) })
	if at >= 0 {
		return at
	}
	a := axis{Step: c.Step, Epoch: o.EpochsAt(c.Step)}
	if o.Seconds > 0 {
		for _, s := range c.Seconds {
			a.Hour = append(a.Hour, s/3600)
		}
	}
	r.X = append(r.X, a)
	return len(r.X) - 1
}
