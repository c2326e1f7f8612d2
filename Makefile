# Two commands need nothing but Python 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_QUIET := --quiet --disable-pip-version-check

DIST ?= dist
CLEAN ?= build/clean
PIP_CLEAN := $(BIN)/python -m pip --python $(CLEAN)/bin/python --quiet --disable-pip-version-check

.PHONY: demo test test-long check unit bench dist lock clean

demo: $(VENV)/ready
	$(BIN)/safeapply demo

test: check unit

check: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/ready
	$(BIN)/pytest

# Takes hours; a failure names its seed, and the seed alone reproduces it.
test-long: $(VENV)/ready
	$(BIN)/pytest -m long

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks

# What is handed out: sdist and wheel, all that runs as one file for this platform, and the list of what is in it.
dist: $(VENV)/ready
	rm -rf $(DIST) $(CLEAN)
	$(BIN)/python -m build --no-isolation --outdir $(DIST)
	$(BIN)/twine check --strict $(DIST)/*
	$(PYTHON) -m venv --without-pip $(CLEAN)
	$(PIP_CLEAN) install --require-hashes --only-binary :all: --requirement container/requirements.txt
	$(PIP_CLEAN) install --no-deps --no-index $(DIST)/*.whl
	$(PIP_CLEAN) check
	$(BIN)/pex --venv-repository $(CLEAN) safeapply --console-script safeapply --output-file $(DIST)/safeapply.pex
	$(BIN)/cyclonedx-py environment $(CLEAN)/bin/python --pyproject pyproject.toml --output-reproducible \
		--output-file $(DIST)/sbom.cdx.json

# The versions of the container and of the single file, each with its digests.
lock: $(VENV)/ready
	$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --python-version 3.11 --only-binary :all: \
		--no-annotate --no-header --quiet --output-file container/requirements.txt

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "safeapply needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_QUIET) --editable '.[sandbox,dev]'
	# xds-protos brings an old copy of OpenTelemetry's messages to the same place: what is installed last stays.
	$(BIN)/python -m pip install $(PIP_QUIET) --force-reinstall --no-deps "opentelemetry-proto==$$($(BIN)/python -c 'from importlib.metadata import version; print(version("opentelemetry-proto"))')"
	touch $@
