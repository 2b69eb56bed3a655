package live

import (
	"slices"
	"strings"
	"testing"

	"alexnet/internal/browsertest"
	"alexnet/internal/serve"
)

// awaited is the script that is done when an expression holds.
func awaited(expression string) string {
	return `new Promise((done) => { const look = () => ` + expression +
		` ? done(true) : setTimeout(look, 20); look(); })`
}

// TestBrowser: a page of a run with a hostile name follows it without a complaint, shows at last what a page shows that
// is loaded then, keeps what was zoomed to, and says that the run has ended.
func TestBrowser(t *testing.T) {
	b := browsertest.Open(t)
	s, err := serve.Listen("")
	if err != nil {
		t.Fatal(err)
	}
	s2 := s.URL()
	h := Start(s, plan, nil)
	ended := false
	defer func() {
		if !ended {
			h.Close("failed")
		}
	}()
	const (
		pixels = `[...document.querySelectorAll("canvas")].map((c) => c.toDataURL())`
		frame  = `new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true), 100)))`
		status = `document.getElementById("live").textContent`
		row    = `document.querySelector("#runs tbody").textContent`
	)
	b.Visit(s2, 1200, "light") // before the first step: no curves
	browsertest.Ask[bool](b, awaited(status+`.startsWith("Live")`))
	if n := browsertest.Ask[string](b, "document.body.dataset.drawn"); n != "0" {
		t.Errorf("%s plots are drawn of nothing", n)
	}
	// the first, a part, over the end of an epoch, bins joined, a part
	for i, to := range []int{150, 180, 210, 2500, 2600} {
		from := []int{1, 151, 181, 211, 2501}[i]
		told := browsertest.Ask[int](b, "Number(document.body.dataset.told || 0)")
		lines(h, from, to)
		h.take("")
		browsertest.Ask[bool](b, awaited("Number(document.body.dataset.told || 0) > "+string(rune('0'+min(told, 9)))))
		browsertest.Ask[bool](b, awaited(row+`.includes("`+[]string{"150", "180", "210", "2,500", "2,600"}[i]+` of")`))
	}
	browsertest.Ask[bool](b, frame)
	followed := browsertest.Ask[[]string](b, pixels)
	if n := browsertest.Ask[string](b, "document.body.dataset.drawn"); n != "5" {
		t.Errorf("%s plots are drawn", n)
	}
	seen := b.Seen()
	b.Visit(s2, 1200, "light")
	browsertest.Ask[bool](b, awaited(`Number(document.body.dataset.told) > 0`))
	browsertest.Ask[bool](b, frame)
	if now := browsertest.Ask[[]string](b, pixels); !slices.Equal(now, followed) {
		for i := range now {
			t.Errorf("plot %d is as in a page that is loaded now: %v", i, now[i] == followed[min(i, len(followed)-1)])
		}
	}

	// what was zoomed to stays while lines come
	browsertest.Ask[bool](b, `(() => { const o = document.querySelector(".u-over"), r = o.getBoundingClientRect();
		const fire = (on, type, share) => on.dispatchEvent(new MouseEvent(type, {bubbles: true, button: 0, movementX: 1,
			clientX: r.left + share * r.width, clientY: r.top + 50}));
		fire(o, "mousemove", .4); fire(o, "mousedown", .4);
		for (let s = .45; s < .61; s += .05) fire(o, "mousemove", s);
		fire(document, "mouseup", .6); return true; })()`)
	browsertest.Ask[bool](b, frame)
	zoomed := browsertest.Ask[[]string](b, pixels)
	lines(h, 2601, 2650)
	h.take("")
	browsertest.Ask[bool](b, awaited(row+`.includes("2,650 of")`))
	browsertest.Ask[bool](b, frame)
	if now := browsertest.Ask[[]string](b, pixels); now[0] != zoomed[0] || zoomed[0] == followed[0] {
		t.Errorf("what was zoomed to moves; zooming changes the plot: %v", zoomed[0] != followed[0])
	}

	go h.Close("finished")
	ended = true
	browsertest.Ask[bool](b, awaited(status+`.startsWith("The run has ended: finished")`))
	h.done.Wait()
	if title := browsertest.Ask[string](b, "document.title"); !strings.HasPrefix(title, "Live: ") {
		t.Errorf("its title is %q", title)
	}
	for _, what := range append(seen, b.Seen()...) {
		if !strings.HasPrefix(what, "request: "+s2) {
			t.Errorf("the page says or asks %s", what)
		}
	}
}
