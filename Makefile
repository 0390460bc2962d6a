# The commands of this house. Every one of them first sees to its tools (`setup`), so each works as the only command.
SHELL := /bin/bash
TARGET := $(or $(CARGO_TARGET_DIR),target)
HOST := $(TARGET)/release/host
SUDO := $(if $(filter 0,$(shell id -u)),,$(shell command -v sudo))
KERNELS := $(foreach arch,x86_64 aarch64,$(foreach series,5.10 6.1 6.12 6.18 7.3,$(series)/$(arch)))
.DEFAULT_GOAL := help
.PHONY: help setup run test check bench bench-peers bench-requests polyglot fuzz hostile attack survive test-kernels test-package dist docs build edge fmt clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Installs what a fresh Debian or Ubuntu with rustup lacks; quick when nothing does
	@.ci/setup build

run: build ## Builds, then shows what the kernel is doing (ARGS="--probe file --comm bash")
	@$(SUDO) $(HOST) run $(ARGS)

test: ## Everything: unit tests and the real binary under real load; as root with real eBPF
	@.ci/setup build test cross
	@.ci/test

check: setup ## Format, clippy, licences, laws of the house
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo test --release --workspace --test architecture
	@.ci/deny

bench: setup ## The path native and in Wasm, and the way out: ns per record (target/bench/path.json)
	cargo bench --workspace --bench path --bench loading --bench otlp

bench-peers: ## CPU per event beside a bare C reader, opensnoop and bpftrace (target/bench/peers.json); needs root
	@.ci/setup build peers
	cargo build --release
	$(MAKE) --no-print-directory -C tests/benches/limit OUT=$(abspath $(TARGET))/bench/limit
	@$(SUDO) unshare --mount $(TARGET)/release/bench-peers $(ARGS)

bench-requests: ## Throughput of redis, nginx and PostgreSQL with and without the host, and with bpftrace (target/bench/requests.json); needs root
	@.ci/setup build test peers
	cargo build --release --workspace --bins
	@$(SUDO) unshare --mount sh -c 'mount -t tracefs none /sys/kernel/tracing; $(TARGET)/release/bench-requests $(ARGS)'

polyglot: setup ## One policy in five languages, tested and measured (target/polyglot/cards.json); fetches Go, QuickJS and Python
	@.ci/polyglot
	cargo build --release --workspace --bins
	POLYGLOT=$(abspath $(TARGET))/polyglot/components cargo test --release --workspace --test policies
	POLYGLOT=$(abspath $(TARGET))/polyglot/components cargo bench --workspace --bench cards

survive: setup ## Hostile plugins in random order in one process, for ten minutes (TIME=seconds, SURVIVE_SEED=...); needs root
	cargo build --release --workspace --bins
	SURVIVE_SECONDS=$(or $(TIME),600) cargo test --release --workspace --test end_to_end survives

attack: setup ## All that was tried against a host, for ten minutes, and its end at a hundred random moments (TIME=seconds, ROUNDS=ends); needs root
	cargo build --release --workspace --bins
	ATTACK_SECONDS=$(or $(TIME),600) ATTACK_ROUNDS=$(or $(ROUNDS),100) cargo test --release --workspace --test attacks

hostile: setup ## A million mutated conversations for each protocol, along the whole path (COUNT=how many)
	cargo build --release --workspace --bins
	HOSTILE=$(or $(COUNT),1000000) cargo test --release --workspace --test requests mutated

test-kernels: ## Every probe on Debian's kernels from 5.10 to 7.3, x86_64 and aarch64, in virtual machines; writes docs/kernels.md
	@.ci/setup build cross
	@.ci/kernels $(KERNELS)
	cargo build --release --workspace --bins
	@.ci/cross x86_64 aarch64
	KERNELS="$(KERNELS)" KERNELS_TABLE=write cargo test --release --workspace --test kernel

dist: ## What is released, into dist/: static binaries and Debian packages for x86_64 and aarch64, SBOM, checksums
	@.ci/setup build dist
	@.ci/dist

test-package: ## The Debian package of `make dist`: installed, started, restarted and purged, without a trace; needs root
	@[[ -e dist/SHA256SUMS ]] || $(MAKE) --no-print-directory dist
	@.ci/package

docs: ## The documents as a book, target/book/index.html; fails on a warning and on a dead link
	@.ci/setup docs
	@.ci/docs

fuzz: setup ## libFuzzer on everything that reads bytes of others, an hour in all (TIME=seconds for each target, TARGETS="...")
	@.ci/setup fuzz
	@.ci/fuzz $(TARGETS)

edge: setup ## The edge build, without a compiler: target/edge/release/host
	cargo build --release --package host
	HOST_COMPILER=$(abspath $(HOST)) cargo build --release --package host --no-default-features --target-dir $(TARGET)/edge

build: setup ## The binary, with its plugins and probes inside
	cargo build --release

fmt: setup ## Formats the Rust code
	cargo fmt --all

clean: ## Removes what was built
	cargo clean
