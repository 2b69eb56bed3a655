package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/cpu"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/gpu"
	"alexnet/internal/gpu/dynlib"
	"alexnet/internal/infer"
	"alexnet/internal/interop"
	"alexnet/internal/model"
	"alexnet/internal/report"
	"alexnet/internal/run"
	"alexnet/internal/safetensors"
	"alexnet/internal/train"
	"alexnet/internal/ui"
)

// told is an error with what it leads to.
type told struct {
	err  error
	code int
	next []string // parts of the next step
}

// tellings are errors of all types, one or more of each.
func tellings() []told {
	return slices.Concat(tellingsOfUsage(), tellingsOfData(), tellingsOfFiles(), tellingsOfRuns(),
		tellingsOfTraining())
}

func tellingsOfUsage() []told {
	return []told{
		{&config.Error{Msg: "is wrong"}, exitUsage, []string{"alexnet summary"}},
		{&config.Error{Source: "my.yaml", Line: 3}, exitUsage, []string{"correct line 3 of my.yaml"}},
		{&config.Error{Source: "my.yaml"}, exitUsage, []string{"correct my.yaml, or name another: ", "torchvision"}},
		{
			&config.Error{Source: "--batch 0", Override: true}, exitUsage,
			[]string{"correct --batch 0, or leave it away"},
		},
		{
			&config.ClassesError{Model: 10, Data: 7}, exitUsage,
			[]string{"--set model.classes=0 lets it follow the data"},
		},
		{
			&model.DevicesError{Devices: 2, Columns: 1}, exitUsage,
			[]string{"give one device, or a net of 2 columns (alexnet, cifar10, demo)"},
		},
		{&model.DevicesError{Devices: 3, Columns: 2}, exitUsage, []string{"give one device or 2"}},
		{&model.DevicesError{Devices: 2, Columns: 2}, exitUsage, []string{"give one device"}},
		{
			&device.MemoryError{Rows: 128, Fits: 64}, exitFailed,
			[]string{"--batch 64 (train.batch), or other GPUs: alexnet doctor"},
		},
		{&device.MemoryError{Rows: 128}, exitFailed, []string{"other GPUs: alexnet doctor"}},
		{&device.BatchError{Rows: 1 << 20, Largest: 1 << 19}, exitFailed, []string{"--batch 524288 (train.batch)"}},
		{&device.Int8Error{Devices: "GPUs"}, exitFailed, []string{"leave --int8 away, or --device cpu"}},
		{
			&dynlib.Error{What: "no CUDA driver", Err: errors.New("no file"), Advice: "install it"}, exitNoGPU,
			[]string{"install it"},
		},
		{
			&noGPU{"0", &gpu.Unavailable{Err: &dynlib.Error{Err: errors.New("no file"), Advice: "install it"}}},
			exitNoGPU,
			[]string{"install it; or leave --gpus away"},
		},
		{&noGPU{"0", &gpu.Unavailable{Err: errors.New("none is there")}}, exitNoGPU, []string{"leave --gpus away, or"}},
		{&cpu.Unavailable{Reason: "none", Advice: "install it"}, exitFailed, []string{"install it"}},
		{&device.PrecisionError{}, exitUsage, []string{"leave --precision (train.precision) away"}},
	}
}

func tellingsOfData() []told {
	source := func(p data.Problem) error { return &data.SourceError{Path: "there", Problem: p} }
	return []told{
		{data.ErrNoData, exitNoData, nil},
		{source(data.NotFound), exitNoData, []string{"check the path", "alexnet data demo --out there"}},
		{source(data.NotOpened), exitNoData, []string{"permissions"}},
		{source(data.NotListed), exitNoData, []string{"permissions"}},
		{source(data.NoPictures), exitNoData, []string{"class folders", "alexnet data demo --out there"}},
		{source(data.NoClassFolders), exitNoData, []string{"there/cat/1.jpg"}},
		{source(data.EmptyClass), exitNoData, []string{"remove it"}},
		{source(data.UnknownClass), exitNoData, []string{"add the class to train/"}},
		{source(data.NoTar), exitNoData, []string{"uncompressed .tar"}},
		{source(data.Compressed), exitNoData, []string{"unpack"}},
		{source(data.OnePicture), exitNoData, []string{"folder of class folders"}},
		{source(data.CutOff), exitNoData, []string{"tar tf there"}},
		{source(data.Sparse), exitNoData, []string{"without tar's --sparse"}},
		{source(data.NotRead), exitNoData, []string{"tar tf there"}},
		{&data.SizeError{}, exitUnreadable, []string{"data.resize", "--strict"}},
		{
			&data.BadPicture{Name: "p", Err: &data.SizeError{WantHeight: 5, WantWidth: 6, Alone: true}}, exitUnreadable,
			[]string{"give a picture of 6x5", "trained without resizing", "--strict"},
		},
		{&data.BadPicture{Name: "p", Err: errors.New("cut off")}, exitUnreadable, []string{"repair or remove"}},
	}
}

