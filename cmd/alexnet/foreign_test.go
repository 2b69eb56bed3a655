package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/crafted"
	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/reference"
	"alexnet/internal/ui"
)

// TestForeignFiles: whatever a stranger's file says, the command ends with the exit code of its kind and with advice.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	use := func(name string, b []byte, open func(path string) error, code int) {
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		err := open(path)
		if err == nil || exitCode(err) != code || nextStep(err) == "" {
			t.Errorf("%s: %v, exit code %d, want %d", name, err, exitCode(err), code)
		}
	}
	for _, f := range crafted.Checkpoints() {
		if f.At != crafted.Resumed { // those need a run: package train
			use(f.Name, f.Bytes(), predictWith, exitCheckpoint)
		}
	}
	for _, f := range crafted.Tars() {
		use(f.Name, f.Bytes(), func(path string) error {
			_, err := data.Open(t.Context(), files.OS, data.At(path), 0, 1)
			return err
		}, exitNoData)
	}
	for _, p := range crafted.Pages() {
		if strings.HasPrefix(p.Name, "a million") {
			continue // package config has these; here they only take time
		}
		use(p.Name, p.YAML, func(path string) error {
			_, err := config.Load(path, nil)
			return err
		}, exitUsage)
	}
}

func predictWith(path string) error {
	c, err := loadCheckpoint(path, &ui.Terminal{Err: io.Discard})
	if err != nil {
		return err
	}
	defer closeQuietly(c)
	p, err := infer.NewPredictor(infer.PredictOptions{Checkpoint: c, Devices: reference.Open(1)})
	if err == nil {
		err = p.Close()
	}
	return err
}
