package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"path/filepath"

	"alexnet/internal/figure"
	"alexnet/internal/text"
)

// draw is the figure.
func (n *neighborhood) draw() *figure.Canvas {
	var rows []figure.Row
	for i, q := range n.found {
		words := []string{label(q.Class, q.Name), baseName(q.Image)}
		if q.Class == "" {
			words = words[1:]
		}
		rows = append(rows, figure.Row{First: cell(n.seen[i], words...), Then: n.cells(q.Neighbors)})
		if n.o.pixels {
			rows = append(rows, figure.Row{
				First: figure.Thumb{Words: []string{"nearest by pixels"}}, Then: n.cells(q.Pixels),
			})
		}
	}
	page := figure.Page{
		Title:  fmt.Sprintf("Nearest in %s of %s", text.Name(n.layer), netName(n.c)),
		Bodies: []image.Image{figure.Rows(rows, sideOf(n.seen[0]))},
		Notes: []string{fmt.Sprintf("First column: pictures asked about; beside each the %d nearest of %s, by the "+
			"Euclidean distance between %s of %s, which is written under each. Pictures are as the net sees them; "+
			"their colours have no scale.", min(neighborCount, n.index.Len()), text.Count(n.index.Len(), "picture"),
			text.Count(n.index.Dim(), "number"), text.Name(n.layer))},
	}
	if n.o.pixels {
		page.Notes = append(page.Notes, "Nearest by pixels: by the Euclidean distance between the pixels that the net "+
			"sees, each colour 0 to 255.")
	}
	return page.Draw()
}

// sideOf is the side of the figure's pictures: of small ones a multiple of theirs, so that all pixels are of one size.
func sideOf(m *image.RGBA) int {
	if side := m.Rect.Dx(); side < neighborSide {
		return neighborSide / side * side
	}
	return neighborSide
}

func (n *neighborhood) cells(found []neighborDocument) []figure.Thumb {
	cells := make([]figure.Thumb, len(found))
	for i, d := range found {
		cells[i] = cell(n.near[d.number], label(d.Class, d.Name), text.Plain(d.Distance, 4))
		if cells[i].Picture == nil {
			cells[i].Words = append(cells[i].Words, baseName(d.Image))
		}
	}
	return cells
}

// cell is a picture with words under it; nil is one that cannot be read any more.
func cell(m *image.RGBA, words ...string) figure.Thumb {
	if m == nil {
		return figure.Thumb{Missing: "not there any more", Words: words}
	}
	return figure.Thumb{Picture: m, Words: words}
}

// label is how a class is written under a picture.
func label(class text.Raw, name string) string { return text.Name(cmp.Or(name, string(class))) }

// baseName is the end of a path, how it is written under a picture.
func baseName(path text.Raw) string { return text.Name(filepath.Base(string(path))) }

// printNeighbors writes what was found for people.
func printNeighbors(w *bytes.Buffer, r *lookNeighborsResult) {
	lines := func(found []neighborDocument) {
		for i, d := range found {
			fmt.Fprintf(w, "  %d  %7s  %s  %s\n", i+1, text.Plain(d.Distance, 4), label(d.Class, d.Name),
				text.Name(d.Image))
		}
	}
	for _, q := range r.Queries {
		fmt.Fprintln(w, text.Name(q.Image))
		lines(q.Neighbors)
		if len(q.Pixels) > 0 {
			fmt.Fprintln(w, "  by pixels")
			lines(q.Pixels)
		}
	}
	fmt.Fprintln(w, text.Name(r.Out))
}
