package main

import (
	"bytes"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/files"
	"alexnet/internal/ui"
)

// TestRemoteData: paths of a store and of the disk make one source, whichever is first, also of names that were joined
// as paths are, and with labels from the disk or from the store.
func TestRemoteData(t *testing.T) {
	memory := s3mem.New()
	if err := memory.CreateBucket("pictures"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(memory).Server())
	defer server.Close()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ENDPOINT_URL_S3": "", "AWS_ACCESS_KEY_ID": "me",
		"AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_EC2_METADATA_DISABLED": "true",
		"XDG_CACHE_HOME": t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	put := func(key string, raw []byte) {
		meta := map[string]string{"Last-Modified": "Mon, 30 Nov 2026 12:00:00 GMT"}
		if _, err := memory.PutObject("pictures", key, meta, bytes.NewReader(raw), int64(len(raw)), nil); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := demo.Write(t.Context(), files.OS, filepath.Join(dir, "set"), demo.Options{
		Train: 2, Val: 1, Size: 16,
	}); err != nil {
		t.Fatal(err)
	}
	local, err := data.Open(t.Context(), files.OS, data.At(filepath.Join(dir, "set")), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer closeQuietly(local)
	var labels bytes.Buffer
	loose := fstest.MapFS{}
	for _, set := range []*data.Set{local.Train, local.Val} {
		for i := range set.Len() {
			raw, err := set.Read(t.Context(), i, nil)
			if err != nil {
				t.Fatal(err)
			}
			put("set/"+set.Name(i), raw)
			if set == local.Val {
				base := string(rune('a'+i)) + ".png"
				put("loose/val/"+base, raw)
				loose[base] = &fstest.MapFile{Data: raw, Mode: 0o600}
				labels.WriteString(base + " " + local.Classes[set.Label(i)] + "\n")
			}
		}
	}
	put("labels", labels.Bytes())
	labelled := filepath.Join(dir, "labels")
	if err := os.WriteFile(labelled, labels.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	train, val := filepath.Join(dir, "set", "train"), filepath.Join(dir, "set", "val")
	const remote = "s3://pictures/set"
	for name, at := range map[string]data.Place{
		"one":                  data.At(remote),
		"two":                  data.At(remote+"/train", remote+"/val"),
		"the first on disk":    data.At(train, remote+"/val"),
		"the second on disk":   data.At(remote+"/train", val),
		"labels on the disk":   {Paths: []string{train, "s3://pictures/loose/val"}, Labels: labelled},
		"labels in the store":  {Paths: []string{train, "s3://pictures/loose/val"}, Labels: "s3://pictures/labels"},
		"joined, and one more": data.At(filepath.Join(remote, "train"), remote+"/val"),
	} {
		src, err := listPictures(t.Context(), at, 0, 1, 0.01, &ui.Terminal{Err: io.Discard})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if src.Train.Len() != local.Train.Len() || src.Val.Len() != local.Val.Len() ||
			!slices.Equal(src.Classes, local.Classes) {
			t.Errorf("%s: %d and %d pictures, classes %v", name, src.Train.Len(), src.Val.Len(), src.Classes)
		}
		for _, pair := range [][2]*data.Set{{src.Train, local.Train}, {src.Val, local.Val}} {
			for i := range pair[0].Len() {
				got, err := pair[0].Read(t.Context(), i, nil)
				want, failed := pair[1].Read(t.Context(), i, nil)
				if err != nil || failed != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %s: %v, %v", name, pair[0].Name(i), err, failed)
				}
			}
		}
		closeQuietly(src)
	}
	if err := os.CopyFS(filepath.Join(dir, "loose", "val"), loose); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", labelled) // a file: nothing can be kept
	var said bytes.Buffer
	src, err := listPictures(t.Context(), data.Place{
		Paths: []string{train, filepath.Join(dir, "loose", "val")}, Labels: "s3://pictures/labels",
	}, 0, 1, 0.1, &ui.Terminal{Err: &said})
	if err != nil || src.Val.Len() != local.Val.Len() ||
		!strings.Contains(said.String(), "s3://pictures/labels is not kept") {
		t.Fatalf("only the labels in the store, no cache: %v; said %q", err, &said)
	}
	closeQuietly(src)
	for _, at := range []data.Place{data.At("s3://"), data.At("s3:/"), {Paths: []string{train}, Labels: "s3://"}} {
		_, err := listPictures(t.Context(), at, 0, 1, 0.01, &ui.Terminal{Err: io.Discard})
		if exitCode(err) != exitUsage || !strings.Contains(err.Error(), "names no bucket") {
			t.Errorf("%v: %v", at, err)
		}
	}
	if _, err := listPictures(t.Context(), data.Place{Paths: []string{train}, Labels: "s3://pictures/none"}, 0, 1, 0.01,
		&ui.Terminal{Err: io.Discard}); err == nil {
		t.Error("labels that are not in the store")
	}
}
