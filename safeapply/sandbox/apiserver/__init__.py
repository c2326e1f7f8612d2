"""An embedded Kubernetes API server: enough of one for kubectl, the official clients, and a mesh.

``Store`` is its state and knows no sockets; ``ApiServer`` speaks HTTP and websockets for it.
"""

from __future__ import annotations

from safeapply.sandbox.apiserver.access import ADMIN, Access, User, service_account
from safeapply.sandbox.apiserver.server import ApiServer
from safeapply.sandbox.apiserver.statuses import StatusError
from safeapply.sandbox.apiserver.store import Store

__all__ = ["ADMIN", "Access", "ApiServer", "StatusError", "Store", "User", "service_account"]
