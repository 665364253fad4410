# The two commands are `make demo` and `make test`. Everything else is for those who work on it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo up down test kill-test test-postgres-versions bench bench-control peer-conformance peer-bench peer-bench-full peer-golden lint build install

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: build ## The whole pipeline on real parts: rows in, history tables out
	dev/demo

up: build ## The same stack, kept running to play with
	dev/demo --keep

down: ## Stop what `make up` started
	dev/demo --down

test: ## Everything that CI runs: lints, unit and integration tests
	dev/test

kill-test: install ## Thirty kills of a source and of a sink under load, a minute without Kafka, five minutes of rebalances
	export FERROCONNECT_DEV_DIR=.dev/kill; trap 'dev/services clean' EXIT; dev/services start; eval "$$(dev/services env)"; \
	  FERROCONNECT_TEST_KILLS=30 FERROCONNECT_TEST_REBALANCE_SECONDS=300 FERROCONNECT_TEST_BROKER_AWAY_SECONDS=60 \
	  dev/cargo test --features analytics,failpoints --test it -- s3::kill lifecycle::kill lifecycle::exactly_once lifecycle::outside

test-postgres-versions: ## The PostgreSQL source's tests against PostgreSQL 12 to 18
	dev/test-postgres-versions

bench: build ## CPU-seconds per million events, beside the physical floors
	bench/run
	bench/scd2.py

bench-control: build ## Start-up with 500 connectors, idle connectors, answers of the REST API
	bench/control

peer-conformance: build ## Ours beside the real Kafka Connect and Debezium: what differs (needs a JDK and Maven)
	tests/peer/conformance

peer-bench: build ## Ours beside the real Kafka Connect and Debezium: what it costs
	tests/peer/bench

peer-bench-full: build ## The same in full size: some hours
	tests/peer/bench --full

peer-golden: ## What the original's converters and transforms make of ours' test cases, anew (needs a JDK and Maven)
	python3 tests/peer/golden/make.py

lint: ## Formatting and clippy
	dev/cargo fmt --all --check
	dev/cargo clippy --workspace --all-targets --features analytics,failpoints -- --deny warnings

install: ## Install what is missing, by package name
	dev/services install

build: install
	dev/cargo build --release --workspace --features analytics
