package picture_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/data/picture"
	"alexnet/internal/data/picture/picturetest"
)

// What one picture may take.
const (
	mostTime   = 5 * time.Second // of one core
	mostMemory = 512 << 20
)

// spent is what the process has taken of cores so far.
func spent() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// allocated is how much memory do takes of Go's.
func allocated(do func()) int64 {
	var m0, m1 runtime.MemStats
	runtime.ReadMemStats(&m0)
	do()
	runtime.ReadMemStats(&m1)
	return int64(m1.TotalAlloc - m0.TotalAlloc)
}

// peak is how much more memory the process had meanwhile than before, at most; 0 where the system does not tell.
func peak(do func()) int64 {
	runtime.GC()
	before := status("VmRSS:")
	if os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) != nil { // the peak begins anew
		do()
		return 0
	}
	do()
	return status("VmHWM:") - before
}

func status(line string) int64 {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(raw), line)
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// eachDecoder runs a test with libjpeg-turbo, where it is there, and without.
func eachDecoder(t *testing.T, do func(t *testing.T, d *picture.Decoder, turbo bool)) {
	d := picture.NewDecoder()
	t.Cleanup(d.Close)
	if picture.JPEGDecoder() == picture.Turbo {
		t.Run("with libjpeg-turbo", func(t *testing.T) { do(t, d, true) })
	}
	t.Run("without", func(t *testing.T) { do(t, &picture.Decoder{}, false) })
}

// TestBasesAndCrafted: every crafted picture gives what it should within the limits, whatever decodes JPEG.
func TestBasesAndCrafted(t *testing.T) {
	all := append(picturetest.Bases(), picturetest.Crafted()...)
	if n := len(picturetest.Crafted()); n < 150 {
		t.Errorf("%d crafted pictures", n)
	}
	eachDecoder(t, func(t *testing.T, d *picture.Decoder, turbo bool) {
		for _, c := range all {
			if testing.Short() && strings.Contains(c.Name, "megapixel") {
				continue
			}
			var pic picture.Picture
			var err error
			var took time.Duration
			measure := allocated
			if strings.Contains(c.Name, "megapixel") { // of libjpeg-turbo's, too
				measure = peak
			}
			more := measure(func() {
				start := spent()
				pic, err = d.Decode(t.Context(), c.Bytes, picture.Want{Resize: 64, Channels: 3}, nil)
				took = spent() - start
			})
			if good := c.Good && (turbo || !c.Turbo); good != (err == nil) {
				t.Errorf("%s: %dx%d, %v; want a picture: %t", c.Name, pic.File.Width, pic.File.Height, err, good)
			}
			if err != nil && strings.Contains(err.Error(), "decoder failed") {
				t.Errorf("%s: a panic: %v", c.Name, err)
			}
			if took > mostTime || more > mostMemory {
				t.Errorf("%s: took %v and %d MB", c.Name, took, more>>20)
			}
			if took > time.Second || more > 128<<20 {
				t.Logf("%s: %v, %d MB (%v)", c.Name, took, more>>20, err)
			}
		}
	})
}

// TestMutated: whatever becomes of sound pictures, there is a picture or an error, within the limits. Of 400 mutations,
// or as many as ALEXNET_MUTATED says; each has a seed of its own.
func TestMutated(t *testing.T) {
	count := 400
	if n, err := strconv.Atoi(os.Getenv("ALEXNET_MUTATED")); err == nil {
		count = n
	}
	bases := picturetest.Bases()
	eachDecoder(t, func(t *testing.T, d *picture.Decoder, _ bool) {
		decoded, slowest, most := 0, time.Duration(0), int64(0)
		for seed := range count {
			base := bases[seed%len(bases)]
			raw := picturetest.Mutate(rand.New(rand.NewPCG(uint64(seed), 15)), base.Bytes)
			var pic picture.Picture
			var err error
			start := spent()
			want := picture.Want{Resize: seed % 3 * 16, Channels: 3, Upright: true}
			more := allocated(func() { pic, err = d.Decode(t.Context(), raw, want, nil) })
			took := spent() - start
			slowest, most = max(slowest, took), max(most, more)
			switch {
			case err == nil && (len(pic.Pixels) == 0 || len(pic.Pixels) != pic.Height*pic.Width*3):
				t.Errorf("seed %d, %s: %dx%d of %d bytes", seed, base.Name, pic.Width, pic.Height, len(pic.Pixels))
			case err == nil:
				decoded++
			case strings.Contains(err.Error(), "decoder failed"):
				t.Errorf("seed %d, %s: a panic: %v", seed, base.Name, err)
			}
			if took > mostTime || more > mostMemory {
				t.Errorf("seed %d, %s: took %v and %d MB: %v", seed, base.Name, took, more>>20, err)
			}
		}
		t.Logf("%d of %d mutated pictures are read; the slowest took %v, the largest %d MB", decoded, count, slowest,
			most>>20)
	})
}

