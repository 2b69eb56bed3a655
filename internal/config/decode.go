package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"alexnet/internal/text"
)

// decoder walks a YAML tree into a Config and remembers where each key stood, so that what is found wrong later can be
// located.
type decoder struct {
	source Error            // what is walked: only Source and Override are set
	at     map[string]Error // by key; only Source, Override, Line and Column are set
}

func newDecoder(file string) *decoder {
	return &decoder{source: Error{Source: file}, at: map[string]Error{}}
}

// locate fills in where the key of an error, or the nearest thing around it, was given.
func (d *decoder) locate(err *Error) {
	for key := err.Key; key != ""; key, _ = splitKey(key) {
		if p, ok := d.at[key]; ok {
			err.at(p)
			return
		}
	}
	err.at(d.source)
}

func (d *decoder) position(n ast.Node) Error {
	p := d.source
	if p.Override {
		return p // it has no lines
	}
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		p.Line, p.Column = tk.Position.Line, tk.Position.Column
	}
	return p
}

func (d *decoder) fail(n ast.Node, err *Error) error {
	err.at(d.position(n))
	return err
}

// page reads a whole file.
func (d *decoder) page(page []byte, c *Config) error {
	root, err := d.parse(page)
	if err != nil {
		return err
	}
	return d.mapping(root, reflect.ValueOf(c).Elem(), "", nil)
}

// parse is the YAML itself: one document.
func (d *decoder) parse(text []byte) (ast.Node, error) {
	tokens, err := d.tokens(text)
	if err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		e := &Error{Msg: brief(err.Error(), 80)}
		e.at(d.source)
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			e.Msg = "YAML: " + brief(syntax.GetMessage(), 80)
			if strings.Contains(syntax.GetMessage(), "'\t'") {
				e.Msg = "has a tab where YAML wants spaces"
			}
			if tk := syntax.GetToken(); tk != nil && tk.Position != nil {
				e.Line, e.Column = tk.Position.Line, tk.Position.Column
			}
		}
		return nil, e
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if _, comment := doc.Body.(*ast.CommentGroupNode); comment {
			continue
		}
		if body != nil {
			return nil, d.fail(doc.Body, &Error{Msg: "there is more than one YAML document"})
		}
		body = doc.Body
	}
	if body == nil {
		return nil, &Error{Source: d.source.Source, Override: d.source.Override, Msg: "is empty"}
	}
	return body, nil
}

// value reads a node into v, which key names.
func (d *decoder) value(n ast.Node, v reflect.Value, key string) error {
	switch v.Kind() {
	case reflect.Struct:
		return d.mapping(n, v, key, nil)
	case reflect.Slice:
		return d.sequence(n, v, key)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(n, v.Elem(), key)
	}
	if !setScalar(n, v) {
		return d.fail(n, Errorf(key, "is %s, must be %s", show(n), typeName(v.Kind())))
	}
	return nil
}

