// What Go calls: onednn.c wraps the library, the other files hold the loops of our own, an op each.
#ifndef ALEXNET_CPU_H
#define ALEXNET_CPU_H

#include <oneapi/dnnl/dnnl.h>
#include <stdint.h>

// ---- onednn.c: everything that depends on the version of oneDNN's interface is behind these.

// cpu_load opens oneDNN and the OpenMP runtime that it uses; the text says what failed, NULL: nothing.
const char *cpu_load(void);
void cpu_version(int *major, int *minor, int *patch);

int cpu_max_threads(void);

// cpu_team makes the calling thread's team one of n threads, or of as many as OpenMP gives: fewer than were asked for
// where it has a limit (OMP_THREAD_LIMIT, OMP_MAX_ACTIVE_LEVELS). From then on the runtime promises no more than these:
// oneDNN divides work by what is promised, and its barriers wait for all of them. It ends the process where it cannot
// start a thread: see cpu_startable.
int cpu_team(int n);

// cpu_keep_on lets the threads of the calling thread's team run on these cores only.
void cpu_keep_on(const int *cores, int n);

// cpu_places writes the cores of all places that OpenMP binds threads to (OMP_PLACES, OMP_PROC_BIND,
// GOMP_CPU_AFFINITY), and gives their number, which may be more than there was room for; 0: it binds none.
int cpu_places(int *cores, int room);

// cpu_startable is how many of n further threads, with such a stack (0: the usual one), the system lets the process
// start.
int cpu_startable(int n, int64_t stack);

dnnl_status_t cpu_open(dnnl_engine_t *engine, dnnl_stream_t *stream);
void cpu_close(dnnl_engine_t engine, dnnl_stream_t stream);

// cpu_isa names the instructions that the library uses at most; NULL: it does not tell, or the name is not known here.
const char *cpu_isa(void);

// cpu_amx tells that the library multiplies tiles of bf16.
int cpu_amx(void);

// cpu_bfloat16 tells why the library does not compute in bf16 here, or NULL. (It would on any processor: an emulation
// that is slower than fp32.)
const char *cpu_bfloat16(void);

// cpu_desc describes a tensor: dimensions, type, layout. Before oneDNN 3 that is a value; since then it is opaque, and
// this is the address of one that lives as long as the process (no pointer, so that Go may keep it where it likes).
// Either may be copied freely.
#if DNNL_VERSION_MAJOR >= 3
typedef struct {
	uintptr_t address;
} cpu_desc;
#else
typedef dnnl_memory_desc_t cpu_desc;
#endif

// cpu_tensor describes n dimensions in a format, of bf16 or float; cpu_same tells whether two descriptions mean the
// same.
dnnl_status_t cpu_tensor(cpu_desc *md, int n, const int64_t *dims, dnnl_format_tag_t tag, int half);
int cpu_same(const cpu_desc *a, const cpu_desc *b);
int64_t cpu_bytes(const cpu_desc *md);

// cpu_layer is a convolution (spatial) or an inner product; absent sizes are 0.
typedef struct {
	int spatial;
	int64_t stride, pad, pad_bottom, pad_right;
	int64_t inputs, units;      // of an inner product
	dnnl_alg_kind_t activation; // dnnl_alg_kind_undef: none
	cpu_desc src, weights, bias, dst; // as wanted: format any where the library may choose
	cpu_desc diff_weights, diff_dst;  // those of the gradients: src's is as src, the bias's as bias
} cpu_layer;

// The descriptors of a layer's three primitives. The backward ones take the forward one as a hint.
dnnl_status_t cpu_forward(dnnl_engine_t e, const cpu_layer *l, dnnl_primitive_desc_t *pd);
dnnl_status_t cpu_backward_data(dnnl_engine_t e, const cpu_layer *l, dnnl_primitive_desc_t hint,
	dnnl_primitive_desc_t *pd);
dnnl_status_t cpu_backward_weights(dnnl_engine_t e, const cpu_layer *l, dnnl_primitive_desc_t hint,
	dnnl_primitive_desc_t *pd);