func tellingsOfFiles() []told {
	taken := func(f safetensors.Fault) error { return &safetensors.BadFile{Path: "f", Fault: f, Reason: "is bad"} }
	other := func(k checkpoint.Difference) error {
		return &checkpoint.Mismatch{Path: "my net", Tensor: "fc8.bias", File: []int{3}, Net: []int{10}, Kind: k}
	}
	return []told{
		{taken(safetensors.Corrupt), exitCheckpoint, []string{"another copy"}},
		{taken(safetensors.OtherFormat), exitCheckpoint, []string{"best.safetensors"}},
		{taken(safetensors.OtherType), exitCheckpoint, []string{"BF16"}},
		{&checkpoint.Foreign{Path: "f"}, exitCheckpoint, []string{"imported first"}},
		{&checkpoint.Foreign{Path: "f", Version: "2"}, exitCheckpoint, []string{"use the version"}},
		{&checkpoint.DropoutError{Path: "f", Form: "inverted"}, exitCheckpoint, []string{"another checkpoint"}},
		{&interop.Exported{Path: "f", Form: "plain"}, exitCheckpoint, []string{"made from"}},
		{
			&interop.Exported{Path: "f", Form: "plain", Source: "runs/train/checkpoints/best.safetensors"},
			exitCheckpoint,
			[]string{"use the checkpoint that it was made from: runs/train/checkpoints/best.safetensors"},
		},
		{other(checkpoint.OtherNet), exitCheckpoint, []string{"alexnet weights show 'my net'"}},
		{other(checkpoint.OtherClasses), exitCheckpoint, []string{"--init"}},
		{other(checkpoint.NoMomentum), exitCheckpoint, []string{"last.safetensors", "--init"}},
		{&interop.Refused{Target: "x"}, exitCheckpoint, []string{"--to plain", "--config torchvision"}},
		{&interop.Refused{Target: "x", Dropout: "drop1"}, exitCheckpoint, []string{"--set model.drop1=off"}},
		{&infer.OtherClasses{Path: "f"}, exitCheckpoint, []string{"another checkpoint"}},
		{&train.OtherClasses{Path: "f"}, exitCheckpoint, []string{"without --init"}},
	}
}

func tellingsOfRuns() []told {
	there := func(cause error) error {
		return &run.FolderError{
			Path: "runs/train", There: true, Err: &os.PathError{Op: "open", Path: "runs/train/lock", Err: cause},
		}
	}
	return []told{
		{run.ErrNoRun, exitNoData, []string{"ls runs"}},
		{&run.LockedError{Path: "a", PID: 3}, exitLocked, []string{"wait until it ends", "--out"}},
		{
			&run.NotEmptyError{Path: "old", Run: true}, exitFailed,
			[]string{"go on with it by --resume old, or name a new one with --out"},
		},
		{&run.NotEmptyError{Path: "photos"}, exitFailed, []string{"name a new one with --out"}},
		{&run.FolderError{Path: "file", Err: syscall.ENOTDIR}, exitFailed, []string{"written with --out"}},
		{there(syscall.ENOSPC), exitFailed, []string{"free some space"}},
		{there(syscall.EACCES), exitFailed, []string{"make it writable"}},
		{there(syscall.EROFS), exitFailed, []string{"copy the run"}},
		{&report.BrokenError{Path: "m.jsonl", Err: errors.New("line 3")}, exitFailed, []string{"move m.jsonl away"}},
	}
}

