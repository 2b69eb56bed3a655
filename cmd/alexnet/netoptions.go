package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/config"
)

// netOptions are the flags that describe a net and its training. Flags are shorthand for keys of the configuration;
// --set is applied last.
type netOptions struct {
	config string
	set    []string
	batch  int
	seed   uint64

	typed []string          // the shorthands as key=value
	flags map[string]string // and, by that, as they were typed: what an error calls them
}

func (o *netOptions) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.config, "config", "", "configuration, by `NAME` ("+strings.Join(config.Names(), ", ")+") or file")
	f.StringArrayVar(&o.set, "set", nil,
		"override `KEY=VALUE`, as in train.lr=0.001, model.conv3.kernels=256, model.conv4=off (may be repeated)")
}

func (o *netOptions) addBatch(c *cobra.Command) {
	c.Flags().IntVar(&o.batch, "batch", 0, "pictures a step: `N` (train.batch)")
}

func (o *netOptions) addSeed(c *cobra.Command) {
	c.Flags().Uint64Var(&o.seed, "seed", 0, "`N`, the number that all draws start from (train.seed)")
}

// check collects the shorthands that were typed, and refuses numbers below 1.
func (o *netOptions) check(c *cobra.Command, d *deviceOptions) error {
	if c.Flags().Changed("batch") {
		if o.batch < 1 {
			return usageError(c.CommandPath()+" --help", "--batch %d: want at least 1", o.batch)
		}
		o.addShorthand("batch", "train.batch", o.batch)
	}
	if c.Flags().Changed("seed") {
		o.addShorthand("seed", "train.seed", o.seed)
	}
	if d != nil && d.precision != "" {
		o.addShorthand("precision", "train.precision", d.precision)
	}
	return nil
}

func (o *netOptions) addShorthand(flag, key string, value any) {
	set := fmt.Sprintf("%s=%v", key, value)
	o.typed = append(o.typed, set)
	if o.flags == nil {
		o.flags = map[string]string{}
	}
	o.flags[set] = fmt.Sprintf("--%s %v", flag, value)
}

// page is the configuration's name, or fallback where none was named, and all overrides in the order in which they are
// applied.
func (o *netOptions) page(fallback string) (name string, sets []string) {
	if name = o.config; name == "" {
		name = fallback
	}
	return name, append(append([]string{}, o.typed...), o.set...)
}

// load reads the configuration, or fallback where none was named.
func (o *netOptions) load(ctx context.Context, fallback string) (cfg *config.Config, err error) {
	err = orInterrupted(ctx, func() (err error) {
		cfg, err = config.Load(o.page(fallback))
		return err
	})
	if err != nil {
		return nil, o.nameFlag(err)
	}
	return cfg, nil
}

// orInterrupted is the error of read, or why the context ended before read did. A pipe is waited for until somebody
// writes into it, and nothing but the end of the process ends that: what read works with must not be touched then.
func orInterrupted(ctx context.Context, read func() error) error {
	done := make(chan error, 1)
	go func() { done <- read() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// nameFlag names the flag in the error about a value that came by one.
func (o *netOptions) nameFlag(err error) error {
	var e *config.Error
	if !errors.As(err, &e) || !e.Override {
		return err
	}
	named := *e
	named.Source = o.typedAs(e.Source)
	return &named
}

// typedAs is an override as it was typed: "--batch 3", "--set train.lr=0.1".
func (o *netOptions) typedAs(override string) string {
	if flag, ok := o.flags[override]; ok {
		return flag
	}
	return "--set " + override
}
