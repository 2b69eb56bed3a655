package interop

import (
	"fmt"
	"slices"
	"strings"

	"alexnet/internal/config"
	"alexnet/internal/model"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
)

// Row is a tensor of a file beside the parameter of a net that it is to be. Either may be missing.
type Row struct {
	File      string // its name there
	FileShape []int
	Net       string // "conv1.weight"
	NetShape  []int
	Fits      bool
}

// Unfit is a file whose tensors are not the parameters of a net.
type Unfit struct {
	Path string
	Net  string // that was asked for, or that of all pages which it is nearest to
	// Asked is set where somebody named the net.
	Asked bool
	Rows  []Row  // side by side; empty where no tensor is a weight of a layer
	Layer string // what is another in a layer, where all shapes fit: "norm1 (lrn) stands where ..."
}

func (e *Unfit) Error() string {
	switch {
	case len(e.Rows) == 0:
		return e.Path + ": no tensor in it is a weight or a bias of a layer"
	case e.Layer != "":
		return fmt.Sprintf("%s: another net than %s: %s", e.Path, e.Net, e.Layer)
	}
	bad := 0
	for _, r := range e.Rows {
		if !r.Fits {
			bad++
		}
	}
	if e.Asked {
		return fmt.Sprintf("%s: not the net %s: %d of %s do not fit", e.Path, e.Net, bad,
			text.Count(len(e.Rows), "tensor"))
	}
	return fmt.Sprintf("%s: no net that is known: of the nearest, %s, %d of %s do not fit", e.Path, e.Net, bad,
		text.Count(len(e.Rows), "tensor"))
}

// Ambiguous is a file whose tensors fit several nets, which compute different things.
type Ambiguous struct {
	Path string
	Nets []string
}

func (e *Ambiguous) Error() string {
	return fmt.Sprintf("%s: its tensors fit several nets, and nothing in it tells which of them it is: %s", e.Path,
		strings.Join(e.Nets, ", "))
}

// match is a net and the file's tensors in the order of its parameters.
type match struct {
	net  string // the page's name
	page *config.Config
	arch *model.Arch
	// params are of the file, their shapes those of the net, the numbers in the file's order; names the file's.
	params  []tensor.Tensor
	flat    []bool // of params: the file's has its inputs in one dimension; it does not tell channels from places
	rows    []Row
	changed []string // what was set otherwise on the page
	layer   string   // what is different in a layer, where the file knows its layers
	how     Evidence
	beside  []tensor.Tensor // of the file, outside its dict of weights
	byPath  bool            // the page is a file of the user's
}

// Evidence says what told which net a file holds.
type Evidence string

// What tells which net it is.
const (
	ByAsking   Evidence = "as asked"
	ByItself   Evidence = "by its metadata"
	ByLayers   Evidence = "by its layers, their order and the shapes of their weights"
	ByChecksum Evidence = "by its checksum, and the shapes of its weights"
	ByNames    Evidence = "by names and shapes"
	ByShapes   Evidence = "by the shapes of its weights"
)

// fits tells whether all tensors have their places and, as far as the file says, all layers do the same.
func (m *match) fits() bool {
	return m.layer == "" && !slices.ContainsFunc(m.rows, func(r Row) bool { return !r.Fits })
}

// score is how near the net is, to name the nearest one.
func (m *match) score() (n int) {
	for _, r := range m.rows {
		if r.Fits {
			n++
		} else {
			n--
		}
	}
	return n
}

// recognise finds the net that a file holds: the one asked for, by a page's name or file, that which the file's
// metadata describe, or that of the pages which its tensors, and where it knows them its layers, fit.
func recognise(s *Source, asked string) (*match, error) {
	pairs, err := s.found()
	if err != nil {
		return nil, err
	}
	if len(pairs.pairs) == 0 {
		return nil, &Unfit{Path: s.Path}
	}
	switch {
	case asked != "":
		m, err := s.matchPage(asked, pairs)
		if err == nil && !m.fits() {
			err = &Unfit{Path: s.Path, Net: asked, Asked: true, Rows: m.rows, Layer: m.layer}
		}
		if m != nil {
			m.how = ByAsking
		}
		return m, err
	case s.Meta[formKey] != "":
		return s.matchItself(pairs)
	}
	return s.matchAny(pairs)
}

