package data

import (
	"context"
	"errors"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/shards"
)

// TestByFileNameNotes: what is written of tars beside them is read, where only their pictures are asked for too.
func TestByFileNameNotes(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"_info.json": []byte(`{"splits": {"train": {"filenames": ["b.tar"]}, "validation": {"filenames": ["a.tar"]}}}`),
		"a.tar":      tarOf(t, []tarFile{{name: "2.png", raw: anyFile}, {name: "2.cls", raw: []byte("cat")}}),
		"b.tar":      tarOf(t, []tarFile{{name: "1.png", raw: anyFile}, {name: "1.cls", raw: []byte("cat")}}),
	})
	all, err := ByFileName(t.Context(), files.OS, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	var got []string
	for i := range all.Len() {
		got = append(got, path.Base(filepath.ToSlash(all.Name(i))))
	}
	if strings.Join(got, " ") != "1.png 2.png" {
		t.Error(got)
	}
	put(t, filepath.Join(dir, wdsInfo), []byte("["))
	_, err = ByFileName(t.Context(), files.OS, []string{dir})
	if e := (*SourceError)(nil); !errors.As(err, &e) || e.Problem != BadNotes {
		t.Error(err)
	}
}

// TestByFileNamePacked: what is compressed is refused as that, whatever it is called, and not taken for a picture.
func TestByFileNamePacked(t *testing.T) {
	for name, raw := range map[string][]byte{
		"a table": parquetFile(t, "pages.parquet"),
		"gzip":    gzipOf(t, tarOf(t, []tarFile{{name: "a.png", raw: anyFile}})),
		"a zip":   zipOf(t, []tarFile{{name: "a.png", raw: anyFile}}),
	} {
		_, err := ByFileName(t.Context(), files.OS, []string{write(t, "x.bin", raw)})
		if e := (*SourceError)(nil); !errors.As(err, &e) || e.Problem != OnlyThrough {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestByFileNameDamaged: a damaged set after the end of ctx is the end of ctx, and before that what is wrong with it.
func TestByFileNameDamaged(t *testing.T) {
	dir := t.TempDir()
	writeSet(t, dir, [3]int{4, 0, 0})
	put(t, filepath.Join(dir, shards.IndexName), []byte(shards.Magic))
	_, err := ByFileName(t.Context(), files.OS, []string{dir})
	if e := (*SourceError)(nil); !errors.As(err, &e) || e.Problem != BadSet {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := ByFileName(ctx, files.OS, []string{dir}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
