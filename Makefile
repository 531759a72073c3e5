# Eleven targets, each one line that a person could type. `make demo` and `make test` need nothing but
# Python 3.11+ (with venv) and make: they create .venv when it is missing or constraints.txt changed.
PYTHON ?= python3
BIN := .venv/bin
FOR :=
SEED := 1
ARGS :=

.PHONY: demo dev test test-long chaos check bench shots stop clean venv

demo: venv  ## the whole system on this machine; FOR=120 ends by itself
	@mkdir -p .ib_platform
	$(BIN)/ib-platform demo $(if $(FOR),--for $(FOR) --json .ib_platform/demo.json) $(ARGS)

dev: venv  ## Dagster alone, with your ib_platform.yaml
	@export VIRTUAL_ENV="$(CURDIR)/.venv" DAGSTER_HOME="$${DAGSTER_HOME:-$(CURDIR)/.ib_platform/dagster_home}"; \
	$(BIN)/python -m ib_platform.demo.dagster_home && $(BIN)/dg dev $(ARGS)

test: venv  ## everything that stays under 20 minutes on 2 cores
	$(BIN)/python -m pytest -m "not long" -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

test-long: venv  ## what takes longer
	$(BIN)/python -m pytest -m long --timeout 3600 $(ARGS)

chaos: venv  ## hundreds of faults by chance, then proof that nothing is lost unsaid; SEED=n
	$(BIN)/python -m ib_platform_tests.faults.chaos --seed $(SEED) $(ARGS)

check: venv  ## lint, types, Dagster definitions
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && VIRTUAL_ENV="$(CURDIR)/.venv" $(BIN)/dg check defs

bench: venv  ## prints figures, asserts nothing about time
	$(BIN)/python -m benchmarks $(ARGS)

shots: venv  ## screenshots of a running demo into docs/ (needs Debian's chromium)
	$(BIN)/python -m benchmarks.shots $(ARGS)

stop: venv  ## end what a demo left running
	$(BIN)/ib-platform stop --config .ib_platform/demo/ib_platform.yaml

clean:  ## remove what the demo, tests and builds wrote; keeps .venv and every other spool
	rm -rf .ib_platform/demo .ib_platform/demo.json build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

venv:
	@cmp -s constraints.txt .venv/constraints.installed || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ib_platform needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }; \
	  echo "installing into .venv (once; about a minute)"; \
	  $(PYTHON) -m venv .venv || { echo "the venv module is missing: apt-get install python3-venv" >&2; exit 1; }; \
	  $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[embedded,login,dev]' \
	  && cp constraints.txt .venv/constraints.installed; }
