package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"slices"
	"strconv"

	"alexnet/internal/atomicfile"
	"alexnet/internal/data"
	"alexnet/internal/figure"
	"alexnet/internal/imagenet"
	"alexnet/internal/infer"
	"alexnet/internal/report/page"
	"alexnet/internal/text"
)

// mistakeLine is one of mistakes.json.
type mistakeLine struct {
	Number           int      `json:"number"` // in the set
	File             text.Raw `json:"file"`
	Class            text.Raw `json:"class"`
	Name             string   `json:"name"`
	Answer           text.Raw `json:"answer"`
	AnswerName       string   `json:"answer_name"`
	Probability      float64  `json:"probability"` // of the answer
	ClassProbability float64  `json:"class_probability"`
	Rank             int      `json:"rank"` // of the class: 2 is the second most probable
}

// evalDocument is evaluation.json.
type evalDocument struct {
	Checkpoint string `json:"checkpoint"` // as infer.Outcome has them
	Data       string `json:"data"`
	Crops      int    `json:"crops"`
	infer.Evaluation
}

// writeEval evaluates, and writes the folder of eval --out: what becomes of each picture as soon as that is known.
func writeEval(ctx context.Context, folder *atomicfile.Folder, o infer.EvalOptions) (*infer.Evaluation, error) {
	m, err := newMistakes(folder, o.Set, o.Checkpoint.Classes)
	if err != nil {
		return nil, err
	}
	o.AllPairs, o.Each = true, m.add
	found, err := infer.Examine(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := m.end(); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name  string
		write func(w io.Writer) error
	}{
		{"classes.csv", func(w io.Writer) error { return classesCSV(w, found) }},
		{"classes.json", func(w io.Writer) error { return writeJSON(w, found.Classes) }},
		{"confusion.csv", func(w io.Writer) error { return confusionCSV(w, found) }},
		{"confusion.json", func(w io.Writer) error { return confusionJSON(w, found) }},
		{"confusion.png", func(w io.Writer) error { return png.Encode(w, confusionPicture(found)) }},
		{"evaluation.json", func(w io.Writer) error {
			return writeJSON(w, evalDocument{found.Checkpoint, found.Data, found.Crops, found.Evaluation})
		}},
	} {
		w, err := folder.Create(f.name)
		if err == nil {
			err = f.write(w)
		}
		if err != nil {
			return nil, err
		}
	}
	return &found.Evaluation, folder.Finish()
}

// mistakes writes every wrong answer as it comes.
type mistakes struct {
	set     *data.Set
	classes []string
	lines   *csv.Writer
	json    io.Writer
	n       int
}

func newMistakes(folder *atomicfile.Folder, set *data.Set, classes []string) (*mistakes, error) {
	m := &mistakes{set: set, classes: classes}
	w, err := folder.Create("mistakes.csv")
	if err != nil {
		return nil, err
	}
	m.lines = csv.NewWriter(w)
	if m.json, err = folder.Create("mistakes.json"); err != nil {
		return nil, err
	}
	return m, m.lines.Write([]string{
		"number", "file", "class", "name", "answer", "answer_name", "probability", "class_probability", "rank",
	})
}

// add writes an answer if it is wrong.
func (m *mistakes) add(a infer.Answer) error {
	if a.Rank == 0 {
		return nil
	}
	class, answer := m.classes[a.Label], m.classes[a.Answer]
	l := mistakeLine{
		Number: a.Number, File: text.Raw(m.set.File(a.Number)), Class: text.Raw(class), Name: nameOf(class),
		Answer: text.Raw(answer), AnswerName: nameOf(answer), Probability: a.Probability,
		ClassProbability: a.LabelProbability, Rank: a.Rank + 1,
	}
	document, err := json.Marshal(l)
	if err != nil {
		return err
	}
	before := ",\n"
	if m.n == 0 {
		before = "[\n"
	}
	m.n++
	if _, err := io.WriteString(m.json, before+text.EscapeJSON(string(document))); err != nil {
		return err
	}
	return m.lines.Write([]string{
		strconv.Itoa(l.Number), text.Name(l.File), text.Name(l.Class), l.Name, text.Name(l.Answer), l.AnswerName,
		decimal(l.Probability), decimal(l.ClassProbability), strconv.Itoa(l.Rank),
	})
}

