package crafted

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// What pickles are made of, by the names of Python's pickletools.
const (
	proto     = "\x80\x02"
	mark      = "("
	stop      = "."
	tuple     = "t"
	reduce    = "R"
	emptyList = "]"
	emptyDict = "}"
)

func word(s string) string { return fmt.Sprintf("X%s%s", le32(len(s)), s) }

func integer(n int) string {
	if n != int(int32(n)) {
		return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	}
	return "J" + le32(n)
}

func le32(n int) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

func le64(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }

func integers(n ...int) string {
	s := mark
	for _, x := range n {
		s += integer(x)
	}
	return s + tuple
}

// storage names one of PyTorch's.
func storage(class, key string, count int) string {
	return mark + word("storage") + "ctorch\n" + class + "\n" + word(key) + word("cuda:0") + integer(count) +
		tuple + "Q"
}

// view makes a tensor of PyTorch's.
func view(storage string, offset int, shape, stride []int) string {
	return "ctorch._utils\n_rebuild_tensor_v2\n" + mark + storage + integer(offset) + integers(shape...) +
		integers(stride...) + "\x89" + "ccollections\nOrderedDict\n)R" + tuple + reduce
}

// state is a pickle of a dict of one tensor.
func state(tensor string) string { return proto + emptyDict + word("w") + tensor + "s" + stop }

// Pth is a file as torch.save writes it: a zip with a pickle and storages, by key.
func Pth(pickle string, storages map[string][]byte) []byte {
	files := []string{"archive/data.pkl", pickle, "archive/byteorder", "little"}
	for _, key := range slices.Sorted(maps.Keys(storages)) {
		files = append(files, "archive/data/"+key, string(storages[key]))
	}
	return zipped(zip.Store, files...)
}

// zipped is a zip of names and contents in turn.
func zipped(method uint16, files ...string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if method > zip.Deflate {
		w.RegisterCompressor(method, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, 1) })
	}
	for i := 0; i < len(files); i += 2 {
		f, err := w.CreateHeader(&zip.FileHeader{Name: files[i], Method: method})
		must(err)
		_, err = io.WriteString(f, files[i+1])
		must(err)
	}
	must(w.Close())
	return b.Bytes()
}

// LegacyPth is a file as PyTorch wrote it before 1.6.
func LegacyPth(pickle string, keys []string, storages ...[]byte) []byte {
	b := []byte(proto + "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + proto + "M\xe9\x03." +
		proto + emptyDict + word("little_endian") + "\x88s." + pickle + proto + emptyList)
	for _, k := range keys {
		b = append(b, word(k)+"a"...)
	}
	b = append(b, stop...)
	for _, s := range storages {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(s)/4))
		b = append(b, s...)
	}
	return b
}

