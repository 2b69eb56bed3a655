package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"alexnet/internal/train"
)

// interrupted is the cause with which the context ends at SIGINT or SIGTERM.
type interrupted struct{ signal syscall.Signal }

func (e *interrupted) Error() string { return "interrupted (" + e.signal.String() + ")" }

// untilSignal ends the context at the first SIGINT or SIGTERM; a second one ends the process on the spot.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			select {
			case <-done:
				return
			case s := <-signals:
				number := s.(syscall.Signal)
				if !first {
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

// interruption tells which signal an error follows from, or 0.
func interruption(ctx context.Context, err error) syscall.Signal {
	var cause *interrupted
	if errors.As(context.Cause(ctx), &cause) && (errors.Is(err, context.Canceled) || errors.Is(err, train.ErrInterrupted) || errors.As(err, &cause)) {
		return cause.signal
	}
	return 0
}
