package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"alexnet/internal/atomicfile"
	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
)

// ImportOptions say what is known of a file that the file does not say.
type ImportOptions struct {
	Net     string   // a page's name or path; empty: the net is recognised
	Mean    *Mean    // nil: what the file says, or is used with such weights
	Classes []string // in the order of the net's outputs; nil: what the file says, or ILSVRC2012's where they are 1000
}

// Import is another program's net as a checkpoint, to be written.
type Import struct {
	Checkpoint *checkpoint.Checkpoint
	Net        string   // the page
	Changed    []string // what is otherwise on it, as overrides: "model.input.size=224"
	How        Evidence // what told that it is this net
	Rows       []Row    // the file's tensors and the net's parameters
	Beside     []string // names of the file's tensors outside its dict of weights, which are not used
	BGR        bool     // channels of the first layer, and of a mean, changed places
	Prep       PrepFrom
	Classes    ClassesFrom
	// MeanImage is a file that the source names and that is not followed: its mean image. Empty: there is none, or
	// another mean was given.
	MeanImage string
	Published *Published // nil: the file is not one that is known
	Licence   string     // as the file has it
}

// Ours is a checkpoint of this program, where a file of another is wanted.
type Ours struct{ Path string }

func (e *Ours) Error() string { return e.Path + ": it is a checkpoint of this program already" }

// ClassCount is a list of classes for another number of outputs than the net has.
type ClassCount struct {
	Path       string // of the weights
	Have, Want int    // in the list; outputs of the net
}

func (e *ClassCount) Error() string {
	return fmt.Sprintf("%s: the net has %d outputs, the list has %s", e.Path, e.Want, text.Classes(e.Have))
}

// NewImport finds out which net the file holds and makes a checkpoint of it, whose tensors are read when it is written.
// It looks at every byte of the file for its checksums, and reads no weights. A net that is not known is an *Unfit or
// an *Ambiguous. The source stays the caller's, and open until the checkpoint is written.
func NewImport(ctx context.Context, fsys files.Reader, s *Source, o ImportOptions) (*Import, error) {
	if s.Meta["format"] == "alexnet" && s.Form == Safetensors {
		return nil, &Ours{s.Path}
	}
	sums, err := sumsOf(ctx, fsys, s.Path)
	if err != nil {
		return nil, err
	}
	s.published = publishedAs(sums)
	m, err := recognise(s, o.Net)
	if err != nil {
		return nil, err
	}
	i := &Import{Net: m.net, Changed: m.changed, How: m.how, Rows: m.rows, Published: s.published, Licence: s.licence()}
	for _, t := range m.beside {
		i.Beside = append(i.Beside, t.Name)
	}
	i.BGR = s.bgr && m.arch.Input.C == 3
	c := &checkpoint.Checkpoint{Path: s.Path, Dropout: checkpoint.DropoutPaper}
	if c.Recipe, i.Prep, err = s.prepare(m, o.Mean); err != nil {
		return nil, err
	}
	if o.Mean == nil {
		if i.MeanImage, err = s.meanImage(); err != nil {
			return nil, err
		}
	}
	if c.Classes, i.Classes, err = s.classes(m.arch.Classes, o.Classes); err != nil {
		return nil, err
	}
	if c.Config, err = m.page.YAML(); err != nil {
		return nil, err
	}
	if c.Params, err = s.convert(m, i.BGR); err != nil {
		return nil, err
	}
	c.Origin = &checkpoint.Origin{
		File: filepath.Base(s.Path), Form: string(s.Form), SHA256: sums.SHA256, Net: m.net, Licence: i.Licence,
	}
	if s.published != nil {
		c.Origin.Published = s.published.Name
	}
	i.Checkpoint = c
	return i, Check(c)
}

// Write writes the checkpoint. It appears whole or not at all; it stops when ctx ends.
func (i *Import) Write(ctx context.Context, fsys files.FS, path string) (bytes int64, err error) {
	c := *i.Checkpoint
	c.Params = slices.Clone(c.Params)
	for k, t := range c.Params {
		c.Params[k] = t.WithContext(ctx)
	}
	return atomicfile.Put(ctx, fsys, path, func(f atomicfile.File) error { return checkpoint.Encode(f, &c) })
}

// convert gives the parameters in our order, with our colours and our form of dropout.
func (s *Source) convert(m *match, bgr bool) ([]tensor.Tensor, error) {
	factors, err := inverted(m.arch)
	if err != nil {
		return nil, err
	}
	params := make([]tensor.Tensor, len(m.params))
	first := true
	for i := range m.arch.Layers {
		l := &m.arch.Layers[i]
		for k, p := range l.Params {
			t := m.params[p]
			t = finite(s.Path, t, 1/factors[p])
			if k == 0 && l.Kind == config.FC && m.flat[p] {
				t = s.layout.mapOrdered(t, l.In)
			}
			if k == 0 && first && bgr && l.Kind == config.Conv {
				t = turned(t, 1)
			}
			t.Name, t.DType = m.arch.Params[p].Name, "F32"
			t.Fill = times(1/factors[p], t.Fill)
			params[p] = t
		}
		first = first && len(l.Params) == 0
	}
	return params, nil
}

// ClassesFrom says where the names of the net's outputs are from.
type ClassesFrom string

// Where names of classes are from.
const (
	ClassesGiven    ClassesFrom = "given"
	ClassesFile     ClassesFrom = "file"
	ClassesImageNet ClassesFrom = "ilsvrc2012" // taken to be those, in order of WNID
	ClassesUnnamed  ClassesFrom = "unnamed"    // class-0000, class-0001, ...
)

// classes are the names of the net's outputs.
func (s *Source) classes(n int, given []string) (all []string, from ClassesFrom, err error) {
	switch {
	case given != nil && len(given) != n:
		return nil, "", &ClassCount{s.Path, len(given), n}
	case given != nil:
		return given, ClassesGiven, nil
	case s.Meta[formKey] != "":
		if all, err = s.classesInside(n); err != nil {
			return nil, "", &BadExport{s.Path, fmt.Errorf("classes: %w", err)}
		}
		return all, ClassesFile, nil
	}
	all, from = make([]string, n), ClassesUnnamed
	if n == imagenet.Classes {
		from = ClassesImageNet
	}
	for i := range all {
		if all[i] = fmt.Sprintf("class-%04d", i); from == ClassesImageNet {
			all[i] = imagenet.At(i).WNID
		}
	}
	return all, from, nil
}

// classesInside are the names that an exported file gives its outputs.
func (s *Source) classesInside(n int) ([]string, error) {
	var names []text.Raw
	if err := json.Unmarshal([]byte(s.Meta["classes"]), &names); err != nil {
		return nil, err
	}
	if len(names) != n {
		return nil, fmt.Errorf("%d for %d outputs", len(names), n)
	}
	all, seen := make([]string, n), map[string]bool{}
	for i, name := range names {
		switch all[i] = string(name); {
		case name == "":
			return nil, fmt.Errorf("number %d has no name", i+1)
		case seen[all[i]]:
			return nil, fmt.Errorf("%s twice", name)
		}
		seen[all[i]] = true
	}
	return all, nil
}

// licenceKeys are where files say under which terms they are passed on.
var licenceKeys = []string{"license", "licence", "License", "LICENSE", "modelspec.license"}

func (s *Source) licence() string {
	for _, key := range licenceKeys {
		if said := strings.TrimSpace(s.Meta[key]); said != "" {
			return text.Shorten(said, 4096)
		}
	}
	return ""
}
