# Developer commands; continuous integration (.ci/run) calls the same targets.
#
# PYTHON=...       the interpreter from which `make setup` creates .venv
# ARGS=...         more arguments for check, test, fuzz, bench, bench-serve, bench-cluster, soak,
#                  overload and chaos
# LOCK_FLAGS=...   more arguments for `make lock`: LOCK_FLAGS=--upgrade takes newer versions

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# Tests start hundreds of processes of Python: none compiles the sources again.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
STAMP := $(VENV)/.installed
PYTHON ?=
ARGS ?=
LOCK_FLAGS ?=

.PHONY: help setup page types run check light test postgresql replicas fuzz lint format bench bench-serve bench-cluster bench-page screenshots soak overload chaos lock manifests container

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv with the locked development requirements, if they changed

# The lock files cover these versions; TensorFlow publishes no wheels for others.
CHECK_PYTHON := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
CANDIDATES := $(or $(PYTHON),python3 python3.13 python3.12 python3.11)

# The stamps are written last, so `make` repeats an interrupted installation.
$(RUNTIME): requirements/cpu.txt requirements/page.txt pyproject.toml
	@if ! $(BIN)/python -c '$(CHECK_PYTHON)' 2> /dev/null; then \
	    for python in $(CANDIDATES) none; do \
	        if "$$python" -c '$(CHECK_PYTHON)' 2> /dev/null; then break; fi; \
	    done; \
	    if [ "$$python" = none ]; then \
	        echo "make setup: no Python 3.11, 3.12 or 3.13 found as: $(CANDIDATES)." \
	            "Install one, or name it: make setup PYTHON=/path/to/python3.12" >&2; \
	        exit 1; \
	    fi; \
	    echo "creating $(VENV) with $$("$$python" --version)"; \
	    "$$python" -m venv --clear $(VENV); \
	fi
	@echo "installing what the service needs into $(VENV): a minute or two"
	@scripts/install_locked.sh $(BIN)/python requirements/cpu.txt requirements/page.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMP): requirements/dev.txt $(RUNTIME)
	@echo "installing what the tests need into $(VENV): a minute"
	@scripts/install_locked.sh $(BIN)/python requirements/dev.txt
	@touch $@

# Node and npm are in the environment. npm writes the stamp last, as `setup` does.
NPM = cd page && PATH="$(CURDIR)/$(BIN):$$PATH" npm
NODE_STAMP := page/node_modules/.package-lock.json
PAGE := app/static/index.html
PAGE_SOURCES := $(shell find page -name node_modules -prune -o -type f -print)

page: $(PAGE) ## Build the page into app/static, if its sources changed

$(NODE_STAMP): page/package-lock.json page/package.json page/.npmrc | $(RUNTIME)
	$(NPM) ci
	@touch $@

$(PAGE): $(PAGE_SOURCES) | $(NODE_STAMP)
	$(NPM) run build

types: setup $(NODE_STAMP) ## Write the page's types of requests and answers from the routes
	$(BIN)/python -m scripts.write_page_types

run: $(RUNTIME) $(PAGE) ## Start the service (ZOO_HOST, ZOO_PORT; default 127.0.0.1:8000)
	$(BIN)/python -m app

check: setup page ## Lint, and run the tests that need neither TensorFlow nor a service (under 2 minutes on 2 cores)
	@$(MAKE) --no-print-directory --jobs 2 lint light

light: setup page
	$(NPM) test
	$(BIN)/python -m pytest --light -n auto --maxprocesses 4 -rfE $(ARGS)

# One more than there are cores, as many tests wait for a service or for a limit to pass.
PROCESSES := $(shell cores=$$(nproc); echo $$((cores < 4 ? cores + 1 : 4)))

# Each process runs whole files, because their fixtures start services and build networks.
test: setup page ## Run all tests (minutes)
	$(NPM) test
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile \
	    --no-loadscope-reorder $(ARGS)
	@$(MAKE) --no-print-directory postgresql

