package train

import (
	"reflect"
	"testing"

	"alexnet/internal/schedule"
	"alexnet/internal/step"
)

// TestHistory: what checkpoints of the first versions hold, written by them, is understood and written again to the
// byte.
func TestHistory(t *testing.T) {
	t.Parallel()
	for old, want := range map[string]history{
		`{"validated":0,"validated_at":0}`: {},
		`{"validated":0,"validated_at":0,"epoch_loss":82.6758838891983,"epoch_pictures":32}`: {
			EpochLoss: 82.6758838891983, EpochPictures: 32,
		},
		`{"validated":2,"validated_at":8,` +
			`"last":{"images":20,"top1_error":0.9,"top5_error":0.5,"loss":2.31344587802887},` +
			`"seen":2,"lowest":0.9,"drops":1,"epoch_loss":139.04228615760803,"epoch_pictures":60}`: {
			Validated: 2, ValidatedAt: 8,
			Last:      &step.Score{Images: 20, Top1Error: .9, Top5Error: .5, Loss: 2.31344587802887},
			Plateau:   schedule.Plateau{Seen: 2, Lowest: .9, Drops: 1},
			EpochLoss: 139.04228615760803, EpochPictures: 60,
		},
		`{"validated":25,"validated_at":100,` +
			`"last":{"images":20,"top1_error":0.9,"top5_error":0.5,"loss":2.302692413330078},` +
			`"seen":25,"lowest":0.9,"since":15,"drops":3,"epoch_loss":73.75323867797852,"epoch_pictures":32,` +
			`"start":{"from":90,"to":120,"sum":27.65035080909729,"steps":12}}`: {
			Validated: 25, ValidatedAt: 100,
			Last:    &step.Score{Images: 20, Top1Error: .9, Top5Error: .5, Loss: 2.302692413330078},
			Plateau: schedule.Plateau{Seen: 25, Lowest: .9, Since: 15, Drops: 3}, EpochLoss: 73.75323867797852,
			EpochPictures: 32, Start: deadState{From: 90, To: 120, Sum: 27.65035080909729, Steps: 12},
		},
	} {
		h, err := readHistory([]byte(old))
		if err != nil || !reflect.DeepEqual(h, want) {
			t.Errorf("%s is %+v, %v; want %+v", old, h, err, want)
		}
		if again := string(h.marshal()); again != old {
			t.Errorf("%s is written as %s", old, again)
		}
	}
	if h, err := readHistory(nil); err != nil || h != (history{}) {
		t.Errorf("of nothing: %+v, %v", h, err)
	}
	if _, err := readHistory([]byte(`{"drops": "many"}`)); err == nil {
		t.Error("a broken state was accepted")
	}
}
