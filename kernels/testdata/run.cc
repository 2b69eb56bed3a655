// Runs kernels on the CPU for the tests: requests on standard input, answers on standard output, all numbers of 8
// bytes.
//
//	request: length of the name, name, blocks, backwards, number of buffers, for each size and bytes; number of
//	         addresses in buffers, for each buffer, place, target buffer; number of arguments, for each 0 and the 8
//	         bytes, or 1, buffer and offset
//	answer:  length of an error and the error (0: none), the buffers' bytes
//
// A buffer ends where memory ends that may be touched, and its surroundings are checked.
#include "host.h"

#include "all.cu"
#include "extra.h"

#include <sys/mman.h>

static const host::Kernel kernels[] = {
#include "list.inc"
};

static void need(bool ok, const char *what) {
	if (ok) return;
	fprintf(stderr, "run: %s\n", what);
	exit(3);
}

static void take(void *p, size_t n) { need(fread(p, 1, n, stdin) == n, "request cut short"); }
static void give(const void *p, size_t n) { need(fwrite(p, 1, n, stdout) == n, "nobody reads"); }

static int64_t number() {
	int64_t n;
	take(&n, sizeof n);
	return n;
}

enum { PAGE = 4096, CANARY = 0xa5 };

struct Buffer {
	char *map, *data;
	size_t mapped, size;

	explicit Buffer(size_t n) : size(n) {
		mapped = (n + PAGE - 1) / PAGE * PAGE + 2 * PAGE; // a page that must not be touched on either side
		map = (char *)mmap(0, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		need(map != MAP_FAILED, "no memory");
		memset(map, CANARY, mapped);
		mprotect(map, PAGE, PROT_NONE);
		mprotect(map + mapped - PAGE, PAGE, PROT_NONE);
		data = map + mapped - PAGE - (n + 15) / 16 * 16;
		take(data, n);
	}
	bool whole() const {
		for (const char *p = map + PAGE; p < map + mapped - PAGE; p++)
			if ((p < data || p >= data + size) && (unsigned char)*p != CANARY) return false;
		return true;
	}
};

static const char *run(const host::Kernel *k, int64_t blocks, std::vector<Buffer> &buffers,
	std::vector<int64_t> &cells) {
	if (!k) return "there is no such kernel";
	if ((size_t)k->count != cells.size()) return "wrong number of arguments";
	if (!k->eight) return "an argument does not take 8 bytes";
	std::vector<void *> args;
	for (int64_t &c : cells) args.push_back(&c);
	if (const char *wrong = host::launch(k->run, {(unsigned)blocks, 1, 1}, {THREADS, 1, 1}, args.data())) return wrong;
	for (const Buffer &b : buffers)
		if (!b.whole()) return "wrote beside a buffer";
	return "";
}

static void serve() {
	std::vector<char> name(number() + 1);
	take(name.data(), name.size() - 1);
	const host::Kernel *kernel = 0;
	for (const host::Kernel &k : kernels)
		if (!strcmp(k.name, name.data())) kernel = &k;
	const int64_t blocks = number();
	host::backwards = number();
	std::vector<Buffer> buffers;
	for (int64_t n = number(); n > 0; n--) buffers.emplace_back(number());
	for (int64_t n = number(); n > 0; n--) {
		const int64_t in = number(), at = number(), to = number();
		memcpy(buffers.at(in).data + at, &buffers.at(to).data, 8);
	}
	std::vector<int64_t> cells;
	for (int64_t n = number(); n > 0; n--) {
		if (!number()) {
			cells.push_back(number());
			continue;
		}
		const int64_t buffer = number();
		cells.push_back((int64_t)buffers.at(buffer).data + number());
	}
	const char *wrong = run(kernel, blocks, buffers, cells);
	const int64_t length = strlen(wrong);
	give(&length, sizeof length);
	give(wrong, length);
	for (const Buffer &b : buffers) {
		give(b.data, b.size);
		munmap(b.map, b.mapped);
	}
	fflush(stdout);
}

int main() {
	for (int c; (c = getchar()) != EOF;) {
		ungetc(c, stdin);
		serve();
	}
}
