package data

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"alexnet/internal/philox"
	"alexnet/internal/shards"
	"alexnet/internal/text"
)

// listing is what lies in a folder or tar, in any order.
type listing struct {
	kind  Kind
	files []Record // everything that may be a picture; labels not yet set
	dirs  []string // folders
	store Store

	nowhere []string // links to what is not in the tar
	circles []string // links to a folder that they lie in

	notes    []string                          // files that are no pictures, and are noteworthy
	odd      []string                          // the first files that are another program's by their names
	aside    func(name string) ([]byte, error) // reads one of them, by its name from the root
	labelled bool                              // the classes of validation pictures come from no folders
	apart    func(i int) string                // another name of file i, which keeps it apart from others; or nil
	sets     []string                          // folders of prepared sets, which hold no pictures
	classes  []string                          // in the order that a prepared set has them; nil: nothing says it

	named      bool // names are made of labels: there is no folder around them
	webdataset bool
	truth      bool                              // labels came from a file that was named for them
	where      func(number int32) string         // where a picture's label stands, for people; nil or "": beside it
	namesFrom  string                            // what names numbered classes; "": nothing
	samples    map[string]func() ([]byte, error) // notes of one sample of each class

	unused    []Unused  // archives
	form      string    // in words; empty: what the kind is called
	labels    string    // as in Source
	leftovers leftovers // as in Source
}

// Names that are no pictures, though they lie among them.
var (
	ignoredNames = []string{"thumbs.db", "desktop.ini", "makefile", "readme", "license"}
	ignoredExts  = []string{
		".txt", ".csv", ".tsv", ".md", ".rst", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".html", ".pdf", ".log",
		".db", ".ini", ".py", ".sh", ".mat", ".zip", ".gz", ".tgz", ".tar", ".parquet", ".cls",
	}
)

// litter are folders that systems leave among files: macOS's archiver, what a file system's check found, Windows's bin
// and its restore points, thumbnails, bins and snapshots of network disks (Synology, QNAP).
var litter = []string{
	"__macosx", "lost+found", "$recycle.bin", "system volume information",
	"@eadir", "#recycle", "#snapshot", "@recycle",
}

// hidden tells whether the last part of a name is hidden, by the Unix rule or as litter.
func hidden(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, ".") || slices.Contains(litter, strings.ToLower(base))
}

// partial are the extensions of downloads that are not complete.
var partial = []string{".part", ".partial", ".crdownload", ".download", ".aria2", ".!ut", ".filepart"}

// left counts a file or a folder if it is one that systems or programs leave behind.
func (l *leftovers) left(name string) {
	base := strings.ToLower(path.Base(name))
	kind := ""
	switch ext := path.Ext(base); {
	case strings.HasPrefix(base, "._"):
		kind = "._*"
	case base == ".ds_store":
		kind = ".DS_Store"
	case base == "thumbs.db", slices.Contains(litter, base):
		kind = base
	case slices.Contains(partial, ext):
		kind = "*" + ext
	default:
		return
	}
	l.add(kind, 1)
}

func (l *leftovers) add(kind string, n int) {
	if *l == nil {
		*l = leftovers{}
	}
	(*l)[kind] += n
}

// leftovers are counts by kind.
type leftovers map[string]int

// noPicture tells whether a file is by its name no picture.
func noPicture(name string) bool {
	base := strings.ToLower(path.Base(name))
	return hidden(base) || slices.Contains(ignoredNames, base) || slices.Contains(ignoredExts, path.Ext(base)) ||
		foreignName(base)
}

// noteworthy tells whether a file that is no picture says something of pictures, or holds some: a listing need not
// remember the annotations of ILSVRC2012, one for each of many pictures.
func noteworthy(name string) bool {
	base := path.Base(name)
	return isArchive(base) || base == annotations || base == wdsInfo ||
		slices.Contains(classFiles, base) || slices.Contains(truths, base) ||
		slices.ContainsFunc(cifarForms, func(f cifarForm) bool { return f.names == base })
}

// forms are what sources of class folders are called.
var forms = map[Kind]string{Folder: "class folders", Tar: "a tar of class folders", Generated: "generated"}