// Pickles are pickles that are refused, whatever a pickle may name.
func Pickles() []File {
	var all []File
	add := func(name, want string, bytes func() string) {
		all = append(all, File{Name: name, Bytes: func() []byte { return []byte(bytes()) }, Want: want})
	}
	is := func(s string) func() string { return func() string { return proto + s } }
	add("nothing", "cut short", func() string { return "" })
	add("protocol 5", "protocol 5", func() string { return "\x80\x05N." })
	add("an opcode that runs something", `opcode 0x69`, is("(ios\nsystem\n."))
	add("an object of a class", "NEWOBJ", is("N)\x81."))
	add("a text of 2^62 bytes", "4611686018427387904 bytes of text", is("\x8d"+le64(1<<62)+"x."))
	add("a text of 2^64-1 bytes", "18446744073709551615 bytes", is("\x8d"+le64(math.MaxUint64)+"x."))
	add("a frame of 2^64-1 bytes", "a frame of 18446744073709551615 bytes", is("\x95"+le64(math.MaxUint64)+"N."))
	add("bytes of 4 GB", "4294967295 bytes", is("B\xff\xff\xff\xffx."))
	add("a million lists on the stack", "at once", is(strings.Repeat(emptyList, 1_000_000)+stop))
	add("lists in lists", "at once", is(strings.Repeat(emptyList, 500_000)+strings.Repeat("a", 499_999)+stop))
	add("a hundred lists in lists", "in each other", is(strings.Repeat(emptyList, 100)+strings.Repeat("a", 99)+stop))
	add("a hundred tuples in tuples", "in each other", is("N"+strings.Repeat("\x85", 100)+stop))
	add("a million tuples in tuples", "", is("N"+strings.Repeat("\x85", 1_000_000)+stop))
	add("a million empty dicts in a list", "more values",
		is("]("+strings.Repeat(strings.Repeat(emptyDict, 1000)+"e(", 1000)+"e."))
	add("a million marks", "", is(strings.Repeat(mark, 1_000_000)))
	add("a million places of memory", "more values", func() string {
		var b strings.Builder
		b.WriteString(proto + "N")
		for i := range 1_000_000 {
			b.WriteString("r" + le32(i))
		}
		return b.String() + stop
	})
	add("a list that holds itself", "holds itself", is("]q\x00h\x00a."))
	add("a dict that holds itself", "holds itself", is("}q\x00X\x01\x00\x00\x00ah\x00s."))
	add("a list in a tuple that holds the list", "holds itself", is("]q\x00h\x00\x85a."))
	add("lists that are two lists that are two lists", "more values", func() string {
		b := proto + mark + "]q\x00"
		for i := range 60 {
			b += fmt.Sprintf("]q%c(h%ch%ce", i+1, i, i)
		}
		return b + tuple + stop
	})
	add("long names in each other", "more values", func() string {
		const depth = 50
		b := proto + emptyDict + word(strings.Repeat("n", 1000)) + "q\x00" +
			strings.Repeat(emptyDict+"h\x00", depth-1) + emptyDict + mark
		for i := range 500 {
			b += integer(i) + "N"
		}
		return b + "u" + strings.Repeat("s", depth) + stop
	})
	add("a memory that was not filled", "value 7 is not known", is("h\x07."))
	add("nothing to take", "nothing is on the stack", is("a."))
	add("no mark", "no mark", is("t."))
	add("a call across a mark", "nothing is on the stack", is("N(R."))
	add("two values at the end", "2 values at its end", is("NN."))
	add("a mark at the end", "1 value at its end, and 1 mark", is("N(."))
	add("something appended to None", "appended to None", is("NNa."))
	add("an item of a list", "set of a list", is("]NNs."))
	add("a key without a value", "a key without", is("}(Nu."))
	add("None is called", "None is called", is("N)R."))
	add("None is given a state", "given a state", is("NNb."))
	add("a dict whose keys are tuples", "neither a name nor a number", is("})Ns."))
	return all
}

