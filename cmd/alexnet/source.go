package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/recipe"
	"alexnet/internal/s3"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// dataOption is the flag of the commands that take labelled pictures.
type dataOption struct{ at data.Place }

func (o *dataOption) addFlag(c *cobra.Command, pictures, otherwise string) {
	c.Flags().StringArrayVar(&o.at.Paths, "data", nil, "`PATH` of a folder, tar or list of "+pictures+
		", or s3://BUCKET/PREFIX; may be repeated: train.tar, then val.tar (default: "+otherwise+")")
	addLabels(c, &o.at.Labels)
}

// labelWords are what --labels takes beside a file.
var labelWords = []string{data.LabelsIndex, data.LabelsID, data.LabelsNumbers}

func addLabels(c *cobra.Command, labels *string) {
	c.Flags().StringVar(labels, "labels", "",
		"what labels are that are numbers, as `WORD`: index, ilsvrc-id or numbers; or a file of labels (default: what "+
			"is found out)")
}

// check refuses labels of no data.
func (o *dataOption) check(c *cobra.Command) error {
	if o.at.Labels != "" && !o.given() {
		return usageError(c.CommandPath()+" --help", "--labels goes with --data: it says what the labels there mean")
	}
	return nil
}

func (o *dataOption) given() bool { return len(o.at.Paths) > 0 }

// generatedSize is the side of these pictures.
const generatedSize = 32

// listPictures is data.Open, and says so where it takes long, and what was found out about labels.
func listPictures(
	ctx context.Context, at data.Place, share float64, seed uint64, cache float64, t *ui.Terminal,
) (*data.Source, error) {
	source, err := listWith(ctx, data.Open, at, share, seed, cache, t)
	if err == nil {
		noteDecided(source, t)
	}
	return source, err
}

// noteDecided says what numbered labels were found to mean.
func noteDecided(source *data.Source, t *ui.Terminal) {
	if source.Decided != "" {
		t.Note("%s", text.Escape(source.Decided))
	}
}

// opener is data.Open or data.OpenThrough.
type opener func(context.Context, files.Reader, data.Place, float64, uint64) (*data.Source, error)

// listWith lists pictures, and says so where it takes long.
func listWith(
	ctx context.Context, open opener, at data.Place, share float64, seed uint64, cache float64, t *ui.Terminal,
) (*data.Source, error) {
	fsys, err := readerFor(ctx, at, cache, t)
	if err != nil {
		return nil, err
	}
	defer t.Phase("listing the pictures").Clear()
	return open(ctx, fsys, at, share, seed)
}

// readerFor is what pictures are read through: the disk, and for paths in a store of objects that, of which cache GB
// are kept on the disk.
func readerFor(ctx context.Context, at data.Place, cache float64, t *ui.Terminal) (files.Reader, error) {
	all := append(slices.Clone(at.Paths), at.Labels) // which may be a file's
	i := slices.IndexFunc(all, files.Remote)
	if i < 0 {
		return files.OS, nil
	}
	for _, path := range all {
		if files.Remote(path) && strings.Trim(path[len("s3:"):], "/") == "" {
			return nil, usageError("give s3://BUCKET/PREFIX", "%s: names no bucket", text.Name(path))
		}
	}
	silent := files.Tolerant(files.OS, func(files.Weakness) {}) // what is lost in a power failure is fetched again
	o := s3.Options{FS: silent, Bytes: int64(cache * 1e9), Warn: func(err error) {
		t.Warn("what comes from %s is not kept (%v): each picture is a request of its own", text.Name(all[i]), err)
	}}
	if dir, err := os.UserCacheDir(); err == nil {
		o.Dir = filepath.Join(dir, "alexnet", "s3")
	}
	remote, err := s3.New(ctx, o)
	if err != nil {
		return nil, advise(exitFailed, "AWS_ENDPOINT_URL=https://HOST of the store; or unset it for Amazon's", err)
	}
	return &byScheme{files.OS, remote}, nil
}

// byScheme reads from the disk, and what has the scheme of a store from that.
type byScheme struct {
	files.Reader
	remote files.Reader
}

