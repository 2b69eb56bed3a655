package step

import (
	"sort"

	"alexnet/internal/device"
	"alexnet/internal/machine"
	"alexnet/internal/model"
)

// Room is what the process may still take once nets have their memory: see CheckRoom.
type Room struct {
	Left  int64 // bytes; 0 where no limit is known, too
	Known bool
	Short int64 // bytes that would have to be swapped or taken from others: more than is free now; 0: enough is
}

// hosted is what nets take of the computer's own memory: of a device that has another, only what it reads from.
func hosted(devs []device.Device, nets []*model.Net) (plan device.MemoryPlan) {
	for d, dev := range devs {
		_, elsewhere := dev.(device.Pinner)
		for _, n := range nets {
			for _, item := range n.Memory()[d] {
				if !elsewhere || item.Purpose == device.PurposePinned {
					plan = plan.Add(item)
				}
			}
		}
	}
	return plan
}

// CheckRoom compares what compiled nets are going to take of the computer's memory with the limits that hold for this
// process. Where they do not fit it fails with a *device.MemoryError, which names the limit and the largest batch that
// does: found by compiling nets of fewer rows with the options that these were compiled with. Nothing is allocated. Low
// free memory is no error.
func CheckRoom(arch *model.Arch, devs []device.Device, nets []*model.Net, options []model.Options) (Room, error) {
	return checkRoom(machine.MemoryNow(), arch, devs, nets, options)
}

func checkRoom(m machine.Memory, arch *model.Arch, devs []device.Device, nets []*model.Net, options []model.Options,
) (Room, error) {
	plan := hosted(devs, nets)
	need := plan.Total()
	room := Room{}
	if m.Available > 0 {
		room.Short = max(0, need-m.Available)
	}
	limit := m.Tightest()
	if limit == nil {
		return room, nil
	}
	spare := limit.Spare()
	if need <= spare {
		room.Left, room.Known = spare-need, true
		return room, nil
	}
	rows := options[0].Rows
	fits := sort.Search(rows-1, func(less int) bool {
		smaller, err := planOf(arch, devs, options, less+1)
		return err != nil || smaller.Total() > spare
	})
	return room, &device.MemoryError{
		Plan: plan, Free: spare, Rows: rows, Fits: fits, Limit: limit.From, Of: limit.Bytes,
	}
}

// CheckStart refuses to begin where a limit leaves less than the process takes besides nets: Go and the libraries that
// compute end it where they get no memory. more is what it will map and may write beyond that, in bytes, though not
// touch. The error is a *device.MemoryError of no net.
func CheckStart(more int64) error { return checkStart(machine.MemoryNow(), more) }

func checkStart(m machine.Memory, more int64) error {
	for _, l := range m.Limits {
		need := more
		if l.Of == machine.Resident {
			need = 0
		}
		if l.Spare() <= need {
			return &device.MemoryError{Free: l.Left(), Limit: l.From, Of: l.Bytes}
		}
	}
	return nil
}

// planOf compiles nets of so many rows, on parameters of their own, to see what they take.
func planOf(arch *model.Arch, devs []device.Device, options []model.Options, rows int) (device.MemoryPlan, error) {
	m, err := model.Open(arch, devs)
	if err != nil {
		return nil, err
	}
	var nets []*model.Net
	defer func() {
		for _, n := range nets {
			_ = n.Close() // it has no memory
		}
		_ = m.Close()
	}()
	for _, o := range options {
		o.Rows = rows
		n, err := m.Compile(o)
		if err != nil {
			return nil, err
		}
		nets = append(nets, n)
	}
	return hosted(devs, nets), nil
}
