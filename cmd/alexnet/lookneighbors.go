package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/atomicfile"
	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/infer"
	"alexnet/internal/neighbors"
	"alexnet/internal/recipe"
	"alexnet/internal/run"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// lookNeighborsOptions are what look neighbors was asked to do.
type lookNeighborsOptions struct {
	lookOptions
	index  string
	pixels bool
	seed   uint64
}

// Sizes of the figure.
const (
	neighborCount   = 6   // of a picture, as in the paper's figure 4
	queryCount      = 5   // of pictures of a set, likewise
	mostQueries     = 100 // named one by one: a figure of 20,000 pixels
	neighborSide    = 128 // pixels of a picture in the figure, or a little less
	largestOwnIndex = 2e9 // bytes that are written unasked
)

// lookNeighborsResult is the document of look neighbors --json.
type lookNeighborsResult struct {
	Out     text.Raw        `json:"out"`
	Layer   string          `json:"layer"`
	Index   text.Raw        `json:"index"`
	Queries []queryDocument `json:"queries"`
}

// queryDocument is a picture and those near to it, the nearest first.
type queryDocument struct {
	Image     text.Raw           `json:"image"`
	Class     text.Raw           `json:"class,omitempty"` // of a picture of a set
	Name      string             `json:"name,omitempty"`
	Neighbors []neighborDocument `json:"neighbors"`
	Pixels    []neighborDocument `json:"pixel_neighbors,omitempty"` // with --pixels
}

// neighborDocument is a picture of the index.
type neighborDocument struct {
	Image    text.Raw `json:"image"`
	Class    text.Raw `json:"class"`
	Name     string   `json:"name,omitempty"` // of a class of ILSVRC2012
	Distance float64  `json:"distance"`
	number   int      // in the set, -1: it is not there any more
}

func newLookNeighborsCommand(t *ui.Terminal) *cobra.Command {
	o := lookNeighborsOptions{lookOptions: newLook(true)}
	c := &cobra.Command{
		Use:   "neighbors IMAGE...|DATA",
		Short: "Draw the training pictures that the net sees as most like others",
		Long: `Draw pictures and, beside each, the six of the training set that are nearest to it by the Euclidean
distance between what the net's last hidden layer makes of them: the paper's figure 4, right. The
search is exact. Of DATA, a folder or tar of pictures, five are drawn, which ones --seed says: of its
validation pictures where it has some.

The pictures searched are those of the index that --index names (look index makes one). Without it
they are the training pictures that the checkpoint names; their index is made first, kept in the run
folder and used again while net and pictures are the same. It is said how large it will be and how
long that takes; above 2 GB only look index makes one.

--pixels adds, below each row, the six nearest by the distance between the pixels that the net sees,
which are others as a rule. That reads all pictures of the set.`,
		Example: `  alexnet look neighbors cat.jpg
  alexnet look neighbors photos --seed 2 --out five.png
  alexnet look neighbors cat.jpg dog.jpg --pixels --out both.png
  alexnet look index photos --out photos.index
  alexnet look neighbors cat.jpg --index photos.index --out cat.png --json | jq -r '.queries[0].neighbors[].image'`,
		Args: wantArgs("pictures, or a folder or tar of some", 0),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c, ".png"); err != nil {
				return err
			}
			if len(args) > 1 && slices.ContainsFunc(args, isPlace) {
				return usageError(c.CommandPath()+" --help", "%s takes pictures, or one folder or tar of them",
					c.CommandPath())
			}
			if len(args) > mostQueries {
				return usageError(c.CommandPath()+" --help", "%d pictures: at most %d are drawn", len(args),
					mostQueries)
			}
			if err := new(picturesOption).args(c, args); err != nil {
				return err
			}
			return runLookNeighbors(c.Context(), o, args, t)
		},
	}
	o.addFlags(c)
	o.device.addFlags(c)
	f := c.Flags()
	f.StringVar(&o.index, "index", "",
		"`FILE` that look index wrote (default: one of the net's training pictures, kept in its run folder)")
	f.BoolVar(&o.pixels, "pixels", false, "add the rows that the distance between pixels gives")
	f.Uint64Var(&o.seed, "seed", 1, "`N` that chooses among the pictures of DATA")
	return c
}

