//go:build cuda

package kernels

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPTX holds the list against what was compiled: every kernel with its arguments, each of 8 bytes, and none besides.
func TestPTX(t *testing.T) {
	ptx := string(PTX())
	found := map[string]int{}
	for _, m := range regexp.MustCompile(`(?s)\.visible \.entry (\w+)\((.*?)\)`).FindAllStringSubmatch(ptx, -1) {
		params := strings.Count(m[2], ".param")
		if wide := strings.Count(m[2], ".param .u64") + strings.Count(m[2], ".param .f64"); wide != params {
			t.Errorf("%s: %d of %d arguments take 8 bytes", m[1], wide, params)
		}
		found[m[1]] = params
	}
	for _, k := range List {
		if got, ok := found[k.Name]; !ok || got != k.Count() {
			t.Errorf("%s has %d arguments in the PTX, %d in the list: is kernels/built older than the sources? "+
				"scripts/kernels.sh", k.Name, got, k.Count())
		}
		delete(found, k.Name)
	}
	if len(found) > 0 {
		t.Errorf("not in the list: %v", found)
	}
}

func TestImages(t *testing.T) {
	first := func(major, minor int) []byte { return Images(major, minor)[0] }
	for _, c := range []struct{ major, minor, of int }{
		{7, 5, 75},
		{8, 0, 80},
		{8, 6, 86},
		{8, 7, 86},
		{8, 9, 89},
		{9, 0, 90},
		{10, 3, 100},
		{12, 1, 120},
	} {
		if !bytes.Equal(first(c.major, c.minor), first(c.of/10, c.of%10)) || !bytes.HasPrefix(first(c.major, c.minor),
			[]byte("\x7fELF")) {
			t.Errorf("compute capability %d.%d does not get the machine code of sm_%d", c.major, c.minor, c.of)
		}
	}
	for _, c := range [][2]int{{7, 5}, {11, 0}, {13, 0}} {
		images := Images(c[0], c[1])
		last := images[len(images)-1]
		if !slices.Equal(last[:len(last)-1], PTX()) || last[len(last)-1] != 0 {
			t.Errorf("compute capability %v does not end with PTX", c)
		}
		if (len(images) == 2) != (c[0] == 7) {
			t.Errorf("compute capability %v gets %d images", c, len(images))
		}
	}
}
