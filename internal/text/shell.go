package text

import (
	"strings"
	"unicode"
)

// ShellWord is s as a POSIX shell takes it for one word: as it is where that is safe, else in single quotes. Safe are
// only letters, digits and signs that no shell reads anything into. The list is of these, not of those to quote, so
// that a sign nobody thought of is quoted.
func ShellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_./,:=+@%", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
