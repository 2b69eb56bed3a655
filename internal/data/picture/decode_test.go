package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/draw"

	"alexnet/internal/data/picture/picturetest"
	"alexnet/internal/sharedtest"
)

// decoders are those that this machine has.
func decoders(t testing.TB) map[string]*Decoder {
	d := map[string]*Decoder{Standard: {}}
	if other := NewDecoder(); other.turbo != nil {
		d[Turbo] = other
		t.Cleanup(other.Close)
	}
	return d
}

// decode is Decode of a decoder for this one picture.
func decode(raw []byte, resize, channels int, dst []uint8) (Picture, error) {
	d := NewDecoder()
	defer d.Close()
	return d.Decode(context.Background(), raw, Want{Resize: resize, Channels: channels}, dst)
}

// straight is RGB (h, w, 3) as it lies.
func straight(rgb []uint8, h, w int) *plane {
	p := upright(rgb, h, w, 1)
	return &p
}

func testFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// scene is the picture in testdata/rgb.*: three slopes, 32x24.
func scene(x, y int) [3]int { return [3]int{8 * x, 10 * y, 4 * (x + y)} }

func TestDecodeFormats(t *testing.T) {
	for _, c := range []struct {
		name, format, color string
		within              int // of 255
		want                func(x, y int) [3]int
	}{
		{"rgb.png", "png", "rgb", 0, scene},
		{"png_named.JPEG", "png", "rgb", 0, scene},
		{"alpha.png", "png", "rgb", 0, scene},          // alpha is dropped, not blended
		{"palette_alpha.png", "png", "rgb", 60, scene}, // 16 colours
		{"rgb.bmp", "bmp", "rgb", 0, scene},
		{"rgb.tiff", "tiff", "rgb", 0, scene},
		{"rgb.webp", "webp", "rgb", 0, scene},
		{"rgb.gif", "gif", "rgb", 40, scene},
		{"rgb.jpg", "jpeg", "rgb", 16, scene},
		{"progressive.jpg", "jpeg", "rgb", 16, scene},
		{"cmyk.jpg", "jpeg", "cmyk", 24, scene},
		{"grey.jpg", "jpeg", "grey", 8, func(x, y int) [3]int {
			s := scene(x, y)
			l := int(luma(uint8(s[0]), uint8(s[1]), uint8(s[2])))
			return [3]int{l, l, l}
		}},
		{"grey16.png", "png", "grey", 0, func(_, y int) [3]int { v := 2700 * y >> 8; return [3]int{v, v, v} }},
	} {
		for name, d := range decoders(t) {
			t.Run(c.name+" by "+name, func(t *testing.T) {
				pic, err := d.Decode(t.Context(), testFile(t, c.name), Want{Channels: 3}, nil)
				if err != nil {
					t.Fatal(err)
				}
				w := 32
				if c.name == "grey16.png" {
					w = 1
				}
				want := File{Format: c.format, Color: c.color, Height: 24, Width: w}
				if pic.File != want && c.name != "grey16.png" {
					t.Errorf("file %+v, want %+v", pic.File, want)
				}
				for i := range pic.Height * pic.Width {
					want := c.want(i%pic.Width, i/pic.Width)
					for k := range 3 {
						if diff := int(pic.Pixels[3*i+k]) - want[k]; diff < -c.within || diff > c.within {
							t.Fatalf("pixel %d,%d channel %d is %d, want %d", i%pic.Width, i/pic.Width, k,
								pic.Pixels[3*i+k], want[k])
						}
					}
				}
			})
		}
	}
}

// rawPNG is a PNG file of the given chunks, for headers that no encoder writes.
func rawPNG(chunks ...[]byte) []byte {
	b := []byte("\x89PNG\r\n\x1a\n")
	for _, c := range chunks {
		b = binary.BigEndian.AppendUint32(b, uint32(len(c)-4))
		b = append(b, c...)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(c))
	}
	return b
}

// bombPNG announces a size and holds nothing.
func bombPNG(w, h uint32) []byte {
	c := []byte("IHDR")
	c = binary.BigEndian.AppendUint32(c, w)
	c = binary.BigEndian.AppendUint32(c, h)
	return rawPNG(append(c, 8, 2, 0, 0, 0), []byte("IDAT\x78\x9c"))
}

