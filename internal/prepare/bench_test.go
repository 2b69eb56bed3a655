package prepare

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/sharedtest"
)

// BenchmarkPrepare makes a set of ten copies of the photographs, and in turn decodes, scales and encodes the same in
// memory on as many cores: "share" is the speed of the first as a part of that of the second, and "cpu-share" the same
// of the time of the processors, which says more where others use them too. "cpu-share-all" compares with a loop that
// also decodes what it encoded and adds it up, as the mean and the colours of a set need it.
func BenchmarkPrepare(b *testing.B) {
	const copies = 10
	var all [][]byte
	for _, photo := range sharedtest.Photos(b) {
		all = append(all, photo.Raw)
	}
	from := b.TempDir()
	for i, raw := range all {
		for k := range copies {
			name := filepath.Join(from, fmt.Sprintf("class%d", i%10), fmt.Sprintf("%d-%d.jpg", i, k))
			write(b, name, raw)
		}
	}
	src := opened(b, from)
	o := options("")
	o.Resize, o.Shards, o.Workers = 256, 0, 0
	var whole, memory, wholeCPU, memoryCPU, allCPU time.Duration
	for b.Loop() {
		o.Out = filepath.Join(b.TempDir(), "out")
		began, spent := time.Now(), cpuTime(b)
		if _, err := Run(b.Context(), src, o); err != nil {
			b.Fatal(err)
		}
		whole, wholeCPU = whole+time.Since(began), wholeCPU+cpuTime(b)-spent
		began, spent = time.Now(), cpuTime(b)
		inMemory(b, all, copies, &o.Making, false)
		memory, memoryCPU = memory+time.Since(began), memoryCPU+cpuTime(b)-spent
		spent = cpuTime(b)
		inMemory(b, all, copies, &o.Making, true)
		allCPU += cpuTime(b) - spent
	}
	pictures := float64(b.N * copies * len(all))
	b.ReportMetric(pictures/whole.Seconds(), "prepared/s")
	b.ReportMetric(pictures/memory.Seconds(), "memory/s")
	b.ReportMetric(memory.Seconds()/whole.Seconds(), "share")
	b.ReportMetric(memoryCPU.Seconds()/wholeCPU.Seconds(), "cpu-share")
	b.ReportMetric(allCPU.Seconds()/wholeCPU.Seconds(), "cpu-share-all")
}

// inMemory decodes, scales and encodes, and nothing else, or with statistics what these need.
func inMemory(b *testing.B, all [][]byte, copies int, o *Making, statistics bool) {
	b.Helper()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			d, e := picture.NewDecoder(), picture.NewEncoder(quality)
			defer d.Close()
			defer e.Close()
			sums := data.NewSums(o.Resize * o.Resize * 3)
			var pixels, out, again []byte
			for {
				i := int(next.Add(1)) - 1
				if i >= copies*len(all) {
					return
				}
				pic, err := d.Decode(b.Context(), all[i/copies], o.want(), pixels)
				if err == nil {
					pixels = pic.Pixels
					out, err = e.Encode(&pic, out)
				}
				if err == nil && statistics {
					if pic, err = d.Decode(b.Context(), out, picture.Want{Channels: 3}, again); err == nil {
						again = pic.Pixels
						if len(again) == o.Resize*o.Resize*3 { // a few are smaller
							sums.Add(again, 3)
						}
					}
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
}
