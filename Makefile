# Two commands: `make run` prints the default suite's table, `make test` runs the tests.
# Both create .venv on their first call and reuse it until pyproject.toml changes.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test lint bench docs clean

run: .venv/installed
	$(BIN)/harness run

test: .venv/installed-dev
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: .venv/installed-dev
	$(BIN)/pytest benchmarks/

docs: .venv/installed-dev
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs . docs/_build
	@echo docs/_build/index.html

clean:
	rm -rf .venv docs/_build

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(PIP) install --editable .
	touch $@

# dependency groups need pip 25.1 or newer
.venv/installed-dev: pyproject.toml .venv/installed
	$(PIP) install --upgrade "pip>=25.1"
	$(PIP) install --group dev
	touch $@
