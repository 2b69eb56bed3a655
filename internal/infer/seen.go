package infer

import (
	"context"
	"image"
	"iter"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/recipe"
)

// RecipeOf is a checkpoint's recipe with the crop that its net sees, as data.Pictures.Seen wants it. A page that does
// not fit is a *checkpoint.BadPage.
func RecipeOf(c *checkpoint.Checkpoint) (recipe.Recipe, error) {
	cfg, err := c.Page(nil)
	if err != nil {
		return recipe.Recipe{}, err
	}
	r, err := c.Recipe.For(cfg.Model.Input)
	if err != nil {
		return recipe.Recipe{}, &checkpoint.BadPage{Path: c.Path, Err: err}
	}
	return r, nil
}

// Seen are pictures as the net sees them: data.Pictures.Seen by its recipe.
func (p *Predictor) Seen(ctx context.Context, images *data.Pictures) iter.Seq2[*image.RGBA, error] {
	return images.Seen(ctx, &p.net.recipe, p.patience)
}
