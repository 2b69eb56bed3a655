package data

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/text"
)

// split is a part of a WebDataset as _info.json has it.
type split struct {
	Files   json.RawMessage `json:"filenames"` // names, or one pattern for all
	Lengths []int           `json:"shard_lengths"`
	Samples *int            `json:"num_samples"`

	names []string // in Files
	at    []string // which shard each of them is; "": it is not there
}

// shardNotes is a _info.json.
type shardNotes struct {
	name   string            // its own, from the root
	splits map[string]*split // by their names
}

// maxShards is how many shards a _info.json may name.
const maxShards = 1 << 20

// readShardNotes reads a _info.json.
func readShardNotes(root, name string, raw []byte) (*shardNotes, error) {
	var info struct {
		Splits map[string]*split `json:"splits"`
	}
	n := &shardNotes{name: name}
	if err := json.Unmarshal(raw, &info); err != nil {
		return nil, n.bad(root, err)
	}
	n.splits = info.Splits
	maps.DeleteFunc(n.splits, func(_ string, of *split) bool { return of == nil })
	all := 0
	for _, of := range n.splits {
		of.names = of.listed()
		of.at = make([]string, len(of.names))
		if all += len(of.names); all > maxShards {
			return nil, n.bad(root, fmt.Errorf("it names more than %s shards", text.Grouped(maxShards)))
		}
	}
	return n, nil
}

func (n *shardNotes) bad(root string, err error) error {
	return &SourceError{Path: root, Problem: BadNotes, Detail: n.name, Err: err}
}

