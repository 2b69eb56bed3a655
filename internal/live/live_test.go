package live

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"alexnet/internal/infer"
	"alexnet/internal/report"
	"alexnet/internal/report/page"
	"alexnet/internal/serve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const evil = "</script><script>document.title='forged'</script>\n\x1b[2J"

func ptr(v float64) *float64 { return &v }

// step is the line of a step, a hundred an epoch.
func step(n int) report.Metrics {
	return report.Metrics{
		Step: uint64(n), Epoch: (n + 99) / 100, Loss: ptr(2 / (1 + float64(n)/200)), Top1Error: ptr(.5), LR: ptr(.01),
		ImagesPerSecond: ptr(1000), DataStall: ptr(.02),
	}
}

// end is the line of the epoch that ends with a step.
func end(n int) report.Metrics {
	return report.Metrics{
		Step: uint64(n), Epoch: n / 100, ValLoss: ptr(1), ValTop1Error: ptr(1 / float64(n)), ValTop5Error: ptr(.1),
	}
}

// lines hands over those of steps.
func lines(h *Hub, from, to int) {
	for n := from; n <= to; n++ {
		h.Line(step(n))
		if n%100 == 0 {
			h.Line(end(n))
		}
	}
}

var plan = Plan{
	Run:     page.Run{Name: "runs/" + evil, Net: "demo", Settings: []page.Setting{{Key: "a", Value: evil}}},
	Program: "alexnet", Rows: 32, Epochs: 40, Steps: 4000,
}

// pipes are connections in memory, which know the time of a synctest bubble. What is written waits for its reader.
type pipes struct {
	made chan net.Conn
	shut chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.made:
		return c, nil
	case <-p.shut:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.shut); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	mine, its := net.Pipe()
	p.made <- its
	return mine
}

// serveHere serves a hub over pipes.
func serveHere(h *Hub) *pipes {
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	s := &http.Server{Handler: h.routes(), ReadTimeout: 5 * time.Second}
	go func() { _ = s.Serve(p) }()
	h.shut = func(within time.Duration) {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		if s.Shutdown(ctx) != nil {
			_ = s.Close()
		}
	}
	return p
}

// viewer reads the events of a connection.
type viewer struct {
	net.Conn
	in     *bufio.Reader
	status int
}

func view(t *testing.T, p *pipes, path string, header ...string) *viewer {
	t.Helper()
	v := &viewer{Conn: p.dial()}
	if _, err := fmt.Fprintf(v, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, strings.Join(header, "")); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(v), nil) //nolint:bodyclose // ends with the connection
	if err != nil {
		t.Fatal(err)
	}
	v.in, v.status = bufio.NewReader(r.Body), r.StatusCode
	return v
}

// event is the next one; "" where there are no more.
type event struct{ id, name, data string }

func (v *viewer) next() (e event) {
	for {
		line, err := v.in.ReadString('\n')
		if err != nil {
			return event{}
		}
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch key {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if e.name != "" {
				return e
			}
		}
	}
}

// news is what an update has.
type news struct {
	Runs, Time string
	Curves     struct {
		X      []struct{ Step, Epoch, Hour []float64 }
		Curves map[string]struct {
			X              int
			Min, Mean, Max []float64
		}
		After []float64
	}
}

func parse(t *testing.T, e event) (n news) {
	t.Helper()
	if err := json.Unmarshal([]byte(e.data), &n); err != nil {
		t.Fatalf("%v: %q", err, e)
	}
	return n
}

// shown is what a page shows of a curve: steps, epochs and values.
type shown struct{ step, epoch, mean []float64 }

// merge does what page.js does with an update.
func merge(all map[string]shown, n news) map[string]shown {
	if len(n.Curves.After) == 0 {
		all = map[string]shown{}
	}
	for name, c := range n.Curves.Curves {
		old, keep := all[name], 0
		for keep < len(old.step) && old.step[keep] <= n.Curves.After[0] {
			keep++
		}
		x := n.Curves.X[c.X]
		all[name] = shown{
			slices.Concat(old.step[:keep], x.Step), slices.Concat(old.epoch[:min(keep, len(old.epoch))], x.Epoch),
			slices.Concat(old.mean[:keep], c.Mean),
		}
	}
	return all
}

