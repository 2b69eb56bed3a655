package ui

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

// Prose breaks at the width, and what is to be copied does not: commands, flags with their value, paths, quoted words.
func TestWrap(t *testing.T) {
	for _, c := range []struct {
		line        string
		width, used int
		want        string
	}{
		{"as it is", 0, 0, "as it is"},
		{"as it is", 19, 300, "as it is"},
		{"twenty letters are 20", 21, 0, "twenty letters are 20"},
		{"twenty letters are 20", 20, 0, "twenty letters are|  20"},
		{"twenty letters are 20", 21, 3, "twenty letters are|  20"},
		{"füñfzehn Bücher für zwanzig", 20, 0, "füñfzehn Bücher für|  zwanzig"},
		{
			"check the path, or make some with: alexnet data demo --out 'my pictures', then try again", 40, 0,
			"check the path, or make some with:|  alexnet data demo --out 'my pictures',|  then try again",
		},
		{
			"look: alexnet data info /a/b/c/d/e/f/g/h/i/j/k/l/m/n names them all", 40, 7,
			"look:|  alexnet data info /a/b/c/d/e/f/g/h/i/j/k/l/m/n|  names them all",
		},
		{"take --batch 8 or more with this", 20, 3, "take --batch 8 or|  more with this"},
		{"then omit it, or use --device cpu,cpu to see", 36, 0, "then omit it, or use|  --device cpu,cpu to see"},
		{"there is no folder /home/me/My Photos/cats here", 34, 0, "there is no folder|  /home/me/My Photos/cats here"},
		{"first do this: mkdir -p /a/b, then go on", 28, 0, "first do this:|  mkdir -p /a/b, then go on"},
		{"check it with tar tf /a/b.tar of pictures", 28, 0, "check it with|  tar tf /a/b.tar of|  pictures"},
		{"a folder or a tar of pictures", 22, 0, "a folder or a tar of|  pictures"},
		{"the layer's weights are the run's own and 'it'", 30, 0, "the layer's weights are the|  run's own and 'it'"},
		{"$'a\\nb c' is what it is called here", 24, 0, "$'a\\nb c' is what it is|  called here"},
		{"two lines\n  of which the second is long", 24, 9, "two lines|  of which the second is|    long"},
		{"columns  that stand  apart", 21, 0, "columns  that|  stand  apart"},
	} {
		got := strings.ReplaceAll(Wrap(c.line, c.width, c.used, 2), "\n", "|")
		if got != c.want {
			t.Errorf("%d after %d: %s\nwant %s", c.width, c.used, got, c.want)
		}
	}
}

// Nothing is lost, whatever the width.
func TestWrapKeepsWords(t *testing.T) {
	const words = "error here: alexnet train --data 'a b' --out /c d/e, or -x 'f (see 'g h') and $'i; tar tf j' end."
	for width := 1; width < 120; width++ {
		if got := strings.Join(strings.Fields(Wrap(words, width, 3, 2)), " "); got != words {
			t.Errorf("%d: %s", width, got)
		}
	}
}

// What a terminal gets of notes, warnings and errors fits, first line with its label and all.
func TestMessagesFit(t *testing.T) {
	const prose = "the weights do not fit the layers that the page describes, of which there are several here"
	for _, width := range []int{20, 40, 60} {
		var b bytes.Buffer
		term := &Terminal{Err: &b, ErrWidth: width, Color: true}
		term.Note(prose)
		term.Warn(prose)
		term.Fail(prose, "omit --strict, or try alexnet doctor")
		NewProgress(term).Note(prose)
		for _, line := range strings.Split(b.String(), "\n") {
			if n := visible(line); n > width {
				t.Errorf("%d: %d characters: %q", width, n, line)
			}
		}
	}
}

func TestHelp(t *testing.T) {
	const help = `Train a net, on pictures that somebody has put into folders, for as many epochs
as it takes.

  plain    every parameter under its own
           name
  of-a-very-long-name  what it is

Examples:
  alexnet train --data photos --epochs 30 --device cpu,cpu
  alexnet eval   the error

Flags:
      --batch N   pictures a step, as many as fit

Exit codes:
  0    done
`
	for width, want := range map[int]string{
		40: `Train a net, on pictures that somebody
has put into folders, for as many epochs
as it takes.

  plain    every parameter under its own
           name
  of-a-very-long-name
          what it is

Examples:
  alexnet train --data photos --epochs 30 --device cpu,cpu
  alexnet eval   the error

Flags:
      --batch N   pictures a step, as
                  many as fit

Exit codes:
  0    done
`,
		200: strings.NewReplacer("epochs\nas it", "epochs as it", "own\n           name", "own name").Replace(help),
		0:   help,
	} {
		got := Help(help, width)
		if got != want {
			t.Errorf("%d:\n%s", width, got)
		}
		for _, line := range strings.Split(got, "\n") {
			if n := utf8.RuneCountInString(line); width > 0 && n > width && !strings.HasPrefix(line, "  alexnet") {
				t.Errorf("%d: %d characters: %s", width, n, line)
			}
		}
	}
}
