package figure

import "image"

// Grid says where the tiles of a mosaic lie, row by row. Sizes are in pixels.
type Grid struct {
	Columns       int
	Width, Height int // of a tile
	Gap           int // between tiles, not around them
	Below         int // height of the place for words under each tile
}

// Size is that of a mosaic of n tiles.
func (g Grid) Size(n int) image.Point {
	columns, rows := min(n, g.Columns), (n+g.Columns-1)/g.Columns
	return image.Pt(max(columns*(g.Width+g.Gap)-g.Gap, 0), max(rows*(g.Height+g.Below+g.Gap)-g.Gap, 0))
}

// Tile is where tile i lies.
func (g Grid) Tile(i int) image.Rectangle {
	x, y := i%g.Columns*(g.Width+g.Gap), i/g.Columns*(g.Height+g.Below+g.Gap)
	return image.Rect(x, y, x+g.Width, y+g.Height)
}

// Under is where the words about tile i go.
func (g Grid) Under(i int) image.Rectangle {
	t := g.Tile(i)
	return image.Rect(t.Min.X, t.Max.Y, t.Max.X, t.Max.Y+g.Below)
}