// TestUpdates: who was told of every change, who skipped some and who came late see the same, however many lines there
// are; and most updates are a small part of the whole.
func TestUpdates(t *testing.T) {
	h := begin(plan, nil)
	h.shut = func(time.Duration) {}
	defer h.Close("finished")
	always, skips := map[string]shown{}, map[string]shown{}
	var markA, markS page.Mark
	told := func(all map[string]shown, mark page.Mark) (map[string]shown, page.Mark, int) {
		b, now, _, err := h.since(mark)
		if err != nil {
			t.Fatal(err)
		}
		_, data, _ := strings.Cut(string(b), "data: ")
		return merge(all, parse(t, event{data: data})), now, len(b)
	}
	whole, parts, n := 0, 0, 0
	for i, by := 1, 1; i < 9000; i, by = i+by, by%37+1 {
		lines(h, i, i+by-1)
		h.take("")
		if always, markA, n = told(always, markA); i > 5000 {
			parts += n
		}
		if i%11 > 0 {
			continue
		}
		skips, markS, _ = told(skips, markS)
		var late map[string]shown
		if late, _, n = told(map[string]shown{}, page.Mark{}); i > 5000 {
			whole = n
		}
		for name, want := range late {
			for who, got := range map[string]shown{"always": always[name], "skips": skips[name]} {
				if !slices.Equal(got.step, want.step) || !slices.Equal(got.mean, want.mean) ||
					!slices.Equal(got.epoch, want.epoch) {
					t.Fatalf("after %d lines %s, who %s, has %d points, and %d are right:\n%v\n%v", i, name, who,
						len(got.step), len(want.step), got, want)
				}
			}
		}
	}
	if updates := 4000 / 19; parts/updates > whole/3 {
		t.Errorf("an update has %d bytes on the mean, and the whole %d", parts/updates, whole)
	}
}

// TestLateAndAgain: who comes late sees the whole run, who connects again what it lacks, and who was with another
// server the whole.
func TestLateAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := begin(plan, nil)
		p := serveHere(h)
		lines(h, 1, 150)
		time.Sleep(every + 1)
		late := view(t, p, "/events")
		e := late.next()
		if n := parse(t, e); len(n.Curves.X[0].Step) != 150 || len(n.Curves.After) > 0 ||
			!strings.Contains(n.Runs, "training") || strings.Contains(n.Runs, "<script") || n.Time == "" {
			t.Errorf("who comes late is told %q", e)
		}
		late.Close()
		lines(h, 151, 160)
		time.Sleep(every + 1)
		for _, how := range []struct {
			path, header string
		}{
			{"/events", "Last-Event-ID: " + e.id + "\r\n"},
			{"/events?after=" + e.id, ""},
			{"/events?after=other:1-1-0", "Last-Event-ID: " + e.id + "\r\n"},
		} {
			again := view(t, p, how.path, how.header)
			if n := parse(t, again.next()); len(n.Curves.After) != 1 || len(n.Curves.X[0].Step) != 11 {
				t.Errorf("%v: told of %v after %v", how, n.Curves.X, n.Curves.After)
			}
			again.Close()
		}
		for _, id := range []string{
			"other:1-150-100", h.name + ":1-999-100", h.name + ":9", h.name + ":-1--1--1", "", "\xff",
		} {
			again := view(t, p, "/events", "Last-Event-ID: "+id+"\r\n")
			if n := parse(t, again.next()); len(n.Curves.After) != 0 || len(n.Curves.X[0].Step) != 160 {
				t.Errorf("%q: told of %d steps after %v", id, len(n.Curves.X[0].Step), n.Curves.After)
			}
			again.Close()
		}
		h.Close("finished")
	})
}

// TestSlowAndStuck: training goes on whoever reads what. Who is slow gets the newest, and not all that lies between;
// who takes nothing for ten seconds is cut; the others do not notice.
func TestSlowAndStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := begin(plan, nil)
		p := serveHere(h)
		stuck, slow, quick := view(t, p, "/events"), view(t, p, "/events"), view(t, p, "/events")
		slow.next()
		seen := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for quick.next().name == "run" {
				seen++
			}
		}()
		time.Sleep(every / 2)
		began := time.Now()
		for n := 1; n <= 60; n++ {
			h.Line(step(n))
			if n%6 == 0 { // six times a second
				time.Sleep(every)
			}
			if n == 48 { // after eight seconds, in which it read nothing
				if e := slow.next(); !strings.Contains(e.id, ":1-6-0") {
					t.Errorf("the one that waited is %s", e.id)
				}
				if e := slow.next(); !strings.Contains(e.id, ":1-48-0") {
					t.Errorf("who was slow is told %s next", e.id)
				}
			}
		}
		if d := time.Since(began); d != 10*every {
			t.Errorf("ten seconds of training took %v", d)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		h.mu.Lock()
		left := len(h.viewers)
		h.mu.Unlock()
		if left != 2 {
			t.Errorf("%d viewers are left of 3, one of whom is stuck", left)
		}
		if _, err := io.Copy(io.Discard, stuck); err != nil && !strings.Contains(err.Error(), "closed") {
			t.Error(err)
		}
		slow.Close()
		h.Close("finished")
		<-done
		if seen < 10 {
			t.Errorf("who reads is told %d times", seen)
		}
	})
}

