# Everything that is needed is a POSIX machine with git, make, Python 3.11 or later and a C compiler.
PYTHON ?= python3
VENV := .venv
BENCH := .venv-bench
AUDIT := .venv-audit
BIN := $(VENV)/bin

.PHONY: help demo serve test coverage check audit format bench lock clean

help:
	@echo "make demo    watch meetings and calls become signed webhooks"
	@echo "make serve   run the server on ./hookline.db"
	@echo "make test    run the tests"
	@echo "make coverage  run them, and say which branches were never taken"
	@echo "make check   lint, types, import layers"
	@echo "make audit   licences, hashes, images, known vulnerabilities of what is locked"
	@echo "make bench   measure it, beside what one would build instead"

demo: $(VENV)/run
	@$(BIN)/hookline demo

serve: $(VENV)/run
	@$(BIN)/hookline serve

# Three processes on two cores: many tests wait for a server, a disk or another process.
test: $(VENV)/dev
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

coverage: $(VENV)/dev
	@$(BIN)/coverage erase
	$(BIN)/python -m pytest -n 3 --dist worksteal --cov --cov-report=term $(ARGS)

check: $(VENV)/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.fences

format: $(VENV)/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Reads what is installed from each lock file, so it needs all the environments. What its exit codes mean:
# docs/explanation/dependencies.md
audit: $(VENV)/dev $(BENCH)/ready $(AUDIT)/ready
	$(AUDIT)/bin/python -m tests.audit $(ARGS)

bench: $(BENCH)/ready
	$(BENCH)/bin/python -m bench $(ARGS)

# The virtual environment holds exactly what the lock files say. They are complete, so pip need not resolve: --no-deps.
$(VENV)/run: locks/run.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r locks/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev: $(VENV)/run locks/dev.txt locks/brevo-sdk-1.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r locks/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		--upgrade --target $(VENV)/brevo-sdk-1 -r locks/brevo-sdk-1.txt
	@touch $@

$(BENCH)/ready: locks/bench.txt pyproject.toml
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r locks/bench.txt
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The tools of the audit are in an environment of their own: nothing else depends on them.
$(AUDIT)/ready: locks/audit.txt
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r locks/audit.txt
	@touch $@

# Needs uv (pip install uv). Run it after a change of the dependencies in pyproject.toml.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock:
	$(LOCK) pyproject.toml --group dev -o locks/dev.txt
	$(LOCK) pyproject.toml --group build -c locks/dev.txt -o locks/run.txt
	$(LOCK) pyproject.toml -c locks/run.txt -o locks/image.txt
	$(LOCK) pyproject.toml --group bench --group build -c locks/dev.txt -o locks/bench.txt
	$(LOCK) --group audit -o locks/audit.txt
	$(LOCK) locks/brevo-sdk-1.in -o locks/brevo-sdk-1.txt

clean:
	rm -rf $(VENV) $(BENCH) $(AUDIT) build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
