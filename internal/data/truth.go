package data

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/text"
)

// Files with the labels of ILSVRC2012's validation pictures, which are built in: those that lie beside the pictures are
// compared.
const (
	groundTruth = "ILSVRC2012_validation_ground_truth.txt" // an ILSVRC2012_ID a line, in order of the names
	kaggleTruth = "LOC_val_solution.csv"                   // ImageId,PredictionString, which begins with the WNID
)

var truths = []string{groundTruth, kaggleTruth}

// compare holds a file of ILSVRC2012's labels to the built-in ones.
func (l *listing) compare(root, note string) error {
	raw, err := l.aside(note)
	if err != nil {
		return &SourceError{Path: root, Problem: BadNotes, Detail: note, Err: err}
	}
	compare := compareTruth
	if path.Base(note) == kaggleTruth {
		compare = compareKaggle
	}
	problem, err := compare(raw)
	if err != nil {
		return &SourceError{Path: root, Problem: problem, Detail: note, Err: err}
	}
	return nil
}

// differs is the error of a label that is not the built-in one.
func differs(picture, says, want string) (Problem, error) {
	return Disagree, fmt.Errorf("of %s it says %s, published is %s", picture, text.Name(says), want)
}

// validationNamed is the name of validation picture n, from 1.
func validationNamed(n int) string { return fmt.Sprintf("ILSVRC2012_val_%08d.JPEG", n) }

func compareTruth(raw []byte) (Problem, error) {
	n := 0
	for line := range bytes.Lines(raw) {
		says := strings.TrimSpace(string(line))
		if says == "" {
			continue
		}
		n++
		place, ok := imagenet.Validation(validationNamed(n))
		if !ok {
			break
		}
		if want := strconv.Itoa(imagenet.At(place).ID); says != want {
			if order := truthOrder(raw); order != "" {
				return Disagree, fmt.Errorf("its labels are %s, published are ILSVRC2012_IDs", order)
			}
			return differs(validationNamed(n), says, want)
		}
	}
	if n != imagenet.Validations {
		return BadNotes, fmt.Errorf("%s labels, want %s", text.Grouped(int64(n)), text.Grouped(imagenet.Validations))
	}
	return 0, nil
}

// truthOrder is another order than that of ILSVRC2012_IDs in which all labels are the published ones, or "".
func truthOrder(raw []byte) string {
	for _, o := range labelOrders {
		n, fits := 0, o.word != LabelsID
		for line := range bytes.Lines(raw) {
			says := strings.TrimSpace(string(line))
			if !fits || says == "" {
				continue
			}
			n++
			place, ok := imagenet.Validation(validationNamed(n))
			fits = ok && says == strconv.Itoa(o.of(place, imagenet.At(max(place, 0))))
		}
		if fits {
			return o.says
		}
	}
	return ""
}

func compareKaggle(raw []byte) (Problem, error) {
	r := csv.NewReader(bytes.NewReader(raw))
	r.ReuseRecord, r.FieldsPerRecord = true, 2
	all := imagenet.All()
	for n := 0; ; n++ {
		fields, err := r.Read()
		switch {
		case errors.Is(err, io.EOF) && n > 0:
			return 0, nil
		case err != nil:
			return BadNotes, err
		case n == 0:
			continue
		}
		place, ok := imagenet.Validation(fields[0] + ".JPEG")
		if !ok {
			return BadNotes, fmt.Errorf("line %d: %s is no validation picture", n+1, text.Name(fields[0]))
		}
		if says, _, _ := strings.Cut(fields[1], " "); says != all[place].WNID {
			return differs(fields[0], says, all[place].WNID)
		}
	}
}

// truth is a file of labels that somebody named.
type truth struct {
	path   string
	labels []string          // one a line; nil: they are by picture
	byName map[string]string // the labels of pictures
	lines  []int             // of labels
	line   map[string]int    // of byName
}

// truth reads the file that Labels names, nil where it names none.
func (p Place) truth(fsys files.Reader) (*truth, error) {
	if !p.LabelsFile() {
		return nil, nil //nolint:nilnil // as documented
	}
	raw, err := readFile(fsys, p.Labels, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &SourceError{Path: p.String(), Problem: NoLabels, Detail: p.Labels}
	}
	if err != nil {
		return nil, &SourceError{Path: p.String(), Problem: BadNotes, Detail: p.Labels, Err: err}
	}
	t := &truth{path: p.Labels}
	if err := t.read(bytes.TrimPrefix(raw, []byte("\ufeff"))); err != nil {
		return nil, &SourceError{Path: p.String(), Problem: BadNotes, Detail: p.Labels, Err: err}
	}
	return t, nil
}

