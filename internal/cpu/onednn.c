//go:build cgo && dnnl && linux

// oneDNN, opened at run time. Functions come from a table, so that nothing needs the library when the program is linked or started.
#define _GNU_SOURCE
#include "cpu.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STRING_(x) #x
#define STRING(x) STRING_(x)

// The library whose interface the headers describe.
#define LIBRARY "libdnnl.so." STRING(DNNL_VERSION_MAJOR)

#define FUNCTIONS(F) \
	F(dnnl_version) F(dnnl_engine_create) F(dnnl_engine_destroy) F(dnnl_stream_create) F(dnnl_stream_destroy) F(dnnl_stream_wait) \
	F(dnnl_memory_desc_init_by_tag) F(dnnl_memory_desc_equal) F(dnnl_memory_desc_get_size) F(dnnl_memory_create) F(dnnl_memory_destroy) \
	F(dnnl_primitive_attr_create) F(dnnl_primitive_attr_destroy) F(dnnl_primitive_attr_set_scratchpad_mode) \
	F(dnnl_primitive_attr_set_post_ops) F(dnnl_post_ops_create) F(dnnl_post_ops_destroy) F(dnnl_post_ops_append_eltwise) \
	F(dnnl_convolution_forward_desc_init) F(dnnl_convolution_backward_data_desc_init) F(dnnl_convolution_backward_weights_desc_init) \
	F(dnnl_inner_product_forward_desc_init) F(dnnl_inner_product_backward_data_desc_init) F(dnnl_inner_product_backward_weights_desc_init) \
	F(dnnl_primitive_desc_create) F(dnnl_primitive_desc_destroy) F(dnnl_primitive_desc_query_md) \
	F(dnnl_primitive_desc_iterator_create) F(dnnl_primitive_desc_iterator_next) F(dnnl_primitive_desc_iterator_fetch) \
	F(dnnl_primitive_desc_iterator_destroy) F(dnnl_primitive_desc_query) F(dnnl_reorder_primitive_desc_create) F(dnnl_primitive_create) F(dnnl_primitive_destroy) F(dnnl_primitive_execute)

static struct {
#define F(name) __typeof__(&name) name;
	FUNCTIONS(F)
#undef F
	// The OpenMP runtime that oneDNN brought along. One team serves its loops and ours: two would fight for the cores.
	void (*parallel)(void (*body)(void *), void *data, unsigned threads, unsigned flags);
	int (*thread)(void);
	int (*threads)(void);
	int (*max_threads)(void);
	void (*set_threads)(int);
} lib;

static const char *symbol(void *handle, const char *name, void *into) {
	void *p = dlsym(handle, name);
	memcpy(into, &p, sizeof p);
	return p ? NULL : dlerror();
}

const char *cpu_load(void) {
	// Threads that spin at the end of each loop take the cores from whoever else has work, a data loader, another device: with other programs
	// on the machine, steps of the paper's net were 15% longer so. OpenMP reads this once, when it is loaded; the user's own setting stays.
	if (!getenv("GOMP_SPINCOUNT")) setenv("OMP_WAIT_POLICY", "passive", 0);
	void *dnnl = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!dnnl) return dlerror();
	const char *err = NULL;
#define F(name) if (!err) err = symbol(dnnl, #name, &lib.name);
	FUNCTIONS(F)
#undef F
	if (err) return err;
	void *omp = dlopen("libgomp.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!omp) return dlerror();
	if (!err) err = symbol(omp, "GOMP_parallel", &lib.parallel);
	if (!err) err = symbol(omp, "omp_get_thread_num", &lib.thread);
	if (!err) err = symbol(omp, "omp_get_num_threads", &lib.threads);
	if (!err) err = symbol(omp, "omp_get_max_threads", &lib.max_threads);
	if (!err) err = symbol(omp, "omp_set_num_threads", &lib.set_threads);
	return err;
}

