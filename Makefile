# make demo   builds, trains a small two-column net on generated pictures, evaluates it, names one picture
# make test   every test on this machine's backends
# make faults kills, cuts, floods and forgeries: what docs/reliability.md promises, in five minutes
# make build  bin/alexnet
# make install    what was built into PREFIX (/usr/local), with manual pages and completion; make uninstall
# make cuda   bin/alexnet with CUDA, wherever it is built
# make fuzz   every parser of what strangers wrote, a minute each
# make man    manual pages in build/man
GO       ?= go
# These need no Go; all others do.
NO_GO     = install uninstall clean
ifneq ($(filter-out $(NO_GO),$(or $(MAKECMDGOALS),build)),)
ifeq ($(shell command -v $(GO) 2>/dev/null),)
$(error Go is not in the PATH: install Go $(shell sed -n 's/^go //p' go.mod) or later (https://go.dev/dl), then: \
export PATH=$$PATH:/usr/local/go/bin)
endif
GOBIN_   := $(shell $(GO) env GOPATH)/bin
endif
GOLANGCI := v2.15.0
TAGS      = $$(scripts/tags.sh)
# Sets where NVIDIA's headers are, and $tags; where the tags say cuda, the kernels are built first, because the program
# embeds them. Without a compiler for them (3) it goes on without CUDA.
SETUP     = eval "$$(scripts/cuda.sh env 2>/dev/null)"; tags="$(TAGS)"; \
	case " $$tags " in *" cuda "*) scripts/kernels.sh || { test $$? -eq 3 && echo "build: CPU only" >&2 && \
		tags="$${tags% cuda}" && tags="$${tags\#cuda}"; } ;; esac

.PHONY: cuda kernels softgpu test-cuda gpu-check
.PHONY: install uninstall
.PHONY: build deps demo man test test-onednn3 test-race faults fuzz portable lint
.PHONY: bench-data bench-peers bench-scaling builtin check-data check-events check-export check-import check-imagenet
.PHONY: check-recipe check-weights expected-stats foreign-nets clean

build: deps
	@$(SETUP) && set -x && $(GO) build -trimpath -tags "$$tags" -o bin/alexnet ./cmd/alexnet

deps:
	@scripts/deps.sh

demo: build
	@scripts/demo.sh bin/alexnet

# What make build made, and what the program writes about itself: this needs no Go, so make build && sudo make install
# works where root has none. DESTDIR is for packagers.
PREFIX ?= /usr/local
BIN    ?= bin/alexnet
DEST    = $(DESTDIR)$(PREFIX)
SHELLS  = share/bash-completion/completions/alexnet share/zsh/site-functions/_alexnet \
	share/fish/vendor_completions.d/alexnet.fish

install: $(filter build,$(MAKECMDGOALS))
	@test -x "$(BIN)" || { echo "install: there is no $(BIN) yet: make build" >&2; exit 1; }
	@umask 022; set -e; for f in bin/alexnet share/man/man1/x $(SHELLS); do mkdir -p "$(DEST)/$${f%/*}"; done; \
		install -m 755 "$(BIN)" "$(DEST)/bin/alexnet"; \
		"$(BIN)" man --out "$(DEST)/share/man/man1" --force >/dev/null; \
		for f in $(SHELLS); do s=$${f#share/}; "$(BIN)" completion "$${s%%[-/]*}" >"$(DEST)/$$f"; done
	@echo "installed: $(DEST)/bin/alexnet, its manual pages and completion for bash, zsh and fish"

uninstall:
	rm -f "$(DEST)/bin/alexnet" "$(DEST)/share/man/man1/alexnet.1" "$(DEST)"/share/man/man1/alexnet-*.1
	cd "$(DEST)" && rm -f $(SHELLS)

# The pages bear the date of the last commit, so that the same source gives the same pages.
man: build
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null) bin/alexnet man --out build/man --force

test: deps
	@$(SETUP) && set -x && $(GO) vet -tags "$$tags" ./... && scripts/test.sh -tags "$$tags" ./...

