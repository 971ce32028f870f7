# What `make run` starts, and what `make demo` starts against a real Consul.
RUN  := bin/monitor-srv demo
DEMO := bin/monitor-srv --registry=consul demo

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Servers are where users other than root do not look.
export PATH := $(PATH):/usr/sbin:/sbin

# A program with the race detector sleeps as long before it exits, for reports that
# are being written: a second unless told otherwise, and tests run hundreds of them.
export GORACE ?= atexit_sleep_ms=50

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 30s
# With the race detector a target sees a tenth of the inputs; the long runs of
# `make nightly` do without it.
FUZZFLAGS ?= -race
BENCH    ?= .
ROUNDS   ?= 10
IMAGE    ?= monitor-srv:$(VERSION)
# Passed on to go test by every target that runs tests: make test TESTFLAGS=-v
TESTFLAGS ?=

# The Consul of the tests: CONSUL_BIN, else the one on PATH, else our own build.
CONSUL := $(or $(CONSUL_BIN),$(shell command -v consul 2>/dev/null),bin/consul)

# The modules of go.work: all packages of them for the go command, and for the
# linter, which does not know that name. Nested modules are not part of "./...".
PACKAGES := work
LINTED   := ./... ./health/... ./proto/...

# The tools that are our own code have modules of their own, outside go.work.
TESTED_TOOLS := bench faults release-check
LINTED_TOOLS := $(TESTED_TOOLS) micro micro1
TEST_TOOLS   := for tool in $(TESTED_TOOLS); do (cd tools/$$tool && GOWORK=off go test $(TESTFLAGS) ./...) || exit; done

# Their tests take longest, mostly waiting, so the quick lane starts them first.
LONGEST := ./test/e2e ./probe ./command ./monitor ./web ./handler

TOOLBUILD := GOWORK=off go build -trimpath -ldflags '-s -w'

.PHONY: help
help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## the service with a sample publisher; nothing else needs to be installed
	@exec $(RUN)

.PHONY: demo
demo: build bin/micro $(CONSUL) ## the same against a real Consul agent that it starts
	@exec tools/demo.sh $(CONSUL) $(DEMO)

.PHONY: build
build: ## bin/monitor-srv, static, with the version of git
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/monitor-srv .

.PHONY: test
test: deps $(CONSUL) bin/micro bin/micro1 bin/goma ## every test, with the race detector, a real Consul and a real NATS
	@$(TEST_TOOLS)
	go test -race -count=1 -parallel 6 -timeout 25m $(TESTFLAGS) $(PACKAGES)

# make lint vets.
.PHONY: test-short
test-short: deps $(CONSUL) bin/micro bin/micro1 bin/goma ## the quick tests only: under 2 minutes once the tools are built
	@$(TEST_TOOLS) & \
	go test -race -short -vet=off -p 4 -parallel 6 -timeout 5m $(TESTFLAGS) $(LONGEST) $(PACKAGES) && wait $$!

.PHONY: nightly
nightly: deps $(CONSUL) bin/micro bin/micro1 bin/goma ## the long variants of the tests, and 10 minutes for each fuzz target
	MONITOR_LONG=1 go test -race -count=1 -timeout 6h $(TESTFLAGS) $(PACKAGES)
	tools/fuzz.sh 10m

# Each part takes less than 10 minutes. make faults PART=guard-long runs one, and
# bin/faults -list names the tests of all.
.PHONY: faults
faults: deps bin/faults $(CONSUL) bin/micro bin/micro1 bin/goma ## the fault programme in parts, long variants included; PART=NAME runs one (as root)
	bin/faults $(PART)

# All of them are written to docs/benchmarks.md; with BENCH=PATTERN some are only
# printed.
.PHONY: bench
bench: bin/bench ## every benchmark, held against what is promised, into docs/benchmarks.md (about 9 minutes)
ifeq ($(BENCH),.)
	tools/bench/run.sh | tee bin/bench.new
	@mv bin/bench.new bin/bench.txt
	@echo
	bin/bench -o docs/benchmarks.md bin/bench.txt bin/peers.txt
