//go:build cgo && dnnl && linux

package cpu

import "sync"

// kind says what a command asks for.
type kind int

const (
	call kind = iota
	begin
	forward
	backward
	update
	fetch
	store
)

// command is one entry of a device's queue. Commands have one size and hold no closures (call is for compiling and the
// like), so that a step enqueues without allocating.
type command struct {
	kind  kind
	grad  bool // fetch, store: the gradient
	index int  // op, slot or value
	net   *Net
	data  []float32
	call  func()
}

// names are those of commands that run no op, or none that there is.
var names = [...]string{
	call: "compiling or copying", begin: "input", forward: "an op", backward: "an op", update: "update", fetch: "fetch",
	store: "store",
}

// what names the command: an op by its own name, if the program has it.
func (c *command) what() *string {
	if (c.kind == forward || c.kind == backward) && c.index >= 0 && c.index < len(c.net.prog.Ops) {
		return &c.net.prog.Ops[c.index].Base().Name
	}
	return &names[c.kind]
}

// queue feeds one worker, in order. It grows as needed, so that put never waits: a worker may itself be waiting for
// another device, whose commands the same caller has yet to enqueue.
type queue struct {
	mu               sync.Mutex
	work, progress   sync.Cond
	ring             []command
	head, length     int
	issued, finished uint64 // commands so far
	closed           bool
}

func newQueue() *queue {
	q := &queue{ring: make([]command, 256)}
	q.work.L, q.progress.L = &q.mu, &q.mu
	return q
}

// put enqueues and returns the command's number, for wait; false: the queue was closed, and nobody would run it.
func (q *queue) put(c command) (number uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return q.issued, false
	}
	if q.length == len(q.ring) {
		ring := make([]command, 2*len(q.ring))
		n := copy(ring, q.ring[q.head:])
		copy(ring[n:], q.ring[:q.head])
		q.ring, q.head = ring, 0
	}
	q.ring[(q.head+q.length)%len(q.ring)] = c
	q.length++
	q.issued++
	q.work.Signal()
	return q.issued, true
}

// take waits for the next command; false: the queue was closed and is empty.
func (q *queue) take() (command, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.length == 0 {
		if q.closed {
			return command{}, false
		}
		q.work.Wait()
	}
	c := q.ring[q.head]
	q.ring[q.head] = command{} // lets go of what it referred to
	q.head = (q.head + 1) % len(q.ring)
	q.length--
	return c, true
}

func (q *queue) finish() {
	q.mu.Lock()
	q.finished++
	q.mu.Unlock()
	q.progress.Broadcast()
}

// wait returns when the command of that number is done.
func (q *queue) wait(number uint64) {
	q.mu.Lock()
	for q.finished < number {
		q.progress.Wait()
	}
	q.mu.Unlock()
}

func (q *queue) waitAll() {
	q.mu.Lock()
	number := q.issued
	q.mu.Unlock()
	q.wait(number)
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.work.Signal()
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
