package main

import (
	"fmt"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data/picture"
	"alexnet/internal/ui"
)

// checkDecoder warns where JPEGs are decoded by another decoder than those that the net was trained on: many pixels are
// some levels off then. With strict it refuses.
func checkDecoder(c *checkpoint.Checkpoint, strict bool, t *ui.Terminal) error {
	was, is := c.Recipe.Decoder, picture.JPEGDecoder()
	if was == "" || was == is {
		return nil
	}
	if !strict {
		t.Warn("the net was trained on JPEGs as %s decodes them, here %s does: pixels are not quite the same", was, is)
		return nil
	}
	next := "omit --strict to go on with pixels that are not quite the same"
	if was == picture.Turbo {
		next = installTurbo + ", or " + next
	}
	return advise(exitFailed, next,
		fmt.Errorf("%s: the net was trained on JPEGs as %s decodes them, here %s does", c.Path, was, is))
}
