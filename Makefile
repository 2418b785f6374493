# Everything lives in .venv/ inside this folder; nothing else on the machine is touched.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# The first Python that is new enough; `make env PYTHON=/path/to/python` overrides it.
PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.13; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
# -qq shows errors but hides pip's notes about requirements that are already satisfied.
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -qq -c constraints.txt

.PHONY: help env quickstart test lint docs

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(VENV)/.ready ## install hsc and all it needs into .venv/

# torch is installed first and pinned, so that no dependency pulls another release of it.
$(VENV)/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "hsc needs Python 3.11 or newer; install it, or name it: make env PYTHON=/path/to/python"; exit 1; }
	@echo "installing into $(VENV)/ (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) "$$(grep '^torch==' constraints.txt)"
	@$(PIP) -e '.[judges,anchors,ray,dev,docs]'
	@$(BIN)/hsc weights fetch || echo "continuing without those weights; hsc weights shows what needs them"
	@touch $@

quickstart: env ## code a face, train a small codec, compare with AV1 and VVC (minutes)
	@PATH="$(CURDIR)/$(BIN):$$PATH" experiments/quickstart.sh

test: env ## run the tests
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: env ## check style, types and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

docs: env ## build the documentation's site into build/site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "build/site/index.html; with search: python3 -m http.server -d build/site"