# What the service keeps in SQLite and a folder, it keeps in PostgreSQL and a bucket too: the tests of
# the service are run on both. tests/conftest.py leaves out what takes its state from neither. These
# take it, and are about something else: who is let in, requests that are refused before the store
# is asked, logs, the schema, and what a worker computes of a build.
ON_ONE_PAIR := access oidc docs_access admission bounded_http cross_origin http_bad_specs \
    http_body large_refusals root_path trace_context trace_threads logs telemetry settings \
    packages_served openapi docs_http live_compare live_images live_probe live_profile ray ray_serve

postgresql: setup page ## Run the tests of the service on PostgreSQL and an S3 server (3 minutes)
	@ls $(ON_ONE_PAIR:%=tests/app/test_%.py) > /dev/null  # pytest ignores in silence what is not there
	$(BIN)/python -m pytest --database postgresql --files s3 -n $(PROCESSES) --dist loadfile \
	    --no-loadscope-reorder tests/app $(ON_ONE_PAIR:%=--ignore tests/app/test_%.py)

replicas: setup page ## Work on two replicas for three minutes, and kill one of them in the middle
	REPLICAS_SECONDS=180 REPLICAS_THREADS=32 $(BIN)/python -m pytest tests/app/test_live_replicas.py -s $(ARGS)

fuzz: setup ## Test the file readers on ten times as many damaged files (minutes)
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest tests/fuzz $(ARGS)

lint: setup $(NODE_STAMP) ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(NPM) run check

format: setup $(NODE_STAMP) ## Format, and fix what the linters can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(NPM) run format

bench: setup ## Run the benchmarks
	$(BIN)/python -m benchmarks.bench $(ARGS)

bench-serve: setup ## Compare serving with LitServe, BentoML, MLServer and FastAPI (minutes)
	$(BIN)/python -m benchmarks.serving $(ARGS)

bench-cluster: setup ## Compare a Ray cluster on this machine with the local engine, and kill nodes (minutes)
	$(BIN)/python -m benchmarks.cluster $(ARGS)

bench-page: setup page ## Measure edits in a real browser until their totals are painted (a minute)
	$(BIN)/python -m benchmarks.page

screenshots: setup page ## Take the pictures of the page in docs/images (a minute)
	$(BIN)/python -m scripts.take_screenshots

soak: setup ## Load, query and unload networks 500 times, and report what grows (minutes)
	$(BIN)/python -m benchmarks.serving.soak $(ARGS)

overload: setup ## Send ten times the capacity, and kill the worker under load (minutes)
	$(BIN)/python -m benchmarks.serving.overload $(ARGS)

chaos: setup ## Attack the service: hostile clients, kills, a failing store (minutes)
	$(BIN)/python -m benchmarks.chaos $(ARGS)

# cpu.txt constrains the other two, so every variant runs the same versions.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --custom-compile-command 'make lock' $(LOCK_FLAGS)
lock: setup ## Write requirements/*.txt from pyproject.toml
	$(COMPILE) pyproject.toml --output-file requirements/cpu.txt
	$(COMPILE) pyproject.toml --extra dev --constraints requirements/cpu.txt --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --extra gpu --constraints requirements/cpu.txt --output-file requirements/gpu.txt
	$(COMPILE) pyproject.toml --extra shared --extra oidc --constraints requirements/dev.txt \
	    --output-file requirements/shared.txt
	$(COMPILE) pyproject.toml --extra shared --extra oidc --extra ray --constraints requirements/dev.txt \
	    --output-file requirements/ray.txt
	$(COMPILE) --group page --constraints requirements/dev.txt --output-file requirements/page.txt

# Needs kubectl, whose kustomize reads the overlays.
OVERLAYS := $(notdir $(wildcard deploy/kubernetes/overlays/*))
manifests: ## Render the overlays of deploy/kubernetes
	for each in $(OVERLAYS); do \
	    kubectl kustomize deploy/kubernetes/overlays/$$each > deploy/kubernetes/rendered/$$each.yaml; \
	done

container: ## Build and check the container image (see scripts/check_container.sh)
	scripts/check_container.sh