func runLookNeighbors(ctx context.Context, o lookNeighborsOptions, args []string, t *ui.Terminal) error {
	bar := ui.NewProgress(t)
	l, err := o.open(infer.PredictOptions{Batch: indexBatch}, lastHidden, t, bar)
	if err != nil {
		return err
	}
	defer l.end()
	n := &neighborhood{o: o, c: l.c, p: l.p, layer: l.layer, bar: bar, t: t}
	defer n.close()
	if err := n.run(ctx, args); err != nil {
		return err
	}
	if err := o.write(ctx, n.draw(), t); err != nil {
		return err
	}
	result := lookNeighborsResult{text.Raw(o.out), l.layer, text.Raw(n.index.Path()), n.found}
	if err := t.Result(result, func(w *bytes.Buffer) { printNeighbors(w, &result) }); err != nil {
		return err
	}
	return unreadableError(n.unread)
}

// neighborhood is pictures and those near to them, on their way into a figure.
type neighborhood struct {
	o     lookNeighborsOptions
	c     *checkpoint.Checkpoint
	p     *infer.Predictor
	layer string
	bar   *ui.Progress
	t     *ui.Terminal

	queries *gallery
	index   *neighbors.Index
	source  *data.Source // of the index's pictures; nil: they are not there any more
	set     *data.Set    // of these
	numbers []int        // by row of the index: in the set, -1: not there

	vectors [][]float32   // (queries, numbers of the layer)
	seen    []*image.RGBA // (queries)
	found   []queryDocument
	near    map[int]*image.RGBA // pictures of the set, by number
	unread  int
}

func (n *neighborhood) close() {
	if n.queries != nil {
		n.queries.close()
	}
	if n.index != nil {
		closeQuietly(n.index)
	}
	if n.source != nil {
		closeQuietly(n.source)
	}
}

func (n *neighborhood) run(ctx context.Context, args []string) (err error) {
	defer n.bar.Clear()
	if err = n.gather(ctx, args); err != nil {
		return err
	}
	if n.o.index != "" {
		err = n.openIndex(ctx)
	} else {
		err = n.ownIndex(ctx)
	}
	if err != nil {
		return err
	}
	n.resolve()
	if err := n.look(ctx); err != nil {
		return err
	}
	if len(n.found) == 0 {
		return advise(exitUnreadable, "name pictures that can be read",
			errors.New("none of the pictures can be read"))
	}
	hits, err := n.index.Nearest(ctx, n.vectors, neighborCount)
	if n.o.index == "" && errors.As(err, new(*neighbors.BadIndex)) {
		return advise(exitFailed, "rm "+text.ShellPath(n.index.Path())+": the next search makes it anew", err)
	}
	if err != nil {
		return err
	}
	for i := range n.found {
		n.found[i].Neighbors = n.documents(hits[i])
	}
	if n.o.pixels {
		if err := n.byPixels(ctx); err != nil {
			return err
		}
	}
	return n.thumbnails(ctx)
}

// gather finds the pictures that were named, or chooses some of a set.
func (n *neighborhood) gather(ctx context.Context, args []string) error {
	if !isPlace(args[0]) {
		n.queries = &gallery{
			pictures: data.Files(pictureFiles, args), label: func(int) *labelResult { return nil }, close: func() {},
		}
		return nil
	}
	from, err := shownFrom(ctx, args, &predictionsOptions{seed: n.o.seed}, n.c, n.t)
	if err != nil {
		return err
	}
	from.pictures = from.pictures.Choose(inOrder(min(queryCount, from.pictures.Len())))
	n.queries = from
	return nil
}

// openIndex opens the index that was named, and the pictures that it is of where they are still there.
func (n *neighborhood) openIndex(ctx context.Context) (err error) {
	n.index, err = neighbors.Open(files.OS, n.o.index)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return advise(exitFailed, "alexnet look index DATA --out "+text.ShellPath(n.o.index)+" --weights "+
			text.ShellPath(n.c.Path)+" makes it", fmt.Errorf("%s: there is no such index", text.Name(n.o.index)))
	case err != nil:
		return err
	}
	if n.index.Net != n.c.Sum() || n.index.Layer != n.layer {
		return advise(exitFailed, "alexnet look index DATA --out FILE --weights "+text.ShellPath(n.c.Path)+
			" makes one of this net; or --weights, the net that it is of",
			fmt.Errorf("%s: an index of another net than %s", text.Name(n.o.index), text.Name(n.c.Path)))
	}
	cfg, err := n.c.Page(nil)
	if err != nil {
		return err
	}
	cfg.Data.ValShare = 0 // in whatever part a picture lies, it is found
	n.source, err = reopenData(ctx, &checkpoint.Checkpoint{Path: n.index.Path(), Data: dataOf(n.index)}, cfg, "", n.t)
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		n.t.Warn("the pictures of the index are drawn as their names: %v", err)
	}
	return nil
}

