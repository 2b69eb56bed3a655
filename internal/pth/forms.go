package pth

import (
	"encoding/binary"
	"io"
	"math/big"
	"strings"

	"alexnet/internal/pickle"
	"alexnet/internal/tensor"
	"alexnet/internal/zipped"
)

const (
	dataPickle = "data.pkl"
	small      = 64 << 10 // bytes of a file in the zip that is none of tensors
)

// readZip reads the form of today: NAME/data.pkl, NAME/data/0 ..., NAME/version, NAME/byteorder and others.
func readZip(r io.ReaderAt, size int64) (*File, error) {
	z, err := zipped.Open(r, size)
	if err != nil {
		return nil, err
	}
	folder, err := folderOf(z)
	if err != nil {
		return nil, err
	}
	if err := checkSmall(z, folder); err != nil {
		return nil, err
	}
	pkl := z.Member(folder + dataPickle)
	if !pkl.Stored {
		return nil, tensor.Damaged("%s is compressed, which torch.save does not do", pkl.Name)
	}
	if err := pkl.Verify(); err != nil {
		return nil, err
	}
	section, err := pkl.Section()
	if err != nil {
		return nil, err
	}
	o := newObject(size, func(s *storage) error { return inZip(z, folder, s) })
	v, next, err := o.Load(section, 0, section.Size())
	if err != nil {
		return nil, err
	}
	if next != section.Size() {
		return nil, tensor.Damaged("%d bytes after the end of %s", section.Size()-next, pkl.Name)
	}
	f := &File{Form: Zip, Unchecked: z.Unchecked, Archive: z}
	return f, o.collect(f, v)
}

// folderOf is the folder in which the zip has all its files, with its slash. TorchScript has a program in it.
func folderOf(z *zipped.Archive) (string, error) {
	folder, found := "", false
	for _, m := range z.Members {
		top, rest, nested := strings.Cut(m.Name, "/")
		if !nested {
			continue
		}
		if rest == "constants.pkl" || strings.HasPrefix(rest, "code/") {
			return "", &Refused{Kind: TorchScript}
		}
		if rest == dataPickle {
			if found {
				return "", tensor.Damaged("two files of the name %s", dataPickle)
			}
			folder, found = top+"/", true
		}
	}
	if !found {
		return "", &tensor.BadFile{
			Fault: tensor.OtherFormat, Reason: "a zip that torch.save did not make: no " + dataPickle,
		}
	}
	return folder, nil
}

// checkSmall looks at what stands beside the tensors: the order of bytes is what matters of it.
func checkSmall(z *zipped.Archive, folder string) error {
	for _, m := range z.Members {
		if m.Size > small || strings.HasPrefix(m.Name, folder+"data/") {
			continue
		}
		if err := m.Verify(); err != nil {
			return err
		}
	}
	m := z.Member(folder + "byteorder")
	if m == nil { // before PyTorch 2.1
		return nil
	}
	order, err := m.Bytes(16)
	if err == nil && string(order) != "little" {
		err = tensor.Damaged("the order of bytes is %q: only \"little\" is read", order)
	}
	return err
}

// inZip finds a storage.
func inZip(z *zipped.Archive, folder string, s *storage) error {
	m := z.Member(folder + "data/" + s.key)
	switch {
	case m == nil:
		return tensor.Damaged("storage %s is not in the file", s.key)
	case !m.Stored:
		return tensor.Damaged("%s is compressed, which torch.save does not do", m.Name)
	case m.Size != s.count*tensor.Widths[s.dtype]:
		return tensor.Damaged("storage %s of %d %s has %d bytes", s.key, s.count, s.dtype, m.Size)
	}
	s.read = func(whole bool, do func(io.Reader) error) error {
		if whole {
			return m.Read(do)
		}
		if err := m.Verify(); err != nil {
			return err
		}
		section, err := m.Section()
		if err != nil {
			return err
		}
		return do(section)
	}
	return nil
}

// protocol is that of the older form.
const protocol = 1001

// readLegacy reads the form before 1.6: pickles of a magic number, of the protocol, of what the machine is like, of the
// object and of the storages' keys, and then each storage: how many numbers, and these.
func readLegacy(r io.ReaderAt, size int64) (*File, error) {
	o := newObject(size, func(s *storage) error {
		if s.count*tensor.Widths[s.dtype] > size {
			return tensor.Damaged("storage %s of %d %s in a file of %d bytes", s.key, s.count, s.dtype, size)
		}
		return nil
	})
	var parts [5]any
	at := int64(0)
	for i := range parts {
		var err error
		if parts[i], at, err = o.Load(r, at, size); err != nil {
			return nil, err
		}
	}
	if err := checkHead(parts[0], parts[1], parts[2]); err != nil {
		return nil, err
	}
	if err := o.place(r, at, size, parts[4]); err != nil {
		return nil, err
	}
	f := &File{Form: Legacy}
	return f, o.collect(f, parts[3])
}

// checkHead looks at what stands before the object.
func checkHead(number, version, machine any) error {
	want, _ := new(big.Int).SetString("1950a86a20f9469cfc6c", 16)
	if n, is := number.(*big.Int); !is || n.Cmp(want) != 0 {
		return tensor.Damaged("another magic number than PyTorch's")
	}
	if version != any(int64(protocol)) {
		return tensor.Damaged("another protocol than %d", protocol)
	}
	info, is := machine.(*pickle.Dict)
	if !is {
		return tensor.Damaged("nothing is said of the machine that wrote it")
	}
	for _, item := range info.Items {
		if item.Key == any("little_endian") && item.Value != any(true) {
			return tensor.Damaged("the machine that wrote it has another order of bytes")
		}
	}
	return nil
}

// place tells where each storage lies, from byte at on.
func (o *object) place(r io.ReaderAt, at, size int64, keys any) error {
	list, is := keys.(*pickle.List)
	if !is || len(list.Items) != len(o.storages) {
		return tensor.Damaged("another list of storages than the object's %d", len(o.storages))
	}
	for _, k := range list.Items {
		key, is := k.(string)
		s := o.storages[key]
		if !is || s == nil || s.read != nil {
			return tensor.Damaged("a storage in the list that no tensor has, or twice")
		}
		var b [8]byte
		if at > size-8 {
			return tensor.Damaged("cut short before storage %s", key)
		}
		if _, err := r.ReadAt(b[:], at); err != nil {
			return err
		}
		at += 8
		if n := int64(binary.LittleEndian.Uint64(b[:])); n != s.count {
			return tensor.Damaged("storage %s has %d numbers, not %d", key, n, s.count)
		}
		bytes := s.count * tensor.Widths[s.dtype]
		if bytes > size-at {
			return tensor.Damaged("cut short: storage %s ends at byte %d of a file of %d", key, at+bytes, size)
		}
		begin := at
		s.read = func(_ bool, do func(io.Reader) error) error { return do(io.NewSectionReader(r, begin, bytes)) }
		at += bytes
	}
	if at != size {
		return tensor.Damaged("%d bytes after the last storage", size-at)
	}
	return nil
}
