package files_test

import (
	"path/filepath"
	"testing"

	"alexnet/internal/files"
)

// TestRemote: what was joined to the path of a store is still one.
func TestRemote(t *testing.T) {
	for path, want := range map[string]bool{
		"s3://bucket/set": true, "S3://bucket": true, filepath.Join("s3://bucket/set", "train"): true, "s3://": true,
		"s3": false, "s3:": false, "s3:x": false, "./s3:/x": false, "/s3:/x": false, "http://s3:/x": false, "": false,
	} {
		if got := files.Remote(path); got != want {
			t.Errorf("%q: remote %v, want %v", path, got, want)
		}
	}
}