dnnl_status_t cpu_reorder(dnnl_engine_t e, const cpu_desc *from, const cpu_desc *to, dnnl_primitive_desc_t *pd);

// cpu_wants gives the layout that a primitive settled on.
void cpu_wants(dnnl_primitive_desc_t pd, dnnl_query_t what, cpu_desc *md);

dnnl_status_t cpu_create(dnnl_primitive_desc_t pd, dnnl_primitive_t *p);
void cpu_forget(dnnl_primitive_desc_t pd);
void cpu_destroy(dnnl_primitive_t p);
dnnl_status_t cpu_memory(dnnl_engine_t e, const cpu_desc *md, void *data, dnnl_memory_t *m);
void cpu_release(dnnl_memory_t m);

// cpu_run runs a primitive and waits for it.
dnnl_status_t cpu_run(dnnl_primitive_t p, dnnl_stream_t s, int n, const dnnl_exec_arg_t *args);

// cpu_convert copies a tensor from one layout to another, once: for reading and writing parameters.
dnnl_status_t cpu_convert(dnnl_engine_t e, dnnl_stream_t s, const cpu_desc *from, void *src,
	const cpu_desc *to, void *dst);

// cpu_arena takes zeroed memory, aligned to huge pages where it is large; NULL: there is not enough.
void *cpu_arena(int64_t bytes);
void cpu_arena_free(void *p, int64_t bytes);

// cpu_parallel calls f for parts of [0, n) on the threads of the team: thread < cpu_max_threads(). Inner borders
// between parts are multiples of align. A small job (cost, in floats touched) stays on the calling thread.
typedef void (*cpu_part)(const void *args, int thread, int64_t begin, int64_t end);
void cpu_parallel(cpu_part f, const void *args, int64_t n, int64_t align, int64_t cost);

// ---- The loops of our own. Shapes are (rows, channels, pixels) in blocks: the element at row r, channel c, pixel p is
// data[r * row + (c/block * pixels + p) * block + c%block]; block 1 is NCHW, and one block of all channels NHWC,
// "channels last". The channels of the last block that do not exist are zero. Numbers are floats or, with half, bf16;
// sums and whatever is computed are floats.

typedef struct {
	int64_t row; // numbers from one row to the next
	int64_t channels, pixels, block;
	// numbers from one pixel to the next: block, or more for some channels of a tensor with channels last
	int64_t pitch;
	int half;
} cpu_view;

// cpu_copy copies or adds rows, from one layout and type to another.
void cpu_copy(void *dst, const cpu_view *to, const void *src, const cpu_view *from, int64_t rows, int add);
void cpu_zero(void *x, int64_t bytes);

// cpu_input makes numbers of pixels: see device.Input. x is (rows, channels, height, width); rows from used on become
// zero.
typedef struct {
	int64_t rows, used, channels, height, width; // of x
	int64_t picture_height, picture_width;
	int last;            // channels last, of x and the mean; else there is one channel or they are first
	const float *mean;   // (channels, picture height, picture width), or one a channel
	int64_t mean_pixels; // 1 or picture height * width
	const float *scale;  // (channels)
	int half;
} cpu_input;
void cpu_input_rows(const cpu_input *in, void *x, const uint8_t *pixels, const int32_t *crop, const uint8_t *flip,
	const float *color);

// Activations. Gradients come from the output y; dx may be dy. scale multiplies what ReLU lets through.
void cpu_relu(void *y, const void *x, int64_t n, int half);
void cpu_tanh(void *y, const void *x, int64_t n, int half);
void cpu_relu_backward(void *dx, const void *dy, const void *y, float scale, int64_t n, int half);
void cpu_tanh_backward(void *dx, const void *dy, const void *y, int64_t n, int half);
void cpu_scale(void *y, const void *x, float scale, int64_t n, int half);

// cpu_dropout zeroes the units that philox draws below the threshold: x, y are (rows, units). y may be x.
typedef struct {
	int64_t rows, units, first_unit;
	uint32_t key[2], stream, step, sample, threshold; // sample: that of row 0
	int half;
} cpu_drop;
void cpu_dropout(const cpu_drop *d, void *y, const void *x);