func (r *byScheme) of(name string) files.Reader {
	if files.Remote(name) {
		return r.remote
	}
	return r.Reader
}

// Open is that of the place.
func (r *byScheme) Open(name string) (files.File, error) { return r.of(name).Open(name) }

// Stat is that of the place.
func (r *byScheme) Stat(name string) (fs.FileInfo, error) { return r.of(name).Stat(name) }

// Lstat is that of the place.
func (r *byScheme) Lstat(name string) (fs.FileInfo, error) { return r.of(name).Lstat(name) }

// Readlink is that of the place.
func (r *byScheme) Readlink(name string) (string, error) { return r.of(name).Readlink(name) }

// ReadDir is that of the place.
func (r *byScheme) ReadDir(name string) ([]fs.DirEntry, error) { return r.of(name).ReadDir(name) }

// SameFile tells it of either.
func (r *byScheme) SameFile(a, b fs.FileInfo) bool {
	return r.Reader.SameFile(a, b) || r.remote.SameFile(a, b)
}

// keptStats is where training keeps the statistics of pictures; nil where the user has no cache folder.
func keptStats() *data.StatsFolder {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil
	}
	silent := files.Tolerant(files.OS, func(files.Weakness) {}) // what is lost in a power failure is computed again
	return &data.StatsFolder{FS: silent, Path: filepath.Join(dir, "alexnet", "mean")}
}

// openData opens the pictures to train on; without a path those that the program draws, where the net is of a size for
// them.
func openData(ctx context.Context, at data.Place, cfg *config.Config, t *ui.Terminal) (*data.Source, error) {
	if len(at.Paths) > 0 {
		source, err := listPictures(ctx, at, cfg.Data.ValShare, cfg.Train.Seed, cfg.Data.Cache, t)
		if err != nil {
			return nil, err
		}
		if err := source.Trainable(); err != nil {
			closeQuietly(source)
			return nil, err
		}
		if source.Train.Len() == 0 {
			defer closeQuietly(source)
			return nil, advise(exitNoData, "put pictures of each class into train/CLASS in it; alexnet data info "+
				dataArgs(at)+" shows what is there",
				fmt.Errorf("data %s: holds no pictures to train on", text.Name(at.String())))
		}
		if len(source.Classes) < 2 {
			defer closeQuietly(source)
			return nil, advise(exitNoData, "give data with a folder for each class, two or more",
				fmt.Errorf("data %s: holds one class (%s), and a net needs another to tell it from",
					text.Name(at.String()), text.Name(source.Classes[0])))
		}
		return source, nil
	}
	if size := cfg.Model.Input.Size; size > generatedSize {
		return nil, advise(exitNoData,
			"alexnet train --data DIR, a folder of class folders; or the demo net: alexnet train",
			fmt.Errorf("no data: this net sees %dx%d pixels, the generated pictures have %dx%[3]d", size, size,
				generatedSize))
	}
	return demo.Open(demo.Options{})
}

// reopenData opens the pictures that a checkpoint names; command is what to repeat with --data where they are gone. The
// file may be a stranger's, and the path any: what the system makes up of processes and devices is not looked at, and
// what is neither folder nor regular file is not opened. Whether they are the pictures that were trained on is for the
// caller to ask.
func reopenData(
	ctx context.Context, c *checkpoint.Checkpoint, cfg *config.Config, command string, t *ui.Terminal,
) (*data.Source, error) {
	refuse := func(path, why string) error {
		return advise(exitNoData, command+" --data DIR, where the pictures are now",
			fmt.Errorf("data %s: %s; this path comes from %s", text.Name(shortenPath(path)), why, text.Name(c.Path)))
	}
	switch c.Data.Path {
	case "":
		why := "names no data: it was never trained"
		if c.Data.Fingerprint != "" {
			why = "does not say where its data are: such paths are left out of checkpoints that are passed on"
		}
		return nil, advise(exitNoData, command+" --data DIR", fmt.Errorf("%s %s", text.Name(c.Path), why))
	case demo.Path:
		return demo.Open(demo.Options{})
	}
	at, named := data.Place{Labels: c.Data.Labels}, c.Data.Paths()
	if at.LabelsFile() {
		at.Labels, named = shortenPath(at.Labels), append(named, at.Labels)
	}
	for _, path := range named {
		if madeUp(path) {
			return nil, refuse(path, "is not a place for pictures")
		}
	}
	for _, path := range c.Data.Paths() {
		at.Paths = append(at.Paths, shortenPath(path))
	}
	source, err := listPictures(ctx, at, cfg.Data.ValShare, cfg.Train.Seed, cfg.Data.Cache, t)
	var gone *data.SourceError
	if errors.As(err, &gone) {
		return nil, refuse(gone.Path, gone.Why())
	}
	return source, err
}

