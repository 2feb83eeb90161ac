# The only front end: `make help` lists it all, CI runs the same targets.
#
# Two stamps keep set-up from running twice: one for the virtual environment and its packages
# (redone when pyproject.toml changes), one for the built extension (redone when Rust changes).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := $(VENV)/.packages-installed
EXTENSION := $(VENV)/.extension-built
CARGO_LOG := build/cargo-test.log
RUST_SOURCES := $(wildcard Cargo.* rust/*/Cargo.toml rust/*/build.rs rust/*/src/*.rs rust/*/src/*/*.rs)
LINTED := python tests benches

# PyO3 asks this interpreter for its version when clippy builds the glue crate.
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PIP_QUIET := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo check test pgbouncer promtool chromium screenshots bench bench-quick bench-requirements
.PHONY: profile curves soak fmt schema clean toolchain
.PHONY: check-format check-lint check-types check-imports check-stub check-rust

help:
	@echo 'pacewheel: what you can make'
	@echo
	@echo '  make demo         warm eight local sites politely, with live progress (under a minute)'
	@echo '  make test         everything that is tested: Rust, Python, real PostgreSQL'
	@echo '  make check        formatting, lints, types, import contracts, the stub (under a minute)'
	@echo '  make bench-quick  the benches in short form, correctness first: what CI runs'
	@echo '  make bench        the benches in full'
	@echo '  make bench-requirements  the ratios that the requirements ask for, in one table'
	@echo '  make profile      where the time of a task in a drain goes, Python and server (a minute)'
	@echo '  make curves       how cost and speed change with size: figures and plots (some minutes)'
	@echo '  make soak         five minutes under a held-open transaction; SOAK_S=3600 for an hour'
	@echo '  make fmt          format Python and Rust'
	@echo '  make schema       write sql/schema.sql anew from the migrations'
	@echo '  make pgbouncer    PgBouncer from Debian into build/, for the tests behind it (make test does it)'
	@echo '  make promtool     promtool from Debian into build/, for the tests of metrics and rules (so does make test)'
	@echo '  make chromium     Chromium from Debian into build/, for the tests of the dashboard (make test does it)'
	@echo '  make screenshots  the pictures of the README, anew from a daemon at work'
	@echo '  make setup        virtual environment, packages, extension: the others do it themselves'
	@echo '  make clean        remove all that was built, the virtual environment included'
	@echo
	@echo 'PYTHON=python3.13 make setup chooses the interpreter (3.11 or newer) of a new environment.'

setup: $(EXTENSION)

demo: setup
	@$(BIN)/pacewheel demo

# Every part stands alone: `make -k check` shows all that is wrong, not only the first.
check: check-format check-lint check-types check-imports check-stub check-rust

check-format: setup
	$(BIN)/ruff format --check --quiet $(LINTED)
	cargo fmt --all --check

check-lint: setup
	$(BIN)/ruff check --quiet $(LINTED)

check-types: setup
	$(BIN)/mypy --strict python/pacewheel

check-imports: setup
	$(BIN)/lint-imports

check-stub: setup
	$(BIN)/python -m mypy.stubtest pacewheel._core

check-rust: setup
	cargo clippy --workspace --all-targets --quiet -- -D warnings

# Cargo's log is shown whole if a test fails; otherwise its sum stands beside pytest's closing line.
test: setup pgbouncer promtool chromium
	@mkdir -p $(dir $(CARGO_LOG))
	@echo 'cargo test (builds first; a minute when fresh)'
	@cargo test --quiet > $(CARGO_LOG) 2>&1 || { cat $(CARGO_LOG); exit 1; }
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder; code=$$?; \
	awk '/^test result:/ { passed += $$4; failed += $$6; binaries++ } \
	  END { printf "cargo test: %d passed, %d failed in %d binaries\n", passed, failed, binaries }' \
	  $(CARGO_LOG); exit $$code

# None of them fails: where one can't be had, the tests behind it are skipped and say why.
pgbouncer:
	@tests/tools/get_pgbouncer.sh

promtool:
	@tests/tools/get_promtool.sh

chromium:
	@tests/tools/get_chromium.sh

screenshots: setup chromium
	@$(BIN)/python -m tests.browser.screenshots

bench-quick: setup
	BENCH=quick $(BIN)/python -m pytest benches -q -m 'not slow'

bench: setup
	BENCH=full $(BIN)/python -m pytest benches
	cargo bench --quiet

bench-requirements: setup
	BENCH=full $(BIN)/python -m pytest benches -q -m requirement

profile: setup
	$(BIN)/python -m benches.costs

curves: setup
	@$(BIN)/python -m pip install --group plots
	$(BIN)/python -m benches.curves

soak: setup
	$(BIN)/python -m benches.soak

fmt: setup
	$(BIN)/ruff format $(LINTED)
	$(BIN)/ruff check --fix-only --quiet $(LINTED)
	cargo fmt --all

schema: setup
	$(BIN)/python -m tests.schema_dump

clean:
	rm -rf $(VENV) build dist target .benchmarks .hypothesis .*_cache
	find python tests benches -name __pycache__ -prune -exec rm -rf {} +
	rm -f python/pacewheel/_core.*.so

$(EXTENSION): $(PACKAGES) $(RUST_SOURCES)
	@$(MAKE) --no-print-directory toolchain
	@echo 'building the extension (a minute when fresh)'
	@$(BIN)/maturin develop --release --quiet --extras embedded
	@touch $@

# An environment whose making was interrupted has no working pip: it is made anew.
$(PACKAGES): pyproject.toml
	@$(MAKE) --no-print-directory toolchain
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || { \
	  echo 'creating $(VENV)'; $(PYTHON) -m venv --clear $(VENV); }
	@echo 'installing the packages'
	@$(BIN)/python -m pip install --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --group dev
	@touch $@

toolchain:
	@command -v $(PYTHON) > /dev/null || { \
	  echo 'pacewheel needs Python 3.11 or newer: install python3 (found no $(PYTHON) on PATH)'; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "pacewheel needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) --version):" \
	    'install one and say make PYTHON=python3.13'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
	  echo 'pacewheel needs the venv module of Python: install it (Debian: apt install python3-venv)'; \
	  exit 1; }
	@command -v cargo > /dev/null && command -v rustc > /dev/null || { \
	  echo 'pacewheel needs Rust 1.85 or newer (cargo and rustc on PATH) to build: install rustup' \
	    'from https://rustup.rs, then open a new shell'; exit 1; }
	@command -v cc > /dev/null || { \
	  echo 'pacewheel needs a C linker (cc) to build: install gcc (Debian: apt install build-essential)'; \
	  exit 1; }