void cpu_version(int *major, int *minor, int *patch) {
	const dnnl_version_t *v = lib.dnnl_version();
	*major = v->major, *minor = v->minor, *patch = v->patch;
}

int cpu_max_threads(void) { return lib.max_threads(); }

void cpu_set_threads(int n) { lib.set_threads(n); }

dnnl_status_t cpu_open(dnnl_engine_t *engine, dnnl_stream_t *stream) {
	dnnl_status_t s = lib.dnnl_engine_create(engine, dnnl_cpu, 0);
	if (s == dnnl_success) s = lib.dnnl_stream_create(stream, *engine, dnnl_stream_default_flags);
	return s;
}

void cpu_close(dnnl_engine_t engine, dnnl_stream_t stream) {
	lib.dnnl_stream_destroy(stream);
	lib.dnnl_engine_destroy(engine);
}

dnnl_status_t cpu_tensor(dnnl_memory_desc_t *md, int n, const int64_t *dims, dnnl_format_tag_t tag) {
	return lib.dnnl_memory_desc_init_by_tag(md, n, dims, dnnl_f32, tag);
}

int cpu_same(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b) { return lib.dnnl_memory_desc_equal(a, b); }

int64_t cpu_bytes(const dnnl_memory_desc_t *md) { return (int64_t)lib.dnnl_memory_desc_get_size(md); }

// attributes: the scratchpad is the caller's, and the forward primitive applies the activation before it writes.
static dnnl_status_t attributes(dnnl_alg_kind_t activation, dnnl_primitive_attr_t *attr) {
	dnnl_status_t s = lib.dnnl_primitive_attr_create(attr);
	if (s == dnnl_success) s = lib.dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
	if (s != dnnl_success || activation == dnnl_alg_kind_undef) return s;
	dnnl_post_ops_t ops;
	s = lib.dnnl_post_ops_create(&ops);
	if (s != dnnl_success) return s;
	s = lib.dnnl_post_ops_append_eltwise(ops, 1.f, activation, 0.f, 0.f);
	if (s == dnnl_success) s = lib.dnnl_primitive_attr_set_post_ops(*attr, ops);
	lib.dnnl_post_ops_destroy(ops);
	return s;
}

static dnnl_status_t describe(dnnl_engine_t e, const void *desc, dnnl_alg_kind_t activation,
	dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd) {
	dnnl_primitive_attr_t attr = NULL;
	dnnl_status_t s = attributes(activation, &attr);
	if (s == dnnl_success) s = lib.dnnl_primitive_desc_create(pd, desc, attr, e, hint);
	if (attr) lib.dnnl_primitive_attr_destroy(attr);
	return s;
}

// describe_other is describe that passes over implementations whose name begins so.
static dnnl_status_t describe_other(dnnl_engine_t e, const void *desc, dnnl_primitive_desc_t hint, const char *unwanted,
	dnnl_primitive_desc_t *pd) {
	dnnl_primitive_attr_t attr = NULL;
	dnnl_primitive_desc_iterator_t i = NULL;
	dnnl_status_t s = attributes(dnnl_alg_kind_undef, &attr);
	if (s == dnnl_success) s = lib.dnnl_primitive_desc_iterator_create(&i, desc, attr, e, hint);
	while (s == dnnl_success) {
		const char *name = "";
		*pd = lib.dnnl_primitive_desc_iterator_fetch(i);
		s = *pd ? lib.dnnl_primitive_desc_query(*pd, dnnl_query_impl_info_str, 0, (void *)&name) : dnnl_out_of_memory;
		if (s == dnnl_success && strncmp(name, unwanted, strlen(unwanted))) break;
		if (*pd) lib.dnnl_primitive_desc_destroy(*pd);
		*pd = NULL;
		if (s == dnnl_success) s = lib.dnnl_primitive_desc_iterator_next(i);
	}
	if (i) lib.dnnl_primitive_desc_iterator_destroy(i);
	if (attr) lib.dnnl_primitive_attr_destroy(attr);
	return s == dnnl_iterator_ends ? dnnl_unimplemented : s;
}

