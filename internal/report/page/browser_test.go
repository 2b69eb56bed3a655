package page_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/browsertest"
)

// open shows a page in a window so wide, and wants nothing to be asked for but the file itself.
func open(t *testing.T, b *browsertest.Browser, html string, wide int64, scheme string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, []byte(html), 0o666); err != nil {
		t.Fatal(err)
	}
	b.Visit((&url.URL{Scheme: "file", Path: path}).String(), wide, scheme)
}

// quiet wants the page to have done nothing but to be read.
func quiet(t *testing.T, b *browsertest.Browser) {
	t.Helper()
	if seen := b.Seen(); len(seen) != 1 || !strings.HasPrefix(seen[0], "request: file:") {
		t.Errorf("the page asked and said:\n%s", strings.Join(seen, "\n"))
	}
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
	b := browsertest.Open(t)
	html := write(t, whole(evil, 5000, 30), whole(long, 900, 120))
	for _, wide := range []int64{400, 1600} {
		for _, scheme := range []string{"light", "dark"} {
			b.For(t)
			t.Run(fmt.Sprint(wide, " ", scheme), func(t *testing.T) {
				b.For(t)
				open(t, b, html, wide, scheme)
				if n := browsertest.Ask[string](b, "document.body.dataset.drawn"); n != "5" {
					t.Errorf("%s plots are drawn", n)
				}
				if got := browsertest.Ask[int64](b, "document.documentElement.scrollWidth"); got > wide {
					t.Errorf("it is %d pixels wide", got)
				}
				for i, n := range browsertest.Ask[[]int](b, inked) {
					if n < 4 {
						t.Errorf("plot %d has %d colours", i, n)
					}
				}
				broken := `[...document.images].filter((m) => !m.complete || !m.naturalWidth).length`
				if n := browsertest.Ask[int](b, broken); n > 0 {
					t.Errorf("%d pictures are not shown", n)
				}
				least := browsertest.Ask[struct {
					Contrast float64
					At       string
				}](b, contrast)
				if least.Contrast < 4.5 {
					t.Errorf("words have a contrast of %.2f at %s", least.Contrast, least.At)
				}
				const isDark = `getComputedStyle(document.body).backgroundColor !== "rgb(255, 255, 255)"`
				dark := browsertest.Ask[bool](b, isDark)
				if dark != (scheme == "dark") {
					t.Errorf("dark: %v", dark)
				}
				if title := browsertest.Ask[string](b, "document.title"); title != "Report: 2 runs" {
					t.Errorf("its title is %q", title)
				}
				quiet(t, b)
			})
		}
	}
}

// TestCurves: the plots answer to the pointer and to what is chosen.
func TestCurves(t *testing.T) {
	b := browsertest.Open(t)
	open(t, b, write(t, whole("first", 1000, 3), whole("second", 500, 3)), 1600, "light")
	const legends = `[...document.querySelectorAll(".plot")].map((p) => [...p.querySelectorAll(".u-series")]
		.filter((r) => getComputedStyle(r).display !== "none").map((r) => r.textContent))`
	choose := func(id, value string) {
		t.Helper()
		browsertest.Ask[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector(%q);
			if (e.type === "range") e.value = %q; else e.checked = true;
			e.dispatchEvent(new Event("input", {bubbles: true})); return true; })()`, id, value))
	}
	hover := func(share float64) [][]string {
		t.Helper()
		browsertest.Ask[bool](b, fmt.Sprintf(`(() => { const o = document.querySelector(".u-over"), r = o.getBoundingClientRect();
			o.dispatchEvent(new MouseEvent("mousemove", {bubbles: true, clientX: r.left + %g * r.width,
			clientY: r.top + 20, movementX: 1})); return true; })()`, share))
		browsertest.Ask[bool](b, "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true), 50)))")
		return browsertest.Ask[[][]string](b, legends)
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
	wide := browsertest.Ask[[]int](b, `[...document.querySelectorAll("canvas")].map((c) => c.width)`)
	if wide[0] != wide[1] {
		t.Errorf("drawn again, plots are %d pixels wide", wide)
	}
	if n := browsertest.Ask[int](b, `document.querySelectorAll(".plot").length`); n != 5 {
		t.Errorf("%d plots on logarithmic axes", n)
	}
	quiet(t, b)
}

// TestZoom: what one plot is zoomed to, the others show too.
func TestZoom(t *testing.T) {
	b := browsertest.Open(t)
	open(t, b, write(t, whole("first", 1000, 3)), 1600, "light")
	before := browsertest.Ask[[]string](b, pixels)
	browsertest.Ask[bool](b, `(() => { const o = document.querySelector(".u-over"), r = o.getBoundingClientRect();
		const fire = (on, type, share) => on.dispatchEvent(new MouseEvent(type, {bubbles: true, button: 0, movementX: 1,
			clientX: r.left + share * r.width, clientY: r.top + 50}));
		fire(o, "mousemove", .4); fire(o, "mousedown", .4);
		for (let s = .45; s < .61; s += .05) fire(o, "mousemove", s);
		fire(document, "mouseup", .6); return true; })()`)
	browsertest.Ask[bool](b, "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true), 100)))")
	after := browsertest.Ask[[]string](b, pixels)
	for i := range before {
		if before[i] == after[i] {
			t.Errorf("plot %d looks as before", i)
		}
	}
	quiet(t, b)
}

// pixels are those of each plot.
const pixels = `[...document.querySelectorAll("canvas")].map((c) => c.toDataURL())`
