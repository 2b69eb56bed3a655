package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// blockSize is what a request asks for: on a line of 100 MB/s it takes about as long as a store takes to answer at all.
const blockSize = 8 << 20

// flight is a block on its way. Who needs it meanwhile waits for done.
type flight struct {
	done chan struct{}
	raw  []byte
	err  error
}

// wish is a block that is needed soon.
type wish struct {
	of    *object
	block int64
}

// block is the name that a block is kept under.
func (o *object) block(n int64) string { return fmt.Sprintf("%s-%06d%s", o.version, n, ending) }

// hash tells this version of this object of this store from all others.
func (o *object) hash() string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%q %q %q %d %d", o.r.host, o.was.name, o.was.etag, o.was.size, o.was.time.UnixNano())
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// sizeOf is the length of a block.
func (o *object) sizeOf(n int64) int64 { return min(o.r.block, o.was.size-n*o.r.block) }

// direct tells whether no blocks are kept.
func (r *Reader) direct() bool {
	return r.keep == nil || r.keep.bytes < 2*(r.block+sumSize) || r.keep.off()
}

// read reads what lies within one block.
func (o *object) read(dst []byte, off int64) error {
	n := off / o.r.block
	name := o.block(n)
	o.r.mu.Lock()
	f := o.r.flights[name]
	o.r.mu.Unlock()
	if f == nil {
		if o.r.keep.read(name, o.sizeOf(n), dst, off%o.r.block) {
			return nil
		}
		var toSave bool
		if f, toSave = o.fetch(n, name); toSave {
			o.saveSoon(name, f)
		}
	}
	select {
	case <-f.done:
	case <-o.r.ctx.Done():
		return o.r.ctx.Err()
	}
	if f.err != nil {
		return f.err
	}
	copy(dst, f.raw[off%o.r.block:])
	return nil
}

// fetch brings a block where nobody else does yet, and returns when it is there, which is then the caller's to save, or
// could not be brought. Where somebody else does, that flight is returned, which may still be under way.
func (o *object) fetch(n int64, name string) (f *flight, toSave bool) {
	r := o.r
	r.mu.Lock()
	if f := r.flights[name]; f != nil {
		r.mu.Unlock()
		return f, false
	}
	f = &flight{done: make(chan struct{})}
	r.flights[name] = f
	r.mu.Unlock()
	f.raw = make([]byte, o.sizeOf(n))
	f.err = o.get(f.raw, n*o.r.block)
	if f.err != nil { // the next one tries again
		r.land(name)
	}
	close(f.done)
	return f, f.err == nil
}

// land ends a flight.
func (r *Reader) land(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.flights, name)
}

// save keeps a block that was fetched. Until then whoever needs it has it from its flight.
func (r *Reader) save(name string, f *flight) {
	r.keep.write(name, f.raw)
	r.land(name)
}

// saveSoon is save, and does not wait for it: a disk may take as long to make a block durable as the network took to
// bring it. Where it cannot keep up the caller waits after all, or blocks would fill the memory. Close waits for what
// is under way.
func (o *object) saveSoon(name string, f *flight) {
	r := o.r
	select {
	case r.saving <- struct{}{}:
		o.saves.Go(func() {
			r.save(name, f)
			<-r.saving
		})
	default:
		r.save(name, f)
	}
}

const (
	// savers is how many blocks are saved at once that somebody has read already.
	savers = 4
	// fetchers is how many blocks that are needed soon are fetched at once; 64 MB/s each is much for one connection.
	fetchers = 4
	// wishes is how many wait for that: 16 shards of 128 MB are 256.
	wishes = 1024
)

// WillNeed fetches what is read soon, if it is not kept yet, and does not wait for it.
func (o *object) WillNeed(off, size int64) {
	r := o.r
	if r.direct() || off < 0 || size <= 0 || off >= o.was.size {
		return
	}
	for n := off / o.r.block; n <= (min(off+size, o.was.size)-1)/r.block; n++ {
		name := o.block(n)
		w := wish{o, n}
		r.mu.Lock()
		if r.flights[name] == nil && !r.keep.has(name) && len(r.coming) < wishes && !slices.Contains(r.coming, w) {
			r.coming = append(r.coming, w)
			if r.fetches < fetchers {
				r.fetches++
				go r.fetchComing()
			}
		}
		r.mu.Unlock()
	}
}

// fetchComing fetches what is needed soon until there is nothing more. What fails is met again by who reads it.
func (r *Reader) fetchComing() {
	for {
		r.mu.Lock()
		if len(r.coming) == 0 || r.ctx.Err() != nil {
			r.coming = nil
			r.fetches--
			r.mu.Unlock()
			return
		}
		w := r.coming[0]
		r.coming = r.coming[1:]
		r.mu.Unlock()
		if name := w.of.block(w.block); !w.of.closed.Load() && !r.keep.on(name, w.of.sizeOf(w.block)) {
			if f, toSave := w.of.fetch(w.block, name); toSave {
				r.save(name, f)
			}
		}
	}
}