// Pths are files of PyTorch's that are refused, or of which a tensor is.
func Pths() []File {
	var all []File
	add := func(name, want string, bytes func() []byte) {
		all = append(all, File{Name: name, Bytes: bytes, Want: want})
	}
	four := map[string][]byte{"0": make([]byte, 16)}
	is := func(pickle string) func() []byte { return func() []byte { return Pth(pickle, four) } }
	float := storage("FloatStorage", "0", 4)
	part := func(offset int, shape, strides []int) func() []byte {
		return is(state(view(float, offset, shape, strides)))
	}
	of := func(key string, count int) func() []byte {
		return is(state(view(storage("FloatStorage", key, count), 0, []int{count}, []int{1})))
	}
	for _, p := range Pickles() {
		pickle := string(p.Bytes())
		add("zip: "+p.Name, p.Want, func() []byte { return Pth(pickle, four) })
		add("legacy: "+p.Name, p.Want, func() []byte { return LegacyPth(pickle, nil) })
	}
	add("a program", "os.system", is("\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R."))
	add("a program in a dict", "posix.system", is(state("cposix\nsystem\n)R")))
	add("a storage of 2^62 numbers", "too large", of("0", 1<<62))
	add("a storage of 2^40 numbers", "has 16 bytes", of("0", 1<<40))
	add("a legacy storage of 2^40 numbers", "in a file of", func() []byte {
		return LegacyPth(state(view(storage("FloatStorage", "0", 1<<40), 0, []int{1 << 40}, []int{1})), []string{"0"})
	})
	add("a storage of -1 numbers", "without a type, a key or a length", of("0", -1))
	add("a storage that is not there", "is not in the file", of("1", 4))
	add("a storage of two types", "and then of", is(proto+emptyList+float+"a"+storage("DoubleStorage", "0", 2)+"a."))
	add("a storage of two lengths", "and then of", is(proto+emptyList+float+"a"+storage("FloatStorage", "0", 2)+"a."))
	add("a negative stride", "negative stride", part(3, []int{4}, []int{-1}))
	add("a negative offset", "begins at number -1", part(-1, []int{4}, []int{1}))
	add("a negative dimension", "negative dimension", part(0, []int{-4}, []int{1}))
	add("a view beyond its storage", "reaches beyond", part(1, []int{4}, []int{1}))
	add("strides that overflow", "reaches beyond", part(0, []int{3, 2}, []int{math.MaxInt64, math.MaxInt64}))
	add("one number 2^40 times", "numbers", part(0, []int{1 << 40}, []int{0}))
	add("a shape of 2^120", "too large", part(0, []int{1 << 60, 1 << 60}, []int{0, 0}))
	add("windows over a storage", "overlaps itself", part(0, []int{3, 2}, []int{1, 1}))
	add("nine dimensions", "a shape or strides", part(0, make([]int, 9), make([]int, 9)))
	add("a tensor of a text", "without a storage", is(state(view(word("x"), 0, nil, nil))))
	add("a parameter of nothing", "without a tensor", is(state("ctorch._utils\n_rebuild_parameter\n)R")))
	add("an OrderedDict of a text", "than pairs", is(proto+"ccollections\nOrderedDict\n"+word("x")+"\x85R."))
	add("an OrderedDict of triples", "than pairs", is(proto+"ccollections\nOrderedDict\n](NNNta\x85R."))
	add("a module that is kept elsewhere", "is no storage", is(proto+mark+word("module")+"NNNtQ."))
	add("a name that is there twice", "there twice", is(proto+emptyDict+word("w")+"Ns"+word("w")+"Ns."))
	add("two ways to one name", "there twice",
		is(proto+emptyDict+word("a.b")+"Ns"+word("a")+emptyDict+word("b")+"Nss."))
	add("a class as a value", "neither a tensor", is(proto+"ctorch\nFloatStorage\n."))
	add("bytes after the pickle", "after the end", is(proto+"N.N"))
	add("a storage named a thousand times", "more values", is(func() string {
		return proto + emptyList + "q\x00" + mark + float + "q\x01" + strings.Repeat("h\x01", 60_000) + "e."
	}()))
	add("a list of pairs made a dict again and again", "more values", func() []byte {
		b := proto + mark + "](" + strings.Repeat("(NNt", 1000) + "eq\x00ccollections\nOrderedDict\nq\x01"
		return Pth(b+strings.Repeat("h\x01h\x00\x85R", 10_000)+"t.", nil)
	})
	add("two objects", "two files of the name", func() []byte {
		return zipped(zip.Store, "a/data.pkl", proto+"N.", "b/data.pkl", proto+"N.")
	})
	add("big-endian", `"big"`, func() []byte {
		return zipped(zip.Store, "archive/data.pkl", proto+"N.", "archive/byteorder", "big")
	})
	add("compressed", "compressed", func() []byte { return zipped(zip.Deflate, "archive/data.pkl", proto+"N.") })
	add("compressed by bzip2", "method 12", func() []byte { return zipped(12, "archive/data.pkl", proto+"N.") })
	add("a zip of something else", "no data.pkl", func() []byte { return zipOf("a/x") })
	add("a zip whose list is long", "list of files is longer", func() []byte {
		entries := bytes.Repeat(zipEntry("archive/data/1", 0), 100_000)
		b := append([]byte("PK\x03\x04"), entries...)
		return append(b, zipEnd(uint16(100_000&math.MaxUint16), uint32(len(entries)), 4)...)
	})
	add("a zip whose files lie in each other", "longer than it is", func() []byte {
		var list []byte
		for i := range 1000 {
			list = append(list, zipEntry(fmt.Sprintf("archive/data/%d", i), 20_000)...)
		}
		b := append([]byte("PK\x03\x04"), make([]byte, 40_000)...)
		return append(append(b, list...), zipEnd(1000, uint32(len(list)), uint32(len(b)))...)
	})
	add("the form of 2016", "2016", func() []byte {
		b := make([]byte, 10240)
		copy(b, "sys_info")
		copy(b[257:], "ustar  ")
		return b
	})
	legacy := func(keys []string, storages ...[]byte) func() []byte {
		return func() []byte { return LegacyPth(state(view(float, 0, []int{4}, []int{1})), keys, storages...) }
	}
	add("legacy: no storages", "cut short before", legacy([]string{"0"}))
	add("legacy: cut in a storage", "has 3 numbers", legacy([]string{"0"}, make([]byte, 12)))
	add("legacy: more than it says", "after the last storage", legacy([]string{"0"}, make([]byte, 16), nil))
	add("legacy: another key", "no tensor has", legacy([]string{"1"}, make([]byte, 16)))
	add("legacy: no keys", "another list", legacy(nil))
	add("legacy: a part beyond", "reaches beyond", func() []byte {
		part := strings.TrimSuffix(float, "tQ") + mark + word("1") + integer(2) + integer(3) + tuple + "tQ"
		return LegacyPth(state(view(part, 0, nil, nil)), []string{"0"}, make([]byte, 16))
	})
	add("legacy: another machine", "order of bytes", func() []byte {
		b := legacy([]string{"0"}, make([]byte, 16))()
		return bytes.Replace(b, []byte("little_endian\x88"), []byte("little_endian\x89"), 1)
	})
	add("legacy: another protocol", "protocol than 1001", func() []byte {
		return bytes.Replace(legacy([]string{"0"}, make([]byte, 16))(), []byte("M\xe9\x03"), []byte("M\xe8\x03"), 1)
	})
	add("a pickle", "did not make", func() []byte { return []byte(proto + "N.") })
	add("empty", "begins as no file", func() []byte { return nil })
	add("text", "begins as no file", func() []byte { return []byte("state_dict") })
	return all
}

