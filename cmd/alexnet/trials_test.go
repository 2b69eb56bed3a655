package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alexnet/internal/data"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// trial is a folder or tar as somebody really had it, and what is right. What lies in it is told by a word an entry:
//
//	cat/1.png         a picture
//	cat/*3            pictures 1.png to 3.png
//	cat/              a folder of its own
//	cat/a.txt=words   a file of this content
//	cat/2.png -> 1.png a symbolic link
//	cat/2.png => cat/1.png a hard link, by a name from the top
type trial struct {
	name     string
	entries  []string
	form     string   // "folder" or "tar": only that; "": both
	counts   string   // pictures to train on, for validation and test of each class, as "cat 3+1+0"
	unused   []string // what data info names as not used
	bad      []string // pictures that cannot be read
	empty    []string // classes without pictures
	code     int      // exit code of train
	says     []string // what train says
	dataInfo int      // its exit code, where there is nothing to count
}

// The trials of public reports: each row of the table is one of a thing that went wrong somewhere.
var trials = []trial{
	{
		name: "three classes", entries: []string{"cat/*20", "dog/*20", "ship/*20"},
		counts: "cat 18+2, dog 18+2, ship 18+2",
	},
	{
		name: "val/ of loose pictures", entries: []string{"train/cat/*2", "train/dog/*2", "val/*3"},
		code: exitNoData, dataInfo: exitNoData,
		says: []string{
			"the pictures in val/ are in no class folders", "move each picture into a folder named after its class",
		},
	},
	{
		name:    "a stray picture in val/",
		entries: []string{"train/cat/*2", "train/dog/*2", "val/cat/*1", "val/dog/*1", "val/stray.png"},
		counts:  "cat 2+1, dog 2+1", unused: []string{"val/stray.png: a picture in no class folder"},
		says: []string{
			"4 pictures to train on, 2 for validation in val/",
			"warning: not used: val/stray.png: a picture in no class",
		},
	},
	{
		name: "train, valid, test",
		entries: []string{
			"train/cat/*3", "train/dog/*3", "valid/cat/*1", "valid/dog/*1", "test/cat/*2", "test/dog/*2",
		},
		counts: "cat 3+1+2, dog 3+1+2",
		says:   []string{"2 for validation in valid/", "not trained or chosen on: 4 pictures for the last measurement"},
	},
	{
		name:    "Training and Testing",
		entries: []string{"Training/cat/*10", "Training/dog/*10", "Testing/cat/*1", "Testing/dog/*1"},
		counts:  "cat 9+1+1, dog 9+1+1", says: []string{"2 held out for validation (data.val_share 0.1)"},
	},
	{
		name: "an empty class", entries: []string{"cat/*2", "dog/*2", "ship/"}, counts: "cat 2, dog 2",
		empty: []string{"ship"}, code: exitNoData, says: []string{`class folder "ship" holds no pictures`},
	},
	{
		name: "class names in GBK", entries: []string{"\xb9\xb7/*10", "\xc4\xf1/*10"},
		counts: `\xb9\xb7 9+1, \xc4\xf1 9+1`, says: []string{`data: 2 classes (\xb9\xb7, \xc4\xf1)`},
	},
	{
		name:    "train/ in NFD, val/ in NFC",
		entries: []string{"train/cafe\u0301/*2", "train/the\u0301/*2", "val/caf\u00e9/*1", "val/th\u00e9/*1"},
		counts:  "cafe\u0301 2+1, the\u0301 2+1",
	},
	{
		name: "links out of a tar, a whole class of them", form: "tar",
		entries: []string{
			"set/cat/*2", "set/dog/", "set/cat/3.png -> ../../pool/3.png", "set/dog/1.png -> ../../pool/1.png",
			"set/dog/2.png -> ../../pool/2.png",
		},
		counts: "cat 2", unused: []string{"cat/3.png and 2 more: links to what is not in the tar"},
		empty: []string{"dog"},
		code:  exitNoData, says: []string{`class folder "dog" holds no pictures (cat/3.png and 2 more: links to what`},
	},
	{
		name: "some links out of a tar", form: "tar",
		entries: []string{"cat/*2", "dog/*2", "dog/3.png -> ../pool/3.png"}, counts: "cat 2, dog 2",
		unused: []string{"dog/3.png: a link to what is not in the tar"},
		says:   []string{"warning: not used: dog/3.png: a link to what is not in the tar"},
	},
	{
		name: "Synology's thumbnails", counts: "cat 2, dog 2", entries: []string{
			"cat/*2", "dog/*2", "@eaDir/SYNO@.fileindexdb/1.png", "cat/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg",
			"dog/@eaDir/*2",
		},
	},
	{
		name:    "names with escape sequences",
		entries: []string{"\x1b[2J/*2", "dog\u202e/*2", "\x1b[2J/bad\x07.png=no picture"},
		counts:  `\x1b[2J 3, dog\u202e 2`, bad: []string{`\x1b[2J/bad\x07.png`}, code: exitUnreadable,
		says: []string{`data: 2 classes (\x1b[2J, dog\u202e)`, `cannot read picture \x1b[2J/bad\x07.png`},
	},

	// Neighbours: parts.
	{
		name: "TRAIN, Valid, testing", entries: []string{"TRAIN/a/*1", "TRAIN/b/*1", "Valid/a/*1", "testing/b/*1"},
		counts: "a 1+1+0, b 1+0+1",
		says:   []string{"1 for validation in Valid/", "no validation pictures of 1 class (b)"},
	},
	{
		name:    "validation set",
		entries: []string{"train/a/*10", "train/b/*10", "validation set/a/*1", "val /a/*1", "train_old/a/*1"},
		counts:  "a 9+1, b 9+1", unused: []string{
			"train_old/ (1 picture) is a folder neither for training nor for validation or test",
			"val / (1 picture) is a folder neither for training nor for validation or test",
			"validation set/ (1 picture) is a folder neither for training nor for validation or test",
		},
		says: []string{"warning: not used: validation set/ (1 picture)", "2 held out for validation"},
	},
	{
		name: "val and valid", entries: []string{"train/a/*1", "train/b/*1", "val/a/*1", "valid/a/*1"},
		code: exitNoData, dataInfo: exitNoData,
		says: []string{"val/ and valid/ are both there, and are folders for the same part"},
	},
	{
		name: "an empty val/", entries: []string{"train/a/*1", "train/b/*1", "val/"},
		code: exitNoData, dataInfo: exitNoData, says: []string{"val/ holds no pictures"},
	},
	{
		name: "a class for validation only", entries: []string{"train/a/*1", "train/b/*1", "val/A/*1"},
		code: exitNoData, dataInfo: exitNoData,
		says: []string{`class folder "val/A" has no counterpart among those to train on`},
	},
	{
		name:    "a test of more classes",
		entries: []string{"train/a/*1", "train/b/*1", "val/a/*1", "test/c/*2", "test/a/*1"},
		counts:  "a 1+1+1, b 1+0+0", unused: []string{"test/c/ (2 pictures) is of a class that is not trained"},
	},
	{
		name:    "a class called test",
		entries: []string{"exam/*1", "test/*1", "train/*1"}, counts: "exam 1, test 1, train 1",
	},

	// Neighbours: litter and files that are no pictures.
	{
		name: "what systems leave", counts: "a 1, b 1", entries: []string{
			"a/*1", "b/*1", ".DS_Store=x", "a/.DS_Store=x", "a/Thumbs.db=x", "b/desktop.ini=x", "a/._1.png=x",
			"__MACOSX/a/._1.png=x", "lost+found/*1", "$RECYCLE.BIN/S-1-5/*1", "System Volume Information/*1",
			".ipynb_checkpoints/*1", "a/.ipynb_checkpoints/*1", ".thumbnails/*1", "#recycle/*1", "#snapshot/daily/*1",
			"@Recycle/a/*1", ".git/objects/*1",
		},
	},
	{
		name: "lists and archives", counts: "a 1, b 1", entries: []string{
			"a/*1", "b/*1", "labels.csv=1", "README.md=x", "a/a.tar=x", "b/b.zip=x", "a/notes.TXT=x", "LICENSE=x",
		},
	},
	{
		name:    "a zero-byte file and a text named .jpg",
		entries: []string{"a/*1", "b/*1", "a/2.jpg=", "b/2.jpg=Dear reader"},
		counts:  "a 2, b 2", bad: []string{"a/2.jpg", "b/2.jpg"}, code: exitUnreadable,
		says: []string{
			"cannot read picture a/2.jpg: empty file",
			`b/2.jpg: no picture in a known format: it begins with "Dear rea"`,
		},
	},
	{
		name: "classes inside of classes", entries: []string{"a/x/*1", "a/y/deep/*1", "a/*1", "b/1.png/*1"},
		counts: "a 3, b 1",
	},
	{name: "no extension", entries: []string{"a/1=png", "b/photo.JPEG=png", "a/2.=png"}, counts: "a 2, b 1"},
	{
		name: "this program's runs", entries: []string{
			"a/*1", "b/*1", "runs/train/metrics.jsonl={}", "runs/train/curves.png=png",
		}, counts: "a 1, b 1",
	},

	// Neighbours: links.
	{
		name: "a class that is a link", entries: []string{"a/*1", ".pool/*2", "b -> .pool"}, counts: "a 1, b 2",
	},
	{
		name:    "links to links",
		entries: []string{"a/*1", "b/1.png -> ../a/2.png", "a/2.png -> ./1.png", "c/1.png => a/1.png"},
		counts:  "a 2, b 1, c 1",
	},
	{
		name: "links in circles", entries: []string{"a/*1", "b/*1", "a/up -> ..", "b/self -> ."}, counts: "a 1, b 1",
		unused: []string{"a/up and 1 more: links to folders that they lie in"},
		says:   []string{"warning: not used: a/up and 1 more: links to folders that they lie in"},
	},
	{
		name: "a link to nowhere in a folder", form: "folder", entries: []string{"a/*1", "b/*1", "b/2.png -> gone.png"},
		counts: "a 1, b 2", bad: []string{"b/2.png"}, code: exitUnreadable,
		says: []string{"cannot read picture b/2.png"},
	},
	{
		name: "a class that is a link to a disk that is gone", form: "folder",
		entries: []string{"train/a/*1", "train/b/*1", "train/c -> /gone/c"}, counts: "a 1, b 1",
		empty: []string{"train/c"}, code: exitNoData, says: []string{`class folder "train/c" holds no pictures`},
	},
	{
		name: "links out of a tar to what is on the disk", form: "tar",
		entries: []string{"a/*1", "b/*1", "b/2.png -> /etc/hostname", "c -> /etc", "d -> ../../../../etc"},
		counts:  "a 1, b 1", unused: []string{"b/2.png and 2 more: links to what is not in the tar"},
		empty: []string{"c", "d"}, code: exitNoData, says: []string{`class folder "c" holds no pictures`},
	},
	{
		name: "git-annex", entries: []string{
			"a/1.png -> ../.git/annex/objects/K1/K1.png", ".git/annex/objects/K1/K1.png=png", "b/*1",
		}, counts: "a 1, b 1",
	},

	// Neighbours: names.
	{name: "cat and Cat", entries: []string{"cat/*1", "Cat/*2"}, counts: "Cat 2, cat 1"},
	{
		name: "one class in both normal forms", entries: []string{"caf\u00e9/*1", "cafe\u0301/*2"},
		counts: "cafe\u0301 2, caf\u00e9 1",
	},
	{
		name: "Latin-1, Shift-JIS, a backslash and U+FFFD",
		entries: []string{
			"caf\xe9/*1", "\x83\x5c/*1", `\xe9/*1`, "\xe9/*1", "\ufffd/*1",
		},
		counts: `\\xe9 1, caf\xe9 1, \x83\\ 1, \xe9 1, ` + "\ufffd 1",
	},
	{
		name:    "newline, tab, dash, quotes, blanks",
		entries: []string{"a\nb/*1", "a\tb/*1", "-rf/*1", "it's \"so\"/*1", " /*1"},
		counts:  `  1, -rf 1, a\tb 1, a\nb 1, it's "so" 1`,
	},
	{
		name:    "long names",
		entries: []string{strings.Repeat("c", 250) + "/" + strings.Repeat("1", 250) + ".p=png", "b/*1"},
		counts:  "b 1, " + strings.Repeat("c", 250) + " 1",
	},
	{
		name: "numbers", entries: []string{"1/*1", "2/*1", "10/*1", "03/*1"}, counts: "03 1, 1 1, 10 1, 2 1",
		says: []string{"data: 4 classes (03, 1, 10, ...)"},
	},
	{
		name: "one class", entries: []string{"a/*2"}, counts: "a 2", code: exitNoData,
		says: []string{"holds one class (a), and a net needs another to tell it from"},
	},
	{
		name:    "one picture",
		entries: []string{"a/*1"}, counts: "a 1", code: exitNoData, says: []string{"holds one class"},
	},
	{
		name:    "pictures in no folder",
		entries: []string{"1.png=png", "2.png=png"}, code: exitNoData, dataInfo: exitNoData,
		says: []string{"has pictures but no class folders"},
	},
	{
		name: "nothing", entries: []string{"a/"}, code: exitNoData, dataInfo: exitNoData,
		says: []string{"holds no pictures"},
	},
}

