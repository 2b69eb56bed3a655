// Package backend holds what backends share: the order in which a program runs and how long its memory is in use, the
// packing of memory by that, what a program does with its values, and the refusal of calls that the contract forbids.
//
// It knows no memory and no library: a backend tells it sizes and times and gets places, tells it calls and gets an
// answer. It may import package device, nothing else of the program.
package backend

import "alexnet/internal/device"

// Walk is the order in which a program of so many ops runs, as times: op i runs forward at time i and backward at time
// 2n-1-i. Time -1 is before all of it, 2n after.
type Walk int

// Backward is the time at which an op's gradient runs.
func (w Walk) Backward(op int) int { return 2*int(w) - 1 - op }

// Always is the life of what is never free for others.
func (w Walk) Always() Life { return Life{-1, 2 * int(w)} }

// Never is the life of what does not exist.
func (w Walk) Never() Life { return Life{2 * int(w), -1} }

// Life is the time from the first to the last use of a piece of memory, both included.
type Life struct{ First, Last int }

// At is the life of what is in use at one time.
func At(time int) Life { return Life{time, time} }

// Extend makes the life reach to a time.
func (l *Life) Extend(time int) { l.First, l.Last = min(l.First, time), max(l.Last, time) }

// Meets tells that two lives have a time in common.
func (l Life) Meets(m Life) bool { return l.First <= m.Last && m.First <= l.Last }

// Gradients tells whether a program computes any.
func Gradients(p *device.Program) bool { return p.Train || p.InputGrad }

// Use is what a program does with one of its values.
type Use struct {
	Reader device.Spec // its consumer besides Sends; nil: there is none
	Sends  int         // that it is the input of
	Kept   bool        // named in Keep
	Input  bool        // the program's input
	Wants  bool        // it needs a gradient
}

// Backward tells whether op i of a program has a gradient to run.
func Backward(p *device.Program, i int) bool { return Gradients(p) && i >= p.Frozen }

// Uses tells it of all values.
func Uses(p *device.Program) []Use {
	uses := make([]Use, len(p.Values))
	frozen := make([]bool, len(p.Values))
	for _, spec := range p.Ops[:p.Frozen] {
		if v := spec.Base().Out; v != device.None {
			frozen[v] = true
		}
	}
	for i := range uses {
		v := device.Value(i)
		input := v == p.Input.Value
		uses[i] = Use{Kept: p.Kept(v), Input: input, Wants: Gradients(p) && !frozen[i] && (!input || p.InputGrad)}
	}
	for _, spec := range p.Ops {
		for _, v := range spec.Base().In {
			if _, ok := spec.(*device.Send); ok {
				uses[v].Sends++
			} else {
				uses[v].Reader = spec
			}
		}
	}
	return uses
}
