package train

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/crafted"
	"alexnet/internal/data"
	"alexnet/internal/safetensors"
	"alexnet/internal/schedule"
	"alexnet/internal/step"
	"alexnet/internal/tensor"
)

func crafty(t testing.TB, b []byte) *checkpoint.Checkpoint {
	t.Helper()
	r, err := safetensors.NewReader("f", bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := checkpoint.LoadFrom(r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sixteen are the pictures of the crafted checkpoints, as far as a history knows them.
func sixteen(fingerprint string) *data.Source {
	var all []data.Record
	for i := range 16 {
		all = append(all, data.Record{Name: fmt.Sprintf("cat/%d", i), Number: int32(i)})
	}
	s := data.New(data.Contents{Classes: []string{"cat", "dog"}, Train: all}, data.Memory(make([][]byte, 16)), 0, 1)
	s.Fingerprint = fingerprint
	return s
}

// A number that no run could have remembered is one of a damaged file.
func TestCraftedHistory(t *testing.T) {
	sound := crafty(t, crafted.SoundCheckpoint())
	source := sixteen(sound.Data.Fingerprint)
	if _, err := historyOf(sound, source); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range crafted.Checkpoints() {
		if f.At != crafted.Resumed || f.Want != "schedule" {
			continue
		}
		n++
		_, err := historyOf(crafty(t, f.Bytes()), source)
		var bad *tensor.BadFile
		if !errors.As(err, &bad) || bad.Path != "f" || !strings.Contains(err.Error(), f.Want) {
			t.Errorf("%s: error %v", f.Name, err)
		}
	}
	if n < 20 {
		t.Errorf("only %d cases", n)
	}
	// Of other pictures there are other numbers: that they are others is told elsewhere.
	sound.Sample = 33
	if _, err := historyOf(sound, source); !errors.As(err, new(*tensor.BadFile)) {
		t.Errorf("a sample of the third epoch after one: %v", err)
	}
	if _, err := historyOf(sound, sixteen("others")); err != nil {
		t.Errorf("with other pictures: %v", err)
	}
}

// Whatever the state of the schedule: an error of the file's, or a history that is kept as it is.
func FuzzHistory(f *testing.F) {
	sound := crafty(f, crafted.SoundCheckpoint())
	f.Add(sound.Sample, []byte(sound.Schedule))
	for _, c := range crafted.Checkpoints() {
		if c.At == crafted.Resumed && c.Want == "schedule" {
			f.Add(uint64(0), []byte(crafty(f, c.Bytes()).Schedule))
		}
	}
	source := sixteen(sound.Data.Fingerprint)
	f.Fuzz(func(t *testing.T, sample uint64, state []byte) {
		c := *sound
		c.Sample, c.Schedule = sample, state
		h, err := historyOf(&c, source)
		if err != nil {
			if !errors.As(err, new(*tensor.BadFile)) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		c.Schedule = h.marshal()
		again, err := historyOf(&c, source)
		if err != nil || !bytes.Equal(again.marshal(), c.Schedule) {
			t.Errorf("%s became %s, %v", c.Schedule, again.marshal(), err)
		}
	})
}

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
		// since a batch without a picture is no step
		`{"validated":1,"validated_at":3,"epoch_bad":17,"passed":2}`: {
			Validated: 1, ValidatedAt: 3, EpochBad: 17, Passed: 2,
		},
		`{"validated":0,"validated_at":0,"epoch_loss":2.5,"epoch_pictures":8,` +
			`"exchange":{"steps":2,"bytes":4096}}`: {
			EpochLoss: 2.5, EpochPictures: 8, Exchange: exchanged{Steps: 2, Bytes: 4096},
		},
		`{"validated":1,"validated_at":1000,"steps":1000}`: {Validated: 1, ValidatedAt: 1000, Steps: 1000},
	} {
		c := &checkpoint.Checkpoint{Step: 1000, Sample: 16_000, Schedule: []byte(old)}
		h, err := historyOf(c, sixteen("others"))
		if err != nil || !reflect.DeepEqual(h, want) {
			t.Errorf("%s is %+v, %v; want %+v", old, h, err, want)
		}
		if again := string(h.marshal()); again != old {
			t.Errorf("%s is written as %s", old, again)
		}
	}
	if h, err := historyOf(&checkpoint.Checkpoint{}, sixteen("others")); err != nil || h != (history{}) {
		t.Errorf("of nothing: %+v, %v", h, err)
	}
	broken := &checkpoint.Checkpoint{Schedule: []byte(`{"drops": "many"}`)}
	if _, err := historyOf(broken, sixteen("others")); err == nil {
		t.Error("a broken state was accepted")
	}
}
