package data

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"testing"

	"alexnet/internal/files"
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

// TestHeldOutShards: wherever the shards lie and whatever says what they are for, none of those for validation is
// trained on.
func TestHeldOutShards(t *testing.T) {
	shard := func(key string, grey uint8) []byte {
		return tarOf(t, []tarFile{
			{name: key + ".cls", raw: []byte("cat")}, {name: key + ".png", raw: pngOf(t, 8, 8, grey)},
		})
	}
	held := pngOf(t, 8, 8, 9)
	train, val := shard("t", 1), shard("v", 9)
	classes := func(grey uint8) []byte { return tarOf(t, []tarFile{{name: "1.png", raw: pngOf(t, 8, 8, grey)}}) }
	info := func(train, val string) []byte {
		return fmt.Appendf(nil, `{"splits": {"train": {"filenames": %s}, "validation": {"filenames": %s}}}`, train, val)
	}
	list := info(`["a-0.tar"]`, `["b-0.tar"]`)
	inside := []tarFile{
		{name: "_info.json", raw: list}, {name: "x/a-0.tar", raw: train}, {name: "x/b-0.tar", raw: val},
	}
	folders := func(key string, raw []byte) []byte {
		return tarOf(t, []tarFile{{name: "cat/" + key + ".png", raw: raw}, {name: "dog/" + key + ".png", raw: raw}})
	}
	type form = map[string][]byte
	for name, c := range map[string]struct {
		form    form
		paths   []string // in it; nil: it
		problem Problem  // 0: each is in its part
	}{
		"in a folder below":   {form{"_info.json": list, "x/a-0.tar": train, "x/b-0.tar": val}, nil, 0},
		"notes in the folder": {form{"x/_info.json": list, "x/a-0.tar": train, "x/b-0.tar": val}, nil, 0},
		"a name for each": {form{
			"_info.json": info(`"a-0.tar"`, `"b-0.tar"`), "x/a-0.tar": train, "x/b-0.tar": val,
		}, nil, 0},
		"named with folders": {form{
			"_info.json": info(`["s3://x/a-0.tar"]`, `["./v/b-0.tar"]`), "a-0.tar": train, "b-0.tar": val,
		}, nil, 0},
		"alike in folders": {form{
			"_info.json": info(`["0.tar"]`, `["0.tar"]`), "train/0.tar": train, "val/0.tar": val,
		}, nil, 0},
		"alike, one part not there": {form{
			"_info.json": info(`["train/0.tar"]`, `["val/0.tar"]`), "val/0.tar": val,
		}, nil, 0},
		"names say otherwise": {form{
			"_info.json": info(`["a-0.tar"]`, `["train-0.tar"]`), "x/a-0.tar": train, "x/train-0.tar": val,
		}, nil, 0},
		"folders of parts":            {form{"d/train/0.tar": train, "d/val/0.tar": val}, nil, 0},
		"folders in folders of parts": {form{"train/x/0.tar": train, "val/x/0.tar": val}, nil, 0},
		"words of folders":            {form{"my-train/0.tar": train, "my-val/0.tar": val}, nil, 0},
		"a name for training in val":  {form{"train/train-0.tar": train, "val/train-0.tar": val}, nil, 0},
		"a tar a class":               {form{"d/train/cat.tar": classes(1), "d/val/cat.tar": classes(9)}, nil, 0},
		"a tar of class folders": {form{
			"_info.json": list, "x/a-0.tar": folders("t", pngOf(t, 8, 8, 1)), "x/b-0.tar": folders("v", held),
		}, nil, 0},
		"paths in folders of parts": {form{
			"train/0.tar": train, "val/0.tar": val,
		}, []string{"val/0.tar", "train/0.tar"}, 0},
		"paths beside notes": {form{
			"_info.json": list, "a-0.tar": train, "b-0.tar": val,
		}, []string{"a-0.tar", "b-0.tar"}, 0},
		"folders beside": {form{
			"train/x/cat/1.png": pngOf(t, 8, 8, 1), "val/x/cat/1.png": held,
		}, []string{"train/x", "val/x"}, 0},
		"a zip of shards": {form{"x.zip": zipOf(t, inside)}, nil, 0},
		"a tar of shards": {form{"x.tar": tarOf(t, inside)}, nil, 0},

		"a pattern that is not understood": {form{
			"_info.json": info(`"a-{0..0}{0..0}.tar"`, `"b-{0..0}{0..0}.tar"`), "a-00.tar": train,
			"b-00.tar": val,
		}, nil, NoPart},
		"not named": {form{
			"_info.json": list, "a-0.tar": train, "b-0.tar": val, "b-1.tar": val,
		}, nil, NoPart},
		"named by paths that are not": {form{
			"_info.json": list, "c.tar": train, "d.tar": val,
		}, []string{"c.tar", "d.tar"}, NoPart},
		"a split that is no part": {form{
			"_info.json": bytes.ReplaceAll(info(`["a-0.tar"]`, `["train-1.tar"]`), []byte("validation"), []byte("dev")),
			"a-0.tar":    train, "train-1.tar": val,
		}, nil, NoPart},
		"in both": {form{
			"_info.json": info(`["a-0.tar", "b-0.tar"]`, `["b-0.tar"]`), "x/a-0.tar": train, "x/b-0.tar": val,
		}, nil, BadNotes},
		"in both, of two notes": {form{
			"_info.json": info(`["x/b-0.tar"]`, `[]`), "x/_info.json": info(`[]`, `["b-0.tar"]`),
			"x/b-0.tar": val,
		}, nil, BadNotes},
		"one of two": {form{
			"_info.json": list, "x/a-0.tar": train, "x/b-0.tar": val, "y/b-0.tar": shard("w", 9),
		}, nil, BadNotes},
		"no notes": {form{
			"_info.json": []byte("["), "a-0.tar": train, "b-0.tar": val,
		}, []string{"a-0.tar", "b-0.tar"}, BadNotes},
	} {
		dir := folder(t, c.form)
		at := At(dir)
		if c.paths != nil {
			at = Place{}
		}
		for _, p := range c.paths {
			at.Paths = append(at.Paths, filepath.Join(dir, p))
		}
		if len(c.form) == 1 {
			for p := range c.form {
				at = At(filepath.Join(dir, p))
			}
		}
		if c.problem != 0 {
			refused(t, name, at, c.problem, "")
			continue
		}
		src, err := OpenThrough(t.Context(), files.OS, at, 0, 1)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if src.Val.Len() == 0 || src.Train.Len() != src.Val.Len() && name != "alike, one part not there" {
			t.Errorf("%s: train %v, val %v, unused %v", name, names(src.Train), names(src.Val), src.Unused)
		}
		if err := src.Through(t.Context(), 0, func(p Taken) error {
			if bytes.Equal(p.Raw, held) != (p.Part == ValPart) {
				t.Errorf("%s: picture %d of %s is of the other part", name, p.Index, p.Part)
			}
			return nil
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
	// those that can only be read through are not done without
	dir := folder(t, map[string][]byte{
		"_info.json": info(`["a-0.tar"]`, `["b-0.tar.gz"]`), "x/a-0.tar": train, "x/b-0.tar.gz": gzipOf(t, val),
	})
	refused(t, "in gzip", At(dir), OnlyThrough, "x/b-0.tar.gz")
}
