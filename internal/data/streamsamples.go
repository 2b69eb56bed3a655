package data

import (
	"io"
	"slices"
	"strings"
)

// streamSamples are the samples of a WebDataset in a stream, as they come. Of their notes, KEY.json, one a class is
// wanted: those of the first sample by name, as of a tar that is read in place. Notes whose class is not known yet are
// kept until it is.
type streamSamples struct {
	class  map[string]string        // by key
	unsure map[string]member        // notes of keys without a class so far
	first  map[string]notesOfSample // by class
}

// notesOfSample are the notes of a sample.
type notesOfSample struct {
	key   string
	notes member
}

// before tells whether the sample is that of a key, or comes before it by name.
func (n notesOfSample) before(key string) bool { return n.key+"." <= key+"." }

// sampleNotesRead are notes of samples of all tars in a stream. Where they are too many, none is kept: then nothing
// names the classes.
type sampleNotesRead struct {
	notes map[int64][]byte // by their places
	bytes int64
	many  bool
}

// maxNotes is how much the notes of samples may take: one for each of ImageNet's 22 thousand classes takes less.
const maxNotes = 32 << 20

// read reads notes. Those that are longer than others are ever looked at are not kept.
func (n *sampleNotesRead) read(m member, content io.Reader) error {
	if m.span.size > maxJSON {
		return nil
	}
	raw, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	if n.bytes += m.span.size; n.bytes > maxNotes {
		n.notes, n.many = nil, true
		return nil
	}
	if n.notes == nil {
		n.notes = map[int64][]byte{}
	}
	n.notes[m.span.off] = raw
	return nil
}

func (n *sampleNotesRead) drop(m member) {
	n.bytes -= int64(len(n.notes[m.span.off]))
	delete(n.notes, m.span.off)
}

func newStreamSamples() *streamSamples {
	return &streamSamples{map[string]string{}, map[string]member{}, map[string]notesOfSample{}}
}

// meet takes a label or notes of a sample in a tar.
func (s *streamSamples) meet(all *sampleNotesRead, of *tarIndex, m member, content io.Reader) error {
	key, ext := sampleKey(m.name)
	class, known := s.class[key]
	switch {
	case ext == wdsLabel:
		class = strings.TrimSpace(of.labels[m.span.off])
		s.class[key] = class
		if notes, waits := s.unsure[key]; waits {
			delete(s.unsure, key)
			s.take(all, class, notesOfSample{key, notes})
		}
		return nil
	case ext != wdsNotes || all.many:
		return nil
	}
	if first, there := s.first[class]; known && there && first.before(key) {
		return nil
	}
	if err := all.read(m, content); err != nil {
		return err
	}
	if known {
		s.take(all, class, notesOfSample{key, m})
	} else {
		s.unsure[key] = m
	}
	return nil
}

// take keeps the notes of the first sample of a class, and drops others.
func (s *streamSamples) take(all *sampleNotesRead, class string, one notesOfSample) {
	first, there := s.first[class]
	if there && first.before(one.key) {
		all.drop(one.notes)
		return
	}
	if there {
		all.drop(first.notes)
	}
	s.first[class] = one
}

// end leaves out of a tar's index what notes of samples are not wanted.
func (s *streamSamples) end(all *sampleNotesRead, of *tarIndex) {
	for _, m := range s.unsure {
		all.drop(m)
	}
	wanted := map[int64]bool{}
	for _, one := range s.first {
		wanted[one.notes.span.off] = true
	}
	of.aside = slices.DeleteFunc(of.aside, func(m member) bool {
		_, ext := sampleKey(m.name)
		return ext == wdsNotes && !noteworthy(m.name) && !wanted[m.span.off]
	})
}
