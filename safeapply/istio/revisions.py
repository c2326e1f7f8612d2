"""Which istiods read an object, where a mesh has several control planes: the label ``istio.io/rev``.

An istiod reads an object of Istio's own kinds that has no such label, or its own revision as the value (istio
``pkg/config/model.go``, ``LabelsInRevision``). The value is compared to the letter: a tag is no revision there, and
an empty value is nobody's. Kubernetes' kinds are read by all.
"""

from __future__ import annotations

from typing import Final, NewType

from safeapply.resources.objects import Resource

__all__ = ["NOBODYS", "OTHER", "REVISION", "Revision", "read_by"]

REVISION: Final = "istio.io/rev"
_ISTIO: Final = ".istio.io"

Revision = NewType("Revision", str)
"""The name of a control plane: ``default``, ``canary``, ``1-24-1``."""

OTHER: Final = Revision("*")
"""Any revision that no object of the mesh names: all these read the same. No label can have this value."""
NOBODYS: Final = Revision("")
"""What an object says that no istiod reads, as each has a name."""


def read_by(resource: Resource) -> Revision | None:
    """Return the revision whose istiods alone read an object; None where all do."""
    label = resource.labels.get(REVISION) if resource.id.group.endswith(_ISTIO) else None
    return None if label is None else Revision(label)
