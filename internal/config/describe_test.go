package config

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/config.md")

// wide is a page with every kind of layer, in which no key forbids another's bounds.
const wide = `model:
  input: {channels: 1, size: 1}
  layers:
    - {name: conv1, kind: conv, kernels: 1, size: 1}
    - {name: lrn1, kind: lrn}
    - {name: pool1, kind: pool, size: 4096}
    - {name: activation1, kind: activation, act: relu}
    - {name: fc2, kind: fc, units: 1}
    - {name: dropout2, kind: dropout}
    - {name: fc3, kind: fc}
    - {name: softmax, kind: softmax}
train:
  schedule: {epochs: [1]}
data: {resize: 0}
`

// inWide is a layer of a kind in that page, not the last with weights.
var inWide = map[Kind]string{
	Conv: "conv1", LRN: "lrn1", Pool: "pool1", Activation: "activation1", FC: "fc2", Dropout: "dropout2",
	Softmax: "softmax",
}

// settable are the keys that an override can set in that page, of layers for each kind that has them.
func settable(d *Described) (keys []string) {
	_, last := splitKey(d.Key)
	switch {
	case d.Key == "model.layers", last == "name", d.Key == "model.*.kind":
		return nil
	case d.Kinds == nil:
		return []string{d.Key}
	}
	for _, k := range d.Kinds {
		keys = append(keys, "model."+inWide[k]+strings.TrimPrefix(d.Key, "model.*"))
	}
	return keys
}

