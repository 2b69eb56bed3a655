// Package crafted is what strangers could send: pages, checkpoints, tars, zips, Parquet files, pickles, PyTorch's files
// and NumPy's that are made to hurt, each with what is to become of it. Every one is to be refused with an error of its
// kind, in a moment and in little memory.
//
// It is for tests, writes the formats itself and imports nothing but the standard library, so that the tests of every
// package can take from it.
package crafted

import (
	"fmt"
	"strings"
)

// Page is a configuration that is refused.
type Page struct {
	Name string
	YAML []byte
	Want string // part of the error
}

// net is a page that is sound; %s are more keys of its first layer, and more sections.
const net = `model: {input: {size: 8}, layers: [{name: conv1, kind: conv, kernels: 4, size: 3%s},
  {name: pool1, kind: pool, size: 2}, {name: fc2, kind: fc}, {name: prob, kind: softmax}]}
%s`

// SoundPage is a page that is read: a net for pictures of 8x8.
func SoundPage() []byte { return fmt.Appendf(nil, net, "", "data: {resize: 8}\n") }

// Pages are pages whose form is made to hurt, and pages with a value out of its range: one for each key that has one.
func Pages() []Page {
	const million = 1_000_000
	repeated := func(s string, bytes int) string { return strings.Repeat(s, bytes/len(s)) }
	var all []Page
	add := func(name, yaml, want string) { all = append(all, Page{name, []byte(yaml), want}) }
	const deep, many, signs = "more than 100 levels deep", "more than 10000 keys", "more than 100000 brackets"
	for _, s := range []string{"[", "{", "[a,", "{a: ", "[a: ", "- ", "? ", "[{a: ", "[]", "&a ", "*a ", "!a "} {
		add("a million bytes of "+s, repeated(s, million), signs)
	}
	for _, s := range []string{"[", "{", "[a,", "{a: ", "[a: ", "- ", "? ", "[{a: "} {
		add("a thousand bytes of "+s, repeated(s, 1000), deep)
	}
	add("anchors", repeated("&a ", 90_000), "anchors")
	add("aliases", repeated("*a ", 90_000), "anchors")
	add("aliases that multiply", `a: &a [x,x,x,x,x,x,x,x,x]
b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]
c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]
d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]
`, "anchors")
	add("an alias to what it lies in", "model: &a {layers: [*a]}\n", "anchors")
	add("a merge key", "model: {<<: {columns: 2}}\n", "<<")
	for i, s := range []string{"a: b\n", "- a\n", "? a\n: b\n", "- [a]\n", "- {a: b}\n", "a:\n- b\n"} {
		add(fmt.Sprintf("too many keys, %d", i), strings.Repeat(s, 10_001), many)
		add(fmt.Sprintf("a million bytes of keys, %d", i), repeated(s, million), signs)
	}
	add("a long list", "data: {std: ["+strings.Repeat("1,", 10_001)+"1]}\n", many)
	add("a list of a million bytes", "data: {std: ["+repeated("1,", million-20)+"1]}\n", signs)
	var steps strings.Builder
	for i := range 200 {
		steps.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	add("200 levels of lines", steps.String(), deep)
	add("two million bytes", strings.Repeat("# \n", 2*million/3), "longer than")
	add("a key of a million", repeated("k", million)+": 1\n", "is not a key")
	add("a key of a million in a group", "model: {"+repeated("k", million-20)+": 1}\n", "is not a key")
	add("a kind of a million", "model: {layers: [{name: a, kind: "+repeated("k", million-50)+"}]}\n", "must be one of")
	long := strings.Replace(net, "conv1", repeated("k", million-400), 1)
	add("a layer's name of a million", fmt.Sprintf(long, "", ""), "longer than")
	layers := strings.Repeat("{name: a, kind: dropout},", 600)
	add("600 layers", "model: {layers: ["+layers+"]}\n", "at most 500")
	layer := func(key, value string) {
		add("conv1."+key+"="+value, fmt.Sprintf(net, ", "+key+": "+value, ""), key)
	}
	for _, v := range [][2]string{
		{"pad", "4097"},
		{"pad", "-1"},
		{"stride", "0"},
		{"stride", "4097"},
		{"groups", "0"},
		{"groups", "2000000"},
		{"lr", "1e7"},
		{"lr", "-1"},
		{"bias_lr", "1e300"},
		{"weight_decay", "1e300"},
		{"init", "{std: 1e300}"},
		{"init", "{bias: -1e300}"},
		{"pad", "99999999999999999999"},
		{"lr", ".nan"},
		{"lr", ".inf"},
		{"lr", "1e400"},
	} {
		layer(v[0], v[1])
	}
	for _, v := range [][3]string{
		{"train", "epochs", "0"},
		{"train", "epochs", "2000000000"},
		{"train", "batch", "65537"},
		{"train", "lr", "1e31"},
		{"train", "lr", ".nan"},
		{"train", "lr", ".inf"},
		{"train", "momentum", "1"},
		{"train", "weight_decay", "1e7"},
		{"train", "bias_lr", "1e7"},
		{"train", "bias_decay", "1e7"},
		{"train", "checkpoint_steps", "2000000000"},
		{"train", "seed", "-1"},
		{"train", "seed", "18446744073709551616"},
		{"train", "schedule", "{patience: 2000000000}"},
		{"train", "schedule", "{drops: 2000000000}"},
		{"train", "schedule", "{kind: steps, epochs: [2000000000]}"},
		{"train", "schedule", "{factor: 1}"},
		{"train", "augment", "{color: 1e7}"},
		{"data", "resize", "100000"},
		{"data", "resize", "2147483647"},
		{"data", "resize", "1099511627776"},
		{"data", "val_share", "1"},
		{"data", "std", "[1e-300]"},
		{"data", "std", "[1e300]"},
		{"data", "workers", "1025"},
	} {
		yaml := fmt.Sprintf("%s: {%s: %s}\n", v[0], v[1], v[2])
		add(strings.TrimSuffix(yaml, "\n"), fmt.Sprintf(net, "", yaml), v[1])
	}
	for _, v := range [][2]string{
		{"classes", "1"}, {"classes", "2000000000"}, {"default_classes", "2000000000"}, {"columns", "65"},
	} {
		yaml := fmt.Sprintf(net, "", "")
		add("model."+v[0]+"="+v[1], strings.Replace(yaml, "model: {", "model: {"+v[0]+": "+v[1]+", ", 1), v[0])
	}
	return all
}
