# `make demo` and `make test` are all a newcomer needs. The environment is made on first use and again
# only when pyproject.toml or constraints.txt changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_ARGS ?=
TEST_ARGS ?=

.PHONY: demo test check serve bench docker-test lock clean

demo: $(READY)
	$(BIN)/cml demo $(DEMO_ARGS)

test: $(READY)
	$(BIN)/python -m pytest $(TEST_ARGS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not slow and not docker and not browser and not postgres"

serve: $(READY)
	$(BIN)/cml serve --models models

bench: $(READY)
	$(BIN)/python -m benchmarks

# Builds both images and runs them for real, so it wants a Docker engine and does not skip without one.
docker-test: $(READY)
	CML_REQUIRE_SERVICES=1 $(BIN)/python -m pytest tests/docker $(TEST_ARGS)

# What the service image installs, with hashes: the base and the driver of PostgreSQL, and if asked for that of S3.
# Run it after a change of constraints.txt; needs `uv`.
LOCK := uv pip compile --quiet --generate-hashes --no-annotate --no-header --python-version 3.11
lock:
	{ echo "# Made by \`make lock\` from pyproject.toml and constraints.txt. Installed with --require-hashes."; \
	  $(LOCK) --python-platform linux --constraint constraints.txt --extra postgres pyproject.toml; } > docker/service.lock
	{ echo "# Made by \`make lock\` from pyproject.toml and constraints.txt. Installed with --require-hashes."; \
	  $(LOCK) --python-platform linux --constraint constraints.txt --extra postgres --extra s3 pyproject.toml; } \
	  > docker/service-s3.lock
	{ echo "# Made by \`make lock\`: what builds our own wheel."; \
	  echo "setuptools>=77" | $(LOCK) -; } > docker/build.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