// OneTensor is a sound file of one tensor of n numbers.
func OneTensor(n int, shape, strides []int) []byte {
	pickle := state(view(storage("FloatStorage", "0", n), 0, shape, strides))
	return Pth(pickle, map[string][]byte{"0": make([]byte, 4*n)})
}

// npy is an array of NumPy with what its header says.
func npy(descr, shape, numbers string) []byte {
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", descr, shape)
	b := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(text)))
	return append(append(b, text...), numbers...)
}

// inPickle is an array of NumPy in a pickle: the type in NumPy's words, the data as opcodes.
func inPickle(kind string, shape []int, data string) string {
	return "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + word("b") + "\x87R" +
		mark + "K\x01" + integers(shape...) + "cnumpy\ndtype\n" + word(kind) + "\x89\x88\x87R" +
		mark + "K\x03" + word("<") + "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb" + "\x89" + data + "tb"
}

// object is a .npy of one object.
func object(opcodes string) []byte {
	return npy("|O", "()", proto+inPickle("O8", nil, emptyList+opcodes+"a")+stop)
}

// layer is a .npy of a dict of one layer of one array.
func layer(array string) []byte { return object(emptyDict + word("fc8") + emptyList + array + "as") }

// encoded is a text that stands for bytes, as Python 3 writes for Python 2.
func encoded(text string) string { return "c_codecs\nencode\n" + word(text) + word("latin1") + "\x86R" }

