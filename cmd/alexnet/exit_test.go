package main

import (
	"bytes"
	"errors"
	"testing"

	"alexnet/internal/ui"
)

// TestErrorsSayTheirAdviceOnce: an error stands in a line, its next step in another, also where the message ends with
// it.
func TestErrorsSayTheirAdviceOnce(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.New("it broke"), "error: it broke\n"},
		{usageError("alexnet --help", "no such thing"), "error: no such thing\nnext:  alexnet --help\n"},
		{
			advise(exitFailed, "give a new folder", errors.New("x is there; give a new folder")),
			"error: x is there\nnext:  give a new folder\n",
		},
	} {
		var b bytes.Buffer
		if showError(&ui.Terminal{Err: &b}, test.err); b.String() != test.want {
			t.Errorf("%v: %q, want %q", test.err, b.String(), test.want)
		}
	}
}
