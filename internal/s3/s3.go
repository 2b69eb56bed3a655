// Package s3 reads objects of an S3 store, s3://BUCKET/KEY, as files: a prefix that has objects below it is a folder.
// It is made for prepared sets, a few large objects that are read at random: what is asked for comes in blocks of 8 MB,
// one request each, which are kept on the disk, at most so many bytes of them, for this process and for others. A block
// is part of one version of an object, by its ETag; an object that is another one now is found out at the next request
// and is a files.ErrChanged.
//
// Requests that fail for the network's sake, or that the server puts off, are made again, with growing pauses, for some
// seconds; then the failure is the caller's to wait for. A missing object is fs.ErrNotExist. A refusal is not
// fs.ErrPermission: keys run out and are given again, and say nothing of one picture.
//
// Who asks, whom, is told by the environment that other programs have it from: AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, or ~/.aws/credentials (AWS_PROFILE), or the machine's role; AWS_REGION;
// AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL for stores other than Amazon's. Without any keys requests are not signed.
//
// The requests themselves are minio-go's. The package imports atomicfile, files and text, and nothing else of the
// program.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"alexnet/internal/files"
)

// Options say where blocks are kept.
type Options struct {
	FS    files.FS
	Dir   string // made when it is needed
	Bytes int64  // that blocks may take; less than two: none are kept, and each reading is a request of its own
	// Warn is told, once, why blocks are not kept any more: of a full disk, say. Or nil.
	Warn func(error)
}

// Reader is a store. Many goroutines may use it and its files at once.
type Reader struct {
	ctx    context.Context // of all requests
	client *minio.Core
	host   string // to tell stores apart
	keep   *cache // nil: nothing is kept

	// blockSize, silence and firstPause, but for tests
	block          int64
	silence, first time.Duration

	saving chan struct{} // a place for each block that is saved while its reader has gone on

	mu      sync.Mutex
	flights map[string]*flight // blocks on their way, by name
	coming  []wish             // blocks that are needed soon, the next first
	fetches int                // goroutines that fetch those
}

// New makes a reader as the environment has it; nothing is asked of the store yet. The end of ctx ends its requests.
func New(ctx context.Context, o Options) (*Reader, error) {
	at := cmp.Or(os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"))
	region := cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
	if at != "" {
		region = cmp.Or(region, "us-east-1") // what others call theirs; it is part of signatures
	}
	where, err := url.Parse(cmp.Or(at, "https://s3.amazonaws.com"))
	if err != nil || where.Host == "" || (where.Scheme != "http" && where.Scheme != "https") {
		return nil, fmt.Errorf("AWS_ENDPOINT_URL is not a URL: %q", at)
	}
	transport, err := minio.DefaultTransport(where.Scheme == "https")
	if err != nil {
		return nil, err
	}
	lookup := minio.BucketLookupAuto
	if at != "" {
		lookup = minio.BucketLookupPath // NAME.localhost leads nowhere
	}
	client, err := minio.NewCore(where.Host, &minio.Options{
		Creds: keys(ctx), Secure: where.Scheme == "https", Region: region, Transport: transport, BucketLookup: lookup,
		MaxRetries: 1, // those of this package know short answers too
	})
	if err != nil {
		return nil, err
	}
	r := &Reader{
		ctx: ctx, client: client, host: where.Host, block: blockSize, silence: silence, first: firstPause,
		saving: make(chan struct{}, savers), flights: map[string]*flight{},
	}
	if o.Dir != "" {
		r.keep = &cache{fsys: o.FS, dir: o.Dir, bytes: o.Bytes, warn: o.Warn, sound: map[string]bool{}}
	}
	return r, nil
}

// roleTime is how long a machine may take to say which role it has. Most have none, and nobody answers.
const roleTime = 2 * time.Second

// keys are those of the first place that has some. The chain itself would look again at every request where none has.
func keys(ctx context.Context) *credentials.Credentials {
	places := []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}}
	if os.Getenv("AWS_EC2_METADATA_DISABLED") != "true" {
		places = append(places, &credentials.IAM{Client: &http.Client{Timeout: roleTime}})
	}
	chain := credentials.NewChainCredentials(places)
	found, err := chain.GetWithContext(&credentials.CredContext{Client: &http.Client{Timeout: roleTime}, Context: ctx})
	if err != nil || found.SignerType.IsAnonymous() {
		return credentials.NewStaticV4("", "", "")
	}
	return chain
}

