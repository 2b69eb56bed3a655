package data

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"alexnet/internal/atomicfile"
	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/recipe"
	"alexnet/internal/safetensors"
	"alexnet/internal/tensor"
)

// StatsFolder is a folder that keeps the statistics of training sets, a file each, so that the next run on the same
// pictures need not go over them. What lies there only saves time: a file that is damaged, or of other pictures, counts
// as none, and anybody may delete any of it.
type StatsFolder struct {
	FS   files.FS
	Path string // made when it is needed
}

const (
	// keptFiles is how many files a folder keeps, the newest. For pictures of 256x256 one has .8 MB.
	keptFiles = 64
	// keptMean bounds what a file holds, in numbers (16 MB): pictures of 1182x1182.
	keptMean = 4 << 20
	// keptBad bounds how many unreadable pictures a set may have whose statistics are kept: they are tried again.
	keptBad = 1000
	// fresh is how long a file may be written to without getting another time, on the coarsest of file systems (FAT).
	fresh = 2 * time.Second
)

// keptForm is the first word of what is kept. Another form of files, another way of adding up: another number.
const keptForm = "alexnet statistics 1"

// kept is what a file says besides the mean, its only tensor.
type kept struct {
	Form     string        `json:"form"`
	Key      string        `json:"key"`
	Recipe   recipe.Recipe `json:"recipe"`
	Pictures int           `json:"pictures"`
	Bad      []int         `json:"bad"`  // numbers of pictures that could not be read
	JPEG     bool          `json:"jpeg"` // one was met
}

// stamp tells a file from what was there before under its name.
type stamp struct{ size, time int64 } // bytes, or -1: no file; nanoseconds

// stamped is a store that can tell whether its pictures are still the same without reading them.
type stamped interface {
	place() string // what there is to say of all of them
	stamp(i int) (stamp, error)
}

// absolute is path from the root, where that can be known.
func absolute(path string) string {
	if files.Remote(path) {
		return path
	}
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// identity names what statistics depend on: the pictures by name, size and time, the recipe as far as it matters, what
// decodes them, and the program. Empty where it cannot be told: of pictures that lie in no file, or were written just
// now. Errors are a *SourceFault, and ctx's.
func (s *Set) identity(ctx context.Context, by *recipe.Recipe, pictures []int, workers int) (string, error) {
	store, able := s.store.(stamped)
	if !able {
		return "", nil
	}
	now := time.Now()
	stamps, whole, err := s.stamps(ctx, len(pictures), func(k int) int { return pictures[k] }, workers,
		func(r *reader, of *Record) (stamp, bool) {
			st, err := ask(r, of.Name, func() (stamp, error) { return store.stamp(int(of.Number)) })
			return st, err == nil && st.time <= now.Add(-fresh).UnixNano()
		})
	if err != nil || !whole {
		return "", err
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%s\n%s\n%s\n%q\n", keptForm, program(), picture.JPEGLibrary(), upToStats(by),
		store.place())
	for k, i := range pictures {
		_, _ = fmt.Fprintf(h, "%d %q %d %d\n", i, s.records[i].Name, stamps[k].size, stamps[k].time)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// program is what was built, of what, with what: decoders are part of it.
func program() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return info.String()
}

func (f *StatsFolder) path(key string) string { return filepath.Join(f.Path, key+".safetensors") }

// load gives what is kept under a key, or nil. Pictures that could not be read are tried again, and told of: where one
// can be read now, nothing that is kept holds. Errors are a *SourceFault, and ctx's.
func (f *StatsFolder) load(ctx context.Context, key string, v *view, by recipe.Recipe, o *MeasureOptions) (
	*Stats, error,
) {
	found, err := f.read(key, by)
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // then it is computed
	}
	var good atomic.Bool
	c := newCrew(ctx, v.set.outages)
	c.work(1, func(r *reader) {
		pixels := make([]uint8, v.size())
		for _, i := range found.Bad {
			if i < 0 || i >= v.set.Len() {
				good.Store(true)
				return
			}
			err := v.load(i, pixels, r)
			var bad *BadPicture
			switch {
			case r.crew.ended(err):
				return
			case !errors.As(err, &bad):
				good.Store(true)
				return
			}
			v.set.report(i, bad, o.OnBad)
		}
	})
	if err := c.wait(); err != nil {
		return nil, err
	}
	if good.Load() {
		return nil, nil //nolint:nilnil // as documented
	}
	if found.JPEG {
		v.set.jpeg.Store(true)
	}
	by.Mean, by.MeanShape, by.Colors = found.Recipe.Mean, found.Recipe.MeanShape, found.Recipe.Colors
	return &Stats{Recipe: by, Pictures: found.Pictures, Kept: true}, nil
}

var errOther = errors.New("not what was looked for")

// read takes a file that is what it should be in every respect.
func (f *StatsFolder) read(key string, by recipe.Recipe) (*kept, error) {
	r, err := safetensors.Open(f.FS, f.path(key))
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	return readKept(r, key, by)
}

// readKept is read of an open file.
func readKept(r *safetensors.Reader, key string, by recipe.Recipe) (*kept, error) {
	k := &kept{}
	if err := json.Unmarshal([]byte(r.Meta["statistics"]), k); err != nil {
		return nil, err
	}
	if k.Form != keptForm || k.Key != key || k.Pictures < 1 || !r.Checked() || len(r.Tensors) != 1 ||
		r.Tensors[0].Len() > keptMean {
		return nil, errOther
	}
	by.Colors = k.Recipe.Colors
	k.Recipe = by
	k.Recipe.MeanShape = r.Tensors[0].Shape
	if !slices.Equal(k.Recipe.MeanShape, by.ShapeOfMean()) {
		return nil, errOther
	}
	var err error
	if k.Recipe.Mean, err = r.Tensor(0).Values(); err != nil {
		return nil, err
	}
	return k, k.Recipe.Check()
}

// save keeps statistics, and no more files than keptFiles. Statistics that are too large to be kept are no error, and
// neither is that another process is just keeping the same.
func (f *StatsFolder) save(key string, set *Set, s *Stats, bad []int) error {
	if len(s.Mean) > keptMean || len(bad) > keptBad {
		return nil
	}
	text, err := json.Marshal(kept{
		Form: keptForm, Key: key, Recipe: s.Recipe, Pictures: s.Pictures, Bad: bad, JPEG: set.MetJPEG(),
	})
	if err != nil {
		return err
	}
	if _, err := files.MkdirAll(f.FS, f.Path); err != nil {
		return err
	}
	err = safetensors.Write(f.FS, f.path(key), map[string]string{"statistics": string(text)},
		[]tensor.Tensor{tensor.Of("mean", s.MeanShape, s.Mean)})
	if errors.Is(err, files.ErrLocked) {
		return nil
	}
	if err == nil {
		f.tidy()
	}
	return err
}

// tidy removes all but the newest files, what killed writers left among them. It only saves room: nothing is said of
// what cannot be removed.
func (f *StatsFolder) tidy() {
	entries, err := f.FS.ReadDir(f.Path)
	if err != nil {
		return
	}
	var all []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && ours(info.Name()) {
			all = append(all, info)
		}
	}
	slices.SortFunc(all, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, info := range all[min(keptFiles, len(all)):] {
		_ = f.FS.Remove(filepath.Join(f.Path, info.Name()))
	}
}

// ours tells a file of a StatsFolder, or what was to become one.
func ours(name string) bool { return strings.HasSuffix(atomicfile.Final(name), ".safetensors") }
