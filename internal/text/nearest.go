package text

import "strings"

// Nearest is the name with the fewest edits from s, "" where none comes near: within a third of its letters, or two. A
// name that goes on where s ends, or the other way round, is one edit away.
func Nearest(s string, names []string) string {
	best, bestDist := "", max(2, len(s)/3)+1
	for _, n := range names {
		d := distance(strings.ToLower(s), strings.ToLower(n))
		if len(s) > 2 && (strings.HasPrefix(s, n) || strings.HasPrefix(n, s)) {
			d = min(d, 1)
		}
		if d < bestDist {
			best, bestDist = n, d
		}
	}
	return best
}

// distance counts the insertions, deletions, substitutions and swaps of neighbours that lead from a to b (optimal
// string alignment).
func distance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