# The other generation of oneDNN's interface: a program that starts without the library, and what computes, tested
# against 3.2.0.
test-onednn3:
	@dir=$$(scripts/onednn3.sh) && export CGO_CFLAGS="-O2 -g -I$$dir/include" && set -x && \
		$(GO) build -tags dnnl -o build/alexnet-onednn3 ./cmd/alexnet && \
		build/alexnet-onednn3 bench --config demo --steps 3 2>&1 | grep 'oneDNN does not load' && \
		export LD_LIBRARY_PATH="$$dir/lib" && build/alexnet-onednn3 version && \
		LOG=test-onednn3.log scripts/test.sh -tags dnnl \
			./internal/cpu ./internal/model ./internal/infer ./internal/bench ./internal/train

# The race detector over everything, -short, in four parts of less than 15 minutes each: PART=2 is one of them. The last
# has whatever the others lack.
RACE_1 = ./cmd/...
RACE_2 = ./internal/cpu/... ./internal/device/... ./internal/model/... ./internal/reference/... ./internal/selftest/...
RACE_3 = ./internal/bench/... ./internal/infer/... ./internal/interop/... ./internal/step/... ./internal/train/...
RACE_4 = $$($(GO) list -tags "$$tags" ./... | grep -vxF "$$($(GO) list -tags "$$tags" $(RACE_1) $(RACE_2) $(RACE_3))")
test-race: deps $(addprefix test-race-,$(or $(PART),1 2 3 4))
test-race-%: deps
	@$(if $(RACE_$*),,echo "test-race: PART is 1 to 4" >&2; exit 2;) $(SETUP) && set -x && \
		timeout 900 $(GO) test -race -short -tags "$$tags" -timeout 15m $(RACE_$*)

# The campaign of faults, as much of its short form as begins in 4.5 minutes: ARGS="-limit 0" runs all of that.
# FAULTS=10 (or long) runs the long form for hours and, cut off, goes on where it was; ROWS="kills signals" some rows
# only, ARGS="-seed 2" whatever go run ./test/faults -help lists.
faults: build
	@case "$(FAULTS)" in '') form='-limit 4m30s';; 10|long) form=-long;; \
		*) echo "usage: make faults [FAULTS=10|long]" >&2; exit 2;; esac; \
		$(GO) build -trimpath -o build/faults/campaign ./test/faults && \
		build/faults/campaign $$form $(if $(ROWS),-row "$$(echo $(ROWS) | tr ' ' ,)") $(ARGS)

# Every parser of what strangers wrote, each FUZZ seconds: 19 targets, so some twenty minutes, and a day with FUZZ=4500.
FUZZ ?= 60
fuzz: deps
	@$(SETUP) && scripts/fuzz.sh $(FUZZ)

# NVIDIA's headers come from wheels into the cache folder where no toolkit is found. What is built so starts on machines
# without a GPU too.
cuda:
	@scripts/cuda.sh env >/dev/null 2>&1 || scripts/cuda.sh fetch
	@scripts/cuda.sh env >/dev/null
	@$(MAKE) --no-print-directory kernels
	@$(MAKE) --no-print-directory build

kernels:
	@eval "$$(scripts/cuda.sh env 2>/dev/null)"; scripts/kernels.sh

# Libraries that behave like two GPUs, in build/softgpu: LD_LIBRARY_PATH=build/softgpu bin/alexnet train --gpus 0,1
softgpu: kernels
	@eval "$$(scripts/cuda.sh env)" && test/softgpu/build.sh

# Whatever has the tag cuda, on the emulated GPUs: some 7 minutes undisturbed, and 40 at most. go test's cache does not
# see these libraries, so it is not asked.
test-cuda: cuda softgpu
	@$(SETUP) && export LD_LIBRARY_PATH="$(CURDIR)/build/softgpu$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH}" && set -x && \
		LOG=test-cuda.log timeout 2400 sh -c '$(GO) vet -tags "$$1" ./... && \
			scripts/test.sh -tags "$$1" -count 1 \
				./internal/gpu/... ./kernels/... ./test/... ./cmd/alexnet' - "$$tags" || \
		{ test $$? -ne 124 || \
			echo "test-cuda: not done in 40 minutes; what there is, is in build/test-cuda.log" >&2; exit 1; }

