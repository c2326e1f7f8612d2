"""Host names as Istio compares them (ISTIO.md 2). Pure."""

from __future__ import annotations

from collections.abc import Container

__all__ = ["DOMAIN", "fqdn", "is_wild", "most_specific", "overlap", "within"]

DOMAIN = "svc.cluster.local"


def fqdn(host: str, namespace: str) -> str:
    """Return a host in full; one with a dot in it stands as it is (ISTIO.md 2.1)."""
    if "." in host or host.startswith("*"):
        return host.lower()
    return f"{host}.{namespace}.{DOMAIN}".lower()


def is_wild(host: str) -> bool:
    """Tell whether a host is a pattern; ``*foo`` is one too."""
    return host.startswith("*")


def within(host: str, pattern: str) -> bool:
    """Tell whether everything that ``host`` stands for is in ``pattern`` too (istio ``host.Name.SubsetOf``)."""
    return host.endswith(pattern[1:]) if is_wild(pattern) else host == pattern


def overlap(one: str, other: str) -> bool:
    """Tell whether either is within the other (istio ``host.Name.Matches``)."""
    return within(one, other) or within(other, one)


def most_specific(host: str, patterns: Container[str]) -> str | None:
    """Return the pattern that is nearest to the host: itself, else the longest wildcard (ISTIO.md 2.4)."""
    if host in patterns:
        return host
    # Asking for each possible suffix is quicker than looking at each pattern where there are thousands.
    wildcards = (f"*{host[start:]}" for start in range(len(host) + 1))
    return next((wildcard for wildcard in wildcards if wildcard in patterns), None)
