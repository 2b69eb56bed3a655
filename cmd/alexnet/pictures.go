package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// picturesOption are the pictures that a command looks at: files, pipes and folders that were named, one by one or in a
// list, and standard input.
type picturesOption struct {
	recursive bool
	list      string
}

const picturesHelp = `IMAGE is a file, a pipe such as <(curl ...), or - for a picture on standard input; with -r also a
folder, for the pictures in it and in the folders below. --list adds the paths in a file.`

func (o *picturesOption) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVarP(&o.recursive, "recursive", "r", false, "take the pictures in folders, and in the folders below them")
	f.StringVar(&o.list, "list", "",
		"`FILE` with the path of a picture on each line, relative to the working folder; - is standard input")
}

// args refuses a command line without pictures, or one that reads standard input twice or from a terminal.
func (o *picturesOption) args(c *cobra.Command, args []string) error {
	help := c.CommandPath() + " --help"
	if o.list == "" && len(args) == 0 {
		return usageError(help, "%s needs a picture or several", c.CommandPath())
	}
	reads := 0
	for _, name := range append(slices.Clone(args), o.list) {
		if name == files.Stdin {
			reads++
		}
	}
	switch {
	case reads > 1:
		return usageError(help, "- is given %d times: standard input can be read only once", reads)
	case reads == 1 && ui.IsTerminal(os.Stdin) && o.list == files.Stdin:
		return usageError("find . -name '*.jpg' | "+c.CommandPath()+" --list -",
			"--list -: standard input is a terminal, not a list")
	case reads == 1 && ui.IsTerminal(os.Stdin):
		return usageError(c.CommandPath()+" - < cat.jpg", "-: standard input is a terminal, not a picture")
	}
	return nil
}

// pictureFiles is what pictures are read through.
var pictureFiles = files.WithStdin(files.OS)

// gather gives the paths of all pictures: those named, then those in the list, folders opened up where they may be.
func (o *picturesOption) gather(ctx context.Context, args []string, t *ui.Terminal) (paths []string, err error) {
	paths = slices.Clone(args)
	if o.list != "" {
		listed, err := readList(ctx, o.list)
		if err != nil {
			return nil, err
		}
		paths = append(paths, listed...)
	}
	if !o.recursive {
		return paths, nil
	}
	var inside, empty []string
	err = orInterrupted(ctx, func() (err error) {
		inside, empty, err = openFolders(ctx, paths)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(inside) == 0:
		return nil, advise(exitNoData, "name pictures, or folders that hold some",
			fmt.Errorf("no pictures in %s", text.Examples(empty)))
	case len(empty) > 0:
		t.Warn("no pictures in %s", text.Examples(empty))
	}
	return inside, nil
}

// readLines reads a text of lines, which may be a pipe, without Windows's byte order mark. One of more bytes than
// longest is a *tooLong; of other errors the name is left out.
func readLines(ctx context.Context, fsys files.Reader, name string, longest int) (string, error) {
	var raw []byte
	err := orInterrupted(ctx, func() error {
		f, err := fsys.Open(name)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // only read
		raw, err = io.ReadAll(io.LimitReader(f, int64(longest)+1))
		return err
	})
	var failed *fs.PathError
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.As(err, &failed):
		return "", failed.Err
	case err != nil:
		return "", err
	case len(raw) > longest:
		return "", &tooLong{longest}
	}
	return strings.TrimPrefix(string(raw), "\ufeff"), nil
}

// tooLong says that a list has more bytes than are read.
type tooLong struct{ longest int }

func (e *tooLong) Error() string { return fmt.Sprintf("is longer than %d MB", e.longest>>20) }

