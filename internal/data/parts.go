package data

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"alexnet/internal/text"
)

// Part is a share of the data, by what it is for: to train on, to choose the best net and the learning rate by, and to
// measure with once all is chosen.
type Part string

// The parts.
const (
	TrainPart Part = "train"
	ValPart   Part = "val"
	TestPart  Part = "test"
)

// partNames are the names that folders of a part have, in small letters: ImageNet's and those of other programs.
var partNames = map[string]Part{
	"train": TrainPart, "training": TrainPart,
	"val": ValPart, "valid": ValPart, "validation": ValPart,
	"test": TestPart, "testing": TestPart,
	// what ILSVRC2012's tars are called, unpacked into folders of their names
	"ilsvrc2012_img_train": TrainPart, "ilsvrc2012_img_val": ValPart, "ilsvrc2012_img_test": TestPart,
}

func partOf(folder string) (Part, bool) {
	p, is := partNames[strings.ToLower(folder)]
	return p, is
}

// Unused is something among the pictures that belongs to no part.
type Unused struct {
	Why      UnusedReason
	Name     string // of a folder, with a slash at the end; of loose pictures and links, the first one's; of an archive
	Pictures int    // or links; of an archive, 0: nobody knows

	More, MorePictures int // of the same reason, which are not named
}

// UnusedReason is why pictures are in no part.
type UnusedReason int

// The reasons.
const (
	Loose         UnusedReason = iota + 1 // in no class folder
	OtherFolder                           // beside folders for training, validation and test
	NoClasses                             // a folder for testing whose pictures lie loose in it
	NoCounterpart                         // a class folder for testing of a class that training lacks
	Nowhere                               // links to what is not in the tar
	Circle                                // links to a folder that they lie in
	OtherClasses                          // pictures for validation of classes that training lacks
	InOrderOnly                           // an archive that can only be read through; what is in it was not looked at
)

// maxUnused is how many places are told of that are not used for the same reason.
const maxUnused = 10

// summed tells of the first places that are not used for a reason, and sums the others of it up in the last.
func summed(all []Unused) (short []Unused) {
	count, last := map[UnusedReason]int{}, map[UnusedReason]int{}
	for _, u := range all {
		if count[u.Why]++; count[u.Why] <= maxUnused {
			last[u.Why] = len(short)
			short = append(short, u)
			continue
		}
		of := &short[last[u.Why]]
		of.More++
		of.MorePictures += u.Pictures
	}
	return short
}

func (u Unused) String() string {
	if u.More > 0 {
		one := u
		one.More = 0
		words := fmt.Sprintf("%v; and %s more", one, text.Grouped(int64(u.More)))
		if u.MorePictures > 0 {
			words += fmt.Sprintf(" (%s)", text.Count(u.MorePictures, "picture"))
		}
		return words + " like it"
	}

	name, count := text.Name(u.Name), text.Count(u.Pictures, "picture")
	of := func(one, several string) string {
		if u.Pictures == 1 {
			return name + ": " + one
		}
		return fmt.Sprintf("%s and %d more: %s", name, u.Pictures-1, several)
	}
	switch u.Why {
	case Loose:
		return of("a picture in no class folder", "pictures in no class folder")
	case Nowhere:
		return of("a link to what is not in the tar", "links to what is not in the tar")
	case Circle:
		return of("a link to a folder that it lies in", "links to folders that they lie in")
	case InOrderOnly:
		return name + " can only be read from its beginning to its end, and not picture by picture"
	case NoClasses:
		return fmt.Sprintf("%s (%s) has no class folders", name, count)
	case OtherClasses:
		return fmt.Sprintf("%s in %s, of classes without training pictures", count, name)
	case NoCounterpart:
		return fmt.Sprintf("%s (%s) is of a class that is not trained", name, count)
	default:
		return fmt.Sprintf("%s (%s) is a folder neither for training nor for validation or test", name, count)
	}
}

// parts are a listing's files by part; no part is nil.
type parts struct {
	train, val, test *part
	unused           []Unused
}

// part is the class folders below one prefix: "train/", "Valid/", or "" where they lie at the top.
type part struct {
	prefix string
	files  []Record
	dirs   []string // every class folder, empty ones included
}

