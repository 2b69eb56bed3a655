// Package checkpoint keeps a net in a file with all that a run needs to go on from there, and that whoever uses the net
// needs to prepare pictures as in training: the checkpoint. It is a safetensors file whose tensors are the parameters
// under the paper's names, their momentum and the mean of the pictures, and whose metadata say the rest.
//
// The package knows neither model nor device: tensors come from and go to callbacks, in logical order (conv OIHW, fc
// (out, in)), fp32. Of the program it imports config, files, recipe, safetensors and text.
package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/files"
	"alexnet/internal/recipe"
	"alexnet/internal/safetensors"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
)

// Checkpoint is a net in a file and all that a run needs to go on from there, or that eval and predict need to treat
// pictures alike.
type Checkpoint struct {
	Path    string // of the file it was loaded from
	Step    uint64 // steps done
	Sample  uint64 // number, within the run, of the next sample: the loader's cursor
	Seed    uint64
	Epoch   int      // epochs finished
	Config  []byte   // the resolved configuration, YAML
	Classes []string // the names in the order of the net's outputs; any bytes
	Data    Data
	// the devices that trained it, as the user named them ("cpu,cpu"); empty: unknown, in older files
	Device  string
	Threads int // and their threads; 0: unknown
	// processor and library ("NVIDIA H100 80GB HBM3, cuDNN 9.27.0"); empty: unknown, in older files
	Hardware   string
	Algorithms map[string]int  // that they chose where several differ in the last bits; see device.Chooser
	Recipe     recipe.Recipe   // how pictures become the net's input; its mean is a tensor in the file
	Dropout    string          // DropoutPaper
	Schedule   json.RawMessage // what the schedule remembers; nil: nothing
	Best       *Best           // of the run so far; nil: not validated yet
	Origin     *Origin         // of weights that another program trained; nil: they were trained here
	Params     []tensor.Tensor // conv1.weight .. fc8.bias, in the net's order
	Momentum   []tensor.Tensor // under the parameters' names; empty in best.safetensors

	file *safetensors.Reader
	sum  string
}

// Sum names the content of the file that the checkpoint was loaded from, as safetensors.Header.Sum does: two files have
// the same one only if all that is in them is the same. Of one that was not loaded it is empty.
func (c *Checkpoint) Sum() string { return c.sum }

// DropoutPaper is the 2012 form of dropout: a mask in training, outputs times 1-rate at test. The other form in use
// ("inverted": times 1/(1-rate) in training) is the same net with other weights after each dropout layer, so a file
// must say which.
const DropoutPaper = "paper"

// DropoutError is a sound checkpoint whose weights are for a form of dropout that the program does not have.
type DropoutError struct {
	Path string
	Form string // that of the file
}

func (e *DropoutError) Error() string {
	return fmt.Sprintf("%s: its dropout is of the form %q, want %q", e.Path, e.Form, DropoutPaper)
}

// CheckDropout refuses another form of dropout than the paper's with a *DropoutError. A file that names none has it.
func (c *Checkpoint) CheckDropout() error {
	if c.Dropout != "" && c.Dropout != DropoutPaper {
		return &DropoutError{c.Path, c.Dropout}
	}
	return nil
}

// Data tells where the pictures came from.
type Data struct {
	Path        string   `json:"path"`             // empty: not known
	More        []string `json:"more,omitempty"`   // other paths of the same pictures' set
	Labels      string   `json:"labels,omitempty"` // how labels are meant, where somebody said that; as in data.Place
	Fingerprint string   `json:"fingerprint"`      // of the names and classes of the pictures
	Set         string   `json:"set,omitempty"`    // data.Source.Made of them; older files do not say
}

// Paths are all there are.
func (d *Data) Paths() []string {
	if d.Path == "" {
		return nil
	}
	return append([]string{d.Path}, d.More...)
}

// names are the texts that a file system gives.
func (d *Data) names() []*string {
	all := []*string{&d.Path, &d.Labels}
	for i := range d.More {
		all = append(all, &d.More[i])
	}
	return all
}

