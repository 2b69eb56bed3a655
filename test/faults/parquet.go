package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"alexnet/internal/parquet"
)

var spoiltParquet = row{
	name: "parquet", short: 100, long: 2000,
	fault: "a Parquet file of pictures with bits flipped, bytes exchanged, zeroed, missing, or from another one",
	how: "files of datasets and pyarrow; fifty a case are read whole, one of each case by data info, which has 1 GB; " +
		"survived: rows, or an error of the reader's own, no panic and no more rows than bytes. The form has no " +
		"checksums: what is spoilt in a picture is not found here",
	open: openParquet,
}

const parquetsAtOnce = 50

func openParquet(_ context.Context, s *setup) (caseFunc, error) {
	names, err := filepath.Glob("internal/parquet/testdata/*.parquet")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, skip("no files here: it is to be started in the repository")
	}
	var all [][]byte
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return func(ctx context.Context, c *testCase) error {
		c.counts(parquetsAtOnce)
		var spoilt []byte
		for range parquetsAtOnce {
			spoilt = spoil(c.rand, all[c.rand.IntN(len(all))], all[c.rand.IntN(len(all))])
			if err := readParquet(ctx, spoilt); err != nil {
				return errors.Join(err, c.note("spoilt.parquet", spoilt))
			}
		}
		return infoOnParquet(ctx, s, c, spoilt)
	}, nil
}

// infoOnParquet gives a file to the program.
func infoOnParquet(ctx context.Context, s *setup, c *testCase, file []byte) error {
	if err := c.note("spoilt.parquet", file); err != nil {
		return err
	}
	limit := limits{memory: 1 << 30, time: 20 * time.Second}
	end, err := limited(ctx, limit, c.dir, s.alexnet, "data", "info", "spoilt.parquet")
	if err != nil {
		return err
	}
	return end.civil()
}

// readParquet reads a file whole, and tells what must not come of it.
func readParquet(ctx context.Context, b []byte) error {
	rows := 0
	f, err := parquet.Open(bytes.NewReader(b), int64(len(b)))
	if err == nil {
		err = f.Each(ctx, func(int64, string, int64, []byte) error {
			rows++
			return nil
		})
	}
	switch {
	case err != nil && !errors.As(err, new(*parquet.Error)):
		return fmt.Errorf("%T: %w", err, err)
	case rows > len(b):
		return fmt.Errorf("%d rows of %d bytes", rows, len(b))
	}
	return nil
}
