package data

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"runtime"
	"testing"
	"time"

	"alexnet/internal/files"
	"alexnet/internal/imagenet"
)

// The tar of sparse: as many tars as ILSVRC2012 has for training, with a tenth of its pictures, of their mean size.
const (
	sparseTars  = imagenet.Classes
	sparseEach  = 128
	sparseSize  = 214 * tarBlock // of a picture
	sparseInner = sparseEach*(tarBlock+sparseSize) + 2*tarBlock
	sparseWhole = sparseTars*(tarBlock+sparseInner) + 2*tarBlock
)

// sparseDisk is a disk with a tar of tars on it, of which nothing but the headers is anywhere: the pictures are zeros.
type sparseDisk struct {
	files.Reader
	name  string
	heads []byte // each tar's own, and then those in it
}

func newSparse(t testing.TB) *sparseDisk {
	t.Helper()
	d := &sparseDisk{Reader: files.OS, name: write(t, "ILSVRC2012_img_train.tar", nil)}
	add := func(name string, size int64) {
		var b bytes.Buffer
		if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		d.heads = append(d.heads, b.Bytes()...)
	}
	for _, class := range imagenet.All() {
		add(class.WNID+".tar", sparseInner)
		for i := range sparseEach {
			add(fmt.Sprintf("%s_%d.JPEG", class.WNID, i), sparseSize)
		}
	}
	return d
}

func (d *sparseDisk) Open(name string) (files.File, error) {
	f, err := d.Reader.Open(name)
	return &sparseFile{f, d}, err
}

func (d *sparseDisk) Stat(name string) (fs.FileInfo, error) {
	info, err := d.Reader.Stat(name)
	if name != d.name || err != nil {
		return info, err
	}
	return sparseInfo{info}, nil
}

type sparseInfo struct{ fs.FileInfo }

func (sparseInfo) Size() int64 { return sparseWhole }

type sparseFile struct {
	files.File
	of *sparseDisk
}

func (f *sparseFile) Stat() (fs.FileInfo, error) { return f.of.Stat(f.of.name) }

func (f *sparseFile) Seek(int64, int) (int64, error) { return sparseWhole, nil } // to the end

func (f *sparseFile) ReadAt(p []byte, off int64) (n int, err error) {
	for ; n < len(p); n++ {
		at := off + int64(n)
		class, in := at/(tarBlock+sparseInner), at%(tarBlock+sparseInner)
		head, pos := int64(0), in // of the headers of the class
		if in >= tarBlock {
			head, pos = 1+(in-tarBlock)/(tarBlock+sparseSize), (in-tarBlock)%(tarBlock+sparseSize)
		}
		p[n] = 0
		if class < sparseTars && head <= sparseEach && pos < tarBlock {
			p[n] = f.of.heads[(class*(1+sparseEach)+head)*tarBlock+pos]
		}
	}
	return n, nil
}

// TestOfficialHeaders lists ILSVRC2012's tar of tars by its headers, none of its pictures being read, in memory that
// goes with their number.
func TestOfficialHeaders(t *testing.T) {
	disk := newSparse(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	src, err := Open(t.Context(), disk, At(disk.name), 0, 1)
	took := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	runtime.ReadMemStats(&after)
	const pictures = sparseTars * sparseEach
	asked := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d pictures in %v, %d bytes of memory for each", pictures, took, asked/pictures)
	first := src.Train.Name(0)
	if src.Train.Len() != pictures || len(src.Classes) != sparseTars || first != "train/n01440764/n01440764_0.JPEG" {
		t.Errorf("%d pictures of %d classes, %s", src.Train.Len(), len(src.Classes), first)
	}
	if asked > 1536*pictures { // 1,044 as it is written: names, records, and tables of these that grow
		t.Errorf("%d MB", asked>>20)
	}
}