// readList reads paths, one a line; lines without any are skipped, and Windows's byte order mark and ends of lines are
// no part of a path.
func readList(ctx context.Context, name string) (paths []string, err error) {
	bad := func(next, format string, args ...any) error {
		return usageError(next, "--list "+text.Name(name)+": "+format, args...)
	}
	list, err := readLines(ctx, pictureFiles, name, longestList)
	switch {
	case ctx.Err() != nil:
		return nil, err
	case errors.As(err, new(*tooLong)):
		return nil, bad("divide it", "%v", err)
	case err != nil:
		return nil, bad("name a file with a path on each line", "%v", err)
	case strings.IndexByte(list, 0) >= 0:
		return nil, bad("give a text file with a path on each line", "is not a list of paths: it holds bytes of zero")
	}
	for line := range strings.Lines(list) {
		if path := strings.TrimRight(line, "\r\n"); strings.TrimSpace(path) != "" {
			paths = append(paths, asPath(path))
		}
	}
	if len(paths) == 0 {
		return nil, advise(exitNoData, "give a list with a path on each line",
			fmt.Errorf("--list %s: holds no paths", text.Name(name)))
	}
	return paths, nil
}

// longestList is the most bytes of a list: some million paths.
const longestList = 256 << 20

// asPath is a path that is one whatever it looks like.
func asPath(path string) string {
	if path == files.Stdin {
		return "./" + path
	}
	return path
}

// openFolders puts the pictures in folders in their places, and names the folders that hold none.
func openFolders(ctx context.Context, named []string) (paths, empty []string, err error) {
	for _, path := range named {
		if info, err := pictureFiles.Stat(path); err != nil || !info.IsDir() { // reading it will say what is wrong
			paths = append(paths, path)
			continue
		}
		inside, err := data.PicturesIn(ctx, pictureFiles, path)
		if err != nil {
			return nil, nil, err
		}
		if len(inside) == 0 {
			empty = append(empty, path)
		}
		for _, p := range inside {
			paths = append(paths, asPath(p))
		}
	}
	return paths, empty, nil
}

// pace shows on bar how many of all pictures are done, from now on, unless these are so few that they are one batch.
func pace(bar *ui.Progress, label string, all int) func(done int) {
	if all <= predictBatch {
		return func(int) {}
	}
	start := time.Now()
	show := func(done int) {
		bar.Update(ui.Status{
			Label: label, Done: int64(done), All: int64(all), Left: int64(all - done),
			Rate: float64(done) / time.Since(start).Seconds(), Loss: -1, Stall: -1,
		})
	}
	show(0)
	return show
}

// unread are pictures that could not be read and were passed over. command takes the pictures in a folder that is
// written after it.
type unread struct {
	command         string
	n, gone, folder int
	first           string // folder
}

// add counts one and says why it is left out.
func (u *unread) add(bad *data.BadPicture, n noter) {
	u.n++
	switch {
	case errors.Is(bad, fs.ErrNotExist):
		u.gone++
	case isFolder(bad):
		if u.folder++; u.folder == 1 {
			u.first = bad.Name
		}
	}
	n.Note("%s", explainUnread(bad, u.command))
}

// err is the error of work that went past them.
func (u *unread) err() error {
	err := unreadableError(u.n)
	var e *commandError
	if u.n == u.gone+u.folder && errors.As(err, &e) {
		if e.next = "check the names"; u.gone == 0 {
			e.next = u.command + " " + text.ShellWord(u.first)
		}
	}
	return err
}

// ended is the error with which work ended; where a folder did that, with what takes the pictures in it.
func (u *unread) ended(err error) error {
	if bad := (*data.BadPicture)(nil); errors.As(err, &bad) && isFolder(bad) {
		return advise(exitUnreadable, u.command+" "+text.ShellWord(bad.Name), err)
	}
	return err
}

func isFolder(bad *data.BadPicture) bool {
	var other *data.NotFile
	return errors.As(bad, &other) && other.Mode.IsDir()
}

// unpackTar is how the pictures in a tar are named.
const unpackTar = "unpack it and give its folder with -r"

// isTar tells whether a path is that of a file that its name calls a tar.
func isTar(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.Mode().IsRegular() && strings.EqualFold(filepath.Ext(p), ".tar")
}

// explainUnread says why a picture is left out, and of a folder how its pictures are named.
func explainUnread(bad *data.BadPicture, command string) string {
	if isFolder(bad) {
		return fmt.Sprintf("%v; its pictures: %s %s", bad, command, text.ShellWord(bad.Name))
	}
	if isTar(bad.Name) {
		return bad.Error() + "; " + unpackTar
	}
	return bad.Error() + hintOf(bad)
}