# For a machine with a GPU: what it offers, every op checked, speed against PyTorch, into docs/results.md. PyTorch goes
# into the cache folder (several GB); ALONE=1 leaves it out.
gpu-check: cuda
	@bin/alexnet summary --config demo --gpus all >/dev/null
	@$(if $(ALONE),,$(MAKE) --no-print-directory $(TORCH))
	@PYTHON=$(if $(ALONE),python3,$(VENV)/bin/python) ALONE=$(ALONE) scripts/gpu_check.sh bin/alexnet

# The program without cgo, and for systems that it is only cross-compiled for.
portable:
	CGO_ENABLED=0 $(GO) build ./...
	CGO_ENABLED=0 $(GO) test -short -timeout 60m ./...
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) vet ./...
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) vet ./...
	CGO_ENABLED=0 GOOS=darwin GOARCH=amd64 $(GO) build ./...

# width.sh holds lines to 120 columns; golangci-lint runs what .golangci.yml lists: govet, staticcheck, gofumpt and
# more. Who may import whom is held by test/house, with the other tests.
lint:
	scripts/width.sh
	@test -x $(GOBIN_)/golangci-lint && $(GOBIN_)/golangci-lint version 2>/dev/null | grep -qF "$(GOLANGCI:v%=%)" || \
		GOBIN=$(GOBIN_) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	$(GOBIN_)/golangci-lint run ./...
	@eval "$$(scripts/cuda.sh env 2>/dev/null)"; case " $$(scripts/tags.sh) " in *" cuda "*) \
		set -x; $(GOBIN_)/golangci-lint run --build-tags dnnl,cuda ./... ;; esac

# Peers go into a cache folder (several GB). The mark in each environment stands for all of its line.
PEERS = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/alexnet
VENV  = $(PEERS)/torch-2.15.0
TORCH = $(VENV)/torchvision-0.29.2-safetensors-0.8.0
$(TORCH):
	python3 -m venv $(VENV) && $(VENV)/bin/pip install -q torch==2.15.0 torchvision==0.29.2 \
		safetensors==0.8.0 numpy==2.4.6 pillow==13.0.0 && touch $@

TENSORFLOW = $(PEERS)/peers-tf/tensorflow-cpu-2.21.0-numpy-2.4.6-protobuf-7.36.2
$(TENSORFLOW):
	python3 -m venv $(@D) && $(@D)/bin/pip install -q tensorflow-cpu==2.21.0 numpy==2.4.6 protobuf==7.36.2 && touch $@

ONNX = $(PEERS)/peers-ort/onnxruntime-1.32.0-onnx-1.23.2-openvino-2026.4.1-numpy-2.4.6-protobuf-7.36.2
$(ONNX):
	python3 -m venv $(@D) && $(@D)/bin/pip install -q onnxruntime==1.32.0 onnx==1.23.2 \
		openvino==2026.4.1 numpy==2.4.6 protobuf==7.36.2 && touch $@

# alexnet beside PyTorch, TensorFlow, ONNX Runtime and OpenVINO on the same cores, in turn, into docs/results.md: more
# than an hour. Cut off, it goes on where it was. BENCH="--quick --rows 'fig1*'" is a try of some rows; python3
# scripts/peers/bench.py --help.
BENCH ?= --write
bench-peers: build $(TORCH) $(TENSORFLOW) $(ONNX)
	python3 scripts/peers/bench.py $(BENCH)

# Reading pictures: alexnet beside torchvision's DataLoader and libjpeg-turbo alone, in turn, into docs/results.md.
bench-data: build $(TORCH)
	$(VENV)/bin/python scripts/bench_data.py --write

# Images a second and memory by batch, and two devices against one: is the cost linear? Half an hour or so.
bench-scaling: build
	python3 scripts/scaling.py