// TestEnd: viewers are told how the run ended, those who take nothing are cut off, and nothing is left.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := begin(plan, nil)
		p := serveHere(h)
		v, stuck := view(t, p, "/events"), view(t, p, "/events")
		v.next()
		lines(h, 1, 3)
		time.Sleep(every / 2)
		lines(h, 4, 7)
		began := time.Now()
		go h.Close("failed: " + evil)
		if n := parse(t, v.next()); len(n.Curves.X[0].Step) != 7 || !strings.Contains(n.Runs, "failed: ") ||
			strings.Contains(n.Runs, "<script") {
			t.Errorf("the last update is %+v", n)
		}
		var words string
		if e := v.next(); e.name != "end" || json.Unmarshal([]byte(e.data), &words) != nil ||
			!strings.HasPrefix(words, "The run has ended: failed: ") || strings.Contains(words, "\x1b") {
			t.Errorf("the end is told as %q", e)
		}
		if e := v.next(); e != (event{}) {
			t.Errorf("after the end comes %q", e)
		}
		h.done.Wait()
		if d := time.Since(began); d > 2*closing {
			t.Errorf("it took %v to close", d)
		}
		stuck.Close()
	})
}

// TestEnded: what is taken after the end changes nothing.
func TestEnded(t *testing.T) {
	h := begin(plan, nil)
	h.shut = func(time.Duration) {}
	h.Close("finished")
	h.Line(step(1))
	h.take("")
	if _, err := h.enter(); !errors.Is(err, errEnded) || h.all.Step != 0 {
		t.Errorf("after the end: %v, step %d", err, h.all.Step)
	}
}

// TestLock: nobody who fails in drawing the page keeps the lock that training ends with.
func TestLock(t *testing.T) {
	broken := plan
	broken.Run.Kernels = &infer.Kernels{} // of no shape, which cannot be drawn
	h := begin(broken, nil)
	h.shut = func(time.Duration) {}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the page is drawn")
			}
		}()
		h.routes().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}()
	if !h.mu.TryLock() {
		t.Fatal("the lock is held")
	}
	h.mu.Unlock()
	h.Close("finished")
}

// TestMarks: however many marks browsers make up, what is kept for them has a bound.
func TestMarks(t *testing.T) {
	h := begin(plan, nil)
	h.shut = func(time.Duration) {}
	defer h.Close("finished")
	lines(h, 1, 250)
	h.take("")
	for i := range 1000 {
		b, _, _, err := h.since(page.Mark{Each: 1, Bins: 250, Ends: -i})
		if err != nil || !bytes.Contains(b, []byte("250 of 4,000")) {
			t.Fatalf("%v: %.200s", err, b)
		}
	}
	if len(h.told) > mostTold {
		t.Errorf("%d updates are kept", len(h.told))
	}
}

// TestIdle: where nothing happens, a viewer is written to nevertheless, and so found to have gone.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := begin(plan, nil)
		v := view(t, serveHere(h), "/events")
		v.next()
		began := time.Now()
		if line, err := v.in.ReadString('\n'); line != ":\n" || time.Since(began) != quiet {
			t.Errorf("%q after %v: %v", line, time.Since(began), err)
		}
		v.Close()
		h.Close("finished")
	})
}

