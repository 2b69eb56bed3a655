package page_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a Chromium that notes what a page does that it should not.
type browser struct {
	context.Context
	t    *testing.T
	mu   sync.Mutex
	seen []string // complaints, and requests
}

// openBrowser starts one, where there is one.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium (Debian's package of that name)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // a browser that hangs
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{Context: ctx, t: t}
	b.do(chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
		if _, err := cdp.Call(ctx, to, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, to, log.Enable, cdp.Empty{})
		return err
	}))
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, "data:") {
			b.seen = append(b.seen, "request: "+u)
		}
	case *log.EventEntryAdded:
		b.seen = append(b.seen, "log: "+e.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		b.seen = append(b.seen, fmt.Sprintf("console: %v", e.Args))
	case *runtime.EventExceptionThrown:
		b.seen = append(b.seen, "exception: "+e.ExceptionDetails.Text)
	}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// open shows a page in a window so wide, and wants nothing to be asked for but the file itself.
func (b *browser) open(html string, wide int64, scheme string) {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "report.html")
	if err := os.WriteFile(path, []byte(html), 0o666); err != nil {
		b.t.Fatal(err)
	}
	at := (&url.URL{Scheme: "file", Path: path}).String()
	b.mu.Lock()
	b.seen = nil
	b.mu.Unlock()
	b.do(chromedp.EmulateViewport(wide, 1000), chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
		_, err := cdp.Call(ctx, to, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}), chromedp.Navigate(at))
}

// quiet wants the page to have done nothing but to be read.
func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.seen) != 1 || !strings.HasPrefix(b.seen[0], "request: file:") {
		b.t.Errorf("the page asked and said:\n%s", strings.Join(b.seen, "\n"))
	}
}

