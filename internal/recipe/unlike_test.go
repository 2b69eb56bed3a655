package recipe

import (
	"slices"
	"testing"

	"alexnet/internal/config"
)

// Each key of a page that a recipe does not do is named, with both values, and nothing else is.
func TestUnlike(t *testing.T) {
	all := map[string]Difference{
		"data.resize=0":             {"data.resize", "0", "32"},
		"data.fit=squash":           {"data.fit", "squash", "crop"},
		"data.interpolation=linear": {"data.interpolation", "linear", "antialiased"},
		"data.exif=ignore":          {"data.exif", "ignore", "apply"},
		"data.mean=channel":         {"data.mean", "channel", "image"},
		"data.std=[50, 60, 70]":     {"data.std", "[50, 60, 70]", "[]"},
	}
	cfg, err := config.Load("demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := New(cfg)
	if got := r.Unlike(cfg); got != nil {
		t.Errorf("a recipe and its own page: %v", got)
	}
	for set, want := range all {
		other, err := config.Load("demo", []string{set})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Unlike(other); !slices.Equal(got, []Difference{want}) {
			t.Errorf("%s: %v, want %v", set, got, want)
		}
		back := New(other)
		reverse := Difference{want.Key, want.Recipe, want.Page}
		if got := back.Unlike(cfg); !slices.Equal(got, []Difference{reverse}) {
			t.Errorf("%s in the recipe: %v, want %v", set, got, reverse)
		}
	}
	bare := r // of a file without the keys
	bare.Exif = ""
	if got := bare.Unlike(cfg); !slices.Equal(got, []Difference{{"data.exif", "apply", "ignore"}}) {
		t.Errorf("without the key: %v", got)
	}
}
