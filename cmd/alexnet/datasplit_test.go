package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/ui"
)

// document runs a command with --json and gives what it writes.
func document[T any](t *testing.T, args ...string) (doc T) {
	t.Helper()
	var out, err bytes.Buffer
	code := execute(append(slices.Clone(args), "--json"), &ui.Terminal{Out: &out, Err: &err})
	if code != exitOK && code != exitUnreadable {
		t.Fatalf("%q: exit code %d: %s", args, code, err.String())
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return doc
}

// TestDataSplit: data split lists the very pictures that a training with the same flags holds out, and data info counts
// them. The run's fingerprint is one of the names and classes of both parts.
func TestDataSplit(t *testing.T) {
	dir := t.TempDir()
	writeTiny(t, dir)
	t.Chdir(dir)
	finish(t, dir, "data", "demo", "--out", "parts", "--train", "20", "--val", "2", "--size", "16")
	if err := os.CopyFS("pics/around", os.DirFS("parts/train")); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-cf", "pics.tar", "pics").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	seen := map[string]bool{}
	for i, c := range []struct {
		data  string
		flags []string
		val   int
	}{
		{"pics", []string{"--config", "tiny.yaml"}, 20},
		{"pics.tar", []string{"--config", "tiny.yaml", "--set", "data.val_share=0.25"}, 50},
		{"pics", []string{"--config", "tiny.yaml", "--set", "data.val_share=0.25", "--seed", "7"}, 50},
		{"pics", []string{"--config", "cifar10-quick"}, 10}, // it holds out 0.05
		{"pics", []string{"--config", "tiny.yaml", "--set", "data.val_share=0"}, 0},
		{"parts", []string{"--config", "tiny.yaml", "--set", "data.val_share=0.25"}, 20},
	} {
		run := fmt.Sprintf("run%d", i)
		finish(t, dir, append([]string{
			"train", "--data", c.data, "--steps", "1", "--batch", "2", "--out", run, "--device", "reference",
		}, c.flags...)...)
		trained, err := checkpoint.Load(files.OS, run+"/checkpoints/last.safetensors")
		if err != nil {
			t.Fatal(err)
		}
		closeQuietly(trained)
		h := sha256.New()
		for _, part := range []string{"train", "val"} {
			r := document[dataSplitResult](t, append([]string{"data", "split", c.data, "--part", part}, c.flags...)...)
			_, _ = fmt.Fprintf(h, "%s %d\n", part, len(r.Pictures))
			var list []string
			for _, p := range r.Pictures {
				name := string(p.Name)
				list = append(list, name)
				if c.data != "pics.tar" {
					if _, err := os.Stat(c.data + "/" + name); err != nil {
						t.Error(err)
					}
				}
				inside := strings.TrimPrefix(strings.TrimPrefix(name, "pics/"), "around/")
				_, _ = fmt.Fprintf(h, "%q %q\n", string(p.Class), inside)
			}
			if r.Fingerprint != trained.Data.Fingerprint || r.HeldOut != (c.data != "parts" && c.val > 0) {
				t.Errorf("%s %q: %v, trained on %s", c.data, c.flags, r, trained.Data.Fingerprint)
			}
			if part == "val" {
				if len(list) != c.val {
					t.Errorf("%s %q: %d pictures for validation, want %d", c.data, c.flags, len(list), c.val)
				}
				seen[strings.Join(list, "\n")] = true
			}
			var out bytes.Buffer
			execute(append([]string{"data", "split", c.data, "--part", part}, c.flags...), &ui.Terminal{
				Out: &out, Err: &bytes.Buffer{},
			})
			if want := strings.Join(append(list, ""), "\n"); out.String() != want {
				t.Errorf("%s %q: the list is\n%swith --json\n%s", c.data, c.flags, out.String(), want)
			}
		}
		if got := hex.EncodeToString(h.Sum(nil)[:16]); got != trained.Data.Fingerprint {
			t.Errorf("%s %q: lists of fingerprint %s, trained on %s", c.data, c.flags, got, trained.Data.Fingerprint)
		}
		info := document[data.SourceInfo](t, append([]string{"data", "info", c.data}, c.flags...)...)
		if info.Fingerprint != trained.Data.Fingerprint || info.Val != c.val {
			t.Errorf("data info %s %q: %d for validation, fingerprint %s", c.data, c.flags, info.Val, info.Fingerprint)
		}
		page := document[dataSplitResult](t, "data", "split", c.data, "--config", run+"/config.yaml")
		if page.Fingerprint != trained.Data.Fingerprint {
			t.Errorf("%s: by the run's page another split", c.data)
		}
	}
	if len(seen) != 6 { // share, seed, folder around
		t.Errorf("%d lists, want 6", len(seen))
	}
}
