package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/files"
	"alexnet/internal/recipe"
	"alexnet/internal/train"
	"alexnet/internal/ui"
)

// TestGeneratedPath: eval finds the generated pictures again by the path that checkpoints have always had for them.
func TestGeneratedPath(t *testing.T) {
	source, err := demo.Open(demo.Options{Train: 1, Val: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer closeQuietly(source)
	if source.Path != demo.Path || demo.Path != "generated pictures" || source.Kind != data.Generated {
		t.Errorf("generated pictures have the path %q and the kind %d, checkpoints are asked for %q",
			source.Path, source.Kind, demo.Path)
	}
	height, width, err := source.Train.PictureSize(t.Context(), &recipe.Recipe{Channels: 3})
	if err != nil || height != generatedSize || width != generatedSize {
		t.Errorf("generated pictures have %dx%d pixels (%v), want %d", width, height, err, generatedSize)
	}
}

// TestFolderNamedAsGenerated: a folder that is called as the generated pictures are is opened where a checkpoint names
// it, and named in advice.
func TestFolderNamedAsGenerated(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, demo.Path)
	if err := demo.Write(t.Context(), files.OS, path, demo.Options{Train: 3, Val: 2, Size: 16}); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, c := range []struct {
		path     string
		kind     data.Kind
		pictures int
	}{{path, data.Folder, 30}, {demo.Path, data.Generated, 2000}} {
		checkpoint := &checkpoint.Checkpoint{Data: checkpoint.Data{Path: c.path}}
		source, err := reopenData(t.Context(), checkpoint, &config.Config{}, "", &ui.Terminal{Err: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		defer closeQuietly(source)
		if source.Kind != c.kind || source.Train.Len() != c.pictures {
			t.Errorf("%s: kind %d, %d pictures", c.path, source.Kind, source.Train.Len())
		}
	}
	for _, at := range []data.Place{data.At(demo.Path), {}} {
		next := fromWeights(&train.OtherData{Path: demo.Path, Data: at, Fits: true, Checkpoint: "c"})
		if named := strings.Contains(next, " --data '"+demo.Path+"'"); named != (len(at.Paths) > 0) {
			t.Errorf("at %v, advice: %s", at, next)
		}
	}
}

// TestStoredPath: a file chooses nothing that is read. What it names is opened only where that is a folder or a regular
// file of no made-up file system, and used only where it holds what was trained on; the path is shown quoted.
func TestStoredPath(t *testing.T) {
	dir := t.TempDir()
	pictures := filepath.Join(dir, "pictures")
	if err := demo.Write(t.Context(), files.OS, pictures, demo.Options{Train: 3, Val: 2, Size: 16}); err != nil {
		t.Fatal(err)
	}
	source, err := data.Open(t.Context(), files.OS, data.At(pictures), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	mark := source.Fingerprint
	closeQuietly(source)
	pipe, link, odd := filepath.Join(dir, "pipe"), filepath.Join(dir, "link"), filepath.Join(dir, "a\x1b[2Jb\nerror: c")
	for _, err := range []error{
		syscall.Mkfifo(pipe, 0o666), os.Symlink(pipe, link), syscall.Mkfifo(odd, 0o666),
		os.Symlink("/proc", filepath.Join(dir, "made-up")),
		os.WriteFile(filepath.Join(dir, "text"), []byte("secret"), 0o666),
	} {
		if err != nil {
			t.Skip("needs FIFOs, links and odd names: ", err)
		}
	}
	for _, c := range []struct{ path, mark, want string }{
		{pictures, mark, ""},
		{pictures, "0123", "not the pictures that the net was trained on"},
		{dir + "/pictures/../pictures/", mark, ""},
		{pipe, mark, "neither a folder nor a regular file"},
		{link, mark, "neither a folder nor a regular file"},
		{odd, mark, `a\x1b[2Jb\nerror: c: is neither`},
		{filepath.Join(dir, "text"), mark, "neither a folder"},
		{filepath.Join(dir, "gone"), mark, "no such file"},
		{dir + strings.Repeat("/x", 10_000), mark, "cannot be opened"},
		{"/dev/zero", mark, "not a place for pictures"},
		{"/dev/stdin", mark, "not a place for pictures"},
		{"/proc", mark, "not a place for pictures"},
		{dir + "/../../../../../../../../../proc/self/fd/0", mark, "not a place for pictures"},
		{strings.Repeat("../", 60) + "proc", mark, "not a place for pictures"},
		{strings.Repeat("../", 60), mark, "not a place for pictures"},
		{filepath.Join(dir, "made-up"), mark, "not a place for pictures"},
		{"/", mark, "not a place for pictures"},
		{"/../", mark, "not a place for pictures"},
	} {
		ends := make(chan error, 1)
		go func() {
			check := &checkpoint.Checkpoint{
				Path: "f.safetensors", Data: checkpoint.Data{Path: c.path, Fingerprint: c.mark},
			}
			source, err := trainedData(t.Context(), check, &config.Config{}, "alexnet eval",
				&ui.Terminal{Err: io.Discard})
			if err == nil {
				err = source.Close()
			}
			ends <- err
		}()
		select {
		case err = <-ends:
		case <-time.After(20 * time.Second):
			t.Fatalf("%.80q is still being opened", c.path)
		}
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%.80q: %v", c.path, err)
		case c.want == "":
		case err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "f.safetensors"):
			t.Errorf("%.80q: %v, want %q", c.path, err, c.want)
		case exitCode(err) != exitNoData || !strings.Contains(nextStep(err), "--data DIR"):
			t.Errorf("%.80q: exit code %d, next: %s", c.path, exitCode(err), nextStep(err))
		case strings.ContainsAny(err.Error(), "\x1b\n"):
			t.Errorf("%.80q: shown raw: %q", c.path, err)
		}
	}
}
