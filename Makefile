# make demo: the whole loop on an embedded company.   make test: every check that CI runs.
# Both make .venv from requirements.lock first; the second time that costs nothing.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test lint unit bench scale chaos fuzz audit setup lock clean

demo: setup
	@$(BIN)/huntonce demo

test: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tests/run

lint: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tests/run lint

unit: setup
	@$(BIN)/python -m pytest -q tests/unit

# The benchmarks of docs/performance.md; "python -m tests.benchmarks --help" lists them.
bench: setup
	@$(BIN)/python -m tests.benchmarks

# Hunts a minute with 1, 2 and 3 workers on PostgreSQL; SCALE=20 for fewer hunts.
SCALE ?= 200
scale: setup
	@$(BIN)/python -m tests.benchmarks.scale $(SCALE)

# Disturbs the loop (kills, faults) and compares where it ends; goes on where docs/chaos-ledger.csv stops.
TRIALS ?= 200
chaos: setup
	@$(BIN)/python -m tests.chaos --trials $(TRIALS)

# Attack every parser for some seconds each; FUZZ="--seconds 300 task-xml" for one of them, longer.
# What breaks one is kept in build/fuzz (docs/robustness.md).
FUZZ ?= --seconds 10
fuzz: setup
	@$(BIN)/python -m tests.fuzz $(FUZZ)

# Licences, an SBOM (build/sbom.cdx.json), and vulnerabilities where pip-audit is installed.
audit: setup
	@$(BIN)/python tools/audit.py

setup: $(READY)

# The lock is whole, so pip is not to look for anything: it would take the newest of a package that
# one asks for with an extra, and another pinned without.
$(READY): requirements.lock pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit("Huntonce needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@echo "Setting up .venv (once, about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $(READY)

# Renew the lock: one file for Python 3.11 to 3.13, hashes and no addresses. Needs uv.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra dev --no-header -q pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .huntonce build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
