# What the examples' Jobs run: no root, no shell, nothing written. Built by: make dist && docker build --tag safeapply:0.1.0 .
# By its tag, because a digest can only be had from the registry: with one that you have looked up and checked,
# --build-arg PYTHON=python@sha256:... pins it. All that is installed on top is pinned by digest.
ARG PYTHON=python:3.13.9-slim-trixie
FROM ${PYTHON} AS build
COPY container/requirements.txt dist/*.whl /build/
WORKDIR /build
# Bytecode is made here, because nobody can write it later.
RUN python -m venv --without-pip /opt/safeapply \
    && python -m pip --python /opt/safeapply/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
        --requirement requirements.txt \
    && python -m pip --python /opt/safeapply/bin/python install --no-cache-dir --no-deps --no-index ./*.whl \
    && /opt/safeapply/bin/python -m compileall -q /opt/safeapply

FROM ${PYTHON}
LABEL org.opencontainers.image.title="safeapply" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/safeapply /opt/safeapply
# A user without a name has no home, and the kubeconfig of a Job is its own account.
ENV HOME=/ PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["/opt/safeapply/bin/safeapply"]
CMD ["--help"]