// Every key that a page may have is documented, once for each kind of layer, and no other.
func TestEveryKeyIsDescribed(t *testing.T) {
	seen := map[string]int{}
	all, _ := Describe("")
	for _, d := range all {
		if d.Meaning == "" || !strings.HasSuffix(d.Meaning, ".") || d.Values == "" {
			t.Errorf("%s: meaning %q, values %q", d.Key, d.Meaning, d.Values)
		}
		for _, k := range d.Kinds {
			seen[string(k)+" "+d.Key]++
		}
		if d.Kinds == nil {
			seen[d.Key]++
		}
	}
	want := map[string]int{}
	var walk func(t reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		for i := range typ.NumField() {
			key := joinKey(path, typ.Field(i).Tag.Get("yaml"))
			if f := typ.Field(i).Type; f.Kind() == reflect.Struct {
				walk(f, key)
			} else {
				want[key]++
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")
	fields := map[string]bool{} // of Layer
	c, err := Parse([]byte(wide), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.each(func(key string, _ reflect.Value, l *Layer) {
		if l == nil || l.Name == "fc3" {
			return
		}
		name := "model.*" + strings.TrimPrefix(key, "model."+l.Name)
		want[string(l.Kind)+" "+name]++
		fields[strings.SplitN(name, ".", 4)[2]] = true
	})
	for _, k := range kinds {
		want[string(k)+" model.*.name"]++
	}
	for key, n := range want {
		if seen[key] != n {
			t.Errorf("%s is described %d times", key, seen[key])
		}
	}
	for key := range seen {
		if want[key] == 0 {
			t.Errorf("%s is described, but is not a key", key)
		}
	}
	for _, key := range keysOf(reflect.TypeFor[Layer]()) {
		if key != "name" && !fields[key] {
			t.Errorf("no kind of layer has the key %s", key)
		}
	}
}

// bounds reads what the documentation says of numbers: "above 0 and at most 1e30".
var bounds = regexp.MustCompile(
	`^(?:a list, each )?(?:0 \(.+\) or )?(odd, |)(above |at least |)(-?\d\S*) (to|or|and below|and at most) (\d\S*)$`)

// What is documented holds: at each bound the value that is just inside is taken, and what is just outside is refused
// by the key's name; of words each is taken, and no other.
func TestDescribedValuesHold(t *testing.T) {
	tried := 0
	try := func(key, value string, want bool) {
		t.Helper()
		tried++
		_, err := Parse([]byte(wide), []string{key + "=" + value})
		var e *Error
		if want && err != nil {
			t.Errorf("%s=%s is documented, but: %v", key, value, err)
		} else if !want && (!errors.As(err, &e) || !strings.HasPrefix(e.Key, key)) {
			t.Errorf("%s=%s is documented as wrong, but: %v", key, value, err)
		}
	}
	all, _ := Describe("")
	for _, d := range all {
		for _, key := range settable(&d) {
			form := "%s"
			if strings.HasPrefix(d.Values, "a list") {
				form = "[%s]"
			}
			if m := bounds.FindStringSubmatch(d.Values); m != nil {
				odd, low, high := m[1] != "" || m[4] == "or", m[3], m[5]
				below, above := neighbours(t, key, low), neighbours(t, key, high)
				try(key, fmt.Sprintf(form, low), m[2] != "above ")
				try(key, fmt.Sprintf(form, below[0]), strings.Contains(d.Values, "0 (") && below[0] == "0")
				try(key, fmt.Sprintf(form, below[1]), !odd)
				try(key, fmt.Sprintf(form, high), m[4] != "and below")
				try(key, fmt.Sprintf(form, above[0]), !odd)
				try(key, fmt.Sprintf(form, above[1]), false)
				if strings.Contains(d.Values, "0 (") {
					try(key, "0", true)
				}
				continue
			}
			switch d.Values {
			case "true or false":
				try(key, "true", true)
				try(key, "false", true)
				try(key, "maybe", false)
			case "a whole number from 0":
				try(key, "0", true)
				try(key, "18446744073709551615", true)
				try(key, "-1", false)
			default:
				words := strings.Split(d.Values, ", ")
				for _, w := range words {
					try(key, w, true)
				}
				for _, w := range append(others, "other") {
					if !slices.Contains(words, w) {
						try(key, w, false)
					}
				}
			}
		}
	}
	if tried < 250 {
		t.Errorf("only %d values were tried", tried)
	}
}

// others are words that some keys take.
var others = []string{"relu", "tanh", "none", "own", "max", "down", "random", "image", "fp32", "steps"}

// neighbours of a bound, in the key's type.
func neighbours(t *testing.T, key, bound string) [2]string {
	t.Helper()
	typed := ""
	c, err := Parse([]byte(wide), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.each(func(k string, v reflect.Value, _ *Layer) {
		if k == key {
			typed = strings.TrimLeft(v.Type().String(), "*[]")
		}
	})
	switch typed {
	case "int":
		n, err := strconv.Atoi(bound)
		if err != nil {
			t.Fatal(err)
		}
		return [2]string{strconv.Itoa(n - 1), strconv.Itoa(n + 1)}
	case "float64":
		x, err := strconv.ParseFloat(bound, 64)
		if err != nil {
			t.Fatal(err)
		}
		text := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
		return [2]string{text(math.Nextafter(x, math.Inf(-1))), text(math.Nextafter(x, math.Inf(1)))}
	case "time.Duration":
		d, err := time.ParseDuration(bound)
		if err != nil {
			t.Fatal(err)
		}
		return [2]string{(d - 1).String(), (d + 1).String()}
	}
	t.Fatalf("%s: the test does not know %q", key, typed)
	return [2]string{}
}

// A page that lacks a key has the default that is documented, or the value of the key that is.
func TestDescribedDefaultsHold(t *testing.T) {
	const bare = `model:
  layers:
    - {name: conv1, kind: conv, kernels: 1, size: 1}
    - {name: lrn1, kind: lrn}
    - {name: pool1, kind: pool, size: 7}
    - {name: activation1, kind: activation}
    - {name: fc2, kind: fc, units: 1}
    - {name: dropout2, kind: dropout}
    - {name: fc3, kind: fc}
    - {name: softmax, kind: softmax}
`
	path := t.TempDir() + "/bare.yaml"
	if err := os.WriteFile(path, []byte(bare), 0o666); err != nil {
		t.Fatal(err)
	}
	_, entries, err := Explain(path, []string{"model.act=tanh"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]*Entry{}
	for i := range entries {
		got[entries[i].Key] = &entries[i]
	}
	all, _ := Describe("")
	for _, d := range all {
		for _, key := range settable(&d) {
			e := got[key]
			switch key {
			case "model.fc2.units": // given, as it must be in all but the last
				e = got["model.fc3.units"]
			case "model.act":
				continue
			}
			want := d.Default
			if want == "model.*.size" {
				want = "7"
			}
			switch {
			case e.Line > 0 && want != "", e.Line == 0 && e.Follows == "" && e.Text() != want,
				e.Follows != "" && e.Follows != want:
				t.Errorf("%s is %s (%s), documented is %q", key, e.Text(), e.From(), want)
			}
		}
	}
}

func TestDescribePrefix(t *testing.T) {
	for _, c := range []struct {
		prefix, first, last string
	}{
		{"", "model.columns", "data.bad_share"},
		{"train.", "train.epochs", "train.augment.color"},
		{"train.schedule", "train.schedule.kind", "train.schedule.epochs"},
		{"train.lr", "train.lr", "train.lr"},
		{"data", "data.val_share", "data.bad_share"},
		{"model.*.", "model.*.name", "model.*.rate"},
		{"model.conv1.lr", "model.*.lr", "model.*.lr"},
		{"model.input.", "model.input.channels", "model.input.size"},
	} {
		found, nearest := Describe(c.prefix)
		if len(found) == 0 || found[0].Key != c.first || found[len(found)-1].Key != c.last || nearest != "" {
			t.Errorf("%q: %v, nearest %q", c.prefix, found, nearest)
		}
	}
	for prefix, want := range map[string]string{
		"trian.": "train.", "lr": "train.lr", "data.rezise": "data.resize", "batch": "train.batch",
		"kernel": "model.*.kernels", "model.conv1.strides": "model.*.stride", "quite something else": "",
	} {
		if found, nearest := Describe(prefix); len(found) > 0 || nearest != want {
			t.Errorf("%q: %d keys, nearest %q, want %q", prefix, len(found), nearest, want)
		}
	}
}

// docs/config.md is what the table says: go test ./internal/config -run TestDocs -update writes it.
func TestDocs(t *testing.T) {
	const path = "../../docs/config.md"
	want := markdown()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/config.md is not what the keys are: go test ./internal/config -run TestDocs -update writes it")
	}
}

func markdown() string {
	var b strings.Builder
	b.WriteString(`# Keys of a page

Every key that a page may have, and an override: ` + "`--set KEY=VALUE`" + `. A key that is not here, or a value that is
not allowed, is an error with file, line and column. ` + "`alexnet config --help-keys [PREFIX]`" + ` prints this list,
` + "`alexnet config`" + ` the values of a page and where each comes from. The list is written from the table that the
program checks pages by: ` + "`go test ./internal/config -run TestDocs -update`" + `.
`)
	section := ""
	all, _ := Describe("")
	for _, d := range all {
		in := d.Key[:strings.IndexByte(d.Key, '.')]
		if d.Kinds != nil {
			in = "model.*"
		}
		if in != section {
			section = in
			fmt.Fprintf(&b, "\n## %s| key | meaning | unit | values | default |\n|---|---|---|---|---|\n",
				map[string]string{
					"model": "The net\n\n", "train": "Training\n\n", "data": "Pictures\n\n",
					"model.*": "Layers\n\n`*` stands for a layer's name; `--set model.*.act=tanh` reaches every " +
						"layer that has the key. In brackets are the\nkinds of layer that have it.\n\n",
				}[in])
		}
		key, def := "`"+d.Key+"`", d.Default
		if d.Kinds != nil && len(d.Kinds) < len(kinds) {
			key += " (" + strings.Trim(fmt.Sprint(d.Kinds), "[]") + ")"
		}
		switch {
		case def == "":
			def = "must be given"
		case strings.Contains(def, ".") && strings.ContainsAny(def, "adeilmnot"):
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", key, d.Meaning, d.Unit, d.Values, def)
	}
	return b.String()
}