// bombJPEG is a JPEG whose header announces w x h.
func bombJPEG(t testing.TB, w, h uint16) []byte {
	raw := bytes.Clone(testFile(t, "rgb.jpg"))
	i := bytes.Index(raw, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(raw[i+5:], h)
	binary.BigEndian.PutUint16(raw[i+7:], w)
	return raw
}

func TestDecodeRefuses(t *testing.T) {
	jpg := testFile(t, "rgb.jpg")
	broken := bytes.Clone(jpg)
	for i := len(broken) - 150; i < len(broken)-100; i++ {
		broken[i] = 0xff
	}
	for _, c := range []struct {
		name, says string
		raw        []byte
	}{
		{"empty", "empty file", nil},
		{"text", "no picture in a known format", []byte("<html>404 Not Found</html>")},
		{"cut off JPEG", "jpeg file is cut off", testFile(t, "truncated.jpg")},
		{"JPEG without its last marker", "jpeg file is cut off", testFile(t, "no_eoi.jpg")},
		{"JPEG header alone", "jpeg", jpg[:200]},
		{"JPEG magic alone", "jpeg", jpg[:3]},
		{"damaged JPEG", "jpeg", broken},
		{"cut off PNG", "png", testFile(t, "truncated.png")},
		{"PNG of 10^9 pixels", "size 40000x40000 is more than the limit of 100000000 pixels", bombPNG(40000, 40000)},
		{"PNG of 2^62 pixels", "overflow", bombPNG(1<<31-1, 1<<31-1)},
		{"JPEG of 4*10^9 pixels", "size 65500x65500 is more than the limit", bombJPEG(t, 65500, 65500)},
		{"PNG without pixels", "png", bombPNG(0, 5)},
	} {
		for name, d := range decoders(t) {
			t.Run(c.name+" by "+name, func(t *testing.T) {
				pic, err := d.Decode(t.Context(), c.raw, Want{Resize: 8, Channels: 3}, nil)
				if err == nil {
					t.Fatalf("decoded to %dx%d", pic.Width, pic.Height)
				}
				if !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %q does not say %q", err, c.says)
				}
			})
		}
	}
}

func TestMaxPixels(t *testing.T) {
	raw := testFile(t, "rgb.png") // 32x24 = 768
	if _, err := (&Decoder{limit: 768}).Decode(t.Context(), raw, Want{Channels: 3}, nil); err != nil {
		t.Errorf("limit of exactly its size: %v", err)
	}
	if _, err := (&Decoder{limit: 767}).Decode(t.Context(), raw, Want{Channels: 3}, nil); err == nil {
		t.Error("limit of one pixel less: decoded")
	}
}

