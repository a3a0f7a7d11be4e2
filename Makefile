# `make demo` and `make test` need Python 3.11 and make; everything else is installed into $(VENV).

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

DEMO := demo
DEMO_COMMAND = $(BIN)/dag-gfn fit --dataset sachs --log --standardize --seed 0 \
	--output $(DEMO) --overwrite
BENCHMARK_COMMAND = $(BIN)/python experiments/benchmark/run.py

# The first interpreter that runs and is new enough: a python3.11 on the path may be a broken shim.
PYTHON ?= $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& echo $$python && break; done)

.PHONY: help install demo test lint format docs benchmark stress clean
.DELETE_ON_ERROR:

help:
	@echo "make demo        fit the Sachs table and write samples, marginals and plots to $(DEMO)/"
	@echo "make test        lint, type check and test"
	@echo "make lint        lint and type check only"
	@echo "make format      format the code and sort its imports"
	@echo "make docs        build the documentation into docs/_build/html"
	@echo "make benchmark   measure accuracy and speed, and write the table of results"
	@echo "make stress      try a hundred times as much bad input as the tests do, drawn anew: hours"
	@echo "make install     make the virtual environment $(VENV) and install the package into it"
	@echo "make clean       remove what the other commands wrote, but not $(VENV)"

install: $(STAMP)

$(STAMP): setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "dag_gfn needs Python 3.11 or newer, and neither python3.11 nor\
	 python3 is one: install it, or name it with 'make PYTHON=/path/to/python'." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(STAMP)
	$(DEMO_COMMAND)

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(STAMP)
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

benchmark: $(STAMP)
	$(BENCHMARK_COMMAND)

stress: $(STAMP)
	DAG_GFN_STRESS=1 $(BIN)/python -m pytest --numprocesses 2 tests/properties

clean:
	rm -rf $(DEMO) build dist docs/_build docs/experiments docs/notebooks *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find dag_gfn tests experiments notebooks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