// TestEndOfContext: nobody waits for the end of a picture that is decoded when ctx ends.
func TestEndOfContext(t *testing.T) {
	long := picturetest.Long()
	d := picture.NewDecoder()
	defer d.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var told time.Time
	time.AfterFunc(50*time.Millisecond, func() { told = time.Now(); cancel() })
	_, err := d.Decode(ctx, long, picture.Want{Resize: 64, Channels: 3}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if waited := time.Since(told); waited > time.Second {
		t.Errorf("ended %v after ctx", waited)
	}
	if _, err := d.Decode(ctx, long, picture.Want{Resize: 64, Channels: 3}, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	small := picturetest.Bases()[0].Bytes
	if _, err := d.Decode(t.Context(), small, picture.Want{Resize: 64, Channels: 3}, nil); err != nil {
		t.Errorf("the decoder is of no use afterwards: %v", err)
	}
}

// TestForms: what is not read is named, and what only libjpeg-turbo reads is read as Pillow does. The values are those
// of Pillow 13 (libjpeg-turbo 3.2), convert("RGB"), at four places.
func TestForms(t *testing.T) {
	places := [4][2]int{{0, 0}, {11, 5}, {12, 9}, {23, 15}}
	rgb := map[string][4][3]int{
		"jpeg arithmetic":                       {{0, 1, 0}, {85, 51, 67}, {97, 88, 83}, {182, 150, 155}},
		"jpeg arithmetic progressive":           {{0, 1, 0}, {85, 51, 67}, {97, 88, 83}, {182, 150, 155}},
		"jpeg cmyk":                             {{16, 39, 63}, {27, 52, 78}, {67, 99, 131}, {84, 118, 152}},
		"jpeg cmyk without Adobe's marker":      {{16, 39, 63}, {27, 52, 78}, {67, 99, 131}, {84, 118, 152}},
		"jpeg cmyk, sampled 2x1":                {{16, 39, 63}, {21, 41, 65}, {44, 69, 97}, {52, 82, 112}},
		"jpeg ycck":                             {{148, 111, 148}, {140, 123, 162}, {97, 156, 142}, {74, 168, 119}},
		"jpeg of RGB":                           {{28, 68, 108}, {42, 82, 122}, {84, 124, 164}, {98, 138, 178}},
		"jpeg with one component twice":         {{0, 63, 0}, {6, 69, 0}, {18, 81, 0}, {46, 74, 0}},
		"jpeg with the sampling factors 112211": {{0, 63, 0}, {0, 61, 0}, {0, 57, 0}, {34, 58, 0}},
		"jpeg with the sampling factors 212111": {{0, 63, 0}, {6, 67, 0}, {73, 65, 16}, {101, 60, 38}},
		"jpeg with the sampling factors 221112": {{0, 63, 0}, {6, 69, 0}, {26, 77, 0}, {54, 70, 0}},
		"jpeg with the sampling factors 221211": {{0, 63, 0}, {6, 69, 0}, {18, 79, 0}, {46, 72, 0}},
		"jpeg with the sampling factors 311111": {{0, 63, 0}, {6, 69, 0}, {40, 68, 0}, {46, 74, 0}},
	}
	named := map[string]string{
		"jpeg of SOF3": "lossless JPEG (SOF3)", "jpeg of SOF11": "lossless JPEG (SOF11)",
		"jpeg of SOF5": "hierarchical JPEG (SOF5)", "jpeg of 12 bits": "JPEG of 12 bits",
		"jpeg of two components": "JPEG of 2 components", "jpeg with its height after the scan": "(DNL)",
		"jpeg progressive, 6000 scans": "progressive JPEG of 6001 scans, more than the limit of 500",
		"jpeg baseline, 6000 scans":    "JPEG of 6000 scans, more than the limit of 500",
		"heic":                         "HEIC",
		"pointer of Git LFS":           "pointer of Git LFS",
	}
	without := map[string]string{
		"jpeg arithmetic":                       "arithmetic-coded JPEG (SOF9)",
		"jpeg arithmetic progressive":           "arithmetic-coded JPEG (SOF10)",
		"jpeg with the sampling factors 221112": "sampling factors 2x2,1x1,1x2",
		"jpeg cmyk, sampled 2x1":                "sampling factors 2x1,1x1,1x1,2x1",
		"jpeg with one component twice":         "one number for two components",
	}
	eachDecoder(t, func(t *testing.T, d *picture.Decoder, turbo bool) {
		seen := 0
		for _, c := range append(picturetest.Bases(), picturetest.Crafted()...) {
			want, has := rgb[c.Name]
			says := named[c.Name]
			if !has && says == "" {
				continue
			}
			pic, err := d.Decode(t.Context(), c.Bytes, picture.Want{Channels: 3}, nil)
			if c.Turbo && !turbo {
				says = without[c.Name]
				var form *picture.Unsupported
				if !errors.As(err, &form) || !form.NeedsTurbo {
					t.Errorf("%s: %v, want one that names libjpeg-turbo", c.Name, err)
				}
			} else if has && err != nil {
				t.Errorf("%s: %v", c.Name, err)
			} else if has {
				seen++
				for i, at := range places {
					for k, w := range want[i] {
						if got := int(pic.Pixels[(at[1]*pic.Width+at[0])*3+k]); got < w-2 || got > w+2 {
							t.Errorf("%s: at %v channel %d is %d, Pillow has %d", c.Name, at, k, got, w)
						}
					}
				}
			}
			if says != "" {
				seen++
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("%s: %v, want %q", c.Name, err, says)
				}
			}
		}
		if want := len(rgb) + len(named); turbo && seen != want || seen < 17 {
			t.Errorf("%d cases were looked at, want %d", seen, want)
		}
	})
}
