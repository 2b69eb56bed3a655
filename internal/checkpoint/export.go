package checkpoint

import (
	"fmt"

	"alexnet/internal/safetensors"
)

// Keys in the metadata of a file for other programs, which is no checkpoint.
const (
	ExportKey = "alexnet_export" // the form: "plain", "torchvision"
	SourceKey = "source"         // the checkpoint that it was made from
)

// DropoutInverted is the form of dropout in exported files: see DropoutPaper.
const DropoutInverted = "inverted"

// exported refuses such a file where a checkpoint is wanted.
func exported(meta map[string]string) error {
	advice := "use the checkpoint that it was made from"
	if from := meta[SourceKey]; from != "" {
		advice += ": " + from
	}
	return &safetensors.BadFile{
		Reason: fmt.Sprintf("weights exported for other programs (%s), not a checkpoint", meta[ExportKey]),
		Advice: advice,
	}
}