else
	tools/bench/run.sh '$(BENCH)'
endif

.PHONY: bench-compare
bench-compare: bin/bench need-old ## the benchmarks of the revision OLD and of this tree in turn; fails if one is worse
	tools/bench/compare.sh '$(OLD)' $(ROUNDS) $(if $(filter-out .,$(BENCH)),'$(BENCH)')

.PHONY: need-old
need-old:
	@[ -n '$(OLD)' ] || { echo 'give the revision to compare with: make bench-compare OLD=main' >&2; exit 1; }

.PHONY: bench-peers
bench-peers: need-blackbox build bin/bench bin/goma bin/gatus $(CONSUL) ## ours beside goma, Gatus and blackbox_exporter, into the same page (about 9 minutes)
	@go build -o bin/peers ./test/peers
	bin/peers -consul $(CONSUL) | tee bin/peers.new || failed=1; mv bin/peers.new bin/peers.txt; echo; \
	bin/bench -o docs/benchmarks.md bin/bench.txt bin/peers.txt; exit $${failed:-0}

.PHONY: fuzz
fuzz: need-cc ## each fuzz target for FUZZTIME (30s)
	tools/fuzz.sh $(FUZZTIME) $(FUZZFLAGS)

.PHONY: fuzz-ci
fuzz-ci: need-cc ## 30s for what decodes, holds and pages events, 12s for each other fuzz target
	go clean -fuzzcache # so that the time goes into new inputs, whatever ran here before
	FUZZ_FIRST='FuzzEventProto|FuzzEventJSON|FuzzEventSequence|FuzzPaging' FUZZ_FIRST_TIME=30s tools/fuzz.sh 12s $(FUZZFLAGS)

.PHONY: check-tree
check-tree: ## fail on a tracked file above 500 kB, such as a program committed by mistake
	@tools/check-tree.sh
	@tools/check-tree-selftest.sh

# The linter's cache knows files by where they lay: that of another clone would
# name its paths, which no rule of this one excludes.
.PHONY: lint
lint: bin/golangci-lint ## vet, formatting, and the rules of .golangci.yml
	@export GOLANGCI_LINT_CACHE='$(CURDIR)/bin/lint-cache'; \
	go vet $(PACKAGES); \
	bin/golangci-lint run --allow-parallel-runners $(LINTED); \
	for tool in $(LINTED_TOOLS); do \
		echo "linting tools/$$tool"; \
		(cd tools/$$tool && GOWORK=off '$(CURDIR)/bin/golangci-lint' run --allow-parallel-runners ./...) || exit; \
	done

.PHONY: lint-selftest
lint-selftest: bin/golangci-lint ## prove that the import rules report what they forbid
	tools/lint/selftest.sh

.PHONY: tidy
tidy: ## go.mod and go.sum of the three modules, which "go mod tidy" alone cannot tidy
	tools/tidy.sh

.PHONY: check-tidy
check-tidy: ## fail if "make tidy" would change something
	tools/tidy.sh check

.PHONY: release-check
release-check: bin/release-check ## use the modules of HEAD as others would, from a module proxy of files; REV=REVISION checks that
	bin/release-check -rev '$(or $(REV),HEAD)'

.PHONY: proto
proto: need-protoc bin/protoc-gen-go bin/protoc-gen-micro ## write the Go code of the .proto files (needs protoc 3.21.12, Debian's)
	proto/generate.sh

.PHONY: check-proto
check-proto: need-protoc bin/protoc-gen-go bin/protoc-gen-micro ## fail if the generated code is not that of the .proto files
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	mkdir "$$dir/have" "$$dir/want"; \
	find proto -name '*.pb*.go' | xargs cp --parents -t "$$dir/have"; \
	proto/generate.sh "$$dir/want"; \
	diff -ru "$$dir/have" "$$dir/want" || { echo 'check-proto: run "make proto" and commit what it writes' >&2; exit 1; }; \
	echo "check-proto: the generated code is that of the .proto files"

