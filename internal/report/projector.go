package report

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"path/filepath"
	"strconv"

	"golang.org/x/image/draw"

	"alexnet/internal/atomicfile"
	"alexnet/internal/text"
)

// Projector writes vectors of pictures as TensorBoard's projector takes them: vectors.tsv, metadata.tsv, sprite.png,
// and projector_config.pbtxt, by which tensorboard --logdir finds them.
type Projector struct {
	folder            *atomicfile.Folder
	vectors, metadata io.Writer
	layer             string
	most, n           int         // vectors
	columns, tile     int         // of the sprite; tile is a picture's side in it
	sprite            *image.RGBA // nil before the first
	line              []byte
}

// What a sprite may be: a browser's graphics take pictures of 8192 pixels a side, and more than 64 for one point say
// nothing more.
const spriteSide, largestTile = 8192, 64

// NewProjector begins the files of at most n vectors of a layer. The folder is the caller's to finish.
func NewProjector(folder *atomicfile.Folder, layer string, n int) (*Projector, error) {
	p := &Projector{folder: folder, layer: layer, most: n, columns: max(int(math.Ceil(math.Sqrt(float64(n)))), 1)}
	if p.columns > spriteSide {
		return nil, fmt.Errorf("%d pictures are more than a sprite of %d pixels a side holds", n, spriteSide)
	}
	var err error
	if p.vectors, err = folder.Create("vectors.tsv"); err != nil {
		return nil, err
	}
	if p.metadata, err = folder.Create("metadata.tsv"); err != nil {
		return nil, err
	}
	_, err = io.WriteString(p.metadata, "file\tfolder\n") // read as names where there are several columns
	return p, err
}

// Add adds a vector and the picture, at path, that it is of: a square, all of one size.
func (p *Projector) Add(path string, values []float32, m image.Image) error {
	if p.sprite == nil {
		p.tile = p.side(m.Bounds().Dx())
		p.sprite = image.NewRGBA(image.Rect(0, 0, p.columns*p.tile, (p.most+p.columns-1)/p.columns*p.tile))
	}
	p.line = p.line[:0]
	for i, x := range values {
		if i > 0 {
			p.line = append(p.line, '\t')
		}
		p.line = strconv.AppendFloat(p.line, float64(x), 'g', -1, 32)
	}
	p.line = append(p.line, '\n')
	if _, err := p.vectors.Write(p.line); err != nil {
		return err
	}
	dir := filepath.Base(filepath.Dir(path)) // the class, where pictures lie in folders of theirs
	if _, err := fmt.Fprintf(p.metadata, "%s\t%s\n", text.Name(path), text.Name(dir)); err != nil {
		return err
	}
	at := image.Pt(p.n%p.columns, p.n/p.columns).Mul(p.tile)
	into := image.Rectangle{at, at.Add(image.Pt(p.tile, p.tile))}
	draw.ApproxBiLinear.Scale(p.sprite, into, m, m.Bounds(), draw.Src, nil)
	p.n++
	return nil
}

// side is that of a picture in the sprite, pixels.
func (p *Projector) side(picture int) int {
	return max(min(picture, largestTile, spriteSide/p.columns), 1)
}

// Close writes the sprite, without the rows that no vector needs, and the configuration. There must be a vector.
func (p *Projector) Close() error {
	f, err := p.folder.Create("sprite.png")
	if err != nil {
		return err
	}
	// the projector divides the sprite by the rows that the vectors need
	used := image.Rect(0, 0, p.columns*p.tile, (p.n+p.columns-1)/p.columns*p.tile)
	if err := png.Encode(f, p.sprite.SubImage(used)); err != nil {
		return err
	}
	if f, err = p.folder.Create("projector_config.pbtxt"); err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, `embeddings {
  tensor_name: %s
  tensor_path: "vectors.tsv"
  metadata_path: "metadata.tsv"
  sprite {
    image_path: "sprite.png"
    single_image_dim: %d
    single_image_dim: %[2]d
  }
}
`, strconv.QuoteToASCII(p.layer), p.tile)
	return err
}