// Best is the validation that chose the best checkpoint.
type Best struct {
	Step      uint64  `json:"step"`
	Epoch     int     `json:"epoch"`
	Top1Error float64 `json:"top1_error"` // 0..1
	Top5Error float64 `json:"top5_error"`
	Loss      float64 `json:"loss"`
}

// Origin is where weights came from that another program trained, or that were exported for others and came back.
type Origin struct {
	File      string `json:"file"` // its name, without where it lay
	Form      string `json:"form"` // "safetensors"
	SHA256    string `json:"sha256"`
	Net       string `json:"net,omitempty"`       // the page that it was recognised as
	Published string `json:"published,omitempty"` // the name under which this very file was published
	Licence   string `json:"licence,omitempty"`   // as the file has it
}

// texts are what may be any bytes.
func (o *Origin) texts() []*string {
	if o == nil {
		return nil
	}
	return []*string{&o.File, &o.Form, &o.Net, &o.Published, &o.Licence}
}

// Names in the file.
const (
	formatName    = "alexnet"
	formatVersion = 1
	meanTensor    = "preprocess.mean"
	momentumOf    = "optim." // + the parameter's name
	namesKey      = "names"  // how those of classes and data are written; missing: as they are
	namesEscaped  = "escaped"
)

// IsParameter tells a parameter of the net, by the tensor's name, from the mean and the momentum.
func IsParameter(tensor string) bool {
	return tensor != meanTensor && !strings.HasPrefix(tensor, momentumOf)
}

// Save writes a checkpoint to path, a file of the program's own, as atomicfile.Write does: whole, or not at all. The
// tensors' Fill are called in order, with one buffer as long as the longest.
func Save(fsys files.FS, path string, c *Checkpoint) error {
	meta, tensors, err := c.content()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return safetensors.Write(fsys, path, meta, tensors)
}

// Encode writes to w, from its beginning, what Save puts into a file. On an error w holds a part of it.
func Encode(w io.WriterAt, c *Checkpoint) error {
	meta, tensors, err := c.content()
	if err != nil {
		return err
	}
	return safetensors.Encode(w, meta, tensors)
}

// content is what the file holds.
func (c *Checkpoint) content() (meta map[string]string, all []tensor.Tensor, err error) {
	if meta, err = c.meta(); err != nil {
		return nil, nil, err
	}
	if len(c.Recipe.MeanShape) > 0 {
		all = append(all, tensor.Of(meanTensor, c.Recipe.MeanShape, c.Recipe.Mean))
	}
	for _, t := range c.Params {
		if !IsParameter(t.Name) {
			return nil, nil, fmt.Errorf("a parameter cannot be named %s", t.Name)
		}
	}
	all = append(all, c.Params...)
	for _, t := range c.Momentum {
		all = append(all, tensor.Tensor{Name: momentumOf + t.Name, Shape: t.Shape, Fill: t.Fill})
	}
	return meta, all, nil
}

// meta is the checkpoint's metadata: numbers in decimal, texts as they are, the rest as JSON.
func (c *Checkpoint) meta() (map[string]string, error) {
	if err := c.Recipe.Check(); err != nil {
		return nil, fmt.Errorf("preprocess: %w", err)
	}
	if err := c.checkMeta(); err != nil {
		return nil, err
	}
	meta := map[string]string{
		"format": formatName, "format_version": strconv.Itoa(formatVersion),
		"step": strconv.FormatUint(c.Step, 10), "sample": strconv.FormatUint(c.Sample, 10),
		"seed": strconv.FormatUint(c.Seed, 10), "epoch": strconv.Itoa(c.Epoch), "config": string(c.Config),
		"dropout": c.Dropout,
	}
	if c.Device != "" {
		meta["device"] = c.Device
	}
	if c.Threads != 0 {
		meta["threads"] = strconv.Itoa(c.Threads)
	}
	if c.Hardware != "" {
		meta["hardware"] = c.Hardware
	}
	return meta, c.addParts(meta)
}

