package main

import (
	"bytes"
	"testing"

	"alexnet/internal/data"
)

// TestPrintILSVRC: what is missing of ILSVRC2012 in words.
func TestPrintILSVRC(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		of   data.ILSVRC
		want string
	}{
		{data.ILSVRC{Complete: true}, "ILSVRC2012: complete\n"},
		{data.ILSVRC{Val: 50_000}, "ILSVRC2012: to train on all, for validation none\n"},
		{data.ILSVRC{Train: -1}, "ILSVRC2012: to train on 1 too many, for validation all\n"},
		{data.ILSVRC{Train: 1200, Val: 1, Short: []data.ShortClass{
			{Class: "n01440764", Part: data.TrainPart, Pictures: 100, AtLeast: 732},
			{Class: "n01440764", Part: data.ValPart, Pictures: 49, AtLeast: 50},
		}}, "ILSVRC2012: to train on 1,200 of 1,281,167 missing, for validation 1 of 50,000 missing; " +
			"too few of 1 class, such as 100 for train of n01440764, which has 732 or more\n"},
	} {
		var b bytes.Buffer
		if printILSVRC(&b, &c.of); b.String() != c.want {
			t.Errorf("%q, want %q", b.String(), c.want)
		}
	}
}
