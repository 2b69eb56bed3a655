package devicetest

import (
	"testing"

	"alexnet/internal/device"
)

// testChains runs nets whose neighbours a backend may fuse, lay out alike or keep in place.
func testChains(t *testing.T, run runner) {
	up := device.Pool{Window: 3, Stride: 2, RoundUp: true}
	down := device.Pool{Window: 3, Stride: 2}
	run(t, []netCase{
		one("conv relu lrn pool conv", 3, 23, 23, 3, 0, func(b *builder, x device.Value) device.Value {
			x = b.conv("conv1", 16, device.Conv{Kernel: 5, Stride: 2, RoundUp: true, Act: device.ReLU}, x)
			x = b.pool("pool1", down, b.lrn("lrn1", 5, 2, x))
			return b.conv("conv2", 24, device.Conv{Kernel: 3, Pad: 1, Groups: 2, Act: device.ReLU}, x)
		}),
		one("conv relu lrn of whole blocks, pool", 3, 15, 13, 3, 2, func(b *builder, x device.Value) device.Value {
			return b.pool("pool1", up, b.lrn("lrn1", 5, 2, b.conv("conv1", 32, device.Conv{Kernel: 3, Act: device.ReLU},
				x)))
		}),
		// Where conv2 looks beyond its map memory may hold what conv1 made.
		one("conv pool conv rounded up", 3, 12, 12, 3, 0, func(b *builder, x device.Value) device.Value {
			x = b.pool("pool1", down, b.conv("conv1", 8, device.Conv{Kernel: 3, Pad: 1}, x)) // 8x5x5
			return b.conv("conv2", 9, device.Conv{Kernel: 4, Stride: 2, RoundUp: true}, x)   // 2x2: 6 wanted, 5 there
		}),
		one("conv relu pool conv", 3, 12, 12, 3, 2, func(b *builder, x device.Value) device.Value {
			x = b.pool("pool1", up, b.conv("conv1", 20, device.Conv{Kernel: 3, Pad: 1, Act: device.ReLU}, x))
			return b.conv("conv2", 9, device.Conv{Kernel: 3, Pad: 1}, x)
		}),
		one("conv relu conv relu conv", 3, 8, 8, 2, 0, func(b *builder, x device.Value) device.Value {
			for i, name := range []string{"conv1", "conv2", "conv3"} {
				x = b.conv(name, 16+8*i, device.Conv{Kernel: 3, Pad: 1, Act: device.ReLU}, x)
			}
			return x
		}),
		one("conv pool relu lrn", 3, 11, 11, 2, 0, func(b *builder, x device.Value) device.Value {
			x = b.pool("pool1", down, b.conv("conv1", 16, device.Conv{Kernel: 3}, x))
			return b.lrn("lrn1", 3, 1, b.activate("relu1", device.ReLU, x))
		}),
		one("conv tanh avg fc", 1, 9, 9, 3, 0, func(b *builder, x device.Value) device.Value {
			x = b.conv("conv1", 6, device.Conv{Kernel: 3, Pad: 1, Act: device.Tanh}, x)
			x = b.pool("pool1", device.Pool{Kind: device.Avg, Window: 3, Stride: 2, RoundUp: true}, x)
			return b.fc("fc", 10, device.Tanh, x)
		}),
		one("fc relu dropout fc", 3, 6, 6, 4, 0, func(b *builder, x device.Value) device.Value {
			x = b.dropout("drop6", .5, 0, b.fc("fc6", 48, device.ReLU, x))
			x = b.dropout("drop7", .5, 0, b.fc("fc7", 33, device.ReLU, x))
			return b.softmax(b.fc("fc8", 7, device.Linear, x))
		}),
		one("pool fc dropout", 3, 8, 8, 5, 3, func(b *builder, x device.Value) device.Value {
			x = b.pool("pool5", down, b.conv("conv5", 16, device.Conv{Kernel: 3, Pad: 1, Act: device.ReLU}, x))
			return b.softmax(b.dropout("drop6", .4, 5, b.fc("fc6", 12, device.ReLU, x)))
		}),
		one("lrn pool on the picture", 3, 9, 9, 2, 0, func(b *builder, x device.Value) device.Value {
			return b.fc("fc", 5, device.Linear, b.pool("pool", up, b.lrn("lrn", 3, 1, x)))
		}),
		one("a small AlexNet", 3, 47, 47, 3, 0, smallAlexNet),
	})
}

// smallAlexNet has every layer of the paper's net on one device, both columns as groups, some thirtieth of the size.
func smallAlexNet(b *builder, x device.Value) device.Value {
	pool := device.Pool{Window: 3, Stride: 2, RoundUp: true}
	x = b.conv("conv1", 8, device.Conv{Kernel: 11, Stride: 4, RoundUp: true, Act: device.ReLU}, x) // 8x10x10
	x = b.pool("pool1", pool, b.lrn("lrn1", 5, 2, x))                                              // 8x5x5
	x = b.conv("conv2", 16, device.Conv{Kernel: 5, Pad: 2, Groups: 2, Act: device.ReLU}, x)        // 16x5x5
	x = b.pool("pool2", pool, b.lrn("lrn2", 5, 2, x))                                              // 16x2x2
	x = b.conv("conv3", 12, device.Conv{Kernel: 3, Pad: 1, Act: device.ReLU}, x)                   // reads both columns
	x = b.conv("conv4", 12, device.Conv{Kernel: 3, Pad: 1, Groups: 2, Act: device.ReLU}, x)        // 12x2x2
	x = b.conv("conv5", 8, device.Conv{Kernel: 3, Pad: 1, Groups: 2, Act: device.ReLU}, x)         // 8x2x2
	x = b.pool("pool5", device.Pool{Window: 2, Stride: 2}, x)                                      // 8x1x1
	x = b.dropout("drop6", .5, 0, b.fc("fc6", 24, device.ReLU, x))
	x = b.dropout("drop7", .5, 0, b.fc("fc7", 24, device.ReLU, x))
	return b.softmax(b.fc("fc8", 7, device.Linear, x))
}
