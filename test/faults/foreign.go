package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"alexnet/internal/files"
	"alexnet/internal/safetensors"
	"alexnet/internal/tensor"
)

var foreign = row{
	name: "foreign", short: 100, long: 1,
	fault: "checkpoints, pages, tars, Parquet files and names from a stranger: every range, every overflow, every nest",
	how: "given to the commands that read them, which have 1 GB and 10 s of processor; survived: done or refused by " +
		"one of the manual's exit codes and no dump, what must be refused is, and no control character reaches the " +
		"terminal",
	open: openForeign,
}

const (
	foreignMemory = 1 << 30          // bytes
	foreignTime   = 10 * time.Second // of processor
	foreignWait   = 30 * time.Second // on the clock, for machines that do other things too
)

// forgery is something from a stranger, and what is done with it.
type forgery struct {
	name    string
	make    func(f *forger, dir string) error // puts it into a folder; nil: there is nothing to put
	does    [][]string                        // command lines, one after the other, in that folder
	refused bool                              // none of them may end well
	slow    bool                              // training may take any time: nets can be large
	waits   bool                              // they wait for ever, and Ctrl-C ends that
}

// forger is what forgeries are made from: a sound run on drawn pictures.
type forger struct {
	*lab
	base    string   // a checkpoint
	keys    []string // of the page
	picture []byte
}

func openForeign(ctx context.Context, s *setup) (caseFunc, error) {
	l, err := openLab(ctx, s, 2)
	if err != nil {
		return nil, err
	}
	f := &forger{lab: l, base: checkpointOf(filepath.Join(s.dir, "whole-reference"))}
	if err := f.look(ctx, s.dir); err != nil {
		return nil, err
	}
	all := mixed(f.ranges(), f.nests(), f.metadata(), f.headers(), f.tars(), f.names(), f.paths(), f.crafted())
	if s.long {
		s.cases = len(all)
	}
	s.cases = min(s.cases, len(all))
	return func(ctx context.Context, c *testCase) error {
		if c.number >= len(all) {
			return fmt.Errorf("there are %d cases", len(all))
		}
		one := all[c.number]
		dir, err := c.folder()
		if err != nil {
			return err
		}
		if one.make != nil {
			if err := one.make(f, dir); err != nil {
				return fmt.Errorf("%s: it could not be made: %w", one.name, err)
			}
		}
		for _, args := range one.does {
			if err := f.give(ctx, c, one, args); err != nil {
				return fmt.Errorf("%s: alexnet %.300s: %w", one.name, strings.Join(args, " "), err)
			}
		}
		return nil
	}, nil
}

// mixed takes the kinds in turn, each in an order of chance that is always the same, so that the short form has some of
// everything.
func mixed(kinds ...[]forgery) (all []forgery) {
	longest := 0
	for i, kind := range kinds {
		order := rand.New(rand.NewPCG(uint64(i), 0))
		order.Shuffle(len(kind), func(a, b int) { kind[a], kind[b] = kind[b], kind[a] })
		longest = max(longest, len(kind))
	}
	for i := range longest {
		for _, kind := range kinds {
			if i < len(kind) {
				all = append(all, kind[i])
			}
		}
	}
	return all
}

// look finds out the page's keys, and takes a picture.
func (f *forger) look(ctx context.Context, dir string) error {
	p, err := f.start(ctx, dir, nil, "config", "--config", f.page, "--json")
	if err != nil {
		return err
	}
	if p.wait() != 0 {
		return p.failed("config")
	}
	var said struct{ Keys []struct{ Key string } }
	if err := json.Unmarshal(p.stdout.bytes(), &said); err != nil {
		return err
	}
	for _, k := range said.Keys {
		f.keys = append(f.keys, k.Key)
	}
	pictures, err := filepath.Glob(filepath.Join(f.shapes, "train", "*", "*.png"))
	if err != nil || len(pictures) == 0 || len(f.keys) == 0 {
		return fmt.Errorf("%d pictures, %d keys: %w", len(pictures), len(f.keys), orNothing(err))
	}
	f.picture, err = os.ReadFile(pictures[0])
	return err
}

