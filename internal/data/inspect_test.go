package data

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInspect(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"train/a/1.jpg": testFile(t, "rgb.jpg"), "train/a/2.JPEG": testFile(t, "png_named.JPEG"),
		"train/b/1.jpg": testFile(t, "cmyk.jpg"), "train/b/2.jpg": testFile(t, "truncated.jpg"),
		"val/b/1.jpg": testFile(t, "grey.jpg"), "val/b/2.jpg": []byte("text"), "val/b/3.png": testFile(t, "one.png"),
	})
	src := open(t, dir, .1, 1)
	var last [2]int
	got, err := Inspect(t.Context(), src, 2, func(done, total int) { last = [2]int{done, total} })
	if err != nil {
		t.Fatal(err)
	}
	want := &SourceInfo{
		Path: dir, Fingerprint: src.Fingerprint, Train: 4, Val: 3,
		Classes: []ClassInfo{{"a", 2, 0}, {"b", 2, 3}},
		Formats: map[string]int{"jpeg": 3, "png": 2}, Colors: map[string]int{"rgb": 3, "cmyk": 1, "grey": 1},
		Width: Range{1, 32, 32}, Height: Range{1, 24, 24},
		Unreadable: []Unreadable{
			{"train/b/2.jpg", "jpeg file is cut off"},
			{"val/b/2.jpg", `no picture in a known format: it begins with "text"`},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if last != [2]int{7, 7} {
		t.Errorf("progress ended at %v", last)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Inspect(ctx, src, 1, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

func TestInspectPhotos(t *testing.T) {
	src := open(t, sharedData(t, "photos.tar"), 0, 1)
	info, err := Inspect(t.Context(), src, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if info.Colors["grey"] != 8 || info.Colors["cmyk"] != 0 || len(info.Unreadable) != 0 ||
		info.Formats["jpeg"] != 106 {
		t.Errorf("%v %v %v", info.Formats, info.Colors, info.Unreadable)
	}
	t.Logf("width %+v, height %+v", info.Width, info.Height)
}
