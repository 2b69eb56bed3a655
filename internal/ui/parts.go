package ui

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Part is a piece of a line that is written again and again with other numbers.
type Part struct {
	Text string
	Room int // for so many characters, whatever the numbers are, place is kept
	Rank int // those with the lowest are there first
}

// Fit puts parts in a line, two spaces apart, of width characters (0: all of them, without padding). Which parts have
// room, and where each begins, depends on the width and not on the numbers, so that the lines of a run are all alike.
// The first in rank is there in any case.
func Fit(parts []Part, width int) string {
	byRank := make([]int, len(parts))
	for i := range byRank {
		byRank[i] = i
	}
	slices.SortStableFunc(byRank, func(a, b int) int { return parts[a].Rank - parts[b].Rank })
	fits := make([]bool, len(parts))
	for n, used := 0, 0; n < len(byRank); n++ {
		i := byRank[n]
		need := parts[i].room()
		if n > 0 {
			need += gap
		}
		if fits[i] = n == 0 || width <= 0 || used+need <= width; fits[i] {
			used += need
		}
	}
	var b strings.Builder
	for i := range parts {
		if !fits[i] {
			continue
		}
		b.WriteString(parts[i].Text + strings.Repeat(" ", gap))
		if width > 0 {
			b.WriteString(strings.Repeat(" ", parts[i].room()-utf8.RuneCountInString(parts[i].Text)))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func (p *Part) room() int { return max(p.Room, utf8.RuneCountInString(p.Text)) }
