package data

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/imagenet"
	"alexnet/internal/text"
)

// What Place.Labels may say of labels that are numbers, beside the path of a file.
const (
	LabelsIndex   = "index"     // places among ILSVRC2012's classes by WNID, from 0: Caffe, torchvision, timm
	LabelsID      = "ilsvrc-id" // ILSVRC2012_IDs, from 1: the development kit, cuda-convnet2
	LabelsNumbers = "numbers"   // classes of their own, which have no other names
)

// order is one in which ILSVRC2012's classes are numbered.
type order struct {
	word  string // in Place.Labels; "": it has none
	says  string // for people
	first int    // the lowest number
	of    func(place int, c imagenet.Class) int
}

var labelOrders = []order{
	{LabelsIndex, "places in the order of WNIDs, from 0", 0, func(place int, _ imagenet.Class) int { return place }},
	{LabelsID, "ILSVRC2012_IDs", 1, func(_ int, c imagenet.Class) int { return c.ID }},
	{"", "ILSVRC2012_IDs less 1", 0, func(_ int, c imagenet.Class) int { return c.ID - 1 }},
	{"", "places in the order of WNIDs, from 1", 1, func(place int, _ imagenet.Class) int { return place + 1 }},
}

// classes are the WNIDs by number.
func (o *order) classes() map[int]string {
	all := make(map[int]string, imagenet.Classes)
	for place, c := range imagenet.All() {
		all[o.of(place, c)] = c.WNID
	}
	return all
}

// numberOf is the number that a class is called by: digits only.
func numberOf(class string) (int, bool) {
	if len(class) > 7 || strings.ContainsFunc(class, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, false
	}
	n, err := strconv.Atoi(class)
	return n, err == nil
}

// manyNumbers are so many numbered class folders that they are ordered as numbers. Fewer stay in the order of strings,
// in which older versions began runs on them.
const manyNumbers = 100

// sortNumbers sorts names that are all numbers by their value.
func sortNumbers(names []string) {
	for _, name := range names {
		if _, is := numberOf(name); !is {
			return
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		m, _ := numberOf(a)
		n, _ := numberOf(b)
		return cmp.Or(cmp.Compare(m, n), cmp.Compare(a, b))
	})
}

// beginsWithWNID is the WNID that the names of ILSVRC2012's training pictures begin with, before a number.
func beginsWithWNID(base string) (wnid string, is bool) {
	wnid, rest, _ := strings.Cut(base, "_")
	return wnid, isWNID(wnid) && rest != "" && rest[0] >= '0' && rest[0] <= '9'
}

// proven is the WNID that the name of a picture's file tells: ILSVRC2012's for training begin with it, Hugging Face's
// end with it. It is asked of every picture.
func proven(base string) (wnid string, ok bool) {
	if place, is := imagenet.Validation(base); is {
		return imagenet.At(place).WNID, true
	}
	if wnid, ok = beginsWithWNID(base); ok {
		_, ok = imagenet.Place(wnid)
	}
	if !ok {
		if _, wnid, ok = endsInWNID(base); ok {
			_, ok = imagenet.Place(wnid)
		}
	}
	if !ok {
		return "", false
	}
	return wnid, true
}

// numbering is a part whose classes are numbers, and what is found out about these.
type numbering struct {
	*part
	numbers []int          // that occur, ascending
	tells   map[int]string // the WNID that names of files tell, by number
	proofs  int            // so many files
	against *Record        // the first whose name tells another WNID than one before of its number
	order   *order         // that it was found to be in; nil: none
	names   map[int]string // by number; nil: not known
}

// numberingOf looks at a part; nil where its classes are not numbers.
func numberingOf(p *part) *numbering {
	n := &numbering{part: p, tells: map[int]string{}}
	seen := map[string]int{}
	for i := range p.files {
		f := &p.files[i]
		class := p.class(f.Name)
		k, known := seen[class]
		if !known {
			var is bool
			if k, is = numberOf(class); !is {
				return nil
			}
			seen[class] = k
		}
		wnid, ok := proven(path.Base(f.Name))
		if !ok {
			continue
		}
		switch before := n.tells[k]; {
		case before == "":
			n.tells[k] = wnid
		case before != wnid && n.against == nil:
			n.against = f
		}
		n.proofs++
	}
	n.numbers = slices.Compact(slices.Sorted(maps.Values(seen)))
	if len(n.numbers) == 0 {
		return nil
	}
	return n
}

