package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"alexnet/internal/atomicfile"
	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/infer"
	"alexnet/internal/model"
	"alexnet/internal/neighbors"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// lookIndexOptions are what look index was asked to do.
type lookIndexOptions struct {
	lookOptions
	part, labels string
	strict       bool
}

// lookIndexResult is the document of look index --json.
type lookIndexResult struct {
	Out      text.Raw `json:"out"`
	Layer    string   `json:"layer"`
	Numbers  int      `json:"numbers"` // of a picture
	Pictures int      `json:"pictures"`
	Bytes    int64    `json:"bytes"`
}

func newLookIndexCommand(t *ui.Terminal) *cobra.Command {
	o := lookIndexOptions{lookOptions: newLook(true)}
	c := &cobra.Command{
		Use:   "index DATA... --out FILE",
		Short: "Write what the net makes of each picture of a set, for look neighbors",
		Long: `Write what the net's last hidden layer (fc7 of the paper's) makes of each picture of DATA into a file,
the index, in which look neighbors finds the pictures nearest to another. DATA is what --data of eval
takes; its training pictures are taken or, where it has none, those for validation, unless --part
says another part. Where DATA are the very pictures that the net was trained on, those that were held
out then are held out here.

A number takes 4 bytes: 50,000 pictures of 4096 numbers 819 MB. The index holds the checksum of the
checkpoint, and is refused with any other. Pictures that cannot be read are named and left out, and
the exit code is 3; --strict stops at the first instead.

` + outHelp,
		Example: `  alexnet look index photos --out photos.index
  alexnet look index photos --part val --out val.index --weights runs/train
  alexnet look index train.tar --out train.index --json | jq .pictures`,
		Args: wantArgs("a folder, tar or list of labelled pictures", 0),
		RunE: func(c *cobra.Command, args []string) error {
			help := c.CommandPath() + " --help"
			if o.out == "" {
				return usageError("alexnet look index DATA --out data.index", "look index needs --out")
			}
			if o.part != "" && !slices.Contains(partNames, o.part) {
				return usageError(help, "--part %s: want %s", text.Name(o.part), alternatives(partNames))
			}
			if err := o.check(c, ".index"); err != nil {
				return err
			}
			return runLookIndex(c.Context(), o, args, t)
		},
	}
	o.weights.addFlag(c)
	o.device.addFlags(c)
	f := c.Flags()
	f.StringVar(&o.out, "out", "", "the `FILE` to write, new")
	f.BoolVar(&o.force, "force", false, "overwrite FILE")
	f.StringVar(&o.part, "part", "",
		"`PART` of the data: train, val or test (default: train, or val where there is nothing to train on)")
	addLabels(c, &o.labels)
	f.BoolVar(&o.strict, "strict", false,
		"stop at the first picture that cannot be read, and refuse another JPEG decoder than the net was trained with")
	return c
}

func runLookIndex(ctx context.Context, o lookIndexOptions, args []string, t *ui.Terminal) error {
	if _, err := newFile(o.out, o.force, t); err != nil {
		return err
	}
	c, err := o.weights.load(t)
	if err != nil {
		return err
	}
	layer, err := lastHidden(c)
	if err != nil {
		closeQuietly(c)
		return err
	}
	source, set, part, err := indexData(ctx, data.Place{Paths: args, Labels: o.labels}, data.Part(o.part), c, t)
	if err != nil {
		closeQuietly(c)
		return err
	}
	defer closeQuietly(source)
	bar := ui.NewProgress(t)
	p, end, err := predictorOf(c, &o.device, infer.PredictOptions{
		Batch: min(set.Len(), indexBatch), Layers: []string{layer}, FP32: true, Strict: o.strict,
	}, t, bar)
	if err != nil {
		return err
	}
	defer end()
	x := newIndexing(p, source, set, indexOf(c, layer, source, set, part), o.out, bar)
	size, err := atomicfile.Put(ctx, disk(t), o.out, func(f atomicfile.File) error { return x.write(ctx, f) })
	bar.Clear()
	if err := x.ended(err); err != nil {
		return err
	}
	result := lookIndexResult{text.Raw(o.out), layer, x.numbers, x.rows, size}
	err = t.Result(result, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s, %s of each from %s, %s\n", text.Name(o.out), text.Count(x.rows, "picture"),
			text.Count(x.numbers, "number"), text.Name(layer), text.Bytes(size))
	})
	return cmp.Or(err, unreadableError(x.unread))
}

// indexBatch is how many pictures an index is computed of at a time, as many as eval's.
const indexBatch = 128

// lastHidden is the layer whose numbers pictures are compared by.
func lastHidden(c *checkpoint.Checkpoint) (string, error) {
	cfg, err := c.Page(nil)
	if err != nil {
		return "", err
	}
	arch, err := model.Of(cfg, len(c.Classes))
	if err != nil {
		return "", &checkpoint.BadPage{Path: c.Path, Err: err}
	}
	return arch.LastHidden(), nil
}

