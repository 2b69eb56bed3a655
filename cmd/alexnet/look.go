package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/figure"
	"alexnet/internal/imagenet"
	"alexnet/internal/infer"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// lookOptions are what the subcommands of look share: which net, where it computes, which file is drawn.
type lookOptions struct {
	weights weightsOption
	device  deviceOptions
	out     string
	force   bool
	class   string
}

func newLookCommand(t *ui.Terminal) *cobra.Command {
	return newGroup("look", "Draw what a net learned, what it sees and what it gets wrong",
		`Draw what a net learned, what it sees in pictures and what it gets wrong, each as a PNG with the
scale of its colours written under it; with --json the numbers behind the picture come too. Pictures
are prepared as the checkpoint says, and computed in fp32.`,
		newLookFiltersCommand(t),
		newLookMapsCommand(t),
		newLookPredictionsCommand(t),
		newLookIndexCommand(t),
		newLookNeighborsCommand(t),
		newLookOcclusionCommand(t),
		newLookSaliencyCommand(t),
		newLookCAMCommand(t),
		newLookNetCommand(t),
	)
}

// newLook are the options of a subcommand. Runs on generated pictures are passed over where it looks at somebody's.
func newLook(pictures bool) lookOptions {
	return lookOptions{weights: weightsOption{passGenerated: pictures}}
}

// addFlags adds the flags of a subcommand that draws NAME.png of the weights.
func (o *lookOptions) addFlags(c *cobra.Command) { o.addFlagsOf(c, ".png") }

// addFlagsOf is addFlags for a file with another end.
func (o *lookOptions) addFlagsOf(c *cobra.Command, end string) {
	o.weights.addFlag(c)
	f := c.Flags()
	f.StringVar(&o.out, "out", c.Name()+end, "the `FILE` to draw, new")
	f.BoolVar(&o.force, "force", false, "overwrite FILE")
}

// onePictureHelp is what the help of a subcommand that looks at one picture ends with.
const onePictureHelp = "IMAGE is a file, a pipe such as <(curl ...), or - for a picture on standard input."

// ofOnePicture completes a subcommand that draws NAME.png of a net and one picture.
func (o *lookOptions) ofOnePicture(c *cobra.Command, run func(ctx context.Context, picture string) error) {
	c.Args = wantArgs("a picture", 1)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := o.check(c, ".png"); err != nil {
			return err
		}
		if err := new(picturesOption).args(c, args); err != nil {
			return err
		}
		return run(c.Context(), args[0])
	}
	o.addFlags(c)
	o.device.addFlags(c)
}

// addClass adds the flag of the subcommands that look at one class.
func (o *lookOptions) addClass(c *cobra.Command) {
	c.Flags().StringVar(&o.class, "class", "",
		"the `CLASS` to look at: its name, key or number (default: the most probable one)")
}

// check refuses what can be told from the command line alone; end is what the file's name is to end with.
func (o *lookOptions) check(c *cobra.Command, end string) error {
	if err := promised(o.out, end); err != nil {
		return err
	}
	return o.device.check(c)
}

// looking is a net that is open, and what is looked at.
type looking struct {
	c     *checkpoint.Checkpoint
	p     *infer.Predictor
	layer string
	class int // that --class names, -1 without the flag
	end   func()
}

// open opens the checkpoint and its net in fp32, for what po asks, once it is known that the file can be written and
// that there is such a class. layer names the layer that is looked at, given the checkpoint; nil: none is. n is told
// what is said while pictures are read.
func (o *lookOptions) open(po infer.PredictOptions, layer func(*checkpoint.Checkpoint) (string, error),
	t *ui.Terminal, n noter,
) (l looking, err error) {
	if _, err = newFile(o.out, o.force, t); err != nil {
		return l, err
	}
	if l.c, err = o.weights.load(t); err != nil {
		return l, err
	}
	if l.class, err = o.wanted(l.c); err == nil && layer != nil {
		l.layer, err = layer(l.c)
		po.Layers = []string{l.layer}
	}
	if err != nil {
		closeQuietly(l.c)
		return l, err
	}
	po.FP32 = true
	l.p, l.end, err = predictorOf(l.c, &o.device, po, t, n)
	return l, err
}

// write writes the picture.
func (o *lookOptions) write(ctx context.Context, m image.Image, t *ui.Terminal) error {
	return figure.Write(ctx, disk(t), o.out, m)
}

// wanted is the number of the class that --class names in a checkpoint, -1 without the flag. A number is one only where
// no class has it for a name.
func (o *lookOptions) wanted(c *checkpoint.Checkpoint) (int, error) {
	if o.class == "" {
		return -1, nil
	}
	if i, known := data.Numbers(c.Classes)(o.class); known {
		return int(i), nil
	}
	var names []string
	for i, key := range c.Classes {
		name := imagenet.Name(key)
		if strings.EqualFold(name, o.class) {
			return i, nil
		}
		names = append(names, key, name)
	}
	i, err := strconv.Atoi(o.class)
	if err == nil && i >= 0 && i < len(c.Classes) {
		return i, nil
	}
	next := "alexnet weights show " + text.ShellPath(c.Path) + " lists them"
	if near := text.Nearest(o.class, names); near != "" && err != nil {
		next = "--class " + text.ShellWord(near)
	}
	return -1, usageError(next, "--class %s: the net has no such class; its %s are %s", text.Name(o.class),
		text.Classes(len(c.Classes)), text.Examples(shown(c.Classes)))
}

// className is how a class of a checkpoint is written under a picture.
func className(c *checkpoint.Checkpoint, class int) string {
	if class < len(c.Classes) {
		return text.Name(imagenet.Name(c.Classes[class]))
	}
	return fmt.Sprint(class)
}

// netName is how a checkpoint is written above a picture.
func netName(c *checkpoint.Checkpoint) string { return text.Name(shortenPath(c.Path)) }

// unreadPicture is the error of the only picture that was to be looked at.
func unreadPicture(err error, picture string) error {
	var bad *data.BadPicture
	switch {
	case !errors.As(err, &bad):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return advise(exitUnreadable, "check the name", err)
	case isFolder(bad):
		return advise(exitUnreadable, "name a picture in it, such as "+
			text.ShellPath(filepath.Join(picture, "1.jpg")), err)
	case isTar(picture):
		return advise(exitUnreadable, "unpack it and name a picture", err)
	}
	return advise(exitUnreadable, "name another picture", err)
}

// finite is a number of a document: null where it is none that JSON has.
type finite float32

// MarshalJSON writes the number with as many digits as tell it apart.
func (f finite) MarshalJSON() ([]byte, error) {
	if v := float64(f); math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float32(f))
}

// finites are numbers of a document.
func finites(values []float32) []finite {
	all := make([]finite, len(values))
	for i, v := range values {
		all[i] = finite(v)
	}
	return all
}