// Npys are files of NumPy's that are refused, or of which an array is.
func Npys() []File {
	var all []File
	add := func(name, want string, bytes func() []byte) {
		all = append(all, File{Name: name, Bytes: bytes, Want: want})
	}
	is := func(b []byte) func() []byte { return func() []byte { return b } }
	for _, p := range Pickles() {
		add("object: "+p.Name, "", func() []byte { return npy("|O", "()", string(p.Bytes())) })
	}
	add("empty", "begins as no file", is(nil))
	add("a header of 4 GB", "a header of 4294967295 bytes", is([]byte("\x93NUMPY\x02\x00\xff\xff\xff\xff{")))
	add("a header cut short", "ends in its header", is([]byte("\x93NUMPY\x01\x00\x40\x00{'descr': ")))
	add("a header that is none", "header is none", is([]byte("\x93NUMPY\x01\x00\x02\x00{}")))
	add("a shape of 2^120", "too large", is(npy("<f4", "(1152921504606846976, 1152921504606846976)", "")))
	add("a shape of 2^60", "its header says", is(npy("<f4", "(1152921504606846976,)", "")))
	add("a negative shape", "no type or no shape", is(npy("<f4", "(-4,)", "xxxx")))
	add("nine dimensions", "9 dimensions", is(npy("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)", "xxxx")))
	add("too few numbers", "its header says", is(npy("<f4", "(4,)", "xxxx")))
	add("too many numbers", "its header says", is(npy("<f4", "(1,)", "xxxxxxxx")))
	add("big-endian", "big-endian", is(npy(">f4", "(1,)", "xxxx")))
	add("texts", "'<U1'", is(npy("<U1", "(1,)", "xxxx")))
	add("an object that is no array", "not the array of objects", is(npy("|O", "()", proto+"N.")))
	add("an object that is a number", "not an array of numbers", is(object("N")))
	add("a program", "os.system", is(object("cos\nsystem\n"+word("id")+"\x85R")))
	add("an array without data", "without bytes", is(layer(inPickle("f4", []int{4}, "N"))))
	add("an array of 2^40 numbers", "an array of", is(layer(inPickle("f4", []int{1 << 40}, word("xxxx")))))
	add("an array of 2^120 numbers", "too large", is(layer(inPickle("f4", []int{1 << 60, 1 << 60}, word("xxxx")))))
	add("an array of -1 numbers", "negative dimension", is(layer(inPickle("f4", []int{-1}, word("xxxx")))))
	add("an array of dates", "'<M8'", is(layer(inPickle("M8", []int{1}, word("xxxxxxxx")))))
	add("an array of no type", "another kind", is(layer(inPickle("float32", []int{1}, word("xxxx")))))
	add("an array of too few bytes", "an array of 16 bytes has 4", is(layer(inPickle("f4", []int{4}, word("xxxx")))))
	add("an array that was not built", "not an array of numbers",
		is(layer("cnumpy.core.multiarray\n_reconstruct\n)R")))
	add("a text that is not latin1", "not latin1", is(layer(inPickle("f4", []int{1}, encoded("xxx\u20ac")))))
	add("a long text that is not latin1", "not latin1",
		is(layer(inPickle("f4", []int{3000}, encoded(strings.Repeat("x", 12_000-3)+"\u20ac")))))
	add("a long text that is not UTF-8", "not latin1",
		is(layer(inPickle("f4", []int{3000}, encoded(strings.Repeat("x", 12_000-1)+"\xe9")))))
	add("a long text of too many bytes", "more than its shape's",
		is(layer(inPickle("f4", []int{3000}, encoded(strings.Repeat("x", 12_004))))))
	add("a long text of too few bytes", "cut short",
		is(layer(inPickle("f4", []int{3000}, encoded(strings.Repeat("x", 11_998)+"\u00e9")))))
	add("a text in UTF-16", "another code", is(object("c_codecs\nencode\n"+word("x")+word("utf16")+"\x86R")))
	add("objects that are not there", "an array of 3 objects with 1",
		is(npy("|O", "(3,)", proto+inPickle("O8", []int{3}, emptyList+"Na")+stop)))
	add("a layer that is there twice", "there twice", is(object(emptyDict+mark+
		word("fc8")+emptyDict+word("weight")+inPickle("f4", nil, word("xxxx"))+"s"+
		word("fc8")+emptyDict+word("weights")+inPickle("f4", nil, word("xxxx"))+"s"+"u")))
	add("a text made bytes again and again", "more values", func() []byte {
		b := emptyList + mark + word(strings.Repeat("\u00e9", 2000)) + "q\x00" + word("latin1") + "q\x01" +
			"c_codecs\nencode\nq\x02"
		return object(b + strings.Repeat("h\x02h\x00h\x01\x86R", 10_000) + "e")
	})
	add("bytes after the pickle", "after the end", is(append(layer(inPickle("f4", nil, word("xxxx"))), 'x')))
	add("npz: texts", "is no array", is(zipped(zip.Store, "a.txt", "a")))
	add("npz: an object", "objects in a zip", is(zipped(zip.Store, "a.npy", string(object("N")))))
	add("npz: too few numbers", "its header says", is(zipped(zip.Store, "a.npy", string(npy("<f4", "(4,)", "xxxx")))))
	add("npz: a long text", "more than 4194304", is(zipped(zip.Deflate, "metadata.json", strings.Repeat(" ", 5<<20))))
	add("npz: long headers", "longer headers", func() []byte {
		var files []string
		array := string(npy("<f4", "()"+strings.Repeat(" ", 60_000), "xxxx"))
		for i := range 100 {
			files = append(files, fmt.Sprintf("%d.npy", i), array)
		}
		return zipped(zip.Deflate, files...)
	})
	return all
}