// dataOf is where the pictures of an index are, as a checkpoint says it.
func dataOf(x *neighbors.Index) checkpoint.Data {
	d := checkpoint.Data{Labels: string(x.Data.Labels), Fingerprint: x.Data.Fingerprint}
	for i, path := range x.Data.Paths {
		if i == 0 {
			d.Path = string(path)
		} else {
			d.More = append(d.More, string(path))
		}
	}
	return d
}

// ownIndex opens the index in the run folder, and makes it first where it is not there or not of this net and these
// pictures.
func (n *neighborhood) ownIndex(ctx context.Context) error {
	next := "alexnet look index DATA --out data.index --weights " + text.ShellPath(n.c.Path) +
		", then --index data.index"
	folder := run.Around(n.c.Path)
	if folder == "" {
		return advise(exitNoData, next, fmt.Errorf("%s lies in no run folder, where an index could be kept",
			text.Name(n.c.Path)))
	}
	cfg, err := n.c.Page(nil)
	if err != nil {
		return err
	}
	if n.source, err = trainedData(ctx, n.c, cfg, "", n.t); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return advise(exitNoData, next, err)
	}
	n.set = n.source.Train
	of := indexOf(n.c, n.layer, n.source, n.set, data.TrainPart)
	path := filepath.Join(folder, "neighbors-"+strings.TrimSuffix(filepath.Base(n.c.Path), ".safetensors")+".index")
	if n.index, err = neighbors.Open(files.OS, path); err == nil {
		if n.index.Net == of.Net && n.index.Layer == of.Layer && n.index.Data.Fingerprint == of.Data.Fingerprint &&
			n.index.Data.Set == of.Data.Set {
			return nil
		}
		closeQuietly(n.index)
		n.index = nil
		n.t.Note("%s is of another state of the net or of its pictures, and made anew", text.Name(path))
	}
	shape, err := n.p.FeatureShape(n.layer)
	if err != nil {
		return err
	}
	size, large := ownSize(n.set.Len(), shape)
	if large {
		return advise(exitFailed, next, fmt.Errorf("the index of %s would take %s, more than is written unasked",
			text.Count(n.set.Len(), "picture"), text.Bytes(size)))
	}
	n.t.Note("index: %s, %s in %s", text.Count(n.set.Len(), "picture"), text.Bytes(size), text.Name(path))
	x := newIndexing(n.p, n.source, n.set, of, path, n.bar)
	err = x.ended(atomicfile.Write(disk(n.t), path, func(f atomicfile.File) error { return x.write(ctx, f) }))
	n.bar.Clear()
	if err != nil {
		return notKept(err, next)
	}
	n.unread += x.unread
	n.index, err = neighbors.Open(files.OS, path)
	return err
}

// notKept is the error of an index that could not be kept in the run folder, with what to do where that is somebody
// else's: it has no other place unless one is named.
func notKept(err error, next string) error {
	if isDenied(err) {
		return advise(exitFailed, next, err)
	}
	return err
}

// ownSize is how many bytes an index takes of so many pictures of a layer's shape, and whether that is more than is
// written unasked.
func ownSize(pictures int, shape []int) (bytes int64, large bool) {
	bytes = 4 * int64(pictures)
	for _, d := range shape {
		bytes *= int64(d)
	}
	return bytes, bytes > largestOwnIndex
}

// resolve finds the index's pictures in the source, in the part where most of them are.
func (n *neighborhood) resolve() {
	n.numbers = slices.Repeat([]int{-1}, n.index.Len())
	if n.source == nil {
		return
	}
	best := -1
	for _, part := range []data.Part{data.TrainPart, data.ValPart, data.TestPart} {
		set := n.source.Part(part)
		number := make(map[string]int, set.Len())
		for i := range set.Len() {
			number[set.Name(i)] = i
		}
		numbers, there := make([]int, n.index.Len()), 0
		for row := range numbers {
			i, ok := number[n.index.Name(row)]
			if !ok {
				i = -1
			} else {
				there++
			}
			numbers[row] = i
		}
		if there > best {
			best, n.set, n.numbers = there, set, numbers
		}
	}
	if gone := n.index.Len() - best; gone > 0 {
		n.t.Warn("not in %s any more: %s of the index", text.Name(n.source.Path), text.Count(gone, "picture"))
	}
}

