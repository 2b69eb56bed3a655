// Package stats says how sure a measured number is: the interval of an error rate, whether two nets differ on the same
// pictures, whether two groups of numbers differ at all. It is arithmetic on counts and numbers; what they were counted
// of, its callers know.
//
// Intervals are of 95%: over many measurements 19 in 20 hold the true value. The quantiles and the incomplete beta
// function are gonum's. Of the program the package imports philox only, for permutations.
package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// z is the normal quantile of a two-sided 95%: 1.95996.
var z = distuv.UnitNormal.Quantile(.975)

// Interval is where a number lies with 95% confidence.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Wilson is the interval of a rate of which k of n were counted, 0 <= k <= n: E. B. Wilson, "Probable inference, the
// law of succession, and statistical inference", JASA 22 (1927). Other than the rate plus and minus two standard errors
// it is right near 0 and 1 too. Where n is 0 nothing is known: 0 to 1.
func Wilson(k, n int) Interval {
	if n < 1 {
		return Interval{0, 1}
	}
	if k < 0 || k > n {
		panic(fmt.Sprintf("stats: %d of %d", k, n))
	}
	count, p := float64(n), float64(k)/float64(n)
	centre := p + z*z/(2*count)
	half := z * math.Sqrt(p*(1-p)/count+z*z/(4*count*count))
	in := Interval{(centre - half) / (1 + z*z/count), (centre + half) / (1 + z*z/count)}
	if k == 0 { // exact, where rounding leaves 1e-20
		in.Low = 0
	}
	if k == n {
		in.High = 1
	}
	return in
}

// Paired compares two classifiers on the same n pictures. Those that both get right, or both wrong, say nothing about
// which is better.
type Paired struct {
	N          int `json:"pictures"`
	FirstOnly  int `json:"first_only_wrong"`  // wrong by the first, right by the second: b
	SecondOnly int `json:"second_only_wrong"` // the other way round: c
}

// Exact is the two-sided p of McNemar's test: that b and c are as unequal as this, or more, if each picture that is
// judged differently fell to either side like a coin. With b + c = 0 it is 1. Q. McNemar, Psychometrika 12 (1947); the
// exact form: twice the binomial tail, at most 1.
func (p Paired) Exact() float64 {
	if p.FirstOnly == p.SecondOnly {
		return 1
	}
	return min(1, 2*p.tail())
}

// MidP is Exact less the probability of the very counts that were seen. The exact test is too cautious; this one keeps
// to its level and finds more: M. W. Fagerland, S. Lydersen, P. Laake, "The McNemar test for binary matched-pairs
// data", BMC Medical Research Methodology 13:91 (2013).
func (p Paired) MidP() float64 {
	if p.FirstOnly == p.SecondOnly { // both tails hold the middle
		return 1
	}
	return 2*p.tail() - p.coin().Prob(float64(min(p.FirstOnly, p.SecondOnly)))
}

// coin is what b, or c, would be by chance.
func (p Paired) coin() distuv.Binomial {
	return distuv.Binomial{N: float64(p.FirstOnly + p.SecondOnly), P: .5}
}

// tail is the probability of at most the smaller of b and c.
func (p Paired) tail() float64 { return p.coin().CDF(float64(min(p.FirstOnly, p.SecondOnly))) }

// Difference is by how much the error of the first is larger, (b-c)/n, and its interval: Wald's with Laplace's
// adjustment, a picture added to b and one to c, which unlike the plain one has a width where b = c = 0 too. D. G.
// Bonett, R. M. Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired
// data", Journal of Educational and Behavioral Statistics 37 (2012), as Fagerland, Lydersen and Laake recommend it
// (Statistics in Medicine 33, 2014). Where n is 0 nothing is known: 0, -1 to 1.
func (p Paired) Difference() (float64, Interval) {
	if p.N < 1 {
		return 0, Interval{-1, 1}
	}
	n := float64(p.N) + 2
	b, c := float64(p.FirstOnly+1)/n, float64(p.SecondOnly+1)/n
	half := z * math.Sqrt((b+c-(b-c)*(b-c))/n)
	return float64(p.FirstOnly-p.SecondOnly) / float64(p.N), Interval{max(b-c-half, -1), min(b-c+half, 1)}
}