dnnl_status_t cpu_forward(dnnl_engine_t e, const cpu_layer *l, dnnl_primitive_desc_t *pd) {
	// Also where nothing is trained: for inference oneDNN prefers kernels that want channels last, and the weights in other orders again.
	const dnnl_prop_kind_t prop = dnnl_forward_training;
	if (!l->spatial) {
		dnnl_inner_product_desc_t d;
		dnnl_status_t s = lib.dnnl_inner_product_forward_desc_init(&d, prop, &l->src, &l->weights, &l->bias, &l->dst);
		return s == dnnl_success ? describe(e, &d, l->activation, NULL, pd) : s;
	}
	const dnnl_dims_t stride = {l->stride, l->stride}, left = {l->pad, l->pad}, right = {l->pad_bottom, l->pad_right};
	dnnl_convolution_desc_t d;
	dnnl_status_t s = lib.dnnl_convolution_forward_desc_init(&d, prop, l->algorithm, &l->src, &l->weights, &l->bias, &l->dst,
		stride, left, right);
	return s == dnnl_success ? describe(e, &d, l->activation, NULL, pd) : s;
}

dnnl_status_t cpu_backward_data(dnnl_engine_t e, const cpu_layer *l, dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd) {
	if (!l->spatial) {
		dnnl_inner_product_desc_t d;
		dnnl_status_t s = lib.dnnl_inner_product_backward_data_desc_init(&d, &l->src, &l->weights, &l->dst);
		// Where there are more than 1024 units but few inputs for each thread, the brgemm of oneDNN 2.6 crashes (seen with 2 threads,
		// 32 inputs, 1536 units). How it divides its work among threads is not documented: the bound on the inputs is a generous one.
		if (s == dnnl_success && lib.max_threads() > 1 && l->dst.dims[1] > 1024 && l->src.dims[1] < 512 * (int64_t)lib.max_threads())
			return describe_other(e, &d, hint, "brgemm", pd);
		return s == dnnl_success ? describe(e, &d, dnnl_alg_kind_undef, hint, pd) : s;
	}
	const dnnl_dims_t stride = {l->stride, l->stride}, left = {l->pad, l->pad}, right = {l->pad_bottom, l->pad_right};
	dnnl_convolution_desc_t d;
	dnnl_status_t s = lib.dnnl_convolution_backward_data_desc_init(&d, l->algorithm, &l->src, &l->weights, &l->dst, stride, left, right);
	return s == dnnl_success ? describe(e, &d, dnnl_alg_kind_undef, hint, pd) : s;
}

dnnl_status_t cpu_backward_weights(dnnl_engine_t e, const cpu_layer *l, dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd) {
	if (!l->spatial) {
		dnnl_inner_product_desc_t d;
		dnnl_status_t s = lib.dnnl_inner_product_backward_weights_desc_init(&d, &l->src, &l->weights, &l->bias, &l->dst);
		return s == dnnl_success ? describe(e, &d, dnnl_alg_kind_undef, hint, pd) : s;
	}
	const dnnl_dims_t stride = {l->stride, l->stride}, left = {l->pad, l->pad}, right = {l->pad_bottom, l->pad_right};
	dnnl_convolution_desc_t d;
	dnnl_status_t s = lib.dnnl_convolution_backward_weights_desc_init(&d, l->algorithm, &l->src, &l->weights, &l->bias, &l->dst,
		stride, left, right);
	return s == dnnl_success ? describe(e, &d, dnnl_alg_kind_undef, hint, pd) : s;
}

dnnl_status_t cpu_reorder(dnnl_engine_t e, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to, dnnl_primitive_desc_t *pd) {
	return lib.dnnl_reorder_primitive_desc_create(pd, from, e, to, e, NULL);
}

