package modeltest

import (
	"math"
	"strconv"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/golden"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
)

// trail is what the file says about the ten steps.
type trail struct {
	steps, batch, pool, height, width int
	pictures                          string
	scale                             float32
}

func readTrail(t testing.TB, f *golden.File) trail {
	t.Helper()
	r := trail{pictures: f.Text("pictures")}
	for key, v := range map[string]any{
		"steps": &r.steps, "batch": &r.batch, "pool": &r.pool, "height": &r.height, "width": &r.width,
		"scale": &r.scale,
	} {
		f.Meta(t, key, v)
	}
	return r
}

// Steps trains testdata/small.yaml for ten steps: crops, flips, colour, a mean image, dropout, momentum, decay, the
// biases' own rate. sets change the page as --set does, to see what the golden notices.
func Steps(t testing.TB, devs []device.Device, sets []string) *Deviations {
	t.Helper()
	f := golden.Open(t, stepsFile)
	cfg, err := config.Parse(smallPage, sets)
	must(t, err)
	r := readTrail(t, f)
	in := recipe.Recipe{
		Height: r.height, Width: r.width, Mean: r.mean(), Scale: []float32{r.scale, r.scale, r.scale},
	}
	g := open(t, f, cfg, devs, model.Options{Rows: r.batch, Train: true, Input: in})
	defer g.close()
	params := g.model.Arch().Params
	start := make([][]float32, len(params))
	for i := range params {
		start[i] = g.param(i, device.Weight)
	}
	d := &Deviations{Change: map[string]float64{}, Momentum: map[string]float64{}}
	want := f.Tensor(t, "losses")
	for step := range r.steps {
		g.step(cfg, r, step)
		d.Loss = append(d.Loss, math.Abs(g.loss(g.train, r.batch)/float64(want[step])-1))
	}
	must(t, g.train.Sync())
	for i := range params {
		now := g.param(i, device.Weight)
		for k := range now {
			now[k] -= start[i][k] // exact where a weight changed by less than half
		}
		d.Change[params[i].Name] = f.Deviation(t, "change."+params[i].Name, now)
		d.Momentum[params[i].Name] = f.Deviation(t, "momentum."+params[i].Name, g.param(i, device.Momentum))
	}
	return d
}

// step is one of the ten: forward, back, update.
func (g *opened) step(cfg *config.Config, r trail, step int) {
	g.t.Helper()
	b := g.train.Stage()
	for row := range r.batch {
		r.row(g.f, b, row, (step*r.batch+row)%r.pool, cfg.Model.Input.Size)
	}
	g.train.Forward(b, g.stepPass(cfg.Train, r, step))
	g.train.Backward()
	g.train.Update()
}

func (g *opened) stepPass(c config.Train, r trail, step int) model.Pass {
	p := model.Pass{
		Seed: g.f.Seed, Step: uint64(step), First: uint64(step * r.batch), Rows: r.batch, Divisor: float32(r.batch),
		Momentum: float32(c.Momentum),
	}
	for _, info := range g.model.Arch().Params {
		lr, decay := c.LR, c.WeightDecay
		if info.Bias {
			lr, decay = c.LR*c.BiasLR, c.BiasDecay
		}
		p.LR, p.Decay = append(p.LR, float32(lr)), append(p.Decay, float32(decay))
	}
	return p
}

// row stages picture n with its draws; scripts/golden.py: steps_rows.
func (r trail) row(f *golden.File, b *device.Batch, row, n, crop int) {
	size := r.height * r.width * 3
	name := r.pictures + "." + strconv.Itoa(n)
	f.Picture(name, r.height, r.width, 6, b.Pixels[row*size:][:size])
	w := f.Words(name+".augment", 8)
	b.Crop[row] = [2]int32{int32(w[0] % uint32(r.height-crop+1)), int32(w[1] % uint32(r.width-crop+1))}
	b.Flip[row] = w[2]&1 == 1
	for c := range 3 {
		b.Color[row][c] = (float32(w[3+c]%65) - 32) / 4
	}
	b.Labels[row] = int32(f.Words(r.pictures+".labels", r.pool)[n] % 10)
}

// mean is a mean image (3, height, width): 100 + 10 c + y/4 + x/8.
func (r trail) mean() []float32 {
	m := make([]float32, 0, 3*r.height*r.width)
	for c := range 3 {
		for y := range r.height {
			for x := range r.width {
				m = append(m, 100+10*float32(c)+float32(y)/4+float32(x)/8)
			}
		}
	}
	return m
}
