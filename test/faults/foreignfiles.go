package main

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/crafted"
)

// metadata are checkpoints whose metadata say what no run says.
func (f *forger) metadata() (all []forgery) {
	add := func(name string, change func(meta map[string]string)) {
		all = append(all, forgery{
			name: name, does: f.read(),
			make: func(f *forger, dir string) error { return f.forge(dir, change) },
		})
	}
	for _, key := range []string{"step", "sample", "seed", "epoch", "threads", "format_version"} {
		for _, n := range numbers {
			add("metadata "+key+"="+n, func(meta map[string]string) { meta[key] = n })
		}
	}
	for _, key := range []string{"classes", "data", "preprocess", "schedule", "best", "algorithms"} {
		for _, text := range []string{
			"", "null", "0", "[]", "{}", `""`, "[[[[", strings.Repeat("[", 1_000_000),
			strings.Repeat(`{"a":`, 200_000) + "1" + strings.Repeat("}", 200_000),
			"[" + strings.Repeat(`"x",`, 500_000) + `"x"]`, `["` + strings.Repeat("x", 2<<20) + `"]`,
			`["a","a","a","a","a","a","a","a","a","a"]`, `{"step":18446744073709551615,"epoch":-1,"top1_error":1e308}`,
		} {
			add(fmt.Sprintf("metadata %s=%.20s (%d bytes)", key, text, len(text)),
				func(meta map[string]string) { meta[key] = text })
		}
	}
	fields := []string{"resize", "height", "width", "crop", "channels", "mean", "scale", "eigvec", "stdev"}
	for _, field := range fields {
		for _, n := range slices.Concat(numbers, []string{"[1e38]", "[[]]", `"image"`, `"none"`, "null"}) {
			if !json.Valid([]byte(n)) {
				continue
			}
			add("recipe "+field+"="+n, func(meta map[string]string) {
				recipe := map[string]json.RawMessage{}
				_ = json.Unmarshal([]byte(meta["preprocess"]), &recipe) // what a run wrote
				recipe[field] = json.RawMessage(n)
				text, _ := json.Marshal(recipe) // of what was just read
				meta["preprocess"] = string(text)
			})
		}
	}
	for _, key := range []string{"device", "hardware", "dropout", "format", "forged", "checksum of a\x1b[2Jb"} {
		for _, text := range []string{"\x1b[31m", "a\n" + forged, "\u009b31m", strings.Repeat("x", 3<<20), "\x07", ""} {
			add(fmt.Sprintf("metadata %q=%.20q", key, text), func(meta map[string]string) { meta[key] = text })
		}
	}
	for _, name := range strange {
		add(fmt.Sprintf("class %.20q", name), func(meta map[string]string) {
			var classes []string
			_ = json.Unmarshal([]byte(meta["classes"]), &classes) // what a run wrote
			classes[0] = name
			text, _ := json.Marshal(classes)
			meta["classes"] = string(text)
		})
	}
	for _, kernels := range []string{"1000000000", "9223372036854775807"} {
		for _, key := range []string{
			"kernels: 8", "units: 1024", "size: 14", "resize: 16", "columns: 2", "size: 5", "stride: 2",
		} {
			add("configuration with "+key+" as "+kernels, func(meta map[string]string) {
				name, _, _ := strings.Cut(key, ":")
				meta["config"] = strings.ReplaceAll(meta["config"], key, name+": "+kernels)
			})
		}
	}
	return all
}

