package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"alexnet/internal/imagenet"
	"alexnet/internal/text"
)

// A WebDataset is tars of samples: files of one KEY, which is the name up to the first dot of its last part, folder
// included. The picture is KEY.jpg, its label KEY.cls, in either order.
const (
	wdsLabel = ".cls"
	wdsNotes = ".json"
	wdsInfo  = "_info.json" // beside the tars: which belong to which part
)

var wdsPictures = []string{".jpg", ".jpeg", ".png", ".webp"}

// maxLabelBytes is how long a label in a file of its own may be.
const maxLabelBytes = 256

// maxJSON is how long a sample's notes may be to be looked at.
const maxJSON = 1 << 16

// sampleKey takes a name apart: the key, and what follows it in small letters.
func sampleKey(name string) (key, ext string) {
	dir, base := path.Split(name)
	if dot := strings.IndexByte(base, '.'); dot >= 0 {
		return dir + base[:dot], strings.ToLower(base[dot:])
	}
	return name, ""
}

// samples makes class folders of the samples of a tar: names are CLASS/KEY.jpg as if the tar had been made of these,
// and numbers stay numbers. It says nothing of a tar without labels. Errors are *SourceError.
func (x *tarIndex) samples(root string) (names []string, jsons map[string]member, err error) {
	if len(x.labels) == 0 {
		return nil, nil, nil
	}
	classes, notes := map[string]string{}, map[string]member{}
	bad := func(problem Problem, key string, err error) error {
		return &SourceError{Path: root, Problem: problem, Detail: key, Err: err}
	}
	for _, m := range x.aside {
		key, ext := sampleKey(m.name)
		switch {
		case inHidden(m.name):
		case ext == wdsNotes:
			notes[key] = m
		case ext == wdsLabel:
			raw, read := x.labels[m.span.off]
			class := strings.TrimSpace(raw)
			switch {
			case !read || !isClass(class):
				return nil, nil, bad(BadLabel, m.name, errors.New("want a number or a word"))
			case isNegative(class):
				return nil, nil, bad(BadLabel, m.name, fmt.Errorf("label %s is negative: want a class", class))
			}
			if _, there := classes[key]; there {
				return nil, nil, bad(BadLabel, key, errors.New("it has two"))
			}
			classes[key] = class
		}
	}
	jsons, pictures := map[string]member{}, map[string]bool{}
	x.files = slices.DeleteFunc(x.files, func(m member) bool {
		_, ext := sampleKey(m.name)
		return !slices.Contains(wdsPictures, ext)
	})
	for _, m := range x.files {
		key, _ := sampleKey(m.name)
		class, there := classes[key]
		switch {
		case !there:
			return nil, nil, bad(NoLabel, key, nil)
		case pictures[key]:
			return nil, nil, bad(BadLabel, key, errors.New("it is that of two pictures"))
		}
		pictures[key] = true
		names = append(names, inClass(class, m.name))
		if note, is := notes[key]; is && jsons[class].name == "" {
			jsons[class] = note
		}
	}
	return names, jsons, nil
}

// isClass tells whether a label may be the name of a class, which is that of a folder.
func isClass(label string) bool {
	return label != "" && label != "." && label != ".." && len(label) <= maxLabelBytes &&
		!strings.ContainsAny(label, "/\x00")
}

// isNegative tells whether a label is a negative number, which names no class: of ILSVRC2012's test pictures it is -1.
func isNegative(label string) bool {
	digits, negative := strings.CutPrefix(label, "-")
	_, is := numberOf(digits)
	return negative && is && digits != ""
}

// inClass is the name of a picture as if it lay in a folder of its class, where its own folder is called so once.
func inClass(class, name string) string {
	return class + "/" + strings.TrimPrefix(name, class+"/")
}

// Files that name classes, a line each, or as Hugging Face's datasets do.
var classFiles = []string{
	"classes.txt", "classes.json", "synsets.txt", "synset_words.txt", "LOC_synset_mapping.txt", datasetInfo,
	"dataset_infos.json",
}

const datasetInfo = "dataset_info.json"