// naming is the part whose folders name the classes: that for training, and where there is only something to measure
// on, that.
func (all *parts) naming() *part {
	for _, p := range []*part{all.train, all.val} {
		if len(p.files) > 0 {
			return p
		}
	}
	return all.test
}

// top is a folder at the top.
type top struct {
	name  string
	loose []Record // the pictures in it
	files []Record // those in folders of it
	dirs  []string // these folders
}

func (t *top) pictures() int { return len(t.loose) + len(t.files) }

// classes are the folders in it that hold pictures.
func (t *top) classes() map[string]bool {
	found := map[string]bool{}
	for _, f := range t.files {
		class, _, _ := strings.Cut(f.Name[len(t.name)+1:], "/")
		found[class] = true
	}
	return found
}

// tops are the folders at the top, and the pictures that lie beside them.
func (l *listing) tops() (folders map[string]*top, loose []Record) {
	folders = map[string]*top{}
	at := func(name string) *top {
		if folders[name] == nil {
			folders[name] = &top{name: name}
		}
		return folders[name]
	}
	for _, f := range l.files {
		switch name, rest, inside := strings.Cut(f.Name, "/"); {
		case !inside:
			loose = append(loose, f)
		case strings.Contains(rest, "/"):
			at(name).files = append(at(name).files, f)
		default:
			at(name).loose = append(at(name).loose, f)
		}
	}
	for _, d := range l.dirs {
		name, rest, _ := strings.Cut(d, "/")
		if t := at(name); rest != "" && !strings.Contains(rest, "/") {
			t.dirs = append(t.dirs, rest)
		}
	}
	return folders, loose
}

// parts tells folders of parts from class folders. A class may be called train (the vehicle): a part is a folder with
// pictures in folders of its own. Where there is a part for training, whatever else lies beside it is a part too or not
// used. Where there is none, class folders at the top are what is trained on, and one part beside them is known by
// having their classes.
func (l *listing) parts(root string) (*parts, error) {
	folders, loose := l.tops()
	found := map[Part]*top{}
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		p, is := partOf(name)
		switch {
		case !is || len(folders[name].files) == 0:
		case found[p] != nil:
			return nil, &SourceError{
				Path: root, Problem: TwoParts, Detail: found[p].name + "/ and " + name + "/",
			}
		default:
			found[p] = folders[name]
		}
	}
	rest := maps.Clone(folders)
	for _, t := range found {
		delete(rest, t.name)
	}
	all := &parts{train: &part{}, val: found[ValPart].part(), test: found[TestPart].part()}
	switch {
	case found[TrainPart] != nil:
		all.train = found[TrainPart].part()
		if err := all.leave(root, rest); err != nil {
			return nil, err
		}
	case len(rest) == 0:
	case found[ValPart] != nil && !covers(rest, found[ValPart]), len(found) > 0 && pictures(rest) == 0:
		if err := all.leave(root, rest); err != nil { // there is only something to measure on
			return nil, err
		}
	default:
		if t := found[TestPart]; t != nil && !covers(rest, t) { // a class
			rest[t.name], all.test = t, &part{}
		}
		all.train = together(rest)
	}
	all.leaveLoose(loose)
	for _, t := range found {
		if t.name+"/" == all.train.prefix || t.name+"/" == all.val.prefix || t.name+"/" == all.test.prefix {
			all.leaveLoose(t.loose)
		}
	}
	slices.SortFunc(all.unused, func(a, b Unused) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// part is the folder as one; of nil, nothing.
func (t *top) part() *part {
	if t == nil {
		return &part{}
	}
	return &part{prefix: t.name + "/", files: t.files, dirs: t.dirs}
}

// together makes one part of class folders.
func together(folders map[string]*top) *part {
	p := &part{}
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		t := folders[name]
		p.files, p.dirs = append(append(p.files, t.loose...), t.files...), append(p.dirs, name)
	}
	return p
}

// covers tells whether every class of a part has a folder at the top.
func covers(folders map[string]*top, t *top) bool {
	names := map[string]bool{}
	for name := range folders {
		names[norm.NFC.String(name)] = true
	}
	for class := range t.classes() {
		if !names[norm.NFC.String(class)] {
			return false
		}
	}
	return true
}

func pictures(folders map[string]*top) (n int) {
	for _, t := range folders {
		n += t.pictures()
	}
	return n
}

