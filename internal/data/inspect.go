package data

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"alexnet/internal/data/picture"
	"alexnet/internal/shards"
	"alexnet/internal/text"
)

// SourceInfo is what Inspect finds, for `alexnet data info`. What is said of pictures is of those that were decoded.
type SourceInfo struct {
	Path        text.Raw       `json:"path"`
	Fingerprint string         `json:"fingerprint"`
	Form        string         `json:"form"`              // in words
	Labels      string         `json:"labels,omitempty"`  // where validation's come from, if not from folders' names
	Decided     string         `json:"decided,omitempty"` // what numbered labels were found to mean
	ClassOrder  ClassOrder     `json:"class_order"`
	HeldOut     bool           `json:"held_out"` // val was split off by share
	Train       int            `json:"train"`    // pictures, unreadable ones included
	Val         int            `json:"val"`
	Test        int            `json:"test,omitempty"`
	Classes     []ClassInfo    `json:"classes"`
	Decoded     int            `json:"decoded"` // pictures that were read, unreadable ones included
	Formats     map[string]int `json:"formats"` // by contents: "jpeg", "png" ..., of readable pictures
	Colors      map[string]int `json:"colors"`  // "rgb", "grey", "cmyk"
	Width       Range          `json:"width"`
	Height      Range          `json:"height"`
	Turned      int            `json:"turned,omitempty"`        // readable ones that EXIF says are to be turned
	Tiny        *Named         `json:"tiny,omitempty"`          // of a shorter side below TinySide
	Huge        *Named         `json:"huge,omitempty"`          // of a longer side above HugeSide
	Misnamed    *Named         `json:"misnamed,omitempty"`      // whose extension is that of another format
	Unreadable  []Unreadable   `json:"unreadable"`              // training set first, in order
	Empty       []text.Raw     `json:"empty_classes,omitempty"` // class folders without pictures
	Unused      []string       `json:"unused,omitempty"`        // what is in no part, and why
	TrainOnly   *Named         `json:"train_only,omitempty"`    // classes without pictures for validation
	SameClass   [][]text.Raw   `json:"same_class,omitempty"`    // classes whose names say the same
	Leftovers   map[string]int `json:"leftovers,omitempty"`     // as in Source
	ILSVRC      *ILSVRC        `json:"ilsvrc2012,omitempty"`    // where the classes are its 1000
	Duplicates  *Duplicates    `json:"duplicates,omitempty"`    // where all pictures were read
}

// Sides beyond which pictures are worth a look, in pixels: a net sees little in fewer than these, and is trained no
// better for more than those.
const (
	TinySide = 32
	HugeSide = 4096
)

// Named counts things and names the first few.
type Named struct {
	Count int        `json:"count"`
	First []text.Raw `json:"first"`
}

// namedMost is how many are named.
const namedMost = 10

// InspectOptions say how Inspect looks at a source.
type InspectOptions struct {
	// Sample is how many pictures are decoded where there are more, of each part and class its share; 0: all. Seed says
	// which.
	Sample   int
	Seed     uint64
	Workers  int                   // goroutines; 0: GOMAXPROCS
	Progress func(done, total int) // called now and then, where not nil
}

// Inspect counts what there is and decodes pictures once, upright. Where it decodes all it also looks for duplicates.
// It fails only when ctx ends or the source does, with a *SourceFault.
func Inspect(ctx context.Context, src *Source, o InspectOptions) (*SourceInfo, error) {
	info := &SourceInfo{
		Path: text.Raw(src.Path), Fingerprint: src.Fingerprint, Form: src.Form, Labels: src.Labels,
		Decided: text.Escape(src.Decided), ClassOrder: orderOf(src.Classes), HeldOut: src.Split,
		Train: src.Train.Len(), Val: src.Val.Len(), Test: src.Test.Len(), Classes: make([]ClassInfo, len(src.Classes)),
		Formats: map[string]int{}, Colors: map[string]int{}, Unreadable: []Unreadable{},
		Empty: text.Raws(src.Empty), Leftovers: src.Leftovers,
	}
	train, val, test := src.Train.Counts(len(src.Classes)), src.Val.Counts(len(src.Classes)),
		src.Test.Counts(len(src.Classes))
	for k, name := range src.Classes {
		info.Classes[k] = ClassInfo{text.Raw(name), train[k], val[k], test[k]}
	}
	for _, u := range src.Unused {
		info.Unused = append(info.Unused, u.String())
	}
	info.compareClasses()
	s := survey{src: src, info: info, pictures: src.sample(o.Sample, o.Seed)}
	if err := s.examine(ctx, o); err != nil {
		return nil, err
	}
	s.finish()
	return info, nil
}

