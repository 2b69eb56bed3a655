package infer

import (
	"slices"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
)

// TestRelabel: the data's classes are found by name, wherever they stand in the checkpoint.
func TestRelabel(t *testing.T) {
	t.Parallel()
	labels, err := matchClasses(&checkpoint.Checkpoint{Classes: []string{"dog", "cat", "bird"}}, []string{
		"bird", "cat", "dog",
	})
	if err != nil || !slices.Equal(labels, []int32{2, 1, 0}) {
		t.Errorf("labels %v, %v", labels, err)
	}
	r := relabel{from: fixed{labels: []int32{0, -1, 2, 0}}, labels: []int32{2, 1, 0}}
	if info, err := r.Next(); err != nil || !slices.Equal(info.Batch.Labels, []int32{2, -1, 0, 0}) {
		t.Errorf("relabelled %v, %v", info.Batch.Labels, err)
	}
}

// fixed feeds these labels, the last of which lies beyond the rows in use.
type fixed struct{ labels []int32 }

func (f fixed) Next() (data.Info, error) {
	return data.Info{Rows: len(f.labels) - 1, Batch: data.Rows{Labels: f.labels}}, nil
}
