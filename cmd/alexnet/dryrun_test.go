package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/run"
)

// treeOf is all that lies in a folder: names, modes, times, contents.
func treeOf(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&b, path, info.Mode(), info.ModTime().UnixNano())
		if !e.IsDir() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%x\n", sha256.Sum256(content))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestDryRun: train --dry-run writes nothing anywhere, the folders for caches and temporary files included, and fails
// with the very words and exit code with which the run itself would.
func TestDryRun(t *testing.T) {
	dir := t.TempDir()
	writeTiny(t, dir)
	finish(t, dir, "data", "demo", "--out", "shapes", "--train", "4", "--val", "2", "--size", "16")
	finish(t, dir, "data", "demo", "--out", "more", "--train", "5", "--val", "2", "--size", "16")
	finish(t, dir, "data", "demo", "--out", "bad", "--train", "4", "--val", "2", "--size", "16")
	for _, class := range []string{"three/a", "three/b", "three/c", "one/a"} {
		if err := os.MkdirAll(filepath.Join(dir, class), 0o777); err != nil {
			t.Fatal(err)
		}
		writeJPEG(t, filepath.Join(dir, class, "1.jpg"))
	}
	pictures, err := filepath.Glob(filepath.Join(dir, "bad/train/*/*"))
	if err != nil || len(pictures) != 40 {
		t.Fatal(pictures, err)
	}
	for _, p := range pictures {
		keep(t, p, []byte("no picture"))
	}
	const onTiny = " --config tiny.yaml --device reference"
	for _, name := range []string{"first", "edited", "damaged", "held"} {
		finish(t, dir, strings.Fields("train --data shapes --epochs 1 --name "+name+onTiny)...)
	}
	page := filepath.Join(dir, "runs/edited/config.yaml")
	keep(t, page, bytes.Replace(read(t, page), []byte("  lr: "), []byte("  lr: 1"), 1))
	for _, name := range []string{"last", "best"} {
		path := filepath.Join(dir, "runs/damaged/checkpoints", name+".safetensors")
		spoilt := read(t, path)
		spoilt[len(spoilt)-5] ^= 4
		keep(t, path, spoilt)
	}
	held, err := run.Open(files.OS, filepath.Join(dir, "runs/held"))
	if err != nil {
		t.Fatal(err)
	}
	defer closeQuietly(held)
	for _, empty := range []string{"cache", "tmp", "home"} {
		if err := os.Mkdir(filepath.Join(dir, empty), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	train := func(args string) (code int, out, log string) {
		t.Helper()
		c := exec.Command("alexnet", strings.Fields("train "+args)...)
		var o, l bytes.Buffer
		c.Dir, c.Stdout, c.Stderr = dir, &o, &l
		c.Env = append(os.Environ(), "XDG_CACHE_HOME="+dir+"/cache", "TMPDIR="+dir+"/tmp", "HOME="+dir+"/home")
		_ = c.Run() // the exit code says it
		return c.ProcessState.ExitCode(), o.String(), l.String()
	}
	before := treeOf(t, dir)

	for args, want := range map[string][]string{
		"--data shapes" + onTiny: {
			"data: 10 classes (bars, checks, cross, ...), 40 pictures to train on, 20 for validation in val/\n",
			"fc3    fc ", " on reference, of ", "pictures looked at: 40 of 40, 0 unreadable\n",
			"steps: 3 an epoch (40 pictures, batches of 16), ", "run folder: runs/train\n",
		},
		"--data shapes --name mine --steps 2 --epochs 5" + onTiny: {
			", 2 in all (5 epochs)\n", "run folder: runs/mine\n",
		},
		"--data shapes/train" + onTiny:                       {"held out for validation (data.val_share 0.1)"},
		"--resume runs/first --epochs 4":                     {", 12 in all (4 epochs), 3 of them taken\n"},
		"--resume runs/first":                                {"runs/first is finished: "},
		"--resume runs/edited --epochs 2":                    {"run folder: runs/edited\n"},
		"--data shapes --init runs/first --device reference": {"steps: 3 an epoch"},
	} {
		code, out, log := train(args + " --dry-run")
		if code != 0 {
			t.Errorf("%s: exit code %d\n%s", args, code, log)
		}
		for _, part := range want {
			if !strings.Contains(out, part) {
				t.Errorf("%s: no %q in\n%s", args, part, out)
			}
		}
		if edited := strings.Contains(log, "config.yaml differs from it in train.lr"); edited !=
			strings.Contains(args, "edited") {
			t.Errorf("%s: %s", args, log)
		}
	}
	code, out, _ := train("--data shapes --dry-run --json" + onTiny)
	var document dryRunResult
	if err := json.Unmarshal([]byte(out), &document); err != nil || code != 0 || len(document.Data.Classes) != 10 ||
		document.Net.Parameters == 0 || document.StepsPerEpoch != 3 {
		t.Errorf("exit code %d, %v, %+v", code, err, document)
	}
	if after := treeOf(t, dir); after != before {
		t.Fatalf("something was written: before\n%s\nafter\n%s", before, after)
	}

	for _, args := range []string{
		"--data nowhere" + onTiny,
		"--data one" + onTiny,
		"--data bad --workers 1" + onTiny, // several find bad ones in any order
		"--data bad --strict --workers 1" + onTiny,
		"--config alexnet --device reference",
		"--data shapes --set model.classes=3" + onTiny,
		"--data shapes --set data.resize=8" + onTiny,
		"--data shapes --name first" + onTiny,
		"--data shapes --out shapes" + onTiny,
		"--data shapes --out tiny.yaml/run" + onTiny,
		"--data shapes --out tiny.yaml" + onTiny,
		"--data three --init runs/first --set model.conv1.kernels=12 --device reference",
		"--data shapes --init runs/damaged --device reference",
		"--data shapes --init nowhere.safetensors" + onTiny,
		"--data shapes --init runs/first --config fig1",
		"--resume runs/damaged --epochs 2",
		"--resume runs/held --epochs 2",
		"--resume runs/nowhere",
		"--resume shapes",
		"--resume runs/first --epochs 2 --data more",
		"--resume runs/first --steps 1",
	} {
		dryCode, _, dry := train(args + " --dry-run")
		if after := treeOf(t, dir); after != before {
			t.Fatalf("%s: something was written: before\n%s\nafter\n%s", args, before, after)
		}
		code, _, log := train(args)
		if code == 0 || dryCode != code || failure(dry) == "" || failure(dry) != failure(log) {
			t.Errorf("%s: exit code %d, with --dry-run %d; it says\n%s\nwith --dry-run\n%s", args, code, dryCode,
				failure(log), failure(dry))
		}
		before = treeOf(t, dir) // a folder in which a lock was has a new time
	}
}

// failure is the error with its next step.
func failure(log string) string { return log[max(strings.Index(log, "error: "), 0):] }
