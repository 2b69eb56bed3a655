// Package demo draws pictures that a small net can learn in a minute: ten classes of figures on grounds of changing
// colour. They are a source of package data without a file, or written as files. It imports files,
// philox and data.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/philox"
)

// Options say which pictures to generate. The zero value gives the pictures that the demo net is made for.
type Options struct {
	Train, Val int // pictures of each class; 0: 200 and 50
	Size       int // of the square pictures; 0: 32
	Seed       uint64
	// ShuffledLabels deals the training pictures out to the classes at random; the validation part keeps its true
	// labels. A net that is trained on it can learn nothing by fair means, and one that names held-out pictures all the
	// same has seen them.
	ShuffledLabels bool
}

func (o *Options) fill() error {
	for _, f := range []struct {
		n       *int
		instead int
	}{{&o.Train, 200}, {&o.Val, 50}, {&o.Size, 32}} {
		if *f.n == 0 {
			*f.n = f.instead
		}
	}
	if o.Train < 1 || o.Val < 1 || max(o.Train, o.Val) > 1<<20 || o.Size < 16 || o.Size > 1024 {
		return fmt.Errorf("generated pictures: %d and %d of each class, %dx%d: want at least 1 of each, of 16x16 to "+
			"1024x1024", o.Train, o.Val, o.Size, o.Size)
	}
	return nil
}

// figure is one class of generated pictures. Its shape, in coordinates where it fills the square from -1 to 1 (y down),
// is the same seen in a mirror, so that flipping keeps the class.
type figure struct {
	name   string
	inside func(x, y float64) bool
}

// figures are the classes, sorted by name. Position, size, tilt and colours are drawn for each picture, and the figure
// is as often darker as it is lighter than the ground: no single pixel, and no weighted sum of pixels, tells the
// classes apart.
var figures = []figure{
	{"bars", func(x, y float64) bool { return box(x, y, .9) && stripe(x) }},
	{"checks", func(x, y float64) bool {
		return box(x, y, .9) && math.Mod(math.Floor((x+.9)/.45)+math.Floor((y+.9)/.45), 2) == 0
	}},
	{"cross", plus},
	{"disc", func(x, y float64) bool { return math.Hypot(x, y) < .88 }},
	{"frame", func(x, y float64) bool { return box(x, y, .85) && !box(x, y, .47) }},
	{"ring", func(x, y float64) bool { r := math.Hypot(x, y); return r < .95 && r > .55 }},
	{"saltire", func(x, y float64) bool { return plus((x+y)*math.Sqrt2/2, (x-y)*math.Sqrt2/2) }},
	{"square", func(x, y float64) bool { return box(x, y, .8) }},
	{"stripes", func(x, y float64) bool { return box(x, y, .9) && stripe(y) }},
	{"triangle", func(x, y float64) bool { return y < .8 && math.Abs(x) < (y+.9)*.58 }},
}

func box(x, y, r float64) bool { return math.Abs(x) < r && math.Abs(y) < r }

// stripe is true on three bands with two gaps between them.
func stripe(x float64) bool { return math.Mod(math.Floor((x+.9)/.36), 2) == 0 }

func plus(x, y float64) bool { return min(math.Abs(x), math.Abs(y)) < .27 && box(x, y, .95) }

