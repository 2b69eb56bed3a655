package schedule

import (
	"encoding/json"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/model"
	"alexnet/internal/step/steptest"
)

// rateRow is what a schedule must say from some epoch on, as absolute rates for train.lr .01 and bias_lr 2, which
// reaches the first layer's and the other layers' weights and biases.
type rateRow struct {
	done                                 int
	conv1, conv1Bias, others, othersBias float64
	color                                bool
}

func checkRates(t *testing.T, kind config.Schedule, p Plateau, row rateRow) {
	t.Helper()
	cfg := steptest.Page(t)
	m, err := cfg.Model.ForClasses(10)
	if err != nil {
		t.Fatal(err)
	}
	arch, err := model.New(m, true)
	if err != nil {
		t.Fatal(err)
	}
	r := At(kind, p, row.done)
	lr, decay := make([]float32, len(arch.Params)), make([]float32, len(arch.Params))
	r.Apply(arch, cfg.Train, lr, decay)
	want := map[string]float64{
		"conv1.weight": row.conv1, "conv1.bias": row.conv1Bias,
		"fc2.weight": row.others, "fc2.bias": row.othersBias, "fc3.weight": row.others, "fc3.bias": row.othersBias,
	}
	for i, p := range arch.Params {
		if !steptest.Near(float64(lr[i]), want[p.Name]) {
			t.Errorf("after %d epochs the lr of %s is %g, want %g", row.done, p.Name, lr[i], want[p.Name])
		}
		if d := map[bool]float32{false: .0005, true: 0}[p.Bias]; decay[i] != d {
			t.Errorf("decay of %s is %g, want %g", p.Name, decay[i], d)
		}
	}
	if r.Color != row.color {
		t.Errorf("after %d epochs colour noise is %v, want %v", row.done, r.Color, row.color)
	}
}

func TestAuthors2012(t *testing.T) {
	kind := config.Schedule{Kind: "authors2012"}
	for _, row := range []rateRow{
		{0, 1e-2, 2e-2, 1e-2, 2e-2, true},
		{22, 1e-2, 2e-2, 1e-2, 2e-2, true},
		{23, 1e-3, 2e-2, 1e-3, 2e-2, true},
		{50, 1e-3, 2e-2, 1e-3, 2e-2, true},
		{51, 1e-4, 2e-2, 1e-4, 2e-2, true},
		{67, 1e-4, 2e-2, 1e-4, 2e-2, true},
		{68, 1e-5, 2e-2, 1e-4, 2e-2, false},
		{71, 1e-5, 2e-2, 1e-4, 2e-2, false},
		{72, 0, 0, 1e-4, 2e-2, false},
		{77, 0, 0, 1e-4, 2e-2, false},
		{78, 0, 0, 1e-5, 2e-2, false},
		{92, 0, 0, 1e-5, 2e-2, false},
	} {
		checkRates(t, kind, Plateau{}, row)
	}
}

func TestSteps(t *testing.T) {
	kind := config.Schedule{Kind: "steps", Factor: .1, Epochs: []int{2, 5}}
	for _, row := range []rateRow{
		{0, 1e-2, 2e-2, 1e-2, 2e-2, true},
		{1, 1e-2, 2e-2, 1e-2, 2e-2, true},
		{2, 1e-3, 2e-3, 1e-3, 2e-3, true},
		{4, 1e-3, 2e-3, 1e-3, 2e-3, true},
		{5, 1e-4, 2e-4, 1e-4, 2e-4, true},
		{90, 1e-4, 2e-4, 1e-4, 2e-4, true},
	} {
		checkRates(t, kind, Plateau{}, row)
	}
}

func TestConstant(t *testing.T) {
	kind := config.Schedule{Kind: "constant", Factor: .1, Epochs: []int{1}, Patience: 1, Drops: 3}
	var p Plateau
	for range 5 {
		if p.See(kind, .5) {
			t.Error("constant dropped")
		}
	}
	checkRates(t, kind, p, rateRow{50, 1e-2, 2e-2, 1e-2, 2e-2, true})
}

// TestPlateau walks through a validation curve by hand: patience 2, at most 3 drops. A run that is resumed after any
// epoch goes on alike.
func TestPlateau(t *testing.T) {
	cfg := config.Schedule{Kind: "plateau", Factor: .1, Patience: 2, Drops: 3}
	var p Plateau
	for epoch, c := range []struct {
		top1 float64
		drop bool
		lr   float64 // of the weights, from then on
	}{
		{.90, false, 1e-2}, // the first is the lowest
		{.80, false, 1e-2},
		{.80, false, 1e-2}, // equal is no improvement: 1
		{.85, true, 1e-3},  // 2: drop
		{.81, false, 1e-3}, // not below .80: 1
		{.79, false, 1e-3}, // new low
		{.79, false, 1e-3},
		{.79, true, 1e-4},
		{.79, false, 1e-4},
		{.79, true, 1e-5},
		{.79, false, 1e-5},
		{.79, false, 1e-5}, // no fourth drop
		{.79, false, 1e-5},
		{.10, false, 1e-5},
	} {
		if got := p.See(cfg, c.top1); got != c.drop {
			t.Errorf("epoch %d: dropped %v, want %v", epoch, got, c.drop)
		}
		checkRates(t, cfg, p, rateRow{epoch, c.lr, 2 * c.lr, c.lr, 2 * c.lr, true})
		p = resumed(t, p)
	}
}

// resumed is p as a checkpoint gives it back.
func resumed(t *testing.T, p Plateau) (again Plateau) {
	t.Helper()
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	return again
}

// TestLayerRates: a layer's own lr multiplies, its bias_lr and weight_decay replace, and biases keep bias_decay.
func TestLayerRates(t *testing.T) {
	cfg := steptest.Page(t, "model.fc2.lr=0.5", "model.fc2.weight_decay=0.03", "model.fc3.lr=4",
		"model.fc3.bias_lr=0.25",
		"model.conv1.bias_lr=0", "train.bias_decay=0.001")
	m, err := cfg.Model.ForClasses(10)
	if err != nil {
		t.Fatal(err)
	}
	arch, err := model.New(m, true)
	if err != nil {
		t.Fatal(err)
	}
	lr, decay := make([]float32, len(arch.Params)), make([]float32, len(arch.Params))
	At(config.Schedule{Kind: "constant"}, Plateau{}, 0).Apply(arch, cfg.Train, lr, decay)
	want := map[string][2]float32{
		"conv1.weight": {.01, .0005}, "conv1.bias": {0, .001},
		"fc2.weight": {.005, .03}, "fc2.bias": {.01, .001},
		"fc3.weight": {.04, .0005}, "fc3.bias": {.01, .001}, // .01 x 4 x .25
	}
	for i, p := range arch.Params {
		if got := [2]float32{lr[i], decay[i]}; got != want[p.Name] {
			t.Errorf("%s: lr, decay %v, want %v", p.Name, got, want[p.Name])
		}
	}
}