// TestTrials holds data info to the table, with each as a folder and as a tar, and train with one of them.
func TestTrials(t *testing.T) {
	tiny, err := os.ReadFile("testdata/tiny.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	page := filepath.Join(dir, "tiny.yaml")
	if err := os.WriteFile(page, tiny, 0o666); err != nil {
		t.Fatal(err)
	}
	for i, c := range trials {
		t.Run(c.name, func(t *testing.T) {
			for form, build := range map[string]func(*testing.T, string, []string){
				"folder": buildFolder, "tar": buildTar,
			} {
				if c.form != "" && c.form != form {
					continue
				}
				path := filepath.Join(dir, fmt.Sprintf("%d %s", i, form))
				build(t, path, c.entries)
				c.info(t, path)
				if c.form == form || form == "folder" {
					c.train(t, path, page)
				}
			}
		})
	}
}

func (c *trial) info(t *testing.T, path string) {
	t.Helper()
	if c.dataInfo != exitOK {
		var err bytes.Buffer
		if code := execute([]string{"data", "info", path}, &ui.Terminal{Out: &err, Err: &err}); code != c.dataInfo {
			t.Errorf("%s: data info: exit code %d: %s", path, code, err.String())
		}
		return
	}
	info := document[data.SourceInfo](t, "data", "info", path)
	var counts, bad, empty []string
	for _, k := range info.Classes {
		n := fmt.Sprint(k.Train)
		if info.Val+info.Test > 0 {
			n += fmt.Sprintf("+%d", k.Val)
		}
		if info.Test > 0 {
			n += fmt.Sprintf("+%d", k.Test)
		}
		counts = append(counts, text.Name(k.Name)+" "+n)
	}
	for _, u := range info.Unreadable {
		bad = append(bad, text.Name(u.Name))
	}
	for _, name := range info.Empty {
		empty = append(empty, string(name))
	}
	for _, d := range []string{
		cmp.Diff(c.counts, strings.Join(counts, ", ")), cmp.Diff(c.unused, info.Unused), cmp.Diff(c.bad, bad),
		cmp.Diff(c.empty, empty),
	} {
		if d != "" {
			t.Errorf("%s: data info (-want +got):\n%s", path, d)
		}
	}
}

func (c *trial) train(t *testing.T, path, page string) {
	t.Helper()
	var out, err bytes.Buffer
	code := execute([]string{
		"train", "--config", page, "--data", path, "--steps", "1", "--device", "reference", "--out", path + ".run",
	}, &ui.Terminal{Out: &out, Err: &err})
	if code != c.code {
		t.Errorf("%s: train: exit code %d, want %d: %s", path, code, c.code, err.String())
	}
	for _, want := range c.says {
		if !strings.Contains(err.String(), want) {
			t.Errorf("%s: train says\n%s, not: %s", path, err.String(), want)
		}
	}
}

// entry is a word of a trial: a name, and a file's content or where a link leads.
type entry struct {
	name      string
	content   []byte
	sym, hard string
}

func entriesOf(t *testing.T, words []string) (all []entry) {
	t.Helper()
	for k, word := range words {
		name, content, file := strings.Cut(word, "=")
		link, sym, isSym := strings.Cut(word, " -> ")
		hardLink, hard, isHard := strings.Cut(word, " => ")
		stem, count, several := strings.Cut(word, "/*")
		n := 0
		switch {
		case isSym:
			all = append(all, entry{name: link, sym: sym})
		case isHard:
			all = append(all, entry{name: hardLink, hard: hard})
		case file && content == "png":
			all = append(all, entry{name: name, content: smallPNG(t, k)})
		case file:
			all = append(all, entry{name: name, content: []byte(content)})
		case several:
			if _, err := fmt.Sscan(count, &n); err != nil {
				t.Fatal(word, err)
			}
			for i := range n {
				all = append(all, entry{name: fmt.Sprintf("%s/%d.png", stem, i+1), content: smallPNG(t, k+i)})
			}
		case strings.HasSuffix(word, "/"):
			all = append(all, entry{name: word})
		default:
			all = append(all, entry{name: word, content: smallPNG(t, k)})
		}
	}
	return all
}

func smallPNG(t *testing.T, value int) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 16, 16))
	for i := range 256 {
		m.Set(i%16, i/16, color.NRGBA{uint8(i), uint8(16 * value), uint8(i * value), 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// buildFolder skips the test where the file system does not take a name.
func buildFolder(t *testing.T, dir string, words []string) {
	t.Helper()
	all := entriesOf(t, words)
	slices.SortStableFunc(all, func(a, b entry) int { return len(a.hard) - len(b.hard) }) // what they lead to is there
	for _, e := range all {
		path := filepath.Join(dir, e.name)
		err := os.MkdirAll(filepath.Dir(path), 0o777)
		switch {
		case err != nil:
		case strings.HasSuffix(e.name, "/"):
			err = os.MkdirAll(path, 0o777)
		case e.sym != "":
			err = os.Symlink(e.sym, path)
		case e.hard != "":
			err = os.Link(filepath.Join(dir, e.hard), path)
		default:
			err = os.WriteFile(path, e.content, 0o666)
		}
		if err != nil {
			t.Skip("a file system without such names or links: ", err)
		}
	}
}

func buildTar(t *testing.T, path string, words []string) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entriesOf(t, words) {
		h := &tar.Header{
			Name: e.name, Mode: 0o644, Size: int64(len(e.content)), Typeflag: tar.TypeReg, Format: tar.FormatGNU,
		}
		switch {
		case strings.HasSuffix(e.name, "/"):
			h.Typeflag = tar.TypeDir
		case e.sym != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.sym
		case e.hard != "":
			h.Typeflag, h.Linkname = tar.TypeLink, e.hard
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestTrialsOfEval: a net meets other pictures than those that it was trained on.
func TestTrialsOfEval(t *testing.T) {
	dir := t.TempDir()
	writeTiny(t, dir)
	t.Chdir(dir)
	for i, c := range []struct {
		name          string
		trained, data []string
		flags         []string
		code          int
		says          []string
	}{
		{
			"two of three classes",
			[]string{"cat/*2", "dog/*2", "ship/*2"},
			[]string{"cat/*1", "dog/*2"},
			nil, exitOK,
			[]string{"no picture of these is of 1 class that the net knows (ship)", "3 pictures: errors"},
		},
		{
			"two, and the third's folder",
			[]string{"cat/*2", "dog/*2", "ship/*2"},
			[]string{"cat/*1", "dog/*2", "ship/"},
			nil,
			exitOK,
			[]string{"no picture of these is of 1 class that the net knows (ship)", "3 pictures: errors"},
		},
		{
			"test/ of a net trained on train/ and valid/",
			[]string{"train/cat/*2", "train/dog/*2", "valid/cat/*1"},
			[]string{"train/cat/*2", "train/dog/*2", "valid/cat/*1", "test/cat/*3"},
			[]string{"--part", "test"},
			exitOK,
			[]string{"data: test part of data", "3 pictures: errors"},
		},
		{
			"and the same without --part",
			[]string{"train/cat/*2", "train/dog/*2", "valid/cat/*1"},
			[]string{"train/cat/*2", "train/dog/*2", "valid/cat/*1", "test/cat/*3"},
			nil,
			exitOK,
			[]string{"data: validation part of data", "1 picture: errors"},
		},
		{
			"val/ of loose pictures",
			[]string{"cat/*2", "dog/*2"},
			[]string{"train/cat/*2", "train/dog/*2", "val/*2"},
			nil,
			exitNoData,
			[]string{"the pictures in val/ are in no class folders"},
		},
		{
			"GBK",
			[]string{"\xb9\xb7/*2", "\xc4\xf1/*2"},
			[]string{"\xb9\xb7/*2", "\xc4\xf1/*1"},
			nil, exitOK,
			[]string{"3 pictures: errors"},
		},
		{
			"two that are one where bytes are lost",
			[]string{"\xb9/*2", "\xba/*2", "\ufffd/*2", `\xb9/*2`},
			[]string{"\xba/*1", `\xb9/*1`, "\ufffd/*1"},
			nil, exitOK,
			[]string{`1 class that the net knows (\xb9)`, "3 pictures: errors"},
		},
		{
			"GBK, measured by UTF-8",
			[]string{"\xb9\xb7/*2", "\xc4\xf1/*2"},
			[]string{"狗/*2", "\xc4\xf1/*1"},
			nil,
			exitOK,
			[]string{
				"left out, of classes that the net lacks: 2 pictures", "  狗: 2", "1 picture: errors",
				`1 class that the net knows (\xb9\xb7)`,
			},
		},
		{
			"NFC, measured by NFD",
			[]string{"caf\u00e9/*2", "th\u00e9/*2"},
			[]string{"cafe\u0301/*2", "the\u0301/*1"},
			nil,
			exitOK,
			[]string{"3 pictures: errors"},
		},
		{
			"another letter case",
			[]string{"cat/*2", "dog/*2"},
			[]string{"Cat/*2", "dog/*2"},
			nil, exitOK,
			[]string{"left out, of classes that the net lacks: 2 pictures", "  Cat: 2", "2 pictures: errors"},
		},
		{
			"no class of the net's",
			[]string{"cat/*2", "dog/*2"},
			[]string{"Cat/*2", "DOG/*2"},
			nil, exitCheckpoint,
			[]string{"knows none of the classes that the pictures are of (Cat, DOG); its own are cat, dog"},
		},
		{
			"a tar of links to the pictures",
			[]string{"cat/*2", "dog/*2"},
			[]string{".all/*3", "cat/1.png -> ../.all/1.png", "dog -> .all"},
			nil, exitOK,
			[]string{"4 pictures: errors"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := fmt.Sprint(i)
			buildFolder(t, in+"/trained", c.trained)
			var out bytes.Buffer
			code := execute([]string{
				"train", "--config", "tiny.yaml", "--data", in + "/trained", "--steps", "1", "--device", "reference",
				"--set", "data.val_share=0", "--out", in + "/run",
			}, &ui.Terminal{Out: &out, Err: &out})
			if code != exitOK {
				t.Fatalf("train: exit code %d: %s", code, out.String())
			}
			t.Chdir(in)
			buildFolder(t, "data", c.data)
			buildTar(t, "data.tar", c.data)
			for _, data := range []string{"data", "data.tar"} {
				var out bytes.Buffer
				args := []string{"eval", "--weights", "run", "--data", data, "--device", "reference"}
				code := execute(append(args, c.flags...),
					&ui.Terminal{Out: &out, Err: &out})
				if code != c.code {
					t.Errorf("%s: eval: exit code %d, want %d", data, code, c.code)
				}
				if code == exitCheckpoint && strings.Contains(out.String(), "no picture of these") {
					t.Errorf("%s: eval counts classes before it refuses them:\n%s", data, out.String())
				}
				for _, want := range c.says {
					if !strings.Contains(out.String(), want) {
						t.Errorf("%s: eval says\n%s, not: %s", data, out.String(), want)
					}
				}
			}
		})
	}
}

// TestTrialsRefused: what is no folder of pictures is refused with what to do about it, in words that can be pasted.
func TestTrialsRefused(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	buildTar(t, "my pictures.tar", []string{"a/*1", "b/*1"})
	whole, err := os.ReadFile("my pictures.tar")
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(whole)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"my pictures.tar.gz": packed.Bytes(),
		"my pictures.rar":    []byte("Rar!\x1a\x07\x01\x00"), "cat.png": smallPNG(t, 1),
		"cut off.tar": whole[:700], "empty.tar": nil, "text.tar": bytes.Repeat([]byte("words "), 200),
	} {
		if err := os.WriteFile(name, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	buildFolder(t, "my pictures", []string{"train/a/*1", "train/b/*1", "val/*1"})
	for path, says := range map[string][2]string{
		"my pictures.tar.gz": {
			"data my pictures.tar.gz: can only be read from its beginning to its end",
			"alexnet data prepare 'my pictures.tar.gz' OUT, ",
		},
		"my pictures.rar": {"data my pictures.rar: is compressed with rar", "unpack it and give the folder"},
		"cat.png":         {"data cat.png: is a picture (png)", "give a folder of class folders"},
		"cut off.tar":     {"data cut off.tar: the tar is cut off", "tar tf 'cut off.tar'"},
		"empty.tar":       {"data empty.tar: cannot be read (empty file)", "tar tf empty.tar"},
		"text.tar": {
			"data text.tar: is neither a folder, nor a tar, nor a list of pictures", "an uncompressed .tar",
		},
		"no such":     {"data no such: no such file or folder", "alexnet data demo --out 'no such'"},
		"my pictures": {"the pictures in val/ are in no class folders", "'my pictures/val/cat/1.jpg'"},
		"/dev/null": {
			"data /dev/null: is neither a folder nor a regular file", "give a folder of class folders",
		},
	} {
		for _, command := range [][]string{{"data", "info", path}, {"data", "split", path}, {"train", "--data", path}} {
			var out bytes.Buffer
			if code := execute(command, &ui.Terminal{Out: &out, Err: &out}); code != exitNoData {
				t.Errorf("%q: exit code %d", command, code)
			}
			for _, want := range says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q says\n%s, not: %s", command, out.String(), want)
				}
			}
		}
	}
}
