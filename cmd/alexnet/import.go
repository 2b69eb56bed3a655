package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/config"
	"alexnet/internal/files"
	"alexnet/internal/interop"
	"alexnet/internal/recipe"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// importOptions are what weights import was asked to do.
type importOptions struct {
	config, mean, classes, out string
	bgr, force                 bool
	told                       bool // bgr was given
}

// importResult is the document of weights import --json.
type importResult struct {
	Out        text.Raw `json:"out"`
	File       text.Raw `json:"file"`
	Form       string   `json:"form"`
	Net        text.Raw `json:"net"`        // the page, by name or path; empty: the file's own
	Changed    []string `json:"changed"`    // what is otherwise on the page, as overrides
	Recognised string   `json:"recognised"` // by what
	Parameters int64    `json:"parameters"`
	Classes    int      `json:"classes"`
	// given: by --classes; file: it says so itself; ilsvrc2012: taken to be its; unnamed: class-0000 ...
	ClassesFrom interop.ClassesFrom `json:"classes_from"`
	Bytes       int64               `json:"bytes"`
	SHA256      string              `json:"sha256"` // of the file
	BGR         bool                `json:"bgr"`    // the file's first layer takes blue, green and red
	// file: it says so itself; page: that of --config does; published: it is how such weights are used; unknown:
	// nothing is subtracted and nothing divided
	Preprocess interop.PrepFrom `json:"preprocess"`
	InWords    string           `json:"preprocess_in_words"`
	Published  *publishedResult `json:"published"` // null: not known
	Licence    text.Raw         `json:"licence,omitempty"`
	Tensors    []importedResult `json:"tensors"`
	NotUsed    []text.Raw       `json:"not_used,omitempty"`   // tensors beside the weights
	Mean       []float32        `json:"mean"`                 // a channel; null: none
	Std        []float32        `json:"std"`                  // null: nothing is divided
	MeanImage  text.Raw         `json:"mean_image,omitempty"` // named, and not used
	classesIn  string           // the file of --classes
}

// publishedResult is how good the file is, as those say who published it.
type publishedResult struct {
	Name   string  `json:"name"`
	Top1   float64 `json:"top1_error"`
	Top5   float64 `json:"top5_error"`
	How    string  `json:"how"`
	Source string  `json:"source"`
}

// importedResult is a tensor of the file and the parameter that it became.
type importedResult struct {
	File      text.Raw `json:"file"`
	FileShape []int    `json:"file_shape"`
	Net       string   `json:"net"`
	NetShape  []int    `json:"net_shape"`
}

func newWeightsImportCommand(t *ui.Terminal) *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use:   "import FILE --out FILE",
		Short: "Make a checkpoint of another program's weights",
		Long: `Make a checkpoint of weights that another program trained, so that eval, predict and train --init
take them as they take this program's own. What is read: ` + importForms + `.
The content tells which it is; the name does not matter.

The net is recognised by names and shapes, and in files that know their layers by these; where several
nets fit, --config says which. What does not fit is listed side by side. Dropout becomes the paper's:
the weights of a layer after a dropout layer are divided by 1-rate.

What a file does not say is taken as such weights are commonly used: how pictures are prepared, and
that 1000 outputs are ILSVRC2012's classes in order of WNID. The command says what it took so. See
docs/import.md.

` + outHelp,
		Example: `  alexnet weights import alexnet.pth --out imported.safetensors
  alexnet weights import plants.pth --classes plants.txt --out plants.safetensors
  alexnet predict cat.jpg --weights imported.safetensors`,
		Args: wantArgs("a file of weights", 1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.out == "" {
				return usageError("alexnet weights import alexnet.pth --out imported.safetensors",
					"weights import needs --out")
			}
			if err := promised(o.out, ".safetensors"); err != nil {
				return err
			}
			o.told = c.Flags().Changed("bgr")
			return runWeightsImport(c.Context(), o, args[0], t)
		},
	}
	f := c.Flags()
	f.StringVar(&o.config, "config", "", "the net, by `NAME` ("+strings.Join(config.Names(), ", ")+
		") or file of its page (default: recognised)")
	f.StringVar(&o.mean, "mean", "", "`FILE` of the mean that the net was trained with: .binaryproto or .npy")
	f.StringVar(&o.classes, "classes", "", "`FILE` of the classes' names, a line each in the order of the outputs")
	f.BoolVar(&o.bgr, "bgr", false, "the file's net, and --mean, have colours as blue, green, red, "+
		"as Caffe's forms are taken to have; =false: as red, green, blue")
	f.StringVar(&o.out, "out", "", "the `FILE` to write, new")
	f.BoolVar(&o.force, "force", false, "overwrite FILE")
	return c
}

