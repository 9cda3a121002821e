# make demo   install into .venv, run the packaged sample through the whole pipeline, show results live
# make test   install everything that tests and benchmarks need, and run the tests
# make lint   ruff, mypy --strict, import-linter
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: demo test lint clean

demo: $(VENV)/.installed-demo
	@$(BIN)/sentistream demo $(ARGS)

test: $(VENV)/.installed-all
	$(BIN)/pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder $(ARGS)

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