// interrupt starts a command that waits, and ends it as Ctrl-C does.
func (f *forger) interrupt(ctx context.Context, c *testCase, args []string) error {
	p, err := f.start(ctx, c.dir, nil, args...)
	if err != nil {
		return err
	}
	if p.within(500 * time.Millisecond) {
		return p.failed("it did not wait")
	}
	if err := p.signal(syscall.SIGINT); err != nil {
		return err
	}
	if !p.within(afterSecond) {
		return errors.Join(p.failed("deaf to SIGINT"), p.signal(syscall.SIGKILL))
	}
	if code := p.wait(); code != 128+int(syscall.SIGINT) {
		return p.failed("ended by SIGINT")
	}
	return nil
}

// give gives a forgery to one command.
func (f *forger) give(ctx context.Context, c *testCase, one forgery, args []string) error {
	if one.waits {
		return f.interrupt(ctx, c, args)
	}
	end, err := limited(ctx, limits{memory: foreignMemory, cpu: foreignTime, time: foreignWait}, c.dir,
		append([]string{f.alexnet}, args...)...)
	if err != nil {
		return err
	}
	if end.code < 0 && one.slow && args[0] == "train" {
		return nil
	}
	if err := end.civil(); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]int{0, 1, 2, 3, 10, 12}, end.code):
		err = fmt.Errorf("exit %d", end.code)
	case one.refused && end.code == 0:
		err = errors.New("it was taken")
	case end.code != 0 && end.code != 3 && end.errorLine() == "":
		err = fmt.Errorf("exit %d without an error", end.code)
	default:
		err = plainText(end.stdout + end.stderr)
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, end.tail())
	}
	return nil
}

// forged is what names and texts of strangers try to have printed as a line of its own.
const forged = "error: forged"

// plainText finds what must not reach a terminal.
func plainText(said string) error {
	for i, r := range said {
		if r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return fmt.Errorf("%q reaches the terminal, in %q", r, said[max(0, i-40):min(len(said), i+40)])
		}
	}
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, forged) {
			return fmt.Errorf("a stranger's text is a line of its own: %q", line)
		}
	}
	return nil
}

// numbers are the ends of every range that a number may have.
var numbers = []string{
	"0", "-1", "1", "127", "65536", "100000", "2147483647", "2147483648", "4294967296", "1099511627776",
	"4611686018427387904", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
	"18446744073709551616", "1e308", "-1e308", "1e-320", "1e999", ".inf", ".nan", "0x7fffffff", "''", "~", "[]",
	"[1, 2]", "{}", "x", "true",
}

// ranges set every key of a page to them.
func (f *forger) ranges() (all []forgery) {
	for _, key := range f.keys {
		for _, n := range numbers {
			set := key + "=" + n
			all = append(all, forgery{name: "page " + set, slow: true, does: [][]string{
				{"summary", "--config", f.page, "--set", set},
				f.trainOn(f.page, f.shapes, "--set", set),
			}})
		}
	}
	return all
}

// trainOn is the command line of one step of training.
func (f *forger) trainOn(page, data string, more ...string) []string {
	return append([]string{
		"train", "--config", page, "--data", data, "--device", "reference", "--steps", "1", "--out", "run",
	}, more...)
}

// read are the commands that read a checkpoint, bad.safetensors.
func (f *forger) read() [][]string {
	const name = "bad.safetensors"
	return [][]string{
		{"weights", "show", name},
		{"weights", "export", name, "--out", "out.safetensors"},
		{"weights", "export", name, "--to", "checkpoint", "--out", "out2.safetensors"},
		{"eval", "--weights", name, "--data", f.shapes, "--device", "reference"},
		{"predict", filepath.Join(f.shapes, "train"), "--weights", name, "--device", "reference"},
		f.trainOn(f.page, f.shapes, "--init", name),
		{"train", "--resume", "resumed", "--data", f.shapes, "--device", "reference", "--steps", "19"},
	}
}

