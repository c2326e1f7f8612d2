"""Who an object may be: Kubernetes' own rules for kinds, groups, namespaces and names, kept before the server's.

What comes from outside (manifests, saved plans, records, answers) becomes a ``ResourceId`` here and nowhere else: a
part of an identity that holds a ``/`` or a ``?`` would be another path at the API server, or another file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from safeapply.resources.objects import GroupKind, Namespace, ResourceId

__all__ = [
    "IdentifierError",
    "api_version_fault",
    "identified",
    "identifier_faults",
    "is_built_in",
    "is_label",
    "is_path_segment",
]

LABEL_LENGTH: Final = 63
SUBDOMAIN_LENGTH: Final = 253

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_KIND: Final = re.compile(r"[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?")
_VERSION: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_BUILT_IN: Final = frozenset({"", "apps", "autoscaling", "batch", "extensions", "policy"})
_FREELY_NAMED: Final = frozenset(
    {
        *(
            GroupKind("rbac.authorization.k8s.io", kind)
            for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
        ),
        GroupKind("certificates.k8s.io", "ClusterTrustBundle"),
        GroupKind("networking.k8s.io", "IPAddress"),
    }
)
"""Kinds of these groups with ``:`` in their names: ``system:node``, ``example.com:mine``, ``2001:db8::1``."""


class IdentifierError(ValueError):
    """A part of an identity that Kubernetes would refuse; says which field, and what to write."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(reason)


def identified(group: str, kind: str, namespace: str, name: str) -> ResourceId:
    """Return who an object is.

    Args:
        group: its API group; empty for the core.
        kind: its kind.
        namespace: where it stands; empty for what stands in none.
        name: its name.

    Raises:
        IdentifierError: Kubernetes has no such group, kind, namespace or name.
    """
    for field, reason in identifier_faults(GroupKind(group, kind), namespace, name):
        raise IdentifierError(field, reason)
    return ResourceId(group, kind, Namespace(namespace), name)


def identifier_faults(kind: GroupKind, namespace: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield each field that Kubernetes would refuse, and what is wrong with it.

    Kinds and groups are what a CustomResourceDefinition may define (apiextensions ``validation.go``), a namespace
    is a DNS label and a name a path segment, or a DNS subdomain where its kind asks for that (apimachinery
    ``api/validation``). What the API server alone knows of a kind, it says itself.
    """
    if kind.group and not _is_subdomain(kind.group):
        yield "apiVersion", f"the group {kind.group!r} must be a DNS subdomain, as in networking.istio.io"
    if not (_KIND.fullmatch(kind.kind) and len(kind.kind) <= LABEL_LENGTH):
        yield "kind", f"kind {kind.kind!r} must be letters, digits and '-', as in VirtualService"
    if namespace and not is_label(namespace):
        yield (
            "metadata.namespace",
            f"metadata.namespace {namespace!r} must be a DNS label: small letters, digits and '-', 63 at most",
        )
    if not is_path_segment(name):
        yield (
            "metadata.name",
            f'metadata.name "{name}" may not hold "/" or "%", nor be "." or ".."' + _unseen(name),
        )
    elif _has_subdomains(kind) and not _is_subdomain(name):
        yield (
            "metadata.name",
            f"metadata.name {name!r} must be a DNS subdomain: small letters, digits, '-' and '.', 253 at most",
        )


def api_version_fault(version: str) -> str:
    """Return what is wrong with an ``apiVersion``, beside its group; empty where nothing is."""
    if version.count("/") > 1 or (version and not version.rpartition("/")[2]):
        return f'apiVersion "{version}" must be "version" or "group/version"'
    number = version.rpartition("/")[2]
    if version.startswith("/") or not (_VERSION.fullmatch(number) and len(number) <= LABEL_LENGTH):
        return f"apiVersion {version!r} must be a version such as v1, after its group and a slash if it has one"
    return ""


def is_built_in(group: str) -> bool:
    """Tell whether a group's kinds are Kubernetes' own."""
    return group in _BUILT_IN or group.endswith(".k8s.io")


def is_label(text: str) -> bool:
    """Tell whether a text is a DNS label (RFC 1123), as the name of a namespace has to be."""
    return len(text) <= LABEL_LENGTH and _LABEL.fullmatch(text) is not None


def is_path_segment(name: str) -> bool:
    """Tell whether a name can stand between two slashes (apimachinery ``validation/path``), all of it visible."""
    return name not in {"", ".", ".."} and "/" not in name and "%" not in name and name.isprintable()


def _unseen(name: str) -> str:
    return "" if name.isprintable() else ", nor hold what is not visible"


def _has_subdomains(kind: GroupKind) -> bool:
    # Istio's kinds are defined by a CRD, and all of those have subdomains for names.
    return (is_built_in(kind.group) or kind.group.endswith(".istio.io")) and kind not in _FREELY_NAMED


def _is_subdomain(text: str) -> bool:
    return len(text) <= SUBDOMAIN_LENGTH and _SUBDOMAIN.fullmatch(text) is not None
