package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"alexnet/internal/train"
)

// interrupted is the cause with which the context ends at SIGINT, SIGTERM or SIGHUP.
type interrupted struct{ signal syscall.Signal }

func (e *interrupted) Error() string { return "interrupted (" + signalNames[e.signal] + ")" }

var signalNames = map[syscall.Signal]string{
	syscall.SIGINT: "SIGINT", syscall.SIGTERM: "SIGTERM", syscall.SIGHUP: "SIGHUP",
}

// watchSignals ends the context at the first SIGINT, SIGTERM or SIGHUP (the terminal was closed). At a second one the
// process says its last words and ends on the spot. What was ignored when the process began stays ignored: SIGHUP under
// nohup, and SIGINT in what a script began with &, because Ctrl-C there is meant for the script's other programs.
func watchSignals(parent context.Context, lastWords func()) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM)
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	done := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			select {
			case <-done:
				return
			case s := <-signals:
				number := s.(syscall.Signal)
				if !first {
					said := make(chan struct{})
					go func() { lastWords(); close(said) }()
					select {
					case <-said:
					case <-time.After(time.Second): // a terminal that is stopped must not hold up the end
					}
					os.Exit(exitSignal + int(number))
				}
				cancel(&interrupted{number})
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

// outliveReaders lets work go on whose notes nobody reads any more: writing to a closed pipe then is an error, and not
// the end of the process in the middle of a step.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }

// interruption tells which signal an error follows from, or 0.
func interruption(ctx context.Context, err error) syscall.Signal {
	var cause *interrupted
	if errors.As(context.Cause(ctx), &cause) && (errors.Is(err, context.Canceled) ||
		errors.Is(err, train.ErrInterrupted) || errors.As(err, &cause)) {
		return cause.signal
	}
	return 0
}