// matchItself is the net that an exported file carries.
func (s *Source) matchItself(pairs found) (*match, error) {
	page, err := config.Parse([]byte(s.Meta["config"]), nil)
	if err != nil {
		return nil, &BadExport{s.Path, err}
	}
	m, err := s.match("", page, pairs)
	if err != nil {
		return nil, &BadExport{s.Path, err}
	}
	if !m.fits() {
		return nil, &Unfit{Path: s.Path, Net: "its own configuration", Asked: true, Rows: m.rows}
	}
	m.how = ByItself
	for _, name := range config.Names() { // that it began as; its own page may differ in what training needs
		if known, err := config.Load(name, nil); err == nil && sameNet(known, page) {
			m.net = name
		}
	}
	return m, nil
}

// sameNet tells whether two pages have the same layers.
func sameNet(a, b *config.Config) bool {
	x, y := a.Model, b.Model
	return x.Columns == y.Columns && x.Input == y.Input && slices.EqualFunc(x.Layers, y.Layers,
		func(a, b config.Layer) bool {
			a.Init, b.Init = config.Init{}, config.Init{}
			a.LR, a.BiasLR, a.WeightDecay, b.LR, b.BiasLR, b.WeightDecay = nil, nil, nil, nil, nil, nil
			a.Freeze, b.Freeze = false, false
			return a == b
		})
}

// BadExport is a file that was exported here, whose metadata somebody has spoilt.
type BadExport struct {
	Path string
	Err  error // not unwrapped: the mistake is not one of whoever uses the file
}

func (e *BadExport) Error() string { return fmt.Sprintf("%s: its metadata: %v", e.Path, e.Err) }

// matchAny looks for the page that fits. Where several do, a published checksum or names that are in use for one net
// decide.
func (s *Source) matchAny(pairs found) (*match, error) {
	var fit []*match
	var nearest *match
	for _, name := range config.Names() {
		m, err := s.matchPage(name, pairs)
		if err != nil {
			continue // a page whose classes are fixed at another number
		}
		if m.fits() {
			fit = append(fit, m)
		}
		if nearest == nil || m.score() > nearest.score() {
			nearest = m
		}
	}
	if len(fit) == 0 {
		if nearest == nil {
			return nil, &Unfit{Path: s.Path}
		}
		return nil, &Unfit{Path: s.Path, Net: nearest.net, Rows: nearest.rows, Layer: nearest.layer}
	}
	told, how := "", ByShapes
	switch {
	case s.published != nil:
		told, how = s.published.Net, ByChecksum
	case len(s.steps) > 0:
		how = ByLayers
	default:
		if told = netOfNames(pairs.pairs); told != "" {
			how = ByNames
		}
	}
	if at := slices.IndexFunc(fit, func(m *match) bool { return m.net == told }); at >= 0 {
		fit = fit[at : at+1]
	}
	if len(fit) > 1 {
		e := &Ambiguous{Path: s.Path}
		for _, m := range fit {
			e.Nets = append(e.Nets, m.net)
		}
		return nil, e
	}
	fit[0].how = how
	return fit[0], nil
}

// netOfNames is the net that the names of layers are in use for: torchvision's, and those of jiecaoyu's widely copied
// bvlc_alexnet for PyTorch, in which normalisation stands before pooling.
func netOfNames(pairs []pair) string {
	var names []string
	for _, p := range pairs {
		names = append(names, p.name)
	}
	switch strings.Join(names, " ") {
	case "features.0 features.3 features.6 features.8 features.10 classifier.1 classifier.4 classifier.6":
		return "torchvision"
	case "features.0 features.4 features.8 features.10 features.12 classifier.0 classifier.3 classifier.6":
		return "bvlc-alexnet"
	}
	return ""
}