// Normalisation; groups are consecutive equal parts of the channels.
typedef struct {
	int64_t rows, channels, groups, pixels, block;
	int64_t reach;        // neighbours on each side
	float alpha, beta, k; // alpha already divided by the size
	int half_x, half_y;   // x and dx, y and dy are of bf16; not y and dy alone
} cpu_lrn;
enum { cpu_lrn_limit = 8192, cpu_lrn_reach = 64 }; // channels of one group plus neighbours; neighbours on one side
// cpu_lrn_fuses tells that pooling can run together with it, and how many channels pooling then takes at a time; 0: it
// cannot.
int cpu_lrn_fuses(const cpu_lrn *l);
void cpu_lrn_forward(const cpu_lrn *l, void *y, const void *x);
// relu: x is the output of a ReLU whose mask is applied to dx as well.
void cpu_lrn_backward(const cpu_lrn *l, void *dx, const void *dy, const void *x, int relu);

// Pooling. Max pooling notes for each output which pixel of its window won; with relu, nobody wins where the maximum is
// not positive.
typedef struct {
	int64_t rows, channels, block; // channels a multiple of block, which is 1, 8 or 16
	int last; // channels last: block of them are taken at a time
	int64_t height, width, out_height, out_width, window, stride, pad;
	int average, relu;
	int half_x, half_y; // x and dx, y and dy are of bf16; not x and dx alone
} cpu_pool;
enum { cpu_pool_limit = 15 }; // window: its pixels are numbered by a byte
void cpu_pool_forward(const cpu_pool *p, void *y, uint8_t *winner, const void *x);
void cpu_pool_backward(const cpu_pool *p, void *dx, const void *dy, const uint8_t *winner);

// Normalisation followed by pooling, row by row: what lies between stays in the cache. between holds one group of
// one row for each thread, in floats.
void cpu_lrn_pool_forward(const cpu_lrn *l, const cpu_pool *p, void *y, uint8_t *winner, const void *x, float *between);
void cpu_lrn_pool_backward(const cpu_lrn *l, const cpu_pool *p, void *dx, const void *dy, const uint8_t *winner,
	const void *x, float *between, int relu);

// cpu_softmax gives probabilities and, for each row with a label, loss, top-1 and top-5 error. Not 0: all losses are
// finite.
int cpu_softmax(float *p, float *stats, const float *logits, const int32_t *labels, int64_t rows, int64_t classes);
void cpu_softmax_backward(void *dlogits, int half, const float *p, const int32_t *labels, float divisor,
	int64_t used, int64_t rows, int64_t classes);

// cpu_product is a fully connected layer for one row: y = w x + bias, w of (outputs, inputs) in logical order. With
// relu, the positive part of it.
typedef struct {
	int64_t rows; // of x and y: 1 but for cpu_product_bytes
	int64_t inputs, outputs;
	int half;   // x is of bf16, and w of cpu_product
	int half_y; // y is, which it is not alone
	int relu;
} cpu_vector;
void cpu_product(const cpu_vector *v, void *y, const void *w, const void *x, const float *bias);
// cpu_product_bytes: y = scale (w x) + bias with a scale for each output, x of (rows, inputs) and y of (rows, outputs).
// cpu_quantize makes such w, whole numbers of -127..127, and scales, as device.FC has them.
void cpu_product_bytes(const cpu_vector *v, void *y, const int8_t *w, const float *scale, const void *x,
	const float *bias);
void cpu_quantize(int8_t *q, float *scale, const float *w, int64_t inputs, int64_t outputs);

