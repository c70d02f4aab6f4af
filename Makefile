# Developer commands; continuous integration (.ci/run) calls the same targets.
#
# PYTHON=...       the interpreter `make setup` builds .venv from
# ARGS=...         more arguments for `make test`, `make fuzz`, `make bench`, `make bench-serve`,
#                  `make soak` and `make overload`
# LOCK_FLAGS=...   more arguments for the locking tool: LOCK_FLAGS=--upgrade takes newer versions

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?=
ARGS ?=
LOCK_FLAGS ?=

.PHONY: help setup run test fuzz lint format bench bench-serve soak overload lock container

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv with the locked development requirements (nothing to do when current)

# The lock files cover these versions: TensorFlow has no wheels for others.
CHECK_PYTHON := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
CANDIDATES := $(or $(PYTHON),python3 python3.13 python3.12 python3.11)

# The stamp is written last, so an interrupted installation is started again.
$(STAMP): requirements/dev.txt pyproject.toml
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
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## Start the service (ZOO_HOST, ZOO_PORT; default 127.0.0.1:8000)
	$(BIN)/python -m app

# Several processes, each with whole files: their fixtures start services and networks.
test: setup ## Run the tests
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

fuzz: setup ## Run the tests of the file readers on many more damaged files (minutes)
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest tests/fuzz $(ARGS)

lint: setup ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## Fix what can be fixed, and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Run the benchmarks
	$(BIN)/python -m benchmarks.bench $(ARGS)

bench-serve: setup ## Compare serving with LitServe, BentoML, MLServer, FastAPI and in process (minutes)
	$(BIN)/python -m benchmarks.serving $(ARGS)

soak: setup ## Load, ask and unload networks hundreds of times, and see what grows (minutes)
	$(BIN)/python -m benchmarks.serving.soak $(ARGS)

overload: setup ## Send ten times what can be served, and kill the worker under load (minutes)
	$(BIN)/python -m benchmarks.serving.overload $(ARGS)

# cpu.txt constrains the other two, so that every variant runs the same versions.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --custom-compile-command 'make lock' $(LOCK_FLAGS) pyproject.toml
lock: setup ## Write requirements/*.txt from pyproject.toml
	$(COMPILE) --output-file requirements/cpu.txt
	$(COMPILE) --extra dev --constraints requirements/cpu.txt --output-file requirements/dev.txt
	$(COMPILE) --extra gpu --constraints requirements/cpu.txt --output-file requirements/gpu.txt

container: ## Build and check the container image (see scripts/check_container.sh)
	scripts/check_container.sh
