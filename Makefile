# make demo         install into .venv, run the packaged sample through the whole pipeline, show results live
# make test-fast    for the edit loop: the unit tests without those marked slow (trainings); no property tests, no servers
# make check        before a commit: the linters, all unit tests and the property tests; no servers
# make test         install everything that tests and benchmarks need, and run all tests
# make test-matrix  unit, property and integration tests on each of Python 3.11, 3.12 and 3.13 that is on this machine
# make lint         ruff, mypy --strict, import-linter
# make docs         build the site of the documentation in build/docs/html; its pages also open without a server
# make docs-serve   show it on http://127.0.0.1:8000, and follow changes of the pages, until Ctrl-C
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && command -v $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# An environment that uv has made has no pip.
PIP_INSTALL = @$(BIN)/python -c 'import pip' 2>/dev/null || $(BIN)/python -m ensurepip; $(BIN)/python -m pip install --disable-pip-version-check
# Tests at a time: one more than two cores, since tests with servers compute for a third of their time and wait for the rest.
PROCESSES ?= 3
# A free process takes the next test; the long ones come first.
PYTEST := $(BIN)/pytest --numprocesses $(PROCESSES) --maxschedchunk 1

.PHONY: demo test test-fast check test-matrix lint docs docs-serve clean

demo: $(VENV)/.installed-demo
	@$(BIN)/sentistream demo $(ARGS)

test: $(VENV)/.installed-all
	$(PYTEST) $(ARGS)

test-fast: $(VENV)/.installed-all
	$(PYTEST) -m "not slow" tests/unit $(ARGS)

check: lint
	$(PYTEST) tests/unit tests/property $(ARGS)

test-matrix: $(VENV)/.installed-nox
	$(BIN)/nox $(if $(ARGS),-- $(ARGS))

lint: $(VENV)/.installed-all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(VENV)/.installed-docs
	@$(BIN)/python -m docs.build_site

docs-serve: $(VENV)/.installed-docs
	@$(BIN)/python -m docs.build_site --serve $(ARGS)

$(BIN)/python:
	@test -n '$(PYTHON)' && $(PYTHON) -c '$(SUPPORTED)' || { \
		echo "sentistream needs Python 3.11, 3.12 or 3.13, and $(or $(PYTHON),nothing on the PATH) is none of them; say make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-demo: $(BIN)/python pyproject.toml
	$(PIP_INSTALL) --editable '.[local]'
	@touch $@

$(VENV)/.installed-all: $(BIN)/python pyproject.toml
	$(PIP_INSTALL) --editable '.[local,asr,train,explain,test,bench,docs]'
	@touch $@ $(VENV)/.installed-demo $(VENV)/.installed-docs

$(VENV)/.installed-docs: $(BIN)/python pyproject.toml
	$(PIP_INSTALL) --editable '.[docs]'
	@touch $@

$(VENV)/.installed-nox: $(BIN)/python
	$(PIP_INSTALL) nox
	@touch $@

clean:
	rm -rf $(VENV) build/docs .nox .pytest_cache .mypy_cache .ruff_cache .hypothesis
