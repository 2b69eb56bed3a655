package infer

import (
	"fmt"
	"testing"

	"alexnet/internal/stats"
)

// TestTabulation: of a thousand classes the most confused pairs are kept, of many mistakes the most confident, earlier
// ones first where they are as confident; of one class there is nothing to confuse.
func TestTabulation(t *testing.T) {
	t.Parallel()
	const classes, pictures = 1000, 5000
	tab, names := newTabulation(setOf(t, make([]int, classes)...), classes), make([]string, classes)
	for i := range names {
		names[i] = fmt.Sprintf("class %d", i)
	}
	tab.set = setOf(t, pictures)
	tab.add(Answer{Number: 4999, Label: 999, Answer: 500, Rank: 1})
	for n := range pictures { // label 0 to 999, five times; a label below 10 is always taken for the next
		a := Answer{Number: n, Label: n % classes, Answer: n % classes, Probability: .5}
		if a.Label < 10 || n < 2*classes {
			a.Answer, a.Rank, a.Probability = (a.Label+1)%classes, 1+n%7, float64(n%100)/100
		}
		tab.add(a)
	}
	o := tab.outcome(names, false)
	if all := tab.outcome(names, true); len(all.Confusions) != classes+1 {
		t.Errorf("%d of all pairs", len(all.Confusions))
	}
	if o.Pairs != classes+1 || len(o.Confusions) != MostConfused || o.Confusions[0] != (Confusion{0, 1, 5}) ||
		o.Confusions[9] != (Confusion{9, 10, 5}) || o.Confusions[10] != (Confusion{10, 11, 2}) {
		t.Errorf("%d pairs, %d kept: %v", o.Pairs, len(o.Confusions), o.Confusions[:11])
	}
	if c := o.Classes[3]; c.Images != 5 || c.Top1Errors != 5 || c.Answered != 5 || c.Top1Error != 1 ||
		c.Top1ErrorInterval != stats.Wilson(5, 5) || string(c.Class) != "class 3" {
		t.Errorf("%+v", c)
	}
	if len(o.Mistakes) != MostConfident {
		t.Fatalf("%d mistakes", len(o.Mistakes))
	}
	for i, m := range o.Mistakes { // 20 have .99: every hundredth of the first 2,000
		want := 99 + 100*i
		if i >= 20 {
			want = 98 + 100*(i-20)
		}
		if m.Number != want || string(m.File) != tab.set.File(want) {
			t.Errorf("mistake %d is %+v, want picture %d", i, m, want)
		}
	}
	one := newTabulation(setOf(t, 3), 1)
	for n := range 3 {
		one.add(answerOf([]float64{1}, 0, 0, n))
	}
	if o := one.outcome([]string{"all"}, false); o.Pairs != 0 || o.Confusions == nil || o.Mistakes == nil ||
		o.Classes[0].Images != 3 || o.Classes[0].Top1ErrorInterval != stats.Wilson(0, 3) {
		t.Errorf("one class: %+v", o)
	}
}

// TestAnswerOf: where fp32 has rounded two probabilities to the same number the rank says which class was the answer.
func TestAnswerOf(t *testing.T) {
	t.Parallel()
	prob := []float64{.4, .4, .2}
	for _, c := range []struct{ label, rank, answer int }{{0, 0, 0}, {1, 0, 1}, {1, 1, 0}, {0, 1, 1}, {2, 2, 0}} {
		a := answerOf(prob, c.label, c.rank, 7)
		want := Answer{7, c.label, c.answer, c.rank, prob[c.answer], prob[c.label]}
		if a != want {
			t.Errorf("%+v, want %+v", a, want)
		}
	}
	j := &juror{outputs: []int32{0, 1, 2, 3, 4, 5, 6}, mean: make([]float64, 7)}
	j.prob = []float32{.5, .5, 0, 0, 0, 0, 0}
	for _, c := range []struct {
		label       int
		wrong1, top float32
		rank        int
	}{{0, 1, 0, 1}, {1, 0, 0, 0}, {6, 1, 0, 4}, {2, 1, 1, 5}} {
		j.stats = []float32{1, c.wrong1, c.top}
		if rank := j.look(c.label, 0, 1); rank != c.rank {
			t.Errorf("label %d with %v: rank %d, want %d", c.label, j.stats, rank, c.rank)
		}
	}
	if s := j.sum.Score(); s.Images != 4 || s.Top1Error != 3./4 || s.Top5Error != 1./4 {
		t.Errorf("%+v", s)
	}
}
