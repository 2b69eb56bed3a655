package selftest

import (
	"cmp"
	"context"
	"math"
	"slices"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/philox"
	"alexnet/internal/recipe"
)

// A central difference's error is about h^2 = 6e-11 from what is cut off and 1e-15/h = 1e-10 from rounding of the loss:
// see the tests of package reference, whose step is 1e-5. A power of two is exact on the float32 that parameters are
// stored as.
const (
	stepSize       = 1. / (1 << 17) // 7.6e-6
	differenceGate = 1e-6
)

const (
	pictures    = 2
	leastChecks = 4   // of each tensor, or all its numbers
	mostChecks  = 100 // of each tensor
	// effort is how many multiply-adds the differences of a net may take, if leastChecks do not take more: some
	// seconds.
	effort = 12e9
	draws  = 5 // see Gradients
)

// GradientOptions say whose gradients to check.
type GradientOptions struct {
	Config   *config.Config
	Double   device.Device   // computes in float64
	Devices  []device.Device // whose fp32 gradients are compared with it
	Progress func(done, total int)
}

// GradientCheck is what came out for one tensor of parameters.
type GradientCheck struct {
	Name    string `json:"name"`
	Shape   []int  `json:"shape"`
	Numbers int    `json:"numbers"` // in the tensor
	Checked int    `json:"checked"` // by differences
	Skipped int    `json:"skipped"` // their step switched a ReLU or a maximum
	// Difference compares float64 gradients and differences, over the numbers checked; Device the device's fp32
	// gradients and the float64 ones, over all.
	Difference Deviation `json:"difference"`
	Device     Deviation `json:"device"`
	Verdict    string    `json:"verdict"`
}

// Verdicts. Undecided: nothing could be checked, or nothing that could be has a gradient.
const (
	Passed    = "ok"
	Failed    = "FAILED"
	Undecided = "undecided"
)

// Gradients checks a net's gradients, tensor by tensor. A device may fail by bad luck: where a ReLU's input is closer
// to 0 than fp32 can tell, or two pixels of a window that close to each other, one unit among 1e5 switches and the
// gradient is off by 1e-3. So weights are drawn anew, up to five times, until the device is right; a device that
// computes wrong is so with all of them. drawn tells how many times it took.
func Gradients(ctx context.Context, o GradientOptions) (checks []GradientCheck, drawn int, err error) {
	g, err := openGradients(o)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if e := g.double.close(); err == nil {
			err = e
		}
	}()
	for right := false; !right && drawn < draws; {
		if err := ctx.Err(); err != nil {
			return nil, drawn, err
		}
		drawn++
		if err := g.draw(uint64(drawn)); err != nil {
			return nil, drawn, err
		}
		if right, err = g.compare(); err != nil {
			return nil, drawn, err
		}
	}
	return g.checks, drawn, g.differences(ctx)
}

// gradients is a check under way.
type gradients struct {
	GradientOptions
	arch    *model.Arch
	double  *tinyNet
	weights [][]float32
	grads   [][]float32 // of the float64 net, rounded
	choices uint64
	checks  []GradientCheck
}

func openGradients(o GradientOptions) (*gradients, error) {
	page := *o.Config
	page.Model.Layers = slices.Clone(page.Model.Layers)
	for i := range page.Model.Layers {
		l := &page.Model.Layers[i]
		l.LR, l.Freeze = nil, false // gradients of what the page keeps from learning, too
	}
	arch, err := model.Of(&page, 0)
	if err != nil {
		return nil, err
	}
	g := &gradients{GradientOptions: o, arch: arch}
	g.double, err = openWhole(arch, []device.Device{o.Double})
	return g, err
}

// openWhole makes a training net of the whole page.
func openWhole(arch *model.Arch, devs []device.Device) (*tinyNet, error) {
	s := &tinyNet{}
	var err error
	if s.model, err = model.Open(arch, devs); err != nil {
		return nil, err
	}
	in := arch.Input
	by := recipe.Recipe{Height: in.H, Width: in.W}
	for range in.C { // pixels spread by 74; the input by 4.6, so that the normalisation's squares count
		by.Mean, by.Scale = append(by.Mean, 127.5), append(by.Scale, 1./16)
	}
	s.net, err = s.model.Compile(model.Options{
		Rows: pictures, Train: true, Keep: []string{lastLayer(arch).Name}, Input: by,
	})
	if err != nil {
		_ = s.model.Close() // it holds nothing yet
		return nil, err
	}
	if err := s.net.Alloc(); err != nil {
		_ = s.close() // the first failure counts
		return nil, err
	}
	return s, nil
}