.PHONY: consul
consul: $(CONSUL) ## build a pinned Consul and run a dev agent until Ctrl-C (a consul on PATH is used instead)
	@echo "Consul's address is http://127.0.0.1:8500 (CONSUL_HTTP_ADDR=127.0.0.1:8500); Ctrl-C ends it"
	@exec $(CONSUL) agent -dev -log-level=warn

.PHONY: micro
micro: bin/micro ## build bin/micro, go-micro's command with the Consul registry

.PHONY: image
image: ## build the container image, with the version as its tag and as latest, with the docker engine that is there
	docker build --build-arg VERSION=$(VERSION) $(if $(BUILDER),--build-arg BUILDER=$(BUILDER)) -t $(IMAGE) -t monitor-srv .

.PHONY: image-test
image-test: bin/consul bin/micro ## build and run the image beside Consul's, in a docker engine of its own (as root, on Debian)
	@tools/need.sh dockerd docker.io
	@tools/need.sh docker docker.io
	@tools/need.sh busybox busybox-static
	@tools/need.sh update-ca-certificates ca-certificates
	go test -tags image -count=1 -timeout 15m $(TESTFLAGS) ./test/image

.PHONY: deps
deps: ## install what the tests need: a C compiler, MariaDB, PostgreSQL, Redis, promtool, systemd-analyze, zsh and fish
	@tools/need.sh gcc gcc libc6-dev + mariadbd mariadb-server + pg_ctlcluster postgresql + redis-server redis-server \
		+ promtool prometheus + systemd-analyze systemd + zsh zsh + fish fish

# The race detector needs a C compiler.
.PHONY: need-cc
need-cc:
	@tools/need.sh gcc gcc libc6-dev

.PHONY: need-blackbox
need-blackbox:
	@tools/need.sh prometheus-blackbox-exporter prometheus-blackbox-exporter

.PHONY: need-protoc
need-protoc:
	@tools/need.sh protoc protobuf-compiler

# The pinned tools, each a module of its own; see tools/README.md. Go's build
# cache makes all but the first build quick.
bin/consul: tools/consul/go.mod tools/consul/go.sum
	@echo "building Consul: about 4 minutes on 2 cores the first time"
	cd tools/consul && CGO_ENABLED=0 $(TOOLBUILD) -o ../../bin/consul github.com/hashicorp/consul

bin/micro: tools/micro/go.mod tools/micro/go.sum tools/micro/main.go
	cd tools/micro && CGO_ENABLED=0 $(TOOLBUILD) -buildvcs=false -o ../../bin/micro .

bin/micro1: tools/micro1/go.mod tools/micro1/go.sum $(wildcard tools/micro1/*.go)
	cd tools/micro1 && CGO_ENABLED=0 $(TOOLBUILD) -buildvcs=false -o ../../bin/micro1 .

bin/goma: tools/goma/go.mod tools/goma/go.sum
	cd tools/goma && CGO_ENABLED=0 $(TOOLBUILD) -o ../../bin/goma github.com/cybozu-go/goma/cmd/goma

bin/gatus: tools/peers/go.mod tools/peers/go.sum
	@echo "building Gatus: about 2 minutes on 2 cores the first time"
	cd tools/peers && CGO_ENABLED=0 $(TOOLBUILD) -o ../../bin/gatus github.com/TwiN/gatus/v5

bin/bench: $(wildcard tools/bench/*.go)
	@mkdir -p bin
	cd tools/bench && GOWORK=off go build -o ../../bin/bench .

bin/faults: $(wildcard tools/faults/*.go)
	@mkdir -p bin
	cd tools/faults && GOWORK=off go build -o ../../bin/faults .

bin/release-check: $(wildcard tools/release-check/*.go)
	@mkdir -p bin
	cd tools/release-check && GOWORK=off go build -o ../../bin/release-check .

bin/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	@echo "building the linter: about 2 minutes on 2 cores the first time"
	cd tools/lint && CGO_ENABLED=0 $(TOOLBUILD) -o ../../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/protoc-gen-go bin/protoc-gen-micro &: tools/proto/go.mod tools/proto/go.sum
	cd tools/proto && CGO_ENABLED=0 $(TOOLBUILD) -o ../../bin/ tool
