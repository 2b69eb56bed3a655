package picture

import (
	"encoding/json"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/sharedtest"
)

// pillow is what Pillow makes of a file.
type pillow struct {
	H, W   int
	RGB    []uint8
	CRC    uint32  // of the pixels, of which RGB is then each 97th
	Turned *pillow // as the EXIF data says; nil: it says nothing
}

// refusals are forms that are not read, and what their error says.
var refusals = map[string]string{
	"beyond.gif": "frame bounds larger than image bounds", "animated.webp": "animated WebP",
	"24-os2.bmp": "BMP of OS/2", "16.bmp": "BMP of 16 bits", "rle8.bmp": "(RLE8)", "rle4.bmp": "(RLE4)",
	"grey-2.tiff": "TIFF of 2 bits", "grey-4.tiff": "TIFF of 4 bits", "planes.tiff": "TIFF of separate colour planes",
	"cmyk.tiff": "CMYK TIFF", "jpeg.tiff": "TIFF with a JPEG in it", "ycbcr.tiff": "YCbCr TIFF",
	"lab.tiff": "CIELab TIFF", "float.tiff": "numbers that are not whole", "grey-alpha.tiff": "grey and alpha",
	"big.tiff": "BigTIFF", "pam.pam": "PAM", "float.pfm": "PFM",
}

// refusedTrials are those of ../shared/trials.
var refusedTrials = map[string]string{
	"odd/27-animated.webp": "animated WebP", "odd/35-rle8.bmp": "run-length-coded BMP (RLE8)",
	"odd/40-cmyk.tiff": "CMYK TIFF", "odd/60-git-lfs-pointer.jpg": "pointer of Git LFS", "odd/62-heic.jpg": "HEIC",
	"c25-scans-6000.jpg": "progressive JPEG of 6006 scans",
}

// TestPillow holds every form to the pixels of Pillow (scripts/pictures.py writes the files and what is wanted): what
// is stored without loss is equal, of the rest the mean deviation is at most 1 of 255 and the largest 8. Without
// libjpeg-turbo chroma of half the size is not interpolated, which in pictures as small as these shows: a mean of 10.
func TestPillow(t *testing.T) {
	t.Run("own", func(t *testing.T) {
		holdToPillow(t, "testdata/pillow", "want.json", refusals)
	})
	t.Run("trials", func(t *testing.T) {
		folder := filepath.Join(sharedtest.Folder(t), "trials")
		if _, err := os.Stat(folder); err != nil {
			t.Skipf("no %s", folder)
		}
		holdToPillow(t, folder, "trials.json", refusedTrials)
	})
}

func holdToPillow(t *testing.T, folder, list string, refused map[string]string) {
	text, err := os.ReadFile(filepath.Join("testdata/pillow", list))
	if err != nil {
		t.Fatal(err)
	}
	var wants map[string]*pillow
	if err := json.Unmarshal(text, &wants); err != nil {
		t.Fatal(err)
	}
	for key, want := range wants {
		if name, ok := strings.CutPrefix(key, "turned "); ok {
			wants[name].Turned = want
			delete(wants, key)
		}
	}
	seen := 0
	for _, pattern := range []string{"*.*", "odd/*"} {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			name, err := filepath.Rel(folder, path)
			if err != nil {
				t.Fatal(err)
			}
			want, says := wants[name], refused[name]
			if want == nil && says == "" {
				continue
			}
			seen++
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for by, d := range decoders(t) {
				if says != "" {
					_, err := d.Decode(t.Context(), raw, Want{Channels: 3}, nil)
					if err == nil || !strings.Contains(err.Error(), says) {
						t.Errorf("%s by %s: %v, want %q", name, by, err, says)
					}
					continue
				}
				want.hold(t, d, name, by, raw, Want{Channels: 3})
				if want.Turned != nil {
					want = want.Turned
				}
				want.hold(t, d, name, by, raw, Want{Channels: 3, Upright: true})
				want = wants[name]
			}
		}
	}
	for name := range refused {
		wants[name] = nil // there, whether Pillow reads it or not
	}
	if seen != len(wants) {
		t.Errorf("%d files were seen, %d are known", seen, len(wants))
	}
}

