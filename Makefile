# Needs Rust, Go and Python 3; the tests of the SDKs Node.js, npm, Java and Maven too. Everything else is fetched by name, pinned, into this checkout
# (.tools, .venv, target) or into the cache of the language's own package manager.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
CARGO ?= cargo
# What `make demo` runs; examples/aws-bootstrap-yaml, say.
EXAMPLE ?= examples/aws-bootstrap
# What `make demo-pipeline` runs, of examples/workload; one-program-yaml, two-programs or control-room-program, say.
PIPELINE ?= one-program
# Which tests, and how: make pytest PYTEST="tests/test_bootstrap.py -k import"
PYTEST ?= -n 2 --dist worksteal tests
# Which archives `make dist` builds; linux-amd64 linux-arm64, say. This machine's, when none is named.
PLATFORMS ?=
# What is measured, and how: make bench BENCH="bootstrap --tls --sizes 50"
BENCH ?=

DENY := .tools/bin/cargo-deny
DENY_VERSION := 0.20.2
PLUGIN := target/debug/pulumi-resource-ptd
VENV := .venv/.installed
CRATES := pulumi-proto pulumi-provider pulumi-automation

.PHONY: help build test-provider secrets tools workload-tools azurite workload-env workload-env-down venv lint deny schema sdk check-generated docs cargo-test pytest test bench msrv package dist dist-check demo demo-down demo-pipeline demo-pipeline-down clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | awk -F '\t' '{ printf "make %-18s %s\n", $$1, $$2 }'

build: ## the plugin, with debug profile
	@$(CARGO) build --quiet --locked -p ptd --bin pulumi-resource-ptd

test-provider: ## the provider that the protocol tests drive where the plugin has no use for a feature
	@$(CARGO) build --quiet --locked -p pulumi-provider --examples

tools: ## the Pulumi CLI (unless one on PATH will do) and the SDK generator, into .tools
	@tools/build.sh

workload-tools: ## what examples/workload runs against: a Kubernetes API server, etcd, PostgreSQL
	@tools/workload.sh

azurite: ## an emulator of Azure's blob storage
	@tools/azurite.sh

workload-env: tools workload-tools venv ## start it, with an emulated AWS; then: eval "$$(tools/workload_env.py env)"
	@.venv/bin/python tools/workload_env.py start

workload-env-down: ## stop it, and forget all it held
	@[ ! -d .demo-pipeline ] || .venv/bin/python tools/workload_env.py stop

venv: $(VENV) ## the Python environment of the tests and the demo

$(VENV): tests/requirements.txt tests/constraints.txt
	@echo "installing the Python environment into .venv"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

# Editable, so that the environment always has the SDK of this checkout.
.venv/.sdk: $(VENV) sdk/python/pyproject.toml
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e sdk/python
	@touch $@

secrets: venv ## no credentials in what is committed; a line that only looks so says `pragma: allowlist secret`
	@git ls-files -z | xargs -0 .venv/bin/detect-secrets-hook --baseline .secrets.baseline

lint: secrets ## formatting, clippy and documentation, all warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --quiet --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --quiet --locked --workspace --no-deps

deny: $(DENY) ## licences, duplicates and sources of dependencies; advisories when their database is there
	$(DENY) --log-level error check licenses bans sources
	@if $(DENY) --log-level off fetch db 2>/dev/null; then \
		$(DENY) --log-level error check --disable-fetch advisories; \
	else echo "advisories: not checked, their database cannot be reached"; fi

$(DENY): Makefile
	@if ! $(DENY) --version 2>/dev/null | grep -q " $(DENY_VERSION)$$"; then \
		echo "building cargo-deny (two minutes)"; \
		$(CARGO) install --quiet --locked --debug cargo-deny@$(DENY_VERSION) --root .tools --target-dir .tools/build; \
		rm -rf .tools/build; fi
	@touch $@