// ClassInfo counts one class.
type ClassInfo struct {
	Name  text.Raw `json:"name"`
	Train int      `json:"train"`
	Val   int      `json:"val"`
	Test  int      `json:"test,omitempty"`
}

// Range is the spread of one number over all readable pictures.
type Range struct {
	Min    int `json:"min"`
	Median int `json:"median"`
	Max    int `json:"max"`
}

// Unreadable is a picture that cannot be read.
type Unreadable struct {
	Name   text.Raw `json:"name"`
	Reason string   `json:"reason"`
}

// all is how many pictures there are.
func (s *Source) all() int { return s.Train.Len() + s.Val.Len() + s.Test.Len() }

// at is picture i of all, training set first: its set and its number there.
func (s *Source) at(i int) (set *Set, k int) {
	for _, set = range []*Set{s.Train, s.Val, s.Test} {
		if i < set.Len() {
			break
		}
		i -= set.Len()
	}
	return set, i
}

// sample chooses so many of all pictures, of each set its share; nil is all.
func (s *Source) sample(n int, seed uint64) []int {
	if n <= 0 || n >= s.all() {
		return nil
	}
	chosen, end := make([]int, 0, n), 0
	for _, set := range []*Set{s.Train, s.Val, s.Test} {
		first := end
		end += set.Len()
		if k := int(int64(n)*int64(end)/int64(s.all())) - len(chosen); k > 0 {
			for _, i := range set.sample(k, seed) {
				chosen = append(chosen, first+i)
			}
		}
	}
	return chosen
}

// survey is what is found while pictures are decoded. Pictures are numbered as Source.at has it.
type survey struct {
	src      *Source
	info     *SourceInfo
	pictures []int // to decode; nil: all

	mu                   sync.Mutex // guards info and all below
	widths, heights      []int32
	tiny, huge, misnamed []int32
	bad                  map[int]*BadPicture
	sums                 []sum
}

// sum is a picture's file: equal ones are taken for the same.
type sum struct {
	crc, length uint32 // CRC-32C; a file has at most maxFile bytes
	picture     int32
}

// examine decodes the pictures.
func (s *survey) examine(ctx context.Context, o InspectOptions) error {
	total := len(s.pictures)
	if s.pictures == nil {
		total = s.src.all()
	}
	s.bad = map[int]*BadPicture{}
	var next atomic.Int64
	done := 0
	c := newCrew(ctx, s.src.outages)
	c.work(min(WorkerCount(o.Workers), total), func(r *reader) {
		var pixels []uint8
		for {
			k := int(next.Add(1)) - 1
			if k >= total {
				return
			}
			i := k
			if s.pictures != nil {
				i = s.pictures[k]
			}
			set, number := s.src.at(i)
			pic, err := r.load(set, number, picture.Want{Channels: 3, Upright: true}, pixels)
			if c.ended(err) {
				return
			}
			var bad *BadPicture
			var file sum
			if !errors.As(err, &bad) {
				pixels = pic.Pixels
				file = sum{shards.Checksum(r.raw), uint32(len(r.raw)), int32(i)}
			}
			s.mu.Lock()
			s.add(i, set, number, pic.File, file, bad)
			done++
			if o.Progress != nil && (done%100 == 0 || done == total) {
				o.Progress(done, total)
			}
			s.mu.Unlock()
		}
	})
	s.info.Decoded = total
	return c.wait()
}

// add takes picture i, which is picture k of a set.
func (s *survey) add(i int, set *Set, k int, f picture.File, file sum, bad *BadPicture) {
	if bad != nil {
		s.bad[i] = bad
		return
	}
	s.info.Formats[f.Format]++
	s.info.Colors[f.Color]++
	if f.Turned {
		s.info.Turned++
	}
	s.widths, s.heights = append(s.widths, int32(f.Width)), append(s.heights, int32(f.Height))
	if min(f.Width, f.Height) < TinySide {
		s.tiny = append(s.tiny, int32(i))
	}
	if max(f.Width, f.Height) > HugeSide {
		s.huge = append(s.huge, int32(i))
	}
	if says := formatOf[strings.ToLower(path.Ext(set.File(k)))]; says != "" && says != f.Format {
		if m, able := set.store.(made); !able || !m.prepared(int(set.records[k].Number)) {
			s.misnamed = append(s.misnamed, int32(i))
		}
	}
	if s.pictures == nil {
		s.sums = append(s.sums, file)
	}
}