// importForms are the forms of files that are read, in words.
const importForms = `PyTorch's .pth, .pt and .tar,
safetensors, Caffe's .caffemodel, NumPy's .npz and kaffe's .npy, and .onnx`

func runWeightsImport(ctx context.Context, o importOptions, path string, t *ui.Terminal) error {
	if _, err := newFile(o.out, o.force, t); err != nil {
		return err
	}
	classes, err := readClasses(ctx, o.classes)
	if err != nil {
		return err
	}
	reading := t.Phase("reading " + text.Name(path))
	defer reading.Clear()
	s, err := interop.Open(files.OS, path)
	if err != nil {
		return explainNoFile(path, err)
	}
	defer closeQuietly(s)
	warnUnchecked(s, t)
	options := interop.ImportOptions{Net: o.config, Classes: classes}
	if o.told {
		s.SetBGR(o.bgr)
	}
	if o.mean != "" {
		if options.Mean, err = s.OpenMean(files.OS, o.mean); err != nil {
			return explainNoFile(o.mean, err)
		}
	}
	made, err := interop.NewImport(ctx, files.OS, s, options)
	if err != nil {
		reading.Clear()
		showUnfit(err, t)
		return err
	}
	r := newImportResult(made, o)
	if r.Bytes, err = made.Write(ctx, disk(t), o.out); err != nil {
		return err
	}
	reading.Clear()
	return t.Result(r, func(w *bytes.Buffer) { printImport(w, r, t.OutWidth) })
}

// warnUnchecked says that no damage would be found.
func warnUnchecked(s *interop.Source, t *ui.Terminal) {
	if s.Unchecked {
		t.Warn("%s: every checksum in it is 0, so whoever wrote it computed none: damage would not be found",
			text.Name(s.Path))
	}
}

// explainNoFile words the error of a file that is not there.
func explainNoFile(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return advise(exitCheckpoint, "check the path", fmt.Errorf("%s: there is no such file", text.Name(path)))
	}
	return err
}

func newImportResult(made *interop.Import, o importOptions) *importResult {
	c := made.Checkpoint
	r := &importResult{
		Out: text.Raw(o.out), File: text.Raw(c.Path), Form: c.Origin.Form, Net: text.Raw(made.Net),
		Changed:    append([]string{}, made.Changed...),
		Recognised: string(made.How), Classes: len(c.Classes), SHA256: c.Origin.SHA256, BGR: made.BGR,
		Preprocess: made.Prep, InWords: inWords(&c.Recipe), Licence: text.Raw(made.Licence),
		MeanImage: text.Raw(made.MeanImage), ClassesFrom: made.Classes, classesIn: o.classes,
	}
	public := c.Recipe.Public("")
	if c.Recipe.MeanKind != "" {
		r.Mean = public.Mean
	}
	if len(c.Recipe.Scale) > 0 {
		r.Std = public.Std
	}
	if p := made.Published; p != nil {
		r.Published = &publishedResult{p.Name, p.Top1Error, p.Top5Error, p.How, p.Source}
	}
	for _, row := range made.Rows {
		r.Tensors = append(r.Tensors, importedResult{
			text.Raw(row.File), append([]int{}, row.FileShape...), row.Net, row.NetShape,
		})
	}
	for _, name := range made.Beside {
		r.NotUsed = append(r.NotUsed, text.Raw(name))
	}
	for _, p := range c.Params {
		r.Parameters += int64(p.Len())
	}
	return r
}