// Convolutions after Winograd, of stride 1 and 3x3 or 5x5 taps: see winograd.c. Values are in blocks of 16 channels, of
// floats or bf16, weights are floats in oneDNN's order gOIhw16i16o. With phases the stride is 4 and x in logical order:
// four times four neighbouring pixels of a colour count as the 16 channels of one, and the kernel's taps with them; its
// weights are in logical order.
typedef struct {
	int64_t rows, groups, in, out; // channels of a group
	int64_t height, width;         // of x
	int64_t out_height, out_width;
	int64_t taps, pad; // with phases: of what the convolution becomes
	int phases;
	int64_t kernel, shift; // of phases: the kernel and the padding as they were
	int half, relu;
	// set by cpu_winograd_set_blocking
	int64_t tiles, chunk; // of a thread's scratch; rows of the batch that the weights' gradient takes at a time
	int64_t points;       // floats of the weights at the points
	int64_t convolve_floats, weights_floats; // of scratch
} cpu_winograd;
int cpu_winograd_runs(void); // on this processor
void cpu_winograd_set_blocking(cpu_winograd *w, int threads);
// cpu_winograd_points takes the weights to the points; turned: for the gradient of x, which is a convolution of that of
// y.
void cpu_winograd_points(const cpu_winograd *w, float *points, const float *weights, int turned);
// cpu_winograd_convolve: bias and mask may be NULL; where the mask, laid out as y, is not positive, y becomes 0.
void cpu_winograd_convolve(const cpu_winograd *w, void *y, const void *x, const float *points, const float *bias,
	const void *mask, float *scratch);
// cpu_winograd_weights gives the gradients of weights and bias.
void cpu_winograd_weights(const cpu_winograd *w, float *weights, float *bias, const void *x, const void *dy,
	float *scratch);

// cpu_tiles is a convolution of stride 1, whose weights' gradient tiles compute: see tiles.c. Values are bf16 with
// channels last, weights in oneDNN's order gOIhw16i16o; channels of a group are a multiple of 16.
typedef struct {
	int64_t rows, groups, in, out; // channels of a group
	int64_t height, width, out_height, out_width, taps, columns, pad; // the kernel: taps high, columns wide
	int portable; // without the instructions, for tests
	// set by cpu_tiles_set_blocking
	int64_t threads, chunk; // rows laid out at a time
	int64_t scratch;        // bytes
} cpu_tiles;
void cpu_tiles_set_blocking(cpu_tiles *t, int threads, int64_t bytes); // of a chunk, for each thread
void cpu_tiles_weights(const cpu_tiles *t, float *weights, float *bias, const void *x, const void *dy, void *scratch);

// cpu_fold makes channels of neighbouring pixels. x is bf16 of (rows, height, width, channels), y of (rows, out_height,
// out_width, folded): at (h, w) are pixels (stride h + a - pad, stride w + b - pad) for a < stride and b < wide, zero
// beyond the map and where there are more channels. The kernel then has taps times columns taps.
typedef struct {
	int64_t rows, channels, height, width; // of x
	int64_t kernels, kernel, stride, pad;  // of the convolution as it is
	int64_t wide, taps, columns, out_height, out_width, folded;
} cpu_fold;
void cpu_fold_input(const cpu_fold *f, void *y, const void *x);
// cpu_fold_weights makes of the folded weights, in oneDNN's order OIhw16i16o, those of (kernels, channels, kernel,
// kernel).
void cpu_fold_weights(const cpu_fold *f, float *weights, const float *folded);

// cpu_finite tells whether all of x is; cpu_update makes v = momentum v - decay lr w - lr g; w += v, and tells whether
// w stayed finite. packed, if not NULL, gets w as bf16, of each two lines the numbers in turn.
typedef struct {
	int64_t n, line; // numbers, of all and of a line: a multiple of 16, and n one of two lines
	float momentum, lr, decay;
} cpu_sgd;
int cpu_finite(const float *x, int64_t n);
int cpu_update(const cpu_sgd *s, float *w, float *v, const float *g, void *packed);

// ---- probe.c: what the processor does at most, see device.Probe. half: in bf16, where cpu_bfloat16 has no objection;
// 2: on tiles.

const char *cpu_probe_name(int half);
// cpu_probe_multiply and cpu_probe_triad return what they did: operations, bytes. sink: 16 floats for each thread.
// arrays: three of cpu_probe_bytes, four times the last cache, but less than 256 MiB.
double cpu_probe_multiply(int half, int threads, float *sink);
int64_t cpu_probe_bytes(void);
double cpu_probe_triad(float *arrays, int64_t bytes);

#endif