// addParts adds what the metadata hold as JSON. Names that JSON cannot hold are escaped there, and all with them.
func (c *Checkpoint) addParts(meta map[string]string) error {
	classes, data := slices.Clone(c.Classes), c.Data
	data.More = slices.Clone(data.More)
	names := data.names()
	for i := range classes {
		names = append(names, &classes[i])
	}
	origin := c.Origin
	if origin != nil {
		written := *origin
		origin = &written
	}
	names = append(names, origin.texts()...)
	for _, name := range names {
		written := text.UTF8(*name)
		if written != *name {
			meta[namesKey] = namesEscaped
		}
		*name = written
	}
	for _, part := range []struct {
		name  string
		there bool
		value any
	}{
		{"classes", true, classes},
		{"data", true, data},
		{"preprocess", true, c.Recipe},
		{"schedule", c.Schedule != nil, c.Schedule},
		{"best", c.Best != nil, c.Best},
		{"origin", origin != nil, origin},
		{"algorithms", len(c.Algorithms) > 0, c.Algorithms},
	} {
		if !part.there {
			continue
		}
		document, err := json.Marshal(part.value)
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		meta[part.name] = string(document)
	}
	return nil
}

// Foreign is a sound safetensors file that is not a checkpoint, or not one that this program reads.
type Foreign struct {
	Path    string
	Version string // of the format, where it is a checkpoint of another version; else empty
}

func (e *Foreign) Error() string {
	if e.Version == "" {
		return e.Path + ": a safetensors file, but not a checkpoint of this program"
	}
	return fmt.Sprintf("%s: a checkpoint of format version %s; this program reads version %d", e.Path, e.Version,
		formatVersion)
}

// Load opens a checkpoint and reads all but the tensors of the net, which stay in the file: their Fill reads them, one
// at a time and checked against its CRC32C, until Close. A file that is no sound checkpoint is a *tensor.BadFile,
// a sound file of something else a *Foreign. The file may be replaced meanwhile; what is read is what was there.
func Load(fsys files.Reader, path string) (*Checkpoint, error) {
	r, err := safetensors.Open(fsys, path)
	if err != nil {
		return nil, err
	}
	c, err := LoadFrom(r)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return c, nil
}

// LoadFrom is Load from an open file, which the checkpoint's Close closes.
func LoadFrom(r *safetensors.Reader) (*Checkpoint, error) {
	c := &Checkpoint{Path: r.Path(), file: r, sum: r.Sum()}
	if err := c.read(r); err != nil {
		var bad *tensor.BadFile
		if errors.As(err, &bad) {
			bad.Path = c.Path
		}
		return nil, err
	}
	return c, nil
}

func (c *Checkpoint) read(r *safetensors.Reader) error {
	if r.Meta["format"] != formatName || !r.Checked() {
		return &Foreign{Path: c.Path}
	}
	if v := r.Meta["format_version"]; v != strconv.Itoa(formatVersion) {
		return &Foreign{Path: c.Path, Version: v}
	}
	if err := c.setMeta(r.Meta); err != nil {
		return err
	}
	if err := c.checkMeta(); err != nil {
		return tensor.Damaged("%v", err)
	}
	for i, info := range r.Tensors {
		t := r.Tensor(i)
		name, momentum := strings.CutPrefix(info.Name, momentumOf)
		switch {
		case info.Name == meanTensor:
			if err := c.Recipe.CheckMean(t.Shape); err != nil { // before room is made for it
				return tensor.Damaged("preprocessing: %v", err)
			}
			v, err := t.Values()
			if err != nil {
				return err
			}
			c.Recipe.Mean, c.Recipe.MeanShape = v, t.Shape
		case momentum:
			t.Name = name
			c.Momentum = append(c.Momentum, t)
		default:
			c.Params = append(c.Params, t)
		}
	}
	if err := c.Recipe.Check(); err != nil {
		return tensor.Damaged("preprocessing: %v", err)
	}
	return nil
}

