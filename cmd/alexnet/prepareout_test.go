package main

import (
	"errors"
	"os"
	"strings"
	"testing"

	"alexnet/internal/data"
)

// TestPrepareFailed: what is begun of pictures that have changed since is of others, whatever is put back; to go on
// would end at once.
func TestPrepareFailed(t *testing.T) {
	t.Chdir(t.TempDir())
	changed := &data.SourceFault{Path: "p", Changed: true, Err: errors.New("it has changed")}
	gone := &data.SourceFault{Path: "p", Err: errors.New("it is away")}
	err := prepareFailed(changed, "a set")
	if exitCode(err) != exitNoData || nextStep(err) != "the same command again" {
		t.Errorf("nothing begun: exit code %d, %q", exitCode(err), nextStep(err))
	}
	if err := os.MkdirAll("a set.partial/set", 0o777); err != nil {
		t.Fatal(err)
	}
	const anew = "rm -r 'a set.partial', then the same command again"
	if err := prepareFailed(changed, "a set"); exitCode(err) != exitNoData || nextStep(err) != anew {
		t.Errorf("begun: exit code %d, %q", exitCode(err), nextStep(err))
	}
	if err := prepareFailed(gone, "a set"); exitCode(err) != exitNoData || strings.Contains(nextStep(err), "rm") {
		t.Errorf("away: exit code %d, %q", exitCode(err), nextStep(err))
	}
}