// read reads lines, each a label or a picture and its label; the first says which.
func (t *truth) read(raw []byte) error {
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		one := strings.TrimSpace(string(line))
		if one == "" {
			continue
		}
		cut := strings.LastIndexAny(one, " \t,")
		label := one[cut+1:]
		if !isClass(label) || isNegative(label) {
			return fmt.Errorf("line %d: %s cannot be a class", n, text.Name(label))
		}
		switch {
		case cut < 0 && t.byName == nil:
			t.labels, t.lines = append(t.labels, label), append(t.lines, n)
		case cut > 0 && t.labels == nil:
			name := filepath.ToSlash(strings.TrimRight(one[:cut], " \t,")) // as it is in a listing
			if t.byName == nil {
				t.byName, t.line = map[string]string{}, map[string]int{}
			}
			if _, there := t.byName[name]; there {
				return fmt.Errorf("line %d: %s is there twice", n, text.Name(name))
			}
			t.byName[name], t.line[name] = label, n
		default:
			return fmt.Errorf("line %d: want a label in every line, or a picture and a label", n)
		}
	}
	if n == 0 {
		return errors.New("it is empty")
	}
	return nil
}

// apply labels pictures by the file.
func (l *listing) apply(root, around string, t *truth) error {
	l.truth = true
	if t.labels == nil {
		return l.applyNames(root, around, t)
	}
	var loose []*Record // by name, in no class folder
	for i := range l.files {
		dir, _ := path.Split(l.files[i].Name)
		if part, is := partOf(strings.TrimSuffix(dir, "/")); dir == "" || is && part == ValPart {
			loose = append(loose, &l.files[i])
		}
	}
	if len(loose) != len(t.labels) {
		return &SourceError{
			Path: root, Problem: WrongCount, Detail: t.path, Err: fmt.Errorf("%s for %s in no class folder",
				text.Count(len(t.labels), "label"), text.Count(len(loose), "picture")),
		}
	}
	slices.SortFunc(loose, func(a, b *Record) int {
		return cmp.Or(cmp.Compare(path.Base(a.Name), path.Base(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	lines := map[int32]int{}
	for i, f := range loose {
		f.relabel(ValPart, t.labels[i])
		lines[f.Number] = t.lines[i]
	}
	l.stand(lines, t.path)
	l.labelled = true
	return nil
}

// applyNames labels pictures by their names, or the ends of these.
func (l *listing) applyNames(root, around string, t *truth) error {
	used, lines := 0, map[int32]int{}
	for i := range l.files {
		f := &l.files[i]
		label, there := "", false
		for _, name := range []string{around + f.Name, f.Name, path.Base(f.Name)} {
			if label, there = t.byName[name]; there {
				lines[f.Number] = t.line[name]
				break
			}
		}
		if _, is := partOf(path.Dir(f.Name)); !there && (is || path.Dir(f.Name) == ".") {
			return &SourceError{Path: root, Problem: NoLabel, Detail: f.Name}
		}
		if !there {
			continue
		}
		used++
		f.relabel("", label)
	}
	l.stand(lines, t.path)
	if used < len(t.byName) {
		return &SourceError{
			Path: root, Problem: WrongCount, Detail: t.path,
			Err: fmt.Errorf("labels of %d pictures, of which %d are there", len(t.byName), used),
		}
	}
	l.labelled = true
	return nil
}

// relabel gives a picture the name that it would have in the folder of a class: of the part that it lies in, else of
// the one given.
func (f *Record) relabel(part Part, class string) {
	f.File = cmp.Or(f.File, f.Name)
	prefix, rest := "", f.Name
	if first, below, inside := strings.Cut(f.Name, "/"); inside {
		if _, is := partOf(first); is {
			prefix, rest = first+"/", below
		}
	}
	if prefix == "" && part != "" {
		prefix = string(part) + "/"
	}
	f.Name = prefix + inClass(class, rest)
}
