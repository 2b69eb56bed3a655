package data

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// TestNotesOfSamplesInGzip: the notes of samples name the classes of a tar in gzip as they do those of the tar, in
// whatever order the files of samples lie in it.
func TestNotesOfSamplesInGzip(t *testing.T) {
	var labels, pictures, notes, sorted, before []tarFile
	for i := range 6 {
		key, class := fmt.Sprintf("s%d", 5-i), i%2
		label := tarFile{name: key + ".cls", raw: []byte{byte('0' + class)}}
		picture := tarFile{name: key + ".png", raw: pngOf(t, 8, 8, uint8(i))}
		note := tarFile{name: key + ".json", raw: []byte([]string{`{"class": "cat"}`, `{"class": "dog"}`}[class])}
		if i < 2 { // neither the first by name
			note.raw = []byte(`{"class": "other"}`)
		}
		labels, pictures, notes = append(labels, label), append(pictures, picture), append(notes, note)
		sorted, before = append(sorted, label, picture, note), append(before, note, picture, label)
	}
	long := slices.Clone(sorted)
	long[14].raw = append(bytes.Repeat([]byte(" "), maxJSON), long[14].raw...) // of s1, the first of a class
	for name, c := range map[string]struct {
		entries []tarFile
		want    string
	}{
		"sorted":              {sorted, "[cat dog]"},
		"notes before":        {before, "[cat dog]"},
		"notes at the end":    {slices.Concat(labels, pictures, notes), "[cat dog]"},
		"notes at the front":  {slices.Concat(notes, pictures, labels), "[cat dog]"},
		"a note of no sample": {append([]tarFile{{name: "x.json", raw: notes[0].raw}}, sorted...), "[cat dog]"},
		"too long":            {long, "[0 1]"},
		"none":                {slices.Concat(labels, pictures), "[0 1]"},
	} {
		raw := tarOf(t, c.entries)
		want := open(t, write(t, "x.tar", raw), 0, 1)
		outer := tarOf(t, []tarFile{{name: "x.tar", raw: raw}})
		for form, path := range map[string]string{
			"gzip": write(t, "x.tar.gz", gzipOf(t, raw)), "a tar in gzip": write(t, "y.tar.gz", gzipOf(t, outer)),
			"a zip": write(t, "x.zip", zipOf(t, []tarFile{{name: "x.tar", raw: raw}})),
		} {
			got := openThrough(t, path)
			if got.Fingerprint != want.Fingerprint || fmt.Sprint(got.Classes) != c.want ||
				!maps.Equal(passed(t, got), content(t, want)) {
				t.Errorf("%s in %s: classes %v, of the tar %v; want %s", name, form, got.Classes, want.Classes, c.want)
			}
		}
	}
}

// TestManyNotesOfSamples: notes that are wanted by nobody take no more than a bound.
func TestManyNotesOfSamples(t *testing.T) {
	var all sampleNotesRead
	of, samples, raw := &tarIndex{}, newStreamSamples(), make([]byte, maxJSON)
	most := 0
	for i := range maxNotes/maxJSON + 2 {
		m := member{fmt.Sprintf("%d.json", i), extent{int64(i), maxJSON}}
		if err := samples.meet(&all, of, m, bytes.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
		of.aside = append(of.aside, m)
		most = max(most, len(all.notes)*maxJSON)
	}
	samples.end(&all, of)
	if most != maxNotes || !all.many || len(all.notes) > 0 || len(of.aside) > 0 {
		t.Errorf("%d bytes, then %d, %v; %d in the index", most, len(all.notes), all.many, len(of.aside))
	}
}