// look reads what the layer makes of the pictures that were named, and what the net sees of them.
func (n *neighborhood) look(ctx context.Context) error {
	i := 0
	for feature, err := range n.p.FeaturesSeen(ctx, n.queries.pictures, n.layer) {
		if err != nil {
			return err
		}
		if feature.Err != nil {
			n.unread++
			n.bar.Note("%v%s", feature.Err, hintOf(feature.Err))
		} else {
			n.vectors, n.seen = append(n.vectors, slices.Clone(feature.Values)), append(n.seen, feature.Seen)
			q := queryDocument{Image: text.Raw(feature.Image)}
			if l := n.queries.label(i); l != nil {
				q.Class, q.Name = l.Class, l.Name
			}
			n.found = append(n.found, q)
		}
		i++
	}
	return nil
}

// synsetName is the name of a class whose key is a WNID of ILSVRC2012, else "".
func synsetName(class text.Raw) string {
	if name := imagenet.Name(string(class)); name != string(class) {
		return name
	}
	return ""
}

// documents are rows of the index.
func (n *neighborhood) documents(hits []neighbors.Neighbor) []neighborDocument {
	all := make([]neighborDocument, len(hits))
	for i, h := range hits {
		class := text.Raw(n.index.Names[n.index.Label(h.Row)])
		all[i] = neighborDocument{
			Image: text.Raw(n.index.Name(h.Row)), Class: class, Name: synsetName(class), Distance: h.Distance,
			number: n.numbers[h.Row],
		}
	}
	return all
}

// byPixels finds the pictures of the index that are nearest by the pixels that the net sees, 0 to 255.
func (n *neighborhood) byPixels(ctx context.Context) error {
	by, err := infer.RecipeOf(n.c)
	if err != nil {
		return err
	}
	var rows, numbers []int
	for row, i := range n.numbers {
		if i >= 0 {
			rows, numbers = append(rows, row), append(numbers, i)
		}
	}
	if len(rows) == 0 {
		return advise(exitNoData, "omit --pixels, or put the pictures back",
			errors.New("the pictures of the index are not there, and with them their pixels"))
	}
	var asked [][]float32
	for _, m := range n.seen {
		asked = append(asked, pixelsOf(m, &by))
	}
	search, done, i := neighbors.NewSearch(asked, neighborCount), pace(n.bar, "pixels", len(rows)), 0
	var looked []int // rows that could be read
	for m, err := range n.p.Seen(ctx, n.set.Pictures(numbers)) {
		switch {
		case errors.As(err, new(*data.BadPicture)): // it has changed since it was indexed
		case err != nil:
			return err
		default:
			search.Add(pixelsOf(m, &by))
			looked = append(looked, rows[i])
		}
		i++
		done(i)
	}
	for i, hits := range search.Found() {
		for k := range hits {
			hits[k].Row = looked[hits[k].Row]
		}
		n.found[i].Pixels = n.documents(hits)
	}
	return nil
}

// pixelsOf is what the net sees of a picture as numbers, (Crop, Crop, Channels).
func pixelsOf(m *image.RGBA, by *recipe.Recipe) []float32 {
	values := make([]float32, by.Crop*by.Crop*by.Channels)
	for i := range values {
		values[i] = float32(m.Pix[i/by.Channels*4+i%by.Channels])
	}
	return values
}

// thumbnails reads the pictures that were found.
func (n *neighborhood) thumbnails(ctx context.Context) error {
	n.near = map[int]*image.RGBA{}
	var numbers []int
	for _, q := range n.found {
		for _, d := range append(slices.Clone(q.Neighbors), q.Pixels...) {
			if _, there := n.near[d.number]; !there && d.number >= 0 {
				n.near[d.number] = nil
				numbers = append(numbers, d.number)
			}
		}
	}
	if len(numbers) == 0 {
		return nil
	}
	i := 0
	for m, err := range n.p.Seen(ctx, n.set.Pictures(numbers)) {
		var bad *data.BadPicture
		switch {
		case errors.As(err, &bad):
			n.unread++
			n.t.Note("%v%s", bad, hintOf(bad))
		case err != nil:
			return err
		default:
			n.near[numbers[i]] = m
		}
		i++
	}
	return nil
}
