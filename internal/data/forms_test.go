package data

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/text"
)

// mock is a small ILSVRC2012: pictures in class folders by name, as valprep.sh leaves them.
func mock(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for k, n := range []int{1, 2, 3} {
		base := fmt.Sprintf("ILSVRC2012_val_%08d.JPEG", n)
		place, ok := imagenet.Validation(base)
		if !ok {
			t.Fatal(base)
		}
		wnid := imagenet.All()[place].WNID
		all["val/"+wnid+"/"+base] = pngOf(t, 8, 8, uint8(10*k))
		for i := range 3 {
			all[fmt.Sprintf("train/%s/%s_%d.JPEG", wnid, wnid, 10*i)] = pngOf(t, 8, 8, uint8(100+10*k+i))
		}
	}
	return all
}

// tarFiles are files for tarOf, in an order of their own: tars are not sorted.
func tarFiles(all map[string][]byte) (list []tarFile) {
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(all))) {
		list = append(list, tarFile{name: name, raw: all[name]})
	}
	return list
}

// officialTrain is the form of ILSVRC2012_img_train.tar: a tar for each class.
func officialTrain(t *testing.T, all map[string][]byte) []byte {
	t.Helper()
	inner := map[string]map[string][]byte{}
	for name, raw := range all {
		if rest, ok := strings.CutPrefix(name, "train/"); ok {
			class, base, _ := strings.Cut(rest, "/")
			if inner[class] == nil {
				inner[class] = map[string][]byte{}
			}
			inner[class][base] = raw
		}
	}
	outer := map[string][]byte{}
	for class, pictures := range inner {
		outer[class+".tar"] = tarOf(t, tarFiles(pictures))
	}
	return tarOf(t, tarFiles(outer))
}

// classTars are the tars of the classes, as the outer tar unpacked leaves them.
func classTars(t *testing.T, all map[string][]byte, prefix string) map[string][]byte {
	t.Helper()
	tars := map[string][]byte{}
	for name := range all {
		rest, ok := strings.CutPrefix(name, "train/")
		class, _, _ := strings.Cut(rest, "/")
		if ok && tars[prefix+class+".tar"] == nil {
			tars[prefix+class+".tar"] = tarOf(t, tarFiles(only(all, "train/"+class+"/", "")))
		}
	}
	return tars
}

// flat are the validation pictures without folders.
func flat(all map[string][]byte, prefix string) map[string][]byte {
	out := map[string][]byte{}
	for name, raw := range all {
		if strings.HasPrefix(name, "val/") {
			out[prefix+filepath.Base(name)] = raw
		}
	}
	return out
}

func only(all map[string][]byte, prefix, instead string) map[string][]byte {
	out := map[string][]byte{}
	for name, raw := range all {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			out[instead+rest] = raw
		}
	}
	return out
}

func joined(all ...map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}

// content is what a source holds: each picture by part and name.
func content(t *testing.T, src *Source) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, set := range []*Set{src.Train, src.Val, src.Test} {
		for i := range set.Len() {
			raw, err := set.Read(t.Context(), i, nil)
			if err != nil {
				t.Fatal(err)
			}
			all[set.Name(i)+" "+src.Classes[set.Label(i)]] = string(raw)
		}
	}
	return all
}

