package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
)

// state is what is known of the bytes that are there already.
type state struct {
	URL string `json:"url"`
	// Validator is the server's name for what it sends: a strong entity tag, or the time of its last change. With it a
	// server sends the rest of that, or all of something else (RFC 9110, 13.1.5).
	Validator string `json:"validator,omitempty"`
}

// download brings one file.
type download struct {
	set   Set
	o     Options
	path  string // of the archive
	state string
	known state
	f     files.File
	have  int64
	all   int64 // 0: not known
}

// usualPauses are those before new attempts. docs/data.md says how many.
var usualPauses = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// usualStall is how long a server may send nothing.
const usualStall = time.Minute

// run downloads until everything is there. An attempt that brought something begins the pauses anew.
func (d *download) run(ctx context.Context) (err error) {
	pauses := d.o.pauses
	if pauses == nil {
		pauses = usualPauses
	}
	if err := d.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.f.Close()) }()
	for failed := 0; ; failed++ {
		before := d.have
		done, err := d.attempt(ctx)
		var network *Unreachable
		switch {
		case done && err == nil:
			return d.f.Sync()
		case ctx.Err() != nil:
			return errors.Join(context.Cause(ctx), d.f.Sync())
		case !errors.As(err, &network):
			return err
		}
		if d.have > before {
			failed = 0
		}
		if failed == len(pauses) {
			return err
		}
		if d.o.Retry != nil {
			d.o.Retry(network, pauses[failed])
		}
		select {
		case <-time.After(pauses[failed]):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// open takes up what is there, if it is of the same address.
func (d *download) open() error {
	if page, err := files.ReadOwn(d.o.Files, d.state); err == nil {
		_ = json.Unmarshal(page, &d.known) // damaged: as if there was none
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := files.OpenOwn(d.o.Files, d.path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	d.f = f
	if d.have, err = f.Seek(0, io.SeekEnd); err != nil {
		return errors.Join(err, f.Close())
	}
	// Without a validator only a checksum tells two halves of different files apart.
	if d.known.URL != d.set.URL || d.known.Validator == "" && d.set.SHA256 == "" {
		if err := d.restart(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return nil
}

// restart forgets what is there, for good: what is noted next is of other bytes.
func (d *download) restart() error {
	d.have = 0
	if err := d.f.Truncate(0); err != nil {
		return err
	}
	_, err := d.f.Seek(0, io.SeekStart)
	return errors.Join(err, d.f.Sync())
}

// kept is how many bytes of the archive there are for another attempt.
func (d *download) kept() int64 {
	info, err := d.o.Files.Lstat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0
	case err != nil:
		return max(d.have, 1) // nothing is removed that may be of use
	}
	return info.Size()
}

// attempt asks for the rest and takes what comes.
func (d *download) attempt(ctx context.Context) (done bool, err error) {
	if d.set.Size > 0 && d.have == d.set.Size {
		return true, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := d.o.stall
	if limit == 0 {
		limit = usualStall
	}
	stalled := fmt.Errorf("the server has sent nothing for %v", limit)
	watch := time.AfterFunc(limit, func() { cancel(stalled) })
	defer watch.Stop()
	unreachable := func(err error) error {
		if cause := context.Cause(ctx); errors.Is(cause, stalled) {
			err = cause
		}
		return &Unreachable{URL: d.set.URL, Have: d.have, Err: err}
	}
	answer, err := d.ask(ctx)
	if err != nil {
		return false, unreachable(err)
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	if done, err := d.take(answer); done || err != nil {
		return done, err
	}
	if err := d.room(); err != nil {
		return false, err
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := answer.Body.Read(buf)
		watch.Reset(limit)
		if n > 0 {
			if d.all > 0 && d.have+int64(n) > d.all {
				what := fmt.Sprintf("more than the %d bytes that it announced", d.all)
				return false, &Refused{URL: d.set.URL, What: what}
			}
			if _, err := d.f.Write(buf[:n]); err != nil {
				return false, err
			}
			d.have += int64(n)
			d.o.progress(Downloading, d.have, d.all)
		}
		switch {
		case errors.Is(err, io.EOF) && (d.all == 0 || d.have == d.all):
			return true, nil
		case errors.Is(err, io.EOF):
			return false, unreachable(io.ErrUnexpectedEOF)
		case err != nil:
			return false, unreachable(err)
		}
	}
}

func (d *download) ask(ctx context.Context) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.set.URL, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept-Encoding", "identity") // the archive as it is: ranges are of these bytes
	if d.have > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.have))
		if d.known.Validator != "" {
			r.Header.Set("If-Range", d.known.Validator)
		}
	}
	return d.o.Client.Do(r)
}

var contentRange = regexp.MustCompile(`^bytes (?:([0-9]{1,18})-[0-9]{1,18}|\*)/([0-9]{1,18})$`)

// take looks at the head of an answer: what follows is the rest, or everything. done says that there is no rest.
func (d *download) take(answer *http.Response) (done bool, err error) {
	part := contentRange.FindStringSubmatch(answer.Header.Get("Content-Range"))
	switch code := answer.StatusCode; {
	case code == http.StatusPartialContent && part != nil && part[1] == strconv.FormatInt(d.have, 10):
		d.all, _ = strconv.ParseInt(part[2], 10, 64)
	case code == http.StatusRequestedRangeNotSatisfiable && part != nil && part[2] == strconv.FormatInt(d.have, 10):
		return true, nil // everything was there already
	case code == http.StatusPartialContent || code == http.StatusRequestedRangeNotSatisfiable:
		if err := d.restart(); err != nil {
			return false, err
		}
		return false, &Unreachable{URL: d.set.URL, Err: errors.New("it sends another part than it was asked for")}
	case code == http.StatusOK:
		if err := d.restart(); err != nil {
			return false, err
		}
		d.all = max(answer.ContentLength, 0)
	case code == http.StatusTooManyRequests || code == http.StatusRequestTimeout || code >= 500:
		return false, &Unreachable{URL: d.set.URL, Have: d.have, Err: errors.New(answer.Status)}
	default:
		return false, &Refused{URL: d.set.URL, What: answer.Status}
	}
	if d.set.Size > 0 && d.all > 0 && d.all != d.set.Size {
		return false, &Refused{
			URL:  d.set.URL,
			What: fmt.Sprintf("%d bytes, where %s has %d", d.all, d.set.Source, d.set.Size),
		}
	}
	return false, d.note(answer.Header)
}

// room refuses an archive that does not fit where it is to be unpacked. Where nobody knows its size, or the room, it is
// begun.
func (d *download) room() error {
	if d.all == 0 {
		return nil
	}
	need := d.all - d.have + int64(usualGrowth*float64(d.all))
	return files.Room(d.o.Files, filepath.Dir(d.path), d.o.Dir, "downloading and unpacking need", need, 0)
}

// note writes down what the bytes to come are.
func (d *download) note(h http.Header) error {
	now := state{URL: d.set.URL, Validator: h.Get("ETag")}
	if now.Validator == "" || strings.HasPrefix(now.Validator, "W/") { // a weak one is of no use in If-Range
		now.Validator = h.Get("Last-Modified")
	}
	if now == d.known {
		return nil
	}
	d.known = now
	page, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return atomicfile.Write(d.o.Files, d.state, func(f atomicfile.File) error {
		_, err := f.Write(page)
		return err
	})
}

// Unreachable says that the network or the server failed. Have bytes are there for the next attempt.
type Unreachable struct {
	URL  string
	Have int64
	Err  error
}

func (e *Unreachable) Error() string {
	err := e.Err
	if inner := errors.Unwrap(err); inner != nil && strings.Contains(err.Error(), e.URL) {
		err = inner // *url.Error says the address again
	}
	return fmt.Sprintf("cannot fetch %s: %v", e.URL, err)
}

func (e *Unreachable) Unwrap() error { return e.Err }

// Refused says that a server answered with something other than the archive.
type Refused struct{ URL, What string }

func (e *Refused) Error() string {
	return fmt.Sprintf("cannot fetch %s: the server answers %s", e.URL, e.What)
}
