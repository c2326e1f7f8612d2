# Two commands need nothing but Python 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_QUIET := --quiet --disable-pip-version-check
PIP := $(BIN)/python -m pip $(PIP_QUIET)
# Nothing is installed whose digest is not in a file of ours, and nothing that would have to be built first.
LOCKED := --require-hashes --only-binary :all:

DIST ?= dist
CLEAN ?= build/clean
PROGRAMS := build/programs
NEWEST := build/newest
PIP_CLEAN := $(PIP) --python $(CLEAN)/bin/python
PIP_NEWEST := $(NEWEST)/bin/python -m pip $(PIP_QUIET)

.PHONY: demo test test-long test-newest test-real check audit unit bench bench-real dist lock clean record

demo: $(VENV)/ready
	$(BIN)/safeapply demo

test: check unit

check: $(VENV)/ready
	$(PIP) check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Known vulnerabilities of what the locks install; without network it says so.
audit:
	$(PYTHON) .ci/audit.py

unit: $(VENV)/ready $(VENV)/programs
	$(BIN)/pytest

# With the newest versions that pyproject.toml allows. It tells what the next `make lock` will bring and may fail without
# blocking anything; what is known to break gets a bound in pyproject.toml. `make dist`, which some tests run, stays locked.
test-newest: $(VENV)/ready
	$(PYTHON) -m venv --clear $(NEWEST)
	$(PIP_NEWEST) install --editable '.[sandbox,otel,dev]'
	$(PIP_NEWEST) freeze | grep '^opentelemetry-proto==' | $(PIP_NEWEST) install --force-reinstall --no-deps --requirement /dev/stdin
	touch $(NEWEST)/ready
	$(MAKE) VENV=$(NEWEST) unit

# Takes hours; a failure names its seed, and the seed alone reproduces it.
test-long: $(VENV)/ready
	$(BIN)/pytest -m long

# A real kube-apiserver, controller manager and istiod, built once for their versions: KUBE=v1.35.9 ISTIO=... try others.
test-real: $(VENV)/ready $(VENV)/programs
	tests/real/run $(BIN)/python -m pytest -m real tests/real $(ARGS)

# What a real API server answers to the scenarios of tests/conformance, written down anew.
record: $(VENV)/ready
	tests/real/run $(BIN)/python -m tests.conformance.recording

bench-real: $(VENV)/ready $(VENV)/programs
	tests/real/run $(BIN)/python -m benchmarks.real

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks

# What is handed out: sdist and wheel, all that runs as one file for this platform, and the list of what is in it.
dist: $(VENV)/ready
	rm -rf $(DIST) $(CLEAN)
	$(BIN)/python -m build --no-isolation --outdir $(DIST)
	$(BIN)/twine check --strict $(DIST)/*
	$(PYTHON) -m venv --without-pip $(CLEAN)
	$(PIP_CLEAN) install $(LOCKED) --requirement container/requirements.txt
	$(PIP_CLEAN) install --no-deps --no-index $(DIST)/*.whl
	$(PIP_CLEAN) check
	$(BIN)/pex --venv-repository $(CLEAN) safeapply --console-script safeapply --output-file $(DIST)/safeapply.pex
	$(BIN)/cyclonedx-py environment $(CLEAN)/bin/python --pyproject pyproject.toml --output-reproducible \
		--output-file $(DIST)/sbom.cdx.json

# Every version that is installed here, with its digests: container/ has those of the container and of the single file, locks/
# those of what developers and tests run. All are renewed; `make lock UPGRADE=` keeps what pyproject.toml still allows.
UPGRADE ?= --upgrade
COMPILE := $(BIN)/uv pip compile $(UPGRADE) --universal --generate-hashes --python-version 3.11 --only-binary :all: \
	--no-annotate --no-header --quiet
# Resolved for each Python and processor that is served: a version without a wheel for one of them ends it here.
lock: $(VENV)/ready
	$(COMPILE) pyproject.toml --all-extras --output-file locks/development.txt
	$(COMPILE) pyproject.toml --constraint locks/development.txt --output-file container/requirements.txt
	$(COMPILE) pyproject.toml --group pulumi --output-file locks/pulumi.txt
	$(COMPILE) --group programs --no-deps --output-file locks/programs.txt
	$(COMPILE) --group audit --output-file locks/audit.txt
	set -e; for python in 3.11 3.12 3.13 3.14; do for machine in x86_64 aarch64; do \
		for lock in container/requirements.txt locks/development.txt locks/pulumi.txt locks/audit.txt; do \
			$(BIN)/uv pip install --quiet --dry-run --target build/none $(LOCKED) --requirement $$lock \
				--python-version $$python --python-platform $$machine-manylinux_2_31; \
	done; done; done

# Helm and kubectl for tests, which skip where they are missing: one package has both, for Linux on x86-64 alone.
$(VENV)/programs: locks/programs.txt | $(VENV)/ready
	if [ "$$(uname -sm)" = "Linux x86_64" ]; then \
		rm -rf $(PROGRAMS) && $(PIP) install $(LOCKED) --no-deps --target $(PROGRAMS) --requirement locks/programs.txt \
		&& tar -xzf $(PROGRAMS)/aws_cdk/*/_jsii/*.tgz -C $(PROGRAMS) package/lib/layer.zip \
		&& $(BIN)/python -m zipfile -e $(PROGRAMS)/package/lib/layer.zip $(PROGRAMS) \
		&& install -m 755 $(PROGRAMS)/helm/helm $(PROGRAMS)/kubectl/kubectl $(BIN) \
		&& rm -rf $(PROGRAMS); \
	fi
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/ready: pyproject.toml locks/development.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "safeapply needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install $(LOCKED) --requirement locks/development.txt
	# xds-protos brings an old copy of OpenTelemetry's messages to the same place: what is installed last stays.
	sed -n '/^opentelemetry-proto==/,/[^\\]$$/p' locks/development.txt | \
		$(PIP) install $(LOCKED) --force-reinstall --no-deps --requirement /dev/stdin
	# Nothing is fetched for it: the locked setuptools builds, and the lock has all that it needs.
	$(PIP) install --no-index --no-deps --no-build-isolation --editable .
	touch $@
