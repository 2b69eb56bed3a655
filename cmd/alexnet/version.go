package main

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"alexnet/internal/cpu"
	"alexnet/internal/data/picture"
	"alexnet/internal/gpu"
	"alexnet/internal/ui"
)

// versionResult is the document of version --json.
type versionResult struct {
	Version  string   `json:"version"`
	Revision string   `json:"revision,omitempty"`
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Backends []string `json:"backends"`
	JPEG     string   `json:"jpeg"`
}

func newVersionCommand(t *ui.Terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, and what this build computes and decodes with",
		Example: `  alexnet version
  alexnet version --json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return runVersion(t) },
	}
}

// versionFacts are what version tells.
func versionFacts() versionResult {
	r := versionResult{
		Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Backends: []string{"reference"}, JPEG: picture.JPEGLibrary(),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			r.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				r.Revision = s.Value
			}
		}
	}
	if cpu.Available() == nil {
		r.Backends = []string{"cpu (" + cpu.Version() + ")", "reference"}
	}
	if v := gpu.Version(); v != "" {
		r.Backends = append(r.Backends, "gpu ("+v+")")
	}
	return r
}

func runVersion(t *ui.Terminal) error {
	r, missing := versionFacts(), cpu.Available()
	return t.Result(r, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "alexnet %s, %s, %s\n", r.Version, r.Go, r.Platform)
		if missing == nil {
			fmt.Fprintf(w, "cpu backend: %s\n", cpu.Version())
		} else {
			fmt.Fprintf(w, "cpu backend: none (%s); the reference backend takes its place\n",
				withNext(missing.Error(), missing))
		}
		if err := gpu.Available(); err == nil {
			fmt.Fprintf(w, "gpu backend: %s, for --gpus\n", gpu.Version())
		} else {
			fmt.Fprintf(w, "gpu backend: none (%s)\n", withNext(gpu.Reason(err), err))
		}
		fmt.Fprintf(w, "JPEG decoder: %s\n", r.JPEG)
	})
}
