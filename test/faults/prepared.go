package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"alexnet/internal/data"
	"alexnet/internal/files"
)

// preparing kills data prepare and lets it go on.
var preparing = row{
	name: "prepare", short: 12, long: 200, deadline: 5 * time.Minute,
	fault: "kill -9 in data prepare, half of them as its shards were written to, a quarter while its state was being " +
		"written; the same command again",
	how: "one to three kills, as a shard has grown, as the state's temporary file appears or at a random time, a " +
		"third with ulimit -n 64; survived: every file of the set is that of an undisturbed one, byte for byte, and " +
		"nothing else is left",
	open: func(ctx context.Context, s *setup) (caseFunc, error) {
		l, err := openShapes(ctx, s, 90, 20)
		if err != nil {
			return nil, err
		}
		whole := filepath.Join(s.dir, "whole")
		if err := l.must(ctx, s.dir, l.prepare(whole)...); err != nil {
			return nil, err
		}
		want, err := filesOf(whole)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, c *testCase) error { return l.killedPreparing(ctx, c, want) }, nil
	},
}

// prepare is the command line of the set that is made.
func (l *lab) prepare(out string) []string {
	return []string{"data", "prepare", l.shapes, out, "--resize", "15", "--shards", "40"}
}

// filesOf are the contents of the files of a folder, by their names.
func filesOf(dir string) (map[string][]byte, error) {
	items, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, item := range items {
		if all[item.Name()], err = os.ReadFile(filepath.Join(dir, item.Name())); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (l *lab) killedPreparing(ctx context.Context, c *testCase, want map[string][]byte) error {
	dir, err := c.folder()
	if err != nil {
		return err
	}
	out := filepath.Join(dir, "out")
	command := l.prepare(out)
	if c.number%3 == 2 { // few files may be open
		command = append([]string{"-c", `ulimit -n 64; exec "$0" "$@"`, l.alexnet}, command...)
		l = &lab{alexnet: "/bin/sh"}
	}
	partial := out + ".partial"
	for range 1 + c.rand.IntN(3) {
		for killed := false; !killed; {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			p, err := l.start(ctx, dir, nil, command...)
			if err != nil {
				return err
			}
			switch c.number % 4 {
			case 0, 2:
				p.until(often(1+c.rand.IntN(20), growth(partial)))
			case 1:
				temporary := filepath.Join(partial, ".state.tmp")
				p.until(often(1+c.rand.IntN(6), func() bool { return isThere(temporary) }))
			default:
				p.within(time.Duration(20+c.rand.IntN(400)) * time.Millisecond)
			}
			if err := p.signal(syscall.SIGKILL); err != nil {
				return err
			}
			switch code := p.wait(); code {
			case 128 + int(syscall.SIGKILL):
				killed = true
			case 0: // it was quicker
				if err := os.RemoveAll(out); err != nil {
					return err
				}
			default:
				return p.failed("ended by itself")
			}
		}
	}
	if err := l.must(ctx, dir, command...); err != nil {
		return err
	}
	got, err := filesOf(out)
	if err != nil {
		return err
	}
	for name, raw := range want {
		if !bytes.Equal(raw, got[name]) {
			return fmt.Errorf("%s differs from the undisturbed one", name)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || len(got) != len(want) {
		return fmt.Errorf("%d files, want %d; beside them %v (%w)", len(got), len(want), left, orNothing(err))
	}
	return nil
}

// often tells whether something has become true so often.
func often(n int, is func() bool) func() bool {
	was := false
	return func() bool {
		now := is()
		if now && !was {
			n--
		}
		was = now
		return now && n <= 0
	}
}

// growth tells at each call whether a shard of a set that is made in a folder has grown since the one before: pictures
// are being written.
func growth(partial string) func() bool {
	before := int64(-1)
	return func() bool {
		names, _ := filepath.Glob(filepath.Join(partial, "set", "*.tar")) // fails for bad patterns only
		all := int64(0)
		for _, name := range names {
			if info, err := os.Stat(name); err == nil {
				all += info.Size()
			}
		}
		grown := before >= 0 && all > before
		before = all
		return grown
	}
}

// shardFlips and indexFlips spoil a file of a prepared set.
var (
	shardFlips = row{
		name: "shards", short: 600, long: 5_000,
		fault: "a shard of a prepared set with bits flipped, bytes zeroed, missing, added, or from another shard",
		how: "every picture of the set is read; survived: each is what it was, or an error that names the shard; " +
			"none is another picture or of another class",
		open: func(ctx context.Context, s *setup) (caseFunc, error) {
			return openSpoiltSet(ctx, s, func(name string) bool { return strings.HasSuffix(name, ".tar") }, false)
		},
	}
	indexFlips = row{
		name: "index", short: 600, long: 5_000,
		fault: "the index of a prepared set, or a file beside it, spoilt in the same ways",
		how: "the set is opened and every picture read; survived: refused, with the file named; statistics that are " +
			"spoilt are not used",
		open: func(ctx context.Context, s *setup) (caseFunc, error) {
			return openSpoiltSet(ctx, s, func(name string) bool { return !strings.HasSuffix(name, ".tar") }, true)
		},
	}
)

// setPicture is a picture of a set.
type setPicture struct {
	name  string
	class string
	raw   []byte
}

// openSpoiltSet makes a set and spoils one of its files in each case; refused says that the set must not open then.
func openSpoiltSet(ctx context.Context, s *setup, which func(string) bool, refused bool) (caseFunc, error) {
	l, err := openShapes(ctx, s, 6, 2)
	if err != nil {
		return nil, err
	}
	set := filepath.Join(s.dir, "set")
	if err := l.must(ctx, s.dir, "data", "prepare", l.shapes, set, "--resize", "15", "--shards", "4"); err != nil {
		return nil, err
	}
	want, err := readSet(ctx, set)
	if err != nil {
		return nil, err
	}
	all, err := filesOf(set)
	if err != nil {
		return nil, err
	}
	var names []string
	for name, raw := range all {
		if which(name) && len(raw) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return func(ctx context.Context, c *testCase) error {
		dir, err := c.folder()
		if err != nil {
			return err
		}
		name := names[c.rand.IntN(len(names))]
		for other := range all {
			if other == name {
				continue
			}
			if err := os.Link(filepath.Join(set, other), filepath.Join(dir, other)); err != nil {
				return err
			}
		}
		spoilt := spoil(c.rand, all[name], all[names[c.rand.IntN(len(names))]])
		if err := os.WriteFile(filepath.Join(dir, name), spoilt, 0o666); err != nil {
			return err
		}
		got, err := readSet(ctx, dir)
		if err != nil || name == "statistics.safetensors" {
			return named(err, name)
		}
		if refused {
			return fmt.Errorf("%s is spoilt, and nobody noticed", name)
		}
		for i := range want {
			if got[i].name != want[i].name || got[i].class != want[i].class ||
				got[i].raw != nil && !bytes.Equal(got[i].raw, want[i].raw) {
				return fmt.Errorf("%s is spoilt, and %s is another picture", name, want[i].name)
			}
		}
		return nil
	}, nil
}

// named holds an error to what a set's errors are.
func named(err error, file string) error {
	var source *data.SourceError
	var bad *data.BadPicture
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &source) && !errors.As(err, &bad):
		return fmt.Errorf("not an error of data: %w", err)
	case !strings.Contains(err.Error(), file) && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is not named: %w", file, err)
	}
	return nil
}

// readSet reads every picture of a set; one that is damaged has no bytes. A set whose index is not recognised any more
// is a folder of tars, which is not what is looked at here: it counts as refused.
func readSet(ctx context.Context, dir string) ([]setPicture, error) {
	src, err := data.Open(ctx, files.OS, data.At(dir), 0, 0)
	if err != nil {
		return nil, err
	}
	defer src.Close() //nolint:errcheck // only read
	var all []setPicture
	for _, part := range []*data.Set{src.Train, src.Val, src.Test} {
		for i := range part.Len() {
			p := setPicture{name: part.Name(i), class: src.Classes[part.Label(i)]}
			var bad *data.BadPicture
			if p.raw, err = part.Read(ctx, i, nil); err != nil && !errors.As(err, &bad) {
				return nil, err
			}
			if bad != nil {
				if !strings.Contains(bad.Error(), ".tar") {
					return nil, fmt.Errorf("no shard is named: %w", bad)
				}
				p.raw = nil
			}
			all = append(all, p)
		}
	}
	return all, nil
}
