package data

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"alexnet/internal/imagenet"
	"alexnet/internal/text"
)

// ClassOrder is what classes are ordered by, which is how their keys look.
type ClassOrder string

// The orders.
const (
	ByWNID   ClassOrder = "wnid"
	ByNumber ClassOrder = "number" // 9 before 10
	ByText   ClassOrder = "text"   // numbers as texts, which few class folders are ordered as: 10 before 9
	ByName   ClassOrder = "name"
)

func orderOf(classes []string) ClassOrder {
	switch {
	case !slices.ContainsFunc(classes, func(c string) bool { return !isWNID(c) }):
		return ByWNID
	case !slices.ContainsFunc(classes, func(c string) bool { return !digits(c) }):
		if slices.IsSortedFunc(classes, func(a, b string) int { // they may be too long for an int
			a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
			return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
		}) {
			return ByNumber
		}
		return ByText
	}
	return ByName
}

// isWNID tells whether a class has the form of a WordNet synset, of whatever part of ImageNet: n and 8 digits.
func isWNID(class string) bool {
	rest, is := strings.CutPrefix(class, "n")
	return is && len(rest) == 8 && digits(rest)
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// saying is what a class's name says, whatever way it is written: in capitals or not, in another normal form, with
// blanks around it, with zeros before a number, with words after a WNID.
func saying(class string) string {
	s := strings.ToLower(norm.NFC.String(strings.TrimSpace(class)))
	if len(s) > 9 && isWNID(s[:9]) && strings.ContainsRune("_- .", rune(s[9])) {
		s = s[:9]
	}
	if digits(s) {
		s = strings.TrimLeft(s, "0")
	}
	return s
}

// ILSVRC is how much of ILSVRC2012 there is.
type ILSVRC struct {
	Complete bool `json:"complete"` // as far as counts tell
	// Train and Val are what is missing; below 0, too many. Of a part that is not there, all is.
	Train int          `json:"train_missing"`
	Val   int          `json:"val_missing"`
	Short []ShortClass `json:"short,omitempty"`
}

// ShortClass is a class that has fewer pictures than it can have.
type ShortClass struct {
	Class    text.Raw `json:"class"`
	Part     Part     `json:"part"`
	Pictures int      `json:"pictures"`
	AtLeast  int      `json:"at_least"`
}

// compareClasses says what class names and counts show by themselves.
func (info *SourceInfo) compareClasses() {
	alike := map[string][]text.Raw{}
	var says []string
	for _, c := range info.Classes {
		s := saying(string(c.Name))
		if alike[s] = append(alike[s], c.Name); len(alike[s]) == 2 {
			says = append(says, s)
		}
	}
	for _, s := range says {
		info.SameClass = append(info.SameClass, alike[s])
	}
	if info.Train > 0 && info.Val > 0 && !info.HeldOut {
		only := &Named{}
		for _, c := range info.Classes {
			if c.Train > 0 && c.Val == 0 {
				if only.Count++; len(only.First) < namedMost {
					only.First = append(only.First, c.Name)
				}
			}
		}
		if only.Count > 0 {
			info.TrainOnly = only
		}
	}
	info.ILSVRC = info.ilsvrc()
}

// ilsvrc compares counts with ILSVRC2012's; nil where the classes are others than its 1000.
func (info *SourceInfo) ilsvrc() *ILSVRC {
	if len(info.Classes) != imagenet.Classes {
		return nil
	}
	x := &ILSVRC{}
	have := map[Part]int{TrainPart: info.Train, ValPart: info.Val}
	if info.HeldOut {
		have = map[Part]int{TrainPart: info.Train + info.Val}
	}
	short := func(class text.Raw, part Part, n, least int) {
		if have[part] > 0 && n < least {
			x.Short = append(x.Short, ShortClass{class, part, n, least})
		}
	}
	for _, c := range info.Classes {
		if _, known := imagenet.Place(string(c.Name)); !known {
			return nil
		}
		train, val := c.Train, c.Val
		if info.HeldOut {
			train, val = c.Train+c.Val, 0
		}
		short(c.Name, TrainPart, train, imagenet.FewestTrain)
		short(c.Name, ValPart, val, imagenet.Validations/imagenet.Classes)
	}
	x.Train, x.Val = imagenet.Trainings-have[TrainPart], imagenet.Validations-have[ValPart]
	x.Complete = x.Train == 0 && x.Val == 0 && len(x.Short) == 0
	return x
}
