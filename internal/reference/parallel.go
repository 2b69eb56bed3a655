package reference

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Float is the arithmetic that an op runs in: float32, or float64 where rounding must not show.
type Float interface{ float32 | float64 }

// shares is the number of parts that a batch is cut into. It bounds the cores in use and is fixed, so that sums over
// the batch, which are taken share by share and then in the shares' order, do not depend on the machine.
const shares = 16

// share is the range of rows of one share.
func share(rows, s int) (from, to int) { return rows * s / shares, rows * (s + 1) / shares }

// workers is the number of goroutines that forShares uses at most.
func workers() int { return min(runtime.GOMAXPROCS(0), shares) }

// forShares calls f once for every share that has rows. Calls run side by side; worker, below workers, tells them
// apart, for scratch memory.
func forShares(rows, workers int, f func(worker, share, from, to int)) {
	var next atomic.Int32
	var wg sync.WaitGroup
	run := func(worker int) {
		for {
			s := int(next.Add(1)) - 1
			if s >= shares {
				return
			}
			if from, to := share(rows, s); from < to {
				f(worker, s, from, to)
			}
		}
	}
	for w := 1; w < min(workers, rows); w++ {
		wg.Go(func() { run(w) })
	}
	run(0)
	wg.Wait()
}

// aligned is a slice that starts at a multiple of 64 bytes: gonum's vector loops take a different order of sums at odd
// addresses.
func aligned[T Float](n int) []T {
	if n == 0 {
		return nil
	}
	const line = 64
	size := int(unsafe.Sizeof(T(0)))
	s := make([]T, n+line/size-1)
	skip := 0
	if over := int(uintptr(unsafe.Pointer(&s[0])) % line); over != 0 {
		skip = (line - over) / size
	}
	return s[skip : skip+n : skip+n]
}

// sizeOf is the size of a number in bytes.
func sizeOf[T Float]() int64 { return int64(unsafe.Sizeof(T(0))) }

// convert is copy, into dst's type: as many numbers as both have.
func convert[D, S Float](dst []D, src []S) {
	if same, ok := any(src).([]D); ok {
		copy(dst, same)
		return
	}
	for i, v := range src[:min(len(src), len(dst))] {
		dst[i] = D(v)
	}
}
