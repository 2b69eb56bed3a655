package backend

import (
	"errors"
	"fmt"

	"alexnet/internal/device"
)

// CheckProgram refuses what no backend compiles: a precision that the device lacks, a program that breaks the rules,
// parameters that are not the device's own, and a training program that is not the first on them, which used tells.
func CheckProgram(d device.Device, p *device.Program, own, used bool) error {
	if err := device.Supports(d, p.Precision); err != nil {
		return err
	}
	if err := p.Check(); err != nil {
		return err
	}
	if !own {
		return errors.New("the program's parameters belong to another device, or are closed")
	}
	if p.Train && used {
		return errors.New("a training program must be the first on its parameters, and the only one")
	}
	return nil
}

// CheckSpecs refuses parameters without numbers.
func CheckSpecs(specs []device.ParamSpec) error {
	for _, s := range specs {
		empty := len(s.Shape) == 0
		for _, n := range s.Shape {
			empty = empty || n < 1
		}
		if empty {
			return fmt.Errorf("parameter %s has shape %v", s.Name, s.Shape)
		}
	}
	return nil
}

// CheckParam refuses a Fetch or Store of so many numbers of a parameter that does not exist or has others.
func CheckParam(specs []device.ParamSpec, id device.Param, numbers int) error {
	if id < 0 || int(id) >= len(specs) {
		return fmt.Errorf("parameter %d of %d", id, len(specs))
	}
	if want := specs[id].Len(); numbers != want {
		return fmt.Errorf("%s has %d numbers, not %d", specs[id].Name, want, numbers)
	}
	return nil
}

// NoPart is the refusal of a part that no net has asked for, or for which none took memory yet.
func NoPart(s device.ParamSpec, part device.Part) error {
	return fmt.Errorf("%s has no %v: no program that was allocated uses it so", s.Name, part)
}
