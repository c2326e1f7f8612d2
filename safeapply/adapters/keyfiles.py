"""Keys and certificates that a kubeconfig or a plugin holds as data, as files that are on no disk.

OpenSSL reads files, so the official client writes such data into the temporary directory and removes it when
Python ends in order: after SIGKILL, SIGHUP or ``os._exit`` a private key stays there. A file of memory
(memfd_create(2)) ends with the process, however that ends.
"""

from __future__ import annotations

import base64
import binascii
import os
import sys
import weakref
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["kept_in_memory", "told"]

OWN: Final = "/proc/self/fd/"
NAMES: Final = ("certificate-authority", "client-certificate", "client-key")


def kept_in_memory(entry: Mapping[str, Any], owner: object) -> dict[str, Any]:
    """Return a cluster or user of a kubeconfig whose data are files of memory; elsewhere than on Linux, as it is.

    Args:
        entry: of a kubeconfig; of a file and data, the data count, as for client-go.
        owner: the files are there for as long as this object.

    Raises:
        ValueError: something is no base64.
    """
    if sys.platform != "linux":
        return dict(entry)
    held = {name: entry[f"{name}-data"] for name in NAMES if entry.get(f"{name}-data")}
    rest = {key: value for key, value in entry.items() if key.removesuffix("-data") not in held}
    return rest | {name: _file(_decoded(name, data), owner) for name, data in held.items()}


def told(path: str) -> str:
    """Return what a user knows such a file by."""
    return "the data in the kubeconfig" if path.startswith(OWN) else path


def _decoded(name: str, data: object) -> bytes:
    try:
        return base64.b64decode(str(data))
    except binascii.Error as error:
        raise ValueError(f"{name}-data is no base64") from error


def _file(content: bytes, owner: object) -> str:
    handle = os.memfd_create("safeapply", os.MFD_CLOEXEC)
    weakref.finalize(owner, os.close, handle)
    with open(handle, "wb", closefd=False) as file:
        file.write(content)
    return f"{OWN}{handle}"
