package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ShellWord is s as a shell takes it for one word: as it is where that is safe, else in single quotes. Safe are only
// letters, digits and signs that no shell reads anything into. The list is of these, not of those to quote, so that a
// sign nobody thought of is quoted. What a terminal would obey cannot be shown as it is, nor pasted: a word with such
// characters is written as $'\n', which bash, zsh and ksh take, and POSIX since 2024.
func ShellWord(s string) string {
	if s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_./,:=+@%", r)
	}) {
		return s
	}
	if utf8.ValidString(s) && !strings.ContainsFunc(s, obeyed) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '\'' || r == '\\':
			b.WriteString(`\` + s[:n])
		case r == utf8.RuneError && n == 1 || obeyed(r):
			for i := range n {
				fmt.Fprintf(&b, `\x%02x`, s[i])
			}
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String() + "'"
}

// ShellPath is ShellWord of a path: one that begins with a dash, which commands would take for a flag, is given the
// folder that it lies in.
func ShellPath(path string) string {
	if strings.HasPrefix(path, "-") {
		path = "./" + path
	}
	return ShellWord(path)
}
