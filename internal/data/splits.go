package data

import (
	"encoding/json"
	"fmt"
	"maps"
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
}

// splits are the parts by their names.
type splits map[string]split

// splits reads _info.json; without one there are none.
func (l *listing) splits(root string) (splits, error) {
	if !slices.Contains(l.notes, wdsInfo) {
		return splits{}, nil
	}
	var info struct {
		Splits splits `json:"splits"`
	}
	raw, err := l.aside(wdsInfo)
	if err == nil {
		err = json.Unmarshal(raw, &info)
	}
	if err != nil {
		return nil, &SourceError{Path: root, Problem: BadNotes, Detail: wdsInfo, Err: err}
	}
	return info.Splits, nil
}

// braces are a range of numbers in a pattern: train-{0000..1023}.tar.
var braces = regexp.MustCompile(`^([^{}]*)\{([0-9]{1,6})\.\.([0-9]{1,6})\}([^{}]*)$`)

// names are those of the shards.
func (s split) names() (names []string) {
	var pattern string
	if json.Unmarshal(s.Files, &names) == nil || json.Unmarshal(s.Files, &pattern) != nil {
		return names
	}
	m := braces.FindStringSubmatch(pattern)
	if m == nil {
		return nil
	}
	from, _ := strconv.Atoi(m[2])
	until, _ := strconv.Atoi(m[3])
	for n := from; n <= until; n++ {
		names = append(names, fmt.Sprintf("%s%0*d%s", m[1], len(m[2]), n, m[4]))
	}
	return names
}

// bySuffix finds names of shards by themselves, or without folders before them.
func bySuffix(shards []string) map[string]string {
	found := map[string]string{}
	for _, name := range slices.Sorted(slices.Values(shards)) {
		for rest, more := name, true; more; _, rest, more = strings.Cut(rest, "/") {
			if _, there := found[rest]; !there || rest == name {
				found[rest] = name
			}
		}
	}
	return found
}

// missing is the error of a part of whose shards one is not there. Of a part that is not there at all nobody may want
// any.
func (s splits) missing(root string, shards []string) error {
	there := bySuffix(shards)
	for _, name := range slices.Sorted(maps.Keys(s)) {
		lacks, some := "", false
		for _, shard := range s[name].names() {
			if there[shard] != "" {
				some = true
			} else if lacks == "" {
				lacks = shard
			}
		}
		if some && lacks != "" {
			why := fmt.Errorf("%s names it", wdsInfo)
			return &SourceError{Path: root, Problem: MissingShard, Detail: lacks, Err: why}
		}
	}
	return nil
}

// compare is the error of a shard, or of a part, that holds more or fewer pictures than is written.
func (s splits) compare(root string, counts map[string]int) error {
	differs := func(what string, got, want int) error {
		return &SourceError{Path: root, Problem: ShardCount, Detail: what, Err: fmt.Errorf("%s, in %s %s",
			text.Count(got, "picture"), wdsInfo, text.Grouped(int64(want)))}
	}
	there := bySuffix(slices.Collect(maps.Keys(counts)))
	for _, name := range slices.Sorted(maps.Keys(s)) {
		of, all, some := s[name], 0, false
		names := of.names()
		for i, shard := range names {
			at, is := there[shard]
			if !is {
				continue
			}
			some = true
			if all += counts[at]; len(of.Lengths) == len(names) && of.Lengths[i] != counts[at] {
				return differs(shard, counts[at], of.Lengths[i])
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
