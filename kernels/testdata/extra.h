// Kernels for the tests alone: with errors, which host.h and the tests' guards must notice, and one that shows what
// Divider does.
KERNEL bad_exit(float *x) { // half of the threads leave before the barrier
	if (threadIdx.x < THREADS / 2) return;
	__syncthreads();
	x[threadIdx.x] = 1;
}

KERNEL bad_branch(float *x) { // two barriers
	if (threadIdx.x % 2) {
		x[threadIdx.x] = 1;
		__syncthreads();
	} else {
		__syncthreads();
	}
}

KERNEL bad_race(float *x) { // reads what another thread writes, without a barrier
	x[threadIdx.x] = 1;
	x[threadIdx.x] += x[(threadIdx.x + 1) % THREADS];
}

KERNEL bad_write(float *x) { x[-1] = 1; }

KERNEL bad_narrow(float *x, int n) { x[0] = (float)n; }

KERNEL good_barriers(float *x) { // a sum by halves
	for (int k = THREADS / 2; k > 0; k /= 2) {
		if ((int)threadIdx.x < k) x[threadIdx.x] += x[threadIdx.x + k];
		__syncthreads();
	}
}

KERNEL divide(unsigned *n, i64 count, i64 by) { // n[i] becomes n[i] / by
	const Divider d(by);
	for (i64 i = first(); i < count; i += step()) d.split(&n[i]);
}
