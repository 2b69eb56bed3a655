package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/text"
)

// otherCommands are words of other programs, and the commands that do this here.
var otherCommands = map[string]string{
	"infer": "predict", "inference": "predict", "classify": "predict", "recognize": "predict", "detect": "predict",
	"fit": "train", "learn": "train", "finetune": "train", "resume": "train --resume last",
	"test": "eval", "val": "eval", "validate": "eval", "evaluate": "eval", "score": "eval",
	"export": "weights export", "convert": "weights export", "show": "weights show", "inspect": "weights show",
	"dataset": "data info", "info": "data info", "check": "doctor", "env": "doctor", "benchmark": "bench",
	"list": "runs", "ls": "runs", "experiments": "runs", "embed": "features", "extract": "features", "model": "summary",
}

// otherFlags are flags of other programs, and what to type here. The first that the command has is meant.
var otherFlags = map[string][]string{
	"learning-rate": {"lr"}, "learning_rate": {"lr"}, "lr0": {"lr"}, "base-lr": {"lr"},
	"pretrained": {"init", "weights"}, "weights": {"init"}, "checkpoint": {"weights", "init"},
	"ckpt": {"weights", "init"},
	"load": {"weights", "init"}, "finetune": {"init"}, "model": {"config", "weights"}, "arch": {"config"},
	"net": {"config"}, "cfg": {"config"}, "batch-size": {"batch"}, "batch_size": {"batch"}, "bs": {"batch"},
	"num-workers": {"workers"}, "num_workers": {"workers"}, "j": {"workers"}, "num-epochs": {"epochs"},
	"max-epochs": {"epochs"}, "iterations": {"steps"}, "max-steps": {"steps"}, "output": {"out"}, "output-dir": {"out"},
	"save-dir": {"out"}, "o": {"out"}, "project": {"out"}, "data-path": {"data"}, "data-dir": {"data"},
	"dataset": {"data"}, "d": {"data"}, "train-dir": {"data"}, "k": {"top"}, "topk": {"top"}, "top-k": {"top"},
	"dryrun": {"dry-run"}, "dry": {"dry-run"}, "check": {"dry-run"}, "plan": {"dry-run"},
	"amp": {"precision"}, "fp16": {"precision"}, "half": {"precision"}, "bf16": {"precision"}, "gpu": {"gpus"},
	"cuda": {"gpus"}, "resume-from": {"resume"}, "split": {"part"}, "subset": {"part"},
}

// keysFor are flags of other programs that are keys of the configuration here.
var keysFor = map[string]string{
	"imgsz": "model.input.size=224", "img-size": "model.input.size=224", "image-size": "model.input.size=224",
	"input-size": "model.input.size=224", "momentum": "train.momentum=0.9", "weight-decay": "train.weight_decay=0.0005",
	"wd": "train.weight_decay=0.0005", "dropout": "train.dropout=false", "classes": "model.classes=10",
	"num-classes": "model.classes=10", "val-split": "data.val_share=0.1",
	"val-share": "data.val_share=0.1", "patience": "train.schedule.patience=5",
	"save-every": "train.checkpoint_steps=1000",
}

// subcommandOf names the subcommand of c that the user may have meant.
func subcommandOf(c *cobra.Command, name string) string {
	if other, known := otherCommands[strings.ToLower(name)]; known && !c.HasParent() {
		return other
	}
	var names []string
	for _, s := range c.Commands() {
		if s.IsAvailableCommand() {
			names = append(names, s.Name())
		}
	}
	return text.Nearest(name, names)
}

// flagFor is what to type instead of a flag that c does not have, "" where nothing comes near.
func flagFor(c *cobra.Command, name string) string {
	for _, ours := range otherFlags[strings.ToLower(name)] {
		if c.Flags().Lookup(ours) != nil {
			return "--" + ours
		}
	}
	if set, known := keysFor[strings.ToLower(name)]; known && c.Flags().Lookup("set") != nil {
		return "--set " + set
	}
	return ""
}

// pathFor is the flag that takes a path which was typed without one, with the path; "" where it is none.
func pathFor(c *cobra.Command, arg string) string {
	if _, err := os.Stat(arg); err != nil || c.Flags().Lookup("data") == nil {
		return ""
	}
	return fmt.Sprintf("%s --data %s", c.CommandPath(), text.ShellPath(arg))
}
