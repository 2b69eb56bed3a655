package data

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"alexnet/internal/data/picture"
)

// SourceInfo is what Inspect finds, for `alexnet data info`.
type SourceInfo struct {
	Path        string         `json:"path"`
	Fingerprint string         `json:"fingerprint"`
	HeldOut     bool           `json:"held_out"` // val was split off by share
	Train       int            `json:"train"`    // pictures, unreadable ones included
	Val         int            `json:"val"`
	Classes     []ClassInfo    `json:"classes"`
	Formats     map[string]int `json:"formats"` // by contents: "jpeg", "png" ..., of readable pictures
	Colors      map[string]int `json:"colors"`  // "rgb", "grey", "cmyk"
	Width       Range          `json:"width"`
	Height      Range          `json:"height"`
	Unreadable  []Unreadable   `json:"unreadable"` // training set first, in order
}

// ClassInfo counts one class.
type ClassInfo struct {
	Name  string `json:"name"`
	Train int    `json:"train"`
	Val   int    `json:"val"`
}

// Range is the spread of one number over all readable pictures.
type Range struct {
	Min    int `json:"min"`
	Median int `json:"median"`
	Max    int `json:"max"`
}

// Unreadable is a picture that cannot be read.
type Unreadable struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Inspect decodes every picture once, with workers goroutines (0: GOMAXPROCS), and reports what there is. It fails only
// when ctx ends; progress, where not nil, is called now and then with the number of pictures seen so far.
func Inspect(ctx context.Context, src *Source, workers int, progress func(done, total int)) (
	*SourceInfo, error,
) {
	info := &SourceInfo{
		Path: src.Path, Fingerprint: src.Fingerprint, HeldOut: src.Split, Train: src.Train.Len(), Val: src.Val.Len(),
		Classes: make([]ClassInfo, len(src.Classes)), Formats: map[string]int{}, Colors: map[string]int{},
		Unreadable: []Unreadable{},
	}
	for k, name := range src.Classes {
		info.Classes[k].Name = name
	}
	for _, r := range src.Train.records {
		info.Classes[r.Label].Train++
	}
	for _, r := range src.Val.records {
		info.Classes[r.Label].Val++
	}
	files, err := examine(ctx, src, workers, progress)
	if err != nil {
		return nil, err
	}
	info.summarise(src, files)
	return info, nil
}

// examined is what decoding one picture told.
type examined struct {
	file picture.File
	err  error
}

// examine decodes all pictures, training set first.
func examine(ctx context.Context, src *Source, workers int, progress func(done, total int)) (
	[]examined, error,
) {
	files := make([]examined, src.Train.Len()+src.Val.Len())
	var (
		next atomic.Int64
		mu   sync.Mutex // guards done and progress
		done int
		wg   sync.WaitGroup
	)
	for range min(workerCount(workers), len(files)) {
		wg.Go(func() {
			r := newReader()
			defer r.close()
			var pixels []uint8
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return
				}
				set, k := src.Train, i
				if k >= set.Len() {
					set, k = src.Val, i-set.Len()
				}
				pic, err := r.load(ctx, set, k, 0, 3, pixels)
				if err == nil {
					pixels = pic.Pixels
				}
				files[i] = examined{pic.File, err}
				mu.Lock()
				done++
				if progress != nil && (done%100 == 0 || done == len(files)) {
					progress(done, len(files))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return files, ctx.Err()
}

func (info *SourceInfo) summarise(src *Source, files []examined) {
	var widths, heights []int
	for i, f := range files {
		if f.err != nil {
			set, k := src.Train, i
			if k >= set.Len() {
				set, k = src.Val, i-set.Len()
			}
			info.Unreadable = append(info.Unreadable, Unreadable{set.Name(k), set.badPicture(k, f.err).Err.Error()})
			continue
		}
		info.Formats[f.file.Format]++
		info.Colors[f.file.Color]++
		widths, heights = append(widths, f.file.Width), append(heights, f.file.Height)
	}
	info.Width, info.Height = rangeOf(widths), rangeOf(heights)
}

func rangeOf(x []int) Range {
	if len(x) == 0 {
		return Range{}
	}
	slices.Sort(x)
	return Range{x[0], x[len(x)/2], x[len(x)-1]}
}