// asTrained opens pictures that were given: with the checkpoint's labels where no others were, if these pictures take
// them. It gives the place as it was opened. The file may be a stranger's: of a path in it only a regular file is read.
func asTrained(
	at data.Place, c *checkpoint.Checkpoint, open func(data.Place) (*data.Source, error),
) (*data.Source, data.Place, error) {
	like := at
	if like.Labels == "" {
		like.Labels = c.Data.Labels
	}
	if at.Labels == "" && like.LabelsFile() {
		like.Labels = shortenPath(like.Labels)
		if info, err := os.Stat(like.Labels); err != nil || !info.Mode().IsRegular() || madeUp(like.Labels) {
			like.Labels = ""
		}
	}
	source, err := open(like)
	if errors.As(err, new(*data.SourceError)) && like.Labels != at.Labels {
		like = at // others perhaps, whose labels mean something else
		source, err = open(like)
	}
	return source, like, err
}

// noteMade warns where the very pictures of a checkpoint, by their names and classes, were prepared in another way.
func noteMade(source *data.Source, c *checkpoint.Checkpoint, t *ui.Terminal) {
	if c.Data.Set != "" && source.Fingerprint == c.Data.Fingerprint && source.Made() != c.Data.Set {
		t.Warn("the pictures in %s are those that were trained on, but prepared otherwise since (alexnet data prepare)",
			text.Name(source.Path))
	}
}

// noteFit tells where pictures were made square, or resized, in another way when the set was prepared than a recipe has
// it. They are used as they are: what was cut off or averaged is lost.
func noteFit(source *data.Source, by *recipe.Recipe, t *ui.Terminal) {
	made, resized := source.Squared()
	wanted, resize := cmp.Or(by.Fit, config.CropFit), cmp.Or(by.Interpolation, config.Antialiased)
	if made == "" || by.Resize == 0 || made == wanted && resized == resize {
		return
	}
	t.Note("the pictures in %s were made square by %s, %s, when they were prepared, and are used so; the net's are by "+
		"%s, %s", text.Name(source.Path), made, resized, wanted, resize)
}

// madeUp tells a path that leads to everything, or to what the system makes up: to list it never ends, and to read it
// may wait for ever or do something.
func madeUp(path string) bool {
	if files.Remote(path) {
		return false
	}
	if whole, err := filepath.Abs(path); err == nil { // cleaned; ../../proc is /proc too
		path = whole
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	for _, root := range []string{"/proc", "/sys", "/dev"} {
		if path == root || strings.HasPrefix(path, root+"/") {
			return true
		}
	}
	return path == filepath.Dir(path)
}

// trainedData is reopenData of the very pictures that were trained on: where a file chooses what is read, its
// fingerprint must agree.
func trainedData(
	ctx context.Context, c *checkpoint.Checkpoint, cfg *config.Config, command string, t *ui.Terminal,
) (*data.Source, error) {
	source, err := reopenData(ctx, c, cfg, command, t)
	if err != nil || source.Kind == data.Generated || source.Fingerprint == c.Data.Fingerprint {
		return source, err
	}
	closeQuietly(source)
	return nil, advise(exitNoData, command+" --data DIR, these pictures or others",
		fmt.Errorf("data %s: not the pictures that the net was trained on: some came, went or changed sides since; "+
			"this path comes from %s", text.Name(source.Path), text.Name(c.Path)))
}

// noter takes what is to be said meanwhile: a Terminal, or a Progress.
type noter interface {
	Note(format string, args ...any)
}

// patience is how long data that goes away is waited for, said through n.
func patience(retry time.Duration, n noter) data.Patience {
	return data.Patience{Retry: retry, Tell: func(o data.Outage) { n.Note("%v", o) }}
}

// patienceOf is patience for as long as the checkpoint's own page says.
func patienceOf(c *checkpoint.Checkpoint, n noter) data.Patience {
	retry := config.DataRetry
	if cfg, err := config.Parse(c.Config, nil); err == nil { // not all files have a page
		retry = cfg.Data.Retry
	}
	return patience(retry, n)
}

// shortenPath is path as it is seen from the working folder, where it lies in it.
func shortenPath(path string) string {
	dir, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
		return path
	}
	if near, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(near) {
		return near
	}
	return path
}

