"""A server for each test, and the official client that talks to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kubernetes import config

from tests.sandbox.apiserver.cluster import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a running API server with nothing but its first namespaces."""
    with Cluster(tmp_path) as running:
        yield running


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Any]:
    """Hand over the official client, configured from the server's own kubeconfig."""
    with closing(config.new_client_from_config(str(cluster.kubeconfig))) as api:
        yield api
        api.rest_client.pool_manager.clear()
