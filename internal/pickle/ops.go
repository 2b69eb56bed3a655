package pickle

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/big"
	"slices"
	"strings"

	"alexnet/internal/text"
)

// ops are the opcodes that are known, by their names in pickletools.
var ops [256]func(*load) error

func init() { // ops is read by what it holds
	for code, op := range map[byte]func(*load) error{
		0x80: (*load).proto,                                                       // PROTO
		0x95: (*load).frame,                                                       // FRAME
		'.':  (*load).stop,                                                        // STOP
		'(':  (*load).mark,                                                        // MARK
		'}':  func(l *load) error { return l.push(&Dict{}) },                      // EMPTY_DICT
		']':  func(l *load) error { return l.push(&List{}) },                      // EMPTY_LIST
		')':  func(l *load) error { return l.push(Tuple{}) },                      // EMPTY_TUPLE
		't':  (*load).tuple,                                                       // TUPLE
		0x85: func(l *load) error { return l.tupleOf(1) },                         // TUPLE1
		0x86: func(l *load) error { return l.tupleOf(2) },                         // TUPLE2
		0x87: func(l *load) error { return l.tupleOf(3) },                         // TUPLE3
		'a':  (*load).append,                                                      // APPEND
		'e':  (*load).appends,                                                     // APPENDS
		's':  (*load).setItem,                                                     // SETITEM
		'u':  (*load).setItems,                                                    // SETITEMS
		'N':  func(l *load) error { return l.push(nil) },                          // NONE
		0x88: func(l *load) error { return l.push(true) },                         // NEWTRUE
		0x89: func(l *load) error { return l.push(false) },                        // NEWFALSE
		'K':  func(l *load) error { return l.number(1) },                          // BININT1
		'M':  func(l *load) error { return l.number(2) },                          // BININT2
		'J':  func(l *load) error { return l.number(4) },                          // BININT
		0x8a: (*load).long,                                                        // LONG1
		'G':  (*load).float,                                                       // BINFLOAT
		'X':  func(l *load) error { return l.string(4) },                          // BINUNICODE
		0x8c: func(l *load) error { return l.string(1) },                          // SHORT_BINUNICODE
		0x8d: func(l *load) error { return l.string(8) },                          // BINUNICODE8
		'T':  func(l *load) error { return l.string(4) },                          // BINSTRING
		'U':  func(l *load) error { return l.string(1) },                          // SHORT_BINSTRING
		'B':  func(l *load) error { return l.string(4) },                          // BINBYTES
		'C':  func(l *load) error { return l.string(1) },                          // SHORT_BINBYTES
		0x8e: func(l *load) error { return l.string(8) },                          // BINBYTES8
		'q':  func(l *load) error { return l.put(1) },                             // BINPUT
		'r':  func(l *load) error { return l.put(4) },                             // LONG_BINPUT
		0x94: func(l *load) error { return l.remember(uint32(len(l.memo))) },      // MEMOIZE
		'h':  func(l *load) error { return l.get(1) },                             // BINGET
		'j':  func(l *load) error { return l.get(4) },                             // LONG_BINGET
		'c':  (*load).global,                                                      // GLOBAL
		0x93: (*load).stackGlobal,                                                 // STACK_GLOBAL
		'Q':  (*load).persistent,                                                  // BINPERSID
		'R':  (*load).reduce,                                                      // REDUCE
		'b':  (*load).build,                                                       // BUILD
		0x81: func(*load) error { return fault("an object of a class (NEWOBJ)") }, // NEWOBJ
	} {
		ops[code] = op
	}
}

// newest is the protocol of Python 3.4. The next has opcodes for buffers outside of the pickle.
const newest = 4

func (l *load) proto() error {
	if n, err := l.byte(); err != nil || n > newest {
		return cmp.Or(err, faultf("protocol %d", n))
	}
	return nil
}

// frame says how much belongs together: the bytes are here in any case.
func (l *load) frame() error {
	if n, err := l.uint(8); err != nil || n > uint64(l.end-l.pos) {
		return cmp.Or(err, faultf("a frame of %d bytes, of which %d are there", n, l.end-l.pos))
	}
	return nil
}