// leave notes what lies beside the parts. A folder for validation that cannot be used is an error: without it a share
// of the training pictures would be held out instead, and nobody would know.
func (all *parts) leave(root string, rest map[string]*top) error {
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		t := rest[name]
		p, is := partOf(name)
		switch {
		case is && p == ValPart && len(all.val.files) == 0 && len(t.loose) > 0:
			return &SourceError{Path: root, Problem: LoosePart, Detail: name + "/"}
		case is && p == ValPart && len(all.val.files) == 0:
			return &SourceError{Path: root, Problem: EmptyPart, Detail: name + "/"}
		case is && p == TestPart && len(t.loose) > 0:
			all.unused = append(all.unused, Unused{Why: NoClasses, Name: name + "/", Pictures: len(t.loose)})
		case t.pictures() > 0:
			all.unused = append(all.unused, Unused{Why: OtherFolder, Name: name + "/", Pictures: t.pictures()})
		}
	}
	return nil
}

// leaveLoose notes pictures that lie in no class folder.
func (all *parts) leaveLoose(loose []Record) {
	names := make([]string, len(loose))
	for i, f := range loose {
		names[i] = f.Name
	}
	all.unused = append(all.unused, several(Loose, names)...)
}

// several is what of several names is not used, by the first.
func several(why UnusedReason, names []string) []Unused {
	if len(names) == 0 {
		return nil
	}
	return []Unused{{Why: why, Name: slices.Min(names), Pictures: len(names)}}
}

// class is the name of a picture's class folder.
func (p *part) class(name string) string {
	class, _, _ := strings.Cut(name[len(p.prefix):], "/")
	return class
}

// classes are the sorted names of the class folders that hold pictures, and of those that do not. Where they are
// numbers, they go by their value if numeric says so or there are many.
func (p *part) classes(numeric bool) (names, empty []string) {
	count := map[string]int{}
	for _, f := range p.files {
		count[p.class(f.Name)]++
	}
	for _, d := range p.dirs {
		if count[d] == 0 {
			empty = append(empty, p.prefix+d)
		}
	}
	names = slices.Sorted(maps.Keys(count))
	if numeric || len(names) >= manyNumbers {
		sortNumbers(names)
	}
	return names, empty
}

// Numbers finds classes by name: the very name, or else one that looks the same and is written with other code points,
// as file systems of macOS do it (an accent of its own, NFD).
func Numbers(classes []string) func(name string) (int32, bool) {
	exact, alike := map[string]int32{}, map[string]int32{}
	for i, name := range classes {
		exact[name], alike[norm.NFC.String(name)] = int32(i), int32(i)
	}
	return func(name string) (int32, bool) {
		if n, ok := exact[name]; ok {
			return n, true
		}
		n, ok := alike[norm.NFC.String(name)]
		return n, ok
	}
}

// Places is where each of the classes stands among own, which are found by their keys as Numbers has them; -1: nowhere.
func Places(own, classes []string) []int32 {
	number, places := Numbers(own), make([]int32, len(classes))
	for i, name := range classes {
		n, known := number(name)
		if !known {
			n = -1
		}
		places[i] = n
	}
	return places
}

// label numbers the pictures' classes, and gives those of no class.
func (p *part) label(number func(string) (int32, bool)) (unknown []Record) {
	for i := range p.files {
		f := &p.files[i]
		k, ok := number(p.class(f.Name))
		if f.Label = k; !ok {
			unknown = append(unknown, *f)
		}
	}
	return unknown
}

// without leaves pictures out of the part, and tells which by class.
func (p *part) without(unknown []Record) (unused []Unused) {
	if len(unknown) == 0 {
		return nil
	}
	count := map[string]int{}
	for _, f := range unknown {
		count[p.class(f.Name)]++
	}
	p.drop(unknown)
	for _, class := range slices.Sorted(maps.Keys(count)) {
		unused = append(unused, Unused{
			Why: NoCounterpart, Name: path.Join(p.prefix, class) + "/", Pictures: count[class],
		})
	}
	return unused
}

// drop leaves pictures out of the part.
func (p *part) drop(pictures []Record) {
	out := map[int32]bool{}
	for _, f := range pictures {
		out[f.Number] = true
	}
	p.files = slices.DeleteFunc(p.files, func(f Record) bool { return out[f.Number] })
}
