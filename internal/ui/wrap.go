package ui

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// narrowest is the width below which nothing is broken: there is no room for anything.
const narrowest = 20

// Wrap breaks lines of prose at spaces, so that they fit into width characters (0: none is broken), of which used are
// taken in the first line; what goes on is indented. Commands, flags with their value and paths stay whole, however
// long they are, so that they can be copied.
func Wrap(s string, width, used, indent int) string {
	lines := strings.Split(s, "\n")
	if width < narrowest {
		return s
	}
	for i, line := range lines {
		if i > 0 {
			used = 0
		}
		if used+utf8.RuneCountInString(line) > width {
			lines[i] = wrapLine(line, width, used, indent)
		}
	}
	return strings.Join(lines, "\n")
}

func wrapLine(line string, width, used, indent int) string {
	body := strings.TrimLeft(line, " ")
	lead := line[:len(line)-len(body)]
	var b strings.Builder
	b.WriteString(lead)
	at, begin := used+len(lead), true
	for _, unit := range units(body) {
		n := utf8.RuneCountInString(unit)
		switch {
		case begin:
		case at+1+n > width:
			b.WriteString("\n" + lead + strings.Repeat(" ", indent))
			at = len(lead) + indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(unit)
		at, begin = at+n, false
	}
	return b.String()
}

// programs begin commands, and what they are given may be a word of any kind.
var programs = []string{"alexnet", "apt-get", "git", "mkdir", "rm", "tar", "ulimit"}

var (
	flagWord = regexp.MustCompile(`^\(?--?[a-zA-Z][a-zA-Z0-9-]*$`)
	plain    = regexp.MustCompile(`^[a-z]+$`)
	sentence = regexp.MustCompile(`[,;:)]$|[^.]\.$`)
)

// units are the words of a line, those in one that no end of line may part.
func units(line string) (units []string) {
	words := strings.Split(line, " ")
	command := -1   // words of a command so far; -1: none has begun
	quoted := false // within single quotes
	for i, w := range words {
		before := ""
		if i > 0 {
			before = words[i-1]
		}
		glued := i > 0 && (quoted || w == "" || before == "" || flagWord.MatchString(before) ||
			strings.HasPrefix(w, "-") && plain.MatchString(before) && slices.Contains(programs, before) ||
			strings.Contains(before, "/") && strings.Contains(w, "/") && !sentence.MatchString(before) ||
			command > 0 && (command < 3 && plain.MatchString(strings.Trim(w, ",;:.)")) || !plain.MatchString(w)))
		if glued {
			units[len(units)-1] += " " + w
		} else {
			units = append(units, w)
		}
		if !quoted && opens(w) && slices.ContainsFunc(words[i+1:], closes) {
			quoted = true
		} else if quoted && closes(w) {
			quoted = false
		}
		switch {
		case !quoted && sentence.MatchString(w):
			command = -1
		case command < 0 && begins(w, words[min(i+1, len(words)-1)]):
			command = 1
		case command > 0 && glued:
			command++
		case command > 0:
			command = -1
		}
	}
	return units
}

// begins tells whether a word is a program's name, and not what the words speak of: tar tf, but no tar of pictures.
func begins(w, after string) bool {
	w = strings.TrimLeft(w, "(`\"")
	return slices.Contains(programs, w) && (w != "tar" || after == "tf")
}

// opens tells whether a word begins what a shell takes for one word, and does not end it.
func opens(w string) bool {
	return (strings.HasPrefix(w, "'") || strings.HasPrefix(w, "$'")) && strings.Count(w, "'") == 1
}

func closes(w string) bool { return strings.HasSuffix(strings.TrimRight(w, ",;:.)"), "'") }

// item is a line of a list: what it is about, a gap, and words on it.
var item = regexp.MustCompile(`^( +\S.*?  +)(\S.*)$`)

// Help lays out a help text anew for a width, so many characters at most as it was written for. Lines that begin in the
// first column are prose, and fill up; an item of a list (a flag, a command, a term, a gap, words) goes on below its
// words, or where these would have no room, below itself; other lines that are indented are commands, and stay.
func Help(s string, width int) string {
	const written = 100
	if width < narrowest {
		return s
	}
	width = min(width, written)
	lines := strings.Split(s, "\n")
	var out []string
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch m := item.FindStringSubmatch(line); {
		case line == "":
			out = append(out, line)
		case m != nil:
			column := utf8.RuneCountInString(m[1])
			words := m[2]
			for i+1 < len(lines) && column > 0 && indentOf(lines[i+1]) == column {
				i++
				words += " " + strings.TrimSpace(lines[i])
			}
			if width-column < narrowest || column > width/2 {
				out = append(out, strings.TrimRight(m[1], " "))
				out = append(out, Wrap(strings.Repeat(" ", 10)+words, width, 0, 0))
				continue
			}
			out = append(out, m[1]+Wrap(words, width, column, column))
		case line[0] != ' ':
			for i+1 < len(lines) && lines[i+1] != "" && lines[i+1][0] != ' ' && !strings.HasSuffix(line, ":") {
				i++
				line += " " + lines[i]
			}
			out = append(out, Wrap(line, width, 0, 0))
		default:
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
