package data

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/imagenet"
)

// hundred are pictures of 20 classes of ILSVRC2012, whose names say so, and a list of them by place.
func hundred(t testing.TB) (all map[string][]byte, lines []string) {
	t.Helper()
	all, raw := map[string][]byte{}, pngOf(t, 8, 8, 1)
	for i := range 100 {
		name := fmt.Sprintf("%s_%d.JPEG", imagenet.All()[i%20].WNID, i)
		all[name] = raw
		lines = append(lines, fmt.Sprintf("%s %d", name, i%20))
	}
	return all, lines
}

// refused opens what is to be an error of a problem with words in it.
func refused(t *testing.T, name string, at Place, problem Problem, words ...string) {
	t.Helper()
	src, err := Open(t.Context(), files.OS, at, 0, 1)
	if src != nil {
		_ = src.Close()
	}
	var e *SourceError
	if !errors.As(err, &e) || e.Problem != problem {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, want := range words {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// TestOneWrongLabel: one wrong label among many is named, and makes no classes of their own of all.
func TestOneWrongLabel(t *testing.T) {
	all, lines := hundred(t)
	dir := folder(t, all)
	for name, c := range map[string]struct {
		line    int // from 1; 101 is one more
		want    string
		problem Problem
		words   string
	}{
		"too high": {
			7, lines[6][:len(lines[6])-1] + "1001", Disagree,
			"line 7: its label is 1001, its name says n01498041, which is 6 of places in the order of WNIDs, from 0",
		},
		"another": {
			8, strings.TrimSuffix(lines[7], "7") + "3", Disagree, "line 8: its label is 3, its name says n01514668",
		},
		"negative": {9, strings.TrimSuffix(lines[8], "8") + "-1", BadList, "line 9: label -1 of n01514859_8.JPEG"},
		"a word": {
			9, strings.TrimSuffix(lines[8], "8") + "abc", BadLabel, "line 9: label abc, and 99 of 100 are numbers",
		},
		"twice": {
			101, strings.TrimSuffix(lines[8], "8") + "3", BadList,
			"line 101: n01514859_8.JPEG has label 3, and in line 9 label 8",
		},
	} {
		wrong := append([]string{}, lines...)
		if c.line > len(wrong) {
			wrong = append(wrong, c.want)
		} else {
			wrong[c.line-1] = c.want
		}
		list := filepath.Join(dir, "train.txt")
		writeTo(t, list, []byte(strings.Join(wrong, "\n")+"\n"))
		refused(t, name, At(list), c.problem, c.words)
	}
}

// TestOneWrongShardLabel is the same of shards, whose pictures are named by shard and key.
func TestOneWrongShardLabel(t *testing.T) {
	all, _ := hundred(t)
	tar := func(from, until int, wrong string) []byte {
		var list []tarFile
		for i := from; i < until; i++ {
			key := fmt.Sprintf("%s_%d", imagenet.All()[i%20].WNID, i)
			label := strconv.Itoa(i % 20)
			if i == from+5 && wrong != "" {
				label = wrong
			}
			list = append(list, tarFile{name: key + ".cls", raw: []byte(label)},
				tarFile{name: key + ".jpg", raw: all[key+".JPEG"]})
		}
		return tarOf(t, list)
	}
	for label, words := range map[string]string{
		"2000": "its label is 2000", "abc": "label abc, and 39 of 40 are numbers", "-1": "label -1 is negative",
	} {
		problem := BadLabel
		if label == "2000" {
			problem = Disagree
		}
		of := At(folder(t, map[string][]byte{
			"a-train-0.tar": tar(0, 60, ""), "a-val-0.tar": tar(60, 80, ""), "a-val-1.tar": tar(80, 100, label),
		}))
		refused(t, label, of, problem, words, "a-val-1.tar", "_85.")
	}
	// where no names tell, the label is that of no class
	plain := func(label string) []byte {
		return tarOf(t, []tarFile{{name: "x.cls", raw: []byte(label)}, {name: "x.jpg", raw: pngOf(t, 8, 8, 1)}})
	}
	of := At(folder(t, map[string][]byte{"train-0.tar": plain("7"), "val-0.tar": plain("2000")}))
	refused(t, "of no class", of, BadLabel, "val-0.tar/x.jpg", "label 2000, which no picture to train on has")
}
