package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/config"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// thaw is the override that gives up what the page of a file to start from had frozen: a new run says itself what it
// freezes.
const thaw = "model.*.freeze=false"

// freezeLayers freezes the layers that --freeze names, in a page that is this run's own.
func (o *trainOptions) freezeLayers(cfg *config.Config, t *ui.Terminal) error {
	if o.freeze == "" {
		return nil
	}
	names := weighted(cfg.Model)
	frozen, err := layersOf(o.freeze, names)
	if err == nil && len(frozen) == len(names) {
		err = errors.New("no layer would be left to learn")
	}
	if err != nil {
		return usageError("the layers with weights, in order: "+strings.Join(names, ", "), "--freeze %s: %v",
			text.Name(o.freeze), err)
	}
	cfg.Model.Layers = slices.Clone(cfg.Model.Layers)
	for i := range cfg.Model.Layers {
		if l := &cfg.Model.Layers[i]; slices.Contains(frozen, l.Name) {
			l.Freeze = true
		}
	}
	if o.init == "" {
		t.Note("frozen layers stay as the seed draws them: --init begins with weights that have learned something")
	}
	return nil
}

// weighted are the names of a net's layers with weights, in its order.
func weighted(m config.Model) (names []string) {
	for i := range m.Layers {
		if m.Layers[i].Kind.Weighted() {
			names = append(names, m.Layers[i].Name)
		}
	}
	return names
}

// layersOf are the layers of a list of names and ranges of names.
func layersOf(list string, names []string) (chosen []string, err error) {
	find := func(name string) int {
		i := slices.Index(names, name)
		if name == "" && err == nil {
			err = errors.New("a name is missing")
		}
		if i < 0 && err == nil {
			err = errors.New("there is no layer " + text.Name(name) + " with weights")
			if near := text.Nearest(name, names); near != "" {
				err = errors.New(err.Error() + "; nearest: " + near)
			}
		}
		return i
	}
	for _, part := range strings.Split(list, ",") {
		from, to, is := strings.Cut(part, "-")
		if !is {
			to = from
		}
		from, to = strings.TrimSpace(from), strings.TrimSpace(to)
		first, last := find(from), find(to)
		if err == nil && first > last {
			err = errors.New(from + " comes after " + to)
		}
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, names[first:last+1]...)
	}
	slices.Sort(chosen)
	return slices.Compact(chosen), nil
}

// completeFreeze offers the layers with weights of the net that is to be trained, after what stands before the last
// comma or dash.
func completeFreeze(c *cobra.Command, typed string) ([]string, cobra.ShellCompDirective) {
	load := func() (*config.Config, error) { return config.Load(pageName(c), nil) }
	if path := c.Flag("init").Value.String(); path != "" && !c.Flag("config").Changed {
		load = func() (*config.Config, error) { return pageIn(path) }
	}
	cfg, err := load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	before := typed[:strings.LastIndexAny(typed, ",-")+1]
	var all []string
	for _, name := range weighted(cfg.Model) {
		all = append(all, before+name)
	}
	return keepPrefix(all, typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