// classNames are the names of numbered classes, by number from 0: from a file that lists them, or from the samples'
// notes. nil: nothing names them. What it was is in l.namesFrom.
func (l *listing) classNames(root string) (map[int]string, error) {
	for _, note := range l.notes {
		if !slices.Contains(classFiles, path.Base(note)) || strings.Count(note, "/") > 1 {
			continue
		}
		raw, err := l.aside(note)
		if err != nil {
			return nil, &SourceError{Path: root, Problem: BadNotes, Detail: note, Err: err}
		}
		var names []string
		if path.Ext(note) == ".json" {
			names = featureNames(raw)
		} else {
			names = classLines(raw)
		}
		if names == nil {
			continue
		}
		all := map[int]string{}
		for i, name := range wnidsOf(names) {
			if !isClass(name) {
				err := fmt.Errorf("%s cannot be a class", text.Name(name))
				return nil, &SourceError{Path: root, Problem: BadNotes, Detail: note, Err: err}
			}
			all[i] = name
		}
		if len(all) > 0 {
			l.namesFrom = note
			return all, nil
		}
	}
	return l.noteNames(), nil
}

// classLines are the lines of a file; their first words where all of these are WNIDs.
func classLines(raw []byte) (names []string) {
	wnids := true
	for line := range bytes.Lines(raw) {
		name := strings.TrimSpace(string(line))
		if name == "" {
			continue
		}
		names = append(names, name)
		word, _, _ := strings.Cut(name, " ")
		_, known := imagenet.Place(word)
		wnids = wnids && known
	}
	for i := range names {
		if wnids {
			names[i], _, _ = strings.Cut(names[i], " ")
		}
	}
	return names
}

// featureNames are those of the feature label in the description of a data set by Hugging Face, or of a list.
func featureNames(raw []byte) (names []string) {
	if json.Unmarshal(raw, &names) == nil { // as a prepared set has them
		return names
	}
	type info struct {
		Features struct {
			Label struct {
				Names []string `json:"names"`
			} `json:"label"`
		} `json:"features"`
	}
	var one info
	if json.Unmarshal(raw, &one) == nil && len(one.Features.Label.Names) > 0 {
		return one.Features.Label.Names
	}
	var several map[string]info // dataset_infos.json: by configuration
	if json.Unmarshal(raw, &several) == nil && len(several) == 1 {
		for _, of := range several {
			return of.Features.Label.Names
		}
	}
	return nil
}

// areILSVRC tells whether names are those of ILSVRC2012's classes in the order of WNIDs: nine of ten are the short
// names, or begin with the first of the synset's words. Spellings differ between lists.
func areILSVRC(names []string) bool {
	known := imagenet.All()
	if len(names) != len(known) {
		return false
	}
	alike := 0
	for i, c := range known {
		name, _, _ := strings.Cut(names[i], ",")
		first, _, _ := strings.Cut(c.Synonyms, ",")
		if name = strings.TrimSpace(name); strings.EqualFold(name, first) || strings.EqualFold(name, c.Name) {
			alike++
		}
	}
	return alike*10 >= len(known)*9
}

// wnidsOf gives the WNIDs for the names of all of ILSVRC2012's classes in their order, and other names as they are.
func wnidsOf(names []string) []string {
	if !areILSVRC(names) {
		return names
	}
	wnids := make([]string, len(names))
	for i, c := range imagenet.All() {
		wnids[i] = c.WNID
	}
	return wnids
}

// noteKeys are what notes of a sample call its class's name.
var noteKeys = []string{"wnid", "synset", "class_name", "classname", "label_name", "class"}

// noteNames are the names of classes that the samples' notes tell, one of each class asked: where each is named, and
// none as another.
func (l *listing) noteNames() map[int]string {
	for _, key := range noteKeys {
		names, different := map[int]string{}, map[string]bool{}
		for class, read := range l.samples {
			number, is := numberOf(class)
			raw, err := read()
			var notes map[string]any
			if !is || err != nil || json.Unmarshal(raw, &notes) != nil {
				break
			}
			name, _ := notes[key].(string)
			if _, digits := numberOf(name); digits || !isClass(name) || different[name] {
				break
			}
			names[number], different[name] = name, true
		}
		if len(names) > 0 && len(names) == len(l.samples) {
			l.namesFrom = key + " in the samples' .json"
			return names
		}
	}
	return nil
}

// sampleNotes are readers of notes of one sample a class.
func sampleNotes(jsons map[string]member, read func(member) ([]byte, error)) map[string]func() ([]byte, error) {
	all := map[string]func() ([]byte, error){}
	for class, m := range jsons {
		all[class] = func() ([]byte, error) {
			if m.span.size > maxJSON {
				return nil, fs.ErrInvalid
			}
			return read(m)
		}
	}
	return all
}