void cpu_wants(dnnl_primitive_desc_t pd, dnnl_query_t what, dnnl_memory_desc_t *md) {
	const dnnl_memory_desc_t *got = lib.dnnl_primitive_desc_query_md(pd, what, 0);
	if (got) *md = *got;
	else memset(md, 0, sizeof *md);
}

dnnl_status_t cpu_create(dnnl_primitive_desc_t pd, dnnl_primitive_t *p) { return lib.dnnl_primitive_create(p, pd); }

void cpu_forget(dnnl_primitive_desc_t pd) { lib.dnnl_primitive_desc_destroy(pd); }

void cpu_destroy(dnnl_primitive_t p) { lib.dnnl_primitive_destroy(p); }

dnnl_status_t cpu_memory(dnnl_engine_t e, const dnnl_memory_desc_t *md, void *data, dnnl_memory_t *m) {
	return lib.dnnl_memory_create(m, md, e, data);
}

void cpu_release(dnnl_memory_t m) { lib.dnnl_memory_destroy(m); }

dnnl_status_t cpu_run(dnnl_primitive_t p, dnnl_stream_t s, int n, const dnnl_exec_arg_t *args) {
	dnnl_status_t st = lib.dnnl_primitive_execute(p, s, n, args);
	return st == dnnl_success ? lib.dnnl_stream_wait(s) : st;
}

dnnl_status_t cpu_convert(dnnl_engine_t e, dnnl_stream_t s, const dnnl_memory_desc_t *from, void *src,
	const dnnl_memory_desc_t *to, void *dst) {
	dnnl_primitive_desc_t pd = NULL;
	dnnl_primitive_t p = NULL;
	dnnl_memory_t a = NULL, b = NULL;
	dnnl_status_t st = cpu_reorder(e, from, to, &pd);
	if (st == dnnl_success) st = cpu_create(pd, &p);
	if (st == dnnl_success) st = cpu_memory(e, from, src, &a);
	if (st == dnnl_success) st = cpu_memory(e, to, dst, &b);
	if (st == dnnl_success) {
		const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, a}, {DNNL_ARG_TO, b}};
		st = cpu_run(p, s, 2, args);
	}
	if (b) cpu_release(b);
	if (a) cpu_release(a);
	if (p) cpu_destroy(p);
	if (pd) cpu_forget(pd);
	return st;
}

enum { HUGE_PAGE = 2 << 20 };

void *cpu_arena(int64_t bytes) {
	size_t n = (size_t)bytes, slack = n >= HUGE_PAGE ? HUGE_PAGE : 0;
	char *p = mmap(NULL, n + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) return NULL;
	if (!slack) return p;
	size_t before = -(uintptr_t)p & (HUGE_PAGE - 1); // give back what lies before the first border and behind the end
	if (before) munmap(p, before);
	if (slack - before) munmap(p + before + n, slack - before);
	madvise(p + before, n, MADV_HUGEPAGE);
	return p + before;
}

void cpu_arena_free(void *p, int64_t bytes) { munmap(p, (size_t)bytes); }

typedef struct {
	cpu_part f;
	const void *args;
	int64_t n, align;
} job;

static void part(void *data) {
	const job *j = data;
	int64_t thread = lib.thread(), threads = lib.threads();
	int64_t begin = j->n * thread / threads / j->align * j->align;
	int64_t end = thread == threads - 1 ? j->n : j->n * (thread + 1) / threads / j->align * j->align;
	if (begin < end) j->f(j->args, (int)thread, begin, end);
}

void cpu_parallel(cpu_part f, const void *args, int64_t n, int64_t align, int64_t cost) {
	if (cost < 1 << 14) { // waking a team takes as long as some ten thousand floats
		f(args, 0, 0, n);
		return;
	}
	job j = {f, args, n, align};
	lib.parallel(part, &j, 0, 0);
}