// TestILSVRC holds the forms that ILSVRC2012's pictures come in to class folders of the same pictures: the same names,
// labels and fingerprint, hence the same order, and the same bytes.
func TestILSVRC(t *testing.T) {
	all := mock(t)
	want := open(t, folder(t, all), 0, 1)
	if want.Train.Len() != 9 || want.Val.Len() != 3 || len(want.Classes) != 3 {
		t.Fatalf("%d, %d, %d", want.Train.Len(), want.Val.Len(), len(want.Classes))
	}
	pictures := content(t, want)
	train, val := officialTrain(t, all), tarOf(t, tarFiles(flat(all, "")))
	unpacked := only(all, "train/", "train/")
	kaggle := "ILSVRC/Data/CLS-LOC/"
	for name, form := range map[string]map[string][]byte{
		"the two tars":               {"ILSVRC2012_img_train.tar": train, "ILSVRC2012_img_val.tar": val},
		"other names":                {"a.tar": train, "b.tar": val},
		"flat val":                   joined(unpacked, flat(all, "val/")),
		"val unpacked beside train/": joined(unpacked, flat(all, "")),
		"val packed":                 joined(unpacked, map[string][]byte{"ILSVRC2012_img_val.tar": val}),
		"train packed": joined(flat(all, "val/"), map[string][]byte{
			"ILSVRC2012_img_train.tar": train,
		}),
		"tars of class folders named by part": {
			"train.tar": tarOf(t, tarFiles(only(all, "train/", ""))), "val.tar": val,
		},
		"tars that say their part themselves": {
			"x.tar": tarOf(t, tarFiles(unpacked)), "y.tar": tarOf(t, tarFiles(only(all, "val/", "val/"))),
		},
		"unpacked into folders of their names": joined(
			only(all, "train/", "ILSVRC2012_img_train/"), flat(all, "ILSVRC2012_img_val/")),
		"tars of classes in train/": joined(classTars(t, all, "train/"), flat(all, "val/")),
		"Kaggle's tree": joined(only(all, "train/", kaggle+"train/"), flat(all, kaggle+"val/"), map[string][]byte{
			"ILSVRC/Annotations/CLS-LOC/val/x.xml": []byte("x"), "ILSVRC/ImageSets/CLS-LOC/val.txt": []byte("x"),
			"LOC_val_solution.csv": []byte("ImageId,PredictionString\n" +
				"ILSVRC2012_val_00000003,n02105855 1 2 3 4 n02105855 5 6 7 8\n"),
		}),
	} {
		t.Run(name, func(t *testing.T) {
			got := open(t, folder(t, form), 0, 1)
			if name == "unpacked into folders of their names" { // which stay part of the pictures' names
				if got.Train.Len() != want.Train.Len() || got.Val.Len() != want.Val.Len() {
					t.Errorf("train %v\nval %v", names(got.Train), names(got.Val))
				}
				return
			}
			if got.Fingerprint != want.Fingerprint || !maps.Equal(content(t, got), pictures) {
				t.Errorf("train %v\nval %v", names(got.Train), names(got.Val))
			}
			if len(got.Unused) > 0 {
				t.Errorf("unused: %v", got.Unused)
			}
		})
	}
	t.Run("a tar of flat val", func(t *testing.T) {
		got := open(t, write(t, "all.tar", tarOf(t, tarFiles(joined(unpacked, flat(all, "val/"))))), 0, 1)
		if got.Fingerprint != want.Fingerprint || !maps.Equal(content(t, got), pictures) {
			t.Errorf("train %v\nval %v", names(got.Train), names(got.Val))
		}
	})
	t.Run("one of the tars", func(t *testing.T) {
		got := open(t, write(t, "t.tar", train), 0, 1)
		if !slices.Equal(names(got.Train), names(want.Train)) || got.Val.Len() != 0 {
			t.Errorf("train %v, val %v", names(got.Train), names(got.Val))
		}
		got = open(t, write(t, "v.tar", val), 0, 1)
		if !slices.Equal(names(got.Val), names(want.Val)) || got.Train.Len() != 0 {
			t.Errorf("train %v, val %v", names(got.Train), names(got.Val))
		}
	})
}