// inWords is how pictures are prepared, without what is not done.
func inWords(r *recipe.Recipe) string {
	public := r.Public("")
	if r.HasMeanImage() {
		public.MeanImage = "the checkpoint"
	}
	words := public.Words()
	if len(r.MeanShape) == 0 {
		words = strings.Replace(words, "; minus mean", "", 1)
	}
	if len(r.Scale) == 0 {
		words = strings.Replace(words, "; divided by std", "", 1)
	}
	return words
}

func printImport(w *bytes.Buffer, r *importResult, width int) {
	net := text.Name(r.Net)
	if net == "" {
		net = "a net of its own"
	}
	if len(r.Changed) > 0 {
		net += " with " + strings.Join(r.Changed, ", ")
	}
	how := r.Recognised
	if how != string(interop.ByAsking) {
		how = "recognised " + how
	}
	fmt.Fprintf(w, "%s: %s, %s\n\n", text.Name(r.File), net, how)
	var rows []interop.Row
	for _, t := range r.Tensors {
		rows = append(rows, interop.Row{File: string(t.File), FileShape: t.FileShape, Net: t.Net, NetShape: t.NetShape})
	}
	sideBySide(rows).Write(w, width)
	if n := len(r.NotUsed); n > 0 {
		fmt.Fprintf(w, "\nnot used, beside the weights: %s", text.Name(r.NotUsed[0]))
		if n > 1 {
			fmt.Fprintf(w, " and %s", text.Count(n-1, "other tensor"))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "\nclasses: %s, %s\n", text.Grouped(int64(r.Classes)), r.classNames())
	fmt.Fprintf(w, "pictures: %s\n  mean: %s; std: %s\n  %s\n", r.InWords, figures(r.Mean), figures(r.Std),
		prepWords[r.Preprocess])
	if r.BGR {
		fmt.Fprintln(w, "colours: the file's are blue, green, red; converted to RGB")
	}
	if r.MeanImage != "" {
		used := "its mean colour is used"
		if r.Mean == nil {
			used = "nothing is subtracted"
		}
		fmt.Fprintf(w, "its mean image is another file, %s; %s; --mean FILE uses the image\n", text.Name(r.MeanImage),
			used)
	}
	if p := r.Published; p != nil {
		fmt.Fprintf(w, "published: %s, errors %s top-1, %s top-5 (%s; %s)\n", p.Name, text.Percent(p.Top1),
			text.Percent(p.Top5), p.How, p.Source)
	} else {
		fmt.Fprintln(w, "published accuracy: not known")
	}
	if r.Licence != "" {
		fmt.Fprintf(w, "licence: %s\n", text.Name(r.Licence))
	}
	fmt.Fprintf(w, "%s: %s parameters, %s\n", text.Name(r.Out), text.Grouped(r.Parameters), text.Bytes(r.Bytes))
}

// classNames says where the names of classes are from.
func (r *importResult) classNames() string {
	switch r.ClassesFrom {
	case interop.ClassesGiven:
		return "as " + text.Name(r.classesIn) + " names them"
	case interop.ClassesFile:
		return "as the file names them"
	case interop.ClassesImageNet:
		return "taken to be ILSVRC2012's, in order of WNID"
	}
	return "without names: --classes FILE gives some"
}

// figures are numbers a channel, or one for all where they are the same.
func figures(v []float32) string {
	if len(v) == 0 {
		return "none"
	}
	var words []string
	for _, x := range v {
		words = append(words, fmt.Sprintf("%.6g", x))
	}
	if len(slices.Compact(slices.Clone(words))) == 1 {
		return words[0]
	}
	return strings.Join(words, ", ")
}

// prepWords say how far the preparation of pictures can be trusted.
var prepWords = map[interop.PrepFrom]string{
	interop.PrepFile:      "as the file says",
	interop.PrepPage:      "as the page says; the file does not say it",
	interop.PrepPublished: "the file does not say; it is how such weights are used",
	interop.PrepUnknown:   "the file does not say: nothing is subtracted and nothing divided",
}

// sideBySide is a table of a file's tensors and the parameters of a net; what does not fit is marked.
func sideBySide(rows []interop.Row) *ui.Table {
	tab := &ui.Table{Columns: []ui.Column{
		{Head: "in the file"}, {Head: "shape", Drop: 1}, {Head: "in the net"}, {Head: "shape"},
	}}
	for _, r := range rows {
		tab.Add(orNone(r.File), orNone(text.Shape(r.FileShape)), orNone(r.Net), orNone(text.Shape(r.NetShape)))
	}
	return tab
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// showUnfit prints what does not fit, where an import fails for it.
func showUnfit(err error, t *ui.Terminal) {
	var e *interop.Unfit
	if !errors.As(err, &e) || len(e.Rows) == 0 || e.Layer != "" {
		return
	}
	var w bytes.Buffer
	tab := &ui.Table{Columns: []ui.Column{
		{Head: ""}, {Head: "in the file"}, {Head: "shape"}, {Head: "in " + text.Name(e.Net)}, {Head: "shape"},
	}}
	const most = 60
	for _, r := range e.Rows[:min(len(e.Rows), most)] {
		mark := "differs"
		switch {
		case r.Fits:
			mark = ""
		case r.File == "":
			mark = "missing"
		case r.Net == "":
			mark = "left over"
		}
		tab.Add(mark, orNone(r.File), orNone(text.Shape(r.FileShape)), orNone(r.Net), orNone(text.Shape(r.NetShape)))
	}
	tab.Write(&w, t.ErrWidth)
	for line := range strings.Lines(w.String()) {
		t.Note("%s", strings.TrimRight(line, "\n"))
	}
	if more := len(e.Rows) - most; more > 0 {
		t.Note("and %s", text.Count(more, "other"))
	}
}

// wnid is a line of Caffe's synset_words.txt: the WNID, then its words.
var wnid = regexp.MustCompile(`^(n[0-9]{8})(\s|$)`)

// readClasses reads names of classes, a line each, or a JSON array of them; nil for no path.
func readClasses(ctx context.Context, path string) (names []string, err error) {
	if path == "" {
		return nil, nil
	}
	list, err := readLines(ctx, files.OS, path, longestClasses)
	switch {
	case ctx.Err() != nil:
		return nil, err
	case err != nil:
		return nil, badClasses(path, err.Error())
	}
	if strings.HasPrefix(strings.TrimSpace(list), "[") {
		if err := json.Unmarshal([]byte(list), &names); err != nil {
			return nil, badClasses(path, "a JSON array of names: "+err.Error())
		}
	} else {
		for line := range strings.Lines(strings.TrimRight(list, "\r\n")) {
			line = strings.TrimRight(line, "\r\n")
			if m := wnid.FindStringSubmatch(line); m != nil {
				line = m[1]
			}
			names = append(names, line)
		}
	}
	if len(names) == 0 {
		return nil, badClasses(path, "it names none")
	}
	seen := map[string]int{}
	for i, name := range names {
		switch {
		case name == "":
			return nil, badClasses(path, fmt.Sprintf("class %d has no name", i+1))
		case seen[name] > 0:
			return nil, badClasses(path, fmt.Sprintf("class %d is %s, as class %d", i+1, text.Name(name), seen[name]))
		}
		seen[name] = i + 1
	}
	return names, nil
}

// longestClasses is the most bytes of a list of classes.
const longestClasses = 64 << 20

func badClasses(path, why string) error {
	return usageError("give a file with the name of a class a line, in the order of the net's outputs",
		"--classes %s: %s", text.Name(path), why)
}
