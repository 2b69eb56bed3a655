//go:build cgo && dnnl && linux

// oneDNN, opened at run time. Functions come from a table, so that nothing needs the library when the program is linked
// or started.
#define _GNU_SOURCE
#include "cpu.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STRING_(x) #x
#define STRING(x) STRING_(x)

// The library whose interface the headers describe.
#define LIBRARY "libdnnl.so." STRING(DNNL_VERSION_MAJOR)

// What every version has, and what the two generations have each for itself.
#define COMMON(F) \
	F(dnnl_version) F(dnnl_engine_create) F(dnnl_engine_destroy) F(dnnl_stream_create) F(dnnl_stream_destroy) \
		F(dnnl_stream_wait) \
	F(dnnl_get_effective_cpu_isa) F(dnnl_memory_desc_equal) F(dnnl_memory_desc_get_size) F(dnnl_memory_create) \
		F(dnnl_memory_destroy) \
	F(dnnl_primitive_attr_create) F(dnnl_primitive_attr_destroy) F(dnnl_primitive_attr_set_scratchpad_mode) \
	F(dnnl_primitive_attr_set_post_ops) F(dnnl_post_ops_create) F(dnnl_post_ops_destroy) \
		F(dnnl_post_ops_append_eltwise) \
	F(dnnl_primitive_desc_destroy) F(dnnl_primitive_desc_query_md) F(dnnl_primitive_desc_query) \
	F(dnnl_reorder_primitive_desc_create) F(dnnl_primitive_create) F(dnnl_primitive_destroy) F(dnnl_primitive_execute)
#if DNNL_VERSION_MAJOR >= 3
#define FUNCTIONS(F) COMMON(F) \
	F(dnnl_memory_desc_create_with_tag) F(dnnl_memory_desc_clone) F(dnnl_memory_desc_destroy) \
		F(dnnl_primitive_desc_next_impl) \
	F(dnnl_convolution_forward_primitive_desc_create) F(dnnl_convolution_backward_data_primitive_desc_create) \
	F(dnnl_convolution_backward_weights_primitive_desc_create) F(dnnl_inner_product_forward_primitive_desc_create) \
	F(dnnl_inner_product_backward_data_primitive_desc_create) \
		F(dnnl_inner_product_backward_weights_primitive_desc_create)
#else
#define FUNCTIONS(F) COMMON(F) \
	F(dnnl_memory_desc_init_by_tag) F(dnnl_primitive_desc_create) F(dnnl_primitive_desc_iterator_create) \
	F(dnnl_primitive_desc_iterator_next) F(dnnl_primitive_desc_iterator_fetch) F(dnnl_primitive_desc_iterator_destroy) \
	F(dnnl_convolution_forward_desc_init) F(dnnl_convolution_backward_data_desc_init) \
		F(dnnl_convolution_backward_weights_desc_init) \
	F(dnnl_inner_product_forward_desc_init) F(dnnl_inner_product_backward_data_desc_init) \
		F(dnnl_inner_product_backward_weights_desc_init)
#endif

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
	void (*set_dynamic)(int);
	// Places that threads are bound to; NULL in runtimes older than OpenMP 4.5.
	int (*places)(void);
	int (*place_size)(int);
	void (*place_cores)(int, int *);
} lib;

static const char *symbol(void *handle, const char *name, void *into) {
	void *p = dlsym(handle, name);
	memcpy(into, &p, sizeof p);
	return p ? NULL : dlerror();
}

const char *cpu_load(void) {
	// Threads that spin at the end of each loop take the cores from whoever else has work, a data loader, another
	// device: with other programs on the machine, steps of the paper's net were 15% longer so. OpenMP reads this once,
	// when it is loaded; the user's own setting stays.
	if (!getenv("GOMP_SPINCOUNT")) setenv("OMP_WAIT_POLICY", "passive", 0);
	// Where OpenMP is told to bind threads (OMP_PROC_BIND) it binds the one that loads it, which is any of Go's.
	cpu_set_t own;
	const int known = !pthread_getaffinity_np(pthread_self(), sizeof own, &own);
	void *dnnl = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (known) pthread_setaffinity_np(pthread_self(), sizeof own, &own);
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
	if (!err) err = symbol(omp, "omp_set_dynamic", &lib.set_dynamic);
	if (symbol(omp, "omp_get_num_places", &lib.places) || symbol(omp, "omp_get_place_num_procs", &lib.place_size) ||
		symbol(omp, "omp_get_place_proc_ids", &lib.place_cores))
		lib.places = NULL;
	return err;
}

