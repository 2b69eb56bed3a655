package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

// What a page may be: far beyond any net, and far below what its parser needs minutes and gigabytes for. Pages come
// from strangers too, in checkpoints.
const (
	MaxPage   = 1 << 20 // bytes
	maxDepth  = 100     // lists and groups of keys within each other
	maxKeys   = 10_000  // keys and list items
	maxSigns  = 10 * maxKeys
	maxTokens = 8 * maxKeys

	// signs are what makes tokens, each of which takes a hundred times its bytes.
	signs = "[]{},:-?&*!|>'\"%@`#"
)

// Bounds of values. They keep sums and products of the net's sizes within int64 and single numbers within float32; most
// are a thousand times what anybody has used.
const (
	MaxSide    = 4096    // of pictures after resizing, of the net's input, of windows
	MaxClasses = 1 << 20 // the largest known sets have 22,000
	MaxEpochs  = 1_000_000
	MaxLayers  = 500
	maxName    = 64 // letters of a layer's name
	maxDrops   = 1000
	maxSteps   = 1_000_000_000
	// maxPictures is a hundred times ImageNet-22k's.
	maxPictures = 1_500_000_000
	// maxFactor bounds numbers that multiply others, and minFactor those that divide.
	maxFactor = 1e6
	minFactor = 1e-6
	// maxRate is all but no bound: what is too large for a net shows in its loss.
	maxRate = 1e30
)

var errLong = fmt.Errorf("it is longer than %d bytes", MaxPage)

// readPage reads at most as much as a page may hold, whatever lies there.
func readPage(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	page, err := io.ReadAll(io.LimitReader(f, MaxPage+1))
	if err == nil && len(page) > MaxPage {
		err = errLong
	}
	return page, errors.Join(err, f.Close())
}

// tokens cuts a page into tokens, and refuses one that no parser should see: too long, with too many keys or levels, or
// with what multiplies itself (anchors and aliases).
func (d *decoder) tokens(page []byte) (token.Tokens, error) {
	if wide := wideForm(page); wide != "" {
		return nil, d.failAt(nil, fmt.Sprintf("is text in %s, where a page is in UTF-8: save it as UTF-8", wide))
	}
	page = bytes.TrimLeft(page, "\uFEFF") // byte order marks, which some editors begin a file with
	if len(page) > MaxPage {
		return nil, d.failAt(nil, fmt.Sprintf("is longer than %d bytes", MaxPage))
	}
	n := 0
	for _, b := range page {
		if strings.IndexByte(signs, b) >= 0 {
			n++
		}
	}
	if n > maxSigns {
		return nil, d.failAt(nil, fmt.Sprintf("has more than %d brackets, commas, colons and the like", maxSigns))
	}
	var (
		s    scanner.Scanner
		all  token.Tokens
		seen levels
	)
	s.Init(string(page))
	for {
		some, err := s.Scan()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		for _, t := range some {
			if msg := seen.take(t, len(all)); msg != "" {
				return nil, d.failAt(t, msg)
			}
			all.Add(t)
		}
	}
}

// wideForm names the form of text whose letters take two or four bytes each, told by its byte order mark or, as a page
// begins with an ASCII letter, by the zeros beside that; "" of any other.
func wideForm(page []byte) string {
	zero := func(i int) bool { return len(page) > i && page[i] == 0 }
	switch {
	case len(page) < 2:
		return ""
	case zero(2) && zero(3) && (page[0] == 0xff || !zero(0)) || zero(0) && zero(1):
		return "UTF-32"
	case page[0] == 0xff && page[1] == 0xfe || page[0] == 0xfe && page[1] == 0xff || zero(0) || zero(1):
		return "UTF-16"
	}
	return ""
}

func (d *decoder) failAt(t *token.Token, msg string) error {
	e := &Error{Msg: msg}
	e.at(d.source)
	if t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	return e
}

// levels counts what lies within what.
type levels struct {
	flow   int   // brackets that are open
	blocks []int // columns of the keys and dashes that the present line stands below
	keys   int
	last   *token.Token
}

// take counts a token, before which there were so many, and tells what is wrong with it.
func (l *levels) take(t *token.Token, before int) string {
	last := l.last
	l.last = t
	switch t.Type { //nolint:exhaustive // the others hold nothing
	case token.AnchorType, token.AliasType, token.MergeKeyType:
		return fmt.Sprintf("has %q: anchors (&), aliases (*) and << are not read in a page", brief(t.Value, 10))
	case token.InvalidType:
		return "" // the parser says what it is
	case token.SequenceStartType, token.MappingStartType:
		l.flow++
	case token.SequenceEndType, token.MappingEndType:
		l.flow = max(l.flow-1, 0)
	case token.SequenceEntryType, token.MappingKeyType:
		l.open(t)
	case token.MappingValueType:
		if last == nil {
			last = t
		}
		l.open(last)
	case token.CollectEntryType:
		l.keys++
	}
	switch {
	case l.flow+len(l.blocks) > maxDepth:
		return fmt.Sprintf("is more than %d levels deep", maxDepth)
	case l.keys > maxKeys || before >= maxTokens:
		return fmt.Sprintf("has more than %d keys and list items", maxKeys)
	}
	return ""
}

// open notes a key or a dash outside of brackets: what stands at its column or to the right of it has ended.
func (l *levels) open(t *token.Token) {
	l.keys++
	if l.flow > 0 || t.Position == nil {
		return
	}
	n := len(l.blocks)
	for n > 0 && l.blocks[n-1] >= t.Position.Column {
		n--
	}
	l.blocks = append(l.blocks[:n], t.Position.Column)
}