// end writes what comes after the last.
func (m *mistakes) end() error {
	after := "\n]\n"
	if m.n == 0 {
		after = "[]\n"
	}
	if _, err := io.WriteString(m.json, after); err != nil {
		return err
	}
	m.lines.Flush()
	return m.lines.Error()
}

// nameOf is a class as people know it.
func nameOf(class string) string { return text.Name(imagenet.Name(class)) }

// decimal writes a probability as predict --csv does.
func decimal(p float64) string { return strconv.FormatFloat(p, 'f', -1, 32) }

func writeJSON(w io.Writer, v any) error {
	document, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text.EscapeJSON(string(document))+"\n")
	return err
}

// classesCSV writes a line a class.
func classesCSV(w io.Writer, o *infer.Outcome) error {
	lines := csv.NewWriter(w)
	_ = lines.Write([]string{ // what fails is told by Error
		"number", "class", "name", "images", "top1_errors", "top1_error", "low", "high", "top5_errors", "answered",
	})
	for i, c := range o.Classes {
		_ = lines.Write([]string{
			strconv.Itoa(i), text.Name(c.Class), nameOf(string(c.Class)), strconv.Itoa(c.Images),
			strconv.Itoa(c.Top1Errors), decimal(c.Top1Error), decimal(c.Top1ErrorInterval.Low),
			decimal(c.Top1ErrorInterval.High), strconv.Itoa(c.Top5Errors), strconv.Itoa(c.Answered),
		})
	}
	lines.Flush()
	return lines.Error()
}

// confusionCSV writes the matrix: a line a class, a column what it was taken for.
func confusionCSV(w io.Writer, o *infer.Outcome) error {
	lines, row := csv.NewWriter(w), make([]string, 1, len(o.Classes)+1)
	row[0] = "class"
	for _, c := range o.Classes {
		row = append(row, text.Name(c.Class))
	}
	_ = lines.Write(row)
	pairs := slices.Clone(o.Confusions)
	slices.SortStableFunc(pairs, func(a, b infer.Confusion) int { return a.Label - b.Label })
	for label, c := range o.Classes {
		row[0] = text.Name(c.Class)
		for i := range o.Classes {
			row[i+1] = "0"
		}
		row[label+1] = strconv.Itoa(c.Images - c.Top1Errors)
		for ; len(pairs) > 0 && pairs[0].Label == label; pairs = pairs[1:] {
			row[pairs[0].Answer+1] = strconv.Itoa(pairs[0].Pictures)
		}
		_ = lines.Write(row)
	}
	lines.Flush()
	return lines.Error()
}

// confusionJSON writes the pairs that were confused, most often first, with the names that the numbers are of.
func confusionJSON(w io.Writer, o *infer.Outcome) error {
	classes := make([]text.Raw, len(o.Classes))
	for i, c := range o.Classes {
		classes[i] = c.Class
	}
	return writeJSON(w, struct {
		Classes []text.Raw        `json:"classes"`
		Pairs   []infer.Confusion `json:"confusions"`
	}{classes, o.Confusions})
}

// confusionPicture draws the matrix.
func confusionPicture(o *infer.Outcome) image.Image {
	drawing := figure.Page{
		Title: fmt.Sprintf("%s, top-1 error %s (%s)", text.Count(o.Images, "picture"), text.Percent(o.Top1Error),
			between(o.Top1ErrorInterval)),
		Bodies: []image.Image{page.Confusion(o).Draw()}, Scale: &figure.Shares,
		Of:    "share of the class's pictures, by its root",
		Notes: []string{"Rows: the class. Columns: what its pictures were taken for."},
	}
	return drawing.Draw().RGBA
}
