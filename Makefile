# SPDX-License-Identifier: Apache-2.0
#
# `make` lists the targets. A comment that starts with ## is the help text of its target.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# What is shipped has no cgo in it; the race detector alone needs it (`race` below).
export CGO_ENABLED := 0

GO      ?= go
GOFMT   ?= $(shell $(GO) env GOROOT)/bin/gofmt
ARGS    ?=
TIME    ?=
DIR     ?=
SEED    ?=
ACTS    ?= ../shared/conformance/acts
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Go modules with code in them. tools/ has none: staticcheck is run from it.
MODULES     := $(patsubst %/,%,$(dir $(wildcard go.mod bench/go.mod)))
LINTED      := $(MODULES) interop
STATICCHECK := $(GO) tool -modfile=$(CURDIR)/tools/go.mod staticcheck
LDFLAGS     := -s -w -X main.version=$(VERSION)
PLATFORMS   := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64

# The steps of `check` share two cores with nobody, not even each other.
.NOTPARALLEL:

TEST_FLAGS ?= -count=1 -shuffle=on -timeout=15m

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: ## Serve the demo agent on loopback: make run ARGS="--store memory:"
	$(GO) run ./cmd/errand dev $(ARGS)

.PHONY: build
build: ## Build bin/errand
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/errand ./cmd/errand

.PHONY: test
test: ## Run every test, those with real processes too
	@for m in $(MODULES); do echo "== go test ./... in $$m"; (cd $$m && $(GO) test $(TEST_FLAGS) ./...); done

.PHONY: race
race: ## Run every test under the race detector, but those of internal/prove that drive a program built without it
	@for m in $(MODULES); do echo "== go test -race ./... in $$m"; (cd $$m && CGO_ENABLED=1 $(GO) test -race -skip '^TestTorture' $(TEST_FLAGS) ./...); done

.PHONY: check
check: lint generated test race interop ## All that must hold before a change goes in; CI runs this and nothing else
	@echo "check: all good"

.PHONY: fmt
fmt: ## Format every Go file
	$(GOFMT) -w .

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, SPDX lines and the rules between rooms
	@unformatted=$$($(GOFMT) -l .); if [ -n "$$unformatted" ]; then echo "not formatted, run 'make fmt':"; echo "$$unformatted"; exit 1; fi
	@for m in $(LINTED); do echo "== go vet and staticcheck in $$m"; (cd $$m && $(GO) vet ./... && $(STATICCHECK) ./...); done
	$(GO) vet -tags lazyfs ./internal/prove/disk
	$(GO) test . ./hack -count=1 -run 'House|Arrow|Depend|Libc'

.PHONY: generate
generate: ## Write generated files again (today none is: a file that is says "Code generated" and has a go:generate line)
	@for m in $(MODULES); do (cd $$m && $(GO) generate ./...); done

.PHONY: generated
generated: ## Check that generated files are what `make generate` writes
	@hack/generated.sh $(MAKE) --no-print-directory generate

.PHONY: bench
bench: ## Measure beside the peers: make bench ARGS="..."
	cd bench && $(GO) run . $(ARGS)

.PHONY: conformance
conformance: ## Run the A2A conformance tests (ACTS): make conformance ACTS=../shared/conformance/acts
	$(GO) run ./hack/acts -acts $(ACTS)

.PHONY: interop
interop: ## Drive the program by the SDKs of Python and JavaScript and by Chromium (interop/setup.sh gets what is missing)
	cd interop && $(GO) test ./... -count=1 -timeout=15m

FUZZ ?= 1000000x
FUZZED ?= ./internal/binding ./internal/binding/grpc ./internal/binding/jsonrpc ./internal/binding/rest ./internal/binding/v03 ./internal/client ./internal/cli ./internal/engine ./internal/record ./internal/sse ./internal/task