// TestMostViewers: the hundred and first is told 503, and one who goes makes room.
func TestMostViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := begin(plan, nil)
		p := serveHere(h)
		var all []*viewer
		for range MostViewers {
			v := view(t, p, "/events")
			v.next()
			all = append(all, v)
		}
		if v := view(t, p, "/events"); v.status != http.StatusServiceUnavailable {
			t.Errorf("one more: %d", v.status)
		} else {
			v.Close()
		}
		if v := view(t, p, "/"); v.status != http.StatusOK {
			t.Errorf("the page: %d", v.status)
		} else {
			v.Close()
		}
		all[0].Close()
		synctest.Wait()
		v := view(t, p, "/events")
		if v.status != http.StatusOK {
			t.Errorf("after one has gone: %d", v.status)
		}
		for _, v := range append(all[1:], v) {
			v.Close()
		}
		h.Close("finished")
	})
}

// TestResumed: a run that goes on is shown from its first step; the end of an epoch that is done again is there once.
func TestResumed(t *testing.T) {
	var file bytes.Buffer
	put := func(m report.Metrics) {
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		file.Write(append(b, '\n'))
	}
	for n := 1; n <= 200; n++ {
		put(step(n))
		if n%100 == 0 {
			put(end(n))
		}
	}
	resumed := plan
	resumed.First = 200
	for _, again := range []bool{true, false} {
		h := begin(resumed, bytes.NewReader(file.Bytes()))
		h.shut = func(time.Duration) {}
		if again {
			h.Line(end(200))
		}
		lines(h, 201, 201)
		h.take("")
		if h.all.Step != 201 || h.all.Steps.Len() != 201 || h.all.Epochs.Len() != 2 || *h.best != 1./200 {
			t.Errorf("again %v: %d steps and %d epochs", again, h.all.Steps.Len(), h.all.Epochs.Len())
		}
		h.Close("finished")
	}
	h := begin(resumed, strings.NewReader(`{"step":1,"epoch":1,"lr":1}`+"\n{\n"+`{"step":3,"epoch":1,"lr":1}`+"\n"))
	h.shut = func(time.Duration) {}
	defer h.Close("finished")
	if m := h.plan.Run.Missing; len(m) != 1 || !strings.Contains(m[0], "line 2 is damaged") {
		t.Errorf("damage is told as %q", m)
	}
}

// TestPage: the page comes whole, with its policy; nothing else is there.
func TestPage(t *testing.T) {
	h := begin(plan, nil)
	h.shut = func(time.Duration) {}
	defer h.Close("finished")
	lines(h, 1, 250)
	h.take("")
	get := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.routes().ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	w := get(http.MethodGet, "/")
	html := w.Body.String()
	if !strings.Contains(html, `data-live="`+h.name+`:1-250-200"`) || strings.Contains(html, evil) ||
		!strings.Contains(html, "250 of 4,000") {
		t.Errorf("the page is %.500s", html)
	}
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "connect-src 'self';") || !strings.Contains(policy, "frame-ancestors 'none'") ||
		strings.Contains(policy, "unsafe") {
		t.Errorf("its policy is %s", policy)
	}
	if w := get(http.MethodHead, "/"); w.Code != http.StatusOK || w.Body.Len() > 0 {
		t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := get(http.MethodHead, "/events"); w.Code != http.StatusOK || len(h.viewers) > 0 {
		t.Errorf("HEAD of the events: %d", w.Code)
	}
	for _, path := range []string{"/metrics.jsonl", "/live.go", "/..%2flive.go", "/favicon.ico", "/x/", "/events/"} {
		if w := get(http.MethodGet, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestServed: over the guard of a server, with another name, and to its end.
func TestServed(t *testing.T) {
	s, err := serve.Listen("")
	if err != nil {
		t.Fatal(err)
	}
	h := Start(s, plan, nil)
	once := &http.Transport{DisableKeepAlives: true}
	get := func(host string) int {
		r, err := http.NewRequest(http.MethodGet, s.URL()+"events", nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			r.Host = host
		}
		in, err := once.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Body.Close()
		if in.StatusCode == http.StatusOK {
			v := viewer{in: bufio.NewReader(in.Body)}
			v.next()
			go h.Close("interrupted")
			if e := v.next(); e.name != "run" {
				t.Errorf("the last update is %q", e)
			}
			if e := v.next(); e.name != "end" || !strings.Contains(e.data, "interrupted") {
				t.Errorf("the end is %q", e)
			}
		}
		return in.StatusCode
	}
	if code := get("evil.example:6160"); code != http.StatusForbidden {
		t.Errorf("another name: %d", code)
	}
	if code := get(""); code != http.StatusOK {
		t.Errorf("its own: %d", code)
	}
	h.done.Wait()
}
