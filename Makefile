# make demo   builds, trains a small two-column net on generated pictures, evaluates it, names one picture
# make test   every test on this machine's backends
# make build  bin/alexnet
GO       ?= go
GOBIN_   := $(shell $(GO) env GOPATH)/bin
GOLANGCI := v2.15.0
TAGS      = $$(scripts/tags.sh)

.PHONY: build deps demo test test-race portable lint clean

build: deps
	$(GO) build -tags "$(TAGS)" -o bin/alexnet ./cmd/alexnet

deps:
	@scripts/deps.sh

demo: build
	@scripts/demo.sh bin/alexnet

test: deps
	@tags="$(TAGS)"; set -x; $(GO) vet -tags "$$tags" ./... && $(GO) test -tags "$$tags" -timeout 11m ./...

test-race: deps
	@tags="$(TAGS)"; set -x; $(GO) test -race -short -tags "$$tags" -timeout 30m ./...

# The program without cgo, and for systems that it is only cross-compiled for.
portable:
	CGO_ENABLED=0 $(GO) build ./...
	CGO_ENABLED=0 $(GO) test -short -timeout 15m ./...
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) vet ./...
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) vet ./...
	CGO_ENABLED=0 GOOS=darwin GOARCH=amd64 $(GO) build ./...

# golangci-lint runs govet, staticcheck, gofumpt and the import rules of .golangci.yml.
lint:
	@test -x $(GOBIN_)/golangci-lint && $(GOBIN_)/golangci-lint version 2>/dev/null | grep -qF "$(GOLANGCI:v%=%)" || \
		GOBIN=$(GOBIN_) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	$(GOBIN_)/golangci-lint run ./...

clean:
	rm -rf bin build