// dataLine says what there is to train on, and where validation comes from.
func dataLine(source *data.Source, share float64) string {
	val := "no pictures for validation"
	switch {
	case source.Split:
		val = fmt.Sprintf("%s held out for validation (data.val_share %g)", text.Grouped(int64(source.Val.Len())),
			share)
	case source.Val.Len() > 0:
		val = text.Grouped(int64(source.Val.Len())) + " for validation"
		if folder, _, inside := strings.Cut(source.Val.Name(0), "/"); inside && source.Kind != data.Generated {
			val += " in " + text.Name(folder) + "/"
		}
	}
	return fmt.Sprintf("data: %s (%s), %s to train on, %s", text.Classes(len(source.Classes)),
		text.Examples(shown(source.Classes)), text.Count(source.Train.Len(), "picture"), val)
}

// noteRest says on standard error what of the data is not trained on.
func noteRest(source *data.Source, t *ui.Terminal) {
	if n := source.Test.Len(); n > 0 {
		t.Note("not trained or chosen on: %s for the last measurement, alexnet eval --part test",
			text.Count(n, "picture"))
	}
	noteUnused(source, t)
	if missing := source.Missing(source.Val); source.Val.Len() > 0 && len(missing) > 0 {
		t.Warn("there are no validation pictures of %s (%s)", text.Classes(len(missing)), text.Examples(shown(missing)))
	}
}

// fewPictures is how many of each class are too few for a net of the paper's size.
const fewPictures = 100

// unsuitedTo tells where the pictures to train on are few, or smaller than what the net sees; nil where they suit it.
// They do where the net is small itself.
func unsuitedTo(ctx context.Context, cfg *config.Config, source *data.Source) *unsuited {
	small, err := config.Load(smallPage, nil)
	if err != nil || cfg.Model.Input.Size <= small.Data.Resize {
		return nil
	}
	u := &unsuited{data: source.Place, size: cfg.Data.Resize}
	if n := source.Train.Len() / len(source.Classes); n < fewPictures {
		u.few = n
	}
	if side := source.Train.Side(ctx); side < cfg.Model.Input.Size && cfg.Data.Resize > 0 {
		u.side = side
	}
	if u.few == 0 && u.side == 0 {
		return nil
	}
	return u
}

// noteUnused says what was found among the pictures and is in no part.
func noteUnused(source *data.Source, t *ui.Terminal) {
	for _, u := range source.Unused {
		t.Warn("not used: %v", u)
	}
}