func tellingsOfTraining() []told {
	other := func(generated, fits bool) error {
		return &train.OtherData{
			Path: "my pictures", Generated: generated, Fits: fits, Config: "r/config.yaml", Checkpoint: "c",
		}
	}
	stopped := &train.Stopped{Step: 4, Checkpoint: "r/last.safetensors", LR: .01, Config: "r/config.yaml"}
	onData := *stopped
	onData.Data = "my pictures"
	again := func(err error) error { return &unfinished{err, "alexnet train --resume r"} }
	return []told{
		{other(true, false), exitFailed, []string{"alexnet train --config r/config.yaml"}},
		{
			other(false, true), exitFailed,
			[]string{"alexnet train --config r/config.yaml --data 'my pictures' --init c"},
		},
		{&train.Stopped{Step: 4, LR: .01}, exitFailed, []string{"--set train.lr=0.001", "init.std"}},
		{
			stopped, exitFailed,
			[]string{"alexnet train --config r/config.yaml --init r/last.safetensors --set train.lr=0.001"},
		},
		{
			&onData, exitFailed,
			[]string{
				"alexnet train --config r/config.yaml --data 'my pictures' --init r/last.safetensors " +
					"--set train.lr=0.001",
			},
		},
		{again(&train.Interrupted{Step: 3}), exitFailed, []string{"alexnet train --resume r"}},
		{again(syscall.ENOSPC), exitFailed, []string{"free some space, then alexnet train --resume r"}},
		{syscall.EDQUOT, exitFailed, []string{"free some space, or write to another disk"}},
		{syscall.EACCES, exitFailed, []string{"a place that you can write to"}},
		{syscall.EROFS, exitFailed, []string{"a place that you can write to"}},
		{again(errors.New("it broke")), exitFailed, nil},
	}
}

