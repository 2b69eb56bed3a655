package step

import (
	"fmt"

	"alexnet/internal/config"
	"alexnet/internal/device"
)

// Precision is that in which a trained net computes on devices: its configuration's, or fp32 and the reason where they
// lack that. Its weights are fp32 in any case.
func Precision(cfg *config.Config, devs []device.Device) (p device.Precision, lacking, err error) {
	if p, err = device.ParsePrecision(cfg.Train.Precision); err != nil {
		return p, nil, err
	}
	for _, d := range devs {
		if lacking = device.Supports(d, p); lacking != nil {
			return device.FP32, fmt.Errorf("%s: %w", d.Name(), lacking), nil
		}
	}
	return p, nil, nil
}