// lastLayer is the last layer with weights, which gives the logits.
func lastLayer(a *model.Arch) *model.Layer {
	var last *model.Layer
	for i := range a.Layers {
		if len(a.Layers[i].Params) > 0 {
			last = &a.Layers[i]
		}
	}
	return last
}

// draw sets the float64 net to weights of a seed, of which every layer's output is about as large as its input and the
// logits about 1, and computes its gradients.
func (g *gradients) draw(seed uint64) error {
	g.weights = make([][]float32, len(g.arch.Params))
	for i := range g.arch.Layers {
		l := &g.arch.Layers[i]
		for _, p := range l.Params {
			info := g.arch.Params[p]
			info.Std = .2
			if !info.Bias {
				info.Std = 1 / math.Sqrt(float64(info.Len()/info.Shape[0]))
				if l.Act == config.ReLU { // which halves the sum of squares
					info.Std *= math.Sqrt2
				}
			}
			info.Bias = false // drawn as well
			g.weights[p] = make([]float32, info.Len())
			info.Initial(seed, g.weights[p])
		}
	}
	if err := g.double.pass(g.weights); err != nil {
		return err
	}
	logits := make([]float32, pictures*g.arch.Classes)
	last := lastLayer(g.arch)
	if err := g.double.net.Fetch(last.Name, false, logits); err != nil {
		return err
	}
	size := math.Sqrt(sumSquares(logits) / float64(len(logits)))
	for _, p := range last.Params {
		for k := range g.weights[p] {
			g.weights[p][k] /= float32(size)
		}
	}
	if err := g.double.pass(g.weights); err != nil {
		return err
	}
	g.choices = g.double.net.Choices()
	var err error
	g.grads, err = g.double.gradients()
	return err
}

