// Package imagenet knows the 1000 classes of ILSVRC2012 and the labels of its 50,000 validation pictures, so that
// pictures that carry a WNID or a number in their names need no development kit.
//
// Three orders of the classes are in use, and none of the 1000 has the same place in all: by WNID (Caffe, torchvision,
// timm, Hugging Face, this program), by ILSVRC2012_ID (the development kit, cuda-convnet2, darknet, the test server),
// and whatever folders' names sort to. Classes are keyed by WNID here, because "crane" is two of them.
//
// classes.tsv and validation.bin are made by scripts/imagenet.py, which also compares them with second sources; NOTICE
// says whose work they are.
package imagenet

import (
	_ "embed"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Counts of ILSVRC2012. Each class has as many of the validation pictures, and 732 to 1300 of those to train on.
const (
	Classes     = 1000
	Trainings   = 1_281_167
	Validations = 50_000
	FewestTrain = 732
)

//go:embed classes.tsv
var classes string

//go:embed validation.bin
var validation string

// Class is one of the classes.
type Class struct {
	WNID     string // its WordNet 3.0 synset: n and 8 digits
	ID       int    // its ILSVRC2012_ID, 1 to 1000
	Name     string // short, and no other class's
	Synonyms string // all words of the synset, with commas between them
}

var parsed = sync.OnceValue(func() []Class {
	all := make([]Class, 0, Classes)
	for line := range strings.Lines(classes) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		id, err := strconv.Atoi(f[1])
		if err != nil {
			panic(err) // embedded, and held by a test
		}
		all = append(all, Class{f[0], id, f[2], f[3]})
	}
	return all
})

// All are the classes in order of WNID. The slice is the caller's.
func All() []Class { return slices.Clone(parsed()) }

// At is the class at a place among All.
func At(place int) Class { return parsed()[place] }

// Place is the class's place among All, false where the WNID is none of the 1000.
func Place(wnid string) (int, bool) {
	return slices.BinarySearchFunc(parsed(), wnid, func(c Class, w string) int { return strings.Compare(c.WNID, w) })
}

// Name is the short name of the class with the WNID, and whatever else it is given itself: the keys of other classes
// are their names.
func Name(wnid string) string {
	if i, ok := Place(wnid); ok {
		return parsed()[i].Name
	}
	return wnid
}

var validationName = regexp.MustCompile(`^ILSVRC2012_val_([0-9]{8})\.[A-Za-z]+$`)

// Validation is the class, as its place among All, of a validation picture by the base name of its file, such as
// ILSVRC2012_val_00000001.JPEG. Other names, and numbers outside of 1 to Validations, are false.
func Validation(base string) (int, bool) {
	m := validationName.FindStringSubmatch(base)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n < 1 || n > Validations {
		return 0, false
	}
	bit := 10 * (n - 1) // 10 bits each, the lowest bit first: two bytes hold all of them
	pair := int(validation[bit/8]) | int(validation[bit/8+1])<<8
	return pair >> (bit % 8) & 1023, true
}
