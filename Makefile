# The project's commands. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Neither the demo nor the tests need a hub.
export HF_HUB_OFFLINE ?= 1

.PHONY: help demo test test-long lint format docs clean

help: ## List the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,dev]'
	@touch $@

demo: $(VENV)/installed ## Tune the embedded model on a coreset and on everything; print one table
	$(BIN)/fedhds demo --out runs/demo --overwrite

# A file's tests stay in one process, as they share what is costly to make.
PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile

test: $(VENV)/installed ## Run the tests
	$(PYTEST)

test-long: $(VENV)/installed ## Run the tests, the long ones too
	$(PYTEST) --long

lint: $(VENV)/installed ## Check style, docstrings and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/installed ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

clean: ## Remove the environment and all caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist site
