package data

import (
	"encoding/json"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestWebDataset reads what webdataset's own writer wrote (scripts/shards.py): every picture has its name, its
// class and its bytes.
func TestWebDataset(t *testing.T) {
	dir := filepath.Join("testdata", "webdataset")
	raw, err := os.ReadFile(filepath.Join(dir, "want.json"))
	if err != nil {
		t.Fatal(err)
	}
	type picture struct {
		name, class string
		crc         uint32
	}
	var want map[string][][3]any
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	for name, all := range want {
		src := open(t, filepath.Join(dir, name), 0, 1)
		var got []picture
		for _, set := range []*Set{src.Train, src.Val, src.Test} {
			for i := range set.Len() {
				raw, err := set.Read(t.Context(), i, nil)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, picture{set.Name(i), src.Classes[set.Label(i)], crc32.ChecksumIEEE(raw)})
			}
		}
		for _, w := range all {
			if p := (picture{w[0].(string), w[1].(string), uint32(w[2].(float64))}); !slices.Contains(got, p) {
				t.Errorf("%s: lacks %v; has %v", name, p, got)
			}
		}
		if len(got) != len(all) || len(all) == 0 || len(src.Unused) > 0 {
			t.Errorf("%s: %d pictures, want %d; unused %v", name, len(got), len(all), src.Unused)
		}
	}
}
