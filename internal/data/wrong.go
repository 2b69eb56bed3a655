package data

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"alexnet/internal/imagenet"
	"alexnet/internal/text"
)

// labelError is an error of a picture's label, which says where that stands.
func (l *listing) labelError(root string, problem Problem, f Record, format string, args ...any) error {
	why := fmt.Errorf(format, args...)
	if l.where != nil {
		if where := l.where(f.Number); where != "" {
			why = fmt.Errorf("%s: %w", where, why)
		}
	}
	return &SourceError{Path: root, Problem: problem, Detail: cmp.Or(f.File, f.Name), Err: why}
}

// stand says of pictures, by their numbers, in which lines of a file their labels stand.
func (l *listing) stand(lines map[int32]int, file string) {
	before := l.where
	l.where = func(number int32) string {
		if line, is := lines[number]; is {
			return fmt.Sprintf("line %d of %s", line, text.Name(file))
		}
		if before == nil {
			return ""
		}
		return before(number)
	}
}

// stands tells whether a picture's label stands in a file, and not in the name of a folder.
func (l *listing) stands(f Record) bool {
	return l.webdataset || l.where != nil && l.where(f.Number) != ""
}

// unknown is the error of a picture of a class that training lacks.
func (l *listing) unknown(root string, p *part, f Record, all *parts) error {
	class := p.class(f.Name)
	if l.stands(f) {
		return l.labelError(root, BadLabel, f, "label %s, which no picture to train on has", text.Name(class))
	}
	if class == "images" && p == all.val && !slices.ContainsFunc(p.files, func(f Record) bool {
		return p.class(f.Name) != class
	}) {
		return &SourceError{Path: root, Problem: BadNotes, Detail: p.prefix + annotations, Err: fs.ErrNotExist}
	}
	return &SourceError{Path: root, Problem: UnknownClass, Detail: p.prefix + class}
}

// mixed is the error of a label in a list or a shard that is a word, where most pictures of its part have numbers.
func (l *listing) mixed(root string, all *parts) error {
	if !l.named && !l.truth {
		return nil
	}
	for _, p := range []*part{all.train, all.val, all.test} {
		numbers, first := 0, -1
		for i, f := range p.files {
			if _, is := numberOf(p.class(f.Name)); is {
				numbers++
			} else if first < 0 {
				first = i
			}
		}
		if first >= 0 && 2*numbers > len(p.files) {
			f := p.files[first]
			return l.labelError(root, BadLabel, f, "label %s, and %s of %s are numbers", text.Name(p.class(f.Name)),
				text.Grouped(int64(numbers)), text.Grouped(int64(len(p.files))))
		}
	}
	return nil
}

// wrong is the error of a number that the name of its picture contradicts, where those of most pictures, and most of
// the numbers, are in one of ILSVRC2012's orders: one wrong label must not make classes of their own of all.
func (l *listing) wrong(root string, n *numbering) error {
	if n.proofs == 0 {
		return nil
	}
	for _, order := range labelOrders {
		places, fit, first := order.classes(), 0, -1
		right, all := map[int]bool{}, map[int]bool{}
		for i := range n.files {
			wnid, ok := proven(path.Base(n.files[i].Name))
			if !ok {
				continue
			}
			k, _ := numberOf(n.class(n.files[i].Name))
			if all[k] = true; places[k] == wnid {
				right[k] = true
				fit++
			} else if first < 0 {
				first = i
			}
		}
		if first < 0 || 2*fit <= n.proofs || 2*len(right) <= len(all) || len(right) < 2 {
			continue
		}
		f := n.files[first]
		wnid, _ := proven(path.Base(f.Name))
		place, _ := imagenet.Place(wnid)
		k, _ := numberOf(n.class(f.Name))
		return l.labelError(root, Disagree, f,
			"its label is %d, its name says %s, which is %d of %s, as the labels of %s of %s say", k, wnid,
			order.of(place, imagenet.At(place)), order.says, text.Grouped(int64(fit)), text.Count(n.proofs, "file"))
	}
	return nil
}

// first is the first picture of a number.
func (n *numbering) first(number int) Record {
	i := slices.IndexFunc(n.files, func(f Record) bool {
		k, _ := numberOf(n.class(f.Name))
		return k == number
	})
	return n.files[max(i, 0)]
}

// areWNIDs tells whether all classes of a part are WNIDs of ILSVRC2012's.
func (p *part) areWNIDs() bool {
	return !slices.ContainsFunc(p.files, func(f Record) bool {
		_, known := imagenet.Place(p.class(f.Name))
		return !known
	})
}
