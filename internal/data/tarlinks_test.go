package data

import (
	"fmt"
	"maps"
	"testing"

	"alexnet/internal/files"
)

// TestOneLinkInTar: what is found out about a tar stays found out, where one of its entries is a link.
func TestOneLinkInTar(t *testing.T) {
	entries := []tarFile{
		{name: "a/1.png", raw: pngOf(t, 8, 8, 1)}, {name: "a/._1.png", raw: anyFile}, {name: "b/1.png", raw: anyFile},
	}
	var found [2]tarIndex
	for i := range found {
		raw := tarOf(t, entries)
		f, err := files.OS.Open(write(t, "x.tar", raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := found[i].read(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if found[i].size != int64(len(raw)) || found[i].last == 0 {
			t.Errorf("%d bytes, ends at %d of %d", found[i].size, found[i].last, len(raw))
		}
		entries = append(entries, tarFile{name: "b/2.png", sym: "1.png"})
	}
	plain, linked := found[0], found[1]
	if linked.last != plain.last+tarBlock || !maps.Equal(linked.leftovers, plain.leftovers) || len(linked.files) != 3 {
		t.Errorf("%+v, and without the link %+v", linked, plain)
	}
}

// TestLinksInClassTars: hard and symbolic links in the tar of a class lead to what lies in it, and each picture lies in
// that tar.
func TestLinksInClassTars(t *testing.T) {
	one := tarOf(t, []tarFile{
		{name: "n01440764_1.JPEG", raw: pngOf(t, 8, 8, 1)},
		{name: "n01440764_2.JPEG", link: "n01440764_1.JPEG"},
		{name: "n01440764_3.JPEG", sym: "/n01440764_1.JPEG"},
		{name: "n01440764_4.JPEG", sym: "n01440764_2.JPEG"},
		{name: "n01440764_5.JPEG", sym: "../n01443537/n01443537_1.JPEG"}, // as unpacked into folders of their names
	})
	two := tarOf(t, []tarFile{{name: "n01443537_1.JPEG", raw: pngOf(t, 8, 8, 2)}})
	whole := tarOf(t, []tarFile{{name: "n01440764.tar", raw: one}, {name: "n01443537.tar", raw: two}})
	for _, path := range []string{write(t, "x.tar", whole), write(t, "x.tar.gz", gzipOf(t, whole))} {
		src := openThrough(t, path)
		if src.Train.Len() != 6 || len(src.Unused) > 0 || src.Form != "a tar of a tar for each class" {
			t.Errorf("%v, unused %v, form %s", names(src.Train), src.Unused, src.Form)
		}
		for i, name := range names(src.Train)[:min(5, src.Train.Len())] {
			if want := fmt.Sprintf("n01440764.tar/n01440764_%d.JPEG", i+1); src.Train.File(i) != want {
				t.Errorf("%s lies in %s, want %s", name, src.Train.File(i), want)
			}
		}
		if err := src.Through(t.Context(), 0, func(p Taken) error {
			grey := uint8(1)
			if p.Index > 3 {
				grey = 2
			}
			if string(p.Raw) != string(pngOf(t, 8, 8, grey)) {
				t.Errorf("%s is another picture", src.Train.Name(p.Index))
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}