// matchPage holds the file to a page, by its name or path.
func (s *Source) matchPage(name string, pairs found) (*match, error) {
	page, err := config.Load(name, nil)
	if err != nil {
		return nil, err
	}
	m, err := s.match(name, page, pairs)
	if m != nil {
		m.byPath = !slices.Contains(config.Names(), name)
	}
	return m, err
}

// match holds the file's layers to those of a page with as many classes as the file's last layer has outputs.
func (s *Source) match(name string, page *config.Config, in found) (*match, error) {
	pairs := in.pairs
	classes := outputs(pairs[len(pairs)-1].weight)
	changed, err := s.adopt(page, classes)
	if err != nil {
		return nil, err
	}
	arch, err := model.Of(page, classes)
	if err != nil {
		return nil, err
	}
	m := &match{net: name, page: page, arch: arch, changed: changed, beside: in.beside}
	m.layer = differsInSteps(s.steps, arch)
	var layers []*model.Layer
	for i := range arch.Layers {
		if len(arch.Layers[i].Params) > 0 {
			layers = append(layers, &arch.Layers[i])
		}
	}
	for i, l := range layers {
		p := pairOf(l.Name, i, len(layers), pairs)
		m.add(p.weight, &arch.Params[l.Params[0]])
		m.add(p.bias, &arch.Params[l.Params[1]])
	}
	used := map[string]bool{}
	for _, r := range m.rows {
		used[r.File] = true
	}
	for _, p := range pairs {
		for _, t := range []*tensor.Tensor{p.weight, p.bias} {
			if t != nil && !used[t.Name] {
				m.rows = append(m.rows, Row{File: t.Name, FileShape: t.Shape})
			}
		}
	}
	for _, t := range in.others {
		m.rows = append(m.rows, Row{File: t.Name, FileShape: t.Shape})
	}
	return m, nil
}

// outputs is the number of outputs of a layer.
func outputs(weight *tensor.Tensor) int {
	if weight == nil {
		return 0
	}
	for _, n := range weight.Shape {
		if n != 1 { // 1x1x1000x4096
			return n
		}
	}
	return 0
}

// pairOf is the pair for layer number i of n: the one of its name where the file has the names of the net, else the one
// in its place.
func pairOf(name string, i, n int, pairs []pair) pair {
	at := slices.IndexFunc(pairs, func(p pair) bool { return p.name == name })
	switch {
	case at >= 0:
		return pairs[at]
	case len(pairs) == n && i < len(pairs):
		return pairs[i]
	}
	return pair{}
}

// add puts a tensor of the file beside a parameter.
func (m *match) add(t *tensor.Tensor, p *model.ParamInfo) {
	row := Row{Net: p.Name, NetShape: p.Shape}
	if t != nil {
		row.File, row.FileShape, row.Fits = t.Name, t.Shape, holds(t.Shape, p.Shape)
		m.params = append(m.params, reshaped(*t, p.Shape...))
		n := len(t.Shape)
		m.flat = append(m.flat, n < 4 || t.Shape[n-1]*t.Shape[n-2] == 1)
	}
	m.rows = append(m.rows, row)
}

// holds tells whether a tensor of one shape is a parameter of another: old Caffe's begin with ones, and a fully
// connected layer may be written as a convolution over the whole map, which orders the numbers alike.
func holds(file, net []int) bool {
	for len(file) > len(net) && file[0] == 1 {
		file = file[1:]
	}
	if len(net) == 2 && len(file) == 4 {
		return file[0] == net[0] && file[1]*file[2]*file[3] == net[1]
	}
	return slices.Equal(file, net)
}