// split takes a name apart. Joined to others as a path, s3://a/b is s3:/a/b.
func split(name string) (bucket, key string) {
	rest := filepath.ToSlash(name)
	if scheme := "s3:"; len(rest) >= len(scheme) && strings.EqualFold(rest[:len(scheme)], scheme) {
		rest = rest[len(scheme):]
	}
	bucket, key, _ = strings.Cut(strings.TrimPrefix(path.Clean("/"+rest), "/"), "/")
	return bucket, key
}

// info is what is known of an object, or of a folder.
type info struct {
	name   string // whole
	size   int64
	time   time.Time
	etag   string
	folder bool
}

func (i *info) Name() string       { return path.Base(i.name) }
func (i *info) Size() int64        { return i.size }
func (i *info) ModTime() time.Time { return i.time }
func (i *info) IsDir() bool        { return i.folder }
func (i *info) Sys() any           { return nil }

func (i *info) Mode() fs.FileMode {
	if i.folder {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// Open opens an object.
func (r *Reader) Open(name string) (files.File, error) {
	i, err := r.stat("open", name)
	if err != nil {
		return nil, err
	}
	if i.folder {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("is a folder")}
	}
	o := &object{r: r, was: i}
	o.bucket, o.key = split(name)
	o.version = o.hash()
	return o, nil
}

// Stat looks at an object, or at a folder.
func (r *Reader) Stat(name string) (fs.FileInfo, error) {
	i, err := r.stat("stat", name)
	if err != nil {
		return nil, err
	}
	return i, nil
}

// Lstat is Stat: there are no links.
func (r *Reader) Lstat(name string) (fs.FileInfo, error) { return r.Stat(name) }

// Readlink fails.
func (r *Reader) Readlink(name string) (string, error) {
	return "", &fs.PathError{Op: "readlink", Path: name, Err: errors.ErrUnsupported}
}

// SameFile tells whether two infos are of the same object in the same version, or of one folder.
func (r *Reader) SameFile(a, b fs.FileInfo) bool {
	x, isX := a.(*info)
	y, isY := b.(*info)
	return isX && isY && x.name == y.name && x.etag == y.etag
}

func (r *Reader) stat(op, name string) (i *info, err error) {
	bucket, key := split(name)
	if key != "" {
		i, err = r.head(op, name)
	} else {
		err = fs.ErrNotExist
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return i, err
	}
	some, err := r.list(op, name, 1)
	if err != nil {
		return nil, err
	}
	if len(some) == 0 {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return &info{name: path.Join(bucket, key), folder: true}, nil
}

// head asks for an object.
func (r *Reader) head(op, name string) (*info, error) {
	bucket, key := split(name)
	var of minio.ObjectInfo
	err := r.again(op, name, func(ctx context.Context, _ func()) (err error) {
		of, err = r.client.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
		return err
	})
	if err != nil {
		return nil, err
	}
	return infoOf(path.Join(bucket, key), &of), nil
}

func infoOf(name string, of *minio.ObjectInfo) *info {
	return &info{name: name, size: max(of.Size, 0), time: of.LastModified, etag: of.ETag}
}

// list gives what lies in a folder, most entries of it at most (0: all), sorted by name.
func (r *Reader) list(op, name string, most int) (all []*info, err error) {
	bucket, key := split(name)
	prefix := ""
	if key != "" {
		prefix = key + "/"
	}
	err = r.again(op, name, func(ctx context.Context, came func()) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // also where the rest is not listed
		all = nil
		for of := range r.client.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix, MaxKeys: most}) {
			if of.Err != nil {
				return of.Err
			}
			came()
			rest, folder := strings.CutSuffix(strings.TrimPrefix(of.Key, prefix), "/")
			if rest == "" && most == 1 { // the folder's own mark
				all = append(all, &info{folder: true})
				return nil
			}
			if rest == "" || rest == "." || rest == ".." || strings.Contains(rest, "/") {
				continue // a file system has no such names
			}
			i := infoOf(path.Join(bucket, key, rest), &of)
			i.folder = folder
			if all = append(all, i); len(all) == most {
				return nil
			}
		}
		return ctx.Err()
	})
	slices.SortStableFunc(all, func(a, b *info) int { return strings.Compare(a.Name(), b.Name()) })
	return slices.CompactFunc(all, func(a, b *info) bool { return a.Name() == b.Name() }), err
}

// ReadDir lists the objects and folders in a folder.
func (r *Reader) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := r.list("readdir", name, 0)
	if err != nil {
		return nil, err
	}
	entries := make([]fs.DirEntry, len(all))
	for i, one := range all {
		entries[i] = fs.FileInfoToDirEntry(one)
	}
	return entries, nil
}
