// Package picturetest makes files of pictures for tests: small sound ones of every form, crafted ones that try to harm
// who decodes them, and mutations. All are made in code, apart from some bytes of forms that nothing here can write.
package picturetest

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"slices"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// Case is a file with what must come of it.
type Case struct {
	Name  string
	Bytes []byte
	Good  bool // there is a picture in it that is read; otherwise it must be refused by an error
	Turbo bool // good only where libjpeg-turbo is there
}

func good(name string, raw []byte) Case { return Case{Name: name, Bytes: raw, Good: true} }
func bad(name string, raw []byte) Case  { return Case{Name: name, Bytes: raw} }
func turbo(name string, raw []byte) Case {
	return Case{Name: name, Bytes: raw, Good: true, Turbo: true}
}

// Bases are small sound pictures of every form that is read, each of some hundred bytes.
func Bases() []Case {
	all := slices.Concat(basesJPEG(), basesPNG(), basesWebP(), basesNetpbm())
	all = append(all, good("gif", encodeGIF(false)), good("gif animated", encodeGIF(true)))
	for _, img := range []image.Image{scene(), greys(), palette()} {
		var b bytes.Buffer
		must(bmp.Encode(&b, img))
		all = append(all, good("bmp "+kind(img), b.Bytes()))
		for name, o := range map[string]*tiff.Options{
			"plain": nil, "deflate": {Compression: tiff.Deflate}, "predictor": {
				Compression: tiff.Deflate,
				Predictor:   true,
			},
		} {
			var b bytes.Buffer
			must(tiff.Encode(&b, img, o))
			all = append(all, good("tiff "+name+" "+kind(img), b.Bytes()))
		}
	}
	slices.SortFunc(all, func(a, b Case) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return all
}

func kind(img image.Image) string {
	switch img.(type) {
	case *image.Gray:
		return "grey"
	case *image.Paletted:
		return "palette"
	}
	return "rgb"
}

// The pictures in the bases are 24x16.
const width, height = 24, 16

func scene() *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		x, y := i%width, i/width
		m.SetNRGBA(x, y, color.NRGBA{uint8(10 * x), uint8(15 * y), uint8(x * y), 255})
	}
	return m
}

func greys() *image.Gray {
	m := image.NewGray(image.Rect(0, 0, width, height))
	for i := range m.Pix {
		m.Pix[i] = uint8(i)
	}
	return m
}

func palette() *image.Paletted {
	colors := make(color.Palette, 16)
	for i := range colors {
		colors[i] = color.RGBA{uint8(16 * i), uint8(255 - 16*i), uint8(i * i), 255}
	}
	m := image.NewPaletted(image.Rect(0, 0, width, height), colors)
	for i := range m.Pix {
		m.Pix[i] = uint8(i % 16)
	}
	return m
}

func encodeGIF(animated bool) []byte {
	g := &gif.GIF{Image: []*image.Paletted{palette()}, Delay: []int{0}}
	if animated {
		g.Image, g.Delay = append(g.Image, palette(), palette()), []int{1, 1, 1}
	}
	var b bytes.Buffer
	must(gif.EncodeAll(&b, g))
	return b.Bytes()
}

func basesJPEG() []Case {
	photo := func(img image.Image) []byte {
		var b bytes.Buffer
		must(jpeg.Encode(&b, img, nil))
		return b.Bytes()
	}
	all := []Case{good("jpeg of image/jpeg", photo(scene())), good("jpeg grey of image/jpeg", photo(greys()))}
	for _, f := range []struct {
		name     string
		sampling string
	}{{"grey", "11"}, {"4:4:4", "111111"}, {"4:2:0", "221111"}, {"4:2:2", "211111"}, {"4:4:0", "121111"}, {
		"4:1:1",
		"411111",
	}} {
		j := jpegFile{w: width, h: height, sampling: f.sampling, sof: 0xc0}
		all = append(all, good("jpeg "+f.name, j.encode()))
		j.restart = 1
		all = append(all, good("jpeg with restarts "+f.name, j.encode()))
		j.restart, j.sof, j.scans = 0, 0xc2, 3
		all = append(all, good("jpeg progressive "+f.name, j.encode()))
	}
	cmyk := jpegFile{w: width, h: height, sampling: "11111111", sof: 0xc0}
	all = append(all, good("jpeg cmyk without Adobe's marker", cmyk.encode()))
	cmyk.adobe = []byte{0}
	all = append(all, good("jpeg cmyk", cmyk.encode()))
	cmyk.adobe = []byte{2}
	all = append(all, good("jpeg ycck", cmyk.encode()))
	cmyk.sof, cmyk.scans = 0xc2, 2
	return append(all, good("jpeg progressive ycck", cmyk.encode()),
		good("jpeg to be turned", toBeTurned()), turbo("jpeg arithmetic", stored(arithmetic)),
		turbo("jpeg arithmetic progressive", stored(arithmeticProgressive)))
}