void cpu_version(int *major, int *minor, int *patch) {
	const dnnl_version_t *v = lib.dnnl_version();
	*major = v->major, *minor = v->minor, *patch = v->patch;
}

int cpu_max_threads(void) { return lib.max_threads(); }

static void count(void *found) {
	if (lib.thread() == 0) *(int *)found = lib.threads();
}

int cpu_team(int n) {
	int found = 1;
	lib.set_dynamic(0);
	lib.set_threads(n);
	lib.parallel(count, &found, 0, 0);
	lib.set_threads(found);
	return found;
}

static void move(void *cores) { pthread_setaffinity_np(pthread_self(), sizeof(cpu_set_t), cores); }

void cpu_keep_on(const int *cores, int n) {
	cpu_set_t set;
	CPU_ZERO(&set);
	for (int i = 0; i < n; i++) CPU_SET(cores[i], &set);
	lib.parallel(move, &set, 0, 0);
}

int cpu_places(int *cores, int room) {
	int n = 0;
	for (int p = 0; lib.places && p < lib.places(); p++) {
		const int size = lib.place_size(p);
		if (n + size <= room) lib.place_cores(p, cores + n);
		n += size;
	}
	return n;
}

typedef struct {
	pthread_mutex_t lock;
	pthread_cond_t over;
	int end;
} gate;

static void *wait_there(void *data) {
	gate *g = data;
	pthread_mutex_lock(&g->lock);
	while (!g->end) pthread_cond_wait(&g->over, &g->lock);
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

int cpu_startable(int n, int64_t stack) {
	gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};
	pthread_t *all = calloc((size_t)n, sizeof *all);
	pthread_attr_t attr;
	int started = 0;
	if (!all || pthread_attr_init(&attr)) {
		free(all);
		return 0;
	}
	if (stack > 0) pthread_attr_setstacksize(&attr, (size_t)stack);
	while (started < n && !pthread_create(&all[started], &attr, wait_there, &g)) started++;
	pthread_mutex_lock(&g.lock);
	g.end = 1;
	pthread_cond_broadcast(&g.over);
	pthread_mutex_unlock(&g.lock);
	for (int i = 0; i < started; i++) pthread_join(all[i], NULL);
	pthread_attr_destroy(&attr);
	free(all);
	return started;
}

dnnl_status_t cpu_open(dnnl_engine_t *engine, dnnl_stream_t *stream) {
	dnnl_status_t s = lib.dnnl_engine_create(engine, dnnl_cpu, 0);
	if (s == dnnl_success) s = lib.dnnl_stream_create(stream, *engine, dnnl_stream_default_flags);
	return s;
}

void cpu_close(dnnl_engine_t engine, dnnl_stream_t stream) {
	lib.dnnl_stream_destroy(stream);
	lib.dnnl_engine_destroy(engine);
}

const char *cpu_isa(void) {
#ifdef __x86_64__
	switch ((int)lib.dnnl_get_effective_cpu_isa()) {
#define CASE(name) case dnnl_cpu_isa_##name: return #name;
	CASE(sse41) CASE(avx) CASE(avx2) CASE(avx2_vnni) CASE(avx512_core) CASE(avx512_core_vnni) CASE(avx512_core_bf16)
		CASE(avx512_core_amx)
#if DNNL_VERSION_MAJOR >= 3
	CASE(avx2_vnni_2) CASE(avx512_core_fp16) CASE(avx512_core_amx_fp16)
#endif
#undef CASE
	}
#endif
	return NULL;
}

int cpu_amx(void) {
#ifdef __x86_64__
	const int isa = (int)lib.dnnl_get_effective_cpu_isa();
	return (isa & dnnl_cpu_isa_avx512_core_amx) == dnnl_cpu_isa_avx512_core_amx;
#else
	return 0;
#endif
}

