package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/config"
)

// TestLookNet: the paper's net is drawn with the numbers of its figure 2, but for conv1, of which the paper says
// 253,440: that is 55x48x96.
func TestLookNet(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "net.svg")
	n := document[lookNetResult](t, "look", "net", "--out", out)
	var neurons []int
	both := ""
	for _, l := range n.Layers {
		neurons = append(neurons, l.Neurons)
		if l.Inputs == "both" {
			both += l.Name + " "
		}
	}
	want := []int{150528, 290400, 186624, 64896, 64896, 43264, 4096, 4096, 1000}
	for i := range want {
		if i >= len(neurons) || neurons[i] != want[i] {
			t.Fatalf("neurons %v, want %v", neurons, want)
		}
	}
	if both != "conv3 fc6 fc7 fc8 " || n.Columns != 2 || n.Neurons != 659272 || n.Parameters != 60965224 {
		t.Errorf("%+v; %s", n, both)
	}
	svg, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{
		">290,400 neurons<", ">2 × 48x55x55<", ">kernels 3x11x11<", ">stride 4<", ">max-pooled 3/2 to 27x27<",
		">kernels 256x3x3<", ">dropout .5<", ">1,000 neurons<", ">softmax<",
	} {
		if !strings.Contains(string(svg), words) {
			t.Errorf("the drawing does not say %s", words)
		}
	}
}

// A net of one column, a layer that is off, a page of one's own with a hostile name.
func TestLookNetOfOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := filepath.Join(dir, `a"<b>&'`+"\n"+`<svg>.yaml`)
	cfg, err := config.Load("demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	yaml, err := cfg.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, yaml, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--config", "alexnet-one-column"},
		{"--config", "alexnet", "--set", "model.conv4=off"},
		{"--config", page},
	} {
		out := filepath.Join(dir, "net.svg")
		document[lookNetResult](t, append([]string{"look", "net", "--force", "--out", out}, args...)...)
		svg, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if s := string(svg); strings.Count(s, "</svg>") != 1 || strings.Contains(s, "<b>") ||
			strings.Contains(s, ">conv4<") && args[len(args)-1] == "model.conv4=off" {
			t.Errorf("%q: %.300s", args, s)
		}
	}
}