.PHONY: fuzz
fuzz: ## Run every fuzz target of FUZZED: make fuzz FUZZ=5m (or a number of executions, 1000000x)
	@for p in $(FUZZED); do for t in $$($(GO) test $$p -list '^Fuzz' | grep ^Fuzz || true); do \
		echo "== $$p $$t"; $(GO) test $$p -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZ) -fuzzminimizetime 10x; done; done

# The proof at length; docs/reliability.md says what each part does and has the last figures.
PROOF := $(GO) test -v -count=1 -timeout=0

KILLS ?= 1000
.PHONY: torture
torture: ## Kill a real server again and again and check what is left: make torture KILLS=1000 DIR=/var/tmp/torture TIME=30m (the same DIR goes on; TIME bounds one sitting)
	$(PROOF) ./internal/prove -run '^TestTortureKills$$' -args -kills=$(KILLS) $(if $(TIME),-time=$(TIME)) $(if $(DIR),-dir=$(abspath $(DIR))) $(if $(SEED),-seed=$(SEED))

CUTS    ?= 10000
FOLLOWS ?= 10000
SLOW    ?= 10m
.PHONY: torture-streams
torture-streams: ## Cut streams at random bytes, subscribe while events commit, read a byte a second: CUTS= FOLLOWS= SLOW=
	$(PROOF) ./internal/prove/stream -run 'Torture|Subscribe' -args -cuts=$(CUTS) -follows=$(FOLLOWS) -slow=$(SLOW) $(if $(SEED),-seed=$(SEED))

STOPS ?= 1000
RACES ?= 10000
.PHONY: torture-owners
torture-owners: ## Stop workers past their lease, set clocks, race cancellations, poison a process: STOPS= RACES=
	$(PROOF) ./internal/prove/owner -args -stops=$(STOPS) -races=$(RACES)

POWER  ?= 1000
FAULTS ?= 40
FULL   ?= 25s
LAZYFS ?=
.PHONY: torture-disks
torture-disks: ## Cut the power, fail reads, writes and syncs, fill the disk: POWER= FAULTS= FULL= LAZYFS=/path/to/lazyfs
	$(PROOF) ./internal/store/sqlite -run PowerCuts -args -cuts=$(POWER)
	$(PROOF) ./internal/store/sqlite -run AnOpeningOfAnOld -args -kills=1000
	$(PROOF) ./internal/prove/disk -run Torture -args -faults=$(FAULTS) -full=$(FULL)
	$(if $(LAZYFS),$(PROOF) -tags lazyfs ./internal/prove/disk -run LazyFS -args -lazyfs=$(LAZYFS) -power=$(POWER))

SEEDS ?= 100000
FROM  ?= 1
.PHONY: simulate
simulate: ## Play SEEDS seeds of the simulation, the first of them FROM (one process; another FROM keeps another core busy)
	$(PROOF) ./internal/prove/sim -run Simulation -args -seeds=$(SEEDS) -from=$(FROM)

.PHONY: mutate
mutate: ## Break the engine line by line and see that a test notices
	$(PROOF) ./internal/prove/mutate -args -all

.PHONY: upgrade-fixture
upgrade-fixture: ## Keep what a release leaves behind, for the tests of upgrades: make upgrade-fixture NAME=v0.2.0 BINARY=/path/to/errand
	$(GO) test ./internal/prove/upgrade -count=1 -args -write=$(NAME) -binary=$(BINARY)

.PHONY: release
release: ## Build static binaries for every platform into dist/, with SHA256SUMS: make release VERSION=v0.1.0
	@rm -rf dist && mkdir -p dist
	@for p in $(PLATFORMS); do \
		os=$${p%/*}; arch=$${p#*/}; out=dist/errand_$(VERSION)_$${os}_$$arch; \
		if [ $$os = windows ]; then out=$$out.exe; fi; \
		echo "$$out"; \
		GOOS=$$os GOARCH=$$arch $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $$out ./cmd/errand; \
	done
	@cd dist && if command -v sha256sum >/dev/null; then sha256sum errand_*; else shasum -a 256 errand_*; fi >SHA256SUMS
	@cat dist/SHA256SUMS

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin dist