# The net in the program, anew: of RUN, a run of --config cifar10, measured on TEST, the 10,000 test pictures of
# CIFAR-10.
builtin: build
	@test -n "$(RUN)" -a -n "$(TEST)" || \
		{ echo "usage: make builtin RUN=runs/train TEST=cifar10-test.tar" >&2; exit 2; }
	scripts/builtin.sh bin/alexnet "$(RUN)" "$(TEST)"

# Exported weights against PyTorch and torchvision, which load them.
check-export: build $(TORCH)
	$(VENV)/bin/python scripts/check_export.py

# TensorBoard reads the event files of a run: every tag, number and pixel. Where it cannot be installed the check is
# left out, and says so.
TENSORBOARD = $(PEERS)/tensorboard-2.21.0/protobuf-7.36.2-numpy-2.4.6-pillow-13.0.0
$(TENSORBOARD):
	python3 -m venv $(@D) && $(@D)/bin/pip install -q tensorboard==2.21.0 protobuf==7.36.2 numpy==2.4.6 \
		pillow==13.0.0 && touch $@

check-events: build
	@if test -e $(TENSORBOARD) || $(MAKE) --no-print-directory $(TENSORBOARD); then \
		$(dir $(TENSORBOARD))bin/python scripts/check_events.py; \
		else echo "check-events: skipped: TensorBoard cannot be installed (above)" >&2; fi

# The small files of weights that the tests read, against PyTorch, NumPy and the wheel of lpips, which wrote them.
# scripts/weights.py on its own writes them anew.
check-weights: $(TORCH)
	$(VENV)/bin/python -W ignore scripts/weights.py --check

# Prepared sets read by webdataset, timm and Python's own tarfile; and one set of pictures in all forms, as these
# programs and datasets write them.
READERS = $(VENV)/webdataset-1.0.2-timm-1.0.31-datasets-5.2.0
$(READERS): $(TORCH)
	$(VENV)/bin/pip install -q webdataset==1.0.2 timm==1.0.31 pyyaml==6.0.4 braceexpand==0.1.7 \
		datasets==5.2.0 pyarrow==26.0.1 && touch $@

check-data: build $(READERS)
	$(VENV)/bin/python scripts/check_data.py
	$(VENV)/bin/python scripts/check_forms.py

# The small nets of Caffe and ONNX that tests read, made again, and what OpenCV and onnxruntime compute with them.
FOREIGN = $(VENV)/onnx-1.23.2-onnxscript-0.7.2-onnxruntime-1.32.0-opencv-4.14.0.94
$(FOREIGN): $(TORCH)
	$(VENV)/bin/pip install -q onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 \
		opencv-python-headless==4.14.0.94 numpy==2.4.6 && touch $@

foreign-nets: $(FOREIGN)
	$(VENV)/bin/python scripts/caffe_onnx.py

# Imported and exported nets of full size against PyTorch, OpenCV and ONNX Runtime: some GB of memory, some minutes.
# IMPORT="--only torch" is a part.
check-import: build $(FOREIGN)
	$(VENV)/bin/python scripts/check_import.py $(IMPORT)

# The Python of docs/export.md that prepares a picture, for nets of each data.fit and data.interpolation.
check-recipe: build $(FOREIGN)
	$(VENV)/bin/python scripts/check_recipe.py

# The built-in classes and labels of ILSVRC2012, made again from four packages and compared. scripts/imagenet.py on its
# own writes them.
check-imagenet:
	python3 scripts/imagenet.py --check

# The numbers of SciPy and statsmodels that internal/stats is held to, made again.
STATS = $(PEERS)/stats/scipy-1.17.1-statsmodels-0.15.0-numpy-2.4.6
$(STATS):
	python3 -m venv $(@D) && $(@D)/bin/pip install -q scipy==1.17.1 statsmodels==0.15.0 numpy==2.4.6 && touch $@

expected-stats: $(STATS)
	$(<D)/bin/python scripts/stats.py internal/stats/testdata/expected.json

clean:
	rm -rf bin build
