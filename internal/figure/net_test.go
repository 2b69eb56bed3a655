package figure

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// twoColumns has a layer that reads its own column, one that reads both, and one for both.
func twoColumns() *Net {
	return &Net{
		Title: `</title><script>alert("1")</script> & more`, Rows: 2, Notes: []string{"a note"},
		Blocks: []Block{
			{Name: "input", Side: 64, Maps: 3, Whole: true},
			{Name: "conv1", Side: 16, Maps: 25, Window: 4, Of: 64, Lines: []string{`<b>"'`}},
			{Name: "conv2", Side: 16, Maps: 100, Window: 4, Of: 8},
			{Name: "conv3", Side: 4, Maps: 4, Both: true, Window: 2, Of: 8},
			{Name: "fc4", Maps: 100, Both: true},
			{Name: "fc5", Maps: 10, Both: true, Whole: true},
		},
	}
}

// TestNetLines: blocks are in proportion, and lines cross where a layer reads both columns and nowhere else.
func TestNetLines(t *testing.T) {
	d := twoColumns().layOut()
	if len(d.Blocks) != 1+2*4+1 {
		t.Fatalf("%d blocks", len(d.Blocks))
	}
	if a, b, c := d.Blocks[1], d.Blocks[3], d.Blocks[5]; a.H != b.H || a.H != 2*c.H || b.W != 2*a.W {
		t.Errorf("maps of side 16, 16 and 4 are %g, %g and %g high; 25 and 100 of them are %g and %g wide", a.H, b.H,
			c.H, a.W, b.W)
	}
	// Four lines go from a window's corners, one from what is read whole.
	want := map[string]int{"input conv1": 8, "conv1 conv2": 8, "conv2 conv3": 16, "conv3 fc4": 4, "fc4 fc5": 2}
	crossed := map[string]int{"conv2 conv3": 8, "conv3 fc4": 2}
	got, crossing := map[string]int{}, map[string]int{}
	for _, l := range d.Lines {
		from, to := blockAt(d, l.X1, l.Y1), blockAt(d, l.X2+3, l.Y2)
		if from == nil || to == nil {
			t.Fatalf("a line from nowhere or to it: %+v", l)
		}
		pair := from.Title + " " + to.Title
		got[pair]++
		if from.Row != to.Row && from.Row != "whole" && to.Row != "whole" {
			crossing[pair]++
		}
	}
	for pair, n := range want {
		if got[pair] != n || crossing[pair] != crossed[pair] {
			t.Errorf("%s: %d lines, %d of them cross; want %d and %d", pair, got[pair], crossing[pair], n,
				crossed[pair])
		}
	}
	if len(got) != len(want) {
		t.Errorf("lines %v", got)
	}
}

// blockAt is the block at a point.
func blockAt(d *netDrawing, x, y float64) *netBlock {
	for i := range d.Blocks {
		if b := &d.Blocks[i]; x >= b.X && x <= b.X+b.W+b.Aside && y >= b.Y-b.Up && y <= b.Y+b.H {
			return b
		}
	}
	return nil
}

// TestNetSVG: whatever words are, the file is well-formed, has no script, and says them as text.
func TestNetSVG(t *testing.T) {
	var b bytes.Buffer
	n := twoColumns()
	if err := n.svg(&b); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"prefers-color-scheme: dark", "viewBox="} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("no %s in it", part)
		}
	}
	words := map[string]bool{}
	in := xml.NewDecoder(bytes.NewReader(b.Bytes()))
	element := ""
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			if element = x.Name.Local; element == "script" || element == "b" {
				t.Errorf("element %s", element)
			}
		case xml.CharData:
			words[element+": "+string(x)] = true
		}
	}
	for _, want := range []string{
		"title: " + n.Title, "text: " + n.Title, `text: <b>"'`, "text: conv3", "text: a note",
	} {
		if !words[want] {
			t.Errorf("no %s in %v", want, words)
		}
	}
}