// looksLike1000 tells whether the numbers are those of 1000 classes.
func (n *numbering) looksLike1000() bool { return likeThousand(n.numbers) }

// likeThousand is looksLike1000 of ascending numbers.
func likeThousand(numbers []int) bool {
	low, high := numbers[0], numbers[len(numbers)-1]
	return len(numbers) == imagenet.Classes && high <= imagenet.Classes || low == 0 && high == imagenet.Classes-1 ||
		low == 1 && high == imagenet.Classes
}

// span are the numbers for people.
func (n *numbering) span() string {
	return fmt.Sprintf("%d to %d", n.numbers[0], n.numbers[len(n.numbers)-1])
}

// outside is the first number without a name.
func (n *numbering) outside(names map[int]string) (number int, is bool) {
	for _, k := range n.numbers {
		if names[k] == "" {
			return k, true
		}
	}
	return 0, false
}

// prove finds what the numbers stand for by the names of the files, of this part and of others that are numbered too.
func (n *numbering) prove(root string, some []*numbering) error {
	if n.proofs == 0 {
		return nil
	}
	different := map[string]bool{}
	for _, wnid := range n.tells {
		different[wnid] = true
	}
	if n.against != nil || len(different) < len(n.tells) {
		if !n.looksLike1000() {
			return nil // classes of several WNIDs: its own
		}
		file, why := "", "two numbers are one class"
		if n.against != nil {
			number, _ := numberOf(n.class(n.against.Name))
			wnid, _ := proven(path.Base(n.against.Name))
			file = cmp.Or(n.against.File, n.against.Name)
			why = fmt.Sprintf("its label is %d, its name says %s; of others with this label it says %s", number, wnid,
				n.tells[number])
		}
		return &SourceError{Path: root, Problem: Disagree, Detail: cmp.Or(file, n.prefix), Err: fmt.Errorf("%s", why)}
	}
	var fits []*order
	for i := range labelOrders {
		if o := &labelOrders[i]; n.fits(o, some) {
			fits = append(fits, o)
		}
	}
	switch {
	case len(fits) == 1:
		n.order, n.names = fits[0], fits[0].classes()
	case n.tellAll(some):
		n.names = n.tells
	}
	return nil
}

// fits tells whether names of files prove the order: none contradicts it, and they tell most of the numbers, or these
// are those of 1000 classes. The numbers are also those of the other parts that may be in this order, as what is
// proven here holds there.
func (n *numbering) fits(o *order, some []*numbering) bool {
	if !n.agrees(o) {
		return false
	}
	told, all := map[int]bool{}, map[int]bool{}
	for _, of := range some {
		if !of.agrees(o) {
			continue
		}
		for k := range of.tells {
			told[k] = true
		}
		for _, k := range of.numbers {
			all[k] = true
		}
	}
	return 2*len(told) > len(all) || likeThousand(slices.Sorted(maps.Keys(all)))
}

// agrees tells whether no name of a file contradicts the order.
func (n *numbering) agrees(o *order) bool {
	classes := o.classes()
	for k, wnid := range n.tells {
		if classes[k] != wnid {
			return false
		}
	}
	return n.against == nil
}

// tellAll tells whether the files' names tell every number, also those of the other parts, if these do not themselves.
func (n *numbering) tellAll(some []*numbering) bool {
	for _, of := range some {
		if _, lacks := of.outside(n.tells); lacks && (of == n || len(of.tells) < len(of.numbers)) {
			return false
		}
	}
	return true
}

