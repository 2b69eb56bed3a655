package picture

import (
	"bytes"
	"context"
	"image/jpeg"
	"math"
	"testing"
)

// smooth is a picture without sharp edges (h, w, 3), so that a JPEG of it is near it.
func smooth(h, w int) *Picture {
	p := &Picture{Height: h, Width: w, Channels: 3, Pixels: make([]uint8, h*w*3)}
	for y := range h {
		for x := range w {
			i := 3 * (y*w + x)
			p.Pixels[i] = uint8(128 + 100*math.Sin(float64(x)/20))
			p.Pixels[i+1] = uint8(128 + 100*math.Cos(float64(y)/25))
			p.Pixels[i+2] = uint8(2 * (x + y) % 256 / 2)
		}
	}
	return p
}

// TestEncode: both encoders make JPEGs of 4:2:0 and the quality asked for that either decoder reads back, near what
// went in, the same bytes each time.
func TestEncode(t *testing.T) {
	encoders := map[string]*Encoder{"standard": {quality: 95}, "as installed": NewEncoder(95)}
	for name, e := range encoders {
		defer e.Close()
		for _, size := range [][2]int{{256, 256}, {1, 1}, {7, 33}} {
			p := smooth(size[0], size[1])
			raw, err := e.Encode(p, nil)
			if err != nil {
				t.Fatal(name, err)
			}
			again, err := e.Encode(p, make([]byte, 0, 1<<20))
			if err != nil || !bytes.Equal(raw, again) {
				t.Errorf("%s: another JPEG of the same picture (%v)", name, err)
			}
			form := readForm(raw)
			if got := form.sampling(); got != "2x2,1x1,1x1" || form.height != size[0] || form.width != size[1] {
				t.Errorf("%s: %dx%d, sampling %s", name, form.width, form.height, got)
			}
			if img, err := jpeg.Decode(bytes.NewReader(raw)); err != nil || img.Bounds().Dx() != size[1] {
				t.Errorf("%s: %v", name, err)
			}
			d := NewDecoder()
			back, err := d.Decode(context.Background(), raw, Want{Channels: 3}, nil)
			d.Close()
			if err != nil {
				t.Fatal(name, err)
			}
			off := 0
			for i, x := range back.Pixels {
				off += max(int(x)-int(p.Pixels[i]), int(p.Pixels[i])-int(x))
			}
			if mean := float64(off) / float64(len(back.Pixels)); mean > 2 {
				t.Errorf("%s: %v: off by %.1f on average", name, size, mean)
			}
			// the first number of luma's table at quality 95 is 16 * 10 / 100, rounded: 2
			if at := bytes.Index(raw, []byte{0xff, 0xdb}); at < 0 || raw[at+5] != 2 {
				t.Errorf("%s: not of quality 95", name)
			}
		}
		if _, err := e.Encode(&Picture{Height: 2, Width: 2, Channels: 1, Pixels: make([]uint8, 4)}, nil); err == nil {
			t.Errorf("%s: grey was encoded", name)
		}
	}
}

// TestSquashAndShrink: squash scales both sides, so that the corners stay; shrink enlarges nothing.
func TestSquashAndShrink(t *testing.T) {
	p := &Picture{Height: 40, Width: 80, Channels: 3, Pixels: make([]uint8, 40*80*3)}
	for y := range 40 {
		for x := range 80 {
			if x < 8 { // a red margin, which a centre crop cuts off
				p.Pixels[3*(y*80+x)] = 255
			}
		}
	}
	e := NewEncoder(100)
	defer e.Close()
	raw, err := e.Encode(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecoder()
	defer d.Close()
	for _, c := range []struct {
		want Want
		side int
		red  bool
	}{
		{Want{Resize: 20, Channels: 3}, 20, false},
		{Want{Resize: 20, Channels: 3, Squash: true}, 20, true},
		{Want{Resize: 60, Channels: 3}, 60, false},
		{Want{Resize: 60, Channels: 3, Shrink: true}, 40, false},
		{Want{Resize: 60, Channels: 3, Shrink: true, Squash: true}, 40, true},
	} {
		got, err := d.Decode(context.Background(), raw, c.want, nil)
		if err != nil {
			t.Fatal(err)
		}
		h, w, err := d.Size(raw, c.want)
		if got.Height != c.side || got.Width != c.side || h != c.side || w != c.side || err != nil {
			t.Errorf("%+v: %dx%d, by its header %dx%d (%v)", c.want, got.Width, got.Height, w, h, err)
		}
		if red := got.Pixels[0] > 200; red != c.red {
			t.Errorf("%+v: the corner is %v", c.want, got.Pixels[:3])
		}
	}
}