func sumSquares(x []float32) float64 {
	sum := 0.
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

// pass stores weights and runs forward and back over pictures of noise, the same on every device.
func (s *tinyNet) pass(weights [][]float32) error {
	for i, w := range weights {
		if err := s.model.Store(i, device.Weight, w); err != nil {
			return err
		}
	}
	b, r := s.net.Stage(), philox.NewSource(1, philox.PurposeTest, 1, 0)
	for i := range b.Pixels {
		b.Pixels[i] = uint8(r.Uint32())
	}
	for i := range b.Labels {
		b.Labels[i] = int32(i)
	}
	s.net.Forward(b, model.Pass{Seed: 1, Rows: pictures, Divisor: pictures})
	s.net.Backward()
	return s.net.Sync()
}

func (s *tinyNet) gradients() ([][]float32, error) {
	params := s.model.Arch().Params
	all := make([][]float32, len(params))
	for i := range params {
		all[i] = make([]float32, params[i].Len())
		if err := s.model.Fetch(i, device.Gradient, all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// compare fills checks with the device's deviations, and tells whether all are within the gate.
func (g *gradients) compare() (right bool, err error) {
	s, err := openWhole(g.arch, g.Devices)
	if err != nil {
		return false, err
	}
	defer func() {
		if e := s.close(); err == nil {
			err = e
		}
	}()
	if err := s.pass(g.weights); err != nil {
		return false, err
	}
	got, err := s.gradients()
	if err != nil {
		return false, err
	}
	g.checks, right = nil, true
	for i := range g.arch.Params {
		info := &g.arch.Params[i]
		c := GradientCheck{
			Name: info.Name, Shape: info.Shape, Numbers: info.Len(), Device: *deviation(got[i:i+1], g.grads[i:i+1],
				gradientGate),
		}
		right = right && c.Device.ok()
		g.checks = append(g.checks, c)
	}
	return right, nil
}

// differences checks a sample of every tensor.
func (g *gradients) differences(ctx context.Context) error {
	total, tensors := 0, len(g.arch.Params)
	samples := make([][]int, tensors)
	var behind int64 // multiply-adds from the layer on
	for i := len(g.arch.Layers) - 1; i >= 0; i-- {
		l := &g.arch.Layers[i]
		behind += l.MACs
		for _, p := range l.Params {
			n := int(effort / float64(tensors) / float64(2*pictures*behind))
			samples[p] = g.sample(p, min(max(n, leastChecks), mostChecks))
			total += len(samples[p])
		}
	}
	done := 0
	for i := range g.arch.Layers {
		for _, p := range g.arch.Layers[i].Params {
			err := g.tensor(p, g.firstStep(g.arch.Layers[i].Name), samples[p], func() error {
				if done++; g.Progress != nil {
					g.Progress(done, total)
				}
				return ctx.Err()
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// firstStep is the first step of a layer: the values that it reads are not changed by its own parameters.
func (g *gradients) firstStep(layer string) int {
	plan := g.double.net.Plan()
	for i := range plan.Order {
		if name, exchange := plan.StepName(i); name == layer && !exchange {
			return i
		}
	}
	return 0
}

// sample chooses n different numbers of a tensor, or all where there are no more: half of them anywhere, half those
// with the largest gradients among many, for a tensor behind dropout and ReLU may have none in most places.
func (g *gradients) sample(p, n int) []int {
	size := g.arch.Params[p].Len()
	if size <= n {
		all := make([]int, size)
		for i := range all {
			all[i] = i
		}
		return all
	}
	r := philox.NewSource(1, philox.PurposeTest, 2, uint32(p))
	pool := make([]int, 64*n)
	for i := range pool {
		pool[i] = r.Intn(size)
	}
	anywhere, rest := pool[:n/2], pool[n/2:]
	slices.SortStableFunc(rest, func(a, b int) int {
		return -cmp.Compare(math.Abs(float64(g.grads[p][a])), math.Abs(float64(g.grads[p][b])))
	})
	var chosen []int
	for _, i := range append(anywhere[:n/2:n/2], rest...) {
		if len(chosen) < n && !slices.Contains(chosen, i) {
			chosen = append(chosen, i)
		}
	}
	return chosen
}

// tensor checks the sampled numbers of one parameter.
func (g *gradients) tensor(p, from int, sample []int, done func() error) error {
	c := &g.checks[p]
	w := g.weights[p]
	var diff, norm float64
	for _, i := range sample {
		was := w[i]
		w[i] = was + stepSize
		up, same, err := g.loss(p, from)
		if err != nil {
			return err
		}
		high := w[i]
		w[i] = was - stepSize
		down, sameDown, err := g.loss(p, from)
		if err != nil {
			return err
		}
		low := w[i]
		w[i] = was
		if err := done(); err != nil {
			return err
		}
		if !same || !sameDown {
			c.Skipped++
			continue
		}
		c.Checked++
		want := (up - down) / (float64(high) - float64(low))
		off := float64(g.grads[p][i]) - want
		diff, norm = diff+off*off, norm+want*want
	}
	c.judge(diff, norm)
	_, _, err := g.loss(p, from) // leaves the values behind as they were
	return err
}

func (c *GradientCheck) judge(diff, norm float64) {
	c.Difference = Deviation{Gate: differenceGate}
	if norm > 0 {
		c.Difference.Relative = math.Sqrt(diff / norm)
	}
	switch {
	case !c.Difference.ok(), !c.Device.ok(), norm == 0 && diff > 0:
		c.Verdict = Failed
	case norm == 0:
		c.Verdict = Undecided
	default:
		c.Verdict = Passed
	}
}

// loss computes it anew from a step on, with parameter p as g.weights has it, and tells whether the choices are those
// of the analytic gradient.
func (g *gradients) loss(p, from int) (loss float64, same bool, err error) {
	if err := g.double.model.Store(p, device.Weight, g.weights[p]); err != nil {
		return 0, false, err
	}
	for i := from; i < len(g.double.net.Plan().Order); i++ {
		g.double.net.ForwardStep(i)
	}
	stats := make([]float64, 3*pictures)
	if err := g.double.net.Stats64(stats); err != nil {
		return 0, false, err
	}
	for r := range pictures {
		loss += stats[3*r] / pictures
	}
	return loss, g.double.net.Choices() == g.choices, nil
}