// forge writes the base with other metadata as bad.safetensors, and as the last of a run to be resumed. All checksums
// are right.
func (f *forger) forge(dir string, change func(meta map[string]string)) error {
	r, err := safetensors.Open(files.OS, f.base)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read
	change(r.Meta)
	var tensors []tensor.Tensor
	for i := range r.Tensors {
		tensors = append(tensors, r.Tensor(i))
	}
	path := filepath.Join(dir, "bad.safetensors")
	if err := safetensors.Write(files.OS, path, r.Meta, tensors); err != nil {
		return err
	}
	last := checkpointOf(filepath.Join(dir, "resumed"))
	if err := os.MkdirAll(filepath.Dir(last), 0o777); err != nil {
		return err
	}
	return os.Link(path, last)
}

// nested are texts that are short and deep, wide or long. Those of YAML are for pages, those of JSON for both.
func nested() map[string]string {
	var anchors, bomb, keys strings.Builder
	for range 100_000 {
		anchors.WriteString("&a ")
	}
	bomb.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 30 {
		fmt.Fprintf(&bomb, "a%d: &a%d [", i+1, i+1)
		bomb.WriteString(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10) + "]\n")
	}
	for i := range 100_000 {
		fmt.Fprintf(&keys, "k%d: 1\n", i)
	}
	return map[string]string{
		"brackets":       strings.Repeat("[", 1_000_000),
		"closed":         strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		"braces":         strings.Repeat("{a: ", 200_000),
		"json braces":    strings.Repeat(`{"a":`, 200_000) + "1" + strings.Repeat("}", 200_000),
		"dashes":         strings.Repeat("- ", 400_000),
		"questions":      strings.Repeat("? ", 400_000),
		"indents":        indents(2000),
		"anchors":        anchors.String(),
		"anchor itself":  "a: &a [*a]\n",
		"bomb":           bomb.String(),
		"merges":         "a: &a {x: 1}\nb: {<<: [" + strings.Repeat("*a, ", 100_000) + "]}\n",
		"many keys":      keys.String(),
		"one key":        strings.Repeat("k", 2<<20) + ": 1\n",
		"one text":       "model: " + strings.Repeat("x", 2<<20) + "\n",
		"one number":     "train: {lr: " + strings.Repeat("9", 1<<20) + "}\n",
		"tags":           strings.Repeat("!!seq ", 100_000) + "[]\n",
		"tag of a type":  "train: !!binary AAAA\n",
		"many documents": strings.Repeat("---\na: 1\n", 50_000),
		"comments":       strings.Repeat("# x\n", 500_000),
		"quotes":         strings.Repeat(`"`, 500_001),
		"block":          "model: |\n" + strings.Repeat(" x\n", 300_000),
		"zeros":          strings.Repeat("\x00", 100_000),
		"bytes":          strings.Repeat("\xff\xfe", 50_000),
		"mark":           "\ufefftrain: {batch: 1}\n",
		"escapes":        "\"\x1b[31m" + forged + "\": 1\n",
		"newline":        "\"a\\n" + forged + "\": 1\n",
		"nothing":        "",
		"twice":          "train: {batch: 1, batch: 2}\n",
	}
}

// indents nests without any bracket.
func indents(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// nests are given as a page, in a checkpoint as its configuration, and in the place of each part that is JSON.
func (f *forger) nests() (all []forgery) {
	texts := nested()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := texts[name]
		all = append(all, forgery{
			name: "page of " + name, refused: !slices.Contains([]string{"mark", "comments", "nothing", "zeros"}, name),
			make: func(_ *forger, dir string) error {
				return os.WriteFile(filepath.Join(dir, "page.yaml"), []byte(text), 0o666)
			},
			does: [][]string{
				{"config", "--config", "./page.yaml"},
				{"summary", "--config", "./page.yaml"},
				f.trainOn("./page.yaml", f.shapes),
			},
		})
		if utf8.ValidString(text) { // metadata are
			all = append(all, forgery{
				name: "configuration of " + name,
				make: func(f *forger, dir string) error {
					return f.forge(dir, func(meta map[string]string) { meta["config"] = text })
				},
				does: f.read(),
			})
		}
	}
	return all
}
