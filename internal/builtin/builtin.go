// Package builtin holds the trained net in the program: the two-column AlexNet of configs/cifar10.yaml for 32x32
// pictures, trained on CIFAR-10, as a compact checkpoint with half-precision weights. It answers where nothing was
// trained yet.
//
// cifar10.safetensors and cifar10.json, what it got wrong of CIFAR-10's test pictures, are made together by
// `make builtin` (scripts/builtin.sh) and nowhere else; a test holds the second to the first.
package builtin

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"alexnet/internal/checkpoint"
	"alexnet/internal/safetensors"
)

// Name is what errors and metadata call the file, and what --weights takes.
const Name = "builtin"

// Net is the configuration that it was trained from, Data what it was trained on.
const (
	Net  = "cifar10"
	Data = "CIFAR-10"
)

//go:embed cifar10.safetensors
var file string

//go:embed cifar10.json
var measured string

// Measured is the outcome of alexnet eval on the test pictures of Data.
type Measured struct {
	SHA256    string  `json:"sha256"` // of the file that was measured
	Images    int     `json:"images"`
	Top1Error float64 `json:"top1_error"`
	Top5Error float64 `json:"top5_error"`
	Loss      float64 `json:"loss"`
}

// Open opens the file in memory.
func Open() (*safetensors.Reader, error) {
	return safetensors.NewReader(Name, strings.NewReader(file), int64(len(file)))
}

// Load is its checkpoint.
func Load() (*checkpoint.Checkpoint, error) {
	r, err := Open()
	if err != nil {
		return nil, err
	}
	return checkpoint.LoadFrom(r)
}

// Test is how it was measured.
func Test() (Measured, error) {
	var m Measured
	if err := json.Unmarshal([]byte(measured), &m); err != nil {
		return m, fmt.Errorf("built-in net: cifar10.json: %w", err)
	}
	return m, nil
}