// TestTwice: what is unpacked beside its own tar is there twice, whatever its folders are.
func TestTwice(t *testing.T) {
	all := mock(t)
	packed := map[string][]byte{
		"ILSVRC2012_img_train.tar": officialTrain(t, all), "ILSVRC2012_img_val.tar": tarOf(t, tarFiles(flat(all, ""))),
	}
	for name, c := range map[string]struct {
		beside map[string][]byte
		second string
	}{
		"flat val/":         {flat(all, "val/"), "val/ILSVRC2012_val_00000001.JPEG"},
		"val/ in classes":   {only(all, "val/", "val/"), "val/n01751748/ILSVRC2012_val_00000001.JPEG"},
		"loose at the top":  {flat(all, ""), "ILSVRC2012_val_00000001.JPEG"},
		"train/ in classes": {only(all, "train/", "train/"), ""},
	} {
		_, err := Open(t.Context(), files.OS, At(folder(t, joined(packed, c.beside))), 0, 1)
		e := (*SourceError)(nil)
		if !errors.As(err, &e) || e.Problem != Twice || !strings.Contains(err.Error(), c.second) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestManyUnused: of many places that are not used for one reason some are named, and all counted.
func TestManyUnused(t *testing.T) {
	all := mock(t)
	form := map[string][]byte{"ILSVRC2012_img_train.tar": officialTrain(t, all)}
	for i := range 1000 {
		form[fmt.Sprintf("class%04d/a.png", i)] = anyFile
	}
	src := open(t, folder(t, form), 0, 1)
	if len(src.Unused) != 10 {
		t.Fatalf("%d: %v", len(src.Unused), src.Unused)
	}
	want := "class0009/ (1 picture) is a folder neither for training nor for validation or test; and 990 more " +
		"(990 pictures) like it"
	if got := src.Unused[9].String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestFewClasses trains on some of ILSVRC2012's classes: the validation pictures of the others are told of, once.
func TestFewClasses(t *testing.T) {
	all := mock(t)
	few := joined(only(all, "train/n01", "train/n01"), flat(all, "val/"))
	src := open(t, folder(t, few), 0, 1)
	if src.Train.Len() != 3 || src.Val.Len() != 1 || len(src.Unused) != 1 {
		t.Fatalf("%d, %d, %v", src.Train.Len(), src.Val.Len(), src.Unused)
	}
	if got, want := src.Unused[0].String(), "2 pictures in val/, of classes without training pictures"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	// of none: that is an error
	none := joined(only(all, "train/n01", "train/cat"), flat(all, "val/"))
	var e *SourceError
	if _, err := Open(t.Context(), files.OS, At(folder(t, none)), 0, 1); !errors.As(err, &e) || e.Problem != LoosePart {
		t.Errorf("%v", err)
	}
}

// TestWhereFilesLie: what is said of a picture names the file that it lies in.
func TestWhereFilesLie(t *testing.T) {
	all := mock(t)
	unpacked := only(all, "train/", "train/")
	for name, c := range map[string]struct {
		form map[string][]byte
		want string
	}{
		"flat":  {joined(unpacked, flat(all, "val/")), "val/ILSVRC2012_val_00000001.JPEG"},
		"loose": {joined(unpacked, flat(all, "")), "ILSVRC2012_val_00000001.JPEG"},
		"tar": {
			joined(unpacked, map[string][]byte{"ILSVRC2012_img_val.tar": tarOf(t, tarFiles(flat(all, "")))}),
			"ILSVRC2012_img_val.tar/ILSVRC2012_val_00000001.JPEG",
		},
		"folders": {all, "val/n01751748/ILSVRC2012_val_00000001.JPEG"},
	} {
		src := open(t, folder(t, c.form), 0, 1)
		var files []string
		for i := range src.Val.Len() {
			files = append(files, src.Val.File(i))
		}
		if !slices.Contains(files, c.want) || len(files) != 3 {
			t.Errorf("%s: %v, want %s", name, files, c.want)
		}
	}
	train := officialTrain(t, all)
	for where, path := range map[string]string{
		"": write(t, "a.tar", train), "ILSVRC2012_img_train.tar/": folder(t,
			map[string][]byte{"ILSVRC2012_img_train.tar": train}), "x.tar.gz/": folder(t,
			map[string][]byte{"x.tar.gz": gzipOf(t, train)}),
	} {
		src := openThrough(t, path)
		for i := range src.Train.Len() {
			class, base := src.Classes[src.Train.Label(i)], filepath.Base(src.Train.Name(i))
			if got, want := src.Train.File(i), where+class+".tar/"+base; got != want {
				t.Errorf("%s lies in %s, want %s", src.Train.Name(i), got, want)
			}
		}
	}
	bad := flat(all, "val/")
	bad["val/ILSVRC2012_val_00000001.JPEG"] = []byte("none")
	src := open(t, folder(t, joined(unpacked, bad)), 0, 1)
	info, err := Inspect(t.Context(), src, InspectOptions{Workers: 1})
	if err != nil || len(info.Unreadable) != 1 || info.Unreadable[0].Name != "val/ILSVRC2012_val_00000001.JPEG" {
		t.Errorf("%v, %v", info, err)
	}
}

// TestBytesMissing: of a tar that is cut off it is said how much is missing, as far as that is known.
func TestBytesMissing(t *testing.T) {
	plain := tarOf(t, []tarFile{{name: "a/1.png", raw: make([]byte, 3000)}}) // a block, and 3,000 bytes
	outer := tarOf(t, []tarFile{{name: "n01440764.tar", raw: plain}})
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"x.tar":   {plain[:512+1000], "a/1.png in it lacks 2,000 of its 3,000 bytes"},
		"two.tar": {outer[:1024], "n01440764.tar in it lacks " + text.Grouped(int64(len(plain)-512)) + " of its"},
		"ILSVRC2012_img_val.tar": {
			plain[:512+1000],
			"lacks 2,000 of its 3,000 bytes: unexpected EOF; it has 1,512 of the 6,744,924,160 bytes that were " +
				"published: 6,744,922,648 are missing",
		},
		"ILSVRC2012_img_train.tar": {plain[:100], "147,897,477,020 are missing"},
	} {
		path := filepath.Join(folder(t, map[string][]byte{name: c.raw}), name)
		var e *SourceError
		_, err := Open(t.Context(), files.OS, At(path), 0, 1)
		if !errors.As(err, &e) || e.Problem != CutOff || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	const whole = 6_744_924_160
	for name, rest := range map[string]int64{"ILSVRC2012_img_val.tar": 1 << 20, "x.tar": 1 << 20} {
		err := publishedEnds(filepath.Join("there", name), whole-rest, whole)
		if is := errors.Is(err, errHole); is != (name != "x.tar") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := publishedEnds("ILSVRC2012_img_val.tar", whole-10_752, whole); err != nil {
		t.Error(err)
	}
}

func TestTinyImageNet(t *testing.T) {
	picture := func(n int) []byte { return pngOf(t, 8, 8, uint8(n)) }
	form := map[string][]byte{
		"tiny-imagenet-200/train/n01443537/images/n01443537_0.JPEG": picture(1),
		"tiny-imagenet-200/train/n01443537/n01443537_boxes.txt":     []byte("x"),
		"tiny-imagenet-200/train/n01629819/images/n01629819_0.JPEG": picture(2),
		"tiny-imagenet-200/val/images/val_0.JPEG":                   picture(3),
		"tiny-imagenet-200/val/images/val_1.JPEG":                   picture(4),
		"tiny-imagenet-200/val/" + annotations: []byte(
			"val_0.JPEG\tn01629819\t0\t32\t44\t62\nval_1.JPEG\tn01443537\t52\t55\t57\t59\r\n\n"),
		"tiny-imagenet-200/test/images/test_0.JPEG": picture(5),
		"tiny-imagenet-200/wnids.txt":               []byte("n02124075\n"),
	}
	linked := append(tarFiles(form), tarFile{
		name: "tiny-imagenet-200/train/n01443537/images/n01443537_1.JPEG", sym: "n01443537_0.JPEG",
	})
	for kind, path := range map[string]string{
		"folder": folder(t, form), "tar": write(t, "tiny.tar", tarOf(t, tarFiles(form))),
		"tar in a folder": folder(t, map[string][]byte{"tiny.tar": tarOf(t, tarFiles(form))}),
		"tar with a link": write(t, "tiny.tar", tarOf(t, linked)),
	} {
		src := open(t, path, 0, 1)
		got := fmt.Sprint(names(src.Train), names(src.Val), src.Classes, src.Unused)
		got = strings.Replace(got, " train/n01443537/images/n01443537_1.JPEG", "", 1)
		want := "[train/n01443537/images/n01443537_0.JPEG train/n01629819/images/n01629819_0.JPEG] " +
			"[val/n01443537/val_1.JPEG val/n01629819/val_0.JPEG] [n01443537 n01629819] " +
			"[test/images/ (1 picture) has no class folders]"
		if got != want {
			t.Errorf("%s: %s\nwant %s", kind, got, want)
		}
		if raw, err := src.Val.Read(t.Context(), 0, nil); err != nil || !bytes.Equal(raw, picture(4)) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for notes, c := range map[string]struct {
		problem Problem
		words   string
	}{
		"":   {BadNotes, "val/val_annotations.txt cannot be used (file does not exist)"},
		"\n": {BadNotes, "val/val_annotations.txt cannot be used (it is empty)"},
		"val_0.JPEG\tn01629819\n": {
			NoLabel, "val/images/val_1.JPEG has no label (val_annotations.txt has no line of it)",
		},
		"val_0.JPEG\tn01629819\nval_1.JPEG\tcat\n": {
			BadLabel, "the label of val/images/val_1.JPEG cannot be used (line 2 of val_annotations.txt: label cat",
		},
	} {
		form["tiny-imagenet-200/val/"+annotations] = []byte(notes)
		if notes == "" {
			delete(form, "tiny-imagenet-200/val/"+annotations)
		}
		refused(t, notes, At(folder(t, form)), c.problem, c.words)
	}
	form["tiny-imagenet-200/val/"+annotations] = []byte("val_0.JPEG n01629819\n")
	var e *SourceError
	_, err := Open(t.Context(), files.OS, At(folder(t, form)), 0, 1)
	if want := "val/val_annotations.txt cannot be used (line 1: want a file, a tab and a class)"; !errors.As(err, &e) ||
		e.Why() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestCIFAR reads the binary forms, whose pixels a BMP brings through the decoder.
func TestCIFAR(t *testing.T) {
	record := func(labels []byte, n int) []byte {
		raw := bytes.Clone(labels)
		for i := range cifarPixels {
			raw = append(raw, byte(i*7+n))
		}
		return raw
	}
	batch := func(labels int, from int, classes ...byte) (raw []byte) {
		for i, c := range classes {
			l := []byte{99, c}
			raw = append(raw, record(l[2-labels:], from+i)...)
		}
		return raw
	}
	ten := map[string][]byte{
		"cifar-10-batches-bin/batches.meta.txt": []byte("airplane\nautomobile\n\n"),
		"cifar-10-batches-bin/readme.html":      []byte("x"),
		"cifar-10-batches-bin/test_batch.bin":   batch(1, 50, 0),
	}
	for i := 1; i <= 5; i++ {
		ten[fmt.Sprintf("cifar-10-batches-bin/data_batch_%d.bin", i)] = batch(1, i, 1, 0)
	}
	hundred := map[string][]byte{
		"train.bin": batch(2, 1, 1, 0), "test.bin": batch(2, 50, 0, 1), "fine_label_names.txt": []byte("apple\nfish\n"),
		"coarse_label_names.txt": []byte("x\n"),
	}
	packed := folder(t, map[string][]byte{"x.tar": tarOf(t, tarFiles(ten))})
	for _, path := range []string{filepath.Join(packed, "x.tar"), packed} {
		got, want := open(t, path, 0, 1), open(t, folder(t, ten), 0, 1)
		if got.Fingerprint != want.Fingerprint || !maps.Equal(content(t, got), content(t, want)) {
			t.Errorf("%s: %v", path, names(got.Train))
		}
	}
	src := open(t, folder(t, ten), 0, 1)
	if src.Train.Len() != 10 || src.Test.Len() != 1 || src.Val.Len() != 0 ||
		!slices.Equal(src.Classes, []string{"airplane", "automobile"}) {
		t.Fatalf("%v %v %v", names(src.Train), names(src.Test), src.Classes)
	}
	if got, want := src.Train.Name(9), "train/automobile/data_batch_5_00000.bmp"; got != want {
		t.Errorf("the last is %s, want %s", got, want)
	}
	src = open(t, folder(t, hundred), 0, 1)
	if src.Train.Len() != 2 || src.Test.Len() != 2 || !slices.Equal(src.Classes, []string{"apple", "fish"}) {
		t.Fatalf("%v %v %v", names(src.Train), names(src.Test), src.Classes)
	}
	raw, err := src.Test.Read(t.Context(), 1, nil) // record 1 of test.bin
	if err != nil {
		t.Fatal(err)
	}
	pic, err := picture.NewDecoder().Decode(t.Context(), raw, picture.Want{Channels: 3}, nil)
	if err != nil || pic.File.Width != 32 || pic.File.Height != 32 {
		t.Fatalf("%+v, %v", pic.File, err)
	}
	for p := range cifarPlane {
		for c := range 3 {
			if got, want := pic.Pixels[3*p+c], byte((c*cifarPlane+p)*7+51); got != want {
				t.Fatalf("pixel %d, colour %d: %d, want %d", p, c, got, want)
			}
		}
	}
	for name, c := range map[string]struct {
		file string
		raw  []byte
		want string
	}{
		"cut":          {"train.bin", batch(2, 1, 1)[:3000], "3000 bytes are not whole pictures of 3074 bytes"},
		"empty":        {"train.bin", []byte{}, "0 bytes are not whole pictures"},
		"label":        {"test.bin", batch(2, 1, 0, 2), "picture 1 has label 2 of 2 classes"},
		"another form": {"train.bin", batch(1, 1, 0), "3073 bytes are not whole pictures of 3074 bytes"},
	} {
		bad := maps.Clone(hundred)
		bad[c.file] = c.raw
		var e *SourceError
		if _, err := Open(t.Context(), files.OS, At(folder(t, bad)), 0, 1); !errors.As(err, &e) ||
			!strings.Contains(err.Error(), c.want) || e.Detail != c.file {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	nameless := maps.Clone(hundred)
	delete(nameless, "fine_label_names.txt")
	if _, err := Open(t.Context(), files.OS, At(folder(t, nameless)), 0, 1); err == nil ||
		!strings.Contains(err.Error(), "fine_label_names.txt cannot be used (file does not exist)") {
		t.Errorf("without names: %v", err)
	}
	delete(ten, "cifar-10-batches-bin/data_batch_3.bin")
	if _, err := Open(t.Context(), files.OS, At(folder(t, ten)), 0, 1); err == nil ||
		!strings.Contains(err.Error(), "data_batch_3.bin cannot be used") {
		t.Errorf("without a batch: %v", err)
	}
}

// TestTarsThatAreDamaged: bytes that lack are told of, and no picture is left out without a word.
func TestTarsThatAreDamaged(t *testing.T) {
	all := mock(t)
	train := officialTrain(t, all)
	hole := bytes.Clone(train)
	clear(hole[len(hole)/2:])
	hole = append(hole, make([]byte, 3<<20)...)
	for name, c := range map[string]struct {
		raw     []byte
		problem Problem
		want    string
	}{
		"cut":  {train[:len(train)/2], CutOff, "the tar is cut off"},
		"hole": {hole, Hole, "a part of the tar is missing (an end mark before the end: its files end at byte"},
		"inner": {
			tarOf(t, []tarFile{{name: "n01440764.tar", raw: []byte(strings.Repeat("x", 1024))}}), NoTar,
			"n01440764.tar in it",
		},
		"empty inner": {
			tarOf(t, []tarFile{{name: "n01440764.tar", raw: []byte("x")}}), CutOff, "n01440764.tar in it",
		},
	} {
		var e *SourceError
		_, err := Open(t.Context(), files.OS, At(write(t, "t.tar", c.raw)), 0, 1)
		if !errors.As(err, &e) || e.Problem != c.problem || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	twice := joined(only(all, "train/", "train/"), map[string][]byte{"ILSVRC2012_img_train.tar": train})
	var e *SourceError
	if _, err := Open(t.Context(), files.OS, At(folder(t, twice)), 0, 1); !errors.As(err, &e) || e.Problem != Twice {
		t.Errorf("packed and unpacked: %v", err)
	}
}
