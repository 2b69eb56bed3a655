package data

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"unicode"

	"alexnet/internal/files"
)

// partNamed is the part that a word of a name is, letters between other signs; of several, the last.
func partNamed(base string) (part Part, is bool) {
	for _, word := range strings.FieldsFunc(base, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if p, known := partOf(word); known {
			part, is = p, true
		}
	}
	return part, is
}

// partIn is the part that a folder says, or the innermost of those that it lies in which says one.
func partIn(dir string) (part Part, is bool) {
	for dir = path.Clean(dir); dir != "." && dir != "/" && !is; dir = path.Dir(dir) {
		part, is = partNamed(path.Base(dir))
	}
	return part, is
}

// partAt is the part that the path of an archive says: its name, else the innermost folder that says one. What lies in
// a folder that is called as one for validation or test is that, whatever its name: it is not to be trained on.
func partAt(name string) (part Part, is bool) {
	base, _ := stem(path.Base(name))
	part, is = partNamed(base)
	for dir := path.Dir(name); dir != "." && dir != "/"; dir = path.Dir(dir) {
		inside, in := partNamed(path.Base(dir))
		if !in {
			continue
		}
		if _, exact := partOf(path.Base(dir)); !is || exact && inside != TrainPart {
			return inside, true
		}
		break
	}
	return part, is
}

// folderFor is the folder of a part, with a slash at its end; of none, nothing.
func folderFor(part Part) string {
	if part == "" {
		return ""
	}
	return string(part) + "/"
}

// shardsOf is what is written of archives beside them, and their parts. One that is missing is an error.
func (l *listing) shardsOf(root string, names []string) ([]*shardNotes, *shardParts, error) {
	notes, err := l.notesOnShards(root, names)
	if err != nil {
		return nil, nil, err
	}
	parts, err := partsOf(root, names, notes)
	if err == nil {
		err = missingShard(root, names)
	}
	for _, n := range notes {
		if err == nil {
			err = n.missing(root)
		}
	}
	return notes, parts, err
}

// partFolder is the folder of a part that path i stands for, or "": its name without an extension, where folders of a
// part are called so, else the part that one of its words is, or that a folder says which not all paths lie in.
func partFolder(paths []string, i int) string {
	own := strings.Split(cleanSlash(paths[i]), "/")
	alike := len(own) - 1
	for _, other := range paths {
		folders := strings.Split(cleanSlash(other), "/")
		alike = min(alike, len(folders)-1)
		for k := range alike {
			if own[k] != folders[k] {
				alike = k
				break
			}
		}
	}
	part, _ := partAt(path.Join(own[alike:]...))
	base, _ := stem(own[len(own)-1])
	if exact, _ := partOf(base); exact == part && part != "" {
		return base
	}
	return string(part)
}

// cleanSlash is a path in the one way of writing it.
func cleanSlash(name string) string { return filepath.ToSlash(filepath.Clean(name)) }

// partsBeside are the parts of shards that are given one by one, by the _info.json in their folders.
func partsBeside(fsys files.Reader, root string, shards []string) (*shardParts, error) {
	var notes []*shardNotes
	seen := map[string]bool{}
	for _, shard := range shards {
		name := path.Join(path.Dir(shard), wdsInfo)
		if seen[name] {
			continue
		}
		seen[name] = true
		raw, err := readFile(fsys, filepath.FromSlash(name), nil)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, &SourceError{Path: root, Problem: BadNotes, Detail: name, Err: err}
		}
		n, err := readShardNotes(root, name, raw)
		if err == nil {
			err = n.place(root, shards)
		}
		if err != nil {
			return nil, err
		}
		notes = append(notes, n)
	}
	return partsOf(root, shards, notes)
}
