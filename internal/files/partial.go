package files

import "path/filepath"

// PartialExt ends the name of a folder beside the one that is being made in it.
const PartialExt = ".partial"

// Partial is the folder in which what is to be at a path is made, until all of it is there.
func Partial(path string) string { return filepath.Clean(path) + PartialExt }
