package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == childWord {
		os.Exit(child(os.Args[2:]))
	}
	ctx := interruptible()
	switch err := run(ctx, os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "faults:", err)
		code := 1
		var by *bySignal
		if errors.As(context.Cause(ctx), &by) {
			code = 128 + int(by.signal)
		}
		os.Exit(code)
	}
}

// bySignal is why a campaign ended early.
type bySignal struct{ signal syscall.Signal }

func (e *bySignal) Error() string { return "interrupted by " + e.signal.String() }

// interruptible is a context that ends at SIGINT, SIGTERM and SIGHUP. Those that were ignored when the campaign began
// (under nohup) are caught and do nothing, because a process that is started inherits what is ignored, and the program
// under test would be deaf to them.
func interruptible() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	all := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}
	ignored := map[os.Signal]bool{}
	for _, s := range all {
		ignored[s] = signal.Ignored(s)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, all...)
	go func() {
		for s := range signals {
			if !ignored[s] {
				cancel(&bySignal{s.(syscall.Signal)})
			}
		}
	}()
	return ctx
}

// options are what the command line says.
type options struct {
	alexnet  string
	seed     uint64
	long     bool
	only     string // rows, separated by commas
	number   int    // one case; -1: all
	jobs     int
	limit    time.Duration
	build    string
	write    string
	anew     bool
	keepGood bool
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("faults", flag.ContinueOnError)
	f.StringVar(&o.alexnet, "alexnet", "bin/alexnet", "the program under test")
	f.Uint64Var(&o.seed, "seed", 1, "of everything random")
	f.BoolVar(&o.long, "long", false, "many more cases, kept in the build folder and resumed there")
	f.StringVar(&o.only, "row", "", "only these rows, separated by commas")
	f.IntVar(&o.number, "case", -1, "only this case of the row")
	f.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "cases at once")
	f.DurationVar(&o.limit, "limit", 0, "begin no case after this time; what was not reached is skipped")
	f.StringVar(&o.build, "build", "build/faults", "where folders and progress are kept")
	f.StringVar(&o.write, "write", "", "write the table into this page, between its two marks")
	f.BoolVar(&o.anew, "anew", false, "with -long: neither go on with the progress that is kept nor keep any")
	f.BoolVar(&o.keepGood, "keep", false, "keep the folders of cases that survived too")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("%q is not understood", f.Arg(0))
	case o.number >= 0 && (o.only == "" || strings.Contains(o.only, ",")):
		err = errors.New("-case goes with one -row")
	case o.write != "" && (o.only != "" || o.number >= 0):
		err = errors.New("-write writes every row: it goes without -row and -case")
	case o.jobs < 1:
		err = errors.New("-jobs is at least 1")
	}
	return o, err
}

func run(ctx context.Context, args []string) error {
	// The fuzz row builds tests, and where go keeps what it built follows from the cache folder.
	if cache, err := os.UserCacheDir(); err == nil && os.Getenv("GOCACHE") == "" {
		if err := os.Setenv("GOCACHE", filepath.Join(cache, "go-build")); err != nil {
			return err
		}
	}
	// no cache folder, whose path would be absolute: the user's stays as it is, and each run looks at its pictures
	if err := os.Setenv("XDG_CACHE_HOME", "none"); err != nil {
		return err
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	table := rows()
	if o.only != "" {
		if table, err = choose(table, strings.Split(o.only, ",")); err != nil {
			return err
		}
	}
	c, err := newCampaign(o, table)
	if err != nil {
		return err
	}
	if err := c.run(ctx); err != nil {
		if ctx.Err() != nil {
			_ = c.verdict() // the line of what was done; that it was not all is the thing to tell
		}
		return err
	}
	if o.write != "" {
		if err := writeTable(o.write, c); err != nil {
			return err
		}
	}
	return c.verdict()
}

// choose returns the named rows.
func choose(table []row, names []string) (chosen []row, err error) {
	for _, name := range names {
		i := slices.IndexFunc(table, func(r row) bool { return r.name == name })
		if i < 0 {
			var all []string
			for _, r := range table {
				all = append(all, r.name)
			}
			return nil, fmt.Errorf("no row %q; there are %s", name, strings.Join(all, ", "))
		}
		chosen = append(chosen, table[i])
	}
	return chosen, nil
}

// absolute is the program's path, which must be there.
func absolute(name string) (string, error) {
	path, err := filepath.Abs(name)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", fmt.Errorf("%w (make build)", err)
	}
	return path, nil
}