const char *cpu_bfloat16(void) {
#ifdef __x86_64__
	const int isa = (int)lib.dnnl_get_effective_cpu_isa();
	if ((isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16) return NULL;
	return "the processor, or DNNL_MAX_CPU_ISA, lacks AVX-512 with bf16 (avx512_bf16)";
#else
	return "only x86-64 processors with AVX-512 and bf16 (avx512_bf16) are known to do it";
#endif
}

// ---- descriptions of tensors

#if DNNL_VERSION_MAJOR >= 3
#define DESC(md) ((const_dnnl_memory_desc_t)(md)->address)

// Each distinct description is kept once and for good: there are as many as layouts in all nets of the process, some
// hundred bytes each.
static struct {
	pthread_mutex_t lock;
	cpu_desc *all;
	size_t n;
} descs = {.lock = PTHREAD_MUTEX_INITIALIZER};

// keep gives the one that equals md, a copy if need be; address 0: no memory.
static cpu_desc keep(const_dnnl_memory_desc_t md) {
	cpu_desc found = {0};
	pthread_mutex_lock(&descs.lock);
	for (size_t i = 0; i < descs.n && !found.address; i++)
		if (lib.dnnl_memory_desc_equal(DESC(&descs.all[i]), md)) found = descs.all[i];
	if (!found.address) {
		dnnl_memory_desc_t copy = NULL;
		cpu_desc *all = realloc(descs.all, (descs.n + 1) * sizeof *all);
		if (all) descs.all = all;
		if (all && lib.dnnl_memory_desc_clone(&copy, md) == dnnl_success)
			descs.all[descs.n++] = found = (cpu_desc){(uintptr_t)copy};
	}
	pthread_mutex_unlock(&descs.lock);
	return found;
}

dnnl_status_t cpu_tensor(cpu_desc *md, int n, const int64_t *dims, dnnl_format_tag_t tag, int half) {
	dnnl_memory_desc_t made = NULL;
	dnnl_status_t s = lib.dnnl_memory_desc_create_with_tag(&made, n, dims, half ? dnnl_bf16 : dnnl_f32, tag);
	if (s != dnnl_success) return s;
	*md = keep(made);
	lib.dnnl_memory_desc_destroy(made);
	return md->address ? dnnl_success : dnnl_out_of_memory;
}
#else
#define DESC(md) (md)

dnnl_status_t cpu_tensor(cpu_desc *md, int n, const int64_t *dims, dnnl_format_tag_t tag, int half) {
	return lib.dnnl_memory_desc_init_by_tag(md, n, dims, half ? dnnl_bf16 : dnnl_f32, tag);
}
#endif

int cpu_same(const cpu_desc *a, const cpu_desc *b) { return lib.dnnl_memory_desc_equal(DESC(a), DESC(b)); }

int64_t cpu_bytes(const cpu_desc *md) {
#if DNNL_VERSION_MAJOR >= 3
	if (!md->address) return 0;
#endif
	return (int64_t)lib.dnnl_memory_desc_get_size(DESC(md));
}

void cpu_wants(dnnl_primitive_desc_t pd, dnnl_query_t what, cpu_desc *md) {
	memset(md, 0, sizeof *md);
#if DNNL_VERSION_MAJOR >= 3
	const_dnnl_memory_desc_t got = lib.dnnl_primitive_desc_query_md(pd, what, 0);
	if (got) *md = keep(got);
#else
	const dnnl_memory_desc_t *got = lib.dnnl_primitive_desc_query_md(pd, what, 0);
	if (got) *md = *got;
#endif
}

// ---- descriptions of primitives

// attributes: the scratchpad is the caller's, and the forward primitive applies the activation before it writes.
static dnnl_status_t attributes(dnnl_alg_kind_t activation, dnnl_primitive_attr_t *attr) {
	dnnl_status_t s = lib.dnnl_primitive_attr_create(attr);
	if (s == dnnl_success) s = lib.dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
	if (s != dnnl_success || activation == dnnl_alg_kind_undef) return s;
	dnnl_post_ops_t ops;
	s = lib.dnnl_post_ops_create(&ops);
	if (s != dnnl_success) return s;
#if DNNL_VERSION_MAJOR >= 3
	s = lib.dnnl_post_ops_append_eltwise(ops, activation, 0.f, 0.f);
#else
	s = lib.dnnl_post_ops_append_eltwise(ops, 1.f, activation, 0.f, 0.f);
#endif
	if (s == dnnl_success) s = lib.dnnl_primitive_attr_set_post_ops(*attr, ops);
	lib.dnnl_post_ops_destroy(ops);
	return s;
}

typedef enum { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS } direction;

// Forward is that of training also where nothing is trained: for inference oneDNN prefers kernels that want channels
// last, and the weights in other orders again.
static const dnnl_prop_kind_t PROP = dnnl_forward_training;

#if DNNL_VERSION_MAJOR >= 3
static dnnl_status_t describe(dnnl_engine_t e, const cpu_layer *l, direction d, dnnl_primitive_attr_t attr,
	dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd) {
	const dnnl_dims_t stride = {l->stride, l->stride}, dilation = {0, 0}, left = {l->pad, l->pad},
		right = {l->pad_bottom, l->pad_right};
	if (l->spatial) switch (d) {
	case FORWARD:
		return lib.dnnl_convolution_forward_primitive_desc_create(pd, e, PROP, dnnl_convolution_direct, DESC(&l->src),
			DESC(&l->weights), DESC(&l->bias), DESC(&l->dst), stride, dilation, left, right, attr);
	case BACKWARD_DATA:
		return lib.dnnl_convolution_backward_data_primitive_desc_create(pd, e, dnnl_convolution_direct, DESC(&l->src),
			DESC(&l->weights), DESC(&l->diff_dst), stride, dilation, left, right, hint, attr);
	case BACKWARD_WEIGHTS:
		return lib.dnnl_convolution_backward_weights_primitive_desc_create(pd, e, dnnl_convolution_direct,
			DESC(&l->src), DESC(&l->diff_weights), DESC(&l->bias), DESC(&l->diff_dst), stride, dilation, left, right,
			hint, attr);
	}
	switch (d) {
	case FORWARD:
		return lib.dnnl_inner_product_forward_primitive_desc_create(pd, e, PROP, DESC(&l->src), DESC(&l->weights),
			DESC(&l->bias), DESC(&l->dst), attr);
	case BACKWARD_DATA:
		return lib.dnnl_inner_product_backward_data_primitive_desc_create(pd, e, DESC(&l->src), DESC(&l->weights),
			DESC(&l->diff_dst), hint, attr);
	case BACKWARD_WEIGHTS:
		return lib.dnnl_inner_product_backward_weights_primitive_desc_create(pd, e, DESC(&l->src),
			DESC(&l->diff_weights), DESC(&l->bias), DESC(&l->diff_dst), hint, attr);
	}
	return dnnl_invalid_arguments;
}

// pass_over moves on to the first implementation whose name does not begin so.
static dnnl_status_t pass_over(const char *unwanted, dnnl_primitive_desc_t pd) {
	for (;;) {
		const char *name = "";
		dnnl_status_t s = lib.dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&name);
		if (s != dnnl_success || strncmp(name, unwanted, strlen(unwanted))) return s;
		if ((s = lib.dnnl_primitive_desc_next_impl(pd)) != dnnl_success)
			return s == dnnl_last_impl_reached ? dnnl_unimplemented : s;
	}
}
#else
typedef union {
	dnnl_convolution_desc_t convolution;
	dnnl_inner_product_desc_t product;
} op_desc;

