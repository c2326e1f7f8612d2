"""What ``kubectl apply -f`` does, for machines without kubectl: each object in the order of the files, at once.

    python -m safeapply.sandbox.applying PATH...

One server-side apply after the other, without looking at what becomes of it. It exists to be compared with, and
knows no more of Kubernetes than that takes: an API server without a password, found by KUBECONFIG.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from safeapply.errors import SafeApplyError, SandboxError
from safeapply.resources.objects import Document
from safeapply.sandbox.loading import read_documents

__all__ = ["apply_in_order", "main"]

TIMEOUT_SECONDS = 30.0
FIELD_MANAGER = "kubectl"


def apply_in_order(paths: Sequence[Path], *, server: str) -> None:
    """Apply every object of these paths, one after the other.

    Raises:
        SandboxError: the server refused one; those before it are written.
    """
    for document in read_documents(paths):
        _request("PATCH", f"{server}{_path(document, server)}?fieldManager={FIELD_MANAGER}&force=true", document)
        sys.stdout.write(f"{document['kind'].lower()}/{document['metadata']['name']} serverside-applied\n")


def main() -> None:
    """Apply what the arguments name."""
    try:
        config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
        apply_in_order([Path(path) for path in sys.argv[1:]], server=config["clusters"][0]["cluster"]["server"])
    except SafeApplyError as error:
        sys.exit(f"error: {error}")


def _path(document: Document, server: str) -> str:
    version, metadata = str(document["apiVersion"]), document["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural, namespaced = _kinds(server, root)[document["kind"]]
    namespace = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
    return f"{root}{namespace}/{plural}/{metadata['name']}"


@cache
def _kinds(server: str, root: str) -> dict[str, tuple[str, bool]]:
    """Return plural and scope of each kind of a group and version."""
    resources = _request("GET", f"{server}{root}", None)["resources"]
    return {one["kind"]: (one["name"], one["namespaced"]) for one in resources if "/" not in one["name"]}


def _request(method: str, url: str, body: Document | None) -> Any:  # noqa: ANN401 - JSON
    request = urllib.request.Request(  # noqa: S310 - the kubeconfig's server
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/apply-patch+yaml"} if body is not None else {},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - likewise
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise SandboxError(json.load(error).get("message", error.reason)) from error
    except OSError as error:
        raise SandboxError(f"{url}: {error}") from error


if __name__ == "__main__":
    main()
