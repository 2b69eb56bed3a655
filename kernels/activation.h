// The activations and their gradients.
#pragma once
#include "values.h"

enum { LINEAR, RELU, TANH }; // device.Activation

// activation keeps NaN.
__device__ inline float activation(float x, int act) {
	if (act == RELU) return x < 0 ? 0 : x;
	return act == TANH ? tanhf(x) : x;
}

// slope is dy times the activation's derivative where it gave y: ReLU passes what was not 0, tanh' = 1 - y^2.
__device__ inline float slope(float y, float dy, int act) {
	if (act == RELU) return y == 0 ? 0 : dy;
	return act == TANH ? dy * (1 - y * y) : dy;
}
