package data

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/imagenet"
)

// labelIn is the number of a class in an order.
func labelIn(t testing.TB, o order, wnid string) int {
	t.Helper()
	place, ok := imagenet.Place(wnid)
	if !ok {
		t.Fatal(wnid)
	}
	return o.of(place, imagenet.All()[place])
}

// shard is a WebDataset of pictures of class folders; label gives what is written for a WNID. The label of every second
// sample comes after the picture.
func shard(t testing.TB, all map[string][]byte, label func(wnid string) string) []byte {
	t.Helper()
	var list []tarFile
	for i, name := range slices.Sorted(maps.Keys(all)) {
		class, base, _ := strings.Cut(name, "/")
		key := strings.TrimSuffix(base, path.Ext(base))
		sample := []tarFile{
			{name: key + ".cls", raw: []byte(label(class))},
			{name: key + ".jpeg", raw: all[name]},
			{name: key + ".json", raw: []byte(`{"width": 8}`)},
		}
		if i%2 == 1 {
			slices.Reverse(sample)
		}
		list = append(list, sample...)
	}
	return tarOf(t, list)
}

// jpegs are a mock's pictures with the extension that a WebDataset has.
func jpegs(all map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for name, raw := range all {
		out[strings.TrimSuffix(name, ".JPEG")+".jpeg"] = raw
	}
	return out
}

func labelsIn(o order) func(testing.TB, string) string {
	return func(t testing.TB, wnid string) string { return strconv.Itoa(labelIn(t, o, wnid)) }
}

// listOf are lines of a list; only training pictures have their folder in the path.
func listOf(t testing.TB, all map[string][]byte, form string, label func(testing.TB, string) string) []byte {
	t.Helper()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		part, rest, _ := strings.Cut(name, "/")
		class, base, _ := strings.Cut(rest, "/")
		at := name
		if part == "val" {
			at = "val/" + base
		}
		fmt.Fprintf(&b, form, at, label(t, class))
	}
	return []byte(b.String())
}

