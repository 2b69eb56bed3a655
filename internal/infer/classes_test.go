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
	r := relabel{from: fixed{labels: []int32{0, -1, 2}}, labels: []int32{2, 1, 0}}
	dst := data.Rows{Labels: make([]int32, 4)}
	if _, err := r.Next(dst); err != nil || !slices.Equal(dst.Labels[:3], []int32{2, -1, 0}) {
		t.Errorf("relabelled %v, %v", dst.Labels, err)
	}
}

// fixed feeds the same labels for ever.
type fixed struct{ labels []int32 }

func (f fixed) Next(dst data.Rows) (data.Info, error) {
	copy(dst.Labels, f.labels)
	return data.Info{Rows: len(f.labels)}, nil
}