// arrange makes classes and parts of a listing, by the folders' names.
func arrange(root string, l *listing, labels string, truth *truth) (Contents, error) {
	if len(l.files) == 0 {
		none := &SourceError{Path: root, Problem: NoPictures}
		for _, links := range several(Nowhere, l.nowhere) {
			none.Err = errors.New(links.String())
		}
		return Contents{}, none
	}
	around := l.unwrap()
	if err := l.label(root, around, truth); err != nil {
		return Contents{}, err
	}
	all, err := l.parts(root)
	if err != nil {
		return Contents{}, err
	}
	decided, err := l.renumber(root, all, labels)
	if err != nil {
		return Contents{}, err
	}
	c := Contents{Decided: decided, Path: root, Kind: l.kind, Around: around, Unused: all.unused}
	c.Form, c.Labels, c.Leftovers = l.form, l.labels, l.leftovers
	c.Unused = append(c.Unused, several(Nowhere, l.nowhere)...)
	c.Unused = append(c.Unused, several(Circle, l.circles)...)
	c.Unused = append(c.Unused, l.unused...)
	naming := all.naming()
	if c.Classes, c.Empty = naming.classes(l.named || l.truth); len(c.Classes) == 0 {
		return Contents{}, &SourceError{Path: root, Problem: NoClassFolders}
	}
	if len(l.classes) > 0 && covered(c.Classes, l.classes) {
		c.Classes = l.classes
	}
	number := Numbers(c.Classes)
	for _, p := range []*part{all.train, all.val, all.test} {
		unknown := p.label(number)
		if p == all.test && l.labelled && len(unknown) == len(p.files) && len(unknown) > 0 {
			// Tiny ImageNet's, which nobody has labels of
			folder := p.prefix + p.class(unknown[0].Name) + "/"
			c.Unused = append(c.Unused, Unused{Why: NoClasses, Name: folder, Pictures: len(unknown)})
			p.drop(unknown)
			continue
		}
		for _, f := range unknown { // a class that training lacks may be left out, what is none may not
			if p == all.val && l.stands(f) && !isWNID(p.class(f.Name)) {
				return Contents{}, l.unknown(root, p, f, all)
			}
		}
		if len(unknown) > 0 && p == all.val && l.labelled && len(unknown) < len(p.files) {
			c.Unused = append(c.Unused, Unused{Why: OtherClasses, Name: p.prefix, Pictures: len(unknown)})
			p.drop(unknown)
			continue
		}
		if len(unknown) > 0 && p != all.test {
			return Contents{}, l.unknown(root, p, unknown[0], all)
		}
		c.Unused = append(c.Unused, p.without(unknown)...)
	}
	c.Unused = summed(c.Unused)
	c.Train, c.Val, c.Test = all.train.files, all.val.files, all.test.files
	for _, records := range [][]Record{c.Train, c.Val, c.Test} {
		if err := unique(root, records); err != nil {
			return Contents{}, err
		}
	}
	return c, nil
}

// covered tells whether all names are among others.
func covered(names, others []string) bool {
	number := Numbers(others)
	return !slices.ContainsFunc(names, func(name string) bool { _, ok := number(name); return !ok })
}

// unique sorts pictures; two of one name are an error. Labels of their own give names that the files do not have.
func unique(root string, records []Record) error {
	slices.SortFunc(records, compareRecords)
	for i := range len(records) - 1 {
		if a, b := records[i], records[i+1]; a.Label == b.Label && a.Name == b.Name {
			e := &SourceError{Path: root, Problem: Twice, Detail: a.Name}
			if first, second := cmp.Or(a.File, a.Name), cmp.Or(b.File, b.Name); first != second {
				e.Err = fmt.Errorf("%s and %s", text.Name(min(first, second)), text.Name(max(first, second)))
			}
			return e
		}
	}
	return nil
}

// unwrap passes over a single folder around everything, as archives often have one, and gives its name with a slash.
func (l *listing) unwrap() (around string) {
	for !l.named {
		first, _, _ := strings.Cut(l.files[0].Name, "/")
		if _, is := partOf(first); is && l.deep(first) {
			return around
		}
		for _, f := range l.files {
			if !strings.HasPrefix(f.Name, first+"/") || strings.Count(f.Name, "/") < 2 {
				return around
			}
		}
		around += first + "/"
		for i := range l.files {
			l.files[i].Name = l.files[i].Name[len(first)+1:]
		}
		kept := l.dirs[:0]
		for _, d := range l.dirs {
			if rest, ok := strings.CutPrefix(d, first+"/"); ok {
				kept = append(kept, rest)
			}
		}
		l.dirs = kept
		for _, links := range [][]string{l.nowhere, l.circles} {
			for i := range links {
				links[i] = strings.TrimPrefix(links[i], first+"/")
			}
		}
	}
	return ""
}

// deep tells whether there are pictures in folders of a folder.
func (l *listing) deep(folder string) bool {
	return slices.ContainsFunc(l.files, func(f Record) bool {
		return strings.HasPrefix(f.Name, folder+"/") && strings.Count(f.Name, "/") > 1
	})
}

// holdOut splits pictures, sorted by class and name, class by class: each picture draws a number from seed and name,
// and those with the lowest numbers, round(share n) of n but never all, are held out.
func holdOut(files []Record, share float64, seed uint64) (train, val []Record) {
	for len(files) > 0 {
		n := 1
		for n < len(files) && files[n].Label == files[0].Label {
			n++
		}
		class := files[:n]
		held := drawn(class, min(int(math.Round(share*float64(n))), n-1), philox.Key(seed, philox.PurposeSplit))
		for i, f := range class {
			if held[i] {
				val = append(val, f)
			} else {
				train = append(train, f)
			}
		}
		files = files[n:]
	}
	return train, val
}

// drawn marks the k pictures with the lowest draws.
func drawn(class []Record, k int, key [2]uint32) []bool {
	type draw struct {
		rank uint64
		i    int
	}
	draws := make([]draw, len(class))
	for i, f := range class {
		draws[i] = draw{rankOf(f.Name, key), i}
	}
	slices.SortFunc(draws, func(a, b draw) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.i, b.i)) })
	marks := make([]bool, len(class))
	for _, d := range draws[:k] {
		marks[d.i] = true
	}
	return marks
}

// rankOf is the number a picture draws. Counter: (FNV-1a of the name, low and high, 0, 0), words 0 and 1.
func rankOf(name string, key [2]uint32) uint64 {
	sum := shards.Hash(name)
	w := philox.Block(key, [4]uint32{uint32(sum), uint32(sum >> 32), 0, 0})
	return uint64(w[1])<<32 | uint64(w[0])
}
