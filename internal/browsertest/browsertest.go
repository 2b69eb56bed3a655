// Package browsertest lets tests look at pages in Debian's Chromium, with chromedp. Where there is no Chromium they are
// skipped. It uses nothing else of the program.
package browsertest

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
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

// Browser is a Chromium that notes what a page does that it should not.
type Browser struct {
	context.Context
	t    *testing.T
	mu   sync.Mutex
	seen []string // complaints, and requests
}

// Open starts one, where there is one.
func Open(t *testing.T) *Browser {
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
	b := &Browser{Context: ctx, t: t}
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

func (b *Browser) note(event any) {
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

func (b *Browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// For makes t the test that fails where something does.
func (b *Browser) For(t *testing.T) { b.t = t }

// Visit shows the page at an address in a window so wide, of a scheme: light or dark. What was seen is forgotten.
func (b *Browser) Visit(at string, wide int64, scheme string) {
	b.t.Helper()
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

// Seen is what the page asked for ("request: " and the address), but for what is in it, and what it complained of.
func (b *Browser) Seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.seen)
}

// Ask evaluates a script in the page.
func Ask[T any](b *Browser, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}