static dnnl_status_t init(op_desc *o, const cpu_layer *l, direction d) {
	const dnnl_dims_t stride = {l->stride, l->stride}, left = {l->pad, l->pad}, right = {l->pad_bottom, l->pad_right};
	if (l->spatial) switch (d) {
	case FORWARD:
		return lib.dnnl_convolution_forward_desc_init(&o->convolution, PROP, dnnl_convolution_direct, &l->src,
			&l->weights, &l->bias, &l->dst, stride, left, right);
	case BACKWARD_DATA:
		return lib.dnnl_convolution_backward_data_desc_init(&o->convolution, dnnl_convolution_direct, &l->src,
			&l->weights, &l->diff_dst, stride, left, right);
	case BACKWARD_WEIGHTS:
		return lib.dnnl_convolution_backward_weights_desc_init(&o->convolution, dnnl_convolution_direct, &l->src,
			&l->diff_weights, &l->bias, &l->diff_dst, stride, left, right);
	}
	switch (d) {
	case FORWARD:
		return lib.dnnl_inner_product_forward_desc_init(&o->product, PROP, &l->src, &l->weights, &l->bias, &l->dst);
	case BACKWARD_DATA:
		return lib.dnnl_inner_product_backward_data_desc_init(&o->product, &l->src, &l->weights, &l->diff_dst);
	case BACKWARD_WEIGHTS:
		return lib.dnnl_inner_product_backward_weights_desc_init(&o->product, &l->src, &l->diff_weights, &l->bias,
			&l->diff_dst);
	}
	return dnnl_invalid_arguments;
}

static dnnl_status_t describe(dnnl_engine_t e, const cpu_layer *l, direction d, dnnl_primitive_attr_t attr,
	dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd) {
	op_desc o;
	dnnl_status_t s = init(&o, l, d);
	return s == dnnl_success ? lib.dnnl_primitive_desc_create(pd, &o, attr, e, hint) : s;
}

