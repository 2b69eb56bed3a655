package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"alexnet/internal/fetch"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// fetchResult is the document of data fetch --json.
type fetchResult struct {
	Out      text.Raw `json:"out"`
	URL      string   `json:"url"`
	Bytes    int64    `json:"bytes"`
	SHA256   string   `json:"sha256"`
	Verified bool     `json:"verified"`
	Files    int      `json:"files"`
}

func newDataFetchCommand(t *ui.Terminal) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "fetch NAME|URL",
		Short: "Download a data set and unpack it",
		Long: `Download a data set and unpack it into a folder that appears whole or not at all. A download that
is cut off goes on where it was when the same command is given again. What arrives is held to the
SHA-256 that tensorflow-datasets publishes; where nobody publishes one it is printed.

Names: ` + strings.Join(fetchNames(), ", ") + `.
An address may be that of a .tar, .tar.gz, .tgz or .zip. Proxies are taken from HTTPS_PROXY.`,
		Example: `  alexnet data fetch imagenette-160
  alexnet data fetch cifar10 --out cifar10.new
  alexnet data fetch https://example.org/pictures.tgz --out pictures`,
		Args: wantArgs("one name or address", 1),
		ValidArgsFunction: func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completeWords(fetchNames()...)(c, typed)
		},
		RunE: func(c *cobra.Command, args []string) error {
			set, err := fetchSet(args[0])
			if err != nil {
				return err
			}
			if out == "" {
				out = filepath.Join("data", set.Name)
			}
			return runDataFetch(c.Context(), set, out, t)
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder `DIR` to make (data/NAME)")
	return c
}

func fetchNames() (names []string) {
	for _, s := range fetch.Sets() {
		names = append(names, s.Name)
	}
	return names
}

// otherArchives are forms that are known by their names and not unpacked.
var otherArchives = []string{".7z", ".rar", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".lz4"}

// fetchSet is the set that a name or an address means.
func fetchSet(arg string) (fetch.Set, error) {
	if set, known := fetch.Find(arg); known {
		return set, nil
	}
	const help = "alexnet data fetch --help"
	if strings.EqualFold(arg, "imagenet") {
		return fetch.Set{}, advise(exitNoData, "download ILSVRC2012_img_train.tar (147,897,477,120 bytes) and "+
			"ILSVRC2012_img_val.tar (6,744,924,160 bytes) from https://image-net.org/download-images, then: "+
			"alexnet data prepare ILSVRC2012_img_train.tar ILSVRC2012_img_val.tar imagenet.set",
			errors.New("ImageNet is given only to those who have an account and accept its terms"))
	}
	address, err := url.Parse(arg)
	if err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http" {
		next := help
		if name := text.Nearest(arg, fetchNames()); name != "" {
			next = "alexnet data fetch " + name
		}
		return fetch.Set{}, usageError(next, "%s is neither an address nor the name of a data set", text.Name(arg))
	}
	name := path.Base(address.Path)
	if form := path.Ext(name); slices.Contains(otherArchives, strings.ToLower(form)) {
		return fetch.Set{}, usageError("give the address of a .tar, .tar.gz, .tgz or .zip, or unpack it elsewhere",
			"%s: archives of the form %s are not unpacked", text.Name(arg), text.Name(form))
	}
	for _, end := range []string{".gz", ".tgz", ".tar", ".zip"} {
		name = strings.TrimSuffix(name, end)
	}
	if name == "." || name == "/" || name == "" || strings.HasPrefix(name, ".") {
		name = address.Hostname()
	}
	return fetch.Set{Name: name, URL: arg}, nil
}

func runDataFetch(ctx context.Context, set fetch.Set, out string, t *ui.Terminal) error {
	p := newFetchProgress(t, set.URL)
	r, err := fetch.Fetch(ctx, set, fetch.Options{
		Files: disk(t), Client: http.DefaultClient, Dir: out, Progress: p.show, Retry: p.retry,
	})
	p.bar.Clear()
	if err != nil {
		return err
	}
	result := fetchResult{text.Raw(r.Dir), r.URL, r.Bytes, r.SHA256, r.Verified, r.Files}
	return t.Result(result, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s: %s unpacked from %.1f MB\n",
			text.Name(r.Dir), text.Count(r.Files, "file"), float64(r.Bytes)/1e6)
		if r.Verified {
			fmt.Fprintf(w, "SHA-256 as %s publishes it\n", set.Source)
		} else {
			fmt.Fprintf(w, "SHA-256 %s (compared with nothing: nobody publishes one)\n", r.SHA256)
		}
		fmt.Fprintf(w, "alexnet data info %s shows what is in it\n", text.ShellPath(r.Dir))
	})
}

// fetchProgress shows what a fetch is at, each phase with an end of its own.
type fetchProgress struct {
	t   *ui.Terminal
	bar *ui.Progress
	of  string // the phase
}

// newFetchProgress begins with the wait for the server.
func newFetchProgress(t *ui.Terminal, address string) *fetchProgress {
	label := "connecting"
	if u, err := url.Parse(address); err == nil {
		label += " to " + text.Name(u.Host)
	}
	return &fetchProgress{t: t, bar: t.Phase(label)}
}

func (p *fetchProgress) show(phase fetch.Phase, done, all int64) {
	const mb = 1_000_000
	of := map[fetch.Phase]string{
		fetch.Downloading: "downloading", fetch.Checking: "checking", fetch.Unpacking: "unpacking",
	}[phase]
	if of != p.of {
		p.bar.Clear()
		p.bar, p.of = ui.NewProgress(p.t), of
	}
	s := ui.Status{Label: of + " (MB)", Done: done / mb, All: all / mb, Left: (all - done) / mb, Loss: -1, Stall: -1}
	if s.All == 0 { // nobody knows, or next to nothing
		s.Label, s.Left = fmt.Sprintf("%s, %d MB", of, s.Done), 0
	}
	p.bar.Update(s)
}

// retry says why nothing comes for a while.
func (p *fetchProgress) retry(err *fetch.Unreachable, pause time.Duration) {
	p.bar.Note("%v; trying again in %v", err, pause)
}
