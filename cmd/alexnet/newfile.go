package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// outHelp is what the help of commands with a file to write says about its name.
const outHelp = `FILE may be a pipe or a device, such as /dev/stdout, and is then written to as it is; links are
followed. A file that is there already is replaced only with --force, and keeps its mode.`

// newFile looks, before anything is computed, at where a file is to be written, and refuses what could not be written
// then, or is there and not to be overwritten. Where it is standard output, what the command says goes to standard
// error, so as not to be mixed into it.
func newFile(path string, force bool, t *ui.Terminal) (*atomicfile.Place, error) {
	return newFileOf("--out", path, force, t)
}

// newFileOf is newFile for a flag of another name.
func newFileOf(flag, path string, force bool, t *ui.Terminal) (*atomicfile.Place, error) {
	if path == "-" {
		return nil, usageError("name a file: "+flag+" FILE; /dev/stdout is one",
			"%s -: standard output takes only text and JSON", flag)
	}
	place, err := atomicfile.Look(files.OS, path)
	var other *files.InTheWay
	switch {
	case errors.As(err, &other) && other.Mode.IsDir():
		return nil, advise(exitFailed, "name a file in it: "+flag+" "+text.ShellPath(filepath.Join(path, "NAME")),
			fmt.Errorf("cannot write %s: it is a folder", text.Name(path)))
	case errors.As(err, &other):
		return nil, advise(exitFailed, "name another file with "+flag, fmt.Errorf("cannot write: %w", other))
	case errors.Is(err, fs.ErrNotExist): // /dev/fd/7 where there is no 7
		return nil, advise(exitFailed, "name another file with "+flag,
			fmt.Errorf("cannot write %s: there is no such open file", text.Name(path)))
	case err != nil:
		return nil, fmt.Errorf("cannot write %s: %w", text.Name(path), err)
	case place.Through:
		if place.Descriptor == 1 {
			t.Out = t.Err
		}
		return place, nil
	case place.Old != nil && !force:
		return nil, advise(exitFailed, "another name for "+flag+", or --force to overwrite it",
			fmt.Errorf("%s is there already", text.Name(path)))
	}
	return place, folderOf(flag, path, place.Path)
}

// folderOf refuses a file, and path that leads to it, in a folder that is not there.
func folderOf(flag, path, file string) error {
	dir := filepath.Dir(file)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return advise(exitFailed, "mkdir -p "+text.ShellPath(dir),
			fmt.Errorf("cannot write %s: there is no folder %s", text.Name(path), text.Name(dir)))
	case err != nil:
		return fmt.Errorf("cannot write %s: %w", text.Name(path), err)
	case !info.IsDir():
		return advise(exitFailed, "name another file with "+flag,
			fmt.Errorf("cannot write %s: %s is not a folder", text.Name(path), text.Name(dir)))
	}
	return nil
}

// formats are the ends of names that promise what is in a file, of arrays, weights and pictures.
var formats = []string{
	".avif", ".bin", ".bmp", ".caffemodel", ".ckpt", ".csv", ".gguf", ".gif", ".h5", ".hdf5", ".heic", ".html",
	".joblib", ".jpeg", ".jpg", ".json", ".keras", ".mat", ".mlmodel", ".msgpack", ".npy", ".npz", ".onnx", ".params",
	".parquet", ".pb", ".pdf", ".pickle", ".pkl", ".png", ".prototxt", ".pt", ".pt2", ".pth", ".safetensors", ".svg",
	".tar", ".tflite", ".tif", ".tiff", ".webp", ".weights", ".zip",
}

// promised refuses a name that promises another format than the one that is written, end.
func promised(path, end string) error {
	got := filepath.Ext(path)
	if strings.EqualFold(got, end) || !slices.Contains(formats, strings.ToLower(got)) {
		return nil
	}
	next := "--out " + text.ShellWord(strings.TrimSuffix(path, got)+end)
	if end == ".safetensors" {
		next += ", which PyTorch and other programs read: docs/export.md"
	}
	return usageError(next, "--out %s: it would be a %s file, not %s", text.Name(path), end, text.Name(got))
}

// disk is where commands without a run write: what it cannot do is said once.
func disk(t *ui.Terminal) files.FS {
	return files.Tolerant(files.OS, func(w files.Weakness) { t.Warn("%v", w) })
}
