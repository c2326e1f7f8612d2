"""What the API calls the collection of a kind, where no server can be asked. Pure.

The rule is English's, and holds for every kind of Kubernetes, Istio and the Gateway API; a definition may say
otherwise, so with a server at hand discovery decides.
"""

from __future__ import annotations

from typing import Final

from safeapply.resources.objects import GroupKind

__all__ = ["plural_of"]

_VOWELS: Final = frozenset("aeiou")
_PLURAL_ALREADY: Final = frozenset({"endpoints"})


def plural_of(kind: GroupKind) -> str:
    """Return ``virtualservices``, ``gateways``, ``authorizationpolicies``, ``ingresses``."""
    word = kind.kind.lower()
    if word in _PLURAL_ALREADY:
        return word
    if word.endswith(("s", "x", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in _VOWELS:
        return f"{word[:-1]}ies"
    return f"{word}s"