// evalData chooses the pictures to evaluate on, and says on standard error which they are. part names some; "" takes
// those for validation, those for test where there is nothing else, or else all.
func evalData(
	ctx context.Context, at data.Place, part data.Part, c *checkpoint.Checkpoint, t *ui.Terminal,
) (*data.Source, *data.Set, error) {
	cfg, err := c.Page(nil)
	if err != nil {
		return nil, nil, err
	}
	var source *data.Source
	given := len(at.Paths) > 0
	if !given {
		source, err = trainedData(ctx, c, cfg, "alexnet eval --weights "+text.ShellPath(c.Path), t)
	} else {
		source, err = givenData(ctx, at, part == "", c, cfg, t)
	}
	if err != nil {
		return nil, nil, err
	}
	noteMade(source, c, t)
	noteFit(source, &c.Recipe, t)
	trained := source.Fingerprint == c.Data.Fingerprint
	if !given && !trained { // generated: others need --data
		t.Warn("the pictures in %s have changed since the training; some of these may have been trained on",
			text.Name(source.Path))
	}
	set, what := choosePart(source, part, trained, t)
	if set.Len() == 0 {
		defer closeQuietly(source)
		lacks := fmt.Errorf("%s holds no pictures", text.Name(source.Path))
		if part != "" {
			lacks = fmt.Errorf("%s holds no pictures for --part %s", text.Name(source.Path), part)
		}
		return nil, nil, advise(exitNoData, "alexnet eval --data DIR; alexnet data info shows what is there", lacks)
	}
	t.Note("data: %s, %s", text.Name(what), text.Count(set.Len(), "picture"))
	noteUnused(source, t)
	noteClasses(c, source, set, t)
	return source, set, nil
}

// givenData opens labelled pictures that were given, divided as the net's own were. With whole nothing is held out of
// pictures that are not the net's own.
func givenData(
	ctx context.Context, at data.Place, whole bool, c *checkpoint.Checkpoint, cfg *config.Config, t *ui.Terminal,
) (*data.Source, error) {
	source, at, err := asTrained(at, c, func(at data.Place) (*data.Source, error) {
		return listPictures(ctx, at, cfg.Data.ValShare, cfg.Train.Seed, cfg.Data.Cache, t)
	})
	if err != nil || !whole || !source.Split || source.Fingerprint == c.Data.Fingerprint {
		return source, err
	}
	closeQuietly(source)
	return listWith(ctx, data.Open, at, 0, 0, cfg.Data.Cache, t) // what was found out has been said
}

// noteClasses says which classes of a net a set has no pictures of. Which pictures are of others stands in the result;
// where all are, nothing is measured, and the error says why.
func noteClasses(c *checkpoint.Checkpoint, source *data.Source, set *data.Set, t *ui.Terminal) {
	known := data.Numbers(c.Classes)
	left := 0
	for i, n := range set.Counts(len(source.Classes)) {
		if _, there := known(source.Classes[i]); !there && n > 0 {
			left += n
		}
	}
	if left == set.Len() {
		return
	}
	if absent := absentClasses(c, source, set); len(absent) > 0 {
		t.Note("no picture of these is of %s that the net knows (%s)", text.Classes(len(absent)),
			text.Examples(shown(absent)))
	}
}

// absentClasses are those of a net that a set has no pictures of.
func absentClasses(c *checkpoint.Checkpoint, source *data.Source, set *data.Set) (absent []string) {
	counts, number := set.Counts(len(source.Classes)), data.Numbers(source.Classes)
	for _, name := range c.Classes {
		if i, there := number(name); !there || counts[i] == 0 {
			absent = append(absent, name)
		}
	}
	return absent
}

// choosePart is the part asked for, and what to call it.
func choosePart(source *data.Source, part data.Part, trained bool, t *ui.Terminal) (set *data.Set, what string) {
	held := "validation part of "
	if source.Split {
		held = "held-out part of "
	}
	switch {
	case part == data.TrainPart:
		return source.Train, "training part of " + source.Path
	case part == data.TestPart:
		return source.Test, "test part of " + source.Path
	case part == data.ValPart, source.Val.Len() > 0:
		return source.Val, held + source.Path
	case source.Train.Len() == 0:
		return source.Test, "test part of " + source.Path
	}
	if trained {
		t.Warn("%s holds no pictures for validation; these are the ones that the net was trained on",
			text.Name(source.Path))
	}
	return source.Train, "all of " + source.Path
}

// shown are classes as people know them: those of ILSVRC2012, which go by WNIDs, by their names.
func shown(classes []string) []string {
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = imagenet.Name(c)
	}
	return names
}
