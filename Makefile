# make demo       install into .venv, run the packaged sample through the whole pipeline, show results live
# make test-fast  for the edit loop: the unit tests, without those marked slow (trainings), property tests and tests with servers
# make check      before a commit: the linters, all unit tests and the property tests; leaves out tests with servers
# make test       install everything that tests and benchmarks need, and run all tests
# make lint       ruff, mypy --strict, import-linter
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Tests at a time: one more than two cores, since tests with servers compute for a third of their time and wait for the rest.
PROCESSES ?= 3
# A free process takes the next test; the long ones come first.
PYTEST := $(BIN)/pytest --numprocesses $(PROCESSES) --maxschedchunk 1

.PHONY: demo test test-fast check lint clean

demo: $(VENV)/.installed-demo
	@$(BIN)/sentistream demo $(ARGS)

test: $(VENV)/.installed-all
	$(PYTEST) $(ARGS)

test-fast: $(VENV)/.installed-all
	$(PYTEST) -m "not slow" tests/unit $(ARGS)

check: lint
	$(PYTEST) tests/unit tests/property $(ARGS)

lint: $(VENV)/.installed-all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "sentistream needs Python 3.11; say make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-demo: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[local]'
	@touch $@

$(VENV)/.installed-all: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[local,asr,train,test,bench]'
	@touch $@ $(VENV)/.installed-demo

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
