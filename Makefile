# The same names a person and CI call. `make demo` and `make test` need Debian, Python 3.11 and git, nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: setup fmt check test test-quick benchmark demo pointing clean

setup: .venv/installed  ## make .venv and install everything

.venv/installed: pyproject.toml infra/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "ladnn needs Python 3.11, $(PYTHON) is another; run: make PYTHON=/path/to/python3.11 setup" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' || infra/debian-packages python3-venv
	$(PYTHON) -m venv .venv
	@echo "installing (about 6 GB, some minutes) …"
	$(BIN)/pip install --constraint infra/constraints.txt --editable '.[dev]'
	@touch $@

fmt: setup  ## format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: setup  ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup  ## all tests, slow ones too
	infra/debian-packages strace
	$(BIN)/pytest --numprocesses 2 --dist worksteal

test-quick: setup  ## tests of a few seconds each
	$(BIN)/pytest --numprocesses 2 --dist worksteal -m "not slow"

benchmark: setup  ## speed, as ratios of things measured side by side (some minutes, 3 GB of disk); ONLY="training inference" for parts
	PYTHONPATH=tests $(BIN)/python tests/benchmarks/run.py $(ONLY)

demo: setup  ## synthetic contributions, one retrain, a summary
	$(BIN)/ladnn phantoms --patients 96 --slices 2 --seed 1
	$(BIN)/ladnn retrain --config infra/configs/demo.toml

pointing: setup  ## do models look at lesions: 600 phantom patients, ladnn and baseline (some 20 minutes)
	$(BIN)/ladnn phantoms --patients 600 --slices 2 --seed 1
	$(BIN)/ladnn retrain --config infra/configs/demo.toml --set training.epochs=16 --set training.batch_size=32
	$(BIN)/ladnn attention pointing last

clean:  ## remove the environment and caches; LADNN_HOME stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
