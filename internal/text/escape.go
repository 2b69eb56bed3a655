package text

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape is s with what a terminal would obey, or show as something else, written out: \x1b for a control character or
// a byte that is not UTF-8, \u202e for others. Ends of lines and tabs stay.
func Escape(s string) string {
	return escape(s, func(r rune) bool { return r == '\n' || r == '\t' })
}

// Name is Escape for what did not come from the program and stands in a line of it: the name of a file, a class, a
// tensor. Ends of lines and tabs are written out as well, and a backslash is doubled, so that two names never look the
// same, and from what is shown the name can be told: Unescape does.
func Name[S ~string](s S) string {
	return escape(strings.ReplaceAll(string(s), `\`, `\\`), func(rune) bool { return false })
}

// UTF8 is Name for what only another program reads, JSON for one: just what no text can hold is written out, a byte
// that is not UTF-8 as \xb9, and the backslash is doubled. Unescape gives the name back.
func UTF8(s string) string {
	return escape(strings.ReplaceAll(s, `\`, `\\`), func(rune) bool { return true })
}

// Unescape is the name that Name or UTF8 wrote so. What neither of them writes is an error.
func Unescape(written string) (string, error) {
	var b strings.Builder
	for rest := written; rest != ""; {
		plain, after, escaped := strings.Cut(rest, `\`)
		b.WriteString(plain)
		if !escaped {
			break
		}
		n, err := unescapeOne(&b, after)
		if err != nil {
			return "", fmt.Errorf("%s: %w", written, err)
		}
		rest = after[n:]
	}
	return b.String(), nil
}

// unescapeOne writes what stands for the beginning of s, which follows a backslash, and tells how long that is.
func unescapeOne(b *strings.Builder, s string) (n int, err error) {
	if s == "" {
		return 0, errors.New("ends with a single backslash")
	}
	digits, known := map[byte]int{'\\': 0, 'n': 0, 't': 0, 'r': 0, 'x': 2, 'u': 4, 'U': 8}[s[0]]
	if !known || len(s) <= digits {
		return 0, fmt.Errorf(`\%s is no escape`, s)
	}
	if digits == 0 {
		b.WriteByte(map[byte]byte{'\\': '\\', 'n': '\n', 't': '\t', 'r': '\r'}[s[0]])
		return 1, nil
	}
	v, err := strconv.ParseUint(s[1:1+digits], 16, 32)
	if err != nil || digits > 2 && !utf8.ValidRune(rune(v)) {
		return 0, fmt.Errorf(`\%s is no escape`, s[:1+digits])
	}
	if digits == 2 {
		b.WriteByte(byte(v))
	} else {
		b.WriteRune(rune(v))
	}
	return 1 + digits, nil
}

// Raw is a name that did not come from the program, of any bytes. In JSON it stands as UTF8 writes it.
type Raw string

// MarshalText is UTF8.
func (r Raw) MarshalText() ([]byte, error) { return []byte(UTF8(string(r))), nil }

// UnmarshalText is Unescape.
func (r *Raw) UnmarshalText(written []byte) error {
	name, err := Unescape(string(written))
	*r = Raw(name)
	return err
}

// Raws is names as Raw; of nil, nil.
func Raws(names []string) []Raw {
	if names == nil {
		return nil
	}
	raw := make([]Raw, len(names))
	for i, n := range names {
		raw[i] = Raw(n)
	}
	return raw
}

// Names is Name of each.
func Names(names []string) []string {
	shown := make([]string, len(names))
	for i, n := range names {
		shown[i] = Name(n)
	}
	return shown
}

func escape(s string, stays func(rune) bool) string {
	if !strings.ContainsFunc(s, obeyed) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !obeyed(r) || stays(r):
			b.WriteString(s[:n])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ':
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// The joiners, which Persian and several scripts of India write words with, and pictures of several people.
const zeroWidthNonJoiner, zeroWidthJoiner = 0x200c, 0x200d

// obeyed tells which characters a terminal does not just show: controls (C0, DEL, C1), separators of lines, and
// Unicode's format characters (Cf): marks and overrides of direction, and what has no width, so that two names would
// look the same.
func obeyed(r rune) bool {
	switch {
	case r < ' ', 0x7f <= r && r <= 0x9f, r == 0x2028, r == 0x2029:
		return true
	case r == zeroWidthNonJoiner, r == zeroWidthJoiner:
		return false
	}
	return unicode.Is(unicode.Cf, r)
}

// EscapeJSON is a JSON document with such characters in its strings as JSON writes them: it says the same.
func EscapeJSON(document string) string {
	if !strings.ContainsFunc(document, func(r rune) bool { return r >= 0x7f && obeyed(r) }) {
		return document
	}
	return escape(document, func(r rune) bool { return r < 0x7f || r > 0xffff }) // JSON writes the latter as two
}