schema: build ## schema.json, from the plugin
	@$(PLUGIN) schema >.schema.json.new && mv .schema.json.new schema.json

sdk: schema tools ## the SDKs, from schema.json
	@.tools/bin/gensdk -schema schema.json -out sdk

check-generated: build tools
	@$(PLUGIN) schema | diff -u schema.json - || { echo "schema.json is stale: run make sdk"; exit 1; }
	@.tools/bin/gensdk -check -schema schema.json -out sdk
	@found=$$(PATH="$(CURDIR)/.tools/bin:$$PATH" PULUMI_HOME="$(CURDIR)/.tools/home" PULUMI_SKIP_UPDATE_CHECK=true \
		pulumi schema check schema.json 2>&1); [ -z "$$found" ] || { echo "$$found"; exit 1; }
	@$(PYTHON) tools/schema_compat.py

msrv: ## everything compiles with the oldest Rust that Cargo.toml promises, where that can be had
	@oldest=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml); \
		if $(CARGO) "+$$oldest" --version >/dev/null 2>&1 || rustup toolchain install "$$oldest" --profile minimal --no-self-update >/dev/null 2>&1; then \
			CARGO_TARGET_DIR=target/msrv $(CARGO) "+$$oldest" check --quiet --locked --workspace; \
		else echo "msrv: not checked, Rust $$oldest cannot be had"; fi

package: ## the crates as crates.io takes them, each compiled from its package
	@$(CARGO) package --quiet --locked $(foreach crate,$(CRATES),-p $(crate))

cargo-test: tools
	$(CARGO) test --quiet --locked --workspace

pytest: build test-provider tools workload-tools azurite venv .venv/.sdk ## the end-to-end tests alone
	.venv/bin/python -m pytest -c tests/pytest.ini --rootdir . $(PYTEST)

docs: venv ## the site of docs/ into target/site, every warning an error
	@.venv/bin/python -m sphinx -q -E -W --keep-going -n -j 2 -d target/site.doctrees -b html docs target/site
	@echo "target/site/index.html"

test: ## everything CI runs
	@$(MAKE) lint
	@$(MAKE) deny
	@$(MAKE) cargo-test
	@$(MAKE) check-generated
	@$(MAKE) package
	@$(MAKE) msrv
	@$(MAKE) docs
	@$(MAKE) pytest

dist: venv ## the plugin's archive, its checksums and bill of materials, and the SDKs' packages, into dist
	@.venv/bin/python tools/pack_sdks.py --check-tools dist/sdks
	@.venv/bin/python tools/dist.py $(foreach platform,$(PLATFORMS),--platform $(platform))
	@.venv/bin/python tools/pack_sdks.py dist/sdks

dist-check: venv ## whether two builds of what is committed give the same archive; half an hour
	@.venv/bin/python tools/dist.py --check

bench: tools venv .venv/.sdk ## speed and size of the release build beside what must be reached; on a quiet machine
	@$(CARGO) build --quiet --release --locked -p ptd --bin pulumi-resource-ptd
	@$(CARGO) build --quiet --release --locked -p pulumi-provider --example wait
	@.venv/bin/python -m bench $(BENCH)

demo: build tools venv .venv/.sdk ## a real `pulumi up` of the bootstrap example against an emulated AWS
	@tools/demo.sh up $(EXAMPLE)

demo-down: ## destroy the demo and stop its emulator
	@tools/demo.sh down

demo-pipeline: build tools workload-tools venv .venv/.sdk ## a whole workload by one `pulumi up`, on real servers and an emulated AWS
	@tools/demo_pipeline.sh up $(PIPELINE)

demo-pipeline-down: ## destroy it and stop the servers
	@tools/demo_pipeline.sh down

clean: demo-down demo-pipeline-down ## remove everything built, fetched or started here
	@rm -rf dist .tools .venv .demo .demo-pipeline .pytest_cache .mypy_cache
	@$(CARGO) clean --quiet
