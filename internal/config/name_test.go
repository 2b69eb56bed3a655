package config

import "testing"

func TestNameOf(t *testing.T) {
	for _, n := range Names() {
		c, err := Load(n, []string{"model.classes=7", "train.lr=0.5"})
		if err != nil {
			t.Fatal(err)
		}
		if got, same := NameOf(c.Model); got != n || !same {
			t.Errorf("%s with 7 classes is taken for %q, the same: %v", n, got, same)
		}
		page, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if c, err = Parse(page, nil); err != nil {
			t.Fatal(err)
		}
		if got, same := NameOf(c.Model); got != n || !same {
			t.Errorf("%s written out and read again is taken for %q, the same: %v", n, got, same)
		}
	}
	for _, c := range []struct{ page, set, want string }{
		{"demo", "model.conv1.kernels=32", "demo"}, {"demo", "model.lrn1=off", ""},
	} {
		changed, err := Load(c.page, []string{c.set})
		if err != nil {
			t.Fatal(err)
		}
		if got, same := NameOf(changed.Model); got != c.want || same {
			t.Errorf("%s with %s is taken for %q, the same: %v; want %q", c.page, c.set, got, same, c.want)
		}
	}
}
