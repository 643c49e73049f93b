# Every target sets up what it needs. PYTHON and PIP_ARGS may be given on the command line.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install dev demo test test-crash lint format bench clean
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## Install Strop into .venv (command: .venv/bin/strop)

dev: $(VENV)/.dev

demo: install ## Review a real merge request on a sandbox forge with the default model
	@$(BIN)/python -m tests.demo

test: dev ## Run the test suite: real git, databases, a small model, and kill -9
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered

test-crash: dev ## Only the crash tests, with the table of every point
	$(BIN)/python -m pytest -m crash tests/test_crash.py

lint: dev ## Check style, types and lint rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: dev ## Measure engine, webhooks and review (minutes; see benchmarks/README.md)
	$(BIN)/python -m benchmarks

clean: ## Remove what the other targets made
	rm -rf $(VENV) .demo .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@PYTHON="$(PYTHON)" sh .ci/check-tools
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/.installed: pyproject.toml constraints.txt $(VENV)/bin/python
	@echo "Installing Strop. The first time compiles llama.cpp: some minutes."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(PIP_ARGS) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(PIP_ARGS) --group dev
	@touch $@
