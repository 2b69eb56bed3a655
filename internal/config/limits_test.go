package config

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"alexnet/internal/crafted"
)

// spent runs f and tells how long it took and how much memory it asked for, freed or not.
func spent(f func()) (time.Duration, int64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	f()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	return took, int64(after.TotalAlloc - before.TotalAlloc)
}

// A page that is made to hurt is refused in a moment, in a small multiple of its own size.
func TestCraftedPages(t *testing.T) {
	if _, err := Parse(crafted.SoundPage(), nil); err != nil {
		t.Fatal(err)
	}
	for _, p := range crafted.Pages() {
		var err error
		took, bytes := spent(func() { _, err = Parse(p.YAML, nil) })
		var ours *Error
		if !errors.As(err, &ours) || !strings.Contains(ours.Error(), p.Want) || len(ours.Error()) > 500 {
			t.Errorf("%s: error %v, want one with %q", p.Name, err, p.Want)
		}
		if took > 5*time.Second || bytes > 64<<20 {
			t.Errorf("%s: %v and %d MB", p.Name, took, bytes>>20)
		}
	}
}

// The largest page that is read costs seconds at most: 10,000 keys, 100 levels.
func TestLargestPages(t *testing.T) {
	for name, page := range map[string]string{
		"keys":          "data: {std: [" + strings.Repeat("1,", maxKeys-10) + "1]}",
		"lines":         "data:\n  std:\n" + strings.Repeat("  - 1\n", maxKeys-10),
		"groups":        "data:\n  std:\n" + strings.Repeat("  - {a: [b]}\n", maxKeys/2-10),
		"levels":        "data: " + strings.Repeat("[", maxDepth-2) + strings.Repeat("]", maxDepth-2),
		"text":          "data: {mean: " + strings.Repeat("x", MaxPage-20) + "}",
		"quoted":        "data: {mean: \"" + strings.Repeat("\\n", MaxPage/2-20) + "\"}",
		"lines of text": "data:\n  mean: |\n" + strings.Repeat("    x\n", MaxPage/6-20),
		"comments":      strings.Repeat("# x\n", maxTokens-10) + "data: {std: 1}",
	} {
		var err error
		took, bytes := spent(func() { _, err = Parse([]byte(page), nil) })
		if err == nil || strings.Contains(err.Error(), "levels deep") || strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: error %v, want one about what it holds", name, err)
		}
		if took > 5*time.Second || bytes > 256<<20 {
			t.Errorf("%s: %v and %d MB", name, took, bytes>>20)
		}
	}
}

// A byte order mark is passed over, whatever ends the lines; a tab is called a tab.
func TestMarkAndTab(t *testing.T) {
	page := crafted.SoundPage()
	for _, mark := range []string{"\xef\xbb\xbf", "\xef\xbb\xbf\xef\xbb\xbf"} {
		for _, end := range []string{"\n", "\r\n", "\r"} {
			marked := append([]byte(mark), bytes.ReplaceAll(page, []byte("\n"), []byte(end))...)
			if _, err := Parse(marked, nil); err != nil {
				t.Errorf("a page with a byte order mark of %d bytes and lines that end in %q: %v", len(mark), end, err)
			}
		}
	}
	for _, tabbed := range []string{"train:\n\tlr: 1\n", "train:\n  lr: 1\n\tbatch: 2\n", "\ttrain: {lr: 1}\n"} {
		_, err := Parse([]byte(tabbed), nil)
		if err == nil || !strings.Contains(err.Error(), "tab") {
			t.Errorf("%q: %v, want a word about the tab", tabbed, err)
		}
	}
	if _, err := Parse(bytes.ReplaceAll(page, []byte(": "), []byte(":\t")), nil); err != nil {
		t.Logf("tabs between: %v", err)
	}
}

// TestWideText: a page in UTF-16 or UTF-32 is called that, and no other is.
func TestWideText(t *testing.T) {
	page := string(crafted.SoundPage())
	short := utf16.Encode([]rune(page))
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, mark := range []string{"", "\uFEFF"} {
			var two, four []byte
			for _, r := range utf16.Encode([]rune(mark)) {
				two, four = order.AppendUint16(two, r), order.AppendUint32(four, uint32(r))
			}
			for _, r := range short {
				two, four = order.AppendUint16(two, r), order.AppendUint32(four, uint32(r))
			}
			for form, text := range map[string][]byte{"UTF-16": two, "UTF-32": four} {
				_, err := Parse(text, nil)
				if err == nil || !strings.Contains(err.Error(), "is text in "+form+", where a page is in UTF-8") {
					t.Errorf("%s, %v, mark %q: %v", form, order, mark, err)
				}
			}
		}
	}
	for _, other := range []string{"", "t", "\xff", "\xef\xbb\xbf", "# caf\xe9\n" + page, "# caf\u00e9\n" + page} {
		if form := wideForm([]byte(other)); form != "" {
			t.Errorf("%q is taken for %s", other[:min(8, len(other))], form)
		}
	}
}

// Whatever lies under the name of a page, only so much of it is read.
func TestReadPage(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, "long.yaml")
	if err := os.WriteFile(long, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(long, 1<<40); err != nil {
		t.Skip("no sparse files here: ", err)
	}
	for path, want := range map[string]string{long: "longer than", dir: "is a directory", "/dev/zero": "longer than"} {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		var err error
		_, bytes := spent(func() { _, err = Load(path, nil) })
		var ours *Error
		if !errors.As(err, &ours) || !strings.Contains(err.Error(), want) || bytes > 16*MaxPage {
			t.Errorf("%s: %v after %d MB, want %q", path, err, bytes>>20, want)
		}
	}
	pipe := filepath.Join(dir, "pipe.yaml")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skip("no FIFOs here: ", err)
	}
	go os.WriteFile(pipe, crafted.SoundPage(), 0) //nolint:errcheck // what is read tells
	if _, err := Load(pipe, nil); err != nil {
		t.Errorf("a page from a pipe: %v", err)
	}
}
