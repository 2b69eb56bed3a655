package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/atomicfile"
	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/infer"
	"alexnet/internal/step"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// submissionResult is the document of predict --submission --json.
type submissionResult struct {
	Submission text.Raw `json:"submission"`
	Pictures   int      `json:"pictures"`
	Unreadable int      `json:"unreadable"`
	First      text.Raw `json:"first"` // picture
	Last       text.Raw `json:"last"`
}

// unreadLine is what stands for a picture that cannot be read: some answer has to.
const unreadLine = "1 2 3 4 5\n"

// checkSubmission refuses what makes no sense with --submission.
func (o *predictOptions) checkSubmission(c *cobra.Command, args []string) error {
	help := c.CommandPath() + " --help"
	f := c.Flags()
	switch {
	case o.submission == "" && f.Changed("force"):
		return usageError(help, "--force goes with --submission")
	case o.submission == "":
		return nil
	case o.csv:
		return usageError(help, "--csv and --submission exclude each other")
	case f.Changed("top"):
		return usageError(help, "--top and --submission exclude each other: a submission has five classes a picture")
	case slices.Contains(args, files.Stdin):
		return usageError(help, "-: a picture on standard input has no file name, which --submission goes by")
	}
	return nil
}

// runSubmission writes what the test server of ILSVRC2012 takes: a line for each picture, in the order of their files'
// names, with the ILSVRC2012_IDs of the five most probable classes.
func runSubmission(ctx context.Context, o predictOptions, args []string, t *ui.Terminal) error {
	if _, err := newFileOf("--submission", o.submission, o.force, t); err != nil {
		return err
	}
	c, err := o.weights.load(t)
	if err != nil {
		return err
	}
	ids, err := submissionIDs(c)
	if err != nil {
		closeQuietly(c)
		return err
	}
	images, err := o.submissionPictures(ctx, args, t)
	if err != nil {
		closeQuietly(c)
		return err
	}
	defer closeQuietly(images)
	bar := ui.NewProgress(t)
	p, end, err := predictorOf(c, &o.device,
		infer.PredictOptions{Batch: min(images.Len(), predictBatch), Strict: o.strict}, t, bar)
	if err != nil {
		return err
	}
	defer end()
	s := submission{p: p, images: images, ids: ids, bar: bar, unread: unread{command: "alexnet predict"}}
	_, err = atomicfile.Put(ctx, disk(t), o.submission, func(f atomicfile.File) error { return s.write(ctx, f) })
	bar.Clear()
	switch {
	case s.failed != nil:
		return s.unread.ended(s.failed)
	case err != nil:
		return err
	}
	r := submissionResult{
		text.Raw(o.submission), images.Len(), s.unread.n, text.Raw(images.Name(0)),
		text.Raw(images.Name(images.Len() - 1)),
	}
	err = t.Result(r, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s, from %s to %s\n", text.Name(r.Submission), text.Count(r.Pictures, "picture"),
			text.Name(r.First), text.Name(r.Last))
	})
	if n := s.unread.n; err == nil && n > 0 {
		line := strings.TrimSpace(unreadLine)
		return advise(exitUnreadable, "repair what can be repaired, then the same command again with --force",
			fmt.Errorf("%s could not be read; %s stands for each", text.Count(n, "picture"), line))
	}
	return err
}

// submissionPictures are the pictures named, in the order of their files' names.
func (o *predictOptions) submissionPictures(
	ctx context.Context, args []string, t *ui.Terminal,
) (*data.Pictures, error) {
	for _, p := range args { // of what is listed some may be gone; a name that was typed is a slip
		if _, err := pictureFiles.Stat(p); errors.Is(err, fs.ErrNotExist) {
			return nil, advise(exitNoData, "check the path",
				fmt.Errorf("%s: no such file or folder", text.Name(p)))
		}
	}
	paths := slices.Clone(args)
	if o.pictures.list != "" {
		listed, err := readList(ctx, o.pictures.list)
		if err != nil {
			return nil, err
		}
		paths = append(paths, listed...)
	}
	defer t.Phase("listing the pictures").Clear()
	var images *data.Pictures
	err := orInterrupted(ctx, func() (err error) {
		images, err = data.ByFileName(ctx, pictureFiles, paths)
		return err
	})
	if e := (*data.SourceError)(nil); errors.As(err, &e) && e.Problem == data.OnlyThrough {
		return nil, advise(exitNoData, "unpack it and give the folder", err) // the order is that of the names
	}
	if err != nil {
		return nil, err
	}
	return images, nil
}

// submissionIDs are the ILSVRC2012_IDs of a net's classes, 0 of one that has none. A net that lacks any of the 1000
// cannot answer for them.
func submissionIDs(c *checkpoint.Checkpoint) ([]int, error) {
	known, there := imagenet.All(), map[string]bool{}
	ids := make([]int, len(c.Classes))
	for i, class := range c.Classes {
		if place, is := imagenet.Place(class); is {
			ids[i], there[class] = known[place].ID, true
		}
	}
	var lacks []string
	for _, k := range known {
		if !there[k.WNID] {
			lacks = append(lacks, k.WNID+" "+k.Name)
		}
	}
	if len(lacks) == 0 {
		return ids, nil
	}
	return nil, advise(exitCheckpoint, "name a net of all 1,000 classes of ILSVRC2012 with --weights",
		fmt.Errorf("%s: lacks %s of ILSVRC2012's %s (%s); its own are %s", text.Name(c.Path),
			text.Grouped(int64(len(lacks))), text.Grouped(imagenet.Classes), text.Examples(lacks),
			text.Examples(c.Classes)))
}

// submission is answers on their way into a file.
type submission struct {
	p      *infer.Predictor
	images *data.Pictures
	ids    []int // by output of the net
	bar    *ui.Progress

	unread unread
	failed error // what ended it, but for the file
}

func (s *submission) write(ctx context.Context, f atomicfile.File) error {
	w := bufio.NewWriter(f)
	done, n := pace(s.bar, "predicting", s.images.Len()), 0
	// a net may have outputs besides the 1000
	for a, err := range s.p.PredictAll(ctx, s.images, step.TopK+len(s.ids)-imagenet.Classes) {
		if err != nil {
			s.failed = err
			return err
		}
		line := unreadLine
		if a.Err != nil {
			s.unread.add(a.Err, s.bar)
		} else {
			line = s.line(a.Predictions)
		}
		if _, err := w.WriteString(line); err != nil {
			return err
		}
		n++
		done(n)
	}
	if err := ctx.Err(); err != nil { // what was answered is not all
		s.failed = err
		return err
	}
	return w.Flush()
}

// line is five IDs, the best first.
func (s *submission) line(best []infer.ClassProbability) string {
	var b strings.Builder
	n := 0
	for _, c := range best {
		id := s.ids[c.Index]
		if id == 0 {
			continue
		}
		if n > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, id)
		if n++; n == step.TopK {
			break
		}
	}
	b.WriteByte('\n')
	return b.String()
}