// formatOf is the format that an extension promises.
var formatOf = map[string]string{
	".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg", ".png": "png", ".gif": "gif", ".bmp": "bmp",
	".dib": "bmp", ".tif": "tiff", ".tiff": "tiff", ".webp": "webp", ".ppm": "ppm", ".pgm": "pgm", ".pbm": "pbm",
}

// finish brings what was found in any order into that of the pictures.
func (s *survey) finish() {
	info := s.info
	for _, i := range slices.Sorted(maps.Keys(s.bad)) {
		set, k := s.src.at(i)
		info.Unreadable = append(info.Unreadable, Unreadable{
			text.Raw(set.File(k)), text.Escape(s.bad[i].Err.Error()),
		})
	}
	info.Width, info.Height = rangeOf(s.widths), rangeOf(s.heights)
	info.Tiny, info.Huge, info.Misnamed = s.named(s.tiny), s.named(s.huge), s.named(s.misnamed)
	if s.pictures == nil {
		info.Duplicates = s.duplicates()
	}
}

// named counts pictures and names the first; of none it is nil.
func (s *survey) named(pictures []int32) *Named {
	if len(pictures) == 0 {
		return nil
	}
	slices.Sort(pictures)
	n := &Named{Count: len(pictures)}
	for _, i := range pictures[:min(len(pictures), namedMost)] {
		n.First = append(n.First, s.name(i))
	}
	return n
}

func (s *survey) name(i int32) text.Raw {
	set, k := s.src.at(int(i))
	return text.Raw(set.File(k))
}

// Duplicates are pictures whose files are the same, by length and CRC-32C.
type Duplicates struct {
	Groups   int `json:"groups"`   // of equal files
	Pictures int `json:"pictures"` // in these, all but one of each
	// Within counts, by part, the pictures that another of the same part is equal to, all but one of each group.
	Within  map[Part]int `json:"within,omitempty"`
	Across  int          `json:"across"`          // groups with pictures in several parts
	Classes int          `json:"classes"`         // groups with pictures of several classes
	First   [][]text.Raw `json:"first,omitempty"` // the first groups, of each the first pictures
}

// duplicates looks for equal files.
func (s *survey) duplicates() *Duplicates {
	slices.SortFunc(s.sums, func(a, b sum) int {
		return cmp.Or(cmp.Compare(a.crc, b.crc), cmp.Compare(a.length, b.length), cmp.Compare(a.picture, b.picture))
	})
	d := &Duplicates{}
	var first [][]int32
	for from := 0; from < len(s.sums); {
		to := from + 1
		for to < len(s.sums) && s.sums[to].crc == s.sums[from].crc && s.sums[to].length == s.sums[from].length {
			to++
		}
		if to-from > 1 {
			first = append(first, s.group(d, s.sums[from:to]))
		}
		from = to
	}
	slices.SortFunc(first, func(a, b []int32) int { return cmp.Compare(a[0], b[0]) })
	for _, group := range first[:min(len(first), namedMost)] {
		var names []text.Raw
		for _, i := range group {
			names = append(names, s.name(i))
		}
		d.First = append(d.First, names)
	}
	return d
}

// group counts a group of equal files, and gives the first pictures of it.
func (s *survey) group(d *Duplicates, equal []sum) (first []int32) {
	d.Groups++
	d.Pictures += len(equal) - 1
	parts, several := map[Part]int{}, false
	set, k := s.src.at(int(equal[0].picture))
	class := set.Label(k)
	for _, e := range equal {
		set, k := s.src.at(int(e.picture))
		parts[s.src.partOf(set)]++
		several = several || set.Label(k) != class
		if len(first) < namedMost {
			first = append(first, e.picture)
		}
	}
	for part, n := range parts {
		if n > 1 {
			if d.Within == nil {
				d.Within = map[Part]int{}
			}
			d.Within[part] += n - 1
		}
	}
	if len(parts) > 1 {
		d.Across++
	}
	if several {
		d.Classes++
	}
	return first
}

// partOf is the part that a set is.
func (s *Source) partOf(set *Set) Part {
	switch set {
	case s.Train:
		return TrainPart
	case s.Val:
		return ValPart
	}
	return TestPart
}

func rangeOf(x []int32) Range {
	if len(x) == 0 {
		return Range{}
	}
	slices.Sort(x)
	return Range{int(x[0]), int(x[len(x)/2]), int(x[len(x)-1])}
}
