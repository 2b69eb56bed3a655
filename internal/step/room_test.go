package step

import (
	"errors"
	"strings"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/machine"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
	"alexnet/internal/reference"
)

// TestCheckRoom: what does not fit is refused before anything is taken, with the largest batch that fits; what only is
// not free at the moment is told.
func TestCheckRoom(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load("demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Model, err = cfg.Model.ForClasses(10); err != nil {
		t.Fatal(err)
	}
	arch, err := model.New(cfg.Model, true)
	if err != nil {
		t.Fatal(err)
	}
	devs := reference.Open(1)
	size := cfg.Model.Input.Size
	o := []model.Options{
		{Rows: 64, Train: true, Input: recipe.Recipe{Width: size, Height: size, Channels: 3, Crop: size}, Slots: 5},
		{Rows: 64, Input: recipe.Recipe{Width: size, Height: size, Channels: 3, Crop: size}, Slots: 5},
	}
	m, err := model.Open(arch, devs)
	if err != nil {
		t.Fatal(err)
	}
	var nets []*model.Net
	for _, o := range o {
		n, err := m.Compile(o)
		if err != nil {
			t.Fatal(err)
		}
		nets = append(nets, n)
	}
	need := int64(0)
	for _, n := range nets {
		need += n.Memory()[0].Total()
	}
	with := func(spare int64) machine.Memory {
		l := machine.Limit{Of: machine.Resident, From: "a test", Used: 1}
		for l.Bytes = 1; l.Spare() < spare; l.Bytes += spare - l.Spare() {
			if l.Spare() == 0 {
				l.Bytes += 1 << 20
			}
		}
		l.Bytes -= l.Spare() - spare
		return machine.Memory{Available: need / 2, Limits: []machine.Limit{l}}
	}
	room, err := checkRoom(with(need+5), arch, devs, nets, o)
	if err != nil || room.Left != 5 || !room.Known || room.Short != need-need/2 {
		t.Errorf("%+v, %v", room, err)
	}
	if room, err = checkRoom(machine.Memory{}, arch, devs, nets, o); err != nil || room != (Room{}) {
		t.Errorf("nothing known: %+v, %v", room, err)
	}
	for _, c := range []struct {
		spare int64
		fits  func(rows int) bool
	}{
		{need - 1, func(rows int) bool { return rows == 63 }},
		{need * 2 / 3, func(rows int) bool { return rows > 10 && rows < 60 }},
		{need / 1000, func(rows int) bool { return rows == 0 }},
	} {
		_, err := checkRoom(with(c.spare), arch, devs, nets, o)
		var short *device.MemoryError
		if !errors.As(err, &short) {
			t.Fatalf("%d of %d: %v", c.spare, need, err)
		}
		if !c.fits(short.Fits) || short.Rows != 64 || short.Free != c.spare || short.Plan.Total() != need ||
			short.Limit != "a test" {
			t.Errorf("%d of %d: %+v", c.spare, need, short)
		}
		if short.Fits == 0 {
			continue
		}
		// what is said to fit does, and a picture more does not
		for rows, want := range map[int]bool{short.Fits: true, short.Fits + 1: false} {
			plan, err := planOf(arch, devs, o, rows)
			if err != nil || plan.Total() <= c.spare != want {
				t.Errorf("%d rows take %d of %d: %v", rows, plan.Total(), c.spare, err)
			}
		}
	}
}

// TestCheckStart: where the program itself does not fit, no device is opened; a byte more, and it begins.
func TestCheckStart(t *testing.T) {
	l := machine.Limit{Of: machine.Mapped, From: "a test", Bytes: 1 << 30, Used: 1 << 29}
	for l.Spare() > 0 {
		l.Bytes--
		l.Bytes -= l.Spare() / 2
	}
	var short *device.MemoryError
	if err := checkStart(machine.Memory{Limits: []machine.Limit{l}}, 0); !errors.As(err, &short) {
		t.Fatalf("%+v: %v", l, err)
	}
	if short.Free != l.Left() || short.Of != l.Bytes || short.Limit != "a test" ||
		!strings.Contains(short.Error(), "too little") {
		t.Errorf("%+v: %v", short, short)
	}
	l.Bytes++
	if err := checkStart(machine.Memory{Limits: []machine.Limit{l}}, 0); err != nil {
		t.Errorf("a byte more: %v", err)
	}
	if err := checkStart(machine.Memory{Limits: []machine.Limit{l}}, 1); !errors.As(err, &short) {
		t.Errorf("a byte more, which is wanted: %v", err)
	}
	if err := checkStart(machine.Memory{}, 0); err != nil {
		t.Errorf("nothing known: %v", err)
	}
}
