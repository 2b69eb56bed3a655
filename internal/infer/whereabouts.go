package infer

import (
	"path/filepath"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/files"
)

// Whereabouts says where the pictures are, by paths that hold from any folder. Generated ones lie in no file, and keep
// their name even where a folder is called the same.
func Whereabouts(source *data.Source) checkpoint.Data {
	d := checkpoint.Data{
		Path: source.Path, Labels: source.Place.Labels, Fingerprint: source.Fingerprint, Set: source.Made(),
	}
	full := func(path string) string {
		if files.Remote(path) {
			return path
		}
		if full, err := filepath.Abs(path); err == nil {
			return full
		}
		return path
	}
	if source.Place.LabelsFile() {
		d.Labels = full(d.Labels)
	}
	for i, path := range source.Place.Paths {
		if i == 0 {
			d.Path = full(path)
		} else {
			d.More = append(d.More, full(path))
		}
	}
	return d
}
