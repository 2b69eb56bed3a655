package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"alexnet/internal/text"
)

// allowed are the values that a key may have: some words, or the numbers of a range, of a list each; the zero value
// allows whatever the key's type does.
type allowed struct {
	words     []string
	low, high float64 // of durations in seconds
	lowOut    bool    // low itself is not allowed
	highOut   bool
	odd       bool
	zero      string // what 0 means, which is allowed besides; "": nothing
}

// fraction is a share of which something must be left.
var fraction = between(0, 1).under()

func words[T ~string](valid ...T) (a allowed) {
	for _, w := range valid {
		a.words = append(a.words, string(w))
	}
	return a
}

func between(low, high float64) allowed { return allowed{low: low, high: high} }

func (a allowed) over() allowed {
	a.lowOut = true
	return a
}

func (a allowed) under() allowed {
	a.highOut = true
	return a
}

func (a allowed) onlyOdd() allowed {
	a.odd = true
	return a
}

func (a allowed) orZero(meaning string) allowed {
	a.zero = meaning
	return a
}

// text is what the values of a type are, after "must be".
func (a *allowed) text(t reflect.Type) string {
	list := t.Kind() == reflect.Slice
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	bound := func(x float64) string {
		if t.Kind() == reflect.Int64 && x != 0 {
			return text.Duration(time.Duration(x * float64(time.Second)))
		}
		if t.Kind() == reflect.Int {
			return strconv.FormatFloat(x, 'f', -1, 64)
		}
		short := strconv.FormatFloat(x, 'g', -1, 64) // 1e+06, 1e-06
		return strings.NewReplacer("e+0", "e", "e+", "e", "e-0", "e-").Replace(short)
	}
	low, high := bound(a.low), bound(a.high)
	is := ""
	switch {
	case len(a.words) > 0:
		return "one of " + strings.Join(a.words, ", ")
	case a.low == a.high && list:
		return "a list"
	case a.low == a.high:
		return typeName(t.Kind())
	case a.lowOut && a.highOut:
		is = "above " + low + " and below " + high
	case a.lowOut:
		is = "above " + low + " and at most " + high
	case a.highOut:
		is = "at least " + low + " and below " + high
	case a.odd && a.high == a.low+2:
		is = low + " or " + high
	case a.odd:
		is = "odd, " + low + " to " + high
	default:
		is = low + " to " + high
	}
	if a.zero != "" {
		is = "0 (" + a.zero + ") or " + is
	}
	if list {
		is = "a list, each " + is
	}
	return is
}

func (a *allowed) number(x float64) bool {
	switch {
	case a.zero != "" && x == 0, a.low == a.high:
		return true
	case a.odd && int(x)%2 == 0, a.lowOut && x == a.low, a.highOut && x == a.high:
		return false
	}
	return a.low <= x && x <= a.high
}

// check finds out whether a value that was read is allowed, and says what is wrong with it; "": nothing.
func (a *allowed) check(v reflect.Value) string {
	ok := true
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		return a.check(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if wrong := a.check(v.Index(i)); wrong != "" {
				return "has" + strings.TrimPrefix(wrong, "is")
			}
		}
	case reflect.Int:
		ok = a.number(float64(v.Int()))
	case reflect.Int64:
		ok = a.number(time.Duration(v.Int()).Seconds())
	case reflect.Float64:
		ok = a.number(v.Float())
	case reflect.String:
		if len(a.words) > 0 && !slices.Contains(a.words, v.String()) {
			return "is " + strconv.Quote(v.String()) + oneOf(v.String(), a.words)
		}
	}
	if ok {
		return ""
	}
	return "is " + flow(v) + ", must be " + a.text(v.Type())
}
