package text_test

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

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
		{text.JoinFitting([]string{"10/40", "812 images/s", "loss 1"}, 0), "10/40  812 images/s  loss 1"},
		{text.JoinFitting([]string{"10/40", "812 images/s", "loss 1"}, 13), "10/40  loss 1"},
		{text.JoinFitting([]string{"10/40", "812 images/s"}, 1), "10/40"},
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
	"a\tb\nc\r":           "'a\tb\nc\r'",
	"$HOME;`id`|&":        "'$HOME;`id`|&'",
	"net^2":               "'net^2'", // a pipe in old shells
	"*.jpg":               "'*.jpg'",
	`back\slash "quoted"`: `'back\slash "quoted"'`,
	"no\u00a0break":       "'no\u00a0break'",
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

func ExampleNearest() {
	fmt.Println(text.Nearest("bacth", []string{"epochs", "batch", "lr"}),
		text.Nearest("quite different", []string{"batch"}) == "")
	// Output: batch true
}