func TestDecodeRefusesOptions(t *testing.T) {
	for _, c := range []struct{ resize, channels, limit int }{
		{-1, 3, 0}, {0, 2, 0}, {0, 4, 0}, {0, 3, -1},
	} {
		d := &Decoder{limit: c.limit}
		want := Want{Resize: c.resize, Channels: c.channels}
		if _, err := d.Decode(t.Context(), testFile(t, "rgb.png"), want, nil); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

// Pixels land in the caller's slice where they fit.
func TestDecodeReusesDst(t *testing.T) {
	dst := make([]uint8, 32*24*3)
	pic, err := decode(testFile(t, "rgb.png"), 0, 3, dst)
	if err != nil || &pic.Pixels[0] != &dst[0] {
		t.Errorf("dst of the right size was not used (%v)", err)
	}
}

// The two JPEG decoders differ on 4:2:0 by the interpolation of chroma alone: by 1.6 of 255 on average on photos.
func TestDecodersAgree(t *testing.T) {
	by := decoders(t)
	if len(by) < 2 {
		t.Skip("libjpeg-turbo is not installed")
	}
	all := sharedtest.Photos(t)
	for i := 0; i < len(all); i += 9 {
		var got [2]Picture
		for k, name := range []string{Standard, Turbo} {
			pic, err := by[name].Decode(t.Context(), all[i].Raw, Want{Resize: 256, Channels: 3}, nil)
			if err != nil {
				t.Fatal(all[i].Name, err)
			}
			got[k] = pic
		}
		if got[0].File != got[1].File {
			t.Errorf("%s: %+v and %+v", all[i].Name, got[0].File, got[1].File)
		}
		if mean := meanDiff(got[0].Pixels, got[1].Pixels); mean > 4 {
			t.Errorf("%s: the decoders differ by %g of 255 on average", all[i].Name, mean)
		}
	}
}

func meanDiff(a, b []uint8) float64 {
	sum := 0
	for i := range a {
		sum += max(int(a[i])-int(b[i]), int(b[i])-int(a[i]))
	}
	return float64(sum) / float64(len(a))
}

func maxDiff(a, b []uint8) int {
	m := 0
	for i := range a {
		m = max(m, int(a[i])-int(b[i]), int(b[i])-int(a[i]))
	}
	return m
}

// Goldens by Pillow 13's resize (BILINEAR) and crop.
func TestResizeMatchesPillow(t *testing.T) {
	for name, size := range map[string]int{"noise_20.png": 20, "noise_64.png": 64} {
		want, err := decode(testFile(t, name), 0, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(testFile(t, "noise.png"), size, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := maxDiff(got.Pixels, want.Pixels); d > 1 {
			t.Errorf("%s: differs from Pillow by %d of 255", name, d)
		}
	}
}

// The resize is an own one for speed; the library's is what it must equal, at any scale.
func TestResizeMatchesLibrary(t *testing.T) {
	for _, c := range []struct{ w, h, size int }{
		{61, 47, 20},
		{47, 61, 46},
		{61, 47, 47},
		{61, 47, 100},
		{500, 3, 9},
		{3, 500, 2},
		{1, 1, 5},
		{700, 640, 7},
		{32, 32, 32},
	} {
		rgb := make([]uint8, c.w*c.h*3)
		for i := range rgb {
			rgb[i] = uint8(i * i * 31 >> 3)
		}
		img := image.NewRGBA(image.Rect(0, 0, c.w, c.h))
		for i := range c.w * c.h {
			copy(img.Pix[4*i:], rgb[3*i:3*i+3])
			img.Pix[4*i+3] = 255
		}
		short := min(c.w, c.h)
		full := image.NewRGBA(image.Rect(0, 0, scaled(c.w, short, c.size), scaled(c.h, short, c.size)))
		draw.BiLinear.Scale(full, full.Bounds(), img, img.Bounds(), draw.Src, nil)
		want := make([]uint8, full.Rect.Dx()*full.Rect.Dy()*3)
		pack(want, full)
		got := make([]uint8, c.size*c.size*3)
		new(fitter).square(straight(rgb, c.h, c.w), got, c.size, Want{Channels: 3})
		x, y := (full.Rect.Dx()-c.size)/2, (full.Rect.Dy()-c.size)/2
		for i := range c.size {
			if d := maxDiff(got[i*c.size*3:][:c.size*3], want[((y+i)*full.Rect.Dx()+x)*3:]); d > 1 {
				t.Errorf("%dx%d to %d: row %d differs from the library by %d of 255", c.w, c.h, c.size, i, d)
				break
			}
		}
	}
}

// White must stay white at any scale: weights that do not sum to one would show here, and so would a lane running over.
func TestResizeKeepsWhite(t *testing.T) {
	var f fitter
	for _, w := range []int{1, 7, 255, 256, 257, 5000} {
		rgb := bytes.Repeat([]byte{255}, w*3*3)
		for _, channels := range []int{1, 3} {
			got := make([]uint8, 5*5*channels)
			f.square(straight(rgb, 3, w), got, 5, Want{Channels: channels})
			if n := bytes.Count(got, []byte{255}); w >= 3 && n != len(got) {
				t.Errorf("%dx3, %d channels: %d of %d samples stayed white", w, channels, n, len(got))
			}
		}
	}
}

func TestLuma(t *testing.T) {
	pic, err := decode(testFile(t, "rgb.png"), 0, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range pic.Pixels {
		s := scene(i%32, i/32)
		want := .299*float64(s[0]) + .587*float64(s[1]) + .114*float64(s[2])
		if d := float64(got) - want; d > .51 || d < -.51 {
			t.Fatalf("luma of %v is %d, want %g", s, got, want)
		}
	}
}

// Whatever the bytes, there is a picture of the size asked for or an error; never a panic, never an endless wait.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, 5, false)
	}
	f.Add(bombPNG(70000, 70000), 0, true)
	for _, c := range picturetest.Bases() {
		f.Add(c.Bytes, 5, true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, size int, grey bool) {
		d := NewDecoder()
		defer d.Close()
		d.limit = 1 << 16
		channels := 3
		if grey {
			channels = 1
		}
		pic, err := d.Decode(t.Context(), raw, Want{Resize: size & 63, Channels: channels}, nil)
		if err == nil && (pic.Height*pic.Width*channels != len(pic.Pixels) || len(pic.Pixels) == 0) {
			t.Errorf("picture of %dx%d with %d bytes", pic.Width, pic.Height, len(pic.Pixels))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	all := sharedtest.Photos(b)
	for name, d := range decoders(b) {
		for _, p := range []struct {
			what   string
			resize int
		}{{"decode", 0}, {"decode, resize, crop", 256}} {
			b.Run(name+" "+p.what, func(b *testing.B) {
				var dst []uint8
				for i := 0; b.Loop(); i++ {
					pic, err := d.Decode(b.Context(), all[i%len(all)].Raw, Want{Resize: p.resize, Channels: 3}, dst)
					if err != nil {
						b.Fatal(err)
					}
					dst = pic.Pixels
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pictures/s")
			})
		}
	}
}

func BenchmarkResize(b *testing.B) {
	b.Run("own", func(b *testing.B) {
		rgb := make([]uint8, 500*375*3)
		dst := make([]uint8, 256*256*3)
		var f fitter
		for b.Loop() {
			f.square(straight(rgb, 375, 500), dst, 256, Want{Channels: 3})
		}
	})
	b.Run("library", func(b *testing.B) {
		src, dst := image.NewRGBA(image.Rect(0, 0, 500, 375)), image.NewRGBA(image.Rect(0, 0, 341, 256))
		for b.Loop() {
			draw.BiLinear.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Src, nil)
		}
	})
}