// toBeTurned is a JPEG that EXIF says is to be turned by a quarter.
func toBeTurned() []byte {
	j := jpegFile{w: width, h: height, sampling: "221111", sof: 0xc0}
	j.before = []byte("\xff\xe1\x00\x22Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03" +
		"\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00")
	return j.encode()
}

// basesNetpbm are of 24x16, as the others.
func basesNetpbm() []Case {
	numbers := func(n int) []byte { return bytes.Repeat([]byte("7 1 "), n/2) }
	return []Case{
		good("pbm", append([]byte("P4\n24 16\n"), greys().Pix[:48]...)),
		good("pbm plain", append([]byte("P1 24 16\n"), bytes.Repeat([]byte("01"), 192)...)),
		good("pgm", append([]byte("P5 24 16 255\n"), greys().Pix...)),
		good("pgm of 16 bits", append([]byte("P5\n# wide, high\n24 16\n1000\n"), make([]byte, 768)...)),
		good("pgm plain", append([]byte("P2\t24 16 9\n"), numbers(384)...)),
		good("ppm", append([]byte("P6 24\n16 255\n"), make([]byte, 1152)...)),
		good("ppm plain", append([]byte("P3 24 16 255\n"), numbers(1152)...)),
	}
}

func basesWebP() []Case {
	return []Case{
		good("webp", stored(webpLossy)), good("webp lossless", stored(webpLossless)),
		good("webp with alpha", stored(webpAlpha)),
	}
}

func stored(s string) []byte {
	raw, err := base64.StdEncoding.DecodeString(s)
	must(err)
	return raw
}

func must(err error) {
	if err != nil {
		panic(err) // of an encoder that writes to memory
	}
}

// Forms that nothing here can write, 24x16 of the slopes (8x, 10y, 4(x+y)): WebP by Pillow 13, arithmetic coding by
// TurboJPEG 2.1 (4:2:0, quality 80), which writes it where TJ_ARITHMETIC=1 is set.
const (
	webpLossy = "UklGRlwAAABXRUJQVlA4IFAAAACQAwCdASoYABAAPrVOoUmnJKOhMAgA4BaJ" +
		"agC06CHfv2sJYMcAAP73lid+G8hvpu3yaSxu9D3wyhLV" +
		"Ay4F0XuGKctsQp7ExH9MN/Q2QAsAAA=="
	webpLossless = "UklGRjIAAABXRUJQVlA4TCUAAAAvF8ADALmM6H/sIqL/YSCatqnu/0dXTo5BIJC0xdv+mIDztT4zAA=="
	webpAlpha    = "UklGRowAAABXRUJQVlA4WAoAAAAQAAAAFwAADwAAQUxQSBIAAAAFDzAKERFC" +
		"LJj4S7c/goj+R8xWUDggVAAAALADAJ0BKhgAEAA+" +
		"tUieSackIqEwCADgFolqALToIeFnvgK0zFUwAP72yNKfjkFUDtGMwBJrNza5hvDKEtZdh+mHKJhrmFaQ97W1H/EdfPEbiFAAAA=="
	webpAnimated = "UklGRoQAAABXRUJQVlA4WAoAAAACAAAABwAABwAAQU5JTQYAAAAAAAAAAABBTk1GKAAAAAAAAAAAAAcAAAcAAAAAAAJWUDhM" +
		"DwAAAC8HwAEABxD9j/4HIqL/AQBBTk1GKAAAAAAAAAAAAAcAAAcAAAAAAABWUDhMDwAAAC8HwAEABxDR//4HIqL/AQA="
	arithmetic = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJ" +
		"ChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYn" +
		"KSopGR8tMC0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgo" +
		"KCgoKCj/yQARCAAQABgDASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD/AMXQRyMuk+eil79ZLcWycPJtrp8cZSMcP4Tr" +
		"+bqManz3sN7V6G3WSXg3yrD1OO//2Q=="
	arithmeticProgressive = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUf" +
		"GhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgo" +
		"KCgoKCgoKCgoKCgoKCgoKCj/ygARCAAQABgDASIAAhEBAxEB/8wABgAQARD/2gAMAwEAAhADEAAAAf8Agen7yWB2BsKkCxmggP/MAAQQ" +
		"Bf/aAAgBAQABBQIYFv8AZyz6WP/MAAQRBf/aAAgBAwEBPwEVa2Fu9Gj/zAAEEQX/2gAIAQIBAT8BHkOY/8wABBAF/9oACAEBAAY/AsD/" +
		"zAAEEAX/2gAIAQEAAT8hH1U8CP/aAAwDAQACAAMAAAAQKMD/zAAEEQX/2gAIAQMBAT8Q1Rxq/8wABBEF/9oACAECAQE/EA7/zAAEEAX/" +
		"2gAIAQEAAT8Q10FjRv/Z"
)
