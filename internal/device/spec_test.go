package device

import "testing"

// Sizes of the paper's maps and of cuda-convnet's CIFAR-10 nets, which round up.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name string
		size func(in, window, stride, pad int, up bool) int

		in, window, stride, pad int
		up                      bool
		want                    int
	}{
		{"conv1 of the paper", ConvSize, 224, 11, 4, 0, true, 55}, // ceil((224-11)/4) + 1
		{"conv1 rounded down", ConvSize, 224, 11, 4, 0, false, 54},
		{"conv1 of 227", ConvSize, 227, 11, 4, 0, false, 55},
		{"conv1 of torchvision", ConvSize, 224, 11, 4, 2, false, 55},
		{"conv2", ConvSize, 27, 5, 1, 2, false, 27},
		{"kernel as large as the map", ConvSize, 5, 5, 3, 0, true, 1},
		{"kernel larger than the map", ConvSize, 4, 7, 1, 1, true, 0},
		{"pool1", PoolSize, 55, 3, 2, 0, true, 27},
		{"pool2", PoolSize, 27, 3, 2, 0, true, 13},
		{"pool5", PoolSize, 13, 3, 2, 0, true, 6},
		{"CIFAR pool1", PoolSize, 32, 3, 2, 0, true, 16},
		{"CIFAR pool2", PoolSize, 16, 3, 2, 0, true, 8},
		{"CIFAR pool3", PoolSize, 8, 3, 2, 0, true, 4},
		{"CIFAR pool1 rounded down", PoolSize, 32, 3, 2, 0, false, 15},
		// Windows at -1, 2, 5: the third starts beyond a map of 5.
		{"last window outside of the map", PoolSize, 5, 2, 3, 1, true, 2},
		{"last window on the edge", PoolSize, 6, 2, 3, 1, true, 3},
	} {
		if got := c.size(c.in, c.window, c.stride, c.pad, c.up); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
