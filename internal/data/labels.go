package data

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"alexnet/internal/imagenet"
)

// annotations is the file in which Tiny ImageNet labels its validation pictures, which lie together in one folder.
const annotations = "val_annotations.txt"

// builtIn are the labels of package imagenet.
const builtIn = "built in, of ILSVRC2012's validation pictures"

// label gives pictures whose class stands elsewhere than in a folder's name the names that they would have in class
// folders, so that a set has the same names, and hence the same order, in each of its forms:
//
//   - ILSVRC2012's validation pictures, loose at the top or in a folder for validation, by the built-in labels, where
//     the other pictures are in folders of WNIDs or there are none;
//   - Tiny ImageNet's, by val_annotations.txt beside them;
//   - those of the older form on Hugging Face, loose likewise, by the WNIDs at the ends of their names, which are left
//     out of them.
func (l *listing) label(root, around string, t *truth) error {
	if t != nil {
		if err := l.apply(root, around, t); err != nil {
			return err
		}
	}
	notes := map[string]map[string]annotation{} // by the folder of the annotations: file to class
	for _, name := range l.notes {
		inside, ok := strings.CutPrefix(name, around)
		if !ok || path.Base(inside) != annotations {
			continue
		}
		if part, is := partOf(path.Dir(inside)); !is || part != ValPart {
			continue
		}
		classes, err := l.annotated(name)
		if err != nil {
			return &SourceError{Path: root, Problem: BadNotes, Detail: inside, Err: err}
		}
		notes[path.Dir(inside)] = classes
	}
	lines := map[int32]int{} // of annotations, by the number of a picture
	known, wnids, built := imagenet.All(), l.wnids(), false
	for i := range l.files {
		f := &l.files[i]
		dir, base := path.Split(f.Name)
		dir = strings.TrimSuffix(dir, "/")
		if classes, ok := notes[path.Dir(dir)]; ok && path.Base(dir) == "images" {
			f.File = cmp.Or(f.File, f.Name)
			note, ok := classes[base]
			if !ok {
				return &SourceError{
					Path: root, Problem: NoLabel, Detail: f.File, Err: fmt.Errorf("%s has no line of it", annotations),
				}
			}
			f.Name, l.labelled, l.labels = path.Join(path.Dir(dir), note.class, base), true, annotations
			lines[f.Number] = note.line
			continue
		}
		part, is := partOf(dir)
		if dir != "" && !is {
			continue
		}
		if rest, wnid, ends := endsInWNID(base); ends {
			f.File = cmp.Or(f.File, f.Name)
			f.Name = path.Join(dir, wnid, rest)
			continue
		}
		if dir != "" && part != ValPart {
			continue
		}
		if place, ok := imagenet.Validation(base); ok && wnids {
			f.File = cmp.Or(f.File, f.Name)
			if dir == "" {
				dir = string(ValPart)
			}
			f.Name, l.labelled, built = path.Join(dir, known[place].WNID, base), true, true
			l.labels = builtIn
		}
	}
	if len(lines) > 0 {
		l.stand(lines, annotations)
	}
	for _, note := range l.notes {
		if built && slices.Contains(truths, path.Base(note)) {
			if err := l.compare(root, note); err != nil {
				return err
			}
		}
	}
	return nil
}

// endsInWNID takes n01440764_10026_n01440764.JPEG apart: the name without the WNID at its end, and that. What follows
// the last dot are letters. It is asked of every picture.
func endsInWNID(base string) (rest, wnid string, is bool) {
	key, ext, dotted := cutLast(base, '.')
	if !dotted || !letters(ext) || strings.Contains(base, "\n") {
		return "", "", false
	}
	before, wnid, _ := cutLast(key, '_')
	if before == "" || !isWNID(wnid) {
		return "", "", false
	}
	return before + "." + ext, wnid, true
}

// cutLast cuts a text at the last of a sign in it.
func cutLast(s string, sign byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, sign)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// letters tells whether a text is of these, from A to Z, large or small.
func letters(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return (r|0x20) < 'a' || (r|0x20) > 'z' })
}

// wnids tells whether pictures lie in folders of WNIDs, or of numbers that the pictures' names tell those of, or all
// are loose ones for validation.
func (l *listing) wnids() bool {
	loose := true
	for _, f := range l.files {
		for part := range strings.SplitSeq(path.Dir(f.Name), "/") {
			if _, known := imagenet.Place(part); known {
				return true
			}
			if _, number := numberOf(part); number {
				if _, tells := proven(path.Base(f.Name)); tells {
					return true
				}
			}
		}
		dir, base := path.Split(f.Name)
		part, is := partOf(strings.TrimSuffix(dir, "/"))
		_, label := imagenet.Validation(base)
		loose = loose && label && (dir == "" || is && part == ValPart)
	}
	return loose
}

// annotation is a line of annotations.
type annotation struct {
	class string
	line  int
}

// annotated reads annotations: a line a picture, with tabs between its file's name, its class and a box.
func (l *listing) annotated(name string) (map[string]annotation, error) {
	raw, err := l.aside(name)
	if err != nil {
		return nil, err
	}
	classes, n := map[string]annotation{}, 0
	for line := range bytes.Lines(raw) {
		n++
		fields := strings.Split(strings.TrimRight(string(line), "\r\n"), "\t")
		if len(fields) == 1 && fields[0] == "" {
			continue
		}
		if len(fields) < 2 || fields[0] == "" || fields[1] == "" || strings.ContainsAny(fields[0]+fields[1], "/\x00") {
			return nil, fmt.Errorf("line %d: want a file, a tab and a class", n)
		}
		classes[fields[0]] = annotation{fields[1], n}
	}
	if len(classes) == 0 {
		return nil, errors.New("it is empty")
	}
	return classes, nil
}
