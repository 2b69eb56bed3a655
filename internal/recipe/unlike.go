package recipe

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/config"
	"alexnet/internal/text"
)

// Difference is a key that a page and a recipe answer differently.
type Difference struct {
	Key          string // data.fit
	Page, Recipe string // what they say
}

// Unlike lists what a page says of the preparation of pictures where r does it otherwise, in the page's order. Of the
// mean it compares the kind, for its numbers are in no page; fit and interpolation count only where r resizes.
func (r *Recipe) Unlike(cfg *config.Config) (all []Difference) {
	page := New(cfg)
	say := func(key, asked, done string) {
		if asked != done {
			all = append(all, Difference{key, asked, done})
		}
	}
	say("data.resize", strconv.Itoa(page.Resize), strconv.Itoa(r.Resize))
	if r.Resize > 0 {
		say("data.fit", string(cmp.Or(page.Fit, config.CropFit)), string(cmp.Or(r.Fit, config.CropFit)))
		say("data.interpolation", string(cmp.Or(page.Interpolation, config.Antialiased)),
			string(cmp.Or(r.Interpolation, config.Antialiased)))
	}
	say("data.exif", string(cmp.Or(page.Exif, config.IgnoreExif)), string(cmp.Or(r.Exif, config.IgnoreExif)))
	say("data.mean", string(page.MeanKind), string(r.MeanKind))
	if !slices.Equal(page.Scale, r.Scale) {
		say("data.std", page.stds(), r.stds())
	}
	return all
}

// stds are the divisors, one a channel, as a page has them.
func (r *Recipe) stds() string {
	if len(r.Scale) == 0 {
		return "[]"
	}
	var each []string
	for _, s := range r.Scale {
		each = append(each, text.Plain(1/float64(s), 5))
	}
	return "[" + strings.Join(each, ", ") + "]"
}
