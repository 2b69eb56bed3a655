package infer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/stats"
	"alexnet/internal/step"
)

// setOf is a set with so many pictures of each class.
func setOf(t *testing.T, counts ...int) *data.Set {
	t.Helper()
	var records []data.Record
	for label, n := range counts {
		for range n {
			i := len(records)
			records = append(records, data.Record{Name: fmt.Sprint(i), Label: int32(label), Number: int32(i)})
		}
	}
	source := data.New(data.Contents{Classes: make([]string, len(counts)), Train: records}, data.Memory{}, 0, 1)
	t.Cleanup(func() { source.Close() })
	return source.Train
}

// TestMatchClasses: the data's classes are found by their keys, wherever they stand in the checkpoint; pictures of
// others are counted and left out, and where all are of others nothing is measured.
func TestMatchClasses(t *testing.T) {
	t.Parallel()
	own := &checkpoint.Checkpoint{Classes: []string{"dog", "caf\u00e9", "bird", "n01440764"}}
	for _, c := range []struct {
		classes         []string
		counts          []int
		labels, present []int32
		left            []LeftOut
	}{
		{[]string{"bird", "cafe\u0301", "dog"}, []int{1, 1, 1}, []int32{2, 1, 0}, []int32{0, 1, 2}, nil},
		{[]string{"bird", "cow", "n01440764"}, []int{2, 0, 1}, []int32{2, -1, 3}, []int32{2, 3}, nil},
		{
			[]string{"bird", "cow", "dog", "n01443537"},
			[]int{2, 3, 0, 1},
			[]int32{2, -1, 0, -1},
			[]int32{2},
			[]LeftOut{{Class: "cow", Pictures: 3}, {Class: "n01443537", Name: "goldfish", Pictures: 1}},
		},
	} {
		m, err := matchClasses(own, c.classes, setOf(t, c.counts...))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(m.labels, c.labels) || !slices.Equal(m.present, c.present) ||
			!slices.Equal(m.leftOut, c.left) {
			t.Errorf("%q: %+v", c.classes, m)
		}
		want := 0
		for i, n := range c.counts {
			if c.labels[i] >= 0 {
				want += n
			}
		}
		if m.set.Len() != want {
			t.Errorf("%q: %d pictures are left, want %d", c.classes, m.set.Len(), want)
		}
	}
	var other *OtherClasses
	_, err := matchClasses(own, []string{"bird", "cow"}, setOf(t, 0, 2))
	if !errors.As(err, &other) || !slices.Equal(other.Data, []string{"cow"}) {
		t.Errorf("no class that the net has: %v", err)
	}
}

// TestAmong: errors among the classes that are present, counted by hand, of single views and of means of ten.
func TestAmong(t *testing.T) {
	t.Parallel()
	// 9 outputs, of which 1, 2, 4, 5, 6, 8 are present
	logits := []struct {
		of    []float64 // (outputs)
		label int32
	}{
		{[]float64{9, 1, 0, 0, 0, 0, 0, 0, 0}, 1},    // second of all, first of these
		{[]float64{0, 1, 5, 0, 2, 0, 0, 0, 0}, 2},    // first
		{[]float64{8, 6, 5, 7, 4, 3, 2, 1, 9}, 6},    // 7th of all, 6th and last of these
		{[]float64{8, 6, 5, 7, 4, 3, 2, 1, 9}, 5},    // 6th of all, 5th of these
		{[]float64{0, 3, 3, 9, -1, -1, -1, 0, 0}, 2}, // a tie goes to the lower number: second of these
	}
	v := &verdict{matched: &matched{present: []int32{1, 2, 4, 5, 6, 8}}, picked: make([]float64, 6)}
	var all step.Tally
	for _, l := range logits {
		sum, prob := 0., make([]float64, len(l.of))
		for _, x := range l.of {
			sum += math.Exp(x)
		}
		for i, x := range l.of {
			prob[i] = math.Exp(x) / sum
		}
		v.among(prob, int(l.label))
		all.AddPicture(prob, int(l.label))
	}
	e, err := v.matched.evaluation(all.Score(), v.within.Score())
	if err != nil || e.Images != 5 || e.Top1Error != 4./5 || e.Top5Error != 2./5 || e.Present != 6 ||
		e.PresentTop1Error != 3./5 || e.PresentTop5Error == nil || *e.PresentTop5Error != 1./5 ||
		e.PresentTop1ErrorInterval != stats.Wilson(3, 5) || *e.PresentTop5ErrorInterval != stats.Wilson(1, 5) {
		t.Errorf("%+v, top-5 of these %v, %v", e, e.PresentTop5Error, err)
	}
	v.present = v.present[:5]
	e, err = v.matched.evaluation(all.Score(), all.Score())
	if err != nil || e.PresentTop1Error != 4./5 || e.PresentTop5Error != nil || e.PresentTop5ErrorInterval != nil {
		t.Errorf("all of five outputs: %+v, %v", e, err)
	}
}

// TestRelabel: pictures get the checkpoint's labels; those without one keep that.
func TestRelabel(t *testing.T) {
	t.Parallel()
	r := relabel{from: fixed{labels: []int32{0, -1, 2, 0}}, labels: []int32{2, 1, 0}}
	if info, err := r.Next(); err != nil || !slices.Equal(info.Batch.Labels, []int32{2, -1, 0, 0}) {
		t.Errorf("relabelled %v, %v", info.Batch.Labels, err)
	}
}

// fixed feeds these labels, the last of which lies beyond the rows in use.
type fixed struct{ labels []int32 }

func (f fixed) Next() (data.Info, error) {
	return data.Info{Rows: len(f.labels) - 1, Batch: data.Rows{Labels: f.labels}}, nil
}
