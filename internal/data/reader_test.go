package data

import (
	"errors"
	"strings"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/recipe"
)

func TestDecodeFile(t *testing.T) {
	pic, err := DecodeFile(files.OS, "picture/testdata/one.png", &recipe.Recipe{Resize: 7, Channels: 1})
	if err != nil || pic.Height != 7 || pic.Width != 7 || pic.Channels != 1 || len(pic.Pixels) != 49 {
		t.Errorf("a picture of one pixel: %dx%dx%d, %v", pic.Height, pic.Width, pic.Channels, err)
	}
	for path, says := range map[string]string{
		"picture/testdata/gone.jpg": "no such file", "picture/testdata": "is not a file",
		"picture/testdata/truncated.jpg": "cut off",
	} {
		_, err := DecodeFile(files.OS, path, &recipe.Recipe{Channels: 3})
		var bad *BadPicture
		if !errors.As(err, &bad) || bad.Name != path || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v", path, err)
		}
	}
}