// Write writes generated pictures to dir as train/CLASS/0001.png and val/CLASS/0001.png. The same options give the same
// files. A folder that is not empty is refused, so that nothing is overwritten or mixed. When ctx ends Write stops
// between two pictures with its cause, and leaves those that it has written.
func Write(ctx context.Context, fsys files.FS, dir string, o Options) error {
	if err := o.fill(); err != nil {
		return err
	}
	switch items, err := fsys.ReadDir(dir); {
	case err == nil && len(items) > 0:
		return fmt.Errorf("%s is not empty: %w", dir, fs.ErrExist)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, f := range figures {
		for _, p := range []string{"train", "val"} {
			if _, err := files.MkdirAll(fsys, filepath.Join(dir, p, f.name)); err != nil {
				return err
			}
		}
	}
	return o.each(func(_, _ int, name string, raw []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return writeFile(fsys, filepath.Join(dir, filepath.FromSlash(name)), raw)
	})
}

func writeFile(fsys files.FS, name string, content []byte) error {
	f, err := files.OpenOwn(fsys, name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// Path is what the source of generated pictures is called, in checkpoints too: they lie in no file.
const Path = "generated pictures"

// Open gives what data.Open gives for the folder that Write writes, without a folder.
func Open(o Options) (*data.Source, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	c := data.Contents{Path: Path, Kind: data.Generated}
	for _, f := range figures {
		c.Classes = append(c.Classes, f.name)
	}
	var all data.Memory
	err := o.each(func(p, class int, name string, raw []byte) error {
		records := []*[]data.Record{&c.Train, &c.Val}[p]
		*records = append(*records, data.Record{Name: name, Label: int32(class), Number: int32(len(all))})
		all = append(all, raw)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return data.New(c, all, 0, o.Seed), nil
}

// each draws all pictures and gives them to save as PNG files, with part (0: training, 1: validation), class and name.
func (o *Options) each(save func(p, class int, name string, raw []byte) error) error {
	var raw bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: &onePool{}} // noise hardly shrinks
	for p, perClass := range []int{o.Train, o.Val} {
		deal := o.deal(p, perClass)
		for i, to := range deal {
			img := drawFigure(&figures[i/perClass], o.Size, philox.NewSource(o.Seed, philox.PurposeDemo,
				uint32(i/perClass), uint32(p<<24|i%perClass)))
			raw.Reset()
			if err := encoder.Encode(&raw, img); err != nil {
				return err
			}
			class := int(to) / perClass
			name := path.Join([]string{"train", "val"}[p], figures[class].name, fileNumber(int(to)%perClass)+".png")
			if err := save(p, class, name, bytes.Clone(raw.Bytes())); err != nil {
				return err
			}
		}
	}
	return nil
}

// onePool lends the PNG encoder its one buffer, most of a megabyte, again for each picture.
type onePool struct{ b *png.EncoderBuffer }

func (p *onePool) Get() *png.EncoderBuffer { return p.b }

func (p *onePool) Put(b *png.EncoderBuffer) { p.b = b }

func fileNumber(i int) string {
	s := strconv.Itoa(i + 1)
	for len(s) < 4 {
		s = "0" + s
	}
	return s
}

// deal says in whose place each picture of part p is filed: its own, or in a training part with ShuffledLabels a random
// one's.
func (o *Options) deal(p, perClass int) []int32 {
	places := make([]int32, len(figures)*perClass)
	for i := range places {
		places[i] = int32(i)
	}
	if o.ShuffledLabels && p == 0 {
		src := philox.NewSource(o.Seed, philox.PurposeDemo, uint32(len(figures)), 0)
		for i := len(places) - 1; i > 0; i-- {
			k := src.Intn(i + 1)
			places[i], places[k] = places[k], places[i]
		}
	}
	return places
}

// rgb is a colour in 0..255.
type rgb [3]float64

func randomColor(src *philox.Source) (c rgb) {
	for i := range c {
		c[i] = 20 + 215*src.Float64()
	}
	return c
}

func (c rgb) mix(o rgb, t float64) rgb {
	for i := range c {
		c[i] += t * (o[i] - c[i])
	}
	return c
}

func (c rgb) distance(o rgb) float64 {
	return math.Sqrt((c[0]-o[0])*(c[0]-o[0]) + (c[1]-o[1])*(c[1]-o[1]) + (c[2]-o[2])*(c[2]-o[2]))
}

// drawFigure draws one picture: a figure on a ground that changes from side to side, and noise over both.
func drawFigure(f *figure, size int, src *philox.Source) *image.NRGBA {
	s := float64(size)
	from, to := randomColor(src), randomColor(src)
	to = from.mix(to, .5)
	ink := randomColor(src)
	for min(ink.distance(from), ink.distance(to)) < 100 { // out of 372
		ink = randomColor(src)
	}
	radius := s * (.28 + .12*src.Float64())
	cx, cy := radius+(s-2*radius)*src.Float64(), radius+(s-2*radius)*src.Float64()
	sin, cos := math.Sincos((src.Float64() - .5) * .4) // tilted by up to 11 degrees
	slope := 2 * math.Pi * src.Float64()
	noise := 4 + 10*src.Float64()
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			along := .5 + ((float64(x)/s-.5)*math.Cos(slope)+(float64(y)/s-.5)*math.Sin(slope))/math.Sqrt2
			c := from.mix(to, along).mix(ink, coverage(f, float64(x)-cx, float64(y)-cy, sin, cos, radius))
			n := src.Normals()
			img.SetNRGBA(x, y, color.NRGBA{
				clamp(c[0] + noise*n[0]), clamp(c[1] + noise*n[1]), clamp(c[2] + noise*n[2]), 255,
			})
		}
	}
	return img
}

// coverage is the share of a pixel that lies inside the figure, from 4x4 points. dx and dy lead from the figure's
// centre to the pixel's upper left corner.
func coverage(f *figure, dx, dy, sin, cos, radius float64) float64 {
	if dx*dx+dy*dy > 2*(radius+2)*(radius+2) {
		return 0
	}
	in := 0
	for i := range 16 {
		x, y := (dx+(float64(i%4)+.5)/4)/radius, (dy+(float64(i/4)+.5)/4)/radius
		if f.inside(x*cos+y*sin, y*cos-x*sin) {
			in++
		}
	}
	return float64(in) / 16
}

func clamp(x float64) uint8 { return uint8(math.Round(min(max(x, 0), 255))) }