func (l *load) stop() error {
	if len(l.marks) > 0 || len(l.stack) != 1 {
		return faultf("%s at its end, and %s", text.Count(len(l.stack), "value"), text.Count(len(l.marks), "mark"))
	}
	l.done = true
	return nil
}

func (l *load) mark() error {
	if len(l.marks) >= maxStack || !l.take(perItem) {
		return errMemory
	}
	l.marks = append(l.marks, len(l.stack))
	return nil
}

func (l *load) tuple() error {
	values, err := l.popMark()
	if err != nil {
		return err
	}
	return l.pushTuple(values)
}

func (l *load) tupleOf(n int) error {
	floor := len(l.stack) - n
	for range n {
		if _, err := l.pop(); err != nil {
			return err
		}
	}
	return l.pushTuple(l.stack[floor : floor+n])
}

func (l *load) pushTuple(values []any) error {
	if !l.take(perItem * int64(len(values))) {
		return errMemory
	}
	return l.push(append(Tuple{}, values...))
}

func (l *load) append() error {
	v, err := l.pop()
	if err != nil {
		return err
	}
	return l.extend([]any{v})
}

func (l *load) appends() error {
	values, err := l.popMark()
	if err != nil {
		return err
	}
	return l.extend(values)
}

func (l *load) extend(values []any) error {
	v, err := l.top()
	if err != nil {
		return err
	}
	list, is := v.(*List)
	switch {
	case !is:
		return faultf("something is appended to %s", kind(v))
	case !l.take(perItem * int64(len(values))):
		return errMemory
	}
	list.Items = append(list.Items, values...)
	return nil
}

func (l *load) setItem() error {
	v, err := l.pop()
	if err != nil {
		return err
	}
	k, err := l.pop()
	if err != nil {
		return err
	}
	return l.update([]any{k, v})
}

func (l *load) setItems() error {
	values, err := l.popMark()
	if err != nil {
		return err
	}
	return l.update(values)
}

// update puts keys and values, in turn, into the dict on top.
func (l *load) update(values []any) error {
	v, err := l.top()
	if err != nil {
		return err
	}
	dict, is := v.(*Dict)
	switch {
	case !is:
		return faultf("an item is set of %s", kind(v))
	case len(values)%2 != 0:
		return fault("a key without a value")
	case !l.take(perPair * int64(len(values)/2)):
		return errMemory
	}
	for i := 0; i < len(values); i += 2 {
		dict.Items = append(dict.Items, Item{values[i], values[i+1]})
	}
	return nil
}

// number is an integer of n bytes, of which only one of 4 has a sign.
func (l *load) number(n int) error {
	x, err := l.uint(n)
	if err != nil {
		return err
	}
	v := int64(x)
	if n == 4 {
		v = int64(int32(x))
	}
	return l.push(v)
}

