package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"alexnet/internal/files"
	"alexnet/internal/live"
	"alexnet/internal/report"
	"alexnet/internal/report/page"
	"alexnet/internal/run"
	"alexnet/internal/serve"
	"alexnet/internal/step"
	"alexnet/internal/text"
	"alexnet/internal/train"
	"alexnet/internal/ui"
)

// liveOption is whether, and where, a run is shown while it trains.
type liveOption struct{ addr string }

// anywhere is the value of --live alone.
const anywhere = "localhost"

func (o *liveOption) addFlag(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.addr, "live", "", "show the run in a browser while it trains, at `ADDR`: PORT or HOST:PORT")
	f.Lookup("live").NoOptDefVal = anywhere
}

func (o *liveOption) asked() bool { return o.addr != "" }

// named is the address that was named; empty: none was.
func (o *liveOption) named() string {
	if o.addr == anywhere {
		return ""
	}
	return o.addr
}

func (o *liveOption) check() error { return serve.Check(o.named()) }

// listen takes the address, before work is done that would be lost without it; nil: none was asked for.
func (o *liveOption) listen() (*serve.Server, error) {
	if !o.asked() {
		return nil, nil
	}
	return serve.Listen(o.named())
}

// liveProgress shows a run in browsers, from its start on, and in the terminal.
type liveProgress struct {
	train.Progress
	t      *ui.Terminal
	server *serve.Server // nil: the run is not shown
	to     *train.Options
	hub    *live.Hub // nil before the start
}

// Start begins to serve the run, and says where.
func (p *liveProgress) Start(s train.Start) {
	p.Progress.Start(s)
	dir := p.to.Dir.Path()
	one := page.Run{Name: dir, OnlyTop1: len(p.to.Source.Classes) <= step.TopK}
	one.Missing = []string{"what the net has learned: alexnet report " + text.ShellPath(dir) + " shows it"}
	if _, err := settingsOf(&one, run.Found{Path: dir, Config: p.to.Dir.Config()}, nil); err != nil {
		one.Missing = append(one.Missing, "settings: "+err.Error())
	}
	plan := live.Plan{
		Run: one, Program: "alexnet " + versionFacts().Version, Rows: s.Batch, Epochs: s.Epochs, Steps: s.Steps,
		First: s.First,
	}
	var before io.Reader
	if s.First > 0 {
		f, err := files.OS.Open(filepath.Join(dir, "metrics.jsonl"))
		if err == nil {
			defer closeQuietly(f)
			before = f
		} else {
			plan.Run.Missing = append(plan.Run.Missing, "curves so far: "+err.Error())
		}
	}
	p.hub = live.Start(p.server, plan, before)
	p.t.Note("live: %s", p.server.URL())
	if p.server.Everywhere() {
		p.t.Note("from another machine: this one's numeric address in the place of localhost")
	}
}

// Step hands a step's line over.
func (p *liveProgress) Step(m report.Metrics) {
	p.hub.Line(m)
	p.Progress.Step(m)
}

// Epoch hands an epoch's line over.
func (p *liveProgress) Epoch(m report.Metrics) {
	p.hub.Line(m)
	p.Progress.Epoch(m)
}

// Phase says what the run is at.
func (p *liveProgress) Phase(now train.Phase) {
	if p.hub != nil {
		what := now.What
		if what == "" {
			what = "training"
		}
		p.hub.State(what)
	}
	p.Progress.Phase(now)
}

// close says how the run ended, and ends the server. It may be called twice.
func (p *liveProgress) close(ctx context.Context, err error) {
	server := p.server
	p.server = nil
	switch {
	case server == nil:
	case p.hub == nil:
		server.Close(0)
	case err == nil:
		p.hub.Close("finished")
	case ctx.Err() != nil && (errors.Is(err, train.ErrInterrupted) || errors.Is(err, ctx.Err())):
		p.hub.Close("interrupted")
	default:
		p.hub.Close("failed: " + err.Error())
	}
}
