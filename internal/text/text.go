// Package text holds the rules by which the program writes numbers and words for people: counts, sizes, shares, times,
// beginnings of lists, words for a shell, and the name that was probably meant. All of them are pure functions of their
// arguments, so that any package may use them; the package imports nothing of the program.
//
// What goes to a terminal, and how wide and in which colour, is for package ui.
package text

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Grouped writes 60965224 as 60,965,224.
func Grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Count is "1 picture", "1,200 pictures".
func Count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return Grouped(int64(n)) + " " + one + "s"
}

// Classes is "1 class", "1000 classes".
func Classes(n int) string {
	if n == 1 {
		return "1 class"
	}
	return strconv.Itoa(n) + " classes"
}

// Bytes writes a size with a binary unit: "243.9 MiB".
func Bytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/unit, 0
	for v >= unit && i < 3 {
		v, i = v/unit, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGT"[i])
}

// Percent writes a fraction: 0.125 is 12.5%.
func Percent(f float64) string { return strconv.FormatFloat(100*f, 'f', 1, 64) + "%" }

// Clock writes a duration as 1:02:03 or 02:03, rounded to seconds.
func Clock(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%02d:%02d", s/60, s%60)
}

// Duration writes one as time.ParseDuration reads it, without parts that are zero: 5m, 1h30m, 2.5s.
func Duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Speed writes images a second: 9.57, 45.7, 12,345.
func Speed(f float64) string {
	switch {
	case f >= 100:
		return Grouped(int64(math.Round(f))) + " images/s"
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64) + " images/s"
	}
	return strconv.FormatFloat(f, 'f', 2, 64) + " images/s"
}

// Loss writes a loss in six characters while it is below 1000: 0.0123, 6.9078, 12.345, 123.46.
func Loss(x float64) string {
	decimals := 4
	for limit := 10.; x >= limit && decimals > 1; limit *= 10 {
		decimals--
	}
	return strconv.FormatFloat(x, 'f', decimals, 64)
}

// Plain writes a number with so many significant digits, and without an exponent where people would not write one
// either: from 1e-6 to 1e9.
func Plain(x float64, digits int) string {
	short, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', digits, 64), 64)
	if a := math.Abs(short); err != nil || a != 0 && (a < 1e-6 || a >= 1e9) {
		return strconv.FormatFloat(x, 'g', digits, 64)
	}
	return strconv.FormatFloat(short, 'f', -1, 64)
}

// Examples is the beginning of a list of names, each as Name has it: "cat, dog, emu, ...".
func Examples(names []string) string {
	if len(names) > 3 {
		return strings.Join(Names(names[:3]), ", ") + ", ..."
	}
	return strings.Join(Names(names), ", ")
}

// Shape is "96x3x11x11"; a single number has the empty shape "()".
func Shape(shape []int) string {
	if len(shape) == 0 {
		return "()"
	}
	var b strings.Builder
	for i, d := range shape {
		if i > 0 {
			b.WriteByte('x')
		}
		fmt.Fprint(&b, d)
	}
	return b.String()
}

// Shorten cuts s to n characters, the last of which then is "…"; with n of 0 or less it leaves s as it is.
func Shorten(s string, n int) string {
	if n <= 0 || utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