// indexData opens the pictures of an index, and says which they are. part "" takes those to train on, or where there
// are none others.
func indexData(
	ctx context.Context, at data.Place, part data.Part, c *checkpoint.Checkpoint, t *ui.Terminal,
) (*data.Source, *data.Set, data.Part, error) {
	cfg, err := c.Page(nil)
	if err != nil {
		return nil, nil, "", err
	}
	source, err := givenData(ctx, at, true, c, cfg, t)
	if err != nil {
		return nil, nil, "", err
	}
	noteMade(source, c, t)
	noteFit(source, &c.Recipe, t)
	if part == "" {
		part = data.TrainPart
		for _, p := range []data.Part{data.TestPart, data.ValPart, data.TrainPart} {
			if source.Part(p).Len() > 0 {
				part = p
			}
		}
	}
	set := source.Part(part)
	if set.Len() == 0 {
		closeQuietly(source)
		return nil, nil, "", advise(exitNoData, "alexnet data info "+dataArgs(at)+" shows what is there",
			fmt.Errorf("%s holds no pictures for --part %s", text.Name(source.Path), part))
	}
	t.Note("data: %s part of %s, %s", part, text.Name(source.Path), text.Count(set.Len(), "picture"))
	noteUnused(source, t)
	return source, set, part, nil
}

// indexOf is what an index of a set says of itself.
func indexOf(
	c *checkpoint.Checkpoint, layer string, source *data.Source, set *data.Set, part data.Part,
) neighbors.Of {
	at := infer.Whereabouts(source)
	return neighbors.Of{
		Net: c.Sum(), Layer: layer, Names: source.Classes,
		Data: neighbors.Data{
			Paths: text.Raws(at.Paths()), Labels: text.Raw(at.Labels), Part: string(part),
			Fingerprint: set.Fingerprint(source.Classes), Set: at.Set,
		},
	}
}

// indexing makes an index.
type indexing struct {
	p      *infer.Predictor
	source *data.Source
	set    *data.Set
	of     neighbors.Of
	out    string
	bar    *ui.Progress

	numbers, rows, unread int
	failed                error // what ended it, but for the file
}

func newIndexing(
	p *infer.Predictor, source *data.Source, set *data.Set, of neighbors.Of, out string, bar *ui.Progress,
) *indexing {
	return &indexing{p: p, source: source, set: set, of: of, out: out, bar: bar}
}

// write writes the index row by row.
func (x *indexing) write(ctx context.Context, f atomicfile.File) error {
	shape, err := x.p.FeatureShape(x.of.Layer)
	if err != nil {
		x.failed = err
		return err
	}
	x.numbers = 1
	for _, n := range shape {
		x.numbers *= n
	}
	w, err := neighbors.NewWriter(f, x.of, x.numbers)
	if err != nil {
		return err
	}
	done, start, i := pace(x.bar, "indexing", x.set.Len()), time.Now(), 0
	for feature, err := range x.p.FeaturesAll(ctx, x.set.Pictures(inOrder(x.set.Len())), x.of.Layer) {
		switch {
		case err != nil:
			x.failed = err
			return err
		case feature.Err != nil:
			x.unread++
			x.bar.Note("%v%s", feature.Err, hintOf(feature.Err))
		default:
			if err := w.Add(x.set.Name(i), x.set.Label(i), feature.Values); err != nil {
				return err
			}
		}
		i++
		done(i)
		switch i {
		case indexBatch: // which is slower than the others
			start = time.Now()
		case 2 * indexBatch:
			x.foretell(time.Since(start))
		}
	}
	if x.rows = w.Len(); x.rows == 0 {
		x.failed = fmt.Errorf("%w: none of the pictures in %s can be read", data.ErrNoData, text.Name(x.source.Path))
		return x.failed
	}
	return w.Close()
}

// foretell says how large the index will be, and how long it takes, by the time of one batch.
func (x *indexing) foretell(batch time.Duration) {
	left := time.Duration(float64(batch) * float64(x.set.Len()) / indexBatch)
	x.bar.Note("index: %s of %s, %s in %s, takes about %s", text.Count(x.set.Len(), "picture"),
		text.Count(x.numbers, "number"), text.Bytes(x.bytes()), text.Name(x.out), text.Clock(left))
}

// bytes is the size of the rows.
func (x *indexing) bytes() int64 { return 4 * int64(x.numbers) * int64(x.set.Len()) }

// ended is the error of an index that was not written, by that of the file.
func (x *indexing) ended(err error) error {
	var none *neighbors.NotFinite
	switch {
	case x.failed != nil:
		return x.failed
	case errors.As(err, &none):
		return none
	}
	return err
}