// TestNumberedForms holds shards, lists and numbered folders, labelled in each of the orders that are in use, to class
// folders of the same pictures: names of files prove which order it is.
func TestNumberedForms(t *testing.T) {
	all := jpegs(mock(t))
	want := open(t, folder(t, all), 0, 1)
	pictures := content(t, want)
	trained, held := only(all, "train/", ""), only(all, "val/", "")
	disk := joined(only(all, "train/", "train/"), flat(all, "val/"))
	part := func(p string) map[string][]byte { return only(all, p+"/", p+"/") }
	for _, o := range labelOrders {
		label := labelsIn(o)
		of := func(wnid string) string { return label(t, wnid) }
		numbered := map[string][]byte{}
		for name, raw := range all {
			p, rest, _ := strings.Cut(name, "/")
			class, base, _ := strings.Cut(rest, "/")
			numbered[p+"/"+of(class)+"/"+base] = raw
		}
		lists := folder(t, joined(disk, map[string][]byte{
			"train.txt": listOf(t, part("train"), "%s %s\n", label),
			"val.txt":   listOf(t, part("val"), "%s %s\r\n", label),
			"all.csv":   append([]byte("\ufefffilename,label\n"), listOf(t, all, "\"%s\",%s\n", label)...),
			"all.tsv":   append([]byte("Label\tsplit\tPath\n"), listOf(t, all, "%[2]s\t\t%[1]s\n", label)...),
			"plain.csv": listOf(t, all, "%s,%s\n", label),
		}))
		in := func(names ...string) Place {
			for i := range names {
				names[i] = filepath.Join(lists, names[i])
			}
			return At(names...)
		}
		for name, at := range map[string]Place{
			"shards": At(folder(t, map[string][]byte{
				"x-train-0000.tar": shard(t, only(trained, "n01", "n01"), of), "_info.json": []byte("{}"),
				"x-train-0002.tar":      shard(t, only(trained, "n02", "n02"), of),
				"x-train-0003.tar":      shard(t, only(trained, "n09", "n09"), of),
				"x-validation-0000.tar": shard(t, held, of),
			})),
			"shards in folders": At(folder(t, map[string][]byte{
				"train/0.tar": shard(t, trained, of), "val/0.tar": shard(t, held, of),
			})),
			"_info.json": At(folder(t, map[string][]byte{
				"a.tar": shard(t, trained, of), "b.tar": shard(t, held, of),
				"_info.json": []byte(
					`{"splits": {"train": {"filenames": ["a.tar"]}, "validation": {"filenames": ["b.tar"]}}}`),
			})),
			"two paths": At(write(t, "train.tar", shard(t, trained, of)), write(t, "val.tar", shard(t, held, of))),
			"folders":   At(folder(t, numbered)), "tar of folders": At(write(t, "x.tar", tarOf(t, tarFiles(numbered)))),
			"lists": in("train.txt", "val.txt"), "csv": in("all.csv"), "tsv": in("all.tsv"),
			"no header":       in("plain.csv"),
			"list and folder": in("train.txt", "val"),
		} {
			src, err := Open(t.Context(), files.OS, at, 0, 1)
			if err != nil {
				t.Errorf("%s, %s: %v", o.says, name, err)
				continue
			}
			if src.Fingerprint != want.Fingerprint || !maps.Equal(content(t, src), pictures) || len(src.Unused) > 0 {
				t.Errorf("%s, %s: train %v\nval %v\n%v", o.says, name, names(src.Train), names(src.Val), src.Unused)
			}
			if !strings.Contains(src.Decided, o.says+", as the names of") {
				t.Errorf("%s, %s: decided %q", o.says, name, src.Decided)
			}
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// thousand are pictures of 1000 numbered classes from a number on, whose names tell nothing.
func thousand(t testing.TB, from int) map[string][]byte {
	t.Helper()
	all, raw := map[string][]byte{}, pngOf(t, 8, 8, 1)
	for i := range imagenet.Classes {
		all[fmt.Sprintf("%d/%x.jpeg", from+i, 7919*i)] = raw
	}
	return all
}

// TestAskedOrder: labels of 1000 classes that nothing tells more of must be explained, and what is said holds.
func TestAskedOrder(t *testing.T) {
	index, ids := folder(t, thousand(t, 0)), folder(t, thousand(t, 1))
	wds := map[string][]byte{}
	for name, raw := range thousand(t, 0) {
		class, base, _ := strings.Cut(name, "/")
		key := strings.TrimSuffix(base, ".jpeg")
		wds[key+".cls"], wds[key+".jpg"] = []byte(class), raw
	}
	shards := write(t, "x.tar", tarOf(t, tarFiles(wds)))
	first := func(o order) string { return o.classes()[o.first] + "/0.jp" }
	for _, c := range []struct {
		path, labels string
		problem      Problem
		want         string // the first picture of number 0 or 1
	}{
		{index, "", AskOrder, ""},
		{ids, "", AskOrder, ""},
		{index, LabelsIndex, 0, first(labelOrders[0])},
		{ids, LabelsID, 0, first(labelOrders[1])},
		{ids, LabelsIndex, BadLabel, ""}, // 1000
		{index, LabelsID, BadLabel, ""},  // 0
		{index, LabelsNumbers, 0, "0/0.jp"},
		{shards, "", 0, first(labelOrders[0])}, // as timm writes them
		{shards, LabelsNumbers, 0, "0/0.jp"},
		{shards, LabelsID, BadLabel, ""},
	} {
		src, err := Open(t.Context(), files.OS, Place{Paths: []string{c.path}, Labels: c.labels}, 0, 1)
		var e *SourceError
		if c.problem != 0 {
			if !errors.As(err, &e) || e.Problem != c.problem {
				t.Errorf("%s of %s: %v", c.labels, c.path, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s of %s: %v", c.labels, c.path, err)
			continue
		}
		i := slices.IndexFunc(names(src.Train), func(name string) bool {
			return strings.HasPrefix(path.Base(name), "0.jp")
		})
		if name := src.Train.Name(i); !strings.HasPrefix(name, c.want) || len(src.Classes) != imagenet.Classes {
			t.Errorf("%s of %s: %s, want %s", c.labels, c.path, name, c.want)
		}
		if guess := strings.Contains(src.Decided, "as is usual"); guess != (c.path == shards && c.labels == "") {
			t.Errorf("%s of %s: decided %q", c.labels, c.path, src.Decided)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
	// in numeric order, whatever the names' lengths
	src, err := Open(t.Context(), files.OS, Place{Paths: []string{index}, Labels: LabelsNumbers}, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, class := range src.Classes {
		if class != strconv.Itoa(i) {
			t.Fatalf("class %d is %s", i, class)
		}
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
}

// TestFewProofs: the name of a file or two says nothing of the other numbers, and a class that fits two orders nothing
// of the order.
func TestFewProofs(t *testing.T) {
	raw := pngOf(t, 8, 8, 1)
	at := func(names ...string) map[string][]byte {
		all := map[string][]byte{}
		for _, name := range names {
			all[name] = raw
		}
		return all
	}
	both := -1 // a number that is one class in two orders
	index, ids := labelOrders[0].classes(), labelOrders[1].classes()
	for k := 1; k < imagenet.Classes; k++ {
		if index[k] == ids[k] {
			both = k
			break
		}
	}
	if both != 161 {
		t.Fatalf("number %d is one class in two orders, want 161", both)
	}
	of161 := "161/" + index[161] + "_1.JPEG"
	for name, c := range map[string]struct {
		form map[string][]byte
		want string
	}{
		"one of three":    {at("0/n01440764_5.png", "0/a.png", "1/a.png", "2/a.png"), "[0 1 2]"},
		"two of three":    {at("0/n01440764_5.png", "1/n01443537_2.png", "2/a.png"), "[n01440764 n01443537 n01484850]"},
		"two of four":     {at("0/n01440764_5.png", "1/n01443537_2.png", "2/a.png", "3/a.png"), "[0 1 2 3]"},
		"in validation":   {at("train/0/a.png", "train/1/a.png", "train/2/a.png", "val/0/n01440764_5.png"), "[0 1 2]"},
		"one and one":     {at("train/0/n01440764_5.png", "train/1/a.png", "val/0/n01440764_6.png"), "[0 1]"},
		"161":             {at(of161, "0/a.png"), "[0 161]"},
		"161 only":        {at(of161), "[" + index[161] + "]"},
		"161, validation": {at("train/161/a.png", "train/0/a.png", "val/"+of161), "[0 161]"},
		"161 and 0":       {at(of161, "0/n01440764_5.png"), "[n01440764 " + index[161] + "]"},
	} {
		src := open(t, folder(t, c.form), 0, 1)
		if got := fmt.Sprint(src.Classes); got != c.want {
			t.Errorf("%s: %s (%s), want %s", name, got, src.Decided, c.want)
		}
	}
	for name, c := range map[string]struct {
		proof string
		want  string // what is decided; "": it is asked
	}{
		"of 1000":      {"0/n01440764_5.jpeg", labelOrders[0].says + ", as the names of 1 file say"},
		"161 of 1000":  {of161, ""},
		"none of 1000": {"0/n02085620_5.jpeg", ""},
	} {
		src, err := Open(t.Context(), files.OS, At(folder(t, joined(thousand(t, 0), at(c.proof)))), 0, 1)
		var e *SourceError
		switch {
		case c.want == "" && (!errors.As(err, &e) || e.Problem != AskOrder):
			t.Errorf("%s: %v", name, err)
		case c.want != "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && !strings.Contains(src.Decided, c.want):
			t.Errorf("%s: decided %q", name, src.Decided)
		}
		if src != nil {
			_ = src.Close()
		}
	}
}

// TestLabelsFile labels flat validation pictures, whose names tell nothing or something else than the file.
func TestLabelsFile(t *testing.T) {
	all := mock(t)
	unpacked := only(all, "train/", "train/")
	plain := map[string][]byte{}
	for name, raw := range flat(all, "val/") {
		plain[strings.Replace(name, "ILSVRC2012_val_", "v", 1)] = raw
	}
	ids, index, wnids, pairs := "", "", "", ""
	for n := range 3 {
		place, _ := imagenet.Validation(validationNamed(n + 1))
		c := imagenet.All()[place]
		ids, index, wnids = ids+fmt.Sprintln(c.ID), index+fmt.Sprintln(place), wnids+fmt.Sprintln(c.WNID)
		pairs += fmt.Sprintf("val/v%08d.JPEG %s\n", n+1, c.WNID)
	}
	official := joined(unpacked, flat(all, "val/"))
	for name, c := range map[string]struct {
		form    map[string][]byte
		labels  string
		problem Problem
		words   string
	}{
		"WNIDs":              {joined(unpacked, plain), wnids, 0, ""},
		"pairs":              {joined(unpacked, plain), pairs, 0, ""},
		"IDs, proven":        {official, ids, 0, ""},
		"index, proven":      {official, index, 0, ""},
		"IDs, unproven":      {joined(unpacked, plain), ids, 0, ""},
		"index, unproven":    {joined(unpacked, plain), "2000\n1\n1\n", BadLabel, "(line 1 of "},
		"a class of none":    {joined(unpacked, plain), "n01751748\ncat\nn01751748\n", BadLabel, "(line 2 of "},
		"too few":            {joined(unpacked, plain), "n01751748\n", WrongCount, "1 label for 3 pictures"},
		"empty":              {joined(unpacked, plain), "", BadNotes, "it is empty"},
		"mixed":              {joined(unpacked, plain), "1\n2 3\n", BadNotes, "line 2"},
		"a class of slashes": {joined(unpacked, plain), "a/b\n", BadNotes, "line 1"},
		"twice":              {joined(unpacked, plain), pairs + pairs, BadNotes, "line 4"},
		"one is not there": {
			joined(unpacked, plain), pairs + "x.jpg n01751748\n", WrongCount, "labels of 4 pictures",
		},
		"one lacks": {joined(unpacked, plain), pairs[:strings.Index(pairs, "\n")+1], NoLabel, ""},
	} {
		at := Place{Paths: []string{folder(t, c.form)}, Labels: write(t, "labels", []byte(c.labels))}
		src, err := Open(t.Context(), files.OS, at, 0, 1)
		var e *SourceError
		if c.problem != 0 {
			if !errors.As(err, &e) || e.Problem != c.problem || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i := range src.Val.Len() {
			place, _ := imagenet.Validation(strings.Replace(path.Base(src.Val.Name(i)), "v0", "ILSVRC2012_val_0", 1))
			if !strings.Contains(src.Val.Name(i), "ILSVRC") {
				place, _ = imagenet.Validation("ILSVRC2012_val_" + path.Base(src.Val.Name(i))[1:])
			}
			if got, want := src.Classes[src.Val.Label(i)], imagenet.All()[place].WNID; got != want {
				t.Errorf("%s: %s is %s, want %s", name, src.Val.Name(i), got, want)
			}
		}
		if src.Val.Len() != 3 {
			t.Errorf("%s: %v", name, names(src.Val))
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestNoLabelsFile: a word that is misspelt is the path of a file that is not there.
func TestNoLabelsFile(t *testing.T) {
	at := Place{Paths: []string{folder(t, thousand(t, 0))}, Labels: "indx"}
	refused(t, "indx", at, NoLabels, "there is no file of labels indx")
}

// TestTruthBeside: files with ILSVRC2012's own labels are compared with the built-in ones.
func TestTruthBeside(t *testing.T) {
	all := mock(t)
	official := joined(only(all, "train/", "train/"), flat(all, "val/"))
	var b, places strings.Builder
	for n := range imagenet.Validations {
		place, _ := imagenet.Validation(validationNamed(n + 1))
		fmt.Fprintln(&places, place)
		fmt.Fprintln(&b, imagenet.All()[place].ID)
	}
	right := b.String()
	kaggle := "ImageId,PredictionString\nILSVRC2012_val_00000002,n09193705 1 1 2 2\n"
	for name, c := range map[string]struct {
		file, content, want string
	}{
		"right":    {groundTruth, right, ""},
		"cut":      {groundTruth, right[:len(right)/2], "labels, want 50,000"},
		"too long": {groundTruth, right + "1\n", "50,001 labels"},
		"places":   {groundTruth, places.String(), "its labels are places in the order of WNIDs, from 0, published"},
		"another": {
			groundTruth, "489" + right[3:], "of ILSVRC2012_val_00000001.JPEG it says 489, published is 490",
		},
		"Kaggle":         {kaggleTruth, kaggle, ""},
		"Kaggle, other":  {kaggleTruth, strings.Replace(kaggle, "n09193705", "n01440764", 1), "it says n01440764"},
		"Kaggle, no CSV": {kaggleTruth, "x\n", "wrong number of fields"},
	} {
		dir := folder(t, joined(official, map[string][]byte{"devkit/data/" + c.file: []byte(c.content)}))
		src, err := Open(t.Context(), files.OS, At(dir), 0, 1)
		if src != nil {
			_ = src.Close()
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestOtherNumbers are labels of other sets: classes of their own, in the order of numbers, or names that a file or the
// samples tell.
func TestOtherNumbers(t *testing.T) {
	grey := func(n int) []byte { return pngOf(t, 8, 8, uint8(n)) }
	sample := func(key, label, json string) []tarFile {
		return []tarFile{
			{name: key + ".jpg", raw: grey(len(key))},
			{name: key + ".cls", raw: []byte(label)},
			{name: key + ".json", raw: []byte(json)},
		}
	}
	shard := slices.Concat(sample("a/x1", "0", `{"class_name": "crane"}`),
		sample("b2", "10", `{"class_name": "maillot"}`),
		sample("c", "2", `{"class_name": "dog"}`))
	plain := slices.DeleteFunc(slices.Clone(shard), func(f tarFile) bool { return path.Ext(f.name) == ".json" })
	eleven := "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n"
	for name, c := range map[string]struct {
		form map[string][]byte
		want string
	}{
		"numbers": {map[string][]byte{"x.tar": tarOf(t, plain)}, "[0 2 10] [0/a/x1.jpg 2/c.jpg 10/b2.jpg]"},
		"by .json": {
			map[string][]byte{"x.tar": tarOf(t, shard)},
			"[crane dog maillot] [crane/a/x1.jpg dog/c.jpg maillot/b2.jpg]",
		},
		"by a file": {
			map[string][]byte{"x.tar": tarOf(t, plain), "classes.txt": []byte(eleven)},
			"[a c k] [a/x1.jpg c/c.jpg k/b2.jpg]",
		},
		"words": {
			map[string][]byte{"x.tar": tarOf(t, slices.Concat(
				sample("1", "crane", ""), sample("2", "big crane\n", "")))},
			"[big crane crane] [big crane/2.jpg crane/1.jpg]",
		},
		"features": {
			map[string][]byte{"x.tar": tarOf(t, plain), "dataset_info.json": []byte(
				`{"features": {"label": {"names": ["a","b","c","d","e","f","g","h","i","j","k"]}}}`)},
			"[a c k] [a/x1.jpg c/c.jpg k/b2.jpg]",
		},
		// nine kinds of dogs: no order of ILSVRC2012's, though names tell WNIDs
		"groups": {
			map[string][]byte{
				"0/n01440764_1.JPEG": grey(1), "0/n01443537_1.JPEG": grey(2),
				"10/n02085620_1.JPEG": grey(3), "2/n02085620_2.JPEG": grey(4),
			},
			"[0 10 2] [0/n01440764_1.JPEG 0/n01443537_1.JPEG 10/n02085620_1.JPEG 2/n02085620_2.JPEG]",
		},
		"an own numbering": {
			map[string][]byte{"0/n02085620_1.JPEG": grey(1), "1/n01440764_1.JPEG": grey(2)},
			"[n01440764 n02085620] [n01440764/n01440764_1.JPEG n02085620/n02085620_1.JPEG]",
		},
	} {
		src := open(t, folder(t, c.form), 0, 1)
		if got := fmt.Sprint(src.Classes, names(src.Train)); got != c.want {
			t.Errorf("%s: %s, want %s (%s)", name, got, c.want, src.Decided)
		}
	}
	for name, c := range map[string]struct {
		form    []tarFile
		more    string
		problem Problem
		want    string
	}{
		"no label": {
			append(slices.Clone(plain), tarFile{name: "d.png", raw: grey(9)}), "", NoLabel, "x.tar: d has no label",
		},
		"two labels": {
			append(slices.Clone(plain), tarFile{name: "c.cls", raw: []byte("2")}), "", BadLabel,
			"the label of c cannot be used (it has two)",
		},
		"two pictures": {
			append(slices.Clone(plain), tarFile{name: "c.png", raw: grey(9)}), "", BadLabel, "that of two pictures",
		},
		"an empty one": {append(slices.Clone(plain), sample("e", " \n", "")...), "", BadLabel, "e.cls"},
		"a long one": {
			append(slices.Clone(plain), sample("e", strings.Repeat("x", 300), "")...), "", BadLabel, "e.cls",
		},
		"a path":        {append(slices.Clone(plain), sample("e", "../x", "")...), "", BadLabel, "e.cls"},
		"beyond a file": {plain, "a\nb\nc\n", BadLabel, "label 10 is none of classes of classes.txt"},
	} {
		form := map[string][]byte{"x.tar": tarOf(t, c.form)}
		if c.more != "" {
			form["classes.txt"] = []byte(c.more)
		}
		var e *SourceError
		_, err := Open(t.Context(), files.OS, At(folder(t, form)), 0, 1)
		if !errors.As(err, &e) || e.Problem != c.problem || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mixed := map[string][]byte{"a-train.tar": tarOf(t, plain), "b.tar": tarOf(t, sample("q", "2", ""))}
	var e *SourceError
	if _, err := Open(t.Context(), files.OS, At(folder(t, mixed)), 0, 1); !errors.As(err, &e) || e.Problem != NoPart ||
		filepath.Base(e.Path) != "b.tar" {
		t.Errorf("a shard of no part: %v", err)
	}
}

// TestDisagree: numbers of 1000 classes that the names of files contradict are an error, which names one.
func TestDisagree(t *testing.T) {
	all := map[string][]byte{}
	raw := pngOf(t, 8, 8, 1)
	for place, c := range imagenet.All() {
		all[fmt.Sprintf("%d/%s_%d.JPEG", place, c.WNID, 1)] = raw
	}
	all["5/n01440764_7.JPEG"] = raw
	var e *SourceError
	_, err := Open(t.Context(), files.OS, At(folder(t, all)), 0, 1)
	if !errors.As(err, &e) || e.Problem != Disagree ||
		!strings.Contains(err.Error(), "its label is 5, its name says n0") {
		t.Errorf("%v", err)
	}
}

// TestNoLists says of files that are called as lists what they lack.
func TestNoLists(t *testing.T) {
	for content, want := range map[string]string{
		"":                       "it is empty",
		"name,kind\na.jpg,b\n":   "found name, kind",
		"a.jpg\nb.jpg\n":         "line 1: a.jpg has no label",
		"some words\n":           "want a path and a label",
		"\"a\".jpg,b\n":          "line 1: there is text after a closing quote",
		"path,\"label\"s\na,b\n": "line 1: there is text after a closing quote",
		"\"a.jpg,b\n":            "line 1: a quote without an end",
		"\"some\" words\n":       "want a path and a label",
	} {
		refused(t, content, At(write(t, "val.txt", []byte(content))), BadList, want)
	}
}

// TestCranes: two classes of one name stay two.
func TestCranes(t *testing.T) {
	raw := pngOf(t, 8, 8, 1)
	list := "n02012849_1.JPEG 134\nn03126707_1.JPEG 517\n"
	dir := folder(t, map[string][]byte{"n02012849_1.JPEG": raw, "n03126707_1.JPEG": raw, "train.txt": []byte(list)})
	src := open(t, filepath.Join(dir, "train.txt"), 0, 1)
	if !slices.Equal(src.Classes, []string{"n02012849", "n03126707"}) ||
		imagenet.Name(src.Classes[0]) == imagenet.Name(src.Classes[1]) {
		t.Errorf("%v", src.Classes)
	}
}

// TestLists are lists of other sets, and what is none.
func TestLists(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"a,b 1.png": pngOf(t, 8, 8, 1), "sub/2.png": pngOf(t, 8, 8, 2), "cat/3.png": pngOf(t, 8, 8, 3),
	})
	elsewhere := filepath.Join(folder(t, map[string][]byte{"4.png": pngOf(t, 8, 8, 4)}), "4.png")
	list := filepath.Join(dir, "list of pictures")
	for name, c := range map[string]struct {
		list    string
		problem Problem
		want    string
	}{
		"a blank before the label": {"a,b 1.png 10\nsub/2.png 9\n\n", 0, "[9 10] [9/sub/2.png 10/a,b 1.png]"},
		"quoted": {
			"\"a,b 1.png\",golden retriever\nsub/2.png,cat", 0,
			"[cat golden retriever] [cat/sub/2.png golden retriever/a,b 1.png]",
		},
		"tabs": {
			"a,b 1.png\tgolden retriever\n./sub/2.png\tcat\n", 0,
			"[cat golden retriever] [cat/sub/2.png golden retriever/a,b 1.png]",
		},
		"header": {
			"id,Image,Class\n7,sub/2.png,x\n8,cat/3.png,cat\n", 0, "[cat x] [cat/3.png x/sub/2.png]",
		},
		"elsewhere": {
			"sub/2.png x\n" + elsewhere + " y\n../" + filepath.Base(dir) + "/cat/3.png z\n", 0,
			"[x y z] [x/sub/2.png y" + elsewhere + " z/" + filepath.Base(dir) + "/cat/3.png]",
		},
		"a missing picture": {"sub/2.png x\nsub/no.png y\n", 0, "[x y] [x/sub/2.png y/sub/no.png]"},
		"no label":          {"sub/2.png x\ncat/3.png\n", BadList, "line 2: want a path, a blank and a label"},
		"no column":         {"path,label\nsub/2.png\n", BadList, "line 2: want a path and a label"},
		"an empty label":    {"path,label\nsub/2.png, \n", BadList, "line 2: it has no label"},
		"a path as label":   {"path,label\nsub/2.png,a/b\n", BadList, "line 2: a/b cannot be a class"},
		"another part": {
			"path,label,split\nsub/2.png,a,some\n", BadList, "line 2: some is no part of the data",
		},
		"after a quote": {
			"sub/2.png,x\n\"cat/3\".png,cat\n", BadList,
			list + ": cannot be used as a list of pictures (line 2: there is text after a closing quote",
		},
		"blanks after a quote":  {"\"sub/2.png\" ,x\n\"cat/3.png\",\"cat\" \n", 0, "[cat x] [cat/3.png x/sub/2.png]"},
		"a quote in the middle": {"sub/2.png,a\"b\n", 0, "[a\"b] [a\"b/sub/2.png]"},
		"twice":                 {"sub/2.png x\nsub/2.png x\n", BadList, "line 2: sub/2.png is there twice"},
		"a long line": {
			"sub/2.png x\n" + strings.Repeat("y", 1<<18) + " z\n", BadList, "a line of more than 65,536 bytes",
		},
		"only a header": {"path,label\n", BadList, "it names no pictures"},
		"no picture is there": {
			"sub/1.png x\n", BadList, "line 1: there is no picture " + filepath.Join(dir, "sub", "1.png"),
		},
		"semicolons":  {"sub/2.png;x\ncat/3.png;cat\n", 0, "[cat x] [cat/3.png x/sub/2.png]"},
		"other names": {"class_name;filepath\nx;sub/2.png\ncat;cat/3.png\n", 0, "[cat x] [cat/3.png x/sub/2.png]"},
		"a text":      {"Some words about pictures.\n", NoTar, ""},
	} {
		writeTo(t, list, []byte(c.list))
		src, err := Open(t.Context(), files.OS, At(list), 0, 1)
		var e *SourceError
		switch {
		case c.problem != 0:
			if !errors.As(err, &e) || e.Problem != c.problem || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := fmt.Sprint(src.Classes, names(src.Train)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if i := src.Train.Len() - 1; name != "a missing picture" {
			if _, err := src.Train.Read(t.Context(), i, nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
}
