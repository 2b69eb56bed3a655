package data

import (
	"fmt"
	"maps"
	"testing"
)

// TestMissingShards: a shard that others or _info.json speak of is named, and so is one of another length.
func TestMissingShards(t *testing.T) {
	shards := map[string][]byte{}
	for n := range 3 {
		var list []tarFile
		for i := range n + 2 {
			key := fmt.Sprintf("p%d%d", n, i)
			list = append(list, tarFile{name: key + ".cls", raw: []byte("7")},
				tarFile{name: key + ".jpg", raw: pngOf(t, 8, 8, 1)})
		}
		shards[fmt.Sprintf("a-train-%04d.tar", n)] = tarOf(t, list)
	}
	info := func(files, lengths, samples string) []byte {
		return fmt.Appendf(nil, `{"splits": {"train": {"filenames": %s, "shard_lengths": %s, "num_samples": %s},
			"validation": {"filenames": ["a-val-0.tar"], "shard_lengths": [9], "num_samples": 9}}}`,
			files, lengths, samples)
	}
	list, pattern := `["a-train-0000.tar", "a-train-0001.tar", "a-train-0002.tar"]`, `"a-train-{0000..0002}.tar"`
	for name, c := range map[string]struct {
		info    []byte
		without string
		problem Problem
		words   string
	}{
		"whole":      {info(list, "[2, 3, 4]", "9"), "", 0, ""},
		"by pattern": {info(pattern, "[2, 3, 4]", "9"), "", 0, ""},
		"no numbers": {[]byte(`{"splits": {"train": {"filenames": ` + list + `}}}`), "", 0, ""},
		"one is not there": {
			info(list, "[2, 3, 4]", "9"), "a-train-0001.tar", MissingShard,
			"the shard a-train-0001.tar is missing (_info.json names it)",
		},
		"the last is not there, of a pattern": {
			info(pattern, "[2, 3, 4]", "9"), "a-train-0002.tar", MissingShard, "a-train-0002.tar",
		},
		"a shorter one": {
			info(list, "[2, 5, 4]", "11"), "", ShardCount, "a-train-0001.tar are not as many as is written (3 pictures",
		},
		"fewer in all": {info(list, "[]", "10"), "", ShardCount, "train are not as many as is written (9 pictures"},
	} {
		form := maps.Clone(shards)
		form["_info.json"] = c.info
		delete(form, c.without)
		at := At(folder(t, form))
		if c.problem != 0 {
			refused(t, name, at, c.problem, c.words)
		} else if src := open(t, at.Paths[0], 0, 1); src.Train.Len() != 9 {
			t.Errorf("%s: %v", name, names(src.Train))
		}
	}
	one, two := shards["a-train-0000.tar"], shards["a-train-0001.tar"]
	refused(t, "of three", At(folder(t, map[string][]byte{
		"train-00000-of-00003.tar": one, "train-00002-of-00003.tar": two,
	})), MissingShard, "the shard train-00001-of-00003.tar is missing (train-00000-of-00003.tar says so)")
	dir := folder(t, map[string][]byte{"train-00000-of-00003.tar": one, "train-00001-of-00003.tar": two})
	refused(t, "of paths", At(dir+"/train-00000-of-00003.tar", dir+"/train-00001-of-00003.tar"), MissingShard,
		"train-00002-of-00003.tar is missing")
	if src := open(t, dir+"/train-00001-of-00003.tar", 0, 1); src.Train.Len() != 3 { // as the only one
		t.Error(names(src.Train))
	}
}