// notesOnShards reads every _info.json of a listing, and finds the shards that they name.
func (l *listing) notesOnShards(root string, shards []string) (all []*shardNotes, err error) {
	for _, note := range l.notes {
		if path.Base(note) != wdsInfo {
			continue
		}
		raw, err := l.aside(note)
		if err != nil {
			return nil, &SourceError{Path: root, Problem: BadNotes, Detail: note, Err: err}
		}
		n, err := readShardNotes(root, note, raw)
		if err == nil {
			err = n.place(root, shards)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// braces are a range of numbers in a pattern: train-{0000..1023}.tar.
var braces = regexp.MustCompile(`^([^{}]*)\{([0-9]{1,6})\.\.([0-9]{1,6})\}([^{}]*)$`)

// listed are the names of the shards; of a pattern that is not understood, none.
func (s *split) listed() (names []string) {
	var pattern string
	if json.Unmarshal(s.Files, &names) == nil || json.Unmarshal(s.Files, &pattern) != nil {
		return names
	}
	m := braces.FindStringSubmatch(pattern)
	switch {
	case m == nil && strings.ContainsAny(pattern, "{}"):
		return nil
	case m == nil:
		return []string{pattern}
	}
	from, _ := strconv.Atoi(m[2])
	until, _ := strconv.Atoi(m[3])
	for n := from; n <= until; n++ {
		names = append(names, fmt.Sprintf("%s%0*d%s", m[1], len(m[2]), n, m[4]))
	}
	return names
}

// place finds the shards that the names stand for, each from the folder of _info.json on: the very path; else the one
// path that ends so, where other folders do not say another part; else the path that the name ends with. A name of
// which nobody knows which shard it is, and a shard of two parts, are errors: one might be trained on that is not to
// be.
func (n *shardNotes) place(root string, shards []string) error {
	dir, _ := path.Split(n.name)
	exact, ending := map[string]bool{}, map[string][]string{} // paths from dir on; those that end so
	for _, shard := range slices.Sorted(slices.Values(shards)) {
		at, below := strings.CutPrefix(shard, dir)
		if !below {
			continue
		}
		exact[at] = true
		for _, rest, more := strings.Cut(at, "/"); more; _, rest, more = strings.Cut(rest, "/") {
			ending[rest] = append(ending[rest], at)
		}
	}
	taken := map[string]string{} // the names of splits, by path
	for _, find := range []func(name string, part Part) []string{
		func(name string, _ Part) []string { return those(exact, name) },
		func(name string, part Part) []string { return fitting(ending[name], name, part) },
		func(name string, _ Part) []string {
			for _, rest, more := strings.Cut(name, "/"); more; _, rest, more = strings.Cut(rest, "/") {
				if exact[rest] {
					return []string{rest}
				}
			}
			return nil
		},
	} {
		now := map[string]string{}
		for _, name := range slices.Sorted(maps.Keys(n.splits)) {
			if err := n.placeSplit(root, dir, name, find, taken, now); err != nil {
				return err
			}
		}
		maps.Copy(taken, now)
	}
	return nil
}

// placeSplit is place of the names of one split in one way. taken are the shards of ways before, now those of this.
func (n *shardNotes) placeSplit(
	root, dir, name string, find func(name string, part Part) []string, taken, now map[string]string,
) error {
	of := n.splits[name]
	part, _ := partNamed(name)
	for i, shard := range of.names {
		if of.at[i] != "" {
			continue
		}
		found := slices.DeleteFunc(find(path.Clean(shard), part), func(at string) bool { return taken[at] != "" })
		if len(found) > 1 {
			return n.bad(root, fmt.Errorf("%s in it may be %s or %s", text.Name(shard), text.Name(dir+found[0]),
				text.Name(dir+found[1])))
		}
		for _, at := range found {
			if other, there := now[at]; there {
				if p, _ := partNamed(other); p != part || p == "" && other != name {
					return n.bad(root, fmt.Errorf("%s is in %s and in %s", text.Name(dir+at), text.Name(other),
						text.Name(name)))
				}
			}
			now[at], of.at[i] = name, dir+at
		}
	}
	return nil
}

// those are the name where it is there.
func those(there map[string]bool, name string) []string {
	if there[name] {
		return []string{name}
	}
	return nil
}

// fitting are paths that end in a name whose folders before that do not say another part than this; those that say
// this, where there are any.
func fitting(paths []string, name string, part Part) (fit []string) {
	say := false
	for _, at := range paths {
		said, says := partIn(strings.TrimSuffix(at, name))
		switch {
		case says && said != part || say && !says:
		case says && !say:
			fit, say = []string{at}, true
		default:
			fit = append(fit, at)
		}
	}
	return fit
}

// shardParts are the parts of shards.
type shardParts struct {
	of     map[string]Part // "": none
	said   map[string]bool // where a _info.json says so
	parted bool            // one has parts: a shard of none is trained on by mistake
}

// partsOf are the parts of shards: those that _info.json says, else those that their paths do.
func partsOf(root string, shards []string, all []*shardNotes) (*shardParts, error) {
	parts := &shardParts{of: map[string]Part{}, said: map[string]bool{}}
	for _, shard := range shards {
		parts.of[shard], _ = partAt(shard)
	}
	for _, n := range all {
		names := slices.Sorted(maps.Keys(n.splits))
		if !slices.ContainsFunc(names, func(name string) bool { _, is := partNamed(name); return is }) {
			continue // it parts them in a way that says nothing here
		}
		parts.parted = true
		for _, name := range names {
			part, _ := partNamed(name)
			for _, shard := range n.splits[name].at {
				switch {
				case shard == "":
					continue
				case parts.said[shard] && parts.of[shard] != part:
					return nil, n.bad(root, fmt.Errorf("%s is in %s, and elsewhere in another part", text.Name(shard),
						text.Name(name)))
				}
				parts.of[shard], parts.said[shard] = part, true
			}
		}
	}
	return parts, nil
}

// missing is the error of a split of whose shards one is not there. Of one that is not there at all nobody may want
// any.
func (n *shardNotes) missing(root string) error {
	for _, name := range slices.Sorted(maps.Keys(n.splits)) {
		of := n.splits[name]
		lacks := slices.Index(of.at, "")
		if lacks >= 0 && slices.ContainsFunc(of.at, func(at string) bool { return at != "" }) {
			why := fmt.Errorf("%s names it", text.Name(n.name))
			return &SourceError{Path: root, Problem: MissingShard, Detail: of.names[lacks], Err: why}
		}
	}
	return nil
}

// compare is the error of a shard, or of a split, that holds more or fewer pictures than is written.
func (n *shardNotes) compare(root string, counts map[string]int) error {
	differs := func(what string, got, want int) error {
		return &SourceError{Path: root, Problem: ShardCount, Detail: what, Err: fmt.Errorf("%s, in %s %s",
			text.Count(got, "picture"), text.Name(n.name), text.Grouped(int64(want)))}
	}
	for _, name := range slices.Sorted(maps.Keys(n.splits)) {
		of, all, some := n.splits[name], 0, false
		for i, shard := range of.names {
			count, is := counts[of.at[i]]
			if !is {
				continue
			}
			some = true
			if all += count; len(of.Lengths) == len(of.names) && of.Lengths[i] != count {
				return differs(shard, count, of.Lengths[i])
			}
		}
		if some && of.Samples != nil && *of.Samples != all {
			return differs(name, all, *of.Samples)
		}
	}
	return nil
}

// ofShards are names that say how many there are: train-00000-of-00294.parquet.
var ofShards = regexp.MustCompile(`^(.+)-([0-9]{3,6})-of-([0-9]{3,6})(\.[A-Za-z.]+)$`)

// missingShard is the error of a shard that is not there, though the names of others say that there is one. A file
// that is given as the only one is what is wanted.
func missingShard(root string, names []string) error {
	there, all := map[string]bool{}, map[string]int{}
	for _, name := range names {
		if m := ofShards.FindStringSubmatch(filepath.ToSlash(name)); m != nil {
			there[m[0]] = true
			all[m[0]], _ = strconv.Atoi(m[3])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := ofShards.FindStringSubmatch(name)
		for n := range all[name] {
			shard := fmt.Sprintf("%s-%0*d-of-%s%s", m[1], len(m[2]), n, m[3], m[4])
			if !there[shard] {
				return &SourceError{Path: root, Problem: MissingShard, Detail: shard, Err: fmt.Errorf("%s says so",
					text.Name(name))}
			}
			delete(all, shard) // seen to
		}
	}
	return nil
}
