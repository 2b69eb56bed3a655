// Package live shows a run while it trains: the page of package page, which a server of package serve gives to browsers
// and which events of the server keep up to date. The numbers are those that package report takes.
//
// Training hands its lines over and goes on: it takes a lock that is never held for longer than it takes to add to a
// list. Once a second these go into the overview, and viewers are woken. Each has a goroutine and a mailbox for one
// call, and is told what came since it was last told: whoever is slow skips, whoever takes nothing for ten seconds is
// cut off, whoever comes late or again gets the whole run first.
package live

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"alexnet/internal/report"
	"alexnet/internal/report/page"
	"alexnet/internal/serve"
	"alexnet/internal/text"
)

// Bounds.
const (
	MostViewers = 100              // at once
	every       = time.Second      // updates
	stuck       = 10 * time.Second // for a write
	quiet       = 15 * time.Second // without updates before an empty one, which finds out who has gone
	closing     = 2 * time.Second  // to tell viewers that the run has ended
	mostTold    = 16               // updates that are kept to be shared: marks are what browsers say
)

// Plan is what is known of a run when it begins.
type Plan struct {
	Run     page.Run // without Facts and Overview
	Program string
	Rows    int // pictures a step
	Epochs  int
	Steps   uint64 // when it is to end
	First   uint64 // steps that a resumed run has taken before
}

// Hub has a run's numbers, and tells viewers. Its methods may be called by any goroutine.
type Hub struct {
	plan Plan
	name string                     // of this hub among all that ever were, in marks
	shut func(within time.Duration) // ends the server
	stop chan struct{}
	done sync.WaitGroup // the goroutine that gathers, and those of viewers

	news struct { // what training hands over
		sync.Mutex
		lines []report.Metrics
		state string
	}

	mu      sync.Mutex // of all below
	all     *report.Overview
	redo    *report.Metrics // the last line of the run so far, an epoch's: it may come again
	best    *float64
	state   string
	end     string // why there are no more updates; empty: there are
	viewers map[chan struct{}]bool
	told    map[page.Mark][]byte // updates after a mark, since the last change
}

// Start serves a run. Of one that goes on, lines are those of its metrics.jsonl so far, nil: there are none; where they
// are damaged the run is shown from there on, and said to be.
func Start(s *serve.Server, p Plan, lines io.Reader) *Hub {
	h := begin(p, lines)
	h.shut = s.Close
	s.Serve(h.routes())
	return h
}

func begin(p Plan, lines io.Reader) *Hub {
	h := &Hub{
		plan: p, name: rand.Text()[:8], stop: make(chan struct{}), all: report.NewOverview(p.Rows), state: "training",
		viewers: map[chan struct{}]bool{}, told: map[page.Mark][]byte{},
	}
	if lines != nil {
		if err := report.Scan(lines, h.before); err != nil {
			h.plan.Run.Missing = append(h.plan.Run.Missing, fmt.Sprintf("curves before step %d: %v", p.First, err))
		}
	}
	h.news.state = h.state
	h.done.Go(h.gather)
	return h
}

func (h *Hub) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /{$}", h.page)
	m.HandleFunc("GET /events", h.events)
	return m
}

// before adds a line of the run so far.
func (h *Hub) before(m *report.Metrics) {
	if m.LR == nil && m.Step == h.plan.First {
		h.redo = m
		return
	}
	h.add(m)
}

// add adds a line. The end of an epoch may be done again by a run that goes on.
func (h *Hub) add(m *report.Metrics) {
	if r := h.redo; r != nil {
		if h.redo = nil; m.LR != nil || m.Step != r.Step {
			h.add(r)
		}
	}
	h.all.Add(m)
	if e := m.ValTop1Error; e != nil && (h.best == nil || *e < *h.best) {
		h.best = e
	}
}

// Line takes a line, in the order of metrics.jsonl. It never waits for viewers.
func (h *Hub) Line(m report.Metrics) {
	h.news.Lock()
	defer h.news.Unlock()
	h.news.lines = append(h.news.lines, m)
}

// State takes what the run is at, in words.
func (h *Hub) State(what string) {
	h.news.Lock()
	defer h.news.Unlock()
	h.news.state = what
}

// gather moves lines into the overview.
func (h *Hub) gather() {
	clock := time.NewTicker(every)
	defer clock.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-clock.C:
			h.take("")
		}
	}
}

// take moves lines into the overview and wakes viewers; with an end, for the last time.
func (h *Hub) take(end string) {
	h.mu.Lock() // before the lines are taken: else they might be added after the end
	defer h.mu.Unlock()
	h.news.Lock()
	lines, state := h.news.lines, h.news.state
	h.news.lines = nil
	h.news.Unlock()
	if h.end != "" || len(lines) == 0 && state == h.state && end == "" {
		return
	}
	for i := range lines {
		h.add(&lines[i])
	}
	h.state, h.end = state, end
	clear(h.told)
	for mailbox := range h.viewers {
		select {
		case mailbox <- struct{}{}:
		default: // it has yet to look at the last call
		}
	}
}

