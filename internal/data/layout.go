package data

import (
	"cmp"
	"hash/fnv"
	"math"
	"path"
	"slices"
	"strings"

	"alexnet/internal/philox"
)

// listing is what lies in a folder or tar, in any order.
type listing struct {
	kind  Kind
	files []Record // everything that may be a picture; labels not yet set
	dirs  []string // folders
	store Store
}

// Names that are no pictures, though they lie among them.
var (
	ignoredNames = []string{"thumbs.db", "desktop.ini", "makefile", "readme", "license"}
	ignoredExts  = []string{
		".txt", ".csv", ".tsv", ".md", ".rst", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".html", ".pdf", ".log",
		".db", ".ini", ".py", ".sh", ".npy", ".npz", ".mat", ".pkl", ".zip", ".gz", ".tgz", ".tar",
	}
)

// hidden tells whether the last part of a name is hidden, by the Unix rule or as macOS's archiver hides its own.
func hidden(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, ".") || base == "__MACOSX"
}

// noPicture tells whether a file is by its name no picture.
func noPicture(name string) bool {
	base := strings.ToLower(path.Base(name))
	return hidden(base) || slices.Contains(ignoredNames, base) || slices.Contains(ignoredExts, path.Ext(base))
}

// arrange makes classes and parts of a listing, by the folders' names.
func arrange(root string, l *listing) (Contents, error) {
	if len(l.files) == 0 {
		return Contents{}, &SourceError{Path: root, Problem: NoPictures}
	}
	l.unwrap()
	train, val, err := l.parts(root)
	if err != nil {
		return Contents{}, err
	}
	// Without train/ there is only something to evaluate on, and val/ names the classes.
	naming := train
	if len(train.files) == 0 {
		naming = val
	}
	classes, err := naming.classes(root)
	if err != nil {
		return Contents{}, err
	}
	for _, p := range []part{train, val} {
		if err := p.label(root, classes); err != nil {
			return Contents{}, err
		}
	}
	return Contents{Path: root, Kind: l.kind, Classes: classes, Train: train.files, Val: val.files}, nil
}

// unwrap passes over a single folder around everything, as archives often have one.
func (l *listing) unwrap() {
	for {
		first, _, _ := strings.Cut(l.files[0].Name, "/")
		if first == "train" || first == "val" {
			return
		}
		for _, f := range l.files {
			if !strings.HasPrefix(f.Name, first+"/") || strings.Count(f.Name, "/") < 2 {
				return
			}
		}
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
	}
}

// part is the class folders below one prefix: "train/", "val/", or "" when they lie at the top.
type part struct {
	prefix string
	files  []Record
	dirs   []string // every class folder, empty ones included
}

// parts tells train/ and val/ from class folders at the top. A class may be called train (the vehicle): what counts is
// whether there are folders with pictures in it, and no loose pictures.
func (l *listing) parts(root string) (train, val part, err error) {
	train, val = l.below("train/"), l.below("val/")
	if len(train.files)+len(val.files) > 0 {
		return train, val, nil
	}
	all := l.below("")
	if len(all.files) == 0 {
		return part{}, part{}, &SourceError{Path: root, Problem: NoClassFolders}
	}
	return all, part{}, nil
}

// below collects the part under a prefix; a folder whose pictures lie loose in it is a class, not a part.
func (l *listing) below(prefix string) part {
	p := part{prefix: prefix}
	for _, f := range l.files {
		rest, ok := strings.CutPrefix(f.Name, prefix)
		if !ok {
			continue
		}
		if strings.Contains(rest, "/") {
			p.files = append(p.files, f)
		} else if prefix != "" {
			return part{prefix: prefix}
		}
	}
	for _, d := range l.dirs {
		if rest, ok := strings.CutPrefix(d, prefix); ok && rest != "" && !strings.Contains(rest, "/") {
			p.dirs = append(p.dirs, rest)
		}
	}
	return p
}

// class is the name of a picture's class folder.
func (p *part) class(name string) string {
	class, _, _ := strings.Cut(name[len(p.prefix):], "/")
	return class
}

// classes are the sorted names of the class folders. An empty one would shift the numbers of the others, so it is an
// error.
func (p *part) classes(root string) ([]string, error) {
	count := map[string]int{}
	for _, f := range p.files {
		count[p.class(f.Name)]++
	}
	for _, d := range p.dirs {
		if count[d] == 0 {
			return nil, &SourceError{Path: root, Problem: EmptyClass, Detail: p.prefix + d}
		}
	}
	names := make([]string, 0, len(count))
	for c := range count {
		names = append(names, c)
	}
	slices.Sort(names)
	return names, nil
}

// label numbers the pictures' classes.
func (p *part) label(root string, classes []string) error {
	for i := range p.files {
		f := &p.files[i]
		k, ok := slices.BinarySearch(classes, p.class(f.Name))
		if !ok {
			return &SourceError{Path: root, Problem: UnknownClass, Detail: p.prefix + p.class(f.Name)}
		}
		f.Label = int32(k)
	}
	return nil
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
		held := heldOut(class, min(int(math.Round(share*float64(n))), n-1), seed)
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

// heldOut marks the k pictures with the lowest draws.
func heldOut(class []Record, k int, seed uint64) []bool {
	type draw struct {
		rank uint64
		i    int
	}
	draws := make([]draw, len(class))
	for i, f := range class {
		draws[i] = draw{splitRank(f.Name, seed), i}
	}
	slices.SortFunc(draws, func(a, b draw) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.i, b.i)) })
	held := make([]bool, len(class))
	for _, d := range draws[:k] {
		held[d.i] = true
	}
	return held
}

// splitRank is the number a picture draws. Counter: (FNV-1a of the name, low and high, 0, 0), words 0 and 1.
func splitRank(name string, seed uint64) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	sum := h.Sum64()
	w := philox.Block(philox.Key(seed, philox.PurposeSplit), [4]uint32{uint32(sum), uint32(sum >> 32), 0, 0})
	return uint64(w[1])<<32 | uint64(w[0])
}
