package ui

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"alexnet/internal/text"
)

// Column of a table. When the terminal is too narrow the columns with the highest Drop go first; those with 0 stay.
type Column struct {
	Head  string
	Right bool // for numbers; text stands on the left and may be shortened
	Drop  int
}

// Table lays out rows of text. Without a Head in any column it has no line of heads.
type Table struct {
	Columns []Column
	rows    [][]string
}

// Add adds a row, a cell for each column. What cells hold may be names: they are written, and measured, as text.Name.
func (t *Table) Add(cells ...string) { t.rows = append(t.rows, text.Names(cells)) }

const gap = 2 // spaces between columns

// Write prints the table within width (0: as wide as it needs to be).
func (t *Table) Write(w *bytes.Buffer, width int) {
	shown := make([]int, len(t.Columns))
	for i := range shown {
		shown[i] = i
	}
	widths := t.widths()
	for width > 0 && total(shown, widths) > width {
		worst := slices.MaxFunc(shown, func(a, b int) int { return t.Columns[a].Drop - t.Columns[b].Drop })
		if t.Columns[worst].Drop == 0 {
			t.shrink(shown, widths, width)
			break
		}
		shown = slices.DeleteFunc(shown, func(i int) bool { return i == worst })
	}
	rows := t.rows
	if heads := t.heads(); slices.ContainsFunc(heads, func(h string) bool { return h != "" }) {
		rows = append([][]string{heads}, rows...)
	}
	for _, row := range rows {
		w.WriteString(t.line(row, shown, widths) + "\n")
	}
}

func (t *Table) heads() []string {
	heads := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		heads[i] = c.Head
	}
	return heads
}

func (t *Table) widths() []int {
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = utf8.RuneCountInString(c.Head)
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	return widths
}

// Width is how many characters a line of these columns, by number, takes when nothing is shortened.
func (t *Table) Width(columns ...int) int { return total(columns, t.widths()) }

func total(shown, widths []int) int {
	n := gap * (len(shown) - 1)
	for _, i := range shown {
		n += widths[i]
	}
	return n
}

// shrink takes what is too much from the widest column that is not a number.
func (t *Table) shrink(shown, widths []int, width int) {
	widest := -1
	for _, i := range shown {
		if !t.Columns[i].Right && (widest < 0 || widths[i] > widths[widest]) {
			widest = i
		}
	}
	if widest >= 0 {
		widths[widest] = max(4, widths[widest]-(total(shown, widths)-width))
	}
}

func (t *Table) line(row []string, shown, widths []int) string {
	cells := make([]string, len(shown))
	for k, i := range shown {
		cell := text.Shorten(row[i], widths[i])
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if t.Columns[i].Right {
			cells[k] = pad + cell
		} else {
			cells[k] = cell + pad
		}
	}
	return strings.TrimRight(strings.Join(cells, strings.Repeat(" ", gap)), " ")
}
