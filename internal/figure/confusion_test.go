package figure

import (
	"image/color"
	"strings"
	"testing"
)

// TestConfusion: a cell is as blue as the root of its share, where its row and column say, and bears its number; of
// more classes than pixels the largest share of a square is seen.
func TestConfusion(t *testing.T) {
	m := Confusion{
		Names: []string{"a", strings.Repeat("long ", 100), "c"}, Totals: []int{4, 100, 0},
		Cells: []Cell{{0, 0, 4}, {1, 2, 1}, {1, 1, 99}},
	}
	c := m.Draw()
	left, top := Small.Width(Small.Cut("1  "+m.Names[1], namesWide))+margin/2, Small.Height()+margin/4
	at := func(row, column int) color.RGBA { // near a corner, where no number is
		return c.RGBAAt(left+column*cellWide+3, top+row*cellHigh+3)
	}
	if got := at(0, 0); got != Blue {
		t.Errorf("a whole row is %v, want %v", got, Blue)
	}
	want := color.RGBA{229, 241, 247, 255} // a tenth of the way from white to blue: the root of .01
	if got := at(1, 2); abs(got.R, want.R) > 1 || abs(got.G, want.G) > 1 || abs(got.B, want.B) > 1 {
		t.Errorf("a share of .01 is %v, want %v", got, want)
	}
	if at(0, 1) != Paper || at(2, 1) != Paper || at(2, 0) != Paper {
		t.Error("an empty cell has a colour")
	}
	for row := range 3 { // of one colour, or with a number on it
		for column := range 3 {
			bare := true
			for dx := 4; dx < cellWide-4; dx++ {
				for dy := 4; dy < cellHigh-4; dy++ {
					bare = bare && c.RGBAAt(left+column*cellWide+dx, top+row*cellHigh+dy) == at(row, column)
				}
			}
			if numbered := row == column && row < 2 || row == 1 && column == 2; bare == numbered {
				t.Errorf("row %d, column %d: bare is %t", row, column, bare)
			}
		}
	}
	many := Confusion{Names: make([]string, 3000), Totals: make([]int, 3000)}
	for i := range many.Totals {
		many.Totals[i] = 1
	}
	many.Cells = []Cell{{299, 2999, 1}}
	c, left = many.Draw(), Small.Width("2950  ")+margin/2 // every fiftieth is named
	if c.Rect.Dx() > matrixSide+left+1 || c.RGBAAt(left+999, top+99) != Blue || c.RGBAAt(left+998, top+99) != Paper ||
		c.RGBAAt(left+999, top+100) != Paper {
		t.Errorf("%v of 3,000 classes", c.Rect)
	}
	one := Confusion{Names: []string{"all"}, Totals: []int{1}, Cells: []Cell{{0, 0, 1}}}
	if one.Draw().RGBAAt(left+3, top+3) != Blue {
		t.Error("one class")
	}
}

func abs(a, b uint8) int { return max(int(a)-int(b), int(b)-int(a)) }