// headers are files of safetensors without checksums, as another program's.
func (f *forger) headers() (all []forgery) {
	lazy := func(name string, text func() string, size int64) {
		all = append(all, forgery{
			name: "header " + name, does: f.read(),
			make: func(_ *forger, dir string) error {
				last := checkpointOf(filepath.Join(dir, "resumed"))
				if err := os.MkdirAll(filepath.Dir(last), 0o777); err != nil {
					return err
				}
				path, header := filepath.Join(dir, "bad.safetensors"), text()
				text := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
				if strings.HasPrefix(header, "length ") {
					n, err := strconv.ParseUint(strings.TrimPrefix(header, "length "), 10, 64)
					if err != nil {
						return err
					}
					text = binary.LittleEndian.AppendUint64(nil, n)
				}
				if err := os.WriteFile(path, text, 0o666); err != nil {
					return err
				}
				return errors.Join(os.Truncate(path, int64(len(text))+size), os.Link(path, last)) // mostly a hole
			},
		})
	}
	add := func(name, header string, size int64) { lazy(name, func() string { return header }, size) }
	for _, n := range []string{
		"0", "1", "104857600", "104857601", "2147483648", "9223372036854775807", "18446744073709551615",
	} {
		add("of "+n+" bytes", "length "+n, 200)
	}
	entry := func(dtype, shape, offsets string) string {
		return fmt.Sprintf(`{"conv1.weight":{"dtype":"%s","shape":%s,"data_offsets":%s}}`, dtype, shape, offsets)
	}
	for _, n := range numbers {
		if !json.Valid([]byte(n)) {
			continue
		}
		for _, shape := range []string{"[%s]", "[%s,%[1]s]", "[2,%s]", "[0,%s]", "[%s,0]", "%s"} {
			add("shape "+fmt.Sprintf(shape, n), entry("F32", fmt.Sprintf(shape, n), "[0,64]"), 64)
		}
		add("from byte "+n, entry("F32", "[16]", "["+n+",64]"), 64)
		add("to byte "+n, entry("F32", "[16]", "[0,"+n+"]"), 64)
		add("from and to byte "+n, entry("F32", "[0]", "["+n+","+n+"]"), 64)
	}
	add("4 GB tensor", entry("F32", "[1073741824]", "[0,4294967296]"), 4<<30)
	add("20 GB tensor", entry("F16", "[100000,100000]", "[0,20000000000]"), 20_000_000_000)
	add("20 GB tensor of bytes", entry("I8", "[200000,100000]", "[0,20000000000]"), 20_000_000_000)
	add("empty tensors of many dimensions", entry("F32", "["+strings.Repeat("1,", 300_000)+"0]", "[0,0]"), 0)
	add("deep", strings.Repeat(`{"a":`, 500_000)+"1"+strings.Repeat("}", 500_000), 0)
	add("brackets", `{"a":`+strings.Repeat("[", 1_000_000), 0)
	lazy("300,000 tensors", func() string {
		var b strings.Builder
		for i := range 300_000 {
			fmt.Fprintf(&b, `,"t%d":{"dtype":"F32","shape":[],"data_offsets":[%d,%d]}`, i, 4*i, 4*i+4)
		}
		return "{" + b.String()[1:] + "}"
	}, 1_200_000)
	add("twice", strings.TrimSuffix(entry("F32", "[1]", "[0,4]"), "}")+","+entry("F32", "[1]", "[0,4]")[1:], 4)
	lazy("metadata of 90 MB", func() string {
		return `{"__metadata__":{"a":"` + strings.Repeat("x", 90<<20) + `"}}`
	}, 0)
	lazy("metadata of 60 MB in short texts", func() string {
		var b strings.Builder
		for i := range 4_000_000 {
			fmt.Fprintf(&b, `,"k%d":"v"`, i)
		}
		return `{"__metadata__":{` + b.String()[1:] + `}}`
	}, 0)
	add("metadata of numbers", `{"__metadata__":{"a":1}}`, 0)
	for _, name := range strange {
		quoted, _ := json.Marshal(name) // a text
		add(fmt.Sprintf("tensor %.20q", name), `{"__metadata__":{"k":`+string(quoted)+`,`+string(quoted)+`:"v"},`+
			string(quoted)+`:{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4)
	}
	return all
}

// strange are names that do something to a terminal, a parser of output, or a path.
var strange = []string{
	"\x1b[31mred", "\x1b]0;title\x07", "\x1b[2J\x1b[H", "a\n" + forged, "a\r" + forged, "\u009b31m", "\x07\x08\x08",
	"\u202egnp", "\u2028" + forged, "-rf", "--help", "~", "$(reboot)", "a b", "a'b\"c", "é", strings.Repeat("n", 250),
	"..x", "a\tb", "\x7f", "%s%n", "a:b",
}

// names are folders and files of pictures with such names.
func (f *forger) names() (all []forgery) {
	for _, name := range append(slices.Clone(strange), "\xff\xfe", "\xc3\x28") {
		for _, part := range []string{"class", "picture", "broken picture", "folder", "tar"} {
			top := "data"
			switch part {
			case "folder":
				top = "./" + name
			case "tar":
				top = "./" + name + ".tar"
			}
			all = append(all, forgery{
				name: fmt.Sprintf("%s named %.20q", part, name),
				make: func(f *forger, dir string) error { return f.pictures(filepath.Join(dir, top), part, name) },
				does: [][]string{
					{"data", "info", top},
					f.trainOn(f.page, top),
					{"weights", "show", "run/checkpoints/last.safetensors"},
					{"eval", "--weights", "run", "--data", top, "--device", "reference"},
					{"predict", top, "--weights", "run", "--device", "reference"},
				},
			})
		}
	}
	return all
}

// pictures puts two classes of pictures under top, something of them named strangely. A part of "tar" is a tar.
func (f *forger) pictures(top, part, name string) error {
	class, picture := "b", "p0.png"
	var w *tar.Writer
	switch part {
	case "class":
		class = name
	case "picture", "broken picture":
		picture = name + ".png"
	case "tar":
		class, picture = name, name+".png"
		file, err := os.Create(top)
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // written out by the archive's Close
		w = tar.NewWriter(file)
	}
	for i, class := range []string{"a", class} {
		for n := range 4 {
			base, raw := fmt.Sprintf("p%d.png", n), f.picture
			if n == 0 && i == 1 {
				base = picture
				if part == "broken picture" {
					raw = raw[:len(raw)/2]
				}
			}
			if len(base) > 255 {
				base = base[len(base)-255:]
			}
			path := filepath.Join(class, base)
			if w == nil {
				path = filepath.Join(top, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
					return err
				}
				if err := os.WriteFile(path, raw, 0o666); err != nil {
					return err
				}
				continue
			}
			err := putInTar(w, &tar.Header{Name: path, Typeflag: tar.TypeReg, Format: tar.FormatGNU}, raw)
			if err != nil {
				return err
			}
		}
	}
	if w != nil {
		return w.Close()
	}
	return nil
}

// tars are archives that lie about what is in them.
func (f *forger) tars() (all []forgery) {
	add := func(name string, archive func(f *forger) ([]byte, error)) {
		all = append(all, forgery{
			name: "tar " + name,
			make: func(f *forger, dir string) error {
				text, err := archive(f)
				if err != nil {
					return err
				}
				return os.WriteFile(filepath.Join(dir, "bad.tar"), text, 0o666)
			},
			does: [][]string{
				{"data", "info", "bad.tar"},
				f.trainOn(f.page, "bad.tar"),
				{"eval", "--weights", f.base, "--data", "bad.tar", "--device", "reference"},
			},
		})
	}
	// a sound archive of two classes, and then some header more
	with := func(more func(w *tar.Writer, f *forger) error) func(*forger) ([]byte, error) {
		return func(f *forger) ([]byte, error) {
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			for _, name := range []string{"a/1.png", "a/2.png", "b/1.png", "b/2.png"} {
				if err := putInTar(w, &tar.Header{Name: name, Typeflag: tar.TypeReg}, f.picture); err != nil {
					return nil, err
				}
			}
			if more != nil {
				if err := more(w, f); err != nil {
					return nil, err
				}
			}
			return b.Bytes(), w.Close()
		}
	}
	add("sound", with(nil))
	for _, name := range []string{
		"../../etc/x.png", "/etc/x.png", "a/../../x.png", "a//x.png", "./a/x.png", "a/x.png/y.png",
		strings.Repeat("d/", 5000) + "x.png", strings.Repeat("n", 100_000) + ".png", "a", "", ".", "..",
	} {
		add(fmt.Sprintf("with the name %.30q", name), with(func(w *tar.Writer, f *forger) error {
			return putInTar(w, &tar.Header{Name: name, Typeflag: tar.TypeReg, Format: tar.FormatGNU}, f.picture)
		}))
	}
	for _, kind := range []byte{tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo} {
		for _, target := range []string{"a/1.png", "b/9.png", "../../etc/passwd", "/etc/passwd", "/dev/zero"} {
			add(fmt.Sprintf("with an entry of type %c to %s", kind, target), with(func(w *tar.Writer, _ *forger) error {
				return putInTar(w, &tar.Header{Name: "b/9.png", Linkname: target, Typeflag: kind}, nil)
			}))
		}
	}
	add("with links in a ring", with(func(w *tar.Writer, _ *forger) error {
		return errors.Join(putInTar(w, &tar.Header{Name: "b/8.png", Linkname: "9.png", Typeflag: tar.TypeSymlink}, nil),
			putInTar(w, &tar.Header{Name: "b/9.png", Linkname: "8.png", Typeflag: tar.TypeSymlink}, nil))
	}))
	for _, size := range []string{
		"77777777777", "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff", strings.Repeat("\xff", 12), "-1", "x", "",
	} {
		add(fmt.Sprintf("with a size of %q", size), func(f *forger) ([]byte, error) {
			text, err := with(nil)(f)
			if err != nil {
				return nil, err
			}
			header := text[:512] // the first one
			clear(header[124:136])
			copy(header[124:136], size)
			sumTar(header)
			return text, nil
		})
	}
	for _, cut := range []int{0, 1, 511, 512, 700, 1024, 1500} {
		add(fmt.Sprintf("cut to %d bytes", cut), func(f *forger) ([]byte, error) {
			text, err := with(nil)(f)
			return text[:min(cut, len(text))], err
		})
	}
	add("of 100,000 empty files", func(*forger) ([]byte, error) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for i := range 100_000 {
			h := &tar.Header{Name: fmt.Sprintf("c%d/%d.png", i%2, i), Typeflag: tar.TypeReg}
			if err := putInTar(w, h, nil); err != nil {
				return nil, err
			}
		}
		return b.Bytes(), w.Close()
	})
	add("of 30,000 classes", func(f *forger) ([]byte, error) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for i := range 30_000 {
			h := &tar.Header{Name: fmt.Sprintf("c%d/1.png", i), Typeflag: tar.TypeReg}
			if err := putInTar(w, h, f.picture); err != nil {
				return nil, err
			}
		}
		return b.Bytes(), w.Close()
	})
	add("with a record of 900 kB", with(func(w *tar.Writer, _ *forger) error {
		return putInTar(w, &tar.Header{
			Name: "a/3.png", Typeflag: tar.TypeReg, Format: tar.FormatPAX,
			PAXRecords: map[string]string{"ALEXNET.x": strings.Repeat("x", 900_000)},
		}, nil)
	}))
	return all
}

func putInTar(w *tar.Writer, h *tar.Header, content []byte) error {
	h.Mode, h.Size = 0o666, int64(len(content))
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// sumTar makes the checksum of a tar's header right.
func sumTar(header []byte) {
	copy(header[148:156], "        ")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

// kernelLog looks like a regular file, and whoever may read it waits there for the kernel's next message.
const kernelLog = "/proc/kmsg"

func readable(path string) bool {
	f, err := os.Open(path)
	if err == nil {
		_ = f.Close() // that it opened is all there is to know
	}
	return err == nil
}

// paths are places where a file or a folder of pictures is expected and something else is.
func (f *forger) paths() (all []forgery) {
	things := map[string]func(path string) error{
		"nothing":    func(string) error { return nil },
		"fifo":       makeFIFO,
		"folder":     func(path string) error { return os.Mkdir(path, 0o777) },
		"empty file": func(path string) error { return os.WriteFile(path, nil, 0o666) },
		"/dev/zero":  func(path string) error { return os.Symlink("/dev/zero", path) },
		"/dev/full":  func(path string) error { return os.Symlink("/dev/full", path) },
		"itself":     func(path string) error { return os.Symlink(filepath.Base(path), path) },
		kernelLog:    func(path string) error { return os.Symlink(kernelLog, path) },
		"huge hole": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o666), os.Truncate(path, 1<<40))
		},
		"no checksum": func(path string) error { return os.WriteFile(path, []byte("{}"), 0o666) },
	}
	for _, name := range slices.Sorted(maps.Keys(things)) {
		thing := things[name]
		all = append(all, forgery{
			name: name + " for a checkpoint", refused: true, does: f.read(),
			make: func(_ *forger, dir string) error {
				last := checkpointOf(filepath.Join(dir, "resumed"))
				if err := os.MkdirAll(filepath.Dir(last), 0o777); err != nil {
					return err
				}
				return errors.Join(thing(filepath.Join(dir, "bad.safetensors")), thing(last))
			},
		}, forgery{
			name: name + " for pictures", refused: true,
			make: func(_ *forger, dir string) error { return thing(filepath.Join(dir, "x")) },
			does: [][]string{
				{"data", "info", "x"},
				f.trainOn(f.page, "x"),
				{"eval", "--weights", f.base, "--data", "x", "--device", "reference"},
			},
		}, forgery{
			name: name + " for a picture", waits: name == "fifo", refused: true, // pipes are read
			make: func(_ *forger, dir string) error { return thing(filepath.Join(dir, "x")) },
			does: [][]string{{"predict", "x", "--weights", f.base, "--device", "reference"}},
		}, forgery{
			name: name + " for a page", waits: name == "fifo" || name == kernelLog && readable(kernelLog),
			refused: name != "folder" && name != "empty file",
			make:    func(_ *forger, dir string) error { return thing(filepath.Join(dir, "x.yaml")) },
			does:    [][]string{{"config", "--config", "./x.yaml"}},
		}, forgery{
			name: name + " where a checkpoint says that its pictures are", refused: true,
			make: func(f *forger, dir string) error {
				path := filepath.Join(dir, "x")
				return errors.Join(thing(path), f.forge(dir, func(meta map[string]string) {
					text, _ := json.Marshal(map[string]string{"path": path, "fingerprint": "0"}) // texts
					meta["data"] = string(text)
				}))
			},
			does: [][]string{
				{"eval", "--weights", "bad.safetensors", "--device", "reference"},
				{"train", "--resume", "resumed", "--steps", "19", "--device", "reference"},
			},
		})
	}
	return all
}

// crafted are the inputs that the tests of the packages refuse, given to commands, and a checkpoint of a tensor that is
// a large hole.
func (f *forger) crafted() (all []forgery) {
	ways := f.read()
	show, use := ways[:3], ways[3:] // any safetensors file is shown, and exported where it fits
	checkpoint := func(name string, put func(path string) error, refused bool, does [][]string) {
		all = append(all, forgery{
			name: "crafted checkpoint: " + name, refused: refused, does: does,
			make: func(_ *forger, dir string) error {
				path, last := filepath.Join(dir, "bad.safetensors"), checkpointOf(filepath.Join(dir, "resumed"))
				if err := os.MkdirAll(filepath.Dir(last), 0o777); err != nil {
					return err
				}
				return errors.Join(put(path), os.Link(path, last))
			},
		})
	}
	for _, file := range crafted.Checkpoints() {
		does := use
		switch file.At {
		case crafted.Used:
			does = use[:2] // eval, predict
		case crafted.Resumed:
			does = use[len(use)-1:]
		}
		put := func(path string) error { return os.WriteFile(path, file.Bytes(), 0o666) }
		checkpoint(file.Name, put, true, does)
		checkpoint(file.Name+", shown", put, false, show)
	}
	checkpoint("a million metadata", func(path string) error {
		meta := crafted.SoundMeta()
		for i := range 1_000_000 {
			meta[strconv.Itoa(i)] = strings.Repeat("y", 10)
		}
		return os.WriteFile(path, crafted.Safetensors(meta, crafted.SoundTensors()), 0o666)
	}, true, ways)
	tensors := crafted.SoundTensors()[1:2]
	tensors[0].Shape = []int{1 << 30, 4}
	checkpoint("a hole of 16 GB", func(path string) error {
		begins, size := crafted.Sparse(crafted.SoundMeta(), tensors)
		return errors.Join(os.WriteFile(path, begins, 0o666), os.Truncate(path, size))
	}, true, use) // to show it reads it all
	for _, p := range crafted.Pages() {
		all = append(all, forgery{
			name: "crafted page: " + p.Name, refused: true,
			make: func(_ *forger, dir string) error {
				return os.WriteFile(filepath.Join(dir, "page.yaml"), p.YAML, 0o666)
			},
			does: [][]string{
				{"config", "--config", "./page.yaml"},
				{"summary", "--config", "./page.yaml"},
				f.trainOn("./page.yaml", f.shapes),
			},
		})
	}
	for _, file := range crafted.Parquets() { // info may read only the labels of some
		all = append(all, forgery{
			name: "crafted parquet: " + file.Name,
			make: func(_ *forger, dir string) error {
				return os.WriteFile(filepath.Join(dir, "bad.parquet"), file.Bytes(), 0o666)
			},
			does: [][]string{{"data", "info", "bad.parquet"}},
		})
	}
	for _, file := range slices.Concat(crafted.Pths(), crafted.Npys()) { // show may need no number of some
		weights := func(_ *forger, dir string) error {
			return os.WriteFile(filepath.Join(dir, "bad.weights"), file.Bytes(), 0o666)
		}
		all = append(all, forgery{
			name: "crafted weights: " + file.Name, refused: true, make: weights,
			does: [][]string{{"weights", "import", "bad.weights", "--out", "own.safetensors"}},
		}, forgery{
			name: "crafted weights: " + file.Name + ", shown", make: weights,
			does: [][]string{{"weights", "show", "bad.weights"}},
		})
	}
	for _, file := range crafted.Zips() {
		all = append(all, forgery{
			name: "crafted zip: " + file.Name, refused: true,
			make: func(_ *forger, dir string) error {
				return os.WriteFile(filepath.Join(dir, "bad.zip"), file.Bytes(), 0o666)
			},
			does: [][]string{{"data", "info", "bad.zip"}},
		})
	}
	for _, file := range crafted.Tars() {
		all = append(all, forgery{
			name: "crafted tar: " + file.Name, refused: true,
			make: func(_ *forger, dir string) error {
				return os.WriteFile(filepath.Join(dir, "bad.tar"), file.Bytes(), 0o666)
			},
			does: [][]string{
				{"data", "info", "bad.tar"},
				f.trainOn(f.page, "bad.tar"),
				{"eval", "--weights", f.base, "--data", "bad.tar", "--device", "reference"},
			},
		})
	}
	return all
}
