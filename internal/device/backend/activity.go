package backend

import "sync/atomic"

// Activity is what a device tells of its work as it goes, to whoever asks from another goroutine: see device.Observed.
type Activity struct {
	done atomic.Uint64
	at   atomic.Pointer[string]
	back atomic.Bool
}

// Begin notes what the device is at now. The text must stay as it is; a step allocates nothing.
func (p *Activity) Begin(what *string, backward bool) {
	p.back.Store(backward)
	p.at.Store(what)
}

// End notes that it is done.
func (p *Activity) End() {
	p.at.Store(nil)
	p.done.Add(1)
}

// Progress counts what is done so far, and names what the device is at: "conv2", "gradient of conv2"; empty: nothing.
func (p *Activity) Progress() (done uint64, at string) {
	done = p.done.Load()
	if what := p.at.Load(); what != nil {
		if at = *what; p.back.Load() {
			at = "gradient of " + at
		}
	}
	return done, at
}