func pairs(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// mapping reads keys into a struct. valid restricts the keys (nil: all of the struct's).
func (d *decoder) mapping(n ast.Node, v reflect.Value, path string, valid []string) error {
	kv, ok := pairs(n)
	if !ok && path == "" {
		return d.fail(n, Errorf("", "is not a configuration: it holds %s, a page holds keys with values", kindOf(n)))
	}
	if !ok {
		return d.fail(n, Errorf(path, "is %s, must be keys with values", show(n)))
	}
	if valid == nil {
		valid = keysOf(v.Type())
	}
	for _, pair := range kv {
		name := pair.Key.GetToken().Value
		key := joinKey(path, name)
		if !slices.Contains(valid, name) {
			return d.fail(pair.Key, unknown(joinKey(path, brief(name, 40)), valid))
		}
		d.at[key] = d.position(pair.Key)
		f, _ := fieldOf(v, name)
		if err := d.value(pair.Value, f, key); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) sequence(n ast.Node, v reflect.Value, key string) error {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		return d.fail(n, Errorf(key, "is %s, must be a list", show(n)))
	}
	if len(seq.Values) == 0 {
		v.SetZero()
		return nil
	}
	list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		var err error
		if l, isLayer := list.Index(i).Addr().Interface().(*Layer); isLayer {
			err = d.layer(item, l, i)
		} else {
			err = d.value(item, list.Index(i), fmt.Sprintf("%s[%d]", key, i))
		}
		if err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

// layer reads one layer: its kind first, which decides on defaults and on the keys that are legal.
func (d *decoder) layer(n ast.Node, l *Layer, i int) error {
	kv, ok := pairs(n)
	if !ok {
		return d.fail(n, Errorf(fmt.Sprintf("model.layers[%d]", i), "is %s, must be {name: ..., kind: ..., ...}",
			show(n)))
	}
	kind, name, err := d.identity(n, kv, i)
	if err != nil {
		return err
	}
	*l = layerDefaults(kind)
	path := "model." + name
	d.at[path] = d.position(n)
	if err := d.mapping(n, reflect.ValueOf(l).Elem(), path,
		append([]string{"name", "kind"}, layerKeys[kind]...)); err != nil {
		return err
	}
	if _, given := d.at[path+".stride"]; kind == Pool && !given {
		l.Stride = l.Size
	}
	return nil
}

func (d *decoder) identity(n ast.Node, kv []*ast.MappingValueNode, i int) (kind Kind, name string, err error) {
	for _, pair := range kv {
		switch pair.Key.GetToken().Value {
		case "kind":
			kind = Kind(pair.Value.GetToken().Value)
			if _, known := layerKeys[kind]; !known {
				return "", "", d.fail(pair.Value, Errorf(fmt.Sprintf("model.layers[%d].kind", i), "is %q%s",
					brief(string(kind), 40), oneOf(kind, kinds)))
			}
		case "name":
			name = pair.Value.GetToken().Value
		}
	}
	if name == "" || kind == "" {
		return "", "", d.fail(n, Errorf(fmt.Sprintf("model.layers[%d]", i), "must have a name and a kind"))
	}
	return kind, name, nil
}

// oneOf words the choice, nearest first where there is a near one.
func oneOf[T ~string](s T, valid []T) string {
	names := make([]string, len(valid))
	for i := range valid {
		names[i] = string(valid[i])
	}
	msg := ", must be one of " + strings.Join(names, ", ")
	if n := text.Nearest(string(s), names); n != "" {
		msg += "; nearest: " + n
	}
	return msg
}

// setScalar stores a plain value if its type is right.
func setScalar(n ast.Node, v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Int:
		if i, ok := n.(*ast.IntegerNode); ok {
			x, ok := i.Value.(int64)
			if u, isUint := i.Value.(uint64); isUint && u <= math.MaxInt32 {
				x, ok = int64(u), true
			}
			if ok && x >= math.MinInt32 && x <= math.MaxInt32 {
				v.SetInt(x)
				return true
			}
		}
	case reflect.Int64:
		if d, ok := duration(n); ok {
			v.SetInt(int64(d))
			return true
		}
	case reflect.Uint64:
		if i, ok := n.(*ast.IntegerNode); ok {
			if u, ok := i.Value.(uint64); ok {
				v.SetUint(u)
				return true
			}
		}
	case reflect.Float64:
		if x, ok := number(n); ok {
			v.SetFloat(x)
			return true
		}
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
			return true
		}
	case reflect.String:
		if s, ok := n.(*ast.StringNode); ok {
			v.SetString(s.Value)
			return true
		}
	}
	return false
}

// number takes what looks like a finite number and is not quoted, 1e-3 included.
func number(n ast.Node) (float64, bool) {
	tk := n.GetToken()
	if _, ok := n.(ast.ScalarNode); !ok || tk.Type == token.SingleQuoteType || tk.Type == token.DoubleQuoteType {
		return 0, false
	}
	x, err := strconv.ParseFloat(strings.ReplaceAll(tk.Value, "_", ""), 64)
	return x, err == nil && !math.IsInf(x, 0) && !math.IsNaN(x)
}

// duration takes a number with a unit, or 0.
func duration(n ast.Node) (time.Duration, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		d, err := time.ParseDuration(n.Value)
		return d, err == nil
	case *ast.IntegerNode:
		return 0, n.Value == uint64(0)
	}
	return 0, false
}

func typeName(k reflect.Kind) string {
	switch k {
	case reflect.Int:
		return "a whole number"
	case reflect.Int64:
		return "a duration, as 90s or 5m"
	case reflect.Uint64:
		return "a whole number from 0"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	}
	return "a word"
}

// kindOf is what a whole file holds, without its contents: it may be any file, and large.
func kindOf(n ast.Node) string {
	if _, ok := n.(ast.ScalarNode); ok {
		return "plain text"
	}
	return show(n)
}

// brief keeps of text that somebody else wrote the first line, at most so many letters, and none that a terminal would
// act on.
func brief(s string, letters int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	line, _, more := strings.Cut(s, "\n")
	r := []rune(line)
	if len(r) > letters {
		r, more = r[:letters], true
	}
	for i := range r {
		if !unicode.IsPrint(r[i]) {
			r[i] = '\uFFFD'
		}
	}
	if more {
		return string(r) + "..."
	}
	return string(r)
}

// show is a node as an error message names it.
func show(n ast.Node) string {
	switch n := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a group of keys"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "empty"
	case *ast.StringNode:
		return strconv.Quote(brief(n.Value, 40))
	case ast.ScalarNode:
		return brief(n.GetToken().Value, 40)
	}
	return "a " + strings.ToLower(n.Type().String())
}