// renumber gives classes that are numbers the names that these stand for, where that is known: from a list of classes,
// from whoever said it (labels), or from ILSVRC2012's WNIDs in the names of files. It says what it found. Numbers that
// look like those of the 1000 classes and that nothing tells more of are an error, others are classes of their own.
func (l *listing) renumber(root string, all *parts, labels string) (decided string, err error) {
	if labels != LabelsNumbers {
		if err := l.mixed(root, all); err != nil {
			return "", err
		}
	}
	var some []*numbering
	for _, p := range []*part{all.train, all.val, all.test} {
		if n := numberingOf(p); n != nil {
			some = append(some, n)
		}
	}
	word := labels != "" && !Place{Labels: labels}.LabelsFile()
	if len(some) == 0 && word {
		return "", &SourceError{Path: root, Problem: NoNumbers}
	}
	if len(some) == 0 || labels == LabelsNumbers {
		return "", nil
	}
	names, err := l.classNames(root)
	if err != nil {
		return "", err
	}
	for _, n := range some {
		switch {
		case word:
			i := slices.IndexFunc(labelOrders, func(o order) bool { return o.word == labels })
			n.order, n.names = &labelOrders[i], labelOrders[i].classes()
		case l.truth && n.proofs == 0 && n.part != all.naming() && all.naming().areWNIDs():
			n.order = &labelOrders[1]
			if n.numbers[0] == 0 {
				n.order = &labelOrders[0]
			}
			n.names = n.order.classes()
		case names != nil:
			n.names = names
		default:
			err := n.prove(root, some)
			if n.order == nil {
				err = cmp.Or(l.wrong(root, n), err)
			}
			if err != nil {
				return "", err
			}
		}
	}
	var says []string
	for _, n := range some {
		how, err := n.settle(root, some, l)
		if err != nil {
			return "", err
		}
		if n.names == nil {
			continue
		}
		if number, is := n.outside(n.names); is {
			return "", l.labelError(root, BadLabel, n.first(number), "label %d is none of %s", number, how)
		}
		n.rename(n.names)
		l.labelled = true
		if what := fmt.Sprintf("labels %s are %s", n.span(), how); !slices.Contains(says, what) {
			says = append(says, what)
		}
	}
	return strings.Join(says, "; "), nil
}

// settle decides about the numbers of a part whose own files do not tell: others that are found out tell, where their
// names came from, and says how.
func (n *numbering) settle(root string, some []*numbering, l *listing) (how string, err error) {
	switch {
	case n.names != nil && n.order != nil && n.proofs > 0 && n.against == nil:
		return fmt.Sprintf("%s, as the names of %s say", n.order.says, text.Count(n.proofs, "file")), nil
	case n.order != nil:
		return n.order.says, nil
	case n.names != nil && l.namesFrom != "":
		return "classes of " + text.Name(l.namesFrom), nil
	case n.names != nil:
		return "an own numbering of classes that the names of files tell", nil
	}
	for _, other := range some {
		if other.names == nil {
			continue
		}
		if _, lacks := n.outside(other.names); !lacks {
			n.names, n.order = other.names, other.order
			if n.order != nil {
				return n.order.says, nil
			}
			return "an own numbering of classes that the names of files tell", nil
		}
	}
	if !n.looksLike1000() {
		return "", nil
	}
	low, high := n.numbers[0], n.numbers[len(n.numbers)-1]
	usual := (*order)(nil)
	switch {
	case low == 0 && high < imagenet.Classes && (l.webdataset || l.truth): // as timm has them
		usual = &labelOrders[0]
	case low == 1 && l.truth: // as the development kit has them
		usual = &labelOrders[1]
	}
	if usual == nil || !n.agrees(usual) {
		return "", &SourceError{Path: root, Problem: AskOrder, Detail: n.span()}
	}
	n.order, n.names = usual, usual.classes()
	return n.order.says + ", as is usual; no name of a file proves it", nil
}

// rename gives the part's classes other names. What a name has the class in twice then, as where a list's label and the
// folder of its picture say the same, it has once.
func (p *part) rename(names map[int]string) {
	for i := range p.files {
		f := &p.files[i]
		class := p.class(f.Name)
		number, _ := numberOf(class)
		f.File = cmp.Or(f.File, f.Name)
		rest := f.Name[len(p.prefix)+len(class)+1:]
		f.Name = p.prefix + names[number] + "/" + strings.TrimPrefix(rest, names[number]+"/")
	}
	for i, class := range p.dirs {
		if number, is := numberOf(class); is && names[number] != "" {
			p.dirs[i] = names[number]
		}
	}
}
