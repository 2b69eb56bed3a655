package train

import (
	"cmp"
	"context"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/recipe"
)

// measure goes over the training pictures once and completes the page's recipe: the pictures' size, the mean that is
// subtracted, and the principal components of colour for the noise. With strict, the first unreadable picture ends it.
func measure(ctx context.Context, cfg *config.Config, set *data.Set, strict bool, onBad func(*data.BadPicture)) (
	recipe.Recipe, error,
) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var first error // unreadable, with strict
	r, err := data.Measure(ctx, set, recipe.New(cfg), cfg.Data.Workers, func(b *data.BadPicture) {
		onBad(b)
		if strict && first == nil {
			first = b
			cancel()
		}
	})
	return r, cmp.Or(first, err)
}
