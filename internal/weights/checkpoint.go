package weights

import (
	"encoding/json"
	"errors"
)

// Checkpoint is a net in a file and all that a run needs to go on from there, or that eval and predict need to treat pictures alike.
type Checkpoint struct {
	Path   string // of the file it was loaded from
	Step   uint64 // steps done
	Sample uint64 // number, within the run, of the next sample: the loader's cursor
	Seed   uint64
	Epoch  int    // epochs finished
	Config []byte // the resolved configuration, YAML
	// Classes are the names in the order of the net's outputs. A name that is not UTF-8 comes back with U+FFFD for each bad byte.
	Classes    []string
	Data       Data
	Preprocess Preprocess
	Dropout    string          // DropoutPaper
	Schedule   json.RawMessage // what the schedule remembers; nil: nothing
	Best       *Best           // of the run so far; nil: not validated yet
	Params     []Tensor        // conv1.weight .. fc8.bias, in the net's order
	Momentum   []Tensor        // under the parameters' names; empty in best.safetensors

	file *Reader
}

// DropoutPaper is the 2012 form of dropout: a mask in training, outputs times 1-rate at test. The other form in use ("inverted": times
// 1/(1-rate) in training) is the same net with other weights after each dropout layer, so a file must say which.
const DropoutPaper = "paper"

// Data tells where the pictures came from.
type Data struct {
	Path        string `json:"path"`
	Fingerprint string `json:"fingerprint"` // of the names and classes of the pictures
}

// Preprocess is how pictures became the net's input.
type Preprocess struct {
	Resize        int // shorter side, then centre crop; 0: pictures keep their size
	Height, Width int // of the pictures after that
	Crop          int // side of what the net sees
	Channels      int // 3: RGB, 1: grey
	MeanKind      string
	Mean          []float32     // 0..255; (Channels, Height, Width), or (Channels), or none. In the file the tensor preprocess.mean
	MeanShape     []int         // of Mean
	Scale         []float32     // (Channels), after the mean was subtracted; nil: 1
	Eigvec        [3][3]float64 // colour noise: eigenvectors of the covariance of RGB, in columns
	Stdev         [3]float64    // roots of its eigenvalues, in units of 0..255
}

// Best is the validation that chose the best checkpoint.
type Best struct {
	Step      uint64  `json:"step"`
	Epoch     int     `json:"epoch"`
	Top1Error float64 `json:"top1_error"` // 0..1
	Top5Error float64 `json:"top5_error"`
	Loss      float64 `json:"loss"`
}

// Save writes a checkpoint to path: whole, or not at all. The tensors' Fill are called in order, with one buffer as long as the longest tensor.
func Save(path string, c *Checkpoint) error { return errors.New("being written") }

// Load opens a checkpoint and reads all but the tensors of the net, which stay in the file: their Fill reads them, one at a time and checked
// against its CRC32C, until Close. The error is a *BadFile where the file is no sound checkpoint.
func Load(path string) (*Checkpoint, error) { return nil, errors.New("being written") }

// Close closes the file that Load opened.
func (c *Checkpoint) Close() error { return nil }

// Restore copies the checkpoint into a net: params from Params and, where momentum is not nil, momentum from Momentum, by name. Before
// it stores anything it compares all names and shapes, and fails with a *Mismatch where file and net are not the same.
func (c *Checkpoint) Restore(params, momentum []Slot) error { return errors.New("being written") }

// Reader is an open safetensors file.
type Reader struct{}
