package main

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"alexnet/internal/text"
)

// column of a table. When the terminal is too narrow the columns with the highest drop go first; those with 0 stay.
type column struct {
	head  string
	right bool
	drop  int
}

// table lays out rows of text.
type table struct {
	columns []column
	rows    [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

const gap = 2 // spaces between columns

// write prints the table within width (0: as wide as it needs to be).
func (t *table) write(w *bytes.Buffer, width int) {
	shown := make([]int, len(t.columns))
	for i := range shown {
		shown[i] = i
	}
	widths := t.widths()
	for width > 0 && total(shown, widths) > width {
		worst := slices.MaxFunc(shown, func(a, b int) int { return t.columns[a].drop - t.columns[b].drop })
		if t.columns[worst].drop == 0 {
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

func (t *table) heads() []string {
	heads := make([]string, len(t.columns))
	for i, c := range t.columns {
		heads[i] = c.head
	}
	return heads
}

func (t *table) widths() []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = utf8.RuneCountInString(c.head)
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	return widths
}

func total(shown, widths []int) int {
	n := gap * (len(shown) - 1)
	for _, i := range shown {
		n += widths[i]
	}
	return n
}

// shrink takes what is too much from the widest column that is not a number.
func (t *table) shrink(shown, widths []int, width int) {
	widest := -1
	for _, i := range shown {
		if !t.columns[i].right && (widest < 0 || widths[i] > widths[widest]) {
			widest = i
		}
	}
	if widest >= 0 {
		widths[widest] = max(4, widths[widest]-(total(shown, widths)-width))
	}
}

func (t *table) line(row []string, shown, widths []int) string {
	cells := make([]string, len(shown))
	for k, i := range shown {
		cell := text.Shorten(row[i], widths[i])
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if t.columns[i].right {
			cells[k] = pad + cell
		} else {
			cells[k] = cell + pad
		}
	}
	return strings.TrimRight(strings.Join(cells, strings.Repeat(" ", gap)), " ")
}
