package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"alexnet/internal/data/picture"
	"alexnet/internal/data/picture/picturetest"
)

var craftedPictures = row{
	name: "crafted", short: 1, long: 1,
	fault: "crafted pictures: bombs, lies about sizes, thousands of scans, forms at their ends",
	how: "each decoded by libjpeg-turbo and by Go's own decoder in a process of its own; survived: within 5 s of " +
		"processor and 512 MB more than before a picture where there is a sound one, otherwise an error",
	open: openCrafted,
}

func openCrafted(_ context.Context, s *setup) (caseFunc, error) {
	all := picturetest.Crafted()
	s.cases = len(all)
	return func(ctx context.Context, c *testCase) error {
		one := all[c.number]
		for _, decoder := range decoders() {
			want := wantError
			if one.Good && (!one.Turbo || decoder == picture.Turbo) {
				want = wantPicture
			}
			if err := decodeAll(ctx, c, [][]byte{one.Bytes}, decoder, pictureMemory, want); err != nil {
				return fmt.Errorf("%s: %s: %w", one.Name, decoder, err)
			}
		}
		return nil
	}, nil
}

// What must come of a picture.
const (
	wantAny     = "any"
	wantPicture = "picture"
	wantError   = "error"
)

var mutatedPictures = row{
	name: "pictures", short: 60, long: 400,
	fault: "mutated pictures of every form",
	how: "fifty a case, decoded by libjpeg-turbo and by Go's own decoder in a process of their own; survived: each " +
		"within 5 s of processor and 512 MB more than before a picture or an error, no panic",
	open: openMutated,
}

const (
	picturesAtOnce = 50
	pictureMemory  = 512 << 20 // bytes that decoding a picture may take
	// besidesPicture is how much more a decoding process may write to: Go's runtime takes memory in pieces of 64 MiB,
	// and each thread, of which a busy machine makes it have more, has a stack of 8 MiB.
	besidesPicture = 320 << 20
	pictureTime    = 5 * time.Second  // of processor
	pictureWait    = 20 * time.Second // on the clock, for machines that do other things too
)

func openMutated(context.Context, *setup) (caseFunc, error) {
	bases := picturetest.Bases()
	return func(ctx context.Context, c *testCase) error {
		c.counts(picturesAtOnce)
		all := make([][]byte, picturesAtOnce)
		for i := range all {
			all[i] = picturetest.Mutate(c.rand, bases[c.rand.IntN(len(bases))].Bytes)
		}
		for _, decoder := range decoders() {
			if err := decodeAll(ctx, c, all, decoder, pictureMemory, wantAny); err != nil {
				return fmt.Errorf("%s: %w", decoder, err)
			}
		}
		return nil
	}, nil
}

// decoders are what decodes JPEG here.
func decoders() []string {
	if picture.JPEGDecoder() == picture.Turbo {
		return []string{picture.Turbo, picture.Standard}
	}
	return []string{picture.Standard}
}

// decodeAll decodes pictures in a process of their own, one after the other. One that is lost is kept.
func decodeAll(ctx context.Context, c *testCase, all [][]byte, decoder string, memory uint64, want string) error {
	var batch bytes.Buffer
	for _, p := range all {
		batch.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(p))))
		batch.Write(p)
	}
	cmd, err := childCommand(ctx, "decode", strconv.FormatUint(memory, 10), decoder, want)
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = &batch, &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	bad := error(nil)
	done := 0
	for bad == nil && done < len(all) {
		select {
		case line, more := <-lines:
			if !more {
				bad = errors.New("the process ended")
			} else if line != "decoded" {
				bad = errors.New(line)
			} else {
				done++
			}
		case <-time.After(pictureWait):
			bad = fmt.Errorf("not done after %v", pictureWait)
		}
	}
	if bad != nil {
		_ = cmd.Process.Kill() // it may have ended
	}
	for range lines { // until the pipe is closed
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if bad != nil {
		err = fmt.Errorf("picture %d of the case (picture.bin): %w: %s", done, bad, text(stderr.Bytes()))
		return errors.Join(err, c.note("picture.bin", all[done]))
	}
	return err
}

// text is the beginning of what a process said.
func text(b []byte) string {
	const enough = 800
	return strings.TrimSpace(string(b[:min(len(b), enough)]))
}

// decodeChild decodes what comes on standard input, each a length of four bytes and the file's contents, and says
// "decoded" after each: MEMORY DECODER WANT.
func decodeChild(args []string) error {
	if len(args) != 3 {
		return errors.New("decode: want a limit of memory, a decoder of JPEG and what is to come of it")
	}
	n, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil {
		return err
	}
	most := n + besidesPicture
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
		return err
	}
	d := &picture.Decoder{} // Go's own
	if args[1] == picture.Turbo {
		d = picture.NewDecoder()
	}
	defer d.Close()
	in := bufio.NewReader(os.Stdin)
	for i := 0; ; i++ {
		var length [4]byte
		if _, err := io.ReadFull(in, length[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		raw := make([]byte, binary.LittleEndian.Uint32(length[:]))
		if _, err := io.ReadFull(in, raw); err != nil {
			return err
		}
		began := processorTime()
		size, channels := []int{0, 64}[i%2], []int{3, 1}[i/2%2]
		var p picture.Picture
		more, err := peak(func() (err error) {
			p, err = d.Decode(context.Background(), raw, picture.Want{Resize: size, Channels: channels}, nil)
			return err
		})
		switch {
		case more > n:
			fmt.Printf("it took %d bytes, %d are allowed\n", more, n)
		case err == nil && (len(p.Pixels) == 0 || len(p.Pixels) != p.Height*p.Width*p.Channels):
			fmt.Printf("%d bytes of pixels for %dx%d in %d channels\n", len(p.Pixels), p.Height, p.Width, p.Channels)
		case args[2] == wantPicture && err != nil, args[2] == wantError && err == nil:
			fmt.Printf("%dx%d and the error %v; want: %s\n", p.File.Width, p.File.Height, err, args[2])
		case err != nil && strings.Contains(err.Error(), "decoder failed"):
			fmt.Printf("a panic: %v\n", err)
		case processorTime()-began > pictureTime:
			fmt.Printf("it took %v of processor\n", processorTime()-began)
		default:
			fmt.Println("decoded")
		}
	}
}

// peak is how much more memory this process had while do went on than before, in bytes, at most; 0 where the system
// does not tell.
func peak(do func() error) (uint64, error) {
	debug.FreeOSMemory()
	before, err := statusOf(nowInMemory)
	if err != nil || os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) != nil { // the peak begins anew
		return 0, do()
	}
	failed := do()
	most, err := statusOf(mostInMemory)
	if err != nil {
		return 0, errors.Join(failed, err)
	}
	return (max(most, before) - before) << 10, failed
}

var (
	nowInMemory  = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)
	mostInMemory = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)
)

// statusOf is a number of this process's status in /proc.
func statusOf(line *regexp.Regexp) (uint64, error) {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	m := line.FindSubmatch(raw)
	if m == nil {
		return 0, fmt.Errorf("/proc/self/status lacks %s", line)
	}
	return strconv.ParseUint(string(m[1]), 10, 64)
}

// processorTime is what this process has had so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // of a process about itself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
