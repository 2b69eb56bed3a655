package data

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"alexnet/internal/crafted"
	"alexnet/internal/files"
)

// gzipOf is what gzip makes of a file.
func gzipOf(t testing.TB, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// inGzip is a file as gzip could have stored it, without compressing it.
func inGzip(raw []byte) []byte {
	b, le := []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), binary.LittleEndian
	for rest := raw; ; {
		n := min(len(rest), 65535)
		last := n == len(rest)
		b = append(b, map[bool]byte{true: 1}[last])
		b = le.AppendUint16(le.AppendUint16(b, uint16(n)), ^uint16(n))
		b, rest = append(b, rest[:n]...), rest[n:]
		if last {
			break
		}
	}
	return le.AppendUint32(le.AppendUint32(b, crc32.ChecksumIEEE(raw)), uint32(len(raw)))
}

// zipOf makes a zip in memory; every second file is only stored.
func zipOf(t testing.TB, files []tarFile) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: uint16(i % 2 * int(zip.Deflate))}
		h.SetMode(0o644)
		raw := f.raw
		if f.sym != "" {
			h.SetMode(0o777 | os.ModeSymlink)
			raw = []byte(f.sym)
		}
		e, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write(raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func openThrough(t testing.TB, path string) *Source {
	t.Helper()
	src, err := OpenThrough(t.Context(), files.OS, At(path), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	return src
}

// inOrder passes all that the store of a sequential source has.
func inOrder(ctx context.Context, src *Source, each func(number int, raw []byte) error) error {
	return inCrew(ctx, src.outages, func(r *reader) error { return src.store.(sequential).through(r, each) })
}

// passed is what a source passes, as content has it.
func passed(t *testing.T, src *Source) map[string]string {
	t.Helper()
	at := map[int]string{}
	for _, set := range []*Set{src.Train, src.Val, src.Test} {
		for _, r := range set.records {
			at[int(r.Number)] = r.Name + " " + src.Classes[r.Label]
		}
	}
	var first, order []int
	all := map[string]string{}
	for range 2 { // it can be read again
		first, order = order, nil
		err := inOrder(t.Context(), src, func(number int, raw []byte) error {
			if raw == nil {
				raw, _ = src.store.Read(t.Context(), number, nil)
			}
			order = append(order, number)
			if name, used := at[number]; used {
				all[name] = string(raw)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(first, order) {
		t.Errorf("the orders are %v and %v", first, order)
	}
	slices.Sort(order)
	if len(slices.Compact(order)) != len(first) {
		t.Errorf("some come twice: %v", first)
	}
	return all
}

// inOldForm are pictures as the older form on Hugging Face names them.
func inOldForm(all map[string][]byte, prefix string) map[string][]byte {
	out := map[string][]byte{}
	for name, raw := range all {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			class, base, _ := strings.Cut(rest, "/")
			ext := path.Ext(base)
			out[strings.TrimSuffix(base, ext)+"_"+class+ext] = raw
		}
	}
	return out
}

// TestThrough holds what can only be read through to class folders of the same pictures: the same names, labels and
// fingerprint, hence the same order, and the same bytes.
func TestThrough(t *testing.T) {
	all := mock(t)
	want := open(t, folder(t, all), 0, 1)
	wanted := content(t, want)
	around := map[string][]byte{"set/notes.csv": []byte("x")}
	for name, raw := range all {
		around["set/"+name] = raw
	}
	tgz := func(files map[string][]byte) []byte { return gzipOf(t, tarOf(t, tarFiles(files))) }
	old := map[string][]byte{"README.md": nil, "classes.py": []byte("x")}
	shares := [5]map[string][]byte{}
	for i, name := range slices.Sorted(maps.Keys(inOldForm(all, "train/"))) {
		if shares[i%5] == nil {
			shares[i%5] = map[string][]byte{}
		}
		shares[i%5][name] = inOldForm(all, "train/")[name]
	}
	for i, share := range shares {
		old[fmt.Sprintf("data/train_images_%d.tar.gz", i)] = tgz(share)
	}
	old["data/val_images.tar.gz"] = tgz(inOldForm(all, "val/"))
	kaggle := joined(only(all, "train/", "ILSVRC/Data/CLS-LOC/train/"), flat(all, "ILSVRC/Data/CLS-LOC/val/"))
	kaggle["ILSVRC/Data/CLS-LOC/test/ILSVRC2012_test_00000001.JPEG"] = anyFile
	kaggle["ILSVRC/Annotations/CLS-LOC/val/ILSVRC2012_val_00000001.xml"] = []byte("<x/>")
	official := map[string][]byte{
		"ILSVRC2012_img_train.tar.gz": gzipOf(t, officialTrain(t, all)), "ILSVRC2012_img_val.tgz": tgz(flat(all, "")),
	}
	parts := map[string][]byte{
		"train.zip": zipOf(t, tarFiles(only(all, "train/", ""))), "photos-val.tgz": tgz(only(all, "val/", "")),
	}
	members := slices.Concat(gzipOf(t, tarOf(t, tarFiles(all))[:4000]), gzipOf(t, tarOf(t, tarFiles(all))[4000:]))
	zipped := func(files ...tarFile) string { return write(t, "x.zip", zipOf(t, files)) }
	for name, path := range map[string]string{
		"tar.gz":                 write(t, "x", tgz(all)),
		"tar.gz of two members":  write(t, "x", members),
		"tar.gz with one around": write(t, "x.tar.gz", tgz(around)),
		"tar.gz in a folder":     folder(t, map[string][]byte{"all.tgz": tgz(around)}),
		"tar.gz further down":    folder(t, map[string][]byte{"a/b/all.tgz": tgz(all), "a/b/c/x.tgz": nil}),
		"zip":                    zipped(tarFiles(all)...),
		"zip with one around":    zipped(tarFiles(around)...),
		"zip of a tar.gz":        zipped(tarFile{name: "a.csv"}, tarFile{name: "all.tar.gz", raw: tgz(all)}),
		"zip of a tar":           zipped(tarFile{name: "a/all.tar", raw: tarOf(t, tarFiles(all))}),
		"zip of two": zipped(tarFile{name: "train.tgz", raw: tgz(only(all, "train/", ""))},
			tarFile{name: "val.tgz", raw: tgz(only(all, "val/", ""))}),
		"Kaggle's": zipped(tarFile{name: "LOC_val_solution.csv", raw: []byte("ImageId,PredictionString\n")},
			tarFile{name: "imagenet_object_localization_patched2019.tar.gz", raw: tgz(kaggle)}),
		"the older form":        folder(t, old),
		"the older form's tars": folder(t, only(old, "data/", "")),
		"official, in gzip":     folder(t, official),
		"parts by their names":  folder(t, parts),
		"one part packed": folder(t, joined(only(all, "train/", "train/"),
			map[string][]byte{"val/a.tgz": tgz(flat(all, ""))})),
	} {
		src := openThrough(t, path)
		if !src.Sequential() {
			t.Errorf("%s: not sequential", name)
		}
		if src.Fingerprint != want.Fingerprint || !slices.Equal(src.Classes, want.Classes) ||
			!slices.Equal(names(src.Train), names(want.Train)) || !slices.Equal(names(src.Val), names(want.Val)) {
			t.Errorf("%s: %v %v, classes %v", name, names(src.Train), names(src.Val), src.Classes)
		}
		if got := passed(t, src); !maps.Equal(got, wanted) {
			t.Errorf("%s: other pictures: %v", name, slices.Sorted(maps.Keys(got)))
		}
		if _, err := src.Val.Read(t.Context(), 0, nil); !errors.As(err, new(*BadPicture)) {
			t.Errorf("%s: one by itself: %v", name, err)
		}
		_, err := Open(t.Context(), files.OS, At(path), 0, 1)
		if e := (*SourceError)(nil); !errors.As(err, &e) || e.Problem != OnlyThrough || e.Path != path {
			t.Errorf("%s: opened to train on: %v", name, err)
		}
	}
	if src := openThrough(t, folder(t, all)); src.Sequential() {
		t.Error("a folder is sequential")
	}
	if src := openThrough(t, folder(t, map[string][]byte{"x.tar": tarOf(t, tarFiles(all))})); src.Sequential() {
		t.Error("a folder of tars is sequential")
	}
}

// TestTarsInTars holds tars in a tar, plain and in gzip, to a folder of them: parts, names and bytes.
func TestTarsInTars(t *testing.T) {
	all := mock(t)
	val := tarOf(t, tarFiles(flat(all, "")))
	shards := map[string][]byte{}
	for _, part := range []string{"train", "validation"} {
		for k := range 2 {
			var list []tarFile
			for i := range 3 {
				key := fmt.Sprintf("%s_%d_%d", part, k, i)
				list = append(list, tarFile{name: key + ".png", raw: pngOf(t, 8, 8, uint8(len(part)*10+3*k+i))},
					tarFile{name: key + ".cls", raw: []byte{byte('0' + i)}})
			}
			shards[fmt.Sprintf("imagenet1k-%s-%04d.tar", part, k)] = tarOf(t, list)
		}
	}
	official := map[string][]byte{"ILSVRC2012_img_train.tar": officialTrain(t, all), "ILSVRC2012_img_val.tar": val}
	for name, form := range map[string]map[string][]byte{
		"the two official":    official,
		"only the training's": only(official, "ILSVRC2012_img_t", "ILSVRC2012_img_t"),
		"parts by name": {
			"train.tar": tarOf(t, tarFiles(only(all, "train/", ""))),
			"val.tar":   tarOf(t, tarFiles(only(all, "val/", ""))),
		},
		"classes in parts": joined(classTars(t, all, "train/"), map[string][]byte{
			"val/n01751748.tar": tarOf(t, tarFiles(only(all, "val/n01751748/", ""))),
		}),
		"shards": shards,
	} {
		want := open(t, folder(t, form), 0, 1)
		wanted := content(t, want)
		for _, around := range []string{"", "set/"} {
			if around != "" && strings.HasPrefix(name, "classes") {
				continue
			}
			whole := tarOf(t, tarFiles(only(form, "", around)))
			got := open(t, write(t, "all.tar", whole), 0, 1)
			if got.Fingerprint != want.Fingerprint || !maps.Equal(content(t, got), wanted) {
				t.Errorf("%s: %v %v, want %v %v", name, names(got.Train), names(got.Val), names(want.Train),
					names(want.Val))
			}
			got = openThrough(t, write(t, "all.tgz", gzipOf(t, whole)))
			if got.Fingerprint != want.Fingerprint || !maps.Equal(passed(t, got), wanted) {
				t.Errorf("%s in gzip: %v %v, want %v %v", name, names(got.Train), names(got.Val), names(want.Train),
					names(want.Val))
			}
		}
	}
}

// TestPackedTwice: what is not read inside an archive is named, where there is nothing else.
func TestPackedTwice(t *testing.T) {
	for _, name := range []string{"data/train-00000-of-00001.parquet", "a/train.zip"} {
		one := []tarFile{{name: "data/README.md"}, {name: name, raw: anyFile}}
		for form, raw := range map[string][]byte{
			"tar": tarOf(t, one), "tgz": gzipOf(t, tarOf(t, one)), "zip": zipOf(t, one),
		} {
			_, err := OpenThrough(t.Context(), files.OS, At(write(t, "x."+form, raw)), 0, 1)
			if e := (*SourceError)(nil); !errors.As(err, &e) || e.Problem != Packed || e.Detail != name {
				t.Errorf("%s in %s: %v", name, form, err)
			}
		}
	}
}

// TestThroughBeside: what can only be read through keeps nobody from training on what lies beside it, unless a part is
// nowhere else; and what has no pictures is never read.
func TestThroughBeside(t *testing.T) {
	all := mock(t)
	want := open(t, folder(t, all), 0, 1)
	tgz := gzipOf(t, tarOf(t, tarFiles(only(all, "train/", "x/"))))
	train, val := officialTrain(t, all), tarOf(t, tarFiles(flat(all, "")))
	both := map[string][]byte{"ILSVRC2012_img_train.tar": train, "ILSVRC2012_img_val.tar": val}
	kit := gzipOf(t, tarOf(t, []tarFile{{name: "ILSVRC2012_devkit_t12/COPYING", raw: []byte("x")}}))
	boxes := gzipOf(t, tarOf(t, []tarFile{{name: "n01440764.tar.gz", raw: gzipOf(t, nil)}}))
	with := joined(both, map[string][]byte{
		"ILSVRC2012_devkit_t12.tar.gz": kit, "ILSVRC2012_bbox_train_v2.tar.gz": boxes,
		"ILSVRC2012_bbox_val_v3.tgz": boxes,
	})
	for name, got := range map[string]*Source{
		"training": open(t, folder(t, with), 0, 1), "preparing": openThrough(t, folder(t, with)),
	} {
		if got.Fingerprint != want.Fingerprint || len(got.Unused) > 0 || got.Sequential() {
			t.Errorf("%s: %v %v, %v", name, names(got.Train), names(got.Val), got.Unused)
		}
	}
	got := open(t, folder(t, joined(both, map[string][]byte{"more.tgz": tgz})), 0, 1)
	unused := []Unused{{Why: InOrderOnly, Name: "more.tgz"}}
	if got.Fingerprint != want.Fingerprint || !slices.Equal(got.Unused, unused) {
		t.Errorf("%v %v, %v", names(got.Train), names(got.Val), got.Unused)
	}
	for name, form := range map[string]map[string][]byte{
		"nothing else":     {"more.tgz": tgz},
		"no validation":    {"ILSVRC2012_img_train.tar": train, "ILSVRC2012_img_val.tar.gz": tgz},
		"no training":      {"ILSVRC2012_img_train.tgz": tgz, "ILSVRC2012_img_val.tar": val},
		"a part's folder":  joined(only(all, "train/", "train/"), map[string][]byte{"val/a.tgz": tgz}),
		"nothing to train": {"ILSVRC2012_devkit_t12.tar.gz": kit, "train.tgz": tgz},
	} {
		dir, e := folder(t, form), (*SourceError)(nil)
		_, err := Open(t.Context(), files.OS, At(dir), 0, 1)
		if !errors.As(err, &e) || e.Problem != OnlyThrough || e.Path != dir {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestThroughWindows: some programs write a zip's names, which are in it twice, with the other slash.
func TestThroughWindows(t *testing.T) {
	raw := zipOf(t, []tarFile{{name: "train/a/1.png", raw: anyFile}, {name: "train/b/1.png", raw: anyFile}})
	for _, class := range []string{"a", "b"} {
		raw = bytes.ReplaceAll(raw, []byte("train/"+class+"/1.png"), []byte(`train\`+class+`\1.png`))
	}
	src := openThrough(t, write(t, "x", raw))
	if got := names(src.Train); fmt.Sprint(got) != "[train/a/1.png train/b/1.png]" || len(passed(t, src)) != 2 {
		t.Errorf("%v", got)
	}
}

// TestThroughFiles: where a picture lies is told by the names of the archives too.
func TestThroughFiles(t *testing.T) {
	all := mock(t)
	path := folder(t, map[string][]byte{
		"train_images_0.tar.gz": gzipOf(t, tarOf(t, tarFiles(inOldForm(all, "train/")))),
		"test_images.tar.gz":    gzipOf(t, tarOf(t, []tarFile{{name: "ILSVRC2012_test_00000001.JPEG", raw: anyFile}})),
	})
	src := openThrough(t, path)
	if got, want := src.Train.File(0), "train_images_0.tar.gz/n01751748_0_n01751748.JPEG"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := fmt.Sprint(src.Unused); got != "[test/ (1 picture) has no class folders]" {
		t.Errorf("unused: %s", got)
	}
}

// TestThroughTiny reads Tiny ImageNet's zip, whose validation pictures are labelled in a file.
func TestThroughTiny(t *testing.T) {
	picture := func(n int) []byte { return pngOf(t, 8, 8, uint8(n)) }
	form := map[string][]byte{
		"tiny-imagenet-200/train/n01443537/images/n01443537_0.JPEG": picture(1),
		"tiny-imagenet-200/train/n01629819/images/n01629819_0.JPEG": picture(2),
		"tiny-imagenet-200/val/images/val_0.JPEG":                   picture(3),
		"tiny-imagenet-200/val/" + annotations:                      []byte("val_0.JPEG\tn01629819\t0\t32\t44\t62\n"),
		"tiny-imagenet-200/test/images/test_0.JPEG":                 picture(5),
	}
	want := open(t, folder(t, form), 0, 1)
	for name, path := range map[string]string{
		"zip": write(t, "x", zipOf(t, tarFiles(form))), "tgz": write(t, "x", gzipOf(t, tarOf(t, tarFiles(form)))),
	} {
		src := openThrough(t, path)
		if src.Fingerprint != want.Fingerprint || !maps.Equal(passed(t, src), content(t, want)) ||
			fmt.Sprint(src.Unused) != fmt.Sprint(want.Unused) {
			t.Errorf("%s: %v %v %v", name, names(src.Train), names(src.Val), src.Unused)
		}
	}
}

// TestThroughLinks: links lead where they would in the archive, and never out of it.
func TestThroughLinks(t *testing.T) {
	entries := []tarFile{
		{name: "a/1.png", raw: pngOf(t, 2, 2, 1)},
		{name: "/b/2.png", raw: pngOf(t, 2, 2, 2)},
		{name: "../../c/3.png", raw: pngOf(t, 2, 2, 3)},
		{name: "a/4.png", sym: "../b/2.png"},
		{name: "a/5.png", sym: "../../../etc/passwd"},
		{name: "a/6.png", sym: "/etc/passwd"},
		{name: "d", sym: "a"},
	}
	wanted := open(t, write(t, "x.tar", tarOf(t, entries)), 0, 1)
	for name, path := range map[string]string{
		"tgz": write(t, "x", gzipOf(t, tarOf(t, entries))), "zip": write(t, "x", zipOf(t, entries)),
	} {
		src := openThrough(t, path)
		if got := passed(t, src); !maps.Equal(got, content(t, wanted)) || len(got) != 6 {
			t.Errorf("%s: %v", name, slices.Sorted(maps.Keys(got)))
		}
		if got, want := fmt.Sprint(src.Unused), fmt.Sprint(wanted.Unused); got != want {
			t.Errorf("%s: unused: %s, want %s", name, got, want)
		}
	}
}

// TestThroughDamaged: whatever is wrong with an archive is said, and how far it could be read.
func TestThroughDamaged(t *testing.T) {
	all := mock(t)
	packed := gzipOf(t, tarOf(t, tarFiles(all)))
	zipped := zipOf(t, tarFiles(all))
	flipped := func(raw []byte, at int) []byte {
		b := bytes.Clone(raw)
		b[at] ^= 0x10
		return b
	}
	encrypted := bytes.Clone(zipped)
	list := bytes.Index(encrypted, []byte("PK\x01\x02"))
	encrypted[list+8] |= 1
	lzma := bytes.Clone(zipped)
	lzma[list+10] = 14
	hole := tarOf(t, tarFiles(all))
	clear(hole[4096:])
	hole = append(hole, make([]byte, 3<<20)...)
	many := make([]tarFile, 80_000)
	for i := range many {
		many[i] = tarFile{name: fmt.Sprintf("a/%d.png", i)}
	}
	for name, c := range map[string]struct {
		raw     []byte
		problem Problem
		want    string
	}{
		"cut":             {packed[:len(packed)/2], CutOff, "of its files, the last of them"},
		"cut in the sum":  {packed[:len(packed)-6], CutOff, "after 12 of its files, the last of them"},
		"cut at once":     {packed[:10], CutOff, "the tar is cut off (unexpected EOF)"},
		"another sum":     {flipped(packed, len(packed)-6), Damaged, "after 12 of its files"},
		"no tar":          {gzipOf(t, bytes.Repeat([]byte("words "), 200)), Compressed, "gzip (in it is no tar)"},
		"a picture":       {gzipOf(t, pngOf(t, 3, 3, 3)), Compressed, "gzip (in it is no tar)"},
		"nothing in gzip": {gzipOf(t, nil), Compressed, "gzip (in it is no tar)"},
		"a tar without an end": {
			gzipOf(t, tarOf(t, tarFiles(all))[:512*2]), CutOff, "no end mark",
		},
		"a hole": {gzipOf(t, hole), Hole, "an end mark before the end"},
		"an inner tar is cut": {
			gzipOf(t, tarOf(t, []tarFile{{name: "n01440764.tar", raw: tarOf(t, tarFiles(all))[:900]}})), CutOff,
			"n01440764.tar in it",
		},
		"an empty tar":      {gzipOf(t, tarOf(t, nil)), NoPictures, "holds no pictures"},
		"many entries":      {gzipOf(t, tarOf(t, many)), NotRead, "it has more entries than"},
		"a zip that is cut": {zipped[:len(zipped)/2], Damaged, "the list of files at its end is not whole"},
		"an empty zip":      {zipOf(t, nil), NoPictures, "holds no pictures"},
		"CIFAR": {
			gzipOf(t, tarOf(t, []tarFile{{name: "c/data_batch_1.bin"}, {name: "c/batches.meta.txt"}})), Packed,
			"c/data_batch_1.bin in it is not read inside such an archive",
		},
		"an encrypted zip": {encrypted, OtherZip, "is encrypted"},
		"another method":   {lzma, OtherZip, "is compressed with method 14"},
		"arrays": {
			zipOf(t, []tarFile{{name: "data.npy"}, {name: "labels.npy"}}), OtherForm, "is arrays of NumPy",
		},
		"a tar.gz in a zip": {
			zipOf(t, []tarFile{{name: "x.tar.gz", raw: packed[:len(packed)/2]}}), CutOff, "x.tar.gz in it",
		},
		"a zip in a zip": {
			zipOf(t, []tarFile{{name: "x.zip", raw: zipped}}), Packed, "x.zip in it is not read inside such an archive",
		},
	} {
		path := write(t, "x", c.raw)
		_, err := OpenThrough(t.Context(), files.OS, At(path), 0, 1)
		if e := (*SourceError)(nil); !errors.As(err, &e) || e.Problem != c.problem || e.Path != path ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	for n := range len(packed) { // cut anywhere it is refused
		if n%7 != 0 {
			continue
		}
		cut := At(write(t, "x", packed[:n]))
		if _, err := OpenThrough(t.Context(), files.OS, cut, 0, 1); !errors.Is(err, ErrNoData) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(packed), err)
		}
	}
}

// TestThroughBadPicture: in a zip each file has a checksum of its own, so that one that does not fit is that picture's
// failure.
func TestThroughBadPicture(t *testing.T) {
	one, two := pngOf(t, 8, 8, 1), pngOf(t, 8, 8, 2)
	raw := zipOf(t, []tarFile{{name: "a/1.png", raw: one}, {name: "b/2.png", raw: two}})
	raw[bytes.Index(raw, one)+20] ^= 1
	src := openThrough(t, write(t, "x.zip", raw))
	got := passed(t, src)
	if got["a/1.png a"] != "" || got["b/2.png b"] != string(two) {
		t.Errorf("%q", got)
	}
	if _, err := src.Train.Read(t.Context(), 0, nil); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("%v", err)
	}
}

// TestThroughChanges: what changes after it was listed is said to have changed.
func TestThroughChanges(t *testing.T) {
	all := mock(t)
	for name, raw := range map[string][]byte{
		"tgz": gzipOf(t, tarOf(t, tarFiles(all))), "zip": zipOf(t, tarFiles(all)),
		"tgz in a zip": zipOf(t, []tarFile{{name: "x.tgz", raw: gzipOf(t, tarOf(t, tarFiles(all)))}}),
	} {
		for how, change := range map[string]func(path string) error{
			"cut":   func(path string) error { return os.Truncate(path, int64(len(raw)/2)) },
			"grown": func(path string) error { return os.WriteFile(path, append(bytes.Clone(raw), 0), 0o666) },
			"touched": func(path string) error {
				return os.Chtimes(path, time.Now(), time.Now().Add(-time.Hour))
			},
		} {
			for _, at := range []int{0, 3} { // before, and while it is read
				path := write(t, "x", raw)
				src := openThrough(t, path)
				n := 0
				if at == 0 {
					if err := change(path); err != nil {
						t.Fatal(err)
					}
				}
				err := inOrder(t.Context(), src, func(int, []byte) error {
					if n++; n == at {
						return change(path)
					}
					return nil
				})
				if f := (*SourceFault)(nil); !errors.As(err, &f) || !f.Changed || f.Path != path {
					t.Errorf("%s, %s at %d: %v", name, how, at, err)
				}
			}
		}
	}
}

// failing is a disk on which a file can be read once, up to some place.
type failing struct {
	files.FS
	from int64
	err  error
}

type failingFile struct {
	files.File
	of *failing
}

func (d *failing) Open(name string) (files.File, error) {
	f, err := d.FS.Open(name)
	return &failingFile{f, d}, err
}

func (f *failingFile) ReadAt(p []byte, off int64) (int, error) {
	if f.of.err != nil && off+int64(len(p)) > f.of.from {
		return 0, &os.PathError{Op: "read", Path: f.Name(), Err: f.of.err}
	}
	return f.File.ReadAt(p, off)
}

// TestThroughFaults: a disk that fails is not the archive's fault, nor is an interrupted command, and each's own error
// comes back.
func TestThroughFaults(t *testing.T) {
	all := mock(t)
	var outages []string
	for name, raw := range map[string][]byte{
		"tgz": gzipOf(t, tarOf(t, tarFiles(all))), "zip": zipOf(t, tarFiles(all)),
		"tgz in a folder": nil,
	} {
		path := write(t, "x", raw)
		if raw == nil {
			path = folder(t, map[string][]byte{"x.tgz": gzipOf(t, tarOf(t, tarFiles(all)))})
		}
		broken := errors.New("broken disk")
		disk := &failing{FS: files.OS}
		src, err := OpenThrough(t.Context(), disk, At(path), 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		disk.err = broken
		through := func(ctx context.Context, each func(int, []byte) error) error { return inOrder(ctx, src, each) }
		err = through(t.Context(), func(int, []byte) error { return nil })
		if f := (*SourceFault)(nil); !errors.As(err, &f) || f.Changed || !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
		_, err = OpenThrough(t.Context(), disk, At(path), 0, 1)
		if !errors.Is(err, ErrNoData) || !errors.Is(err, broken) {
			t.Errorf("%s: listed: %v", name, err)
		}
		src.SetPatience(Patience{Retry: time.Minute, Tell: func(o Outage) {
			if disk.err = nil; !o.Over {
				outages = append(outages, name)
			}
		}})
		n := 0
		err = through(t.Context(), func(int, []byte) error { n++; return nil })
		if err != nil || n != len(all) || !slices.Contains(outages, name) {
			t.Errorf("%s: after a disk that came back: %v, %d pictures, %v", name, err, n, outages)
		}
		enough := errors.New("enough")
		if err := through(t.Context(), func(int, []byte) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("%s: %v", name, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err = through(ctx, func(int, []byte) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestThroughBombs: an archive that grows without end is listed in little memory, and of a file in it that is too large
// nothing is kept.
func TestThroughBombs(t *testing.T) {
	large := int64(maxFile) + 1000
	zeros := func(w io.Writer) {
		if _, err := io.CopyN(w, zeroes{}, large); err != nil {
			t.Fatal(err)
		}
	}
	var packed bytes.Buffer
	g, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(g)
	for _, f := range []struct {
		name string
		size int64
	}{{"a/1.png", large}, {"b/2.png", 3}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Size: f.size, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if f.size == large {
			zeros(w)
		} else if _, err := w.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), g.Close()); err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	e, err := z.Create("a/1.png")
	if err != nil {
		t.Fatal(err)
	}
	zeros(e)
	if e, err = z.Create("b/2.png"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{"tgz": packed.Bytes(), "zip": zipped.Bytes()} {
		path := write(t, "x", raw)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		src := openThrough(t, path)
		got := map[int]string{}
		err := inOrder(t.Context(), src, func(number int, raw []byte) error {
			got[number] = string(raw)
			return nil
		})
		runtime.ReadMemStats(&after)
		if err != nil || len(got) != 2 || got[0] != "" || got[1] != "abc" {
			t.Errorf("%s: %v, %q", name, err, got[1])
		}
		if asked := after.TotalAlloc - before.TotalAlloc; asked > uint64(2*len(raw)+16<<20) {
			t.Errorf("%s: %d MB", name, asked>>20)
		}
		_, err = src.Train.Read(t.Context(), 0, nil)
		if err == nil || !strings.Contains(err.Error(), errTooLong.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestCraftedArchives: an archive that is made to hurt is refused in a moment and little memory.
func TestCraftedArchives(t *testing.T) {
	for _, f := range slices.Concat(crafted.Tars(), crafted.Zips()) {
		raw := f.Bytes()
		if !bytes.HasPrefix(raw, []byte("PK")) {
			raw = gzipOf(t, raw)
		}
		path := write(t, "x", raw)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		source, err := OpenThrough(t.Context(), files.OS, At(path), 0.1, 1)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if e := (*SourceError)(nil); !errors.As(err, &e) || e.Path != path {
			t.Errorf("%s: %v, error %v", f.Name, source, err)
		}
		if asked := after.TotalAlloc - before.TotalAlloc; took > 5*time.Second || asked > uint64(2*len(raw)+32<<20) {
			t.Errorf("%s of %d bytes: %v and %d MB", f.Name, len(raw), took, asked>>20)
		}
	}
}

// TestForeign: what other programs keep pictures in is refused by name, as a file and as a folder of such files.
func TestForeign(t *testing.T) {
	record := []byte("\x05\x00\x00\x00\x00\x00\x00\x00\xea\xb2\x04\x3ehello....") // length, checksum
	page := make([]byte, 4096)
	copy(page[16:], "\xde\xc0\xef\xbe")
	beton := make([]byte, 64)
	copy(beton, "\x02\x00\x02\x00\x00\x00\x00\x00\x00\x00\x80\x00")
	for _, c := range []struct {
		name    string
		raw     []byte
		problem Problem
		form    string
	}{
		{"train-00000-of-01024", record, OtherForm, string(TFRecord)},
		{"imagenet2012-train.tfrecord-00000-of-01024", record, OtherForm, string(TFRecord)},
		{"train_lmdb/data.mdb", page, OtherForm, string(LMDB)},
		{"train.rec", []byte("\x0a\x23\xd7\xce\x10\x00\x00\x00"), OtherForm, string(RecordIO)},
		{"train.beton", beton, OtherForm, string(Beton)},
		{"imagenet-train-00000-of-00010.arrow", []byte("\xff\xff\xff\xff\x10\x00\x00\x00"), OtherForm, string(Arrow)},
		{"x.arrow", []byte("ARROW1\x00\x00"), OtherForm, string(Arrow)},
		{"train_data_batch_1.npz", zipOf(t, []tarFile{{name: "data.npy"}}), OtherForm, string(NumPy)},
		{"train.npy", []byte("\x93NUMPY\x01\x00v\x00{"), OtherForm, string(NumPy)},
		{"train_data_batch_1", []byte("\x80\x03}q\x00(X\x04"), OtherForm, string(Pickle)},
		{"val_data", []byte("\x80\x04\x95\x10\x00"), OtherForm, string(Pickle)},
		{"data_batch_1", []byte("\x80\x02}q\x01(U\x0bbatch"), OtherForm, string(Pickle)}, // CIFAR-10's
		{"x.h5", []byte("\x89HDF\r\n\x1a\n"), OtherForm, string(HDF5)},
		{"x.tar.bz2", []byte("BZh91AY&SY"), Compressed, "bzip2"},
		{"x.tar.xz", []byte("\xfd7zXZ\x00\x00\x04"), Compressed, "xz"},
		{"x.tar.zst", []byte("\x28\xb5\x2f\xfd\x04\x00"), Compressed, "zstd"},
		{"x.7z", []byte("7z\xbc\xaf\x27\x1c\x00\x04"), Compressed, "7z"},
		{"x.rar", []byte("Rar!\x1a\x07\x01\x00"), Compressed, "rar"},
	} {
		dir := folder(t, map[string][]byte{c.name: c.raw, "notes.txt": []byte("x")})
		for _, path := range []string{dir, filepath.Join(dir, filepath.FromSlash(c.name))} {
			for how, open := range map[string]func(
				context.Context, files.Reader, Place, float64, uint64) (*Source, error){
				"open": Open, "through": OpenThrough,
			} {
				_, err := open(t.Context(), files.OS, At(path), 0, 1)
				if e := (*SourceError)(nil); !errors.As(err, &e) || e.Problem != c.problem || e.Detail != c.form ||
					e.Path != path {
					t.Errorf("%s, %s: %v, want %s", how, path, err, c.form)
				}
			}
		}
		mixed := folder(t, map[string][]byte{c.name: c.raw, "a/1.png": anyFile, "b/1.png": anyFile})
		if c.name == "data_batch_1" {
			continue // a loose picture by its name
		}
		if src := open(t, mixed, 0, 1); src.Train.Len() != 2 || len(src.Unused) != 0 {
			t.Errorf("%s beside pictures: %v %v", c.name, names(src.Train), src.Unused)
		}
	}
}

// Whatever the bytes of a tar: in gzip it is listed as it is by itself, or refused as it is, and gives the same files.
func FuzzTarInGzip(f *testing.F) {
	seed(f, crafted.Tars())
	f.Add(tarOf(f, []tarFile{
		{name: "a/1.png", raw: anyFile},
		{name: "a/2.png", sym: "../b/1.png"},
		{name: "b", sym: "a"},
		{name: "c/1.png", link: "a/2.png"},
	}))
	f.Add(tarOf(f, []tarFile{
		{name: "n01440764.tar", raw: tarOf(f, []tarFile{{name: "1.png", raw: anyFile}})},
		{name: "n01443537.tar", raw: tarOf(f, []tarFile{{name: "2.png", raw: anyFile}})},
	}))
	f.Add(tarOf(f, []tarFile{
		{name: "a.json", raw: []byte(`{"class": "cat"}`)},
		{name: "a.png", raw: anyFile},
		{name: "a.cls", raw: []byte("7")},
		{name: "b.json", raw: []byte(`{"class": "dog"}`)},
		{name: "b.cls", raw: []byte("3")},
		{name: "b.png", raw: anyFile},
	}))
	dir := f.TempDir()
	plain, packed := filepath.Join(dir, "fuzz.tar"), filepath.Join(dir, "fuzz.tar.gz")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := errors.Join(os.WriteFile(plain, b, 0o666), os.WriteFile(packed, inGzip(b), 0o666)); err != nil {
			t.Fatal(err)
		}
		want, failed := OpenThrough(t.Context(), files.OS, At(plain), 0.1, 1)
		if failed == nil {
			defer want.Close()
			if _, is := want.store.(*tarStore); !is {
				return // it is another form
			}
		}
		got, err := OpenThrough(t.Context(), files.OS, At(packed), 0.1, 1)
		if err != nil {
			if failed == nil || !errors.As(err, new(*SourceError)) {
				t.Fatalf("%v, and as a tar %v", err, failed)
			}
			return
		}
		defer got.Close()
		if failed != nil {
			t.Fatalf("no error, and as a tar %v", failed)
		}
		if got.Fingerprint != want.Fingerprint {
			t.Fatalf("%v, want %v", names(got.Train), names(want.Train))
		}
		if passed := passed(t, got); !maps.Equal(passed, content(t, want)) {
			t.Errorf("other files: %v", passed)
		}
	})
}

// Whatever the bytes of a zip: a *SourceError, or every picture once.
func FuzzZip(f *testing.F) {
	seed(f, crafted.Zips())
	f.Add(zipOf(f, []tarFile{
		{name: "a/1.png", raw: anyFile}, {name: "b/1.png", raw: anyFile}, {name: "a/2.png", sym: "../b/1.png"},
	}))
	f.Add(zipOf(f, []tarFile{{name: "x.tgz", raw: gzipOf(f, tarOf(f, []tarFile{
		{name: "a/1.png", raw: anyFile}, {name: "b/1.png", raw: anyFile},
	}))}}))
	path := filepath.Join(f.TempDir(), "fuzz.zip")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		source, err := OpenThrough(t.Context(), files.OS, At(path), 0.1, 1)
		if err != nil {
			if !errors.As(err, new(*SourceError)) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		defer source.Close()
		if !source.Sequential() {
			return // it is another form
		}
		n := 0
		if err := inOrder(t.Context(), source, func(_ int, raw []byte) error {
			n++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if n < source.Train.Len()+source.Val.Len()+source.Test.Len() {
			t.Errorf("%d pictures passed", n)
		}
	})
}

// TestThroughTools reads what tar, gzip and zip themselves make.
func TestThroughTools(t *testing.T) {
	all := mock(t)
	dir := folder(t, all)
	want := open(t, dir, 0, 1)
	for _, c := range [][]string{
		{"x.tgz", "tar", "czf", "OUT", "--format=gnu", "."},
		{"x.tar.gz", "tar", "czf", "OUT", "--format=pax", "train", "val"},
		{"x.zip", "zip", "-qr", "OUT", "."},
		{"y.zip", "zip", "-qr0", "-fz", "OUT", "train", "val"}, // zip64
	} {
		path := filepath.Join(t.TempDir(), c[0])
		c[slices.Index(c, "OUT")] = path
		run := exec.CommandContext(t.Context(), c[1], c[2:]...)
		run.Dir = dir
		if out, err := run.CombinedOutput(); err != nil {
			t.Logf("not tried: %v: %v %s", c, err, out)
			continue
		}
		src := openThrough(t, path)
		if src.Fingerprint != want.Fingerprint || !maps.Equal(passed(t, src), content(t, want)) {
			t.Errorf("%v: %v %v", c, names(src.Train), names(src.Val))
		}
	}
}
