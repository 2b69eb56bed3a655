//go:build unix

package live

import (
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/serve"
)

// BenchmarkViewers is what one update of 50 viewers costs, 5 of whom read nothing: in processor time, of the viewers
// that read as well. An update is of a second of the demo net: 160 steps and the end of an epoch.
func BenchmarkViewers(b *testing.B) {
	s, err := serve.Listen("")
	if err != nil {
		b.Fatal(err)
	}
	h := Start(s, plan, nil)
	at := strings.TrimSuffix(strings.TrimPrefix(s.URL(), "http://"), "/")
	for i := range 50 {
		c, err := net.Dial("tcp", at)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		if _, err := fmt.Fprintf(c, "GET /events HTTP/1.1\r\nHost: %s\r\n\r\n", at); err != nil {
			b.Fatal(err)
		}
		if i < 5 {
			_ = c.(*net.TCPConn).SetReadBuffer(4096)
		} else {
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
	}
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	n := 1
	second := func() {
		lines(h, n, n+159)
		n += 160
		h.take("")
		time.Sleep(100 * time.Millisecond)
	}
	for range 20 { // to a run of some length
		second()
	}
	began, count := used(), 0
	for b.Loop() {
		second()
		count++
	}
	b.ReportMetric(float64((used()-began).Microseconds())/1000/float64(count), "cpu-ms/update")
	h.Close("finished")
}