// ask evaluates a script in the page.
func ask[T any](b *browser, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// contrast is the least contrast of words with what is behind the page, as WCAG 2 reckons it, and where it is.
const contrast = `(() => {
	const parse = (c) => c.match(/[\d.]+/g).slice(0, 3).map(Number);
	const light = (c) => parse(c).map((v) => v / 255)
		.map((v) => (v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4))
		.reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const c = getComputedStyle(e).backgroundColor;
			if (!/, 0\)$/.test(c)) return c;
		}
	};
	let least = [99, ""];
	for (const e of document.querySelectorAll("body *")) {
		if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
		if (e.closest("svg, script")) continue;
		const a = light(getComputedStyle(e).color), b = light(behind(e));
		const c = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (c < least[0]) least = [c, e.tagName + "." + e.className];
	}
	return {Contrast: least[0], At: least[1]};
})()`

// inked counts the colours of a plot's canvas that are not transparent.
const inked = `[...document.querySelectorAll("canvas")].map((c) => {
	const all = new Set(new Uint32Array(c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer));
	return all.size;
})`

// TestBrowser shows a page of two runs with everything, hostile names included, narrow and wide, light and dark.
func TestBrowser(t *testing.T) {
	b := openBrowser(t)
	html := write(t, whole(evil, 5000, 30), whole(long, 900, 120))
	for _, wide := range []int64{400, 1600} {
		for _, scheme := range []string{"light", "dark"} {
			b.t = t
			t.Run(fmt.Sprint(wide, " ", scheme), func(t *testing.T) {
				b.t = t
				b.open(html, wide, scheme)
				if n := ask[string](b, "document.body.dataset.drawn"); n != "5" {
					t.Errorf("%s plots are drawn", n)
				}
				if got := ask[int64](b, "document.documentElement.scrollWidth"); got > wide {
					t.Errorf("it is %d pixels wide", got)
				}
				for i, n := range ask[[]int](b, inked) {
					if n < 4 {
						t.Errorf("plot %d has %d colours", i, n)
					}
				}
				broken := `[...document.images].filter((m) => !m.complete || !m.naturalWidth).length`
				if n := ask[int](b, broken); n > 0 {
					t.Errorf("%d pictures are not shown", n)
				}
				least := ask[struct {
					Contrast float64
					At       string
				}](b, contrast)
				if least.Contrast < 4.5 {
					t.Errorf("words have a contrast of %.2f at %s", least.Contrast, least.At)
				}
				dark := ask[bool](b, `getComputedStyle(document.body).backgroundColor !== "rgb(255, 255, 255)"`)
				if dark != (scheme == "dark") {
					t.Errorf("dark: %v", dark)
				}
				if title := ask[string](b, "document.title"); title != "Report: 2 runs" {
					t.Errorf("its title is %q", title)
				}
				b.quiet()
			})
		}
	}
}

// TestCurves: the plots answer to the pointer and to what is chosen.
func TestCurves(t *testing.T) {
	b := openBrowser(t)
	b.open(write(t, whole("first", 1000, 3), whole("second", 500, 3)), 1600, "light")
	const legends = `[...document.querySelectorAll(".plot")].map((p) => [...p.querySelectorAll(".u-series")]
		.filter((r) => getComputedStyle(r).display !== "none").map((r) => r.textContent))`
	choose := func(id, value string) {
		t.Helper()
		ask[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector(%q);
			if (e.type === "range") e.value = %q; else e.checked = true;
			e.dispatchEvent(new Event("input", {bubbles: true})); return true; })()`, id, value))
	}
	hover := func(share float64) [][]string {
		t.Helper()
		ask[bool](b, fmt.Sprintf(`(() => { const o = document.querySelector(".u-over"), r = o.getBoundingClientRect();
			o.dispatchEvent(new MouseEvent("mousemove", {bubbles: true, clientX: r.left + %g * r.width,
			clientY: r.top + 20, movementX: 1})); return true; })()`, share))
		ask[bool](b, "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true), 50)))")
		return ask[[][]string](b, legends)
	}
	for _, rows := range hover(.25)[:2] { // at a quarter both runs have points
		for _, row := range rows {
			if strings.HasSuffix(row, "–") || strings.HasSuffix(row, "--") {
				t.Errorf("hovering says %q", row)
			}
		}
	}
	step := hover(.5)[0][0]
	choose("input[value=epoch]", "")
	epoch := hover(.5)[0][0]
	choose("input[value=hour]", "")
	hour := hover(.5)[0][0]
	for _, c := range []struct {
		got, prefix string
		low, high   float64
	}{{step, "step", 450, 550}, {epoch, "epoch", 4.5, 5.5}, {hour, "hour", .0042, .0047}} { // 500 steps of 32 ms
		var x float64
		value := strings.TrimLeft(strings.TrimPrefix(c.got, c.prefix), ": ")
		_, err := fmt.Sscan(value, &x)
		if err != nil || !strings.HasPrefix(c.got, c.prefix) || x < c.low || x > c.high {
			t.Errorf("half way by %s it says %q", c.prefix, c.got)
		}
	}
	choose("input[value=step]", "")
	rough := hover(.5)[0][1]
	choose("#smooth", "0.95")
	if smooth := hover(.5)[0][1]; smooth == rough {
		t.Errorf("smoothing changes nothing: %q", smooth)
	}
	choose("input[value=log]", "")
	if n := ask[int](b, `document.querySelectorAll(".plot").length`); n != 5 {
		t.Errorf("%d plots on logarithmic axes", n)
	}
	b.quiet()
}

// TestZoom: what one plot is zoomed to, the others show too.
func TestZoom(t *testing.T) {
	b := openBrowser(t)
	b.open(write(t, whole("first", 1000, 3)), 1600, "light")
	before := ask[[]string](b, pixels)
	ask[bool](b, `(() => { const o = document.querySelector(".u-over"), r = o.getBoundingClientRect();
		const fire = (on, type, share) => on.dispatchEvent(new MouseEvent(type, {bubbles: true, button: 0, movementX: 1,
			clientX: r.left + share * r.width, clientY: r.top + 50}));
		fire(o, "mousemove", .4); fire(o, "mousedown", .4);
		for (let s = .45; s < .61; s += .05) fire(o, "mousemove", s);
		fire(document, "mouseup", .6); return true; })()`)
	ask[bool](b, "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true), 100)))")
	after := ask[[]string](b, pixels)
	for i := range before {
		if before[i] == after[i] {
			t.Errorf("plot %d looks as before", i)
		}
	}
	b.quiet()
}

// pixels are those of each plot.
const pixels = `[...document.querySelectorAll("canvas")].map((c) => c.toDataURL())`
