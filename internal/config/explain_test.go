package config

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every key is told once, with the line of the page, the override that gave it last, the key that it follows, or
// "default".
func TestExplain(t *testing.T) {
	c, entries, err := Explain("caffenet", []string{
		"train.batch=32", "train.batch=64", "train.schedule={kind: steps, epochs: [3]}", "model.conv1.init.std=0.02",
		"model.conv4=off", "model.fc6.lr=0",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range entries {
		if _, twice := got[e.Key]; twice {
			t.Errorf("%s is told twice", e.Key)
		}
		from, _, _ := strings.Cut(e.From(), ":")
		if e.Override {
			from = "override " + from
		}
		got[e.Key] = e.Text() + " " + from
	}
	for key, want := range map[string]string{
		"model.columns": "1 caffenet.yaml", "model.classes": "0 default", "model.input.size": "227 caffenet.yaml",
		"model.conv1.kernels": "96 caffenet.yaml", "model.conv1.kind": "conv caffenet.yaml",
		"model.conv1.groups": "1 default", "model.conv1.init.std": "0.02 override model.conv1.init.std=0.02",
		"model.conv1.init.bias": "0 caffenet.yaml",
		"model.conv1.lr":        "1 default", "model.conv1.weight_decay": "0.0005 train.weight_decay",
		"model.conv1.bias_lr": "2 train.bias_lr", "model.fc6.lr": "0 override model.fc6.lr=0",
		"model.fc7.bias_lr": "0.5 caffenet.yaml", "model.fc8.units": "0 model.classes",
		"model.lrn1.k": "1 caffenet.yaml", "model.drop6.rate": "0.5 caffenet.yaml",
		"model.prob.kind": "softmax caffenet.yaml", "train.batch": "64 override train.batch=64",
		"train.schedule.epochs": "[3] override train.schedule={kind", "train.schedule.patience": "5 default",
		"train.seed": "1 caffenet.yaml", "data.std": "[] default",
		"data.retry": "5m default", "data.bad_share": "0.01 default",
		"data.shuffle": "full default", "data.window": "16 default", "data.cache": "10 default",
	} {
		if got[key] != want {
			t.Errorf("%s: %q, want %q", key, got[key], want)
		}
	}
	if slices.ContainsFunc(entries, func(e Entry) bool { return strings.HasPrefix(e.Key, "model.conv4.") }) {
		t.Error("conv4 is off, and told of")
	}
	again, err := Load("caffenet", []string{
		"train.batch=64", "train.schedule.epochs=[3]", "model.conv1.init.std=0.02", "model.conv4=off", "model.fc6.lr=0",
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(again, c); diff != "" {
		t.Error(diff)
	}
}

// The line is that of the key in the page.
func TestExplainLines(t *testing.T) {
	for _, name := range Names() {
		file, page, err := read(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(page), "\n")
		_, entries, err := Explain(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		given := 0
		for _, e := range entries {
			_, key := splitKey(e.Key)
			if e.Line == 0 {
				continue
			}
			if given++; e.Source != file || !strings.Contains(lines[e.Line-1], key+":") {
				t.Errorf("%s: %s at %s, which is %q", name, e.Key, e.From(), lines[e.Line-1])
			}
			if _, err := json.Marshal(e.Value); err != nil || (e.Value == nil) != (e.Key == "train.checkpoint_steps") {
				t.Errorf("%s: %s is %v as JSON, %v", name, e.Key, e.Value, err)
			}
		}
		if given < 50 {
			t.Errorf("%s: %d keys have a line", name, given)
		}
	}
}

// What Keys gives can be set: each key to the value that it has.
func TestKeysCanBeSet(t *testing.T) {
	for _, name := range Names() {
		base, entries, err := Explain(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		keys, layers, err := Keys(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		// all but fc8 and prob
		if diff := cmp.Diff(layerNames(base.Model.Layers)[:len(base.Model.Layers)-2], layers); diff != "" {
			t.Error(diff)
		}
		for _, e := range entries {
			if !slices.Contains(keys, e.Key) || e.Follows != "" || e.Value == nil {
				continue
			}
			if _, err := Load(name, []string{e.Key + "=" + e.Text()}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestDiffer: what differs between two pages is named, whole layers by their name.
func TestDiffer(t *testing.T) {
	plain, err := Load("alexnet", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ sets, want []string }{
		{nil, nil},
		{[]string{"train.lr=0.01"}, nil}, // as it is
		{[]string{"train.lr=0.5", "data.std=[3]"}, []string{"train.lr", "data.std"}},
		{[]string{"model.conv2.init.std=0.5", "model.fc7.lr=2"}, []string{"model.conv2.init.std", "model.fc7.lr"}},
		{[]string{"model.conv4=off", "model.input.size=225"}, []string{"model.input.size", "model.conv4"}},
		{[]string{"train.schedule.kind=constant"}, []string{"train.schedule.kind"}},
	} {
		other, err := Load("alexnet", c.sets)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range [][]string{Differ(plain, other), Differ(other, plain)} {
			if !slices.Equal(got, c.want) {
				t.Errorf("%v: %v differ, want %v", c.sets, got, c.want)
			}
		}
	}
	turned := *plain
	turned.Model.Layers = slices.Clone(plain.Model.Layers)
	slices.Reverse(turned.Model.Layers)
	if got := Differ(plain, &turned); !slices.Equal(got, []string{"model.layers"}) {
		t.Errorf("layers in another order: %v", got)
	}
}
