"""Host names as Istio reads them (ISTIO.md 2)."""

from __future__ import annotations

from collections.abc import Iterator

from safeapply.resources.objects import Namespace
from safeapply.xds.names import Host

__all__ = ["covering", "covers", "is_wild", "most_specific", "overlap", "resolve", "service_host"]


def resolve(name: str, namespace: Namespace, *, domain: str) -> Host:
    """Expand a short name in the namespace of the object that holds it (ISTIO.md 2.1).

    Only a name without a dot is short: ``reviews.prod`` is taken to the letter, which is a trap.
    """
    if "." in name or name == "*" or not name:
        return Host(name)
    return service_host(name, namespace, domain=domain)


def service_host(name: str, namespace: Namespace, *, domain: str) -> Host:
    """Return the host of a Kubernetes Service."""
    return Host(f"{name}.{namespace}.svc.{domain}")


def is_wild(host: Host) -> bool:
    """Tell whether a host is a wildcard (ISTIO.md 2.4)."""
    return host.startswith("*")


def covers(pattern: Host, host: Host) -> bool:
    """Tell whether every name of ``host`` is a name of ``pattern``; ``*.a.b`` does not cover ``a.b``."""
    if not is_wild(pattern):
        return pattern == host
    return host.endswith(pattern[1:])


def covering(host: Host) -> Iterator[Host]:
    """Yield every pattern that could cover a host, the host itself among them."""
    yield host
    yield from (Host(f"*{host[start:]}") for start in range(len(host) + 1))


def overlap(one: Host, other: Host) -> Host | None:
    """Return the names that two hosts have in common: the narrower host, or None."""
    if covers(one, other):
        return other
    return one if covers(other, one) else None


def most_specific(patterns: list[Host], host: Host) -> Host | None:
    """Return the pattern that Istio takes for a host: exact, then the longest wildcard (ISTIO.md 2.4)."""
    matching = [pattern for pattern in patterns if covers(pattern, host)]
    return min(matching, key=lambda pattern: (is_wild(pattern), -len(pattern), pattern), default=None)