// Close tells viewers in words how the run ended, and ends the server: those who have not taken it within two seconds
// are cut off.
func (h *Hub) Close(how string) {
	h.State(how)
	close(h.stop)
	h.take("The run has ended: " + how + ". This page no longer changes.")
	h.shut(closing)
	h.done.Wait()
}

// run is the run as it is now; h.mu is held.
func (h *Hub) run() *page.Run {
	r := h.plan.Run
	o := h.all
	r.Overview = o
	add := func(name, value string) { r.Facts = append(r.Facts, page.Fact{Name: name, Value: value}) }
	add("state", h.state)
	if r.Net != "" {
		add("net", r.Net)
	}
	add("epoch", fmt.Sprintf("%d of %d", max(o.Epoch, 1), h.plan.Epochs))
	steps := text.Grouped(int64(max(o.Step, h.plan.First)))
	if h.plan.Steps > 0 && h.plan.Steps <= math.MaxInt64 {
		steps += " of " + text.Grouped(int64(h.plan.Steps))
	}
	add("steps", steps)
	if h.best != nil {
		add("best validation error", text.Percent(*h.best))
	}
	if o.Seconds > 0 {
		add("time of the steps", page.Duration(o.Seconds))
	}
	return &r
}

// whole is the page as it is now.
func (h *Hub) whole() (*bytes.Buffer, error) {
	h.mu.Lock()
	defer h.mu.Unlock() // whatever happens: training ends with this lock
	b := &bytes.Buffer{}
	return b, page.Write(b, &page.Page{
		Written: time.Now(), Program: h.plan.Program, Runs: []page.Run{*h.run()}, Live: h.name,
	})
}

// page gives that.
func (h *Hub) page(w http.ResponseWriter, r *http.Request) {
	b, err := h.whole()
	if err != nil {
		http.Error(w, "the page cannot be written", http.StatusInternalServerError)
		return
	}
	head := w.Header()
	head.Set("Content-Security-Policy", page.Policy(true)+"; frame-ancestors 'none'")
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Length", strconv.Itoa(b.Len()))
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes()) // whoever has gone needs no page
	}
}

// What those are told who get no updates.
var (
	errFull  = errors.New("too many are looking")
	errEnded = errors.New("the run has ended")
)

// enter adds a viewer, and gives its mailbox.
func (h *Hub) enter() (chan struct{}, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.end != "":
		return nil, errEnded
	case len(h.viewers) >= MostViewers:
		return nil, errFull
	}
	mailbox := make(chan struct{}, 1)
	mailbox <- struct{}{} // there may be news since its page
	h.viewers[mailbox] = true
	h.done.Add(1)
	return mailbox, nil
}

func (h *Hub) leave(mailbox chan struct{}) {
	h.mu.Lock()
	delete(h.viewers, mailbox)
	h.mu.Unlock()
	h.done.Done()
}

// events sends a viewer what came after its mark, until the run ends or the viewer goes.
func (h *Hub) events(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	if r.Method == http.MethodHead {
		head.Set("Content-Type", "text/event-stream")
		return
	}
	mailbox, err := h.enter()
	if err != nil {
		head.Set("Retry-After", "60")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer h.leave(mailbox)
	head.Set("Content-Type", "text/event-stream")
	stream := http.NewResponseController(w)
	_ = stream.SetReadDeadline(time.Time{}) // that of the request, which would end the stream
	mark := h.markOf(r)
	idle := time.NewTimer(quiet)
	defer idle.Stop()
	for {
		var send []byte
		end := ""
		select {
		case <-r.Context().Done():
			return
		case <-idle.C:
			send = []byte(":\n\n")
		case <-mailbox:
			if send, mark, end, err = h.since(mark); err != nil {
				return
			}
		}
		if err := stream.SetWriteDeadline(time.Now().Add(stuck)); err != nil {
			return
		}
		if _, err := w.Write(send); err != nil {
			return
		}
		if err := stream.Flush(); err != nil || end != "" {
			return
		}
		idle.Reset(quiet)
	}
}

// markOf is how much the viewer has been told: as its browser says when it connects again, or as its page says.
func (h *Hub) markOf(r *http.Request) page.Mark {
	said := r.Header.Get("Last-Event-ID")
	if said == "" {
		said = r.URL.Query().Get("after")
	}
	name, mark, _ := strings.Cut(said, ":")
	if name != h.name {
		return page.Mark{}
	}
	return page.ParseMark(mark)
}

// since is the event for a viewer that was told so much, and what it has been told then. Viewers who were told the same
// share it.
func (h *Hub) since(after page.Mark) (event []byte, now page.Mark, end string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now = page.MarkOf(h.all)
	if event = h.told[after]; event != nil {
		return event, now, h.end, nil
	}
	update, err := page.Update(h.run(), after)
	if err != nil {
		return nil, now, "", err
	}
	event = fmt.Appendf(nil, "id: %s:%s\nevent: run\ndata: %s\n\n", h.name, now, update)
	if h.end != "" {
		words, err := json.Marshal(text.Escape(h.end))
		if err != nil {
			return nil, now, "", err
		}
		event = fmt.Appendf(event, "event: end\ndata: %s\n\n", words)
	}
	if len(h.told) < mostTold {
		h.told[after] = event
	}
	return event, now, h.end, nil
}
