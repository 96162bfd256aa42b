# Hostler: `make run` to try it, `make test` to check it. Both set up what they need in .venv; nothing else is touched.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# `make lock UPGRADE=1` also moves what is already locked.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(if $(UPGRADE),--upgrade)

# The first interpreter that is new enough and can make a virtual environment; `make PYTHON=…` chooses another.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo "$$python"; break; }; done)

.PHONY: install run test test-fast lint fmt types cover schema lock licences bench clean
.DELETE_ON_ERROR:

install: $(READY)

$(READY): pyproject.toml requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "Hostler needs Python 3.11 or newer with its venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "setting up $(VENV); once, and after an update: a minute or so"
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The demo: two models on the embedded engine. `make run ARGS='--listen 127.0.0.1:9000'` for another address.
run: install
	@$(BIN)/hostler demo $(ARGS)

# Everything CI runs.
test: lint types cover

test-fast: install
	HYPOTHESIS_PROFILE=fast $(BIN)/pytest -q -n 4 -m "not e2e and not slow"

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check

fmt: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: install
	$(BIN)/mypy

# The whole programs run one after another: they load models and are measured by what else runs.
cover: install
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n 2 -m "not e2e"
	$(BIN)/coverage run -m pytest -q -m e2e
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include='app/scheduler/*,app/routing/*,planners/*'

schema: install
	$(BIN)/python -m app.config.schema > .config.schema.json && mv .config.schema.json config.schema.json

lock: install
	$(LOCK) --group dev --extra demo --extra engine --extra otel pyproject.toml -o requirements/dev.txt
	$(LOCK) --extra engine pyproject.toml -c requirements/dev.txt -o requirements/runtime.txt
	echo hatchling | $(LOCK) --no-annotate - -c requirements/dev.txt -o requirements/build.txt

licences: install
	$(BIN)/python -m tests.licences

# What Hostler costs beside a direct connection; PEER='command with {config} and {listen}' adds another server.
bench: install
	$(BIN)/python -m tests.bench $(ARGS)

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* htmlcov dist build