// TestNotes: what a run tells comes with what could be done about it, in the words of the command line.
func TestNotes(t *testing.T) {
	dead := &train.DeadStart{Loss: 100, Guessing: 100, From: 151, To: 200, Try: [][]train.Change{
		{{Key: "model.fc6.init.bias", Value: .1}, {Key: "model.fc6.init.std", Value: .005}},
		{{Key: "train.lr", Value: .001}},
	}}
	flat := &train.DeadStart{Loss: 100, Guessing: 100, From: 151, To: 200, Try: [][]train.Change{
		{{Key: "train.lr", Value: 1e-4}},
	}}
	size := &data.BadPicture{Name: "p", Err: &data.SizeError{Height: 5, Width: 7, WantHeight: 5, WantWidth: 6}}
	for _, c := range []struct {
		note train.Note
		want string
	}{
		{
			dead, "Try a new run with --set model.fc6.init.bias=0.1 --set model.fc6.init.std=0.005, or with --set " +
				"train.lr=0.001, or from weights that have learned something: --init FILE.",
		},
		{dead, "100 over steps 151 to 200, no better than guessing (100)"},
		{flat, "Try a new run with --set train.lr=0.0001, or from weights"},
		{train.NoValidation{Share: .09}, "no best checkpoint is chosen; --set data.val_share=0.09 would hold some out"},
		{train.NoValidation{}, "no class has a picture to spare: give data with folders train/ and val/"},
		{
			train.LeftOut{Picture: size},
			"warning: cannot read picture p: is 7x5, the others are 6x5; left out; data.resize",
		},
		{train.Remark("memory on cpu: 1 MiB"), "memory on cpu: 1 MiB"},
	} {
		if got := wordNote(c.note); !strings.Contains(got, c.want) {
			t.Errorf("%q does not say %q", got, c.want)
		}
	}
	alone := &data.BadPicture{Name: "p", Err: &data.SizeError{
		Height: 5, Width: 7, WantHeight: 5, WantWidth: 6, Alone: true,
	}}
	want := "cannot read picture p: is 7x5, want 6x5; this net was trained on pictures of that size, without resizing"
	if got := explainUnread("p", alone, "alexnet predict"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	resumed := train.NoValidation{Resumed: true, Share: .09}
	if got := wordNote(resumed); got != resumed.String() {
		t.Errorf("a run that goes on is told %q", got)
	}
}

// TestAdvice: each error has its exit code and its next step, which its own text does not say.
func TestAdvice(t *testing.T) {
	for _, c := range tellings() {
		next := nextStep(c.err)
		for _, part := range c.next {
			if !strings.Contains(next, part) {
				t.Errorf("%T, %v: next is %q, want %q in it", c.err, c.err, next, part)
			}
		}
		if len(c.next) == 0 && next != "" {
			t.Errorf("%T, %v: next is %q, want none", c.err, c.err, next)
		}
		if got := exitCode(c.err); got != c.code {
			t.Errorf("%T, %v: exit code %d, want %d", c.err, c.err, got, c.code)
		}
		if next != "" && strings.Contains(c.err.Error(), next) {
			t.Errorf("%T says its advice itself: %v", c.err, c.err)
		}
	}
}

// plainErrors are the types of errors for which there is no rule, and why.
var plainErrors = map[string]string{
	"cuda.Error":            "a call that failed: what to do depends on the call",
	"data.SourceFault":      "a disk or a network: the system's error, which may have a rule, is in it",
	"data.flaw":             "is in a BadPicture",
	"device.NonFiniteError": "is in a train.Stopped; a net in use that has no numbers has them from its file",
	"device.OpError":        "says where; what is in it may have a rule",
	"model.deviceErrors":    "joins others, which may have rules",
}

// TestRules: every type of error below this package is told of in TestAdvice, or plain. None is both.
func TestRules(t *testing.T) {
	known := map[string]bool{}
	for _, c := range tellings() {
		for err := c.err; err != nil; err = errors.Unwrap(err) {
			known[strings.TrimPrefix(fmt.Sprintf("%T", err), "*")] = true
		}
	}
	found := map[string]bool{}
	eachFile(t, func(_ string, file *ast.File) {
		for _, decl := range file.Decls {
			f, is := decl.(*ast.FuncDecl)
			if !is || f.Recv == nil || f.Name.Name != "Error" {
				continue
			}
			of := f.Recv.List[0].Type
			if star, is := of.(*ast.StarExpr); is {
				of = star.X
			}
			found[file.Name.Name+"."+of.(*ast.Ident).Name] = true
		}
	})
	for name := range found {
		if _, plain := plainErrors[name]; plain == known[name] {
			t.Errorf("%s: plain %t, told of in TestAdvice %t; want one of them", name, plain, known[name])
		}
	}
	for name := range plainErrors {
		if !found[name] {
			t.Errorf("%s is plain, and no such type is there", name)
		}
	}
	if len(found) < 20 {
		t.Errorf("%d types of errors were found: %v", len(found), found)
	}
}

// flags finds flags and commands of this program, which are this package's matter.
var flags = regexp.MustCompile(`(^|[^-\w])--[a-z]|` +
	`\balexnet (train|eval|predict|features|summary|config|data|weights|bench|doctor)\b`)

// flagsAllowed are the texts below this package with a flag in them, and why.
var flagsAllowed = map[string]string{
	"start it with --gpus all": "a container's flag, not ours",
}

// TestNoFlags: the packages below do not know how they are called: no text of theirs names a flag or a command.
func TestNoFlags(t *testing.T) {
	texts, used := 0, map[string]bool{}
	eachFile(t, func(path string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			literal, is := n.(*ast.BasicLit)
			if !is || literal.Kind != token.STRING {
				return true
			}
			if texts++; !flags.MatchString(strings.Trim(literal.Value, "`\"")) {
				return true
			}
			for allowed := range flagsAllowed {
				if strings.Contains(literal.Value, allowed) {
					used[allowed] = true
					return true
				}
			}
			t.Errorf("%s: %s names a flag or a command", path, literal.Value)
			return true
		})
	})
	for allowed := range flagsAllowed {
		if !used[allowed] {
			t.Errorf("%q is allowed, and nobody says it", allowed)
		}
	}
	if texts < 1000 {
		t.Errorf("%d texts were found", texts)
	}
}

// eachFile parses the Go files below this package, whatever their build tags, but those of tests: packages for tests
// (devicetest, ...) are among them.
func eachFile(t *testing.T, do func(path string, file *ast.File)) {
	t.Helper()
	for _, root := range []string{"../../internal", "../../kernels", "../../configs"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err == nil {
				do(path, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestShowError: an error stands in a line, its next step in another.
func TestShowError(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.New("it broke"), "error: it broke\n"},
		{usageError("alexnet --help", "no such thing"), "error: no such thing\nnext:  alexnet --help\n"},
		{
			advise(exitFailed, "give a new folder", errors.New("x is there")),
			"error: x is there\nnext:  give a new folder\n",
		},
		{
			&run.NotEmptyError{Path: "x", Holds: "notes"},
			"error: x: the folder is not empty (it holds notes)\nnext:  name a new one with --out\n",
		},
	} {
		var b bytes.Buffer
		if showError(&ui.Terminal{Err: &b}, test.err); b.String() != test.want {
			t.Errorf("%v: %q, want %q", test.err, b.String(), test.want)
		}
	}
}
