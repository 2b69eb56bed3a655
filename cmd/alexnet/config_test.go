package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"alexnet/internal/config"
	"alexnet/internal/text"
)

// In a terminal too narrow for the table the sources go, and then its form; no key and no value is ever cut.
func TestConfigInNarrowTerminals(t *testing.T) {
	_, entries, err := config.Explain("alexnet-one-column", nil)
	if err != nil {
		t.Fatal(err)
	}
	o := &netOptions{}
	var keys []configKey
	for i := range entries {
		e := &entries[i]
		keys = append(keys, configKey{e.Key, e.Value, text.Raw(o.sourceOf(e)), e.Text()})
	}
	for _, c := range []struct {
		width   int
		sources bool
	}{{0, true}, {200, true}, {80, true}, {44, false}, {30, false}} {
		var b bytes.Buffer
		printConfig(&b, keys, c.width)
		if got := strings.Contains(b.String(), "alexnet-one-column.yaml"); got != c.sources ||
			strings.Contains(b.String(), "…") {
			t.Errorf("width %d: sources %v, want %v\n%s", c.width, got, c.sources, b.String())
		}
		for _, line := range strings.Split(b.String(), "\n") {
			// 35: model.conv1.weight_decay: 0.0005 and the like
			if n := utf8.RuneCountInString(line); c.width > 0 && n > max(c.width, 35) {
				t.Errorf("width %d: a line of %d: %s", c.width, n, line)
			}
		}
		for _, k := range keys {
			if !strings.Contains(b.String(), k.Key) {
				t.Errorf("width %d: no %s", c.width, k.Key)
			}
		}
	}
}
