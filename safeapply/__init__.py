"""safeapply: ``kubectl apply`` for Istio meshes, without lost requests."""

from __future__ import annotations

__version__ = "0.1.0"