// setMeta reads the metadata back. The header's checksum was right, so an error here is a writer's mistake, but a file
// is a file.
func (c *Checkpoint) setMeta(meta map[string]string) error {
	c.Config, c.Dropout, c.Device, c.Hardware = []byte(meta["config"]), meta["dropout"], meta["device"],
		meta["hardware"]
	for _, n := range []struct {
		name string
		into *uint64
	}{{"step", &c.Step}, {"sample", &c.Sample}, {"seed", &c.Seed}} {
		var err error
		if *n.into, err = strconv.ParseUint(meta[n.name], 10, 64); err != nil {
			return tensor.Damaged("metadata %s is %q", n.name, meta[n.name])
		}
	}
	var err error
	if c.Epoch, err = strconv.Atoi(meta["epoch"]); err != nil {
		return tensor.Damaged("metadata epoch is %q", meta["epoch"])
	}
	if threads, there := meta["threads"]; there {
		if c.Threads, err = strconv.Atoi(threads); err != nil {
			return tensor.Damaged("metadata threads is %q", threads)
		}
	}
	if err := c.setParts(meta); err != nil {
		return err
	}
	switch form, there := meta[namesKey]; {
	case !there:
		return nil
	case form != namesEscaped:
		return tensor.Damaged("metadata %s is %q, want %s", namesKey, form, namesEscaped)
	}
	return c.unescape()
}

// unescape gives back the names that addParts wrote.
func (c *Checkpoint) unescape() (err error) {
	for _, name := range c.Data.names() {
		if *name, err = text.Unescape(*name); err != nil {
			return tensor.Damaged("metadata data: %v", err)
		}
	}
	for i, written := range c.Classes {
		if c.Classes[i], err = text.Unescape(written); err != nil {
			return tensor.Damaged("metadata classes[%d]: %v", i, err)
		}
	}
	for _, name := range c.Origin.texts() {
		if *name, err = text.Unescape(*name); err != nil {
			return tensor.Damaged("metadata origin: %v", err)
		}
	}
	return nil
}

// setParts reads back what the metadata hold as JSON.
func (c *Checkpoint) setParts(meta map[string]string) error {
	for _, part := range []struct {
		name    string
		missing bool // it may be
		into    any
	}{
		{"classes", false, &c.Classes},
		{"data", false, &c.Data},
		{"preprocess", false, &c.Recipe},
		{"schedule", true, &c.Schedule},
		{"best", true, &c.Best},
		{"origin", true, &c.Origin},
		{"algorithms", true, &c.Algorithms},
	} {
		document, there := meta[part.name]
		if !there && part.missing {
			continue
		}
		if len(document) > maxPart && part.name != "classes" {
			return tensor.Damaged("metadata %s is %d bytes, want at most %d", part.name, len(document), maxPart)
		}
		if err := json.Unmarshal([]byte(document), part.into); err != nil {
			return tensor.Damaged("metadata %s: %v", part.name, err)
		}
	}
	return nil
}

// Compact is the checkpoint for use alone, to be saved elsewhere: without momentum and what else only a resumed run
// needs, without the paths of its data, which mean nothing on another machine, and with its parameters as dtype: F32 or
// F16.
func (c *Checkpoint) Compact(dtype string) *Checkpoint {
	compact := *c
	compact.Data = Data{Fingerprint: c.Data.Fingerprint}
	compact.Device, compact.Threads, compact.Schedule, compact.Momentum, compact.file = "", 0, nil, nil, nil
	compact.Hardware, compact.Algorithms, compact.sum = "", nil, ""
	compact.Params = slices.Clone(c.Params)
	for i := range compact.Params {
		compact.Params[i].DType = dtype
	}
	return &compact
}

// Close closes the file that Load opened; the tensors' Fill fail from then on. Closing again does nothing.
func (c *Checkpoint) Close() error {
	file := c.file
	if c.file = nil; file == nil {
		return nil
	}
	return file.Close()
}
