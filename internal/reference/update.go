package reference

import "math"

// rule is the paper's update of one parameter: v = Momentum v - Decay LR w - LR g; w = w + v.
type rule[T Float] struct{ momentum, decay, lr T }

// next is the momentum that follows v.
func (u rule[T]) next(w, v, g T) T { return u.momentum*v - u.decay*u.lr*w - u.lr*g }

// stays tells whether the weights will be finite after the update, which it does not make.
func (u rule[T]) stays(w, v, g []T) bool {
	for i := range w {
		if !isFinite(w[i] + u.next(w[i], v[i], g[i])) {
			return false
		}
	}
	return true
}

// apply changes w and v.
func (u rule[T]) apply(w, v, g []T) {
	for i := range w {
		v[i] = u.next(w[i], v[i], g[i])
		w[i] += v[i]
	}
}

func isFinite[T Float](x T) bool {
	f := float64(x)
	return !math.IsNaN(f) && !math.IsInf(f, 0)
}

func allFinite[T Float](x []T) bool {
	for _, v := range x {
		if !isFinite(v) {
			return false
		}
	}
	return true
}
