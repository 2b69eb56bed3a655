package builtin

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/model"
)

// most is how large the file may be: it lies in every binary and every clone.
const most = 1_000_000

// The file is the net that it says it is, sound in every tensor, for use alone, and tells nothing of the machine that
// made it.
func TestFile(t *testing.T) {
	if len(file) > most {
		t.Errorf("%d bytes, at most %d are wanted", len(file), most)
	}
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Data.Path != "" || len(c.Data.Fingerprint) == 0 || c.Device != "" || len(c.Momentum) > 0 ||
		c.Schedule != nil || c.Best == nil {
		t.Errorf("not compact: data %+v, device %q, %d momenta, schedule %s, best %+v", c.Data, c.Device,
			len(c.Momentum), c.Schedule, c.Best)
	}
	if p := c.Recipe; p.Resize != 32 || p.Crop != 28 || len(p.Mean) != 3*32*32 || len(p.Scale) != 3 {
		t.Errorf("pictures are prepared as %+v", p)
	}
	if got := strings.Join(c.Classes, " "); got != "airplane automobile bird cat deer dog frog horse ship truck" {
		t.Errorf("classes %s", got)
	}
	cfg, err := config.Parse(c.Config, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := cfg.Model.ForClasses(len(c.Classes))
	if err != nil {
		t.Fatal(err)
	}
	arch, err := model.New(m, cfg.Train.Dropout)
	if err != nil {
		t.Fatal(err)
	}
	var slots []checkpoint.Slot
	stored := 0
	for i := range arch.Params {
		slots = append(slots, checkpoint.Slot{
			Name: arch.Params[i].Name, Shape: arch.Params[i].Shape,
			Store: func(v []float32) error {
				stored += len(v)
				return nil
			},
		})
	}
	if err := c.Restore(slots, nil); err != nil || arch.Columns != 2 || stored != 447_210 {
		t.Errorf("%d parameters in %d columns: %v", stored, arch.Columns, err)
	}
}

// The figures in cifar10.json were measured with this very file.
func TestMeasured(t *testing.T) {
	m, err := Test()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(file))
	if m.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("cifar10.json was measured with another file: run make builtin")
	}
	if m.Images != 10_000 || !(m.Top1Error > 0 && m.Top1Error < 0.5) ||
		!(m.Top5Error > 0 && m.Top5Error < m.Top1Error) || !(m.Loss > 0 && m.Loss < 2) {
		t.Errorf("measured %+v", m)
	}
}