// describe_other is describe that passes over implementations whose name begins so.
static dnnl_status_t describe_other(const char *unwanted, dnnl_engine_t e, const cpu_layer *l, direction d,
	dnnl_primitive_attr_t attr, dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd) {
	dnnl_primitive_desc_iterator_t i = NULL;
	op_desc o;
	dnnl_status_t s = init(&o, l, d);
	if (s == dnnl_success) s = lib.dnnl_primitive_desc_iterator_create(&i, &o, attr, e, hint);
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
	return s == dnnl_iterator_ends ? dnnl_unimplemented : s;
}
#endif

dnnl_status_t cpu_forward(dnnl_engine_t e, const cpu_layer *l, dnnl_primitive_desc_t *pd) {
	dnnl_primitive_attr_t attr = NULL;
	dnnl_status_t s = attributes(l->activation, &attr);
	if (s == dnnl_success) s = describe(e, l, FORWARD, attr, NULL, pd);
	if (attr) lib.dnnl_primitive_attr_destroy(attr);
	return s;
}

static dnnl_status_t backward(dnnl_engine_t e, const cpu_layer *l, direction d, dnnl_primitive_desc_t hint,
	dnnl_primitive_desc_t *pd) {
	dnnl_primitive_attr_t attr = NULL;
	dnnl_status_t s = attributes(dnnl_alg_kind_undef, &attr);
	// Where there are more than 1024 units but few inputs for each thread, the brgemm of oneDNN 2.6 crashes (seen with
	// 2 threads, 32 inputs, 1536 units). How it divides its work among threads is not documented: the bound on the
	// inputs is a generous one.
	const int crashes = d == BACKWARD_DATA && !l->spatial && lib.max_threads() > 1 && l->units > 1024 &&
		l->inputs < 512 * (int64_t)lib.max_threads();
#if DNNL_VERSION_MAJOR >= 3
	if (s == dnnl_success) s = describe(e, l, d, attr, hint, pd);
	if (s == dnnl_success && crashes && (s = pass_over("brgemm", *pd)) != dnnl_success)
		lib.dnnl_primitive_desc_destroy(*pd);
#else
	if (s == dnnl_success && crashes) s = describe_other("brgemm", e, l, d, attr, hint, pd);
	else if (s == dnnl_success) s = describe(e, l, d, attr, hint, pd);
#endif
	if (attr) lib.dnnl_primitive_attr_destroy(attr);
	return s;
}

dnnl_status_t cpu_backward_data(dnnl_engine_t e, const cpu_layer *l, dnnl_primitive_desc_t hint,
	dnnl_primitive_desc_t *pd) {
	return backward(e, l, BACKWARD_DATA, hint, pd);
}

dnnl_status_t cpu_backward_weights(dnnl_engine_t e, const cpu_layer *l, dnnl_primitive_desc_t hint,
	dnnl_primitive_desc_t *pd) {
	return backward(e, l, BACKWARD_WEIGHTS, hint, pd);
}

dnnl_status_t cpu_reorder(dnnl_engine_t e, const cpu_desc *from, const cpu_desc *to, dnnl_primitive_desc_t *pd) {
	return lib.dnnl_reorder_primitive_desc_create(pd, DESC(from), e, DESC(to), e, NULL);
}

dnnl_status_t cpu_create(dnnl_primitive_desc_t pd, dnnl_primitive_t *p) { return lib.dnnl_primitive_create(p, pd); }

void cpu_forget(dnnl_primitive_desc_t pd) { lib.dnnl_primitive_desc_destroy(pd); }

void cpu_destroy(dnnl_primitive_t p) { lib.dnnl_primitive_destroy(p); }

dnnl_status_t cpu_memory(dnnl_engine_t e, const cpu_desc *md, void *data, dnnl_memory_t *m) {
	return lib.dnnl_memory_create(m, DESC(md), e, data);
}

void cpu_release(dnnl_memory_t m) { lib.dnnl_memory_destroy(m); }

dnnl_status_t cpu_run(dnnl_primitive_t p, dnnl_stream_t s, int n, const dnnl_exec_arg_t *args) {
	dnnl_status_t st = lib.dnnl_primitive_execute(p, s, n, args);
	return st == dnnl_success ? lib.dnnl_stream_wait(s) : st;
}

dnnl_status_t cpu_convert(dnnl_engine_t e, dnnl_stream_t s, const cpu_desc *from, void *src, const cpu_desc *to,
	void *dst) {
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