// long is an integer of any length, in two's complement.
func (l *load) long() error {
	n, err := l.byte()
	if err != nil {
		return err
	}
	v, err := l.text(uint64(n))
	if err != nil {
		return err
	}
	b := []byte(v.(string)) // 255 bytes are kept
	if n := len(b); n > 0 && n <= 8 {
		x := uint64(0)
		for i := range b {
			x |= uint64(b[i]) << (8 * i)
		}
		return l.push(int64(x<<(64-8*n)) >> (64 - 8*n)) // the sign is the last byte's
	}
	x, negative := new(big.Int), len(b) > 0 && b[len(b)-1] >= 0x80
	slices.Reverse(b)
	if x.SetBytes(b); negative {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	if len(b) == 0 {
		return l.push(int64(0))
	}
	if !l.take(perCall) {
		return errMemory
	}
	return l.push(x)
}

func (l *load) float() error {
	b, err := l.bytes(8)
	if err != nil {
		return err
	}
	return l.push(math.Float64frombits(binary.BigEndian.Uint64(b))) // as nothing else
}

// string is text or bytes with its length, of n bytes, before it.
func (l *load) string(n int) error {
	size, err := l.uint(n)
	if err != nil {
		return err
	}
	v, err := l.text(size)
	if err != nil {
		return err
	}
	return l.push(v)
}

func (l *load) put(n int) error {
	i, err := l.uint(n)
	if err != nil {
		return err
	}
	return l.remember(uint32(i))
}

func (l *load) remember(i uint32) error {
	v, err := l.top()
	if err != nil {
		return err
	}
	if !l.take(perMemo) {
		return errMemory
	}
	l.memo[i] = v
	return nil
}

func (l *load) get(n int) error {
	i, err := l.uint(n)
	if err != nil {
		return err
	}
	v, known := l.memo[uint32(i)]
	if !known {
		return faultf("value %d is not known", i)
	}
	return l.push(v)
}

// maxLine is how long a module or a name is at most.
const maxLine = 256

// line reads up to the end of a line.
func (l *load) line() (string, error) {
	var b strings.Builder
	for {
		c, err := l.byte()
		switch {
		case err != nil:
			return "", err
		case c == '\n':
			return b.String(), nil
		case b.Len() == maxLine:
			return "", faultf("a name of more than %d bytes", maxLine)
		}
		b.WriteByte(c)
	}
}

func (l *load) global() error {
	module, err := l.line()
	if err != nil {
		return err
	}
	name, err := l.line()
	if err != nil {
		return err
	}
	return l.named(module, name)
}

func (l *load) stackGlobal() error {
	name, err := l.pop()
	if err != nil {
		return err
	}
	module, err := l.pop()
	if err != nil {
		return err
	}
	m, is := module.(string)
	n, too := name.(string)
	if !is || !too || len(m) > maxLine || len(n) > maxLine {
		return fault("a global that is not named by two short strings")
	}
	return l.named(m, n)
}

func (l *load) named(module, name string) error {
	if !l.take(perCall) { // the lines, and what Global makes
		return errMemory
	}
	v, err := l.Global(module, name, l.stack)
	if err != nil {
		return err
	}
	return l.push(v)
}

func (l *load) persistent() error {
	id, err := l.pop()
	if err != nil {
		return err
	}
	if l.Persistent == nil {
		return fault("an object that is kept elsewhere")
	}
	if !l.take(perCall) {
		return errMemory
	}
	v, err := l.Persistent(id)
	if err != nil {
		return err
	}
	return l.push(v)
}

func (l *load) reduce() error {
	args, err := l.pop()
	if err != nil {
		return err
	}
	f, err := l.pop()
	if err != nil {
		return err
	}
	call, is := f.(Func)
	with, too := args.(Tuple)
	if !is || !too {
		return faultf("%s is called with %s", kind(f), kind(args))
	}
	if !l.take(perCall + cost(with)) {
		return errMemory
	}
	v, err := call(with)
	if err != nil {
		return err
	}
	return l.push(v)
}

// cost is what a function may make of its arguments: a dict of a list of pairs, bytes of a text.
func cost(args Tuple) (n int64) {
	for _, a := range args {
		switch a := a.(type) {
		case string:
			n += 2 * int64(len(a))
		case *List:
			n += perPair * int64(len(a.Items))
		}
	}
	return n
}

func (l *load) build() error {
	state, err := l.pop()
	if err != nil {
		return err
	}
	v, err := l.top()
	if err != nil {
		return err
	}
	b, is := v.(Builder)
	if !is {
		return faultf("%s is given a state", kind(v))
	}
	if !l.take(perCall) {
		return errMemory
	}
	return b.Build(state)
}

// kind is what a value is, in words.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "None"
	case bool, int64, float64, *big.Int:
		return "a number"
	case string, *Raw:
		return "a text"
	case Tuple:
		return "a tuple"
	case *List:
		return "a list"
	case *Dict:
		return "a dict"
	case Func:
		return "a function"
	}
	return "an object"
}
