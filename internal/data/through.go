package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// sequential is a store that can only be read in order: its files lie in something compressed. Its Read fails with a
// flaw.
type sequential interface {
	// through passes every picture of the listing once, in the source's order, the same each time; raw is good until
	// each returns, whose error ends it and is returned. It is nil where Read says why there is no file, or has it. A
	// *SourceFault says that the store failed. It is r's crew that it works in, whose ctx ends it.
	through(r *reader, each func(number int, raw []byte) error) error
}

// Sequential tells whether the source can only be read by [Source.Through].
func (s *Source) Sequential() bool {
	return isSequential(s.store)
}

// Taken is one picture on its way through a source.
type Taken struct {
	Part  Part
	Index int         // in the part's Set
	Raw   []byte      // the file, good until the next one
	Bad   *BadPicture // why there is no file; else nil
}

// Through reads every picture of the source once, leaving out the first skip. The order is the same each time: that in
// which a source that can only be read in order has them, else that of the store's numbers, which is by name in folders
// and in tars, one tar after the other. It is the order of the files and not of the parts, whose pictures may come
// mixed. Failures of the source are tried again as its patience has it, and are *SourceFaults in the end; otherwise the
// error is that of each, which ends it, or ctx's.
func (s *Source) Through(ctx context.Context, skip int, each func(Taken) error) error {
	order := s.order()
	from, only := s.store.(sequential)
	var failed error // of each
	take := func(r *reader, at place, raw []byte) error {
		set := s.Part(at.part)
		t := Taken{Part: at.part, Index: at.index, Raw: raw}
		if raw == nil {
			var err error
			if t.Raw, err = r.fetch(set.store, int(at.number), set.File(at.index)); err != nil {
				if err = set.failure(r.crew.ctx, at.index, err); !errors.As(err, &t.Bad) {
					return err
				}
			}
		}
		failed = each(t)
		return failed
	}
	err := inCrew(ctx, s.outages, func(r *reader) error {
		if only {
			return s.throughAll(r, from, order, skip, take)
		}
		for _, at := range order[min(skip, len(order)):] {
			if err := take(r, at, nil); err != nil {
				return err
			}
		}
		return nil
	})
	return cmp.Or(failed, err)
}

// inCrew runs do in a crew of one, which is left where a system call hangs when ctx ends. Errors are do's, the
// *SourceFault of a call that did not come back, and ctx's once that has ended.
func inCrew(ctx context.Context, of *outages, do func(*reader) error) error {
	var failed error
	c := newCrew(ctx, of)
	c.work(1, func(r *reader) {
		if err := do(r); !c.ended(err) && err != nil { // else r may have been left
			failed = err
			c.stop(nil)
		}
	})
	if err := c.wait(); failed == nil {
		return err
	}
	return failed
}

// throughAll is Through of a store that can only be read in order.
func (s *Source) throughAll(
	r *reader, from sequential, order []place, skip int, take func(*reader, place, []byte) error,
) error {
	seen := 0
	err := from.through(r, func(number int, raw []byte) error {
		if err := r.crew.ctx.Err(); err != nil { // r may have been left: what it unpacked since goes nowhere
			return err
		}
		i, found := slices.BinarySearchFunc(order, number, func(p place, n int) int { return int(p.number) - n })
		if !found {
			return nil // of no part
		}
		if seen++; seen <= skip {
			return nil
		}
		return take(r, order[i], raw)
	})
	if err == nil && seen != len(order) {
		return &SourceFault{
			Path: s.Path, Changed: true,
			Err: fmt.Errorf("it holds %d pictures, and %d were listed", seen, len(order)),
		}
	}
	return err
}

// place is where a picture of the source is.
type place struct {
	number int32 // in the store
	part   Part
	index  int // in the part's set
}

// order is all pictures of the source by the store's numbers.
func (s *Source) order() []place {
	all := make([]place, 0, s.Train.Len()+s.Val.Len()+s.Test.Len())
	for _, part := range []Part{TrainPart, ValPart, TestPart} {
		for i, r := range s.Part(part).records {
			all = append(all, place{r.Number, part, i})
		}
	}
	slices.SortFunc(all, func(a, b place) int { return int(a.number) - int(b.number) })
	return all
}

// Identity is a hash of the names, classes, parts, sizes and times of all pictures, as far as the store can tell them
// without reading the pictures: another, if one came, went or was written to. The bytes are those of all files of a
// part; of a picture that is no file, or whose store does not know, none. Failures of the source are tried again as its
// patience has it. Errors are *SourceFaults, also of a tar or an archive that changed since it was opened, and ctx's.
func (s *Source) Identity(ctx context.Context, workers int) (id string, bytes map[Part]int64, err error) {
	h, bytes := sha256.New(), map[Part]int64{}
	for _, class := range s.Classes {
		_, _ = fmt.Fprintf(h, "%q\n", class)
	}
	known, timed := s.store.(stamped)
	for _, part := range []Part{TrainPart, ValPart, TestPart} {
		set := s.Part(part)
		stamps := make([]stamp, set.Len())
		if timed {
			if stamps, err = set.knownStamps(ctx, known, workers); err != nil {
				return "", nil, err
			}
		}
		_, _ = fmt.Fprintf(h, "%s %d\n", part, set.Len())
		for i, r := range set.records {
			_, _ = fmt.Fprintf(h, "%d %q %d %d\n", r.Label, r.Name, stamps[i].size, stamps[i].time)
			bytes[part] += max(0, stamps[i].size)
		}
	}
	err = inCrew(ctx, s.outages, func(r *reader) error { return r.changed(s.store) }) // or stamps are of what it was
	if err != nil {
		return "", nil, err
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), bytes, nil
}

// knownStamps looks at all files of a set. What the store does not know of one is left out.
func (s *Set) knownStamps(ctx context.Context, store stamped, workers int) ([]stamp, error) {
	each := func(r *reader, of *Record) (stamp, bool) {
		st, err := persist(r, of.Name, func() (stamp, error) {
			st, err := store.stamp(int(of.Number))
			if err != nil && !errors.Is(err, errors.ErrUnsupported) {
				err = &SourceFault{Path: s.outages.path, Err: reason(err)}
			}
			return st, err
		})
		return st, !r.crew.ended(err)
	}
	all, _, err := s.stamps(ctx, s.Len(), func(k int) int { return k }, workers, each)
	return all, err
}

// stamps looks at n files of a set, the k-th of which is that of picture which(k), with so many workers. They end where
// look does not go on; whole tells that none did not. Errors are a *SourceFault that look told the crew of, and ctx's.
func (s *Set) stamps(
	ctx context.Context, n int, which func(k int) int, workers int, look func(*reader, *Record) (stamp, bool),
) (all []stamp, whole bool, err error) {
	all = make([]stamp, n)
	var next atomic.Int64
	var ended atomic.Bool
	c := newCrew(ctx, s.outages)
	c.work(min(WorkerCount(workers), n), func(r *reader) {
		for k := int(next.Add(1)) - 1; k < n && !ended.Load(); k = int(next.Add(1)) - 1 {
			st, more := look(r, &s.records[which(k)])
			if c.ended(nil) {
				return
			}
			if all[k] = st; !more {
				ended.Store(true)
			}
		}
	})
	err = c.wait()
	return all, !ended.Load(), err
}