func (p *pillow) hold(t *testing.T, d *Decoder, name, by string, raw []byte, want Want) {
	t.Helper()
	pic, err := d.Decode(t.Context(), raw, want, nil)
	var form *Unsupported
	if errors.As(err, &form) && form.NeedsTurbo && by == Standard {
		return
	}
	if err != nil {
		t.Errorf("%s by %s: %v", name, by, err)
		return
	}
	if pic.Height != p.H || pic.Width != p.W {
		t.Errorf("%s by %s: %dx%d, Pillow has %dx%d", name, by, pic.Width, pic.Height, p.W, p.H)
		return
	}
	if h, w, err := d.Size(raw, want); err != nil || h != p.H || w != p.W {
		t.Errorf("%s by %s: its header says %dx%d (%v)", name, by, w, h, err)
	}
	lossy := pic.File.Format == "jpeg" || pic.File.Format == "webp" && !strings.Contains(string(raw), "VP8L")
	got := pic.Pixels
	if p.CRC != 0 {
		if !lossy {
			if sum := crc32.ChecksumIEEE(got); sum != p.CRC {
				t.Errorf("%s by %s: the pixels' sum is %x, Pillow's %x", name, by, sum, p.CRC)
			}
			return
		}
		got = nil
		for pixel := range slices.Chunk(pic.Pixels, 3*97) {
			got = append(got, pixel[:3]...)
		}
	}
	mean, most := 1., 8
	switch {
	case !lossy:
		mean, most = 0, 0
	case by == Standard && pic.File.Format == "jpeg":
		mean, most = 10, 255
	}
	if m, x := meanDiff(got, p.RGB), maxDiff(got, p.RGB); m > mean || x > most {
		t.Errorf("%s by %s %+v: differs by %.3g on average, %d at most", name, by, want, m, x)
	}
}

// TestTurned: a picture that is turned while it is made square is the square of the turned picture, in every
// orientation, in colour and in luma, and pixels land in the caller's slice.
func TestTurned(t *testing.T) {
	for name, d := range decoders(t) {
		for _, file := range []string{
			"exif-1.jpg", "exif-2.jpg", "exif-3.jpg", "exif-4.jpg", "exif-5.jpg", "exif-6.jpg", "exif-7.jpg",
			"exif-8.jpg", "exif-6.png", "exif-6.webp", "exif-6.tiff", "exif-6-cmyk.jpg",
		} {
			raw := testFile(t, filepath.Join("pillow", file))
			whole, err := d.Decode(t.Context(), raw, Want{Channels: 3, Upright: true}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if whole.File.Turned != (file != "exif-1.jpg") {
				t.Errorf("%s: turned: %t", file, whole.File.Turned)
			}
			for _, size := range []int{0, 7, 13, 20} { // 13: only a part is cut out
				for _, channels := range []int{1, 3} {
					want := whole.Pixels
					switch {
					case size > 0:
						want = make([]uint8, size*size*channels)
						all := straight(whole.Pixels, whole.Height, whole.Width)
						new(fitter).square(all, want, size, Want{Channels: channels})
					case channels == 1:
						want = make([]uint8, len(want)/3)
						copyPixels(want, whole.Pixels, 1)
					}
					dst := make([]uint8, len(want))
					got, err := d.Decode(t.Context(), raw, Want{Resize: size, Channels: channels, Upright: true}, dst)
					if err != nil || !slices.Equal(got.Pixels, want) || &got.Pixels[0] != &dst[0] {
						t.Errorf("%s by %s, size %d, %d channels: another picture, or in another place (%v)", file,
							name, size, channels, err)
					}
				}
			}
		}
	}
}
