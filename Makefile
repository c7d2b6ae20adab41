# make test    everything that is checked, from nothing: tools, formatting, lints, licences, deployment files, all tests
# make quick   the same without whole-gateway scenarios, for every few minutes of work
# make demo    the gateway at work with a simulated platform, judged
# make campaign  simulated weeks with thousands of faults; every observable one must be found; see docs/RELIABILITY.md
# make bench   the benchmarks; their figures go to docs/BENCHMARKS.md by hand
# make bench-scaled  those on Apache Kafka and PostgreSQL, beside Kafka Connect's JDBC sink; starts servers of its own

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

# One set of flags for building, linting and testing, so that nothing is compiled for two sets of features.
WHOLE := --locked --workspace --all-features
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
PROGRAM := $(TARGET)/debug/hotline-gateway
export PATH := $(TARGET)/tools/bin:$(PATH)

.PHONY: test quick demo campaign bench bench-scaled tools fmt lint deny build deploy tests

test: tools fmt deny lint build deploy tests

quick: fmt lint
	cargo test $(WHOLE) --lib --bins --test it
	cargo test $(WHOLE) --test e2e architecture

tools:
	deploy/dev/install.sh "$(TARGET)/tools"

fmt:
	cargo fmt --all --check

lint:
	cargo clippy $(WHOLE) --all-targets -- -D warnings

deny:
	cargo deny --locked check bans licenses sources

build:
	cargo build $(WHOLE) --all-targets

deploy: tools build
	deploy/dev/check.sh "$(PROGRAM)" "$(TARGET)/tools"

# Last, so that a run ends with the test runner's own words. Every package is tested even when one fails.
tests: build
	GATEWAY_E2E_PROGRAM="$(PROGRAM)" cargo test $(WHOLE) --no-fail-fast

demo:
	cargo run --locked --release -- demo

# Three seeds of their own, printed; CAMPAIGN="--seed 7" repeats one.
campaign:
	cargo run --locked --release --package gateway-e2e --bin campaign -- $(or $(CAMPAIGN),--runs 3)

bench:
	cargo bench --locked --package gateway-bus --bench append
	cargo bench --locked --package gateway-store --bench ingest
	cargo bench --locked --package gateway-reconcile --bench cost
	cargo bench --locked --package gateway-delivery --bench files
	cargo bench --locked --package gateway-server --bench load

# The servers are this target's own, in a directory that is removed in the end.
bench-scaled:
	deploy/dev/kafka.sh fetch
	deploy/dev/connect.sh fetch
	place=$$(mktemp -d); chmod 755 "$$place"; \
	end() { deploy/dev/kafka.sh stop "$$place/kafka" || true; deploy/dev/postgres.sh stop "$$place/postgres" || true; rm -rf "$$place"; }; \
	trap end EXIT; \
	deploy/dev/kafka.sh start "$$place/kafka"; \
	export KAFKA_BOOTSTRAP_SERVERS=$$(sed -n 's/^PLAINTEXT=//p' "$$place/kafka/addresses"); \
	export DATABASE_URL=$$(deploy/dev/postgres.sh start "$$place/postgres" -c max_wal_size=8GB); \
	cargo bench --locked --package gateway-store --features postgres --bench ingest; \
	cargo bench --locked --package gateway-server --features kafka --bench load
