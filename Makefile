# The pipeline lives in .venv, the inference server in .venv-triton (it needs NumPy 1).
# Both come from lock files through plain pip; pip's own configuration decides where from.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin

.PHONY: install run quick test smoke check mutants bench bench-env up down

install: .venv/installed .venv-triton/installed

run: install  ## raw text to an answering Triton endpoint
	$(BIN)/textmill run python-docs

quick: install .venv/installed-dev  ## no servers, no trainings: what one runs before each commit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder -q -m 'not smoke and not slow'

test: install .venv/installed-dev check
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations 15

smoke: install .venv/installed-dev  ## what `make test` leaves out: more recipes, more architectures, more kills
	$(BIN)/python -m pytest -m smoke

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

mutants: .venv/installed-dev .venv-mutants/installed  ## do the tests notice small mistakes in the core modules?
	nice -n 15 .venv-mutants/bin/python tests/mutants.py --each $(or $(EACH),8) $(MODULES)

bench: install bench-env
	$(BIN)/python -m benchmarks

bench-env: .venv-bench/installed  ## peers, kept apart from the pipeline's own environment

up down: install
	$(BIN)/textmill $@

.venv/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "textmill needs Python 3.11 or 3.12: apt-get install python3 python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv || { echo "no venv module: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	touch $@

.venv-bench/installed: requirements-bench.lock .venv/installed
	$(BIN)/python -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-bench.lock
	touch $@

.venv-mutants/installed: requirements-mutants.lock .venv/installed
	$(BIN)/python -m venv .venv-mutants
	.venv-mutants/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-mutants.lock
	touch $@

.venv-triton/installed: requirements-triton.lock deploy/server_environment.py
	@test -n "$(PYTHON)" || { echo "textmill needs Python 3.11 or 3.12: apt-get install python3 python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv-triton
	.venv-triton/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-triton.lock
	.venv-triton/bin/python deploy/server_environment.py --complete > /dev/null
	touch $@
