package ui

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// Lines with other numbers have the same parts in the same columns, at every width.
func TestFit(t *testing.T) {
	line := func(width int, epoch, loss, speed string) string {
		return Fit([]Part{
			{Text: "epoch " + epoch, Room: 11, Rank: 0},
			{Text: "loss " + loss, Room: 11, Rank: 2},
			{Text: "top-1", Room: 5, Rank: 1},
			{Text: speed, Room: 6, Rank: 3},
		}, width)
	}
	for width := 1; width < 60; width++ {
		a, b := line(width, "9/30", "9.1234", "9/s"), line(width, "10/30", "0.1234", "1234/s")
		for _, word := range []string{"epoch", "loss", "top-1", "/s"} {
			in := strings.Index(a, word)
			if word != "/s" && in != strings.Index(b, word) || in < 0 != !strings.Contains(b, word) {
				t.Errorf("%d: not alike:\n%s\n%s", width, a, b)
			}
		}
		if n := utf8.RuneCountInString(b); n > max(width, len("epoch 10/30")) {
			t.Errorf("%d: %d characters: %s", width, n, b)
		}
	}
	for width, want := range map[int]string{
		0:  "epoch 9/30  loss 9.1234  top-1  9/s",
		5:  "epoch 9/30",
		18: "epoch 9/30   top-1",
		31: "epoch 9/30   loss 9.1234  top-1",
		30: "epoch 9/30   top-1  9/s", // what is less important, but finds room
		39: "epoch 9/30   loss 9.1234  top-1  9/s",
	} {
		if got := line(width, "9/30", "9.1234", "9/s"); got != want {
			t.Errorf("%d: %q, want %q", width, got, want)
		}
	}
}
