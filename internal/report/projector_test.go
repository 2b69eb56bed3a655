package report

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
	"alexnet/internal/text"
)

// TestProjector: a line for each vector and each picture, whatever its name, each picture in its place in the sprite,
// and a configuration that names the files.
func TestProjector(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cloud")
	folder, err := atomicfile.NewFolder(files.OS, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Drop()
	p, err := NewProjector(folder, `fc"7`, 10) // 4 columns; 5 come
	if err != nil {
		t.Fatal(err)
	}
	hues := []color.RGBA{{255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}, {9, 9, 9, 255}, {255, 255, 0, 255}}
	names := []string{"cat/1.jpg", "a\tb\n/c\xff.jpg", "3.jpg", "</script>", strings.Repeat("x", 300)}
	for i, hue := range hues {
		m := image.NewRGBA(image.Rect(0, 0, 90, 90))
		for j := range 90 * 90 {
			m.SetRGBA(j%90, j/90, hue)
		}
		if err := p.Add(names[i], []float32{float32(i), 0.1, -1e-20}, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := folder.Finish(); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	lines := strings.Split(read("vectors.tsv"), "\n")
	if len(lines) != 6 || lines[4] != "4\t0.1\t-1e-20" || lines[5] != "" {
		t.Errorf("vectors %q", lines)
	}
	lines = strings.Split(read("metadata.tsv"), "\n")
	if len(lines) != 7 || lines[0] != "file\tfolder" || lines[1] != "cat/1.jpg\tcat" ||
		lines[2] != text.Name(names[1])+"\t"+`a\tb\n` || lines[5] != names[4]+"\t." {
		t.Errorf("metadata %q", lines)
	}
	config := read("projector_config.pbtxt")
	for _, want := range []string{`"fc\"7"`, `"vectors.tsv"`, `"metadata.tsv"`, `"sprite.png"`, "dim: 64\n"} {
		if !strings.Contains(config, want) {
			t.Errorf("the configuration lacks %s:\n%s", want, config)
		}
	}
	f, err := os.Open(filepath.Join(dir, "sprite.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sprite, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := sprite.Bounds().Size(), image.Pt(4*64, 2*64); got != want {
		t.Errorf("a sprite of %v, want %v: four a row, two rows for five vectors", got, want)
	}
	for i, hue := range hues {
		if got := color.RGBAModel.Convert(sprite.At(i%4*64+10, i/4*64+60)); got != hue {
			t.Errorf("picture %d is %v, want %v", i, got, hue)
		}
	}
	if got := color.RGBAModel.Convert(sprite.At(2*64, 2*64-1)); got != (color.RGBA{}) {
		t.Errorf("beside the last picture: %v", got)
	}
}

// TestSpriteSide: however many pictures there are, the sprite has no more than 8192 pixels a side.
func TestSpriteSide(t *testing.T) {
	for _, n := range []int{1, 16_384, 16_385, 50_000, 1_000_000, 8192 * 8192} {
		folder, err := atomicfile.NewFolder(files.OS, filepath.Join(t.TempDir(), "cloud"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewProjector(folder, "fc7", n)
		if err != nil {
			t.Fatal(err)
		}
		if tile := p.side(224); tile < 1 || tile*p.columns > spriteSide || p.columns*p.columns < n {
			t.Errorf("%d pictures: %d columns of %d pixels", n, p.columns, tile)
		}
		folder.Drop()
	}
	folder, err := atomicfile.NewFolder(files.OS, filepath.Join(t.TempDir(), "cloud"))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Drop()
	if _, err := NewProjector(folder, "fc7", 8192*8192+1); err == nil {
		t.Error("more pictures than pixels are no error")
	}
}
