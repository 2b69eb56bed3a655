package text_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"alexnet/internal/text"
)

func TestNearest(t *testing.T) {
	commands := []string{"train", "eval", "predict", "features", "summary", "data", "weights", "bench", "version"}
	for typed, want := range map[string]string{
		"tarin": "train", "trian": "train", "Eval": "eval", "evaluate": "eval", "sum": "summary", "predcit": "predict",
		"feature": "features", "dat": "data", "xyzzy": "", "benhc": "bench",
	} {
		if got := text.Nearest(typed, commands); got != want {
			t.Errorf("text.Nearest(%q) = %q, want %q", typed, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{text.Grouped(60965224), "60,965,224"},
		{text.Grouped(999), "999"},
		{text.Grouped(-1234), "-1,234"},
		{text.Grouped(-123), "-123"},
		{text.Bytes(1023), "1023 B"},
		{text.Bytes(255_721_472), "243.9 MiB"},
		{text.Bytes(3 << 40), "3.0 TiB"},
		{text.Clock(59*time.Second + 600*time.Millisecond), "01:00"},
		{text.Clock(3723 * time.Second), "1:02:03"},
		{text.Percent(.125), "12.5%"},
		{text.Speed(9.567), "9.57 images/s"},
		{text.Speed(45.67), "45.7 images/s"},
		{text.Speed(12345.6), "12,346 images/s"},
		{text.Plain(.0001234, 2), "0.00012"},
		{text.Plain(.1+.2, 4), "0.3"},
		{text.Plain(6.90775, 4), "6.908"},
		{text.Plain(123456, 2), "120000"},
		{text.Plain(1e-7, 2), "1e-07"},
		{text.Plain(2.5e9, 4), "2.5e+09"},
		{text.Plain(0, 3), "0"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{text.Loss(0.01234), "0.0123"},
		{text.Loss(9.9999), "9.9999"},
		{text.Loss(12.3456), "12.346"},
		{text.Loss(123456), "123456.0"},
		{text.Loss(math.NaN()), "NaN"},
		{text.Count(1, "picture"), "1 picture"},
		{text.Count(1200, "picture"), "1,200 pictures"},
		{text.Classes(1), "1 class"},
		{text.Classes(1000), "1000 classes"},
		{text.Examples([]string{"cat", "dog", "emu"}), "cat, dog, emu"},
		{text.Examples([]string{"cat", "dog", "emu", "fox"}), "cat, dog, emu, ..."},
		{text.Examples(nil), ""},
		{text.Shorten("pictures", 5), "pict…"},
		{text.Shorten("größer", 6), "größer"},
		{text.Shorten("pictures", 0), "pictures"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

// shellWords are words as users name files, beside what ShellWord must make of them.
var shellWords = map[string]string{
	"runs/train2":         "runs/train2",
	"train.lr=0.001":      "train.lr=0.001",
	"cuda:0,cuda:1":       "cuda:0,cuda:1",
	"Bäume/größer.jpg":    "Bäume/größer.jpg",
	"":                    "''",
	"my photos":           "'my photos'",
	"it's":                `'it'\''s'`,
	"~/photos":            "'~/photos'",
	"$HOME;`id`|&":        "'$HOME;`id`|&'",
	"net^2":               "'net^2'", // a pipe in old shells
	"*.jpg":               "'*.jpg'",
	`back\slash "quoted"`: `'back\slash "quoted"'`,
	"no\u00a0break":       "'no\u00a0break'",
}

// bashWords are those with what a terminal would obey.
var bashWords = map[string]string{
	"a\tb\nc\r":             `$'a\x09b\x0ac\x0d'`,
	"\x1b[2J; it's \\ `id`": `$'\x1b[2J; it\'s \\ ` + "`id`'",
	"bl\xe4\xf6":            `$'bl\xe4\xf6'`,
	"jpg.\u202eexe":         `$'jpg.\xe2\x80\xaeexe'`,
	"\u009b2J":              `$'\xc2\x9b2J'`,
}

func TestBashTakesShellWord(t *testing.T) {
	bash, lacks := exec.LookPath("bash")
	for word, want := range bashWords {
		if got := text.ShellWord(word); got != want {
			t.Errorf("text.ShellWord(%q) = %s, want %s", word, got, want)
		}
		if lacks != nil {
			continue
		}
		out, err := exec.Command(bash, "-c", "printf '<%s>' "+text.ShellWord(word)).Output()
		if err != nil || string(out) != "<"+word+">" {
			t.Errorf("of %q bash makes %q (%v)", word, out, err)
		}
	}
}

func TestEscape(t *testing.T) {
	for _, c := range []struct{ in, escaped, name string }{
		{"cat", "cat", "cat"},
		{"größer 猫 é\u00a0\U0001f431", "größer 猫 é\u00a0\U0001f431", "größer 猫 é\u00a0\U0001f431"},
		{"a\nb\tc\rd", "a\nb\tc\\rd", `a\nb\tc\rd`},
		{"\x1b[31mred\x07\x00\x7f", `\x1b[31mred\x07\x00\u007f`, `\x1b[31mred\x07\x00\u007f`},
		{"\u009b2J \u0085", `\u009b2J \u0085`, `\u009b2J \u0085`},
		{"\xff\xc3(\x9b", `\xff\xc3(\x9b`, `\xff\xc3(\x9b`},
		{
			"\u202egnp.exe\u2066\u200e\u061c\u2028", `\u202egnp.exe\u2066\u200e\u061c\u2028`,
			`\u202egnp.exe\u2066\u200e\u061c\u2028`,
		},
		{
			"a\u00adb\u200b\u2060\ufeff\U000e0041", `a\u00adb\u200b\u2060\ufeff\U000e0041`,
			`a\u00adb\u200b\u2060\ufeff\U000e0041`,
		},
		{"\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"}, // Persian needs it
		{`back\x1b`, `back\x1b`, `back\\x1b`},
		{"\ufffd", "\ufffd", "\ufffd"},
	} {
		if got := text.Escape(c.in); got != c.escaped {
			t.Errorf("Escape(%q) = %q, want %q", c.in, got, c.escaped)
		}
		if got := text.Name(c.in); got != c.name {
			t.Errorf("Name(%q) = %q, want %q", c.in, got, c.name)
		}
	}
	const document = "{\n  \"a\": \"\u009b2J \u202e \x7f é\"\n}\n"
	if got, want := text.EscapeJSON(document), "{\n  \"a\": \"\\u009b2J \\u202e \\u007f é\"\n}\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestUnescape: any name can be told from what is written of it, on the screen and in JSON, and no two are written the
// same.
func TestUnescape(t *testing.T) {
	for name, want := range map[string]string{
		"\xb9\xb7":       `\xb9\xb7`,       // "dog" in GBK
		`\xb9\xb7`:       `\\xb9\\xb7`,     // the same, in letters
		"\x83\x5c":       `\x83\\`,         // the second byte of a letter in Shift-JIS is a backslash
		"caf\xe9":        `caf\xe9`,        // Latin-1
		"\ufffd":         "\ufffd",         // what stands for a byte elsewhere is a letter of its own
		"a\n\u202eb\x1b": "a\n\u202eb\x1b", // JSON has its own way
		"猫 café\\":       "猫 café" + `\\`, "": "",
	} {
		if got := text.UTF8(name); got != want {
			t.Errorf("UTF8(%q) = %q, want %q", name, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.SampledFrom(
			[]byte("\\xb9n\n\x1b\xb9\x83\xe2\x80\xae\xef\xbf\xbd\xf0\x9f\x90\xb1Uu0")),
		), func(b []byte) string { return string(b) })).Draw(t, "name")
		document, err := json.Marshal(text.Raw(name))
		if err != nil {
			t.Fatal(err)
		}
		var raw text.Raw
		if err := json.Unmarshal(document, &raw); err != nil || string(raw) != name {
			t.Fatalf("of %q, %s in JSON, comes %q (%v)", name, document, raw, err)
		}
		for _, written := range []string{text.Name(name), text.UTF8(name)} {
			if got, err := text.Unescape(written); err != nil || got != name || !utf8.ValidString(written) {
				t.Fatalf("of %q, written %q, comes %q (%v)", name, written, got, err)
			}
		}
	})
	for _, written := range []string{`\`, `a\`, `\x`, `\xb`, `\xzz`, `\q`, `\u12`, `\ud800`, `\U00110000`, `\x+1`} {
		if got, err := text.Unescape(written); err == nil {
			t.Errorf("Unescape(%s) = %q, want an error", written, got)
		}
	}
}

func TestShellWord(t *testing.T) {
	for word, want := range shellWords {
		if got := text.ShellWord(word); got != want {
			t.Errorf("text.ShellWord(%q) = %s, want %s", word, got, want)
		}
	}
}

// TestShellTakesShellWord: a shell reads each of them as one word, the very one that was meant.
func TestShellTakesShellWord(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	for word := range shellWords {
		out, err := exec.Command(sh, "-c", "printf '<%s>' "+text.ShellWord(word)).Output()
		if err != nil || string(out) != "<"+word+">" {
			t.Errorf("of %q a shell makes %q (%v)", word, out, err)
		}
	}
}

func TestShellPath(t *testing.T) {
	for path, want := range map[string]string{
		"runs/train": "runs/train", "-x": "./-x", "-my x": "'./-my x'", "/a/-b": "/a/-b", "a-": "a-", "-": "./-",
	} {
		if got := text.ShellPath(path); got != want {
			t.Errorf("text.ShellPath(%q) = %s, want %s", path, got, want)
		}
	}
}

func ExampleNearest() {
	fmt.Println(text.Nearest("bacth", []string{"epochs", "batch", "lr"}),
		text.Nearest("quite different", []string{"batch"}) == "")
	// Output: batch true
}

func TestDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"5m": 5 * time.Minute, "1h": time.Hour, "1h30m": 90 * time.Minute, "2.5s": 2500 * time.Millisecond, "0s": 0,
		"1h0m5s": time.Hour + 5*time.Second, "10s": 10 * time.Second, "20m": 20 * time.Minute, "-1m": -time.Minute,
	} {
		got := text.Duration(d)
		if back, err := time.ParseDuration(got); got != want || err != nil || back != d {
			t.Errorf("%v: %q, want %q; read as %v (%v)", d, got, want, back, err)
		}
	}
}
