# make demo   builds, trains a small two-column net on generated pictures, evaluates it, names one picture
# make test   every test on this machine's backends
# make build  bin/alexnet
# make cuda   bin/alexnet with CUDA, wherever it is built
# make man    manual pages in build/man
GO       ?= go
GOBIN_   := $(shell $(GO) env GOPATH)/bin
GOLANGCI := v2.15.0
TAGS      = $$(scripts/tags.sh)
# Sets where NVIDIA's headers are, and $tags; where the tags say cuda, the kernels are built first, because the program
# embeds them. Without a compiler for them (3) it goes on without CUDA.
SETUP     = eval "$$(scripts/cuda.sh env 2>/dev/null)"; tags="$(TAGS)"; \
	case " $$tags " in *" cuda "*) scripts/kernels.sh || { test $$? -eq 3 && echo "build: CPU only" >&2 && \
		tags="$${tags% cuda}" && tags="$${tags\#cuda}"; } ;; esac

.PHONY: cuda kernels softgpu test-cuda gpu-check
.PHONY: build deps demo man test test-onednn3 test-race portable lint
.PHONY: bench-peers bench-scaling builtin check-export clean

build: deps
	@$(SETUP) && set -x && $(GO) build -trimpath -tags "$$tags" -o bin/alexnet ./cmd/alexnet

deps:
	@scripts/deps.sh

demo: build
	@scripts/demo.sh bin/alexnet

# The pages bear the date of the last commit, so that the same source gives the same pages.
man: build
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null) bin/alexnet man --out build/man

test: deps
	@$(SETUP) && set -x && $(GO) vet -tags "$$tags" ./... && scripts/test.sh -tags "$$tags" -timeout 11m ./...

# The other generation of oneDNN's interface: a program that starts without the library, and what computes, tested
# against 3.2.0.
test-onednn3:
	@dir=$$(scripts/onednn3.sh) && export CGO_CFLAGS="-O2 -g -I$$dir/include" && set -x && \
		$(GO) build -tags dnnl -o build/alexnet-onednn3 ./cmd/alexnet && \
		build/alexnet-onednn3 bench --config demo --steps 3 2>&1 | grep 'oneDNN does not load' && \
		export LD_LIBRARY_PATH="$$dir/lib" && build/alexnet-onednn3 version && \
		LOG=test-onednn3.log scripts/test.sh -tags dnnl -timeout 11m \
			./internal/cpu ./internal/model ./internal/infer ./internal/bench ./internal/train

test-race: deps
	@$(SETUP) && set -x && $(GO) test -race -short -tags "$$tags" -timeout 30m ./...

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

# Whatever has the tag cuda, on the emulated GPUs, in at most 15 minutes; go test's cache does not see them, so it is
# not asked.
test-cuda: cuda softgpu
	@$(SETUP) && export LD_LIBRARY_PATH="$(CURDIR)/build/softgpu$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH}" && set -x && \
		LOG=test-cuda.log timeout 900 sh -c '$(GO) vet -tags "$$1" ./... && \
			scripts/test.sh -tags "$$1" -count 1 -timeout 15m \
				./internal/gpu/... ./kernels/... ./test/... ./cmd/alexnet' - "$$tags" || \
		{ test $$? -ne 124 || \
			echo "test-cuda: not done in 15 minutes; what there is, is in build/test-cuda.log" >&2; exit 1; }

# For a machine with a GPU: what it offers, every op checked, speed against PyTorch, into docs/results.md. PyTorch goes
# into the cache folder (several GB); ALONE=1 leaves it out.
gpu-check: cuda
	@bin/alexnet summary --config demo --gpus all >/dev/null
	@$(if $(ALONE),,$(MAKE) --no-print-directory $(TORCH))
	@PYTHON=$(if $(ALONE),python3,$(VENV)/bin/python) ALONE=$(ALONE) scripts/gpu_check.sh bin/alexnet

# The program without cgo, and for systems that it is only cross-compiled for.
portable:
	CGO_ENABLED=0 $(GO) build ./...
	CGO_ENABLED=0 $(GO) test -short -timeout 15m ./...
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

clean:
	rm -rf bin build
