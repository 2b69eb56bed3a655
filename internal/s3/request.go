package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"alexnet/internal/files"
	"alexnet/internal/text"
)

const (
	// tries is how often a request is made, with pauses of 0.2, 0.4, 0.8 and 1.6 s between: what takes longer is told.
	tries      = 5
	firstPause = 200 * time.Millisecond
	// silence is how long nothing may come before a connection counts as cut.
	silence = 30 * time.Second
)

// refusal is an answer other than what was asked for.
type refusal struct {
	status        int
	code, message string
}

func (f *refusal) Error() string {
	s := fmt.Sprintf("the server answers %d", f.status)
	if f.code != "" {
		s += " " + text.Name(f.code)
	}
	if f.message != "" {
		s += ": " + text.Name(f.message)
	}
	return s
}

// longMessage is how much of a server's words is told, in bytes.
const longMessage = 200

// meaning is an error in the words of this package, and whether the next try may bring something else.
func meaning(err error) (told error, again bool) {
	var of minio.ErrorResponse
	if !errors.As(err, &of) || of.StatusCode == 0 && of.Code == "" { // of the network
		if of := (*url.Error)(nil); errors.As(err, &of) {
			err = of.Err
		}
		return err, true
	}
	switch {
	case of.StatusCode == http.StatusNotFound || of.Code == minio.NoSuchKey || of.Code == minio.NoSuchBucket:
		return fs.ErrNotExist, false
	case of.StatusCode == http.StatusPreconditionFailed, of.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return files.ErrChanged, false
	}
	f := &refusal{of.StatusCode, of.Code, of.Message[:min(longMessage, len(of.Message))]}
	return f, of.StatusCode >= 500 || of.StatusCode == http.StatusTooManyRequests || of.StatusCode == 0
}

// request is one try. It ends with ctx, and calls came when anything comes.
type request func(ctx context.Context, came func()) error

// once makes a request, which ends where nothing comes.
func (r *Reader) once(ask request) error {
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	clock := time.AfterFunc(r.silence, func() { cancel(errSilent) })
	defer clock.Stop()
	err := ask(ctx, func() { clock.Reset(r.silence) })
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return err
}

var errSilent = fmt.Errorf("nothing came for %v", silence)

// again makes a request until it goes through, for some seconds.
func (r *Reader) again(op, name string, ask request) error {
	pause := r.first
	for n := 1; ; n++ {
		err := r.once(ask)
		if err == nil {
			return nil
		}
		if ended := r.ctx.Err(); ended != nil {
			return ended
		}
		told, again := meaning(err)
		if !again || n == tries {
			return &fs.PathError{Op: op, Path: name, Err: told}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-r.ctx.Done():
			timer.Stop()
			return r.ctx.Err()
		}
		pause *= 2
	}
}

// get reads len(dst) bytes of the object at off, all of them within it, in one request.
func (o *object) get(dst []byte, off int64) error {
	err := o.r.again("read", o.Name(), func(ctx context.Context, came func()) error {
		return o.request(ctx, dst, off, came)
	})
	o.doubtful.Store(err != nil)
	return err
}

func (o *object) request(ctx context.Context, dst []byte, off int64, came func()) error {
	var opts minio.GetObjectOptions
	if err := opts.SetRange(off, off+int64(len(dst))-1); err != nil {
		return err
	}
	if o.was.etag != "" {
		if err := opts.SetMatchETag(o.was.etag); err != nil {
			return err
		}
	}
	body, of, header, err := o.r.client.GetObject(ctx, o.bucket, o.key, opts)
	if err != nil {
		return err
	}
	defer body.Close() //nolint:errcheck // only read
	// not every server knows If-Match
	if of.ETag != o.was.etag || whole(header) >= 0 && whole(header) != o.was.size {
		return minio.ErrorResponse{StatusCode: http.StatusPreconditionFailed}
	}
	for n := 0; n < len(dst); {
		k, err := body.Read(dst[n:])
		if n += k; n == len(dst) {
			break
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("the answer ends after %d of %d bytes", n, len(dst))
		}
		if err != nil {
			return err
		}
		came()
	}
	return nil
}

// whole is the size of the object that an answer is a range of, or -1.
func whole(h http.Header) int64 {
	_, size, found := strings.Cut(h.Get("Content-Range"), "/")
	var n int64
	if _, err := fmt.Sscan(size, &n); !found || err != nil {
		return -1
	}
	return n
}
